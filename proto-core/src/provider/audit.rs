//! A provider's books, judged from its rows: see [`crate::audit`].

pub(crate) mod held;
mod waiting;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::earnings::By;
use super::receipts::Receipts;
use super::rows::{
    AUTHORIZATIONS, AuthorizationRow, CLAIMS, CLAIMS_OPEN, ClaimRow, ClaimState, EARNINGS, Owed,
    RECEIPTS_OPEN, RECEIPTS_PAID, RECEIPTS_SUMS, ReceiptRow, ReceiptState, receipt_key,
};
use serde::Deserialize;
use waiting::Waiting;

use crate::audit::{Desk, Invariant, Reader, Report, Sheet, Tally, place};
use crate::economics::bill;
use crate::identity::{FepId, Verify};
use crate::keys::{BadDescriptor, Described, Keys};
use crate::money::{Currency, Micros};
use crate::node::config::Exposure;
use crate::node::descriptors::{FepRow, TABLE as FEPS};
use crate::numbers::Numbers;
use crate::store::{Snapshot, Table};
use crate::wire::ids::{ClaimId, ReceiptId};
use crate::wire::portal::Receipt;

/// I4, I5, I6 and I8 of a provider's store. `limits`: what each FEP may owe.
///
/// # Errors
///
/// The store can't be read; a row of it that can't is a finding.
pub fn audit<R: Reader>(store: &R, verify: Verify, limits: &Exposure) -> Result<Report, R::Error> {
    let mut desk = Desk::new(store, verify);
    let mut books = Books::default();
    books.know_feps(&mut desk)?;
    books.expect(&mut desk)?;
    books.check_receipts(&mut desk)?;
    books.check_claims(&mut desk)?;
    books.check_sums(&mut desk, limits)?;
    Ok(desk.report)
}

#[derive(Default)]
struct Books {
    keys: BTreeMap<FepId, Keys>,
    /// Receipts that are said to be stored, with what they must be for.
    stored: BTreeMap<ReceiptId, AuthorizationRow>,
    /// Those that are said not to have come.
    awaited: BTreeSet<ReceiptId>,
    /// Undecided claims, and the receipts in each.
    open: BTreeMap<ClaimId, BTreeSet<ReceiptId>>,
    /// By claim: the lines that wait in it, that it paid, that it did not.
    waiting: BTreeMap<ClaimId, u64>,
    paid: BTreeMap<ClaimId, Tally>,
    refused: BTreeMap<ClaimId, u64>,
    numbers: BTreeMap<FepId, Numbers>,
    waits: Waiting,
    sums: BTreeMap<(Currency, State), i128>,
    earned: BTreeMap<(FepId, Currency), Earned>,
}

/// In the order in which a receipt passes through them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Unclaimed,
    InClaim,
    Disputed,
    WrittenOff,
    Paid,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Earned {
    receipts: u64,
    earned: i128,
    paid: i128,
}

/// What the operator is shown to have earned.
fn shown(receipts: &Receipts) -> BTreeMap<(FepId, Currency), Earned> {
    #[derive(Deserialize)]
    struct Line {
        fep_id: FepId,
        currency: Currency,
        receipts: u64,
        earned: i64,
        paid: i64,
    }
    let mut shown = receipts.earnings.show(By::Fep);
    let lines: Vec<Line> = serde_json::from_value(shown["earnings"].take()).unwrap_or_default();
    let earned = |line: &Line| Earned {
        receipts: line.receipts,
        earned: i128::from(line.earned),
        paid: i128::from(line.paid),
    };
    lines.into_iter().map(|line| ((line.fep_id, line.currency.clone()), earned(&line))).collect()
}

impl Books {
    fn know_feps<R: Reader>(&mut self, desk: &mut Desk<'_, R>) -> Result<(), R::Error> {
        desk.each(FEPS, |desk, key, row: FepRow| {
            let bytes = hex::decode(&row.descriptor).unwrap_or_default();
            let keys = desk.keys(FEPS, key, &bytes, |network, bytes| {
                let fep_id = key.parse().map_err(|_| BadDescriptor::Key)?;
                Described::open(network, fep_id, bytes).map(|described| described.keys)
            });
            self.keys.extend(keys.map(|keys| (keys.fep_id(), keys)));
            Ok(())
        })
    }

    fn expect<R: Reader>(&mut self, desk: &mut Desk<'_, R>) -> Result<(), R::Error> {
        desk.each(AUTHORIZATIONS, |_, _, row: AuthorizationRow| {
            let id = ReceiptId::of(row.auth.fep_id, row.auth.auth_id, row.attempt);
            match row.receipt {
                Owed::Stored => {
                    self.stored.insert(id, row);
                }
                Owed::Awaited | Owed::Nothing => {
                    self.awaited.insert(id);
                }
            }
            Ok(())
        })?;
        desk.each(CLAIMS_OPEN, |desk, key, row: ClaimRow| {
            let waits =
                row.state == ClaimState::Submitted && row.refused == 0 && key == row.claim_id.to_string();
            desk.report.must(Invariant::I4, waits, place(CLAIMS_OPEN, key), || "is decided".into());
            let lines = row.lines.into_iter();
            self.open.insert(row.claim_id, lines.map(|line| line.receipt_id).collect());
            Ok(())
        })
    }

    fn check_receipts<R: Reader>(&mut self, desk: &mut Desk<'_, R>) -> Result<(), R::Error> {
        desk.each(RECEIPTS_OPEN, |desk, key, row: ReceiptRow| {
            let id = row.receipt.receipt_id;
            let claim = row.claim_id.unwrap_or(ClaimId([0; 16]));
            let state = match row.state {
                ReceiptState::Unclaimed => Some(State::Unclaimed).filter(|_| row.claim_id.is_none()),
                ReceiptState::InClaim => {
                    *self.waiting.entry(claim).or_default() += 1;
                    let lines = row.claim_id.and_then(|claim| self.open.get(&claim));
                    lines.filter(|lines| lines.contains(&id)).map(|_| State::InClaim)
                }
                ReceiptState::Disputed => {
                    *self.refused.entry(claim).or_default() += 1;
                    Some(State::Disputed).filter(|_| row.rejected.is_some())
                }
                ReceiptState::WrittenOff => {
                    *self.refused.entry(claim).or_default() += 1;
                    Some(State::WrittenOff).filter(|_| row.rejected.is_some())
                }
                ReceiptState::Paid => None,
            };
            self.waits.add(desk, &row)?;
            let fits = state.is_some() && key == receipt_key(&row.receipt) && !row.taken_on_word;
            let what = || format!("is {:?}, and nothing says how it came to be", row.state);
            desk.report.must(Invariant::I4, fits, place(RECEIPTS_OPEN, key), what);
            self.count(desk, RECEIPTS_OPEN, key, &row, state);
            Ok(())
        })?;
        desk.each(RECEIPTS_PAID, |desk, key, row: ReceiptRow| {
            let fits = row.state == ReceiptState::Paid && key == receipt_key(&row.receipt);
            let what = || format!("is {:?}", row.state);
            desk.report.must(Invariant::I4, fits, place(RECEIPTS_PAID, key), what);
            let left = !desk.has(RECEIPTS_OPEN, key)?;
            desk.report
                .must(Invariant::I4, left, place(RECEIPTS_PAID, key), || "waits to be paid, too".into());
            if !row.taken_on_word {
                let claim = row.claim_id.unwrap_or(ClaimId([0; 16]));
                self.paid.entry(claim).or_default().add(i128::from(row.receipt.payout.0));
            }
            self.count(desk, RECEIPTS_PAID, key, &row, Some(State::Paid));
            Ok(())
        })?;
        self.waits.check(desk)?;
        waiting::check_numbers(desk, &self.numbers)?;
        for id in self.stored.keys() {
            let what = || "was stored, and perhaps acknowledged, and is not there".into();
            desk.report.must(Invariant::I6, false, || format!("receipt {id}"), what);
        }
        Ok(())
    }

    /// A receipt is what the FEP signed, once, for a job of ours, at the price of the offer.
    fn count<R: Reader>(
        &mut self,
        desk: &mut Desk<'_, R>,
        table: Table,
        key: &str,
        row: &ReceiptRow,
        state: Option<State>,
    ) {
        let receipt = &row.receipt;
        let signed = hex::decode(&row.signed).unwrap_or_default();
        let paper = desk.paper::<Receipt>(table, key, self.keys.get(&receipt.fep_id), &signed);
        let same = paper.is_none_or(|paper| paper.content == *receipt);
        let what = || "is not what its FEP signed".into();
        desk.report.must(Invariant::I4, same, place(table, key), what);

        let new = self.numbers.entry(receipt.fep_id).or_default().insert(receipt.sequence);
        let what = || format!("number {} of its FEP is there twice", receipt.sequence);
        desk.report.must(Invariant::I4, new, place(table, key), what);
        let come = !self.awaited.contains(&receipt.receipt_id);
        desk.report.must(Invariant::I6, come, place(table, key), || "is there, and still awaited".into());
        if let Some(used) = self.stored.remove(&receipt.receipt_id) {
            desk.report.must(Invariant::I6, true, place(table, key), String::new);
            let bill = bill(&used.offer.price, &used.auth.fees, receipt.rate, &receipt.settled);
            let priced = used.rate() == Some(receipt.rate)
                && bill.is_some_and(|b| (b.charge, b.payout) == (receipt.charge, receipt.payout));
            let what = || format!("charges {} and pays {}", receipt.charge, receipt.payout);
            desk.report.must(Invariant::I8, priced, place(table, key), what);
        }

        let (payout, currency) = (i128::from(receipt.payout.0), &receipt.payout_to.currency);
        if let Some(state) = state {
            *self.sums.entry((currency.clone(), state)).or_default() += payout;
        }
        let earned = self.earned.entry((receipt.fep_id, currency.clone())).or_default();
        earned.receipts += 1;
        earned.earned += payout;
        earned.paid += if state == Some(State::Paid) { payout } else { 0 };
    }

    /// Each claim has its lines, and what was paid for it is what they come to.
    fn check_claims<R: Reader>(&mut self, desk: &mut Desk<'_, R>) -> Result<(), R::Error> {
        for (claim, lines) in &self.open {
            let waiting = self.waiting.get(claim).copied().unwrap_or_default();
            let what = || format!("has {} lines, and {waiting} receipts wait in it", lines.len());
            let key = claim.to_string();
            desk.report.must(Invariant::I4, lines.len() as u64 == waiting, place(CLAIMS_OPEN, &key), what);
        }
        desk.each(CLAIMS, |desk, key, row: ClaimRow| {
            let paid = self.paid.remove(&row.claim_id).unwrap_or_default();
            // Of those that it refused some may have been claimed again.
            let refused = self.refused.remove(&row.claim_id).unwrap_or_default();
            let left = !self.open.contains_key(&row.claim_id);
            let fits = left
                && row.lines.len() == row.count
                && refused <= row.refused as u64
                && match row.state {
                    ClaimState::Paid => {
                        paid.sum == i128::from(row.paid.unwrap_or_default().0)
                            && paid.count + row.refused as u64 == row.count as u64
                    }
                    ClaimState::Rejected => paid.count == 0 && row.refused <= row.count,
                    ClaimState::Submitted => false,
                };
            let what = || {
                let (state, of, paid_out) = (row.state, row.refused, row.paid);
                format!("is {state:?} with {paid_out:?}; paid receipts: {paid}, refused: {refused} of {of}")
            };
            desk.report.must(Invariant::I4, fits, place(CLAIMS, key), what);
            Ok(())
        })?;
        for (claim, refused) in &self.refused {
            let what = || format!("is not there, and refused {refused} receipts");
            desk.report.must(Invariant::I4, false, || format!("claim {claim}"), what);
        }
        for (claim, paid) in &self.paid {
            let what = || format!("is not there, and paid for {paid}");
            desk.report.must(Invariant::I4, false, || format!("claim {claim}"), what);
        }
        Ok(())
    }

    /// What people are shown of earnings is what the receipts come to (I4), and no FEP owes too much (I5).
    fn check_sums<R: Reader>(self, desk: &mut Desk<'_, R>, limits: &Exposure) -> Result<(), R::Error> {
        let mut snapshot = Snapshot::default();
        for table in [AUTHORIZATIONS, RECEIPTS_SUMS, EARNINGS] {
            desk.rows(table, |row| snapshot.rows.push((table, row)))?;
        }
        match Receipts::new(&snapshot) {
            Ok(receipts) => {
                let exposures = receipts.exposures();
                let feps: BTreeSet<_> = exposures.keys().chain(self.earned.keys()).collect();
                for fep in feps {
                    let (fep_id, currency) = fep;
                    // One that owes nothing is left out there.
                    let total = exposures.get(fep).map_or(Micros::ZERO, |exposure| exposure.total());
                    let limit = limits.of(currency);
                    let what = || format!("owes {total} {currency}, and may owe {limit}");
                    desk.report.must(Invariant::I5, total <= limit, || format!("FEP {fep_id}"), what);
                }
                let shown = shown(&receipts);
                let feps: BTreeSet<_> = shown.keys().chain(self.earned.keys()).cloned().collect();
                for fep in feps {
                    let earned = self.earned.get(&fep).copied().unwrap_or_default();
                    let shown = shown.get(&fep).copied().unwrap_or_default();
                    let same = earned == shown;
                    let what = || {
                        let Earned { receipts, earned, paid } = earned;
                        format!(
                            "{receipts} receipts come to {earned}, {paid} of it paid; its sums say otherwise"
                        )
                    };
                    let place = || format!("{} of {} in {}", EARNINGS.name, fep.0, fep.1);
                    desk.report.must(Invariant::I4, same, place, what);
                }
            }
            Err(bad) => {
                let (table, key, what) = (bad.table, bad.key, bad.what);
                desk.report.must(Invariant::Rows, false, || format!("{table} {key}"), || what.clone());
            }
        }
        let mut sheets: BTreeMap<Currency, Vec<(String, i128)>> = BTreeMap::new();
        for ((currency, state), sum) in self.sums {
            let name = match state {
                State::Unclaimed => "unclaimed",
                State::InClaim => "in claim",
                State::Disputed => "disputed",
                State::WrittenOff => "written off",
                State::Paid => "paid",
            };
            sheets.entry(currency).or_default().push((name.into(), sum));
        }
        let sheets = sheets.into_iter().map(|(currency, lines)| Sheet { currency, lines });
        desk.report.sheets.extend(sheets);
        Ok(())
    }
}
