//! The keys by which this portal signs. Its root, which is elsewhere, says in the key ring which they are and when; of those
//! that it holds the current one signs. Where there is none, nothing is signed: no hold, no receipt, no payout.
//!
//! ```text
//!   founding ring (at the start) --,
//!                                   the higher serial --> in force --> current key, by the wall clock
//!   POST /ring --durable-----------'
//! ```

use alloc::collections::BTreeMap;
use alloc::{boxed::Box, format, string::String, vec::Vec};

use serde::Deserialize;

use crate::identity::{FepId, FepKey, Identity, Network};
use crate::keys::{self, BadRing, Keys};
use crate::limits::{KEY_ENDS_SOON, KEYS_LOOKED_AT};
use crate::machine::{Level, StreamId};
use crate::store::{BadRow, Range, Row, Snapshot, Write};
use crate::time::{Now, Span, Time, Wake, Wall};
use crate::wire::cbor::Blob;
use crate::wire::keys::{CertifiedKey, Descriptor, OfferedRail, Quote};
use crate::wire::object;

use super::admin::parse;
use super::answer::{Answer, Refused, Step, Stepped};
use super::books::Fep;
use super::config::{Config, RailTerms};
use super::look::Look;
use super::quotes::Quotes;
use super::rows::{RING, RING_KEY, RingRow, Signed};
use super::writer::{Commit, Then};

/// What a portal signs with: made by its driver, from files or a seed.
pub struct Signers {
    network: Network,
    founding: Keys,
    held: Vec<Identity>,
}

impl Signers {
    /// `founding`: the ring that was made together with the root, or a later one.
    ///
    /// # Errors
    ///
    /// It is no key ring of that network, by its FEP's root.
    pub fn new(network: &str, founding: &[u8], held: Vec<Identity>) -> Result<Self, BadRing> {
        let network = held.first().map_or_else(|| Network::of(network), |key| key.network(network));
        let founding = Keys::open(network, None, founding)?;
        Ok(Self { network, founding, held })
    }

    pub fn fep_id(&self) -> FepId {
        self.founding.fep_id()
    }
}

pub(super) struct Signing {
    pub(super) network: Network,
    ring: Keys,
    held: BTreeMap<FepKey, Identity>,
    /// Of the last look.
    current: Option<FepKey>,
    next_look: Time,
    /// As long as ring, config and quotes are what they are.
    described: Option<Described>,
    /// Of the last descriptor: the next one's is later, so that it is news to whoever has that one.
    issued_ms: u64,
}

struct Described {
    bytes: Blob,
    quotes: Vec<Quote>,
}

impl Signing {
    /// The write that is due, too, where the store does not have the ring yet.
    pub(super) fn new(
        signers: Signers,
        snapshot: &Snapshot,
        now: Now,
    ) -> Result<(Self, Option<Write>), BadRow> {
        let Signers { network, founding, held } = signers;
        let mut stored = None;
        for row in snapshot.of(RING) {
            let bad = |what| BadRow { table: RING.name, key: row.key.clone(), what };
            let kept: RingRow = row.parse(RING)?;
            let keys = Keys::open(network, Some(founding.fep_id()), &kept.ring.0);
            stored =
                Some(keys.map_err(|error| bad(format!("{error}; this portal is {}", founding.fep_id())))?);
        }
        let (ring, write) = match stored {
            Some(stored) if stored.serial() >= founding.serial() => (stored, None),
            Some(_) | None => {
                let write = put(&founding);
                (founding, Some(write))
            }
        };
        let held = held.into_iter().map(|key| (key.fep_key(), key)).collect();
        let signing =
            Self { network, ring, held, current: None, next_look: now.mono, described: None, issued_ms: 0 };
        Ok((signing, write))
    }

    pub(super) fn ring(&self) -> &Keys {
        &self.ring
    }

    /// Whether anything could be signed at the last look.
    pub(super) fn signs(&self) -> bool {
        self.current.is_some()
    }

    /// The key that signs now.
    pub(super) fn signer(&self, now: Now) -> Result<&Identity, Refused> {
        let current = self.ring.current(now.wall, |key| self.held.contains_key(key));
        current.and_then(|current| self.held.get(&current.key)).ok_or_else(no_key)
    }

    pub(super) fn descriptor(&self) -> Result<Blob, Refused> {
        self.described.as_ref().map(|described| described.bytes.clone()).ok_or_else(no_key)
    }

    pub(super) fn wake(&self) -> Wake {
        Wake { at: self.next_look, why: "another key may be the one to sign by" }
    }

    /// Sees which key signs now; what its operator should know of it, where that is news or was not said for a day.
    pub(super) fn look(&mut self, config: &Config, quotes: &Quotes, now: Now) -> Vec<(Level, String)> {
        let current = self.ring.current(now.wall, |key| self.held.contains_key(key)).cloned();
        let key = current.as_ref().map(|current| current.key);
        if self
            .described
            .as_ref()
            .is_none_or(|described| !quotes.valid(now.wall).eq(described.quotes.iter().cloned()))
        {
            self.describe(config, quotes, now);
        }
        if key == self.current && now.mono < self.next_look {
            return Vec::new();
        }
        let next = self.ring.next_change(now.wall).map_or(KEYS_LOOKED_AT, |at| until(now.wall, at));
        self.next_look = now.mono + next.min(KEYS_LOOKED_AT);
        let changed = core::mem::replace(&mut self.current, key) != key;
        let mut told = Vec::new();
        match &current {
            None => told.push((
                Level::Error,
                "no key that this portal holds is valid now: nothing is authorized, settled or paid until one is; \
                 `labman-fep signing-key show` lists them, `new` makes one"
                    .into(),
            )),
            Some(current) => {
                if changed {
                    let until = current.ends_ms();
                    told.push((Level::Info, format!("signs by key {} until {until} ms at most", current.key)));
                }
                told.extend(self.ends_soon(current, now));
            }
        }
        told.extend(self.not_held(now));
        told
    }

    /// The one in force from now on.
    pub(super) fn take(&mut self, ring: Keys, now: Now) {
        self.ring = ring;
        self.described = None;
        self.next_look = now.mono;
    }

    fn describe(&mut self, config: &Config, quotes: &Quotes, now: Now) {
        let Ok(signer) = self.signer(now) else { return };
        let rail = |terms: &RailTerms| OfferedRail {
            name: terms.rail.as_str().into(),
            currency: config.currency_of(terms).clone(),
            least_payout: terms.least_payout,
        };
        let quotes: Vec<Quote> = quotes.valid(now.wall).collect();
        let issued_ms = now.wall.0.max(self.issued_ms.saturating_add(1));
        let descriptor = Descriptor {
            ring: self.ring.bytes().clone(),
            issued_ms,
            currency: config.currency.clone(),
            fees: config.fees,
            rails: config.rails.0.iter().map(rail).collect(),
            quotes: quotes.clone(),
        };
        let bytes = object::seal(signer, self.network.id, descriptor).bytes;
        self.described = Some(Described { bytes, quotes });
        self.issued_ms = issued_ms;
    }

    fn ends_soon(&self, current: &CertifiedKey, now: Now) -> Option<(Level, String)> {
        let end = Wall(current.ends_ms());
        let left = until(now.wall, end);
        let successor = self.ring.current(end, |key| self.held.contains_key(key));
        (left <= KEY_ENDS_SOON && successor.is_none()).then(|| {
            let days = left.as_millis() / DAY_MS;
            let text = format!(
                "key {} ends in {days} days, and none that follows it is certified: `labman-fep signing-key new`",
                current.key
            );
            (Level::Warn, text)
        })
    }

    fn not_held(&self, now: Now) -> impl Iterator<Item = (Level, String)> {
        let lacks =
            move |one: &&CertifiedKey| one.ends_ms() > now.wall.0 && !self.held.contains_key(&one.key);
        self.ring.iter().filter(lacks).map(|one| {
            let text = format!(
                "key {} is certified and not held here: put its file into the data directory and restart, or revoke it",
                one.key
            );
            (Level::Warn, text)
        })
    }

    fn show(&self, keys: &Keys, now: Now) -> Answer {
        let keys_shown = keys::show(keys, now.wall, |key| self.held.contains_key(key));
        Answer::ok(&serde_json::json!({
            "fep_id": keys.fep_id(), "serial": keys.serial(), "keys": keys_shown,
            "ring": hex::encode(&keys.bytes().0),
        }))
    }
}

const DAY_MS: u64 = 24 * 3600 * 1000;

fn until(now: Wall, then: Wall) -> Span {
    Span::from_millis(then.0.saturating_sub(now.0))
}

fn put(ring: &Keys) -> Write {
    Write::Put(RING, Row::json(RING_KEY, &RingRow { ring: Signed(ring.bytes().0.clone()) }))
}

fn no_key() -> Refused {
    Refused::unavailable("no key of this portal's is valid now: its operator must certify one; ask again")
}

/// `GET /ring`.
pub(super) fn shown(fep: &Fep, now: Now) -> Answer {
    fep.signing.show(&fep.signing.ring, now)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TakeRing {
    ring: String,
}

/// `POST /ring`: one after the other, so that each is compared with the one before.
pub(super) fn handle(fep: &Fep, body: &[u8]) -> Stepped {
    let TakeRing { ring } = parse(body)?;
    let bytes = hex::decode(ring.trim()).map_err(|error| Refused::bad_request(format!("ring: {error}")))?;
    let ring = Keys::open(fep.network, Some(fep.fep_id), &bytes)
        .map_err(|error| Refused::bad_request(format!("{error}")))?;
    Ok(Step::Look(Range::exactly(RING, RING_KEY), Look::Ring(Box::new(ring))))
}

pub(super) fn decide(fep: &Fep, now: Now, stream: StreamId, ring: Box<Keys>) -> Stepped {
    let answer = fep.signing.show(&ring, now);
    if *ring == fep.signing.ring {
        return Ok(Step::Answer(answer));
    }
    ring.follows(&fep.signing.ring).map_err(|error| Refused::conflict(format!("{error}")))?;
    let batch = alloc::vec![put(&ring)];
    let told = format!("key ring {} is in force", ring.serial());
    Ok(Step::Commit(Commit { batch, then: Then::Certified { stream, answer, ring }, told }))
}
