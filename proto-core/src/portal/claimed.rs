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

/// Receipts of a page: enough that a whole claim of what was issued together has a few, and few enough that a claim of which each
/// line is on another page, of lines that were claimed one by one, reads no more than 256 times 32 runs.
const PAGE: u64 = 32;

/// What was claimed of the receipts of one page.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Page {
    /// In rising order.
    pub(super) runs: Vec<Run>,
}

/// Receipts that one claim took, numbered without a gap: the first, the last, and the claim.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run(pub(super) u64, pub(super) u64, pub(super) ClaimId);

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
        let Run(first, _, claim_id) = self.runs.get(self.runs.partition_point(|run| run.1 < sequence))?;
        (*first <= sequence).then_some(*claim_id)
    }

    /// Does it say of each receipt of the page, and of no other, once at most who took it? Of one that does not, nothing can be
    /// told.
    pub(super) fn is_whole(&self, number: u64) -> bool {
        let on_it = |run: &Run| run.0 <= run.1 && [run.0, run.1].iter().all(|end| page_of(*end) == number);
        self.runs.iter().all(on_it) && self.runs.is_sorted_by(|a, b| a.1 < b.0)
    }

    /// A claim took the receipt of this number, which none had.
    fn take(&mut self, sequence: u64, claim_id: ClaimId) {
        let at = self.runs.partition_point(|run| run.1 < sequence);
        match at.checked_sub(1).and_then(|before| self.runs.get_mut(before)) {
            Some(Run(_, last, by)) if *by == claim_id && last.checked_add(1) == Some(sequence) => {
                *last = sequence
            }
            _ => self.runs.insert(at, Run(sequence, sequence, claim_id)),
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
        let page = |row: &Row| {
            let page: Page = look::parse(CLAIMED, row)?;
            let id = id_in(&row.key).filter(|(_, number)| page.is_whole(*number));
            let unclear =
                || alloc::format!("table {}, row {:?}: what was claimed is unclear", CLAIMED.name, row.key);
            Ok((id.ok_or_else(|| Refused::unavailable(unclear()))?, page))
        };
        rows.iter().map(page).collect::<Result<_, Refused>>().map(Self)
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
