//! `POST /withdrawals`: a user's money goes back over a rail.
//!
//! It leaves the user's balance at once and stands on an account of its own while it is on its way, so that it can't be spent
//! meanwhile. What a rail finally refuses is booked back: the user may take it out again, to another address.

use alloc::string::{String, ToString};

use crate::limits::PORTAL_TRANSFERS;
use crate::machine::StreamId;
use crate::money::Micros;
use crate::store::{Range, Row, Write};
use crate::time::Now;
use crate::wire::portal::PayoutTo;

use super::accounts::UserId;
use super::admin::{error_text, must_be_text, parse};
use super::answer::{Answer, Refused, Step, Stepped};
use super::books::{Books, Fep};
use super::ledger::{self, Account, Entry, Refusal};
use super::look::Look;
use super::rails::address;
use super::rows::{Ended, Kind, Purpose, TransferRow, WITHDRAWALS, WithdrawalRow};
use super::writer::{Commit, Then};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdraw {
    user: String,
    /// Decimal.
    amount: String,
    to: String,
    reference: String,
}

/// A withdrawal to be made, if its reference is new.
pub(super) struct Withdrawal {
    user: UserId,
    amount: Micros,
    to: PayoutTo,
    reference: String,
}

pub(super) fn handle(fep: &Fep, books: &Books, body: &[u8]) -> Stepped {
    let Withdraw { user, amount, to, reference } = parse(body)?;
    let user = books.accounts.known(user.parse()?)?;
    let amount: Micros = amount.parse().map_err(|error| Refused::bad_request(error_text(error)))?;
    let to = PayoutTo { currency: fep.config.currency.clone(), address: to };
    let least = address::payable(&fep.config, &to).map_err(Refused::bad_request)?.least_payout;
    if amount <= Micros::ZERO || amount < least {
        let message = alloc::format!("a withdrawal must be above zero and at least {least} over this rail");
        return Err(Refused::bad_request(message));
    }
    must_be_text("reference", &reference)?;
    let range = Range::exactly(WITHDRAWALS, &reference);
    Ok(Step::Look(range, Look::Withdrawal(Withdrawal { user, amount, to, reference })))
}

/// Schedules it, once the store has said whether its reference was used before.
pub(super) fn decide(
    fep: &Fep,
    books: &mut Books,
    now: Now,
    stream: StreamId,
    withdrawal: Withdrawal,
    before: Option<WithdrawalRow>,
) -> Stepped {
    let Withdrawal { user, amount, to, reference } = withdrawal;
    if let Some(before) = before {
        return match (before.user, before.amount, &before.to) == (user, amount, &to.address) {
            true => Ok(Step::Answer(answer(&before))),
            false => Err(Refused::conflict("this reference was used for another user, amount or address")),
        };
    }
    let rail = address::payable(&fep.config, &to).map_err(Refused::bad_request)?.rail;
    if books.transfers.len() >= PORTAL_TRANSFERS {
        return Err(Refused::unavailable("too many transfers are on their way; ask again"));
    }
    let posted = books.ledger.post(Entry {
        kind: Kind::Withdrawal,
        reference: reference.clone(),
        at_ms: now.wall.0,
        postings: ledger::transfer(Account::User(user), Account::Leaving(user), amount),
    });
    let mut batch = posted.map_err(|refusal| match refusal {
        Refusal::Overdrawn(_) => Refused::insufficient_quota(alloc::format!("the balance is below {amount}")),
        Refusal::Overflow | Refusal::Unbalanced => Refused::bad_request(error_text(refusal)),
    })?;
    let purpose = Purpose::Withdrawal { user, reference: reference.clone() };
    let (transfer, write) = books.transfers.schedule(fep, rail, to.clone(), amount, purpose, now.wall.0);
    let balance = books.ledger.balance(Account::User(user));
    let row = WithdrawalRow { user, amount, to: to.address, transfer, balance, at_ms: now.wall.0 };
    let told = alloc::format!("withdrawal of {amount} for {user} scheduled as transfer {transfer}");
    let answer = Some((stream, answer(&row)));
    batch.push(write);
    batch.push(Write::Insert(WITHDRAWALS, Row::json(reference, &row)));
    Ok(Step::Commit(Commit { batch, then: Then::Scheduled { transfer, answer }, told }))
}

/// A rail's last word on a withdrawal.
pub(super) fn ended(
    books: &mut Books,
    now: Now,
    transfer: &TransferRow,
    user: UserId,
    reference: &str,
) -> Result<Commit, Refused> {
    let (kind, to, what) = match &transfer.ended {
        Some(Ended::Confirmed { tx, .. }) => (Kind::Withdrawn, Account::Withdrawals, tx),
        Some(Ended::Failed { why, .. }) => (Kind::WithdrawalFailed, Account::User(user), why),
        None => return Err(Refused::unavailable("this transfer has not ended")),
    };
    let posted = books.ledger.post(Entry {
        kind,
        reference: reference.into(),
        at_ms: now.wall.0,
        postings: ledger::transfer(Account::Leaving(user), to, transfer.amount),
    });
    let batch = posted.map_err(|refusal| Refused::unavailable(error_text(refusal)))?;
    let moved = if kind == Kind::Withdrawn { "left" } else { "was booked back" };
    let told = alloc::format!("withdrawal of {} for {user} {moved}: {what}", transfer.amount);
    Ok(Commit { batch, then: Then::Paid(alloc::vec::Vec::new()), told })
}

fn answer(row: &WithdrawalRow) -> Answer {
    let balance = row.balance.to_string();
    Answer::ok(&serde_json::json!({ "user": row.user, "balance": balance, "transfer": row.transfer }))
}
