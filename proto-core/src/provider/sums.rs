//! What waits to be paid, by FEP and payout address: how many receipts there are in each state, and what they come to. Kept in the
//! batches that keep the receipts: they are not in memory, so that the sums are what decisions know of them.

use alloc::{collections::BTreeMap, string::ToString, vec::Vec};

use serde::{Deserialize, Serialize};

use super::rows::{Group, RECEIPTS_SUMS, ReceiptRow, ReceiptState, group_key};
use crate::identity::FepId;
use crate::money::Micros;
use crate::store::{BadRow, Row, Snapshot, Write};
use crate::wire::portal::PayoutTo;

#[derive(Default)]
pub(super) struct Sums {
    groups: BTreeMap<Group, Open>,
}

/// Of the receipts of one group that are not paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) unclaimed: Tally,
    pub(super) in_claim: Tally,
    pub(super) disputed: Tally,
    pub(super) written_off: Tally,
    /// Of what is written off: what does not count any more, by the operator's word.
    pub(super) cleared: Micros,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) sum: Micros,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SumsRow {
    pub(super) fep_id: FepId,
    pub(super) payout_to: PayoutTo,
    #[serde(flatten)]
    pub(super) open: Open,
}

impl Open {
    /// All of them together can be counted, so that each part can.
    fn is_countable_with(&self, more: Micros) -> bool {
        let parts = [self.unclaimed, self.in_claim, self.disputed, self.written_off].map(|part| part.sum);
        parts.into_iter().try_fold(more, Micros::checked_add).is_some()
    }

    /// What is written off and was not cleared.
    pub(super) fn lost(&self) -> Micros {
        self.written_off.sum.checked_sub(self.cleared).unwrap_or_default()
    }

    pub(super) fn of(&mut self, state: ReceiptState) -> Option<&mut Tally> {
        match state {
            ReceiptState::Unclaimed => Some(&mut self.unclaimed),
            ReceiptState::InClaim => Some(&mut self.in_claim),
            ReceiptState::Disputed => Some(&mut self.disputed),
            ReceiptState::WrittenOff => Some(&mut self.written_off),
            ReceiptState::Paid => None,
        }
    }
}

impl Sums {
    pub(super) fn new(snapshot: &Snapshot) -> Result<Self, BadRow> {
        let mut groups = BTreeMap::new();
        for stored in snapshot.of(RECEIPTS_SUMS) {
            let row: SumsRow = stored.parse(RECEIPTS_SUMS)?;
            groups.insert((row.fep_id, row.payout_to), row.open);
        }
        Ok(Self { groups })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Group, &Open)> {
        self.groups.iter()
    }

    /// In all, whatever the currency: to compare with what was earned.
    pub(super) fn lost(&self) -> i128 {
        self.groups.values().map(|open| i128::from(open.lost().0)).sum()
    }

    pub(super) fn unclaimed(&self, group: &Group) -> Tally {
        self.groups.get(group).map_or(Tally::default(), |open| open.unclaimed)
    }

    /// Is there room for what the receipt is worth?
    pub(super) fn can_count(&self, group: &Group, payout: Micros) -> bool {
        payout >= Micros::ZERO
            && self.groups.get(group).copied().unwrap_or_default().is_countable_with(payout)
    }

    /// The receipt is in its state now, and was `before` in another.
    pub(super) fn changed(&mut self, row: &ReceiptRow, before: Option<ReceiptState>) {
        let (open, payout) = (self.groups.entry(row.group()).or_default(), row.receipt.payout);
        if let Some(left) = before.and_then(|state| open.of(state)) {
            left.count = left.count.saturating_sub(1);
            left.sum = left.sum.checked_sub(payout).unwrap_or(left.sum);
        }
        if let Some(entered) = open.of(row.state) {
            entered.count = entered.count.saturating_add(1);
            entered.sum = entered.sum.checked_add(payout).unwrap_or(entered.sum);
        }
    }

    /// The group's row as it is now. Where nothing waits there is none.
    pub(super) fn put(&mut self, group: &Group) -> Write {
        let key = group_key(group);
        match self.groups.get(group).copied().filter(|open| *open != Open::default()) {
            Some(open) => {
                let row = SumsRow { fep_id: group.0, payout_to: group.1.clone(), open };
                Write::Put(RECEIPTS_SUMS, Row::json(key, &row))
            }
            None => {
                self.groups.remove(group);
                Write::Delete(RECEIPTS_SUMS, key)
            }
        }
    }

    /// What a FEP did not pay counts no more, of FEPs whose id begins so: how much that is, by group, and the writes that say so.
    pub(super) fn clear(&mut self, fep: &str) -> (Vec<(Group, Micros)>, Vec<Write>) {
        let mut cleared = Vec::new();
        for (group, open) in &mut self.groups {
            let counts = open.lost();
            if counts > Micros::ZERO && group.0.to_string().starts_with(fep) {
                open.cleared = open.written_off.sum;
                cleared.push((group.clone(), counts));
            }
        }
        let batch = cleared.iter().map(|(group, _)| self.put(group)).collect();
        (cleared, batch)
    }

    /// Groups whose unclaimed receipts come to what their owner wants at least. What is worth nothing is claimed to be done
    /// with.
    pub(super) fn due(&self, least: &BTreeMap<PayoutTo, Micros>) -> Vec<Group> {
        let is_due = |(group, open): &(&Group, &Open)| {
            let least = least.get(&group.1).copied().unwrap_or_default();
            let Tally { count, sum } = open.unclaimed;
            count > 0 && (sum >= least || sum == Micros::ZERO)
        };
        self.groups.iter().filter(is_due).map(|(group, _)| group.clone()).collect()
    }
}
