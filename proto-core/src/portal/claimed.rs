//! Which claim took which of a provider's receipts (I3).
//!
//! A row is a page of receipts with numbers one after the other: what is claimed together was mostly issued together, and so a
//! claim writes a few rows, not one for each of its lines.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;
use crate::store::{Keys, Row, Write};
use crate::wire::ids::ClaimId;

use super::answer::Refused;
use super::look;
use super::rows::{CLAIMED, page_key};

/// Receipts of a page: enough that a whole claim of what was issued together has a few, and few enough that one which is claimed
/// line by line stays small.
const PAGE: u64 = 64;

/// What was claimed of the receipts of one page.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Page {
    /// In rising order.
    pub(super) runs: Vec<Run>,
}

/// Receipts that one claim took, numbered without a gap.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) claim_id: ClaimId,
}

/// A provider, and the number of a page of its receipts.
type PageId = (NodeId, u64);

/// Pages as they are looked at.
#[derive(Default)]
pub(super) struct Pages(BTreeMap<PageId, Page>);

/// Pages with claims that are not durable yet: who looks in the store may still find what they were before.
///
/// No write of them need be refused by the store. Whoever decides has asked it for the pages either before such a write, and
/// then decides while the page is still here, or after that, and then the store has it: it does what it is asked in that
/// order, and one batch at a time is at it.
#[derive(Default)]
pub(super) struct Closing(BTreeMap<PageId, Pending>);

struct Pending {
    page: Page,
    /// How often it is yet to be written.
    writes: usize,
}

pub(super) fn page_of(sequence: u64) -> u64 {
    sequence / PAGE
}

impl Page {
    pub(super) fn claim_of(&self, sequence: u64) -> Option<ClaimId> {
        let run = self.runs.get(self.runs.partition_point(|run| run.last < sequence))?;
        (run.first <= sequence).then_some(run.claim_id)
    }

    /// A claim took the receipt of this number, which none had.
    fn take(&mut self, sequence: u64, claim_id: ClaimId) {
        let at = self.runs.partition_point(|run| run.last < sequence);
        match at.checked_sub(1).and_then(|before| self.runs.get_mut(before)) {
            Some(run) if run.claim_id == claim_id && run.last.checked_add(1) == Some(sequence) => {
                run.last = sequence
            }
            _ => self.runs.insert(at, Run { first: sequence, last: sequence, claim_id }),
        }
    }
}

impl Pages {
    /// Where the store has what was claimed of these receipts.
    pub(super) fn keys(receipts: impl Iterator<Item = (NodeId, u64)>) -> Keys {
        let pages: BTreeSet<PageId> =
            receipts.map(|(provider, sequence)| (provider, page_of(sequence))).collect();
        let keys = pages.into_iter().map(|(provider, page)| page_key(provider, page)).collect();
        Keys { table: CLAIMED, keys }
    }

    /// What it has there. A page of which nothing was claimed has no row.
    pub(super) fn found(rows: &[Row]) -> Result<Self, Refused> {
        let page = |row: &Row| Ok((id_in(&row.key), look::parse(CLAIMED, row)?));
        let pages = rows.iter().map(page).collect::<Result<Vec<_>, Refused>>()?;
        Ok(Self(pages.into_iter().filter_map(|(id, page)| Some((id?, page))).collect()))
    }

    pub(super) fn claim_of(&self, provider: NodeId, sequence: u64) -> Option<ClaimId> {
        self.0.get(&(provider, page_of(sequence)))?.claim_of(sequence)
    }
}

impl Closing {
    /// The claim that is taking the receipt of this number at this moment, or that had taken it before another takes of its page.
    pub(super) fn claim_of(&self, provider: NodeId, sequence: u64) -> Option<ClaimId> {
        self.0.get(&(provider, page_of(sequence)))?.page.claim_of(sequence)
    }

    /// A claim is accepted for receipts that none had taken, by their numbers; `found`: their pages as the store has them.
    pub(super) fn close(
        &mut self,
        provider: NodeId,
        claim_id: ClaimId,
        mut taken: Vec<u64>,
        mut found: Pages,
    ) -> Vec<Write> {
        taken.sort_unstable();
        let pages = taken.chunk_by(|a, b| page_of(*a) == page_of(*b));
        let close = |numbers: &[u64]| {
            let id = (provider, page_of(*numbers.first()?));
            let before = || Pending { page: found.0.remove(&id).unwrap_or_default(), writes: 0 };
            let pending = self.0.entry(id).or_insert_with(before);
            numbers.iter().for_each(|number| pending.page.take(*number, claim_id));
            pending.writes += 1;
            Some(Write::Put(CLAIMED, Row::json(page_key(provider, id.1), &pending.page)))
        };
        pages.filter_map(close).collect()
    }

    /// One was written.
    pub(super) fn written(&mut self, row: &Row) {
        let Some(id) = id_in(&row.key) else { return };
        if let Some(pending) = self.0.get_mut(&id) {
            pending.writes -= 1;
            if pending.writes == 0 {
                self.0.remove(&id);
            }
        }
    }
}

fn id_in(key: &str) -> Option<PageId> {
    let (provider, page) = key.split_once('/')?;
    Some((provider.parse().ok()?, page.parse().ok()?))
}
