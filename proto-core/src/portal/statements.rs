//! `GET /statement`: what moved on somebody's account, from the journal and nothing else.
//!
//! The journal is read a page a call; what was summed up so far travels in the `next` of the answer, so that neither side
//! holds more than a page. A user's account is what they have, spendable or held: a hold that opens or is released moves
//! nothing. A movement belongs to the month in which the portal's clock dated it; what is dated earlier makes the opening
//! balance, which is whole once `next` is null.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::FromStr;

use serde::Serialize;

use crate::limits::PORTAL_LIST;
use crate::money::{Currency, Micros};
use crate::store::{Range, Row};

use super::admin::{error_text, value};
use super::answer::{Answer, Refused, Step, Stepped};
use super::books::{Books, Fep};
use super::civil;
use super::ledger::Account;
use super::look::{self, Look};
use super::rows::{JOURNAL, JournalRow, Kind, numbered};

/// One page of a statement, and what the pages before it came to.
pub(super) struct Statement {
    account: Account,
    currency: Currency,
    /// Unix milliseconds, the second exclusive.
    from_ms: u64,
    to_ms: u64,
    so_far: SoFar,
}

#[derive(Clone, Copy, Default)]
struct SoFar {
    /// The last entry read.
    entry: u64,
    opening: Micros,
    moved: Micros,
}

#[derive(Serialize)]
struct Movement {
    entry: u64,
    at: String,
    kind: Kind,
    reference: String,
    amount: String,
}

pub(super) fn handle(fep: &Fep, books: &Books, query: &str) -> Stepped {
    let account = account(books, query)?;
    let currency = match value(query, "currency") {
        None => fep.config.currency.clone(),
        Some(currency) => currency.parse().map_err(|error| Refused::bad_request(error_text(error)))?,
    };
    let (from_ms, to_ms) = match value(query, "month") {
        None => (0, u64::MAX),
        Some(month) => civil::month(month)
            .ok_or_else(|| Refused::bad_request("month must be a year and a month, such as 2026-11"))?,
    };
    let so_far =
        value(query, "next").map_or(Ok(SoFar::default()), |next| next.parse().map_err(|()| made_up()))?;
    let range = Range {
        table: JOURNAL,
        from: numbered(so_far.entry.saturating_add(1)),
        to: numbered(books.ledger.last().saturating_add(1)),
        limit: PORTAL_LIST,
    };
    Ok(Step::Look(range, Look::Statement(Statement { account, currency, from_ms, to_ms, so_far })))
}

/// Of the journal's next rows, those that move the account.
pub(super) fn page(statement: Statement, rows: &[Row]) -> Result<Answer, Refused> {
    let Statement { account, currency, from_ms, to_ms, mut so_far } = statement;
    let entries: Vec<JournalRow> = look::all(JOURNAL, rows)?;
    let mut movements = Vec::new();
    for (row, entry) in rows.iter().zip(entries) {
        so_far.entry = row.key.parse().map_err(|_| unreadable())?;
        let amount = moved(&account, &entry).ok_or_else(unreadable)?;
        if amount == Micros::ZERO || entry.currency != currency || entry.at_ms >= to_ms {
            continue;
        }
        let sum = if entry.at_ms < from_ms { &mut so_far.opening } else { &mut so_far.moved };
        *sum = sum.checked_add(amount).ok_or_else(made_up)?;
        if entry.at_ms >= from_ms {
            movements.push(Movement {
                entry: so_far.entry,
                at: civil::text(entry.at_ms),
                kind: entry.kind,
                reference: entry.reference,
                amount: amount.to_string(),
            });
        }
    }
    let closing = so_far.opening.checked_add(so_far.moved).ok_or_else(made_up)?;
    let more = rows.len() >= PORTAL_LIST as usize;
    Ok(Answer::ok(&serde_json::json!({
        "account": account,
        "currency": currency,
        "movements": movements,
        "opening": so_far.opening.to_string(),
        "closing": closing.to_string(),
        "next": more.then(|| so_far.to_string()),
    })))
}

fn account(books: &Books, query: &str) -> Result<Account, Refused> {
    let node = |name: &str| {
        let given = value(query, name)?;
        Some(given.parse().map_err(|_| Refused::bad_request(alloc::format!("{name} must be a node's id"))))
    };
    let no_such = |what: &str| Refused::not_found(alloc::format!("there is no such {what}"));
    match (value(query, "user"), node("provider"), node("gateway")) {
        (Some(user), None, None) => Ok(Account::User(books.accounts.known(user.parse()?)?)),
        (None, Some(provider), None) => match provider? {
            provider if books.receipts.knows(provider) => Ok(Account::Provider(provider)),
            _ => Err(no_such("provider")),
        },
        (None, None, Some(gateway)) => {
            let gateway = gateway?;
            books.accounts.enrolled(gateway).map_err(|_| no_such("gateway"))?;
            Ok(Account::Gateway(gateway))
        }
        _ => Err(Refused::bad_request("name one account: user=U, provider=NODE or gateway=NODE")),
    }
}

/// By how much an entry changes what stands on the account. `None`: by more than can be counted.
fn moved(account: &Account, entry: &JournalRow) -> Option<Micros> {
    let is_part = |of: &Account| {
        of == account || matches!((of, account), (Account::Held(a), Account::User(b)) if a == b)
    };
    let parts = entry.postings.iter().filter(|posting| is_part(&posting.account));
    parts.into_iter().try_fold(Micros::ZERO, |sum, posting| sum.checked_add(posting.amount))
}

/// Or sums that no page gave: what is in the journal can be summed up.
fn made_up() -> Refused {
    Refused::bad_request("next must be what an earlier page gave")
}

fn unreadable() -> Refused {
    Refused::unavailable("the journal can't be summed up: see `labman-fep ledger`")
}

impl core::fmt::Display for SoFar {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}.{}", self.entry, self.opening.0, self.moved.0)
    }
}

impl FromStr for SoFar {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(());
        let entry = part()?.parse().map_err(|_| ())?;
        let opening = Micros(part()?.parse().map_err(|_| ())?);
        let moved = Micros(part()?.parse().map_err(|_| ())?);
        if parts.next().is_some() { Err(()) } else { Ok(Self { entry, opening, moved }) }
    }
}
