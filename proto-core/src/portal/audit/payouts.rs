//! Claims, and what was paid for them (I3).

use alloc::{collections::BTreeMap, format, string::ToString};

use crate::audit::{Desk, Invariant, Reader, Tally, place};
use crate::identity::NodeId;
use crate::portal::rows::{CLAIMS, ClaimRow, CountersRow, PAYOUTS, PayoutRow, RAIL, claim_key, numbered};
use crate::wire::ids::PayoutId;
use crate::wire::portal::{ClaimDecision, Payout, Verdict};

use super::jobs::Issued;
use super::ledger::Booked;
use super::wide;

pub(super) fn check<R: Reader>(
    desk: &mut Desk<'_, R>,
    booked: &Booked,
    issued: &Issued,
    last: &CountersRow,
) -> Result<(), R::Error> {
    let decided = check_claims(desk)?;
    let mut paid: BTreeMap<NodeId, Tally> = BTreeMap::new();
    let (mut rail, mut moved) = (0, Tally::default());
    desk.each(RAIL, |desk, key, row: PayoutRow| {
        rail += 1;
        let claim: Option<ClaimRow> = desk.get(CLAIMS, &claim_key(row.provider, row.claim_id))?;
        let decision = claim.and_then(|claim| desk.checked_paper::<ClaimDecision>(&claim.decision.0));
        let decided = decision.and_then(|decision| decision.content.payout).is_some_and(|p| p == row.payout);
        let its_own = key == row.payout.payout_id.to_string();
        let what = || format!("paid {}, which no claim was decided to be", row.payout.amount);
        desk.report.must(Invariant::I3, decided && its_own, place(RAIL, key), what);
        let amount = wide(row.payout.amount);
        let own = paid.entry(row.provider).or_default();
        own.sum += amount;
        own.count += row.receipts;
        // An entry that moves nothing is not written.
        if amount != 0 {
            moved.add(amount);
        }
        Ok(())
    })?;
    let what = || format!("{moved} were paid, the journal has {}", booked.payouts);
    desk.report.must(Invariant::I3, moved == booked.payouts, || RAIL.name.into(), what);
    let what = || format!("{rail} payouts for {decided} claims that were to be paid");
    desk.report.must(Invariant::I3, rail == decided, || RAIL.name.into(), what);

    let providers = paid.keys().chain(issued.paid.keys()).collect::<alloc::collections::BTreeSet<_>>();
    for provider in providers {
        let of = |all: &BTreeMap<NodeId, Tally>| all.get(provider).copied().unwrap_or_default();
        let (receipts, payouts) = (of(&issued.paid), of(&paid));
        let what = || format!("receipts that nobody may claim any more: {receipts}; paid for: {payouts}");
        desk.report.must(Invariant::I3, receipts == payouts, || format!("provider:{provider}"), what);
    }
    check_numbers(desk, rail, last)
}

/// Each decision is what its row says; how many pay.
fn check_claims<R: Reader>(desk: &mut Desk<'_, R>) -> Result<u64, R::Error> {
    let mut pays = 0;
    desk.each(CLAIMS, |desk, key, claim: ClaimRow| {
        let Some(decision) = desk.paper::<ClaimDecision>(CLAIMS, key, None, &claim.decision.0) else {
            return Ok(());
        };
        let decision = decision.content;
        let its_own = key == claim_key(claim.provider, claim.claim_id)
            && (decision.claim_id, decision.verdict) == (claim.claim_id, claim.verdict);
        let what = || "is decided otherwise than it says".into();
        desk.report.must(Invariant::I3, its_own, place(CLAIMS, key), what);
        let paid = match &decision.payout {
            Some(Payout { payout_id, .. }) => {
                pays += 1;
                claim.verdict != Verdict::Rejected
                    && *payout_id == PayoutId::of(decision.fep_id, claim.provider, claim.claim_id)
                    && desk.has(RAIL, &payout_id.to_string())?
            }
            None => claim.verdict == Verdict::Rejected,
        };
        let what = || format!("is {:?}, and the rail says otherwise", claim.verdict);
        desk.report.must(Invariant::I3, paid, place(CLAIMS, key), what);
        Ok(())
    })?;
    Ok(pays)
}

/// The same payouts, numbered without a gap.
fn check_numbers<R: Reader>(desk: &mut Desk<'_, R>, rail: u64, last: &CountersRow) -> Result<(), R::Error> {
    let mut number = 0u64;
    desk.each(PAYOUTS, |desk, key, row: PayoutRow| {
        number += 1;
        let rail: Option<PayoutRow> = desk.get(RAIL, &row.payout.payout_id.to_string())?;
        let of = |row: &PayoutRow| (row.payout.clone(), row.provider, row.claim_id, row.receipts);
        let same = rail.is_some_and(|rail| of(&rail) == of(&row)) && key == numbered(number);
        desk.report
            .must(Invariant::I3, same, place(PAYOUTS, key), || "is not on the rail, or not next".into());
        Ok(())
    })?;
    let what = || format!("{number} are numbered, {rail} were paid, the last is {}", last.payouts);
    desk.report.must(Invariant::I3, (number, number) == (rail, last.payouts), || PAYOUTS.name.into(), what);
    Ok(())
}
