//! What two parties' books say of each other (I6): a receipt that was delivered is at both ends, and one that was acknowledged is not
//! gone.
//!
//! Works on stores of running daemons, if each was opened in the order of the fields of [`Books`]: what the FEP had issued
//! and no gateway delivers any more had reached the provider before its store was opened, and what the provider then had,
//! the FEP's second look finds.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
};

use crate::gateway;
use crate::identity::{FepId, NodeId, Verify};
use crate::money::Currency;
use crate::numbers::Numbers;
use crate::portal::audit::issued;
use crate::provider::audit::held;
use crate::wire::ids::{ClaimId, RequestId};

use super::{Desk, Invariant, Reader, Report, Sheet, Tally};

/// Stores, opened one after the other.
pub struct Books<'a, R> {
    pub issued: &'a R,
    /// All gateways that may bring this provider receipts. Without any, nothing is said of what has not come.
    pub gateways: &'a [&'a R],
    pub provider: &'a R,
    /// The FEP's again.
    pub decided: &'a R,
}

/// Between one FEP and one provider.
///
/// # Errors
///
/// A store can't be read; a row that can't is a finding.
pub fn between<R: Reader>(
    books: &Books<'_, R>,
    fep_id: FepId,
    provider_id: NodeId,
    verify: Verify,
) -> Result<Report, R::Error> {
    let mut fep = Desk::new(books.issued, verify);
    let mut provider = Desk::new(books.provider, verify);
    let mut decided = Desk::new(books.decided, verify);
    let mut report = Report::default();

    let last = issued::last_sequence(&mut fep, provider_id)?;
    let (mut numbers, mut there) = (Numbers::default(), BTreeMap::<Currency, Tally>::new());
    let mut claims: BTreeSet<ClaimId> = BTreeSet::new();
    held::each_receipt(&mut provider, fep_id, |held| {
        let receipt = held.receipt;
        claims.extend(held.claim);
        numbers.insert(receipt.sequence);
        if receipt.sequence <= last {
            there.entry(receipt.payout_to.currency.clone()).or_default().add(i128::from(receipt.payout.0));
        }
        let place = || format!("receipt {}", receipt.receipt_id);
        let known = issued::has_issued(&mut decided, receipt, &held.signed)?;
        report.must(Invariant::I6, known, place, || "is at the provider, its FEP never issued it".into());
        let claimed = issued::claim_of(&mut decided, provider_id, receipt.receipt_id)?;
        // A provider that was restored from a backup learns so of a claim that it had forgotten.
        claims.extend(claimed.flatten().filter(|_| held.is_disputed));
        let paid = !held.is_paid || claimed != Some(None);
        report.must(Invariant::I3, paid, place, || "counts as paid, at its FEP it is unclaimed".into());
        Ok(())
    })?;

    let mut all: BTreeMap<Currency, (Tally, Tally)> = BTreeMap::new();
    issued::each_receipt(&mut fep, provider_id, |_, receipt| {
        let payout = i128::from(receipt.payout.0);
        let (issued, on_its_way) = all.entry(receipt.payout_to.currency.clone()).or_default();
        issued.add(payout);
        if numbers.contains(receipt.sequence) {
            return Ok(());
        }
        on_its_way.add(payout);
        if !books.gateways.is_empty() {
            let delivered = is_delivering(books.gateways, receipt.request_id)?
                || held::awaits(&mut provider, (receipt.auth_id, receipt.attempt))?;
            let what = || {
                let number = receipt.sequence;
                format!(
                    "number {number} was issued, no gateway brings it, nor is it asked for, and it never came"
                )
            };
            report.must(Invariant::I6, delivered, || format!("receipt {}", receipt.receipt_id), what);
        }
        Ok(())
    })?;
    for currency in there.keys() {
        all.entry(currency.clone()).or_default();
    }
    for (currency, (issued, on_its_way)) in all {
        let there = there.get(&currency).copied().unwrap_or_default();
        let adds_up =
            (there.count + on_its_way.count, there.sum + on_its_way.sum) == (issued.count, issued.sum);
        let what = || format!("issued: {issued}; at the provider: {there}; on their way: {on_its_way}");
        report.must(Invariant::I4, adds_up, || format!("provider {provider_id} in {currency}"), what);
        let lines = [("receipts at the provider", there), ("receipts on their way", on_its_way)];
        let lines = lines.map(|(name, tally)| (String::from(name), tally.sum)).into();
        report.sheets.push(Sheet { currency, lines });
    }

    held::each_claim(&mut provider, fep_id, |claim, decision| {
        claims.insert(claim);
        if let Some(decision) = decision {
            let same = issued::decision(&mut decided, provider_id, claim)? == Some(decision);
            let what = || "is decided at the provider, and otherwise at its FEP".into();
            report.must(Invariant::I6, same, || format!("claim {claim}"), what);
        }
        Ok(())
    })?;
    issued::each_paid_claim(&mut fep, provider_id, |_, claim| {
        let what = || "was paid, the provider knows nothing of it".into();
        report.must(Invariant::I6, claims.contains(&claim), || format!("claim {claim}"), what);
    })?;
    Ok(report)
}

/// Is the job's row still there? It goes when the receipt is acknowledged.
fn is_delivering<R: Reader>(gateways: &[&R], request: RequestId) -> Result<bool, R::Error> {
    for gateway in gateways {
        if gateway.get(gateway::TABLE, &format!("{request}"))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
