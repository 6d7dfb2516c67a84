//! Calls that first need something out of history.

use alloc::{boxed::Box, string::ToString, vec::Vec};

use crate::machine::StreamId;
use crate::store::{Row, Table};
use crate::time::Now;
use crate::wire::object::Sealed;
use crate::wire::portal::Claim;

use super::admin::{self, Deposit};
use super::answer::{Refused, Step, Stepped};
use super::bonds::{self, Bond};
use super::books::{Books, Fep};
use super::holds::Caller;
use super::rows::{BONDS, CLAIMS, DEPOSITS, RESOLUTIONS};
use super::{claims, usage};

/// What a call is about, while the store is read for it.
pub(super) enum Look {
    /// How did a hold end?
    Resolution(Caller),
    /// Was this claim decided?
    Claim(Box<Sealed<Claim>>),
    /// Was this reference booked?
    Deposit(Deposit),
    /// Was this reference booked?
    Bond(Bond),
    Receipts,
    Payouts,
}

impl Look {
    /// Does something follow that may be done once only?
    pub(super) fn decides(&self) -> bool {
        match self {
            Self::Claim(_) | Self::Deposit(_) | Self::Bond(_) => true,
            Self::Resolution(_) | Self::Receipts | Self::Payouts => false,
        }
    }

    pub(super) fn found(
        self,
        fep: &Fep,
        books: &mut Books,
        now: Now,
        stream: StreamId,
        rows: &[Row],
    ) -> Stepped {
        match self {
            Self::Resolution(caller) => usage::remembered(caller, all(RESOLUTIONS, rows)?).map(Step::Answer),
            Self::Claim(claim) => claims::decide(fep, books, now, stream, *claim, only(CLAIMS, rows)?),
            Self::Deposit(deposit) => admin::book_deposit(books, now, stream, deposit, only(DEPOSITS, rows)?),
            Self::Bond(bond) => bonds::book(books, now, stream, bond, only(BONDS, rows)?),
            Self::Receipts => admin::receipts(books, rows).map(Step::Answer),
            Self::Payouts => admin::payouts(rows).map(Step::Answer),
        }
    }
}

fn only<T: serde::de::DeserializeOwned>(table: Table, rows: &[Row]) -> Result<Option<T>, Refused> {
    rows.first().map(|row| parse(table, row)).transpose()
}

pub(super) fn all<T: serde::de::DeserializeOwned>(table: Table, rows: &[Row]) -> Result<Vec<T>, Refused> {
    rows.iter().map(|row| parse(table, row)).collect()
}

fn parse<T: serde::de::DeserializeOwned>(table: Table, row: &Row) -> Result<T, Refused> {
    row.parse(table).map_err(|bad| Refused::unavailable(bad.to_string()))
}
