//! Who is not worked for, for a while, because it did not deliver: a FEP that signs what does not follow from what was
//! agreed, withholds receipts or refuses to pay for them, a gateway that brings none. A denial ends by itself, or once what was
//! missing comes; the next one of the same party is twice as long. An operator can end it before.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::identity::{FepId, NodeId};
use crate::limits::{DENIAL_FIRST, DENIAL_LAST, DENIALS, FAULT_EVERY, FAULTS};
use crate::node::cx::Cx;
use crate::store::{BadRow, Row, Snapshot, Table, Write};
use crate::time::{Time, Wall};

pub(super) const TABLE: Table = Table::live("denials");

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Party {
    Fep(FepId),
    Gateway(NodeId),
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fep(id) => write!(f, "FEP {id}"),
            Self::Gateway(id) => write!(f, "gateway {id}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// A FEP signed a receipt that does not follow from authorization, offer and counts.
    FalsePaper,
    /// A FEP gives no receipt for what its gateway has acknowledged.
    Withheld,
    /// A FEP rejects lines of claims, or pays another sum than they make.
    Unpaid,
    /// A gateway's receipts come from the FEP only, when it is shown our statements.
    NoReceipts,
}

impl Fault {
    /// It is proven, and nothing makes it good.
    const fn is_proven(self) -> bool {
        match self {
            Self::FalsePaper => true,
            Self::Withheld | Self::Unpaid | Self::NoReceipts => false,
        }
    }

    const fn why(self) -> &'static str {
        match self {
            Self::FalsePaper => "it signed what does not follow from what was agreed",
            Self::Withheld => "it gives no receipts for acknowledged work",
            Self::Unpaid => "it rejects what is claimed",
            Self::NoReceipts => "it brings no receipts",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct DenialRow {
    party: Party,
    fault: Fault,
    since_ms: u64,
    until_ms: u64,
    /// Denials of that party one after the other, this one included.
    times: u32,
}

impl DenialRow {
    fn key(&self) -> String {
        key(self.party)
    }

    const fn lasts(&self, now: Wall) -> bool {
        now.0 < self.until_ms
    }

    /// The next one is longer for as long again as the longest one is.
    fn is_remembered(&self, now: Wall) -> bool {
        now < Wall(self.until_ms) + DENIAL_LAST
    }
}

fn key(party: Party) -> String {
    party.to_string()
}

/// Faults of a kind, counted while nothing makes them good.
struct Count {
    fault: Fault,
    last: Time,
    times: u32,
}

#[derive(Default)]
pub(crate) struct Denials {
    rows: BTreeMap<Party, DenialRow>,
    counts: BTreeMap<Party, Count>,
}

impl Denials {
    pub(super) fn new(snapshot: &Snapshot) -> Result<Self, BadRow> {
        let mut denials = Self::default();
        for row in snapshot.of(TABLE) {
            let row: DenialRow = row.parse(TABLE)?;
            denials.rows.insert(row.party, row);
        }
        Ok(denials)
    }

    /// It is not worked for now.
    pub(super) fn denies(&self, party: Party, now: Wall) -> bool {
        self.rows.get(&party).is_some_and(|row| row.lasts(now))
    }

    /// It did not deliver. What comes at once counts once; what could be somebody else's failure denies nobody the first times.
    pub(super) fn fault(&mut self, cx: &mut Cx<'_>, party: Party, fault: Fault) {
        if self.denies(party, cx.now.wall) {
            return;
        }
        if !fault.is_proven() {
            let counted = self.counts.get(&party).filter(|count| count.fault == fault);
            if counted.is_some_and(|count| cx.now.mono - count.last < FAULT_EVERY) {
                return;
            }
            let times = counted.map_or(0, |count| count.times) + 1;
            if times < FAULTS {
                self.make_room();
                self.counts.insert(party, Count { fault, last: cx.now.mono, times });
                return;
            }
        }
        self.deny(cx, party, fault);
    }

    fn deny(&mut self, cx: &mut Cx<'_>, party: Party, fault: Fault) {
        self.counts.remove(&party);
        let earlier = self.rows.get(&party).filter(|row| row.is_remembered(cx.now.wall));
        let times = earlier.map_or(0, |row| row.times).saturating_add(1);
        let span = (1..times).fold(DENIAL_FIRST, |span, _| span.doubled().min(DENIAL_LAST));
        let (since, until) = (cx.now.wall, cx.now.wall + span);
        let row = DenialRow { party, fault, since_ms: since.0, until_ms: until.0, times };
        cx.warn(alloc::format!(
            "{party} is not worked for during {} min: {}; `labman-cli denials clear` ends that before",
            span.as_millis() / 60_000,
            fault.why()
        ));
        let mut batch = self.forgotten(cx.now.wall);
        batch.push(Write::Put(TABLE, Row::json(row.key(), &row)));
        self.rows.insert(party, row);
        cx.store(batch);
    }

    /// What was missing has come.
    pub(super) fn made_good(&mut self, cx: &mut Cx<'_>, party: Party, fault: Fault) {
        if self.counts.get(&party).is_some_and(|count| count.fault == fault) {
            self.counts.remove(&party);
        }
        if self.rows.get(&party).is_some_and(|row| row.fault == fault && row.lasts(cx.now.wall)) {
            cx.info(alloc::format!("{party} is worked for again: what was missing has come"));
            self.end(cx, party);
        }
    }

    /// By the operator's word: of those whose id begins so, or of all. The ids of those that ended.
    pub(super) fn clear(&mut self, cx: &mut Cx<'_>, id: Option<&str>) -> Vec<String> {
        let now = cx.now.wall;
        let meant = |row: &&DenialRow| row.lasts(now) && id.is_none_or(|id| row.party.id().starts_with(id));
        let cleared: Vec<Party> = self.rows.values().filter(meant).map(|row| row.party).collect();
        for party in &cleared {
            self.end(cx, *party);
        }
        cleared.into_iter().map(Party::id).collect()
    }

    fn end(&mut self, cx: &mut Cx<'_>, party: Party) {
        if self.rows.remove(&party).is_some() {
            cx.store([Write::Delete(TABLE, key(party))].into());
        }
    }

    /// For people.
    pub(crate) fn show(&self, now: Wall) -> Vec<Value> {
        let lasting = self.rows.values().filter(|row| row.lasts(now));
        let show = |row: &DenialRow| {
            json!({
                "id": row.party.id(), "is": row.party.kind(), "fault": row.fault, "why": row.fault.why(),
                "since_ms": row.since_ms, "until_ms": row.until_ms, "times": row.times,
                "for_ms": row.until_ms.saturating_sub(now.0),
            })
        };
        lasting.map(show).collect()
    }

    /// Takes out what is long over, and the one that ends first if there are too many.
    fn forgotten(&mut self, now: Wall) -> Vec<Write> {
        let mut gone: Vec<Party> =
            self.rows.values().filter(|row| !row.is_remembered(now)).map(|row| row.party).collect();
        if self.rows.len() - gone.len() >= DENIALS {
            let kept = self.rows.values().filter(|row| row.is_remembered(now));
            gone.extend(kept.min_by_key(|row| row.until_ms).map(|row| row.party));
        }
        gone.iter().for_each(|party| {
            self.rows.remove(party);
        });
        gone.into_iter().map(|party| Write::Delete(TABLE, key(party))).collect()
    }

    fn make_room(&mut self) {
        if self.counts.len() >= DENIALS {
            let oldest = self.counts.iter().min_by_key(|(_, count)| count.last).map(|(party, _)| *party);
            oldest.map(|oldest| self.counts.remove(&oldest));
        }
    }
}

impl Party {
    fn id(self) -> String {
        match self {
            Self::Fep(id) => id.to_string(),
            Self::Gateway(id) => id.to_string(),
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Fep(_) => "fep",
            Self::Gateway(_) => "gateway",
        }
    }
}
