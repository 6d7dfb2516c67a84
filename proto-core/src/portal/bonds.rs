//! Bonds of gateways: what they answer with for the attempts that they declare void. Paid in and out by the operator.

use alloc::string::{String, ToString};

use serde::Deserialize;

use crate::identity::NodeId;
use crate::machine::StreamId;
use crate::money::Micros;
use crate::store::{Range, Row, Write};
use crate::time::Now;

use super::answer::{Answer, Refused, Step, Stepped};
use super::books::Books;
use super::ledger::{self, Account, Entry};
use super::look::Look;
use super::rows::{BONDS, BondRow, Kind};
use super::writer::{Commit, Then};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PayBond {
    gateway: NodeId,
    /// Decimal. Negative: back to the gateway.
    amount: String,
    pub(super) reference: String,
}

/// A payment that is to be booked, if its reference is new.
pub(super) struct Bond {
    gateway: NodeId,
    amount: Micros,
    reference: String,
}

pub(super) fn pay(books: &Books, body: PayBond) -> Stepped {
    let gateway = books.accounts.enrolled(body.gateway)?;
    let bad = |error: &dyn ToString| Refused::bad_request(error.to_string());
    let amount: Micros = body.amount.parse().map_err(|error| bad(&error))?;
    if amount == Micros::ZERO {
        return Err(Refused::bad_request("the amount must not be zero"));
    }
    let range = Range::exactly(BONDS, &body.reference);
    Ok(Step::Look(range, Look::Bond(Bond { gateway, amount, reference: body.reference })))
}

pub(super) fn book(
    books: &mut Books,
    now: Now,
    stream: StreamId,
    bond: Bond,
    before: Option<BondRow>,
) -> Stepped {
    let Bond { gateway, amount, reference } = bond;
    let answer =
        |bond: Micros| Answer::ok(&serde_json::json!({ "gateway": gateway, "bond": bond.to_string() }));
    if let Some(before) = before {
        return match (before.gateway, before.amount) == (gateway, amount) {
            true => Ok(Step::Answer(answer(before.bond))),
            false => Err(Refused::conflict("this reference was booked for another gateway or amount")),
        };
    }
    let out = Micros(amount.0.saturating_neg());
    if out > books.free_bond(gateway) {
        return Err(Refused::conflict(alloc::format!(
            "only {} of its bond is free: the rest answers for what its authorizations may still cost",
            books.free_bond(gateway)
        )));
    }
    let postings = match out > Micros::ZERO {
        true => ledger::transfer(Account::Bond(gateway), Account::Deposits, out),
        false => ledger::transfer(Account::Deposits, Account::Bond(gateway), amount),
    };
    let entry = Entry { kind: Kind::Bond, reference: reference.clone(), at_ms: now.wall.0, postings };
    let posted = books.ledger.post(entry);
    let mut batch = posted.map_err(|refusal| Refused::bad_request(refusal.to_string()))?;
    let after = books.ledger.balance(Account::Bond(gateway));
    let told = alloc::format!("{amount} to the bond of gateway {gateway}, reference {reference:?}");
    let row = BondRow { gateway, amount, bond: after, at_ms: now.wall.0 };
    batch.push(Write::Insert(BONDS, Row::json(reference, &row)));
    Ok(Step::Commit(Commit { batch, then: Then::Answer(stream, answer(after)), told }))
}
