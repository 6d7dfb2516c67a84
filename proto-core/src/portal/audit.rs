//! A FEP's books, judged from its rows: see [`crate::audit`].
//!
//! Whoever adds a kind of entry or of account is led here by the compiler, and says what such an entry must agree with.

mod disputes;
pub(crate) mod issued;
mod jobs;
mod ledger;
mod payouts;
mod transfers;

use crate::audit::{Desk, Reader, Report};
use crate::identity::Verify;
use crate::keys::Keys;
use crate::money::{Currency, Micros};

use super::rows::{COUNTERS, COUNTERS_KEY, CountersRow, RING, RING_KEY, RingRow};

/// I1, I2, I3, I7 and I8 of a FEP's store.
///
/// # Errors
///
/// The store can't be read; a row of it that can't is a finding.
pub fn audit<R: Reader>(store: &R, verify: Verify) -> Result<Report, R::Error> {
    let mut desk = Desk::new(store, verify);
    // A FEP that never wrote has no counters, and nothing to count.
    let last = desk.get(COUNTERS, COUNTERS_KEY)?.unwrap_or(CountersRow {
        currency: Currency::none(),
        users: 0,
        journal: 0,
        receipts: 0,
        payouts: 0,
        uptime_ms: 0,
        transfers: 0,
    });
    let ring: Option<RingRow> = desk.get(RING, RING_KEY)?;
    let keys = ring.and_then(|row| {
        desk.keys(RING, RING_KEY, &row.ring.0, |network, bytes| Keys::open(network, None, bytes))
    });
    let keys = keys.as_ref();
    let mut booked = ledger::check(&mut desk, &last)?;
    let issued = jobs::check(&mut desk, keys, &mut booked, &last)?;
    payouts::check(&mut desk, keys, &booked, &issued, &last)?;
    transfers::check(&mut desk, &booked, &last)?;
    disputes::check(&mut desk, keys)?;
    Ok(desk.report)
}

fn wide(amount: Micros) -> i128 {
    i128::from(amount.0)
}
