//! What was earned, and what of that was paid: a row for each day, FEP, model and currency, kept in the batches that keep the receipts,
//! so that the sums are right after any crash and cost the same however many receipts there are.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::rows::{EARNINGS, ReceiptRow};
use crate::economics::Counts;
use crate::identity::FepId;
use crate::money::{Currency, Micros};
use crate::store::{BadRow, Row, Snapshot, Write};

/// Of a day, by the time at which FEPs signed the receipts: 86,400 s since the epoch each.
const DAY_MS: u64 = 86_400_000;

type Key = (u64, FepId, String, Currency);

#[derive(Default)]
pub(super) struct Earnings {
    rows: BTreeMap<Key, EarningsRow>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct EarningsRow {
    day: u64,
    fep_id: FepId,
    slug: String,
    currency: Currency,
    #[serde(flatten)]
    sums: Sums,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sums {
    receipts: u64,
    input: u64,
    cached: u64,
    output: u64,
    earned: Micros,
    paid: Micros,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.receipts = self.receipts.saturating_add(other.receipts);
        self.input = self.input.saturating_add(other.input);
        self.cached = self.cached.saturating_add(other.cached);
        self.output = self.output.saturating_add(other.output);
        // What a person looks at may stand still at what no currency reaches.
        self.earned = self.earned.checked_add(other.earned).unwrap_or(self.earned);
        self.paid = self.paid.checked_add(other.paid).unwrap_or(self.paid);
    }
}

/// By what people ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Model,
    Day,
    Fep,
}

impl By {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "model" => Self::Model,
            "day" => Self::Day,
            "fep" => Self::Fep,
            _ => return None,
        })
    }
}

impl Earnings {
    pub(super) fn new(snapshot: &Snapshot) -> Result<Self, BadRow> {
        let mut rows = BTreeMap::new();
        for stored in snapshot.of(EARNINGS) {
            let row: EarningsRow = stored.parse(EARNINGS)?;
            rows.insert((row.day, row.fep_id, row.slug.clone(), row.currency.clone()), row);
        }
        Ok(Self { rows })
    }

    /// A receipt has come.
    pub(super) fn earned(&mut self, receipt: &ReceiptRow) -> Write {
        let Counts { input, cached, output } = receipt.receipt.settled;
        let (input, cached, output) = (u64::from(input), u64::from(cached), u64::from(output));
        let earned = receipt.receipt.payout;
        self.add(receipt, Sums { receipts: 1, input, cached, output, earned, paid: Micros::ZERO })
    }

    /// It was paid.
    pub(super) fn paid(&mut self, receipt: &ReceiptRow) -> Write {
        self.add(receipt, Sums { paid: receipt.receipt.payout, ..Sums::default() })
    }

    /// In all, whatever the currency: to compare with what was lost.
    pub(super) fn all(&self) -> i128 {
        self.rows.values().map(|row| i128::from(row.sums.earned.0)).sum()
    }

    fn add(&mut self, receipt: &ReceiptRow, sums: Sums) -> Write {
        let (day, fep_id, slug) =
            (receipt.issued_ms() / DAY_MS, receipt.receipt.fep_id, receipt.slug.clone());
        let currency = receipt.receipt.payout_to.currency.clone();
        let key = format!("{day:08}:{fep_id}:{currency}:{slug}");
        let row = self.rows.entry((day, fep_id, slug.clone(), currency.clone()));
        let row = row.or_insert_with(|| EarningsRow { day, fep_id, slug, currency, sums: Sums::default() });
        row.sums.add(&sums);
        Write::Put(EARNINGS, Row::json(key, row))
    }

    /// Summed by one of them; currencies are never summed. The latest days first, else what earned most.
    pub(super) fn show(&self, by: By) -> Value {
        let mut sums: BTreeMap<(String, Currency), (u64, Sums)> = BTreeMap::new();
        for row in self.rows.values() {
            let name = match by {
                By::Model => row.slug.clone(),
                By::Day => format!("{:08}", row.day),
                By::Fep => row.fep_id.to_string(),
            };
            let (day, sum) = sums.entry((name, row.currency.clone())).or_default();
            *day = row.day;
            sum.add(&row.sums);
        }
        let mut all: Vec<_> = sums.into_iter().collect();
        match by {
            By::Day => all.reverse(),
            By::Model | By::Fep => all.sort_by_key(|(_, (_, sum))| core::cmp::Reverse(sum.earned)),
        }
        let line = |((name, currency), (day, sum)): ((String, Currency), (u64, Sums))| {
            let named = match by {
                By::Model => ("slug", json!(name)),
                By::Day => ("day_ms", json!(day * DAY_MS)),
                By::Fep => ("fep_id", json!(name)),
            };
            json!({
                named.0: named.1, "currency": currency, "receipts": sum.receipts, "input": sum.input,
                "cached": sum.cached, "output": sum.output, "earned": sum.earned, "paid": sum.paid,
            })
        };
        json!({ "earnings": all.into_iter().map(line).collect::<Vec<_>>() })
    }
}
