//! Claims before they are made: what waits at one FEP for one address is read from the store, at most a claim's lines at a time, one
//! claim after the other.
//!
//! ```text
//!   queued --> keys of what is unclaimed --> the receipts --> a claim, stored --> the next
//! ```

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
    vec::Vec,
};

use super::rows::{Group, RECEIPTS_OPEN, RECEIPTS_UNCLAIMED, ReceiptRow, unclaimed_key};
use super::sums::Sums;
use crate::identity::FepId;
use crate::limits::{CLAIM_RECEIPTS, CLAIMS_AT_ONCE};
use crate::machine::{Completion, OpId};
use crate::node::cx::Cx;
use crate::store::{Keys, Range, Row};

#[derive(Default)]
pub(super) struct Drafts {
    /// Groups that are to be claimed from, and how often yet.
    queue: VecDeque<(Group, usize)>,
    reading: Option<(OpId, Reading)>,
    /// How many lines a claim has at most, of groups of which one was refused as a whole: a line among many may be to blame.
    most: BTreeMap<Group, usize>,
}

#[derive(Clone, Copy)]
enum Reading {
    Keys,
    Receipts,
}

/// What a look at the store came to.
pub(super) enum Draft {
    Reading,
    /// These can be claimed together.
    Whole(Vec<ReceiptRow>),
    /// There is nothing to claim there, or it can't be read now.
    Nothing,
}

impl Drafts {
    /// Claims are to be made of these. Those of an earlier time that are not made yet are made first.
    pub(super) fn begin(&mut self, groups: Vec<Group>) {
        for group in groups {
            if !self.queue.iter().any(|(queued, _)| *queued == group) {
                self.queue.push_back((group, CLAIMS_AT_ONCE));
            }
        }
    }

    /// A claim of so many lines was refused: of half as many it may be told which is to blame.
    pub(super) fn refused(&mut self, group: &Group, lines: usize) {
        self.most.insert(group.clone(), (lines / 2).max(1));
    }

    /// One was taken: the next may be larger.
    pub(super) fn taken(&mut self, group: &Group) {
        if let Some(most) = self.most.get_mut(group) {
            *most *= 2;
            if *most >= CLAIM_RECEIPTS {
                self.most.remove(group);
            }
        }
    }

    /// Begins to read for the next claim, unless one is being read, or there is no room for one at that FEP. True: something is
    /// left that must be begun with another time.
    pub(super) fn go_on(&mut self, cx: &mut Cx<'_>, sums: &Sums, room: impl Fn(FepId) -> bool) -> bool {
        let mut left_over = false;
        while self.reading.is_none()
            && let Some((group, times)) = self.queue.pop_front()
        {
            let waits = sums.unclaimed(&group).count > 0;
            if !waits || times == 0 || !room(group.0) {
                left_over |= waits;
                continue;
            }
            let (from, to) = (unclaimed_key(&group, ""), unclaimed_key(&group, "~"));
            let limit = self.most.get(&group).map_or(CLAIM_RECEIPTS, |most| *most) as u32;
            let op = cx.read(Range { table: RECEIPTS_UNCLAIMED, from, to, limit });
            self.reading = Some((op, Reading::Keys));
            self.queue.push_front((group, times - 1));
        }
        left_over
    }

    /// `None`: the operation is none of these.
    pub(super) fn read(&mut self, cx: &mut Cx<'_>, op: OpId, completion: &Completion) -> Option<Draft> {
        let (_, reading) = self.reading.take_if(|(own, _)| *own == op)?;
        let rows = match completion {
            Completion::Page(Ok(rows)) => rows,
            Completion::Page(Err(_)) | Completion::Stored(_) | Completion::Dialled(_) => {
                return Some(Draft::Nothing);
            }
        };
        match reading {
            Reading::Keys => {
                let key = |row: &Row| row.key.rsplit_once('/').map(|(_, key)| String::from(key));
                let keys = rows.iter().filter_map(key).collect();
                let op = cx.find(Keys { table: RECEIPTS_OPEN, keys });
                self.reading = Some((op, Reading::Receipts));
                Some(Draft::Reading)
            }
            Reading::Receipts => {
                let parsed = rows.iter().filter_map(|row| match row.parse(RECEIPTS_OPEN) {
                    Ok(receipt) => Some(receipt),
                    Err(bad) => {
                        cx.warn(alloc::format!("a receipt can't be claimed: {bad}"));
                        None
                    }
                });
                let receipts: Vec<ReceiptRow> = parsed.collect();
                Some(if receipts.is_empty() { Draft::Nothing } else { Draft::Whole(receipts) })
            }
        }
    }
}
