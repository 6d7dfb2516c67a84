//! A provider's receipts as its operator sees them: in its listing, and in its store, which anybody may query who has more
//! of them than a listing shows.

use std::borrow::Cow;

use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::store::Table;
use labman_proto_core::wire::portal::Receipt;
use serde::Deserialize;

use super::Run;
use super::books::{LISTED, READINGS};
use super::rest::Status;
use crate::check::ledger::{Held, States};

/// In the order in which they are listed.
const TABLES: [Table; 2] = [Table::history("receipts_open"), Table::history("receipts_paid")];

const PAID: &str = "paid";

#[derive(Deserialize)]
struct Listing {
    receipts: Vec<Held>,
}

/// What is looked at of a receipt's row.
#[derive(Deserialize)]
pub(super) struct Kept {
    receipt: Receipt,
    state: String,
    slug: String,
    dispute: Option<Dispute>,
}

#[derive(Deserialize)]
struct Dispute {
    until_ms: u64,
    stands: bool,
}

impl Kept {
    /// What it promises in that currency and was not paid.
    pub(super) fn owes(&self, currency: &Currency) -> Option<Micros> {
        let owes = self.state != PAID && self.receipt.payout_to.currency == *currency;
        owes.then_some(self.receipt.payout)
    }
}

impl From<Kept> for Held {
    fn from(kept: Kept) -> Self {
        let Kept { receipt, state, slug, dispute } = kept;
        Self {
            receipt_id: receipt.receipt_id,
            state: state.into(),
            slug: slug.into(),
            address: receipt.payout_to.address.into(),
            counts: receipt.settled,
            charge: receipt.charge,
            payout: receipt.payout,
            currency: receipt.payout_to.currency,
            rate: receipt.rate,
            disputed_until_ms: dispute.filter(|dispute| !dispute.stands).map(|dispute| dispute.until_ms),
        }
    }
}

impl Run<'_> {
    /// A provider's counts of its receipts and the receipts themselves, of one moment: one may come between two questions.
    pub(super) fn receipts_of(&mut self, name: &str) -> Result<(States, Vec<Held>), String> {
        let Status { receipts: mut states, .. } = self.get(name, "/status?brief")?;
        for _ in 0..READINGS {
            let Listing { receipts: listed } = self.get(name, &format!("/receipts?limit={LISTED}"))?;
            // Now: whatever the first counts rest on was written before the listing was read.
            let held = if listed.len() < LISTED { None } else { Some(self.stored_receipts(name)?) };
            let Status { receipts: after, .. } = self.get(name, "/status?brief")?;
            let changed = std::mem::replace(&mut states, after) != after;
            match held {
                _ if changed => {}
                None => return Ok((states, listed)),
                Some(held) if held.starts_with(&listed) => return Ok((states, held)),
                Some(_) => {}
            }
        }
        Err(format!(
            "{name}: at each of {READINGS} readings its receipts changed, or it listed others than it has stored"
        ))
    }

    fn stored_receipts(&self, name: &str) -> Result<Vec<Held>, String> {
        let host = self.hosts.get(name).ok_or_else(|| format!("there is no {name}"))?;
        let disk = self.world.disk(*host);
        let rows = TABLES.into_iter().flat_map(|table| disk.rows(table));
        let read = |(key, row): (Cow<'_, str>, Cow<'_, [u8]>)| match serde_json::from_slice::<Kept>(&row) {
            Ok(kept) => Ok(kept.into()),
            Err(error) => Err(format!("{name}: receipt {key} in its store: {error}")),
        };
        rows.map(read).collect()
    }
}
