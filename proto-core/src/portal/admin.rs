//! The operator's surface: JSON over HTTP.
//!
//! [`ROUTES`] is the list of its calls; `GET /openapi.json` gives it to others.
//!
//! Amounts and balances are decimal text, such as `"12.500000"`; receipts and payouts are the signed objects' own fields, in
//! micro-units.

use alloc::collections::BTreeMap;
use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use crate::http::Surface;
use crate::identity::NodeId;
use crate::limits::{PORTAL_LIST, PORTAL_TEXT};
use crate::machine::StreamId;
use crate::money::{Currency, Micros};
use crate::rng::Stream;
use crate::store::{Range, Row, Table, Write};
use crate::time::Now;
use crate::wire::portal::Receipt;

use super::accounts::UserId;
use super::answer::{Answer, Refused, Step, Stepped};
use super::bonds;
use super::books::{Books, Fep};
use super::claimed::Pages;
use super::ledger::{self, Account, Entry};
use super::look::{self, Look};
use super::rails::operator;
use super::routes::{Field, Gives, Is, PAGE, Route, Takes, field};
use super::rows::{
    DEPOSITS, DepositRow, KeyState, Kind, PAYOUTS, PayoutRow, Purpose, RECEIPTS, ReceiptRow, TRANSFERS_ENDED,
    numbered,
};
use super::writer::{Commit, Then};
use super::{disputes, gateway_fees, openapi, quotes, signing, statements, withdrawals};

const USER: Field = field("user", Is::UserId, "the user's id");

const RING: &[Field] = &[
    field("fep_id", Is::NodeId, "the root"),
    field("serial", Is::Count64, "higher than that of the ring before"),
    field("keys", Is::List, "key, from_ms, until_ms, revoked_from_ms, held, signs"),
    field("ring", Is::Hex, "the signed KeyRing, in hex"),
];

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/users",
        about: "Opens an account",
        takes: Takes::Json(&[field("name", Is::Text, "what people call its user")]),
        gives: Gives::Json(&[USER]),
        run: |cx, call| add_user(cx.books, cx.now, cx.stream, parse(&call.body)?),
    },
    Route {
        method: "GET",
        path: "/users",
        about: "Lists the users, with what each can spend and what is held of it",
        takes: Takes::Nothing,
        gives: Gives::Json(&[field("users", Is::List, "user, name, balance, held")]),
        run: |cx, _| Ok(Step::Answer(users(cx.books))),
    },
    Route {
        method: "POST",
        path: "/keys",
        about: "Makes an API key",
        takes: Takes::Json(&[USER]),
        gives: Gives::Secret(
            &[
                field("api_key", Is::Text, "shown this once"),
                field("key", Is::Text, "what it is called here"),
            ],
            "api_key",
        ),
        run: |cx, call| add_key(cx.books, cx.random, cx.now, cx.stream, parse(&call.body)?),
    },
    Route {
        method: "GET",
        path: "/keys",
        about: "Lists API keys, by what they are called here",
        takes: Takes::Query(&[USER, PAGE[0], PAGE[1]]),
        gives: Gives::Json(&[field("keys", Is::List, "key, user, created_ms, state")]),
        run: |cx, call| keys(cx.books, call.query()).map(Step::Answer),
    },
    Route {
        method: "POST",
        path: "/keys/state",
        about: "Freezes an API key, thaws it, or revokes it for good; what was authorized under it stands",
        takes: Takes::Json(&[
            field("key", Is::Text, "what the list calls it"),
            field("state", Is::OneOf(&["active", "frozen", "revoked"]), "from now on"),
        ]),
        gives: Gives::Json(&[
            field("key", Is::Text, "the same"),
            USER,
            field("created_ms", Is::Count64, "Unix milliseconds"),
            field("state", Is::Text, "the same"),
        ]),
        run: |cx, call| set_key(cx.books, cx.stream, parse(&call.body)?),
    },
    Route {
        method: "POST",
        path: "/deposits",
        about: "Credits a user with what came over a rail; a reference is booked once",
        takes: Takes::Json(&[
            USER,
            field("amount", Is::Amount, "above zero"),
            field("reference", Is::Text, "names what came"),
        ]),
        gives: Gives::Json(&[USER, field("balance", Is::Amount, "what the user could spend right after it")]),
        run: |cx, call| deposit(cx.books, parse(&call.body)?),
    },
    Route {
        method: "POST",
        path: "/withdrawals",
        about: "Sends a user's money back over a rail; a reference is used once",
        takes: Takes::Json(&[
            USER,
            field("amount", Is::Amount, "at least the rail's least payout"),
            field("to", Is::Text, "an address of a rail that is offered"),
            field("reference", Is::Text, "names the withdrawal"),
        ]),
        gives: Gives::Json(&[
            USER,
            field("balance", Is::Amount, "what the user could spend right after it"),
            field("transfer", Is::Count64, "that brings it"),
        ]),
        run: |cx, call| withdrawals::handle(cx.fep, cx.books, &call.body),
    },
    Route {
        method: "POST",
        path: "/gateways",
        about: "Enrols a gateway, or renames it",
        takes: Takes::Json(GATEWAY),
        gives: Gives::Json(GATEWAY),
        run: |cx, call| add_gateway(cx.books, cx.now, cx.stream, parse(&call.body)?),
    },
    Route {
        method: "POST",
        path: "/bonds",
        about: "Pays into a gateway's bond, or out of it as far as it is free; a reference is booked once",
        takes: Takes::Json(&[
            field("gateway", Is::NodeId, "its id"),
            field("amount", Is::Amount, "negative: paid out"),
            field("reference", Is::Text, "names the payment"),
        ]),
        gives: Gives::Json(&[
            field("gateway", Is::NodeId, "the same"),
            field("bond", Is::Amount, "what it is right after it"),
        ]),
        run: |cx, call| {
            let body: bonds::PayBond = parse(&call.body)?;
            must_be_text("reference", &body.reference)?;
            bonds::pay(cx.books, body)
        },
    },
    Route {
        method: "GET",
        path: "/gateways",
        about: "Lists the gateways, with their bonds, what of them is locked, their fees, and where those go",
        takes: Takes::Nothing,
        gives: Gives::Json(&[field("gateways", Is::List, "node_id, name, bond, locked, fees, payout_to")]),
        run: |cx, _| Ok(Step::Answer(gateways(cx.books))),
    },
    Route {
        method: "POST",
        path: "/gateways/payout-to",
        about: "Says where a gateway's fees go from now on",
        takes: Takes::Json(PAID_AT),
        gives: Gives::Json(PAID_AT),
        run: |cx, call| gateway_fees::set_address(cx.fep, cx.books, cx.stream, parse(&call.body)?),
    },
    Route {
        method: "POST",
        path: "/gateways/pay",
        about: "Sends a gateway all of its fees, as is done each day",
        takes: Takes::Json(&[field("gateway", Is::NodeId, "its id")]),
        gives: Gives::Json(&[
            field("gateway", Is::NodeId, "the same"),
            field("amount", Is::Amount, "that is sent"),
            field("transfer", Is::Count64, "that brings it"),
        ]),
        run: |cx, call| gateway_fees::pay(cx.fep, cx.books, cx.now, cx.stream, parse(&call.body)?),
    },
    Route {
        method: "GET",
        path: "/ring",
        about: "The key ring in force: which keys sign for this FEP, and when",
        takes: Takes::Nothing,
        gives: Gives::Json(RING),
        run: |cx, _| Ok(Step::Answer(signing::shown(cx.fep, cx.now))),
    },
    Route {
        method: "POST",
        path: "/ring",
        about: "Puts a key ring in force that the root has signed and that follows the one before",
        takes: Takes::Json(&[field("ring", Is::Hex, "the signed KeyRing, in hex")]),
        gives: Gives::Json(RING),
        run: |cx, call| signing::handle(cx.fep, &call.body),
    },
    Route {
        method: "GET",
        path: "/ledger",
        about: "Every account's balance, and whether they sum to zero and agree with what is held and on its way",
        takes: Takes::Nothing,
        gives: Gives::Json(&[
            field("balanced", Is::Flag, "false: stop this FEP"),
            field("currency", Is::Text, "what users are billed in"),
            field("accounts", Is::List, "currency, account, balance"),
            field("entries", Is::Count64, "of the journal"),
        ]),
        run: |cx, _| Ok(Step::Answer(check_ledger(cx.fep, cx.books))),
    },
    Route {
        method: "GET",
        path: "/statement",
        about: "What moved on one account, from the journal, page by page; opening and closing are whole once next is null",
        takes: Takes::Query(&[
            USER,
            field("provider", Is::NodeId, "instead: a provider's account"),
            field("gateway", Is::NodeId, "instead: a gateway's account"),
            field("currency", Is::Text, "of a provider's account; the billing currency where it is left out"),
            field("month", Is::Month, "of UTC, such as 2026-11; all time where it is left out"),
            field("next", Is::Text, "as the page before gave it"),
        ]),
        gives: Gives::Json(&[
            field("account", Is::Text, "as the ledger calls it"),
            field("currency", Is::Text, "of all amounts"),
            field("movements", Is::List, "entry, at, kind, reference, amount"),
            field("opening", Is::Amount, "before the month"),
            field("closing", Is::Amount, "after the movements so far"),
            field("next", Is::MaybeText, "for the next page"),
        ]),
        run: |cx, call| statements::handle(cx.fep, cx.books, call.query()),
    },
    Route {
        method: "GET",
        path: "/receipts",
        about: "Lists receipts as they were signed, in micro-units",
        takes: Takes::Query(PAGE),
        gives: Gives::Json(&[field("receipts", Is::List, "the receipt's fields, and state")]),
        run: |cx, call| {
            Ok(Step::Look(newest(RECEIPTS, cx.books.receipts.last(), call.query())?, Look::Receipts))
        },
    },
    Route {
        method: "GET",
        path: "/payouts",
        about: "Lists what providers were paid, in micro-units",
        takes: Takes::Query(PAGE),
        gives: Gives::Json(&[field(
            "payouts",
            Is::List,
            "the payout's fields, provider, claim_id, receipts, at_ms",
        )]),
        run: |cx, call| Ok(Step::Look(newest(PAYOUTS, cx.books.payouts, call.query())?, Look::Payouts)),
    },
    Route {
        method: "GET",
        path: "/payouts/open",
        about: "Lists claims that are accepted and not paid, in micro-units; transfer is null for what is carried over",
        takes: Takes::Query(PAGE),
        gives: Gives::Json(&[field(
            "open",
            Is::List,
            "claim_id, provider, to, amount, receipts, at_ms, transfer",
        )]),
        run: |cx, call| operator::open_payouts(cx.books, call.query()).map(Step::Answer),
    },
    Route {
        method: "GET",
        path: "/transfers",
        about: "Lists transfers that ended, in micro-units; the open ones' numbers are missing",
        takes: Takes::Query(PAGE),
        gives: Gives::Json(&[field(
            "transfers",
            Is::List,
            "transfer, rail, key, to, amount, purpose, ended",
        )]),
        run: |cx, call| {
            let range = newest(TRANSFERS_ENDED, cx.books.transfers.last(), call.query())?;
            Ok(Step::Look(range, Look::Transfers))
        },
    },
    Route {
        method: "GET",
        path: "/transfers/open",
        about: "Lists transfers that are scheduled or sent, in micro-units",
        takes: Takes::Query(PAGE),
        gives: Gives::Json(&[field(
            "transfers",
            Is::List,
            "transfer, rail, key, to, amount, purpose, state",
        )]),
        run: |cx, call| operator::open_transfers(cx.books, call.query()).map(Step::Answer),
    },
    Route {
        method: "GET",
        path: "/disputes",
        about: "Lists lines that were not paid and that their providers dispute, the oldest first, until somebody decides",
        takes: Takes::Nothing,
        gives: Gives::Json(&[field(
            "disputes",
            Is::List,
            "receipt_id, claim_id, provider, payout, currency, address, reason, raised_ms, until_ms",
        )]),
        run: |cx, _| Ok(Step::Answer(disputes::list(cx.books))),
    },
    Route {
        method: "POST",
        path: "/disputes/decide",
        about: "Decides an open dispute: its provider is told, by this FEP's signature",
        takes: Takes::Json(disputes::DECIDE),
        gives: Gives::Json(disputes::DECIDED),
        run: |cx, call| disputes::decide(cx.books, parse(&call.body)?),
    },
    Route {
        method: "GET",
        path: "/rails",
        about: "Lists the rails that are offered, and the trouble that was ordered",
        takes: Takes::Nothing,
        gives: Gives::Json(&[
            field("rails", Is::List, "rail, currency, least_payout"),
            field("faults", Is::List, "rail, fault, times"),
        ]),
        run: |cx, _| Ok(Step::Answer(operator::rails(cx.fep, cx.books))),
    },
    Route {
        method: "POST",
        path: "/rails/faults",
        about: "Orders trouble with a mock rail: it befalls the next transfers over it",
        takes: Takes::Json(FAULT),
        gives: Gives::Json(FAULT),
        run: |cx, call| operator::order_fault(cx.books, cx.stream, parse(&call.body)?),
    },
    Route {
        method: "POST",
        path: "/fx",
        about: "Says what another currency is worth, for a while: providers may be paid in it",
        takes: Takes::Json(&[
            field("currency", Is::Text, "other than the billing currency"),
            field("rate", Is::Text, "what a unit of the billing currency is worth, such as 0.92 or 23/25"),
            field("valid_for_s", Is::Count, "then it lapses, and offers in that currency are refused"),
        ]),
        gives: Gives::Json(QUOTE),
        run: |cx, call| quotes::set(cx.fep, cx.books, cx.now, cx.stream, parse(&call.body)?),
    },
    Route {
        method: "POST",
        path: "/fx/drop",
        about: "Takes a quote back; what was authorized at it stands",
        takes: Takes::Json(&[field("currency", Is::Text, "that is quoted")]),
        gives: Gives::Json(&[field("currency", Is::Text, "the same")]),
        run: |cx, call| quotes::drop(cx.books, cx.stream, parse(&call.body)?),
    },
    Route {
        method: "GET",
        path: "/fx",
        about: "Lists the quotes, with those that have lapsed",
        takes: Takes::Nothing,
        gives: Gives::Json(&[field("quotes", Is::List, "currency, rate, until_ms, at_ms, state")]),
        run: |cx, _| Ok(Step::Answer(quotes::list(cx.books, cx.now))),
    },
    Route {
        method: "GET",
        path: "/openapi.json",
        about: "This document",
        takes: Takes::Nothing,
        gives: Gives::Document,
        run: |_, _| Ok(Step::Answer(Answer::ok(&openapi::document(Surface::Admin)))),
    },
];

const GATEWAY: &[Field] =
    &[field("node_id", Is::NodeId, "its id"), field("name", Is::Text, "what people call it")];

const PAID_AT: &[Field] = &[
    field("gateway", Is::NodeId, "its id"),
    field("to", Is::Text, "an address of a rail that is offered in the billing currency"),
];

const QUOTE: &[Field] = &[
    field("currency", Is::Text, "the same"),
    field("rate", Is::Text, "as a fraction, in its smallest numbers"),
    field("until_ms", Is::Count64, "when it lapses, in Unix milliseconds"),
    field("at_ms", Is::Count64, "when it was set, likewise"),
    field("state", Is::OneOf(&["valid", "lapsed"]), "now"),
];

const FAULT: &[Field] = &[
    field("rail", Is::OneOf(&["test", "mock-crypto", "mock-fiat"]), "the rail"),
    field(
        "fault",
        Is::OneOf(&["failed", "answer_lost", "ask_lost"]),
        "it fails for good; it is made and nobody hears; it is never heard of",
    ),
    field("times", Is::Count, "how many transfers; 0: none, and what was ordered before is off"),
];

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
    let (api_key, line, write) = books.accounts.add_key(user, random, now.wall.0)?;
    let answer = Answer::ok(&serde_json::json!({ "api_key": api_key, "key": line.key }));
    commit(stream, alloc::vec![write], answer, alloc::format!("an API key was made for {user}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetKey {
    key: String,
    state: KeyState,
}

fn keys(books: &Books, query: &str) -> Result<Answer, Refused> {
    let user = value(query, "user").map(str::parse).transpose()?;
    let user = user.map(|user| books.accounts.known(user)).transpose()?;
    let (skip, limit) = page(query)?;
    let keys: Vec<_> = books.accounts.keys(user).skip(skip).take(limit).collect();
    Ok(Answer::ok(&serde_json::json!({ "keys": keys })))
}

fn set_key(books: &mut Books, stream: StreamId, body: SetKey) -> Stepped {
    let (line, write) = books.accounts.set_key(&body.key, body.state)?;
    let told = alloc::format!("API key {} of {} is {:?} now", line.key, line.user, line.state);
    commit(stream, alloc::vec![write], Answer::ok(&line), told)
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
        fees: String,
        payout_to: Option<&'a str>,
    }
    let bond = |node_id| books.ledger.balance(Account::Bond(node_id)).to_string();
    let locked = |node_id| books.holds.locked(node_id).to_string();
    let gateways = books.accounts.gateways().map(|(node_id, name)| Gateway {
        node_id,
        name,
        bond: bond(node_id),
        locked: locked(node_id),
        fees: books.ledger.balance(Account::Gateway(node_id)).to_string(),
        payout_to: books.accounts.pays_gateway_to(node_id),
    });
    let gateways: Vec<_> = gateways.collect();
    Answer::ok(&serde_json::json!({ "gateways": gateways }))
}

/// Balanced: all accounts of each currency sum to zero (I1), what is held is what the open holds say, what leaves is what the open withdrawals
/// say, no provider's accepted claims come to more than it is owed, and no gateway is sent more than its fees.
fn check_ledger(fep: &Fep, books: &Books) -> Answer {
    #[derive(Serialize)]
    struct Line<'a> {
        currency: &'a Currency,
        account: &'a Account,
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
        .filter_map(|(_, account, balance)| match account {
            Account::Held(user) => Some((*user, i128::from(balance.0))),
            _ => None,
        })
        .collect();
    let balanced = books.ledger.sums_to_zero()
        && open == held
        && leaves_as_it_says(books)
        && owes_what_it_says(books)
        && has_the_fees_that_it_sends(books);
    let lines: Vec<_> = books
        .ledger
        .balances()
        .map(|(currency, account, balance)| Line { currency, account, balance: balance.to_string() })
        .collect();
    Answer::ok(&serde_json::json!({
        "balanced": balanced,
        "currency": fep.config.currency,
        "accounts": lines,
        "entries": books.ledger.last(),
    }))
}

fn leaves_as_it_says(books: &Books) -> bool {
    let mut open: BTreeMap<UserId, i128> = BTreeMap::new();
    for transfer in books.transfers.iter() {
        match transfer.purpose {
            Purpose::Withdrawal { user, .. } => {
                *open.entry(user).or_default() += i128::from(transfer.amount.0)
            }
            Purpose::Payout { .. } | Purpose::GatewayFees { .. } => {}
        }
    }
    let mut leaving = books.ledger.balances().filter_map(|(_, account, balance)| match account {
        Account::Leaving(user) => Some((*user, i128::from(balance.0))),
        _ => None,
    });
    let agrees = leaving.all(|(user, balance)| open.remove(&user).unwrap_or_default() == balance);
    agrees && open.is_empty()
}

fn owes_what_it_says(books: &Books) -> bool {
    let mut accepted: BTreeMap<(NodeId, &Currency), i128> = BTreeMap::new();
    for claim in books.accepted.iter() {
        *accepted.entry((claim.provider, &claim.to.currency)).or_default() += i128::from(claim.amount.0);
    }
    accepted.into_iter().all(|((provider, currency), sum)| {
        sum <= i128::from(books.ledger.balance_in(currency, &Account::Provider(provider)).0)
    })
}

fn has_the_fees_that_it_sends(books: &Books) -> bool {
    let on_their_way = gateway_fees::on_their_way(books);
    on_their_way.into_iter().all(|(gateway, sum)| sum <= books.ledger.balance(Account::Gateway(gateway)))
}

/// The newest receipts, in rising order: which of them were claimed?
pub(super) fn receipts(receipts: Vec<ReceiptRow>) -> Stepped {
    let keys = Pages::keys(receipts.iter().map(|row| (row.receipt.provider_node_id, row.receipt.sequence)));
    Ok(Step::Find(keys, Look::States(receipts)))
}

/// The newest first, given what was claimed of them.
pub(super) fn states(receipts: Vec<ReceiptRow>, claimed: &[Row]) -> Result<Answer, Refused> {
    #[derive(Serialize)]
    struct Line {
        state: &'static str,
        #[serde(flatten)]
        receipt: Receipt,
    }
    let claimed = Pages::found(claimed)?;
    let line = |ReceiptRow { receipt, .. }| {
        let claim = claimed.claim_of(receipt.provider_node_id, receipt.sequence);
        Line { state: if claim.is_some() { "paid" } else { "unclaimed" }, receipt }
    };
    let lines: Vec<_> = receipts.into_iter().rev().map(line).collect();
    Ok(Answer::ok(&serde_json::json!({ "receipts": lines })))
}

/// The newest payouts, from their rows in rising order.
pub(super) fn payouts(rows: &[Row]) -> Result<Answer, Refused> {
    let mut payouts: Vec<PayoutRow> = look::all(PAYOUTS, rows)?;
    payouts.reverse();
    Ok(Answer::ok(&serde_json::json!({ "payouts": payouts })))
}

pub(super) fn commit(stream: StreamId, batch: Vec<Write>, answer: Answer, told: String) -> Stepped {
    Ok(Step::Commit(Commit { batch, then: Then::Answer(stream, answer), told }))
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::bad_request(error_text(error)))
}

pub(super) fn error_text(error: impl core::fmt::Display) -> String {
    alloc::format!("{error}")
}

pub(super) fn must_be_text(what: &str, text: &str) -> Result<(), Refused> {
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

/// How many lines to pass over, and how many to give.
pub(super) fn page(query: &str) -> Result<(usize, usize), Refused> {
    let limit = number(query, "limit")?.unwrap_or(PORTAL_LIST).min(PORTAL_LIST);
    Ok((number(query, "skip")?.unwrap_or(0) as usize, limit as usize))
}

fn number(query: &str, name: &str) -> Result<Option<u32>, Refused> {
    let number = value(query, name).map(str::parse::<u32>).transpose();
    number.map_err(|_| Refused::bad_request(alloc::format!("{name} must be a number")))
}

/// As it was written: none of our parameters needs an escape.
pub(super) fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}
