//! What waits to be paid, and which numbers have come: the small rows that decisions rest on against the receipts themselves.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
};

use crate::audit::{Desk, Invariant, Reader, place};
use crate::identity::FepId;
use crate::money::Micros;
use crate::numbers::Numbers;
use crate::provider::rows::{
    DISPUTES, DisputeRow, Group, NumbersRow, RECEIPT_NUMBERS, RECEIPTS_OPEN, RECEIPTS_SUMS,
    RECEIPTS_UNCLAIMED, ReceiptRow, ReceiptState, UnclaimedRow, dispute_key, group_key, receipt_key,
    unclaimed_key,
};
use crate::provider::sums::{Open, SumsRow};

/// What the open receipts come to.
#[derive(Default)]
pub(super) struct Waiting {
    groups: BTreeMap<Group, Open>,
    unclaimed: u64,
    disputed: u64,
}

impl Waiting {
    /// A receipt that is open. Where a claim is to find it, it is found.
    pub(super) fn add<R: Reader>(
        &mut self,
        desk: &mut Desk<'_, R>,
        row: &ReceiptRow,
    ) -> Result<(), R::Error> {
        let group = row.group();
        let key = receipt_key(&row.receipt);
        if row.state == ReceiptState::Unclaimed {
            self.unclaimed += 1;
            let listed: Option<UnclaimedRow> = desk.get(RECEIPTS_UNCLAIMED, &unclaimed_key(&group, &key))?;
            let found = listed.is_some_and(|listed| listed.receipt_id == row.id());
            desk.report
                .must(Invariant::I4, found, place(RECEIPTS_OPEN, &key), || "no claim will find it".into());
        }
        let mut dispute = None;
        if row.state == ReceiptState::Disputed {
            self.disputed += 1;
            let listed: Option<DisputeRow> = desk.get(DISPUTES, &dispute_key(row))?;
            dispute = listed.filter(|listed| listed.line.key() == key).map(|listed| listed.dispute);
            let what = || "nobody will look into it".into();
            desk.report.must(Invariant::I4, dispute.is_some(), place(RECEIPTS_OPEN, &key), what);
        }
        let what = || format!("is {:?}, with {:?}", row.state, row.dispute);
        desk.report.must(Invariant::I4, row.dispute == dispute, place(RECEIPTS_OPEN, &key), what);
        if let Some(part) = self.groups.entry(group).or_default().of(row.state) {
            part.count = part.count.saturating_add(1);
            part.sum = part.sum.checked_add(row.receipt.payout).unwrap_or(Micros(i64::MAX));
        }
        Ok(())
    }

    /// No claim finds any other, and the sums are theirs.
    pub(super) fn check<R: Reader>(&mut self, desk: &mut Desk<'_, R>) -> Result<(), R::Error> {
        let mut listed = 0;
        desk.rows(RECEIPTS_UNCLAIMED, |_| listed += 1)?;
        let unclaimed = self.unclaimed;
        let what = || format!("{listed} are to be claimed, {unclaimed} receipts are unclaimed");
        desk.report.must(Invariant::I4, listed == unclaimed, || RECEIPTS_UNCLAIMED.name.into(), what);
        listed = 0;
        desk.rows(DISPUTES, |_| listed += 1)?;
        let disputed = self.disputed;
        let what = || format!("{listed} are to be looked into, {disputed} receipts are disputed");
        desk.report.must(Invariant::I4, listed == disputed, || DISPUTES.name.into(), what);
        let mut groups = core::mem::take(&mut self.groups);
        desk.each(RECEIPTS_SUMS, |desk, key, row: SumsRow| {
            let group = (row.fep_id, row.payout_to);
            let mut open = groups.remove(&group).unwrap_or_default();
            // That is the operator's word: no receipt says it.
            open.cleared = row.open.cleared.clamp(Micros::ZERO, open.written_off.sum);
            let same = row.open == open && key == group_key(&group);
            let what = || format!("says {:?}, the receipts come to {open:?}", row.open);
            desk.report.must(Invariant::I4, same, place(RECEIPTS_SUMS, key), what);
            Ok(())
        })?;
        for (group, open) in &groups {
            let what = || format!("is not there, the receipts come to {open:?}");
            desk.report.must(Invariant::I4, false, place(RECEIPTS_SUMS, &group_key(group)), what);
        }
        Ok(())
    }
}

/// A number that is said to have come is never asked for again: its receipt must be there.
pub(super) fn check_numbers<R: Reader>(
    desk: &mut Desk<'_, R>,
    come: &BTreeMap<FepId, Numbers>,
) -> Result<(), R::Error> {
    let mut said = BTreeSet::new();
    desk.each(RECEIPT_NUMBERS, |desk, key, row: NumbersRow| {
        let none = Numbers::default();
        let there = come.get(&row.fep_id).unwrap_or(&none).contains_all(&row.numbers);
        let fits = there && key == row.fep_id.to_string();
        let what = || "says that receipts have come which are not there".into();
        desk.report.must(Invariant::I6, fits, place(RECEIPT_NUMBERS, key), what);
        said.insert(row.fep_id);
        Ok(())
    })?;
    for fep_id in come.keys().filter(|fep_id| !said.contains(fep_id)) {
        let what = || String::from("is not there, receipts of this FEP are");
        desk.report.must(Invariant::I6, false, place(RECEIPT_NUMBERS, &fep_id.to_string()), what);
    }
    Ok(())
}
