//! Calls that first need something out of history.

use alloc::{boxed::Box, string::ToString, vec::Vec};

use crate::keys::Keys;
use crate::store::{Row, Table};
use crate::wire::object::Sealed;
use crate::wire::portal::Claim;

use super::admin::{self, Deposit};
use super::answer::{Refused, Step, Stepped};
use super::bonds::{self, Bond};
use super::disputes;
use super::exchanges::Call;
use super::holds::Caller;
use super::pulls::Pull;
use super::rails::operator;
use super::routes::{self, Cx};
use super::rows::{
    ANSWERED, BONDS, CLAIMS, DEPOSITS, DISPUTES_ENDED, DisputeRow, ISSUED, RECEIPTS, RESOLUTIONS, ReceiptRow,
    WITHDRAWALS,
};
use super::statements::{self, Statement};
use super::withdrawals::{self, Withdrawal};
use super::{answered, claims, pulls, signing, usage};

/// What a call is about, while the store is read for it.
pub(super) enum Look {
    /// How did a hold end?
    Resolution(Caller),
    /// Was this claim decided?
    Claim(Box<Sealed<Claim>>),
    /// What are its lines worth?
    Lines(Box<Sealed<Claim>>),
    /// Which of them were claimed?
    Taken(Box<claims::Lines>),
    /// Which receipts were issued under these numbers?
    Numbers(Pull),
    Issued(Pull),
    /// Which of them were claimed?
    Claimed(Pull, Vec<ReceiptRow>),
    /// Was this reference booked?
    Deposit(Deposit),
    /// Was this reference booked?
    Bond(Bond),
    /// Was this reference used?
    Withdrawal(Withdrawal),
    /// Was this dispute decided?
    Dispute(Box<DisputeRow>),
    Ruling(disputes::Word),
    /// Does this ring follow the one in force?
    Ring(Box<Keys>),
    /// Was this answered under its idempotency key?
    Answered(Box<Call>),
    Statement(Statement),
    Receipts,
    /// Which of the receipts that were listed were claimed?
    States(Vec<ReceiptRow>),
    Payouts,
    Transfers,
}

impl Look {
    /// Does something follow that may be done once only?
    pub(super) fn decides(&self) -> bool {
        match self {
            Self::Claim(_)
            | Self::Deposit(_)
            | Self::Bond(_)
            | Self::Withdrawal(_)
            | Self::Dispute(_)
            | Self::Ruling(_)
            | Self::Ring(_)
            | Self::Answered(_) => true,
            // It goes on under the look at its claim.
            Self::Lines(_) | Self::Taken(_) => false,
            Self::Resolution(_)
            | Self::Statement(_)
            | Self::Numbers(_)
            | Self::Issued(_)
            | Self::Claimed(..)
            | Self::Receipts
            | Self::States(_)
            | Self::Payouts
            | Self::Transfers => false,
        }
    }

    /// Does it go on with a call that something was looked up for before?
    pub(super) fn goes_on(&self) -> bool {
        matches!(
            self,
            Self::Lines(_) | Self::Taken(_) | Self::Issued(_) | Self::Claimed(..) | Self::States(_)
        )
    }

    pub(super) fn found(self, cx: &mut Cx<'_>, rows: &[Row]) -> Stepped {
        let Cx { fep, now, stream, .. } = *cx;
        match self {
            Self::Resolution(caller) => usage::remembered(caller, all(RESOLUTIONS, rows)?).map(Step::Answer),
            Self::Claim(claim) => claims::look(*claim, only(CLAIMS, rows)?),
            Self::Lines(claim) => claims::lines(*claim, rows),
            Self::Taken(lines) => claims::decide(fep, cx.books, now, stream, *lines, rows),
            Self::Numbers(pull) => Ok(pulls::numbered(pull, &all(ISSUED, rows)?)),
            Self::Issued(pull) => Ok(pulls::issued(pull, all(RECEIPTS, rows)?)),
            Self::Claimed(pull, receipts) => pulls::answer(fep, now, &pull, receipts, rows).map(Step::Answer),
            Self::Deposit(deposit) => {
                admin::book_deposit(cx.books, now, stream, deposit, only(DEPOSITS, rows)?)
            }
            Self::Bond(bond) => bonds::book(cx.books, now, stream, bond, only(BONDS, rows)?),
            Self::Withdrawal(withdrawal) => {
                withdrawals::decide(fep, cx.books, now, stream, withdrawal, only(WITHDRAWALS, rows)?)
            }
            Self::Dispute(row) => disputes::raise(cx.books, now, stream, *row, only(DISPUTES_ENDED, rows)?),
            Self::Ruling(word) => disputes::rule(fep, cx.books, now, stream, word),
            Self::Ring(ring) => signing::decide(fep, now, stream, ring),
            Self::Answered(call) => match only(ANSWERED, rows)? {
                Some(before) => answered::again(&call.body, before),
                None => (routes::find(&call)?.run)(cx, &call),
            },
            Self::Statement(statement) => statements::page(statement, rows).map(Step::Answer),
            Self::Receipts => admin::receipts(all(RECEIPTS, rows)?),
            Self::States(receipts) => admin::states(receipts, rows).map(Step::Answer),
            Self::Payouts => admin::payouts(rows).map(Step::Answer),
            Self::Transfers => operator::transfers(rows).map(Step::Answer),
        }
    }
}

fn only<T: serde::de::DeserializeOwned>(table: Table, rows: &[Row]) -> Result<Option<T>, Refused> {
    rows.first().map(|row| parse(table, row)).transpose()
}

pub(super) fn all<T: serde::de::DeserializeOwned>(table: Table, rows: &[Row]) -> Result<Vec<T>, Refused> {
    rows.iter().map(|row| parse(table, row)).collect()
}

pub(super) fn parse<'a, T: serde::Deserialize<'a>>(table: Table, row: &'a Row) -> Result<T, Refused> {
    row.parse(table).map_err(|bad| Refused::unavailable(bad.to_string()))
}
