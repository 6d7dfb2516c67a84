//! Money on its way out, and what the rails made of it: each transfer once, and all that is claimed for it (I3).

use alloc::collections::BTreeMap;
use alloc::format;

use crate::audit::{Desk, Invariant, Reader, place};
use crate::identity::NodeId;
use crate::portal::accounts::UserId;
use crate::portal::ledger::Account;
use crate::portal::rows::{
    ACCEPTED, AcceptedRow, BALANCES, BalanceRow, CLAIMS, ClaimRow, CountersRow, Ended, Purpose, RAIL,
    RailRow, TRANSFERS, TRANSFERS_ENDED, TransferRow, WITHDRAWALS, WithdrawalRow, balance_key, claim_key,
    numbered,
};
use crate::wire::portal::ClaimDecision;

use super::ledger::Booked;
use super::wide;

pub(super) fn check<R: Reader>(
    desk: &mut Desk<'_, R>,
    booked: &Booked,
    last: &CountersRow,
) -> Result<(), R::Error> {
    let mut made = 0u64;
    let mut leaving = booked.leaving.clone();
    let mut fees: BTreeMap<NodeId, i128> = BTreeMap::new();
    desk.each(TRANSFERS, |desk, key, row: TransferRow| {
        let open = row.ended.is_none() && !desk.has(TRANSFERS_ENDED, key)? && key == numbered(row.transfer);
        desk.report.must(Invariant::I3, open, place(TRANSFERS, key), || "is open and has ended".into());
        // It may have been made, and nobody has heard of it yet.
        made += u64::from(is_on_rail(desk, &row)?);
        match &row.purpose {
            Purpose::Payout { provider, claims } => {
                let mut sum = 0;
                for claim in claims {
                    let accepted: Option<AcceptedRow> = desk.get(ACCEPTED, &claim_key(*provider, *claim))?;
                    let own = accepted.filter(|accepted| {
                        let to = (&accepted.to.address, &accepted.to.currency);
                        accepted.transfer == Some(row.transfer) && to == (&row.to, &row.currency)
                    });
                    sum += own.map_or(0, |accepted| wide(accepted.amount));
                }
                must_sum(desk, TRANSFERS.name, key, sum, wide(row.amount));
            }
            Purpose::Withdrawal { user, reference } => {
                let left = leaving.remove(reference) == Some((*user, wide(row.amount)));
                let what = || format!("takes out what {user} did not, or not so");
                desk.report.must(Invariant::I3, left, place(TRANSFERS, key), what);
                must_name(desk, TRANSFERS.name, key, (*user, reference), &row)?;
            }
            Purpose::GatewayFees { gateway } => *fees.entry(*gateway).or_default() += wide(row.amount),
        }
        Ok(())
    })?;
    for (gateway, sent) in fees {
        let account = balance_key(&last.currency, &Account::Gateway(gateway));
        let has: Option<BalanceRow> = desk.get(BALANCES, &account)?;
        let has = has.map_or(0, |row| wide(row.balance));
        let what = || format!("is {has} micro-units, and {sent} of it are on their way");
        desk.report.must(Invariant::I3, sent <= has, || account.clone(), what);
    }
    let mut gateways_paid = booked.gateways_paid.clone();
    for (reference, (user, amount)) in &leaving {
        let what = || format!("{amount} micro-units of {user} leave, and no transfer takes them");
        desk.report.must(Invariant::I3, false, place(WITHDRAWALS, reference), what);
    }
    desk.each(TRANSFERS_ENDED, |desk, key, row: TransferRow| {
        let its_own = key == numbered(row.transfer);
        desk.report.must(Invariant::I3, its_own, place(TRANSFERS_ENDED, key), || "is another's end".into());
        let on_rail = is_on_rail(desk, &row)?;
        let as_it_says = match &row.ended {
            Some(Ended::Confirmed { .. }) => on_rail,
            Some(Ended::Failed { .. }) => !on_rail,
            None => false,
        };
        let what = || "ended otherwise than its rail says".into();
        desk.report.must(Invariant::I3, as_it_says, place(TRANSFERS_ENDED, key), what);
        made += u64::from(on_rail);
        match (&row.purpose, &row.ended) {
            (Purpose::Payout { provider, claims }, Some(Ended::Confirmed { tx, .. })) => {
                let mut sum = 0;
                for claim in claims {
                    let claim: Option<ClaimRow> = desk.get(CLAIMS, &claim_key(*provider, *claim))?;
                    let paid = claim.and_then(|row| desk.checked_paper::<ClaimDecision>(&row.decision.0));
                    let payout = paid.and_then(|paid| paid.content.payout);
                    let payout =
                        payout.filter(|paid| paid.rail_tx == *tx && paid.to.currency == row.currency);
                    sum += payout.map_or(0, |payout| wide(payout.amount));
                }
                must_sum(desk, TRANSFERS_ENDED.name, key, sum, wide(row.amount));
            }
            (Purpose::Withdrawal { user, reference }, _) => {
                must_name(desk, TRANSFERS_ENDED.name, key, (*user, reference), &row)?;
            }
            (Purpose::GatewayFees { .. }, Some(Ended::Confirmed { .. })) => {
                let known = gateways_paid.remove(&row.transfer);
                let what = || "has arrived at a gateway, and is not in the journal".into();
                desk.report.must(Invariant::I3, known, place(TRANSFERS_ENDED, key), what);
            }
            (Purpose::Payout { .. } | Purpose::GatewayFees { .. }, _) => {}
        }
        Ok(())
    })?;
    let mut on_rails = 0u64;
    desk.each(RAIL, |_, _, _: RailRow| {
        on_rails += 1;
        Ok(())
    })?;
    let what = || format!("the rails made {on_rails} transfers, {made} are known");
    desk.report.must(Invariant::I3, on_rails == made, || RAIL.name.into(), what);
    Ok(())
}

fn is_on_rail<R: Reader>(desk: &mut Desk<'_, R>, transfer: &TransferRow) -> Result<bool, R::Error> {
    let row: Option<RailRow> = desk.get(RAIL, &transfer.key)?;
    Ok(row.is_some_and(|row| {
        // A rail's own addresses have no name of the rail in front of them.
        let there = transfer.to.ends_with(&row.address);
        let made = (&row.rail, &row.currency, row.amount);
        let as_ended = match &transfer.ended {
            Some(Ended::Confirmed { tx, .. }) => *tx == row.tx,
            Some(Ended::Failed { .. }) | None => true,
        };
        as_ended && there && made == (&transfer.rail, &transfer.currency, transfer.amount)
    }))
}

fn must_sum<R: Reader>(desk: &mut Desk<'_, R>, table: &str, key: &str, claims: i128, amount: i128) {
    let what = || format!("brings {amount} micro-units, its claims come to {claims}");
    desk.report.must(Invariant::I3, claims == amount, || format!("{table} {key}"), what);
}

fn must_name<R: Reader>(
    desk: &mut Desk<'_, R>,
    table: &str,
    key: &str,
    (user, reference): (UserId, &str),
    transfer: &TransferRow,
) -> Result<(), R::Error> {
    let row: Option<WithdrawalRow> = desk.get(WITHDRAWALS, reference)?;
    let same = row.is_some_and(|row| {
        (row.user, row.transfer, row.amount, &row.to)
            == (user, transfer.transfer, transfer.amount, &transfer.to)
    });
    let what = || "is of another withdrawal".into();
    desk.report.must(Invariant::I3, same, || format!("{table} {key}"), what);
    Ok(())
}
