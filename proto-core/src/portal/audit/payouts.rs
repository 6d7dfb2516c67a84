//! Claims, and what was paid for them (I3).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;

use crate::audit::{Desk, Invariant, Reader, Tally, place};
use crate::identity::NodeId;
use crate::keys::Keys;
use crate::money::Currency;
use crate::portal::rows::{
    ACCEPTED, AcceptedRow, CLAIMS, ClaimRow, CountersRow, PAYOUTS, PayoutRow, TRANSFERS, claim_key, numbered,
};
use crate::wire::ids::PayoutId;
use crate::wire::portal::{ClaimDecision, Payout, Verdict};

use super::jobs::Issued;
use super::ledger::Booked;
use super::wide;

pub(super) fn check<R: Reader>(
    desk: &mut Desk<'_, R>,
    keys: Option<&Keys>,
    booked: &Booked,
    issued: &Issued,
    last: &CountersRow,
) -> Result<(), R::Error> {
    let decided = check_claims(desk, keys)?;
    // Receipts that nobody may claim any more are paid, or on their way.
    let mut closed: BTreeMap<(NodeId, Currency), Tally> = BTreeMap::new();
    let (mut number, mut moved) = (0u64, BTreeMap::<Currency, Tally>::new());
    desk.each(PAYOUTS, |desk, key, row: PayoutRow| {
        number += 1;
        let claim: Option<ClaimRow> = desk.get(CLAIMS, &claim_key(row.provider, row.claim_id))?;
        let decision = claim.and_then(|claim| desk.checked_paper::<ClaimDecision>(&claim.decision.0));
        let decided = decision.and_then(|decision| decision.content.payout).is_some_and(|p| p == row.payout);
        let what = || format!("paid {}, which no claim was decided to be", row.payout.amount);
        desk.report.must(Invariant::I3, decided, place(PAYOUTS, key), what);
        let next = numbered(number);
        desk.report.must(Invariant::I3, key == next, place(PAYOUTS, key), || format!("{next} was next"));
        let amount = wide(row.payout.amount);
        let own = closed.entry((row.provider, row.payout.to.currency.clone())).or_default();
        own.sum += amount;
        own.count += row.receipts;
        // An entry that moves nothing is not written.
        if amount != 0 {
            moved.entry(row.payout.to.currency.clone()).or_default().add(amount);
        }
        Ok(())
    })?;
    for currency in moved.keys().chain(booked.payouts.keys()).collect::<BTreeSet<_>>() {
        let of = |all: &BTreeMap<Currency, Tally>| all.get(currency).copied().unwrap_or_default();
        let (paid, journal) = (of(&moved), of(&booked.payouts));
        let what = || format!("{paid} were paid in {currency}, the journal has {journal}");
        desk.report.must(Invariant::I3, paid == journal, || PAYOUTS.name.into(), what);
    }
    let what =
        || format!("{number} payouts for {decided} claims that are paid, the last is {}", last.payouts);
    let agrees = (number, number) == (decided, last.payouts);
    desk.report.must(Invariant::I3, agrees, || PAYOUTS.name.into(), what);

    desk.each(ACCEPTED, |desk, key, row: AcceptedRow| {
        let new = !desk.has(CLAIMS, key)? && key == claim_key(row.provider, row.claim_id);
        desk.report.must(Invariant::I3, new, place(ACCEPTED, key), || "is paid already".into());
        let brought = match row.transfer {
            Some(transfer) => desk.has(TRANSFERS, &numbered(transfer))?,
            None => true,
        };
        desk.report.must(Invariant::I3, brought, place(ACCEPTED, key), || "waits for no transfer".into());
        let own = closed.entry((row.provider, row.to.currency.clone())).or_default();
        own.sum += wide(row.amount);
        own.count += row.receipts;
        Ok(())
    })?;
    let providers = closed.keys().chain(issued.paid.keys()).collect::<BTreeSet<_>>();
    for provider in providers {
        let of = |all: &BTreeMap<(NodeId, Currency), Tally>| all.get(provider).copied().unwrap_or_default();
        let (receipts, claimed) = (of(&issued.paid), of(&closed));
        let what = || format!("receipts that nobody may claim any more: {receipts}; claimed: {claimed}");
        desk.report.must(
            Invariant::I3,
            receipts == claimed,
            || format!("provider:{} in {}", provider.0, provider.1),
            what,
        );
    }
    Ok(())
}

/// Each decision is what its row says; how many pay.
fn check_claims<R: Reader>(desk: &mut Desk<'_, R>, keys: Option<&Keys>) -> Result<u64, R::Error> {
    let mut pays = 0;
    desk.each(CLAIMS, |desk, key, claim: ClaimRow| {
        let Some(decision) = desk.paper::<ClaimDecision>(CLAIMS, key, keys, &claim.decision.0) else {
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
            }
            None => claim.verdict == Verdict::Rejected,
        };
        let what = || format!("is {:?}, and its payout says otherwise", claim.verdict);
        desk.report.must(Invariant::I3, paid, place(CLAIMS, key), what);
        Ok(())
    })?;
    Ok(pays)
}
