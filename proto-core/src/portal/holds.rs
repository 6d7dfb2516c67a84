//! Money set aside for jobs under way, from authorization to settlement.
//!
//! ```text
//!             durable               usage report, statement, or `expires`              durable
//!   Opening ----------> Open -----------------------------------------------> Ending ----------> (history)
//!                        ^------- attempts are left that its gateway's bond answers for ----'
//! ```
//!
//! A hold resolves once (I2). Each of its attempts is open until its provider has released it or is paid: what is held and
//! what is locked of the gateway's bond together cover the most that all open ones could come to. A hold's life is counted in
//! the time that the portal was up: one that was away expires nothing.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::economics::Counts;
use crate::identity::{Network, NodeId};
use crate::keys::Keys;
use crate::limits::HOLD_GRACE;
use crate::machine::StreamId;
use crate::money::Micros;
use crate::mutants::{Mutant, mutant};
use crate::store::{BadRow, Row, Snapshot, Write};
use crate::time::{Now, Span, Time, Wake};
use crate::wire::cbor::Blob;
use crate::wire::ids::AuthId;
use crate::wire::ids::Hash;
use crate::wire::object::{self, Sealed};
use crate::wire::portal::{JobAuthorization, Offer, UsageReport};

use super::accounts::UserId;
use super::answer::{Answer, Refused, Step, Stepped};
use super::rows::{HOLDS, HoldRow, Signed, auth_key};
use super::uptime::Uptime;

pub(super) struct Hold {
    pub(super) user: UserId,
    /// Of what was asked for: a repeated request must ask for the same.
    pub(super) digest: Hash,
    pub(super) authorization: Sealed<JobAuthorization>,
    /// In the order of the attempts.
    pub(super) offers: Vec<Offer>,
    pub(super) expires: Expires,
    /// The user has back what was held, or what was left of it.
    pub(super) returned: bool,
    /// Attempts that are paid, or released by their providers.
    closed: Vec<u8>,
    /// What the gateway said, while that decides nothing yet.
    report: Option<Sealed<UsageReport>>,
}

impl Hold {
    pub(super) fn new(
        user: UserId,
        digest: Hash,
        authorization: Sealed<JobAuthorization>,
        offers: Vec<Offer>,
        expires: Expires,
    ) -> Self {
        let (returned, closed, report) = (false, Vec::new(), None);
        Self { user, digest, authorization, offers, expires, returned, closed, report }
    }

    /// Of the user's money, now.
    pub(super) fn amount(&self) -> Micros {
        if self.returned { Micros::ZERO } else { self.authorization.content.hold }
    }

    pub(super) fn attempts(&self) -> impl Iterator<Item = u8> {
        (0u8..).take(self.authorization.content.attempts.len())
    }

    pub(super) fn provider(&self, attempt: u8) -> Result<NodeId, Refused> {
        let named = self.authorization.content.attempts.get(usize::from(attempt));
        named.map(|named| named.provider).ok_or_else(no_such_attempt)
    }

    pub(super) fn is_open(&self, attempt: u8) -> bool {
        !self.closed.contains(&attempt)
    }

    /// How many are open, without these.
    pub(super) fn attempts_open_but(&self, released: &[u8]) -> usize {
        self.attempts().filter(|attempt| self.is_open(*attempt) && !released.contains(attempt)).count()
    }

    /// What the gateway said to have accepted of that attempt.
    pub(super) fn reported(&self, attempt: u8) -> Option<Counts> {
        self.last_report().filter(|(of, _)| *of == attempt).map(|(_, accepted)| accepted)
    }

    /// The gateway has spoken.
    pub(super) const fn has_report(&self) -> bool {
        self.report.is_some()
    }

    pub(super) fn last_report(&self) -> Option<(u8, Counts)> {
        let report = &self.report.as_ref()?.content;
        Some((report.attempt?, report.accepted))
    }

    /// The gateway said that nobody delivered, or nobody but in an attempt for which nothing is owed after all.
    pub(super) fn is_given_up_without(&self, closed: u8) -> bool {
        let nothing = |of: u8| of == closed || !self.is_open(of);
        self.report.as_ref().is_some_and(|report| report.content.attempt.is_none_or(nothing))
    }

    /// Of the gateway's bond: with what is held, as much as all open attempts could come to. While it is held, one of them
    /// is paid from it, whichever it is.
    fn lock(&self) -> Micros {
        lock(self.most(&[]), self.returned)
    }

    /// The most that each open attempt could cost, without these.
    fn most(&self, released: &[u8]) -> impl Iterator<Item = Micros> + Clone {
        let open = self.attempts().filter(|attempt| self.is_open(*attempt) && !released.contains(attempt));
        let open: Vec<Micros> = open
            .filter_map(|attempt| self.authorization.content.attempts.get(usize::from(attempt)))
            .map(|named| named.max_charge)
            .collect();
        open.into_iter()
    }

    /// Whether the user can have all of it back though the gateway alone says that nobody delivered: its bond then answers
    /// for the attempts that are not released.
    pub(super) fn can_return(&self, released: &[u8], free: Micros) -> bool {
        let more = lock(self.most(released), true).0.saturating_sub(self.lock().0);
        more <= free.0
    }

    pub(super) fn row(&self) -> Row {
        let row = HoldRow {
            user: self.user,
            digest: self.digest,
            authorization: Signed(self.authorization.bytes.0.clone()),
            offers: self.offers.clone(),
            expires_ms: self.expires.uptime_ms,
            returned: self.returned,
            closed: self.closed.clone(),
            report: self.report.as_ref().map(|report| Signed(report.bytes.0.clone())),
        };
        Row::json(auth_key(self.authorization.content.auth_id), &row)
    }
}

/// What a gateway must answer for with its bond, where its authorization's open attempts could cost so much.
pub(super) fn lock(most: impl Iterator<Item = Micros> + Clone, returned: bool) -> Micros {
    let all = most.clone().fold(0i64, |sum, one| sum.saturating_add(one.0));
    let held = if returned { 0 } else { most.map(|one| one.0).min().unwrap_or_default() };
    Micros(all.saturating_sub(held))
}

/// When a hold ends at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expires {
    pub(super) at: Time,
    /// By how long the portal was up in all its lives, in milliseconds.
    uptime_ms: u64,
}

impl Expires {
    pub(super) fn of(uptime: &Uptime, now: Now, ttl_s: u32) -> Self {
        let life = if mutant(Mutant::HoldForgetsTtl) { 0 } else { ttl_s };
        let life = Span::from_secs(u64::from(life)) + HOLD_GRACE;
        let from = if mutant(Mutant::HoldByWallClock) { Time(now.wall.0 * 1_000_000) } else { now.mono };
        Self { at: from + life, uptime_ms: uptime.at_ms(now.mono) + life.as_millis() }
    }

    fn again(uptime: &Uptime, now: Now, uptime_ms: u64) -> Self {
        let left = uptime_ms.saturating_sub(uptime.at_ms(now.mono));
        let left = if mutant(Mutant::HoldReleasedAtRestart) { 0 } else { left };
        Self { at: now.mono + Span::from_millis(left), uptime_ms }
    }
}

/// Who calls about a hold's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    Gateway { gateway: NodeId, attempt: Option<u8> },
    Provider { provider: NodeId, attempt: u8 },
}

/// A hold of which something is resolved in memory; the store is being told.
struct Ending {
    gateway: NodeId,
    /// The provider of the attempt that was captured.
    provider: Option<NodeId>,
    ended: Ended,
    waiting: Vec<StreamId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Captured {
        attempt: u8,
    },
    Released,
    /// Of one of several attempts: its provider says that nothing is owed for it.
    Closed,
    Expired,
}

#[derive(Default)]
pub(super) struct Holds {
    opening: BTreeMap<AuthId, (Hold, Vec<StreamId>)>,
    open: BTreeMap<AuthId, Hold>,
    ending: BTreeMap<AuthId, Ending>,
    expiries: BTreeSet<(Time, AuthId)>,
    /// Of each gateway's bond.
    locked: BTreeMap<NodeId, i64>,
}

impl Holds {
    pub(super) fn load(
        snapshot: &Snapshot,
        network: Network,
        keys: &Keys,
        uptime: &Uptime,
        now: Now,
    ) -> Result<Self, BadRow> {
        let mut holds = Self::default();
        for row in snapshot.of(HOLDS) {
            let bad = |what| BadRow { table: HOLDS.name, key: row.key.clone(), what };
            let stored: HoldRow = row.parse(HOLDS)?;
            let authorization: Sealed<JobAuthorization> =
                object::open(network, None, &stored.authorization.0)
                    .map_err(|error| bad(alloc::format!("{error}")))?;
            keys.bound_once(&authorization).map_err(|error| bad(alloc::format!("{error}")))?;
            if stored.offers.len() != authorization.content.attempts.len() {
                return Err(bad("it has not one offer for each attempt".into()));
            }
            let report = stored.report.map(|report| object::open::<UsageReport>(network, None, &report.0));
            let report = report.transpose().map_err(|error| bad(alloc::format!("{error}")))?;
            let expires = Expires::again(uptime, now, stored.expires_ms);
            let hold = Hold::new(stored.user, stored.digest, authorization, stored.offers, expires);
            holds.insert(Hold { returned: stored.returned, closed: stored.closed, report, ..hold });
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
            if hold.returned {
                return Some(Err(resolved()));
            }
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

    /// Of a gateway's bond: what it may have to pay.
    pub(super) fn locked(&self, gateway: NodeId) -> Micros {
        Micros(self.locked.get(&gateway).copied().unwrap_or_default())
    }

    fn relock(&mut self, gateway: NodeId, before: Micros, after: Micros) {
        let locked = self.locked.entry(gateway).or_default();
        *locked = locked.saturating_add(after.0.saturating_sub(before.0));
        if *locked == 0 {
            self.locked.remove(&gateway);
        }
    }

    pub(super) fn begin(&mut self, hold: Hold, stream: StreamId) {
        self.relock(hold.authorization.content.gateway, Micros::ZERO, hold.lock());
        self.opening.insert(hold.authorization.content.auth_id, (hold, alloc::vec![stream]));
    }

    /// The hold stands; who waits for it gets its bytes.
    pub(super) fn opened(&mut self, auth_id: AuthId) -> Option<(Vec<StreamId>, Blob)> {
        let (hold, waiting) = self.opening.remove(&auth_id)?;
        let bytes = hold.authorization.bytes.clone();
        self.relock(hold.authorization.content.gateway, hold.lock(), Micros::ZERO);
        self.insert(hold);
        Some((waiting, bytes))
    }

    /// The store refused it.
    pub(super) fn refused(&mut self, auth_id: AuthId) -> Option<(Hold, Vec<StreamId>)> {
        let (hold, waiting) = self.opening.remove(&auth_id)?;
        self.relock(hold.authorization.content.gateway, hold.lock(), Micros::ZERO);
        Some((hold, waiting))
    }

    pub(super) fn open(&self, auth_id: AuthId) -> Option<&Hold> {
        self.open.get(&auth_id)
    }

    pub(super) fn is_opening(&self, auth_id: AuthId) -> bool {
        self.opening.contains_key(&auth_id)
    }

    /// Keeps the gateway's word; its first counts.
    pub(super) fn record(
        &mut self,
        auth_id: AuthId,
        released: &[u8],
        report: Sealed<UsageReport>,
    ) -> Option<&Hold> {
        let hold = self.open.get_mut(&auth_id)?;
        let before = hold.lock();
        hold.closed
            .extend(released.iter().filter(|attempt| hold.is_open(**attempt)).copied().collect::<Vec<_>>());
        if hold.report.is_none() {
            hold.report = Some(report);
        }
        let (gateway, after) = (hold.authorization.content.gateway, hold.lock());
        self.relock(gateway, before, after);
        self.open.get(&auth_id)
    }

    /// Attempts are paid or released, and the user's money is moved if `returned`; the caller has moved it. Gives the row that
    /// says so.
    pub(super) fn end(
        &mut self,
        auth_id: AuthId,
        ended: Ended,
        closed: &[u8],
        returned: bool,
        waiting: Vec<StreamId>,
    ) -> Write {
        let gone = Write::Delete(HOLDS, auth_key(auth_id));
        let Some(mut hold) = self.open.remove(&auth_id) else { return gone };
        self.expiries.remove(&(hold.expires.at, auth_id));
        let gateway = hold.authorization.content.gateway;
        self.relock(gateway, hold.lock(), Micros::ZERO);
        let provider = match ended {
            Ended::Captured { attempt } => hold.provider(attempt).ok(),
            Ended::Released | Ended::Closed | Ended::Expired => None,
        };
        // A hold may expire while an attempt of it is being paid: who waits, waits for that.
        self.ending.entry(auth_id).or_insert(Ending { gateway, provider, ended, waiting });
        hold.closed
            .extend(closed.iter().filter(|attempt| hold.is_open(**attempt)).copied().collect::<Vec<_>>());
        hold.returned |= returned;
        if hold.attempts_open_but(&[]) == 0 && hold.returned {
            return gone;
        }
        let row = Write::Put(HOLDS, hold.row());
        self.insert(hold);
        row
    }

    /// A call about a hold that is being resolved waits with the one that resolves it, if it says the same.
    pub(super) fn await_end(&mut self, auth_id: AuthId, caller: Caller, stream: StreamId) -> Option<Stepped> {
        let ending = self.ending.get_mut(&auth_id)?;
        let same = match (caller, ending.ended) {
            (Caller::Gateway { gateway, .. }, _) if gateway != ending.gateway => {
                return Some(Err(not_its_gateway()));
            }
            (Caller::Gateway { attempt, .. }, Ended::Captured { attempt: captured }) => {
                attempt == Some(captured)
            }
            (Caller::Gateway { .. }, Ended::Released) => true,
            (Caller::Provider { provider, attempt }, Ended::Captured { attempt: captured }) => {
                attempt == captured && ending.provider == Some(provider)
            }
            (Caller::Provider { .. }, Ended::Released) | (_, Ended::Closed | Ended::Expired) => false,
        };
        Some(match same {
            true => {
                ending.waiting.push(stream);
                Ok(Step::Wait)
            }
            // What it comes to is told from the store, once it is there.
            false => Err(Refused::unavailable("the hold is just being resolved; ask again")),
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
        self.relock(hold.authorization.content.gateway, Micros::ZERO, hold.lock());
        self.expiries.insert((hold.expires.at, auth_id));
        self.open.insert(auth_id, hold);
    }
}

pub(super) fn resolved() -> Refused {
    Refused::conflict("the hold of this request is resolved already, or expired")
}

pub(super) fn no_such_attempt() -> Refused {
    Refused::bad_request("the authorization has no such attempt")
}

pub(super) fn not_its_gateway() -> Refused {
    Refused::not_paired("the hold is another gateway's")
}
