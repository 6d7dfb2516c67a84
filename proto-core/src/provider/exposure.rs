//! What a FEP owes this provider or may come to owe it, and how much of that is too much. Nobody can make a FEP pay: what it
//! can keep is bounded by what was done for it on credit.

use alloc::collections::BTreeMap;

use serde_json::{Value, json};

use super::receipts::Receipts;
use super::rows::{AuthorizationRow, Owed};
use crate::economics::bill;
use crate::identity::FepId;
use crate::money::{Currency, Micros};
use crate::wire::portal::Attempt;

/// Of one FEP in one payout currency; each amount is what the provider would be paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exposure {
    /// Jobs that run, or whose end was never stated: the most that they may earn.
    pub(super) in_flight: Micros,
    /// Delivered, without a receipt.
    pub(super) stated: Micros,
    pub(super) unclaimed: Micros,
    pub(super) in_claim: Micros,
    /// Lines that the FEP would not pay.
    pub(super) disputed: Micros,
    /// Given up, until the operator clears it.
    pub(super) written_off: Micros,
}

impl Exposure {
    pub(super) fn total(&self) -> Micros {
        let owed = [self.unclaimed, self.in_claim, self.disputed, self.written_off];
        let parts = [self.in_flight, self.stated].into_iter().chain(owed);
        parts.fold(Micros::ZERO, saturating_add)
    }

    pub(crate) fn show(&self, fep_id: FepId, currency: &Currency, limit: Micros) -> Value {
        json!({
            "fep_id": fep_id, "currency": currency, "in_flight": self.in_flight, "stated": self.stated, "unclaimed": self.unclaimed,
            "in_claim": self.in_claim, "disputed": self.disputed, "written_off": self.written_off, "total": self.total(), "limit": limit,
        })
    }
}

impl Receipts {
    /// By FEP and payout currency; what is nothing may be left out.
    pub(crate) fn exposures(&self) -> BTreeMap<(FepId, Currency), Exposure> {
        let mut feps: BTreeMap<(FepId, Currency), Exposure> = BTreeMap::new();
        for row in self.awaited() {
            let exposure = feps.entry((row.auth.fep_id, row.offer.payout.currency.clone())).or_default();
            match may_earn(row) {
                Earns::AtMost(most) => exposure.in_flight = saturating_add(exposure.in_flight, most),
                Earns::Stated(payout) => exposure.stated = saturating_add(exposure.stated, payout),
            }
        }
        for ((fep_id, payout_to), open) in self.sums.iter() {
            let exposure = feps.entry((*fep_id, payout_to.currency.clone())).or_default();
            exposure.unclaimed = saturating_add(exposure.unclaimed, open.unclaimed.sum);
            exposure.in_claim = saturating_add(exposure.in_claim, open.in_claim.sum);
            exposure.disputed = saturating_add(exposure.disputed, open.disputed.sum);
            exposure.written_off = saturating_add(exposure.written_off, open.lost());
        }
        feps
    }
}

enum Earns {
    AtMost(Micros),
    Stated(Micros),
}

fn may_earn(row: &AuthorizationRow) -> Earns {
    debug_assert_eq!(row.receipt, Owed::Awaited, "all others have their receipt, or earn nothing");
    let attempt = row.auth.attempts.get(usize::from(row.attempt));
    let Some(&Attempt { max_payout: most, rate, .. }) = attempt else { return Earns::AtMost(Micros::ZERO) };
    match row.stated.and_then(|stated| bill(&row.offer.price, &row.auth.fees, rate, &stated)) {
        Some(bill) => Earns::Stated(bill.payout.min(most)),
        None => Earns::AtMost(most),
    }
}

/// A sum that does not fit is beyond every limit.
fn saturating_add(one: Micros, other: Micros) -> Micros {
    one.checked_add(other).unwrap_or(Micros(i64::MAX))
}
