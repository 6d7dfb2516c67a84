//! The operator's surface: JSON over HTTP.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /users` | `{"name"}` | `{"user"}` |
//! | `POST /keys` | `{"user"}` | `{"api_key"}`, shown this once |
//! | `POST /deposits` | `{"user", "amount", "reference"}` | `{"user", "balance"}`; a reference is booked once |
//! | `POST /gateways` | `{"node_id", "name"}` | the same; again: renames |
//! | `POST /bonds` | `{"gateway", "amount", "reference"}` | `{"gateway", "bond"}`; a negative amount is paid out |
//! | `GET /users`, `/gateways` | | `{"users": [...]}`, `{"gateways": [...]}` |
//! | `GET /ledger` | | `{"balanced", "currency", "accounts": [...], "entries"}` |
//! | `GET /receipts?limit=N&skip=N`, `/payouts?limit=N&skip=N` | | `{"receipts": [...]}`, `{"payouts": [...]}`, newest first, but for the `skip` newest |
//!
//! Amounts and balances are decimal text, such as `"12.500000"`; receipts and payouts are the signed objects' own fields, in
//! micro-units.

use alloc::collections::BTreeMap;
use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;
use crate::limits::{PORTAL_LIST, PORTAL_TEXT};
use crate::machine::StreamId;
use crate::money::Micros;
use crate::rng::Stream;
use crate::store::{Range, Row, Table, Write};
use crate::time::Now;
use crate::wire::portal::Receipt;

use super::accounts::UserId;
use super::answer::{Answer, Refused, Step, Stepped};
use super::bonds;
use super::books::{Books, Fep};
use super::exchanges::Call;
use super::ledger::{self, Account, Entry};
use super::look::{self, Look};
use super::rows::{DEPOSITS, DepositRow, Kind, PAYOUTS, PayoutRow, RECEIPTS, ReceiptRow, numbered};
use super::writer::{Commit, Then};

pub(super) fn handle(
    fep: &Fep,
    books: &mut Books,
    random: &mut Stream,
    now: Now,
    stream: StreamId,
    call: &Call,
) -> Stepped {
    let (path, query) = call.head.path.split_once('?').unwrap_or((&call.head.path, ""));
    match (call.head.method.as_str(), path) {
        ("POST", "/users") => add_user(books, now, stream, parse(&call.body)?),
        ("POST", "/keys") => add_key(books, random, now, stream, parse(&call.body)?),
        ("POST", "/deposits") => deposit(books, parse(&call.body)?),
        ("POST", "/gateways") => add_gateway(books, now, stream, parse(&call.body)?),
        ("POST", "/bonds") => {
            let body: bonds::PayBond = parse(&call.body)?;
            must_be_text("reference", &body.reference)?;
            bonds::pay(books, body)
        }
        ("GET", "/users") => Ok(Step::Answer(users(books))),
        ("GET", "/gateways") => Ok(Step::Answer(gateways(books))),
        ("GET", "/ledger") => Ok(Step::Answer(check_ledger(fep, books))),
        ("GET", "/receipts") => {
            Ok(Step::Look(newest(RECEIPTS, books.receipts.last(), query)?, Look::Receipts))
        }
        ("GET", "/payouts") => Ok(Step::Look(newest(PAYOUTS, books.payouts, query)?, Look::Payouts)),
        (method, path) => Err(Refused::not_found(alloc::format!("there is no {method} {path} here"))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddUser {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddKey {
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddDeposit {
    user: String,
    /// Decimal.
    amount: String,
    reference: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddGateway {
    node_id: NodeId,
    name: String,
}

/// A deposit to be booked, if its reference is new.
pub(super) struct Deposit {
    user: UserId,
    amount: Micros,
    reference: String,
}

fn add_user(books: &mut Books, now: Now, stream: StreamId, body: AddUser) -> Stepped {
    must_be_text("name", &body.name)?;
    let (user, write) = books.accounts.add_user(body.name, now.wall.0)?;
    let answer = Answer::ok(&serde_json::json!({ "user": user }));
    commit(stream, alloc::vec![write], answer, alloc::format!("user {user} added"))
}

fn add_key(books: &mut Books, random: &mut Stream, now: Now, stream: StreamId, body: AddKey) -> Stepped {
    let user = body.user.parse()?;
    let (api_key, write) = books.accounts.add_key(user, random, now.wall.0)?;
    let answer = Answer::ok(&serde_json::json!({ "api_key": api_key }));
    commit(stream, alloc::vec![write], answer, alloc::format!("an API key was made for {user}"))
}

fn add_gateway(books: &mut Books, now: Now, stream: StreamId, body: AddGateway) -> Stepped {
    must_be_text("name", &body.name)?;
    let batch = books.accounts.add_gateway(body.node_id, body.name.clone(), now.wall.0)?;
    let told = alloc::format!("gateway {} enrolled", body.node_id);
    commit(stream, batch, Answer::ok(&body), told)
}

fn deposit(books: &Books, body: AddDeposit) -> Stepped {
    let user = books.accounts.known(body.user.parse()?)?;
    let amount: Micros = body.amount.parse().map_err(|error| Refused::bad_request(error_text(error)))?;
    if amount <= Micros::ZERO {
        return Err(Refused::bad_request("a deposit's amount must be above zero"));
    }
    must_be_text("reference", &body.reference)?;
    let range = Range::exactly(DEPOSITS, &body.reference);
    Ok(Step::Look(range, Look::Deposit(Deposit { user, amount, reference: body.reference })))
}

/// Books a deposit, once the store has said whether its reference was booked before.
pub(super) fn book_deposit(
    books: &mut Books,
    now: Now,
    stream: StreamId,
    deposit: Deposit,
    before: Option<DepositRow>,
) -> Stepped {
    let Deposit { user, amount, reference } = deposit;
    let answer =
        |balance: Micros| Answer::ok(&serde_json::json!({ "user": user, "balance": balance.to_string() }));
    if let Some(before) = before {
        return match (before.user, before.amount) == (user, amount) {
            true => Ok(Step::Answer(answer(before.balance))),
            false => Err(Refused::conflict("this reference was booked for another user or amount")),
        };
    }
    let entry = Entry {
        kind: Kind::Deposit,
        reference: reference.clone(),
        at_ms: now.wall.0,
        postings: ledger::transfer(Account::Deposits, Account::User(user), amount),
    };
    let posted = books.ledger.post(entry);
    let mut batch = posted.map_err(|refusal| Refused::bad_request(error_text(refusal)))?;
    let balance = books.ledger.balance(Account::User(user));
    let row = DepositRow { user, amount, balance, at_ms: now.wall.0 };
    let told = alloc::format!("deposit of {amount} for {user}, reference {reference:?}");
    batch.push(Write::Insert(DEPOSITS, Row::json(reference, &row)));
    commit(stream, batch, answer(balance), told)
}

fn users(books: &Books) -> Answer {
    #[derive(Serialize)]
    struct User<'a> {
        user: UserId,
        name: &'a str,
        balance: String,
        held: String,
    }
    let balance = |account| books.ledger.balance(account).to_string();
    let users: Vec<_> = books
        .accounts
        .users()
        .map(|(user, name)| User {
            user,
            name,
            balance: balance(Account::User(user)),
            held: balance(Account::Held(user)),
        })
        .collect();
    Answer::ok(&serde_json::json!({ "users": users }))
}

fn gateways(books: &Books) -> Answer {
    #[derive(Serialize)]
    struct Gateway<'a> {
        node_id: NodeId,
        name: &'a str,
        bond: String,
        /// Of the bond.
        locked: String,
    }
    let bond = |node_id| books.ledger.balance(Account::Bond(node_id)).to_string();
    let locked = |node_id| books.holds.locked(node_id).to_string();
    let gateways = books.accounts.gateways().map(|(node_id, name)| Gateway {
        node_id,
        name,
        bond: bond(node_id),
        locked: locked(node_id),
    });
    let gateways: Vec<_> = gateways.collect();
    Answer::ok(&serde_json::json!({ "gateways": gateways }))
}

/// Balanced: all accounts sum to zero (I1), and what is held is what the open holds say.
fn check_ledger(fep: &Fep, books: &Books) -> Answer {
    #[derive(Serialize)]
    struct Line {
        account: Account,
        balance: String,
    }
    let mut open: BTreeMap<UserId, i128> = BTreeMap::new();
    for hold in books.holds.iter() {
        *open.entry(hold.user).or_default() += i128::from(hold.amount().0);
    }
    open.retain(|_, amount| *amount != 0);
    let held: BTreeMap<UserId, i128> = books
        .ledger
        .balances()
        .filter_map(|(account, balance)| match account {
            Account::Held(user) => Some((user, i128::from(balance.0))),
            _ => None,
        })
        .collect();
    let balanced = books.ledger.sums_to_zero() && open == held;
    let lines: Vec<_> = books
        .ledger
        .balances()
        .map(|(account, balance)| Line { account, balance: balance.to_string() })
        .collect();
    Answer::ok(&serde_json::json!({
        "balanced": balanced,
        "currency": fep.config.currency,
        "accounts": lines,
        "entries": books.ledger.last(),
    }))
}

/// The newest receipts, from their rows in rising order.
pub(super) fn receipts(books: &Books, rows: &[Row]) -> Result<Answer, Refused> {
    #[derive(Serialize)]
    struct Line {
        state: &'static str,
        #[serde(flatten)]
        receipt: Receipt,
    }
    let rows: Vec<ReceiptRow> = look::all(RECEIPTS, rows)?;
    let lines: Vec<_> = rows
        .into_iter()
        .rev()
        .map(|ReceiptRow { receipt, .. }| {
            let unclaimed = books.receipts.unclaimed(receipt.receipt_id).is_some();
            Line { state: if unclaimed { "unclaimed" } else { "paid" }, receipt }
        })
        .collect();
    Ok(Answer::ok(&serde_json::json!({ "receipts": lines })))
}

/// The newest payouts, from their rows in rising order.
pub(super) fn payouts(rows: &[Row]) -> Result<Answer, Refused> {
    let mut payouts: Vec<PayoutRow> = look::all(PAYOUTS, rows)?;
    payouts.reverse();
    Ok(Answer::ok(&serde_json::json!({ "payouts": payouts })))
}

fn commit(stream: StreamId, batch: Vec<Write>, answer: Answer, told: String) -> Stepped {
    Ok(Step::Commit(Commit { batch, then: Then::Answer(stream, answer), told }))
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::bad_request(error_text(error)))
}

fn error_text(error: impl core::fmt::Display) -> String {
    alloc::format!("{error}")
}

fn must_be_text(what: &str, text: &str) -> Result<(), Refused> {
    match (1..=PORTAL_TEXT).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        true => Ok(()),
        false => {
            Err(Refused::bad_request(alloc::format!("{what} must be 1 to {PORTAL_TEXT} ASCII characters")))
        }
    }
}

/// The last rows of a table whose keys are the numbers up to `last`: `limit` of them, but for the `skip` newest.
fn newest(table: Table, last: u64, query: &str) -> Result<Range, Refused> {
    let limit = number(query, "limit")?.unwrap_or(PORTAL_LIST).min(PORTAL_LIST);
    let last = last.saturating_sub(u64::from(number(query, "skip")?.unwrap_or(0)));
    let from = numbered(last.saturating_sub(u64::from(limit)) + 1);
    Ok(Range { table, from, to: numbered(last + 1), limit })
}

fn number(query: &str, name: &str) -> Result<Option<u32>, Refused> {
    let given = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let number = given.map(str::parse::<u32>).transpose();
    number.map_err(|_| Refused::bad_request(alloc::format!("{name} must be a number")))
}
