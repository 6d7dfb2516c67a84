//! May this key have signed that, then, for that FEP? The one place that answers.
//!
//! ```text
//!   root (fep_id, offline) --KeyRing--> signing keys, each for a time --> authorizations, receipts, decisions, descriptors
//! ```
//!
//! An authorization counts while its key is valid *now*: it is a promise, and a thief's are worth nothing once the theft is
//! known. A receipt or a decision is history: its key must have been valid when it was *issued*, and stays good. Whoever
//! stole a key can put an earlier date on what it signs; what that may cost is bounded by each provider's exposure: a
//! receipt needs an authorization that was good when it came; a decision with an earlier date can only take a claim for
//! paid that was made before the revocation was known.

use alloc::vec::Vec;

use crate::economics::{Fees, Rate};
use crate::identity::{FepId, FepKey, Network};
use crate::limits::{CLOCK_SKEW, FEP_KEYS};
use crate::money::Currency;
use crate::mutants::{Mutant, mutant};
use crate::time::Wall;
use crate::wire::cbor::Blob;
use crate::wire::ids::Hash;
use crate::wire::keys::{CertifiedKey, Descriptor, KeyRing, OfferedRail, Quote};
use crate::wire::object::{self, BadObject, Object, Sealed};
use crate::wire::portal::{
    ClaimDecision, DisputeDecision, IssuedReceipts, JobAuthorization, Receipt, key_id,
};

/// A paper that only a FEP can sign.
pub trait OfFep: Object {
    fn fep_id(&self) -> FepId;
    /// When it says to have been signed.
    fn issued(&self) -> Wall;
    /// The key that it names, where it names one.
    fn key_id(&self) -> Option<Hash>;
}

impl OfFep for JobAuthorization {
    fn fep_id(&self) -> FepId {
        self.fep_id
    }
    fn issued(&self) -> Wall {
        Wall(self.issued_ms)
    }
    fn key_id(&self) -> Option<Hash> {
        Some(self.key_id)
    }
}

impl OfFep for Receipt {
    fn fep_id(&self) -> FepId {
        self.fep_id
    }
    fn issued(&self) -> Wall {
        Wall(self.issued_ms)
    }
    fn key_id(&self) -> Option<Hash> {
        Some(self.key_id)
    }
}

impl OfFep for ClaimDecision {
    fn fep_id(&self) -> FepId {
        self.fep_id
    }
    fn issued(&self) -> Wall {
        Wall(self.decided_ms)
    }
    fn key_id(&self) -> Option<Hash> {
        None
    }
}

impl OfFep for IssuedReceipts {
    fn fep_id(&self) -> FepId {
        self.fep_id
    }
    fn issued(&self) -> Wall {
        Wall(self.issued_ms)
    }
    fn key_id(&self) -> Option<Hash> {
        None
    }
}

impl OfFep for DisputeDecision {
    fn fep_id(&self) -> FepId {
        self.fep_id
    }
    fn issued(&self) -> Wall {
        Wall(self.decided_ms)
    }
    fn key_id(&self) -> Option<Hash> {
        None
    }
}

/// Why a FEP's paper does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPaper {
    #[error("the keys of its FEP are not known here yet")]
    NoKeys,
    #[error("it is signed by a key that its FEP is not known to have certified")]
    UnknownKey,
    #[error("it is signed by a key that was not valid then, or is revoked")]
    NotValid,
    #[error("it names another FEP or key than the one that signed it")]
    Misnamed,
}

impl BadPaper {
    /// Another ring could change it.
    pub const fn may_pass(self) -> bool {
        match self {
            Self::NoKeys | Self::UnknownKey => true,
            Self::NotValid | Self::Misnamed => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRing {
    #[error("the key ring: {0}")]
    Object(#[from] BadObject),
    #[error("the key ring is not signed by the root of the FEP that it is for")]
    NotByRoot,
    #[error("a key ring has at most {FEP_KEYS} keys")]
    TooManyKeys,
    #[error("each key stands once in a key ring, and the root is none of them")]
    KeyTwice,
    #[error("a key must be valid from a time before the one at which it ends")]
    NoTime,
}

/// Why a ring does not follow another: each is a slip of whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNext {
    #[error("it is another FEP's")]
    OtherFep,
    #[error(
        "its serial {0} is not above {1}, that of the ring in force: make it from that one, as `show` gives it"
    )]
    NotAbove(u64, u64),
    #[error(
        "it lacks key {0}, or has it for another time: what that key signed could not be checked any more"
    )]
    Changes(FepKey),
    #[error("it takes back that key {0} is revoked: certify a new key instead")]
    Unrevokes(FepKey),
}

/// A FEP's key ring, by its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    ring: Sealed<KeyRing>,
}

impl Keys {
    /// # Errors
    ///
    /// It is no ring, or not of that FEP where one is given, or not signed by the root of the FEP that it names.
    pub fn open(network: Network, fep_id: Option<FepId>, bytes: &[u8]) -> Result<Self, BadRing> {
        let ring = object::open::<KeyRing>(network, fep_id.map(|fep_id| fep_id.0), bytes)?;
        let KeyRing { fep_id, keys, .. } = &ring.content;
        if ring.signer != fep_id.0 {
            return Err(BadRing::NotByRoot);
        }
        if keys.len() > FEP_KEYS {
            return Err(BadRing::TooManyKeys);
        }
        for (at, one) in keys.iter().enumerate() {
            if one.key.0 == fep_id.0 || keys.iter().take(at).any(|other| other.key == one.key) {
                return Err(BadRing::KeyTwice);
            }
            if one.from_ms >= one.until_ms {
                return Err(BadRing::NoTime);
            }
        }
        Ok(Self { ring })
    }

    pub fn fep_id(&self) -> FepId {
        self.ring.content.fep_id
    }

    pub fn serial(&self) -> u64 {
        self.ring.content.serial
    }

    /// As its root signed it.
    pub fn bytes(&self) -> &Blob {
        &self.ring.bytes
    }

    pub fn content(&self) -> &KeyRing {
        &self.ring.content
    }

    pub fn iter(&self) -> impl Iterator<Item = &CertifiedKey> + Clone {
        self.ring.content.keys.iter()
    }

    pub fn of(&self, signer: &[u8; 32]) -> Option<&CertifiedKey> {
        self.iter().find(|one| one.key.0 == *signer)
    }

    /// Does a paper bind its FEP now? One that binds only as long as its key is valid: an authorization.
    ///
    /// # Errors
    ///
    /// Its key is not valid now, or was not certified for the time when it was issued; or it is not what it must be.
    pub fn binds_now<T: OfFep>(&self, paper: &Sealed<T>, now: Wall) -> Result<(), BadPaper> {
        let key = self.signer(paper)?;
        let skewed = Wall(now.0.saturating_add(CLOCK_SKEW.as_millis()));
        // The FEP may sign by a clock that is ahead of ours.
        let valid = key.signs_at(now) || (now.0 < key.from_ms && key.signs_at(skewed));
        let valid = valid || (mutant(Mutant::RevokedKeyAccepted) && key.certified_at(now));
        let issued_by_it = key.certified_at(paper.content.issued());
        if valid && issued_by_it { Ok(()) } else { Err(BadPaper::NotValid) }
    }

    /// Does a paper bind its FEP by the time when it was issued? One that stays good: a receipt, a decision.
    ///
    /// # Errors
    ///
    /// Its key was not valid then, as far as is known now; or it is not what it must be.
    pub fn bound_when_issued<T: OfFep>(&self, paper: &Sealed<T>) -> Result<(), BadPaper> {
        let key = self.signer(paper)?;
        if key.signs_at(paper.content.issued()) { Ok(()) } else { Err(BadPaper::NotValid) }
    }

    /// Was a paper good when it came? What was revoked since changes nothing for whoever kept it.
    ///
    /// # Errors
    ///
    /// Its key was not certified for the time when it was issued; or it is not what it must be.
    pub fn bound_once<T: OfFep>(&self, paper: &Sealed<T>) -> Result<(), BadPaper> {
        let key = self.signer(paper)?;
        if key.certified_at(paper.content.issued()) { Ok(()) } else { Err(BadPaper::NotValid) }
    }

    fn signer<T: OfFep>(&self, paper: &Sealed<T>) -> Result<&CertifiedKey, BadPaper> {
        let key = self.of(&paper.signer).ok_or(BadPaper::UnknownKey)?;
        let named = paper.content.key_id().is_none_or(|named| named == key_id(&paper.signer));
        if paper.content.fep_id() != self.fep_id() || !named {
            return Err(BadPaper::Misnamed);
        }
        Ok(key)
    }

    /// The key that signs at that time: of those that are valid the one that became so last, so that a successor takes over at
    /// its `from` while papers of the one before are still good.
    pub fn current(&self, now: Wall, held: impl Fn(&FepKey) -> bool) -> Option<&CertifiedKey> {
        let valid = self.iter().filter(|one| one.signs_at(now) && held(&one.key));
        valid.max_by_key(|one| (one.from_ms, one.key))
    }

    /// The next moment at which another key may be the current one.
    pub fn next_change(&self, now: Wall) -> Option<Wall> {
        let moments =
            self.iter().flat_map(|one| [Some(one.from_ms), Some(one.until_ms), one.revoked_from_ms]);
        moments.flatten().filter(|at| *at > now.0).min().map(Wall)
    }

    /// May it take the place of that one?
    ///
    /// # Errors
    ///
    /// What is wrong with it. The root may do otherwise, and whoever holds an older ring believes it: this is for its operator.
    pub fn follows(&self, before: &Self) -> Result<(), NotNext> {
        if self.fep_id() != before.fep_id() {
            return Err(NotNext::OtherFep);
        }
        if self.serial() <= before.serial() {
            return Err(NotNext::NotAbove(self.serial(), before.serial()));
        }
        for was in before.iter() {
            let is =
                self.of(&was.key.0).filter(|is| (is.from_ms, is.until_ms) == (was.from_ms, was.until_ms));
            let Some(is) = is else { return Err(NotNext::Changes(was.key)) };
            let takes_back = |from: u64| is.revoked_from_ms.is_none_or(|now| now > from);
            if was.revoked_from_ms.is_some_and(takes_back) {
                return Err(NotNext::Unrevokes(was.key));
            }
        }
        Ok(())
    }
}

impl CertifiedKey {
    /// Its root lets it sign then.
    pub fn signs_at(&self, at: Wall) -> bool {
        self.certified_at(at) && self.revoked_from_ms.is_none_or(|from| at.0 < from)
    }

    /// Its root let it sign then, whatever was revoked since.
    fn certified_at(&self, at: Wall) -> bool {
        (self.from_ms..self.until_ms).contains(&at.0)
    }

    /// When it signs no more.
    pub fn ends_ms(&self) -> u64 {
        self.revoked_from_ms.map_or(self.until_ms, |from| from.min(self.until_ms))
    }
}

/// The ring that follows another: with one key more, or one that is revoked. Its serial is the time, so that one made after
/// the loss of newer rings is above these, too.
pub fn next_serial(before: Option<&Keys>, now: Wall) -> u64 {
    before.map_or(now.0, |before| now.0.max(before.serial().saturating_add(1)))
}

/// What a FEP says of itself, by a key of its own.
#[derive(Clone, Debug)]
pub struct Described {
    pub keys: Keys,
    issued_ms: u64,
    pub currency: Currency,
    pub fees: Fees,
    pub rails: Vec<OfferedRail>,
    quotes: Vec<Quote>,
    pub bytes: Blob,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDescriptor {
    #[error("the descriptor: {0}")]
    Object(#[from] BadObject),
    #[error(transparent)]
    Ring(#[from] BadRing),
    #[error("the descriptor is of FEP {0}")]
    OtherFep(FepId),
    #[error("the descriptor is signed by a key that was not valid then, or is revoked")]
    Key,
}

impl Described {
    /// # Errors
    ///
    /// It is no descriptor of that FEP.
    pub fn open(network: Network, fep_id: FepId, bytes: &[u8]) -> Result<Self, BadDescriptor> {
        let Sealed { signer, content, bytes, .. } = object::open::<Descriptor>(network, None, bytes)?;
        let keys = Keys::open(network, None, &content.ring.0)?;
        if keys.fep_id() != fep_id {
            return Err(BadDescriptor::OtherFep(keys.fep_id()));
        }
        let issued = Wall(content.issued_ms);
        if !keys.of(&signer).is_some_and(|key| key.signs_at(issued)) {
            return Err(BadDescriptor::Key);
        }
        let Descriptor { ring: _, issued_ms, currency, fees, rails, quotes } = content;
        Ok(Self { keys, issued_ms, currency, fees, rails, quotes, bytes })
    }

    /// At what rate the FEP would authorize an offer in that currency now.
    pub(crate) fn rate(&self, currency: &Currency, now: Wall) -> Option<Rate> {
        if *currency == self.currency {
            return Some(Rate::ONE);
        }
        let quote = self.quotes.iter().find(|quote| quote.currency == *currency)?;
        (now.0 < quote.until_ms).then_some(quote.rate)
    }

    /// When the first of its quotes lapses that hold now.
    pub(crate) fn next_lapse(&self, now: Wall) -> Option<Wall> {
        self.quotes.iter().map(|quote| Wall(quote.until_ms)).filter(|until| *until > now).min()
    }

    /// Of another version of the same FEP's: a higher serial counts whatever is issued when, so that a thief who dates a
    /// descriptor ahead keeps nobody from hearing of its revocation.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        (self.keys.serial(), self.issued_ms) > (other.keys.serial(), other.issued_ms)
    }
}

/// For people: the keys, when each signs, and whether it is `held` here and signs `now`.
pub fn show(keys: &Keys, now: Wall, held: impl Fn(&FepKey) -> bool) -> Vec<serde_json::Value> {
    let current = keys.current(now, &held).map(|one| one.key);
    let show = |one: &CertifiedKey| {
        serde_json::json!({
            "key": one.key, "from_ms": one.from_ms, "until_ms": one.until_ms,
            "revoked_from_ms": one.revoked_from_ms, "held": held(&one.key), "signs": current == Some(one.key),
        })
    };
    keys.iter().map(show).collect()
}
