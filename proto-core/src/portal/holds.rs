//! Money set aside for jobs under way, from authorization to settlement.
//!
//! ```text
//!             durable               usage report, or `expires`              durable
//!   Opening ----------> Open ------------------------------------> Ending ----------> (history)
//! ```
//!
//! A hold resolves once (I2). Its life is counted on the monotonic clock from when it was made, or loaded: a portal that
//! was away expires nothing for it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::identity::{FepId, Network, NodeId};
use crate::limits::HOLD_GRACE;
use crate::machine::StreamId;
use crate::money::Micros;
use crate::mutants::{Mutant, mutant};
use crate::store::{BadRow, Row, Snapshot};
use crate::time::{Now, Span, Time, Wake};
use crate::wire::cbor::Blob;
use crate::wire::ids::AuthId;
use crate::wire::ids::Hash;
use crate::wire::object::{self, Sealed};
use crate::wire::portal::{JobAuthorization, Offer};

use super::accounts::UserId;
use super::answer::{Answer, Refused, Step, Stepped};
use super::rows::{HOLDS, HoldRow, Signed, auth_key};

pub(super) struct Hold {
    pub(super) user: UserId,
    /// Of what was asked for: a repeated request must ask for the same.
    pub(super) digest: Hash,
    pub(super) authorization: Sealed<JobAuthorization>,
    /// In the order of the attempts.
    pub(super) offers: Vec<Offer>,
    pub(super) expires: Time,
}

impl Hold {
    pub(super) fn amount(&self) -> Micros {
        self.authorization.content.hold
    }

    pub(super) fn row(&self) -> Row {
        let row = HoldRow {
            user: self.user,
            digest: self.digest,
            authorization: Signed(self.authorization.bytes.0.clone()),
            offers: self.offers.clone(),
        };
        Row::json(auth_key(self.authorization.content.auth_id), &row)
    }
}

/// When a hold returns to its user at the latest.
pub(super) fn expiry(now: Now, ttl_s: u32) -> Time {
    let life = if mutant(Mutant::HoldForgetsTtl) { 0 } else { ttl_s };
    let from = if mutant(Mutant::HoldByWallClock) { Time(now.wall.0 * 1_000_000) } else { now.mono };
    from + Span::from_secs(u64::from(life)) + HOLD_GRACE
}

/// A hold that is resolved in memory; the store is being told.
struct Ending {
    gateway: NodeId,
    end: End,
    waiting: Vec<StreamId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Captured { attempt: u8 },
    Released,
    Expired,
}

#[derive(Default)]
pub(super) struct Holds {
    opening: BTreeMap<AuthId, (Hold, Vec<StreamId>)>,
    open: BTreeMap<AuthId, Hold>,
    ending: BTreeMap<AuthId, Ending>,
    expiries: BTreeSet<(Time, AuthId)>,
}

impl Holds {
    pub(super) fn load(
        snapshot: &Snapshot,
        network: Network,
        fep_id: FepId,
        now: Now,
    ) -> Result<Self, BadRow> {
        let mut holds = Self::default();
        for row in snapshot.of(HOLDS) {
            let bad = |what| BadRow { table: HOLDS.name, key: row.key.clone(), what };
            let HoldRow { user, digest, authorization, offers } = row.parse(HOLDS)?;
            let authorization: Sealed<JobAuthorization> =
                object::open(network, Some(fep_id.0), &authorization.0)
                    .map_err(|error| bad(alloc::format!("{error}")))?;
            if offers.len() != authorization.content.attempts.len() {
                return Err(bad("it has not one offer for each attempt".into()));
            }
            let restarted = mutant(Mutant::HoldReleasedAtRestart);
            let expires = if restarted { now.mono } else { expiry(now, authorization.content.ttl_s) };
            holds.insert(Hold { user, digest, authorization, offers, expires });
        }
        Ok(holds)
    }

    /// Open ones and those that are about to be.
    pub(super) fn len(&self) -> usize {
        self.opening.len() + self.open.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Hold> {
        self.opening.values().map(|(hold, _)| hold).chain(self.open.values())
    }

    pub(super) fn wake(&self) -> Option<Wake> {
        self.expiries.first().map(|(at, _)| Wake { at: *at, why: "a hold expires" })
    }

    /// An open hold whose life is over.
    pub(super) fn expired(&self, now: Time) -> Option<AuthId> {
        self.expiries.first().filter(|(at, _)| *at <= now).map(|(_, auth_id)| *auth_id)
    }

    /// The answer to a request whose hold is known; `None` if it is new here.
    pub(super) fn again(&mut self, auth_id: AuthId, digest: Hash, stream: StreamId) -> Option<Stepped> {
        let another = || Err(Refused::conflict("this request id was used for another request"));
        if let Some(hold) = self.open.get(&auth_id) {
            let same = hold.digest == digest;
            let answer = || Ok(Step::Answer(Answer::Object(hold.authorization.bytes.clone())));
            return Some(if same { answer() } else { another() });
        }
        if let Some((hold, waiting)) = self.opening.get_mut(&auth_id) {
            if hold.digest != digest {
                return Some(another());
            }
            waiting.push(stream);
            return Some(Ok(Step::Wait));
        }
        self.ending.contains_key(&auth_id).then(|| Err(resolved()))
    }

    pub(super) fn begin(&mut self, hold: Hold, stream: StreamId) {
        self.opening.insert(hold.authorization.content.auth_id, (hold, alloc::vec![stream]));
    }

    /// The hold stands; who waits for it gets its bytes.
    pub(super) fn opened(&mut self, auth_id: AuthId) -> Option<(Vec<StreamId>, Blob)> {
        let (hold, waiting) = self.opening.remove(&auth_id)?;
        let bytes = hold.authorization.bytes.clone();
        self.insert(hold);
        Some((waiting, bytes))
    }

    /// The store refused it.
    pub(super) fn refused(&mut self, auth_id: AuthId) -> Option<(Hold, Vec<StreamId>)> {
        self.opening.remove(&auth_id)
    }

    pub(super) fn open(&self, auth_id: AuthId) -> Option<&Hold> {
        self.open.get(&auth_id)
    }

    pub(super) fn is_opening(&self, auth_id: AuthId) -> bool {
        self.opening.contains_key(&auth_id)
    }

    /// From here on it is resolved; the caller has moved the money.
    pub(super) fn end(&mut self, auth_id: AuthId, end: End, waiting: Vec<StreamId>) {
        if let Some(hold) = self.open.remove(&auth_id) {
            self.expiries.remove(&(hold.expires, auth_id));
            let gateway = hold.authorization.content.gateway;
            self.ending.insert(auth_id, Ending { gateway, end, waiting });
        }
    }

    /// A report for a hold that is being resolved waits with the one that resolves it, if it says the same.
    pub(super) fn await_end(
        &mut self,
        auth_id: AuthId,
        gateway: NodeId,
        attempt: Option<u8>,
        stream: StreamId,
    ) -> Option<Stepped> {
        let ending = self.ending.get_mut(&auth_id)?;
        let same = match ending.end {
            End::Captured { attempt: captured } => attempt == Some(captured),
            End::Released => attempt.is_none(),
            End::Expired => false,
        };
        Some(if ending.gateway != gateway {
            Err(not_its_gateway())
        } else if same {
            ending.waiting.push(stream);
            Ok(Step::Wait)
        } else {
            Err(resolved())
        })
    }

    /// Its end is durable.
    pub(super) fn ended(&mut self, auth_id: AuthId) -> Vec<StreamId> {
        self.ending.remove(&auth_id).map(|ending| ending.waiting).unwrap_or_default()
    }

    /// Who waits for this hold, when all is lost.
    pub(super) fn waiting(&mut self, auth_id: AuthId) -> Vec<StreamId> {
        let opening = self.opening.remove(&auth_id).map(|(_, waiting)| waiting).unwrap_or_default();
        let mut waiting = self.ended(auth_id);
        waiting.extend(opening);
        waiting
    }

    fn insert(&mut self, hold: Hold) {
        let auth_id = hold.authorization.content.auth_id;
        self.expiries.insert((hold.expires, auth_id));
        self.open.insert(auth_id, hold);
    }
}

pub(super) fn resolved() -> Refused {
    Refused::conflict("the hold of this request is resolved already, or expired")
}

pub(super) fn not_its_gateway() -> Refused {
    Refused::not_paired("the hold is another gateway's")
}
