//! What providers have earned: receipts are issued here, numbered for each provider, and wait in the store to be claimed.
//!
//! In memory is how many each provider was issued, and what is being closed: neither grows with the receipts.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::identity::NodeId;
use crate::mutants::{Mutant, mutant};
use crate::store::{BadRow, Keys, Row, Snapshot, Write};
use crate::wire::ids::{ClaimId, ReceiptId};
use crate::wire::object::Sealed;
use crate::wire::portal::Receipt;

use super::answer::Refused;
use super::look;
use super::rows::{
    EARNED, EarnedRow, ISSUED, IssuedRow, PROVIDERS, PayoutToRead, ProviderRow, RECEIPTS, ReceiptRow, Signed,
    earned_key, issued_key, numbered,
};

/// The last sequence number of a provider, and the last that is durable.
#[derive(Clone, Copy, Default)]
struct Issued {
    last: u64,
    durable: u64,
}

#[derive(Default)]
pub(super) struct Receipts {
    providers: BTreeMap<NodeId, Issued>,
    /// The number of the last receipt of all.
    last: u64,
    /// Closed by a claim, and not durably yet: who looks in the store may still find them unclaimed.
    closing: BTreeMap<ReceiptId, ClaimId>,
}

impl Receipts {
    pub(super) fn load(snapshot: &Snapshot, last: u64) -> Result<Self, BadRow> {
        let mut receipts = Self { last, ..Self::default() };
        for row in snapshot.of(PROVIDERS) {
            let ProviderRow { node_id, sequence } = row.parse(PROVIDERS)?;
            let skipped = u64::from(mutant(Mutant::SequenceSkipped));
            receipts.providers.insert(node_id, Issued { last: sequence + skipped, durable: sequence });
        }
        Ok(receipts)
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn providers(&self) -> usize {
        self.providers.len()
    }

    /// Was this provider ever issued a receipt?
    pub(super) fn knows(&self, provider: NodeId) -> bool {
        self.providers.contains_key(&provider)
    }

    pub(super) fn next_sequence(&self, provider: NodeId) -> u64 {
        self.providers.get(&provider).map_or(1, |issued| issued.last + 1)
    }

    /// The sequence number of the provider's last receipt that nothing can undo; 0 where it has none.
    pub(super) fn last_sequence(&self, provider: NodeId) -> u64 {
        self.providers.get(&provider).map_or(0, |issued| issued.durable)
    }

    /// A receipt that was just signed, under its provider's next sequence number.
    pub(super) fn add(&mut self, receipt: &Sealed<Receipt>) -> Vec<Write> {
        let Receipt { receipt_id, provider_node_id: provider, sequence, payout, .. } = receipt.content;
        self.last += 1;
        self.providers.entry(provider).or_default().last = sequence;
        let earned = EarnedRow { payout, payout_to: &receipt.content.payout_to, claim_id: None };
        let row = ReceiptRow { receipt: receipt.content.clone(), signed: Signed(receipt.bytes.0.clone()) };
        let counted = ProviderRow { node_id: provider, sequence };
        let issued = IssuedRow { number: self.last };
        alloc::vec![
            Write::Insert(EARNED, Row::json(earned_key(provider, receipt_id), &earned)),
            Write::Insert(RECEIPTS, Row::json(numbered(self.last), &row)),
            Write::Insert(ISSUED, Row::json(issued_key(provider, sequence), &issued)),
            Write::Put(PROVIDERS, Row::json(provider.to_string(), &counted)),
        ]
    }

    /// The claim that is taking the receipt at this moment.
    pub(super) fn closing(&self, receipt_id: ReceiptId) -> Option<ClaimId> {
        self.closing.get(&receipt_id).copied()
    }

    /// A claim was accepted for receipts; their rows say so once they are durable.
    ///
    /// No other claim can have been, so the store need not refuse these rows. Whoever decides has seen each receipt's row, and
    /// asked for it either before this is written, and then decides while `closing` still says who took it, or after that, and
    /// then the row says it: a store does what it is asked in that order, and one batch at a time is at it.
    pub(super) fn close(&mut self, claim_id: ClaimId, taken: Vec<(ReceiptId, Row)>) -> Vec<Write> {
        let close = |(receipt_id, row)| {
            self.closing.insert(receipt_id, claim_id);
            Write::Put(EARNED, row)
        };
        taken.into_iter().map(close).collect()
    }

    /// These writes are durable: whoever looks now finds what was issued and closed by them.
    pub(super) fn written(&mut self, batch: &[Write]) {
        for write in batch {
            match write {
                Write::Put(EARNED, row) => {
                    if let Some(receipt_id) = id_in(&row.key) {
                        self.closing.remove(&receipt_id);
                    }
                }
                Write::Put(PROVIDERS, row) => {
                    if let Ok(ProviderRow { node_id, sequence }) = row.parse(PROVIDERS) {
                        self.providers.entry(node_id).or_default().durable = sequence;
                    }
                }
                Write::Put(..) | Write::Insert(..) | Write::Delete(..) => {}
            }
        }
    }
}

/// What the provider has earned with these receipts, as the store has it.
pub(super) fn earned(provider: NodeId, receipts: impl Iterator<Item = ReceiptId>) -> Keys {
    // Whose they are is written out once, and no key grows.
    let provider = alloc::format!("{provider}/");
    let key = |receipt_id: ReceiptId| {
        let mut key = String::with_capacity(provider.len() + 2 * receipt_id.0.len());
        key.push_str(&provider);
        receipt_id.with_hex(|hex| key.push_str(hex));
        key
    };
    Keys { table: EARNED, keys: receipts.map(key).collect() }
}

/// Which of them were claimed, from the rows that [`earned`] found.
pub(super) fn claims(rows: &[Row]) -> Result<BTreeMap<ReceiptId, ClaimId>, Refused> {
    let mut claims = BTreeMap::new();
    for row in rows {
        let earned: EarnedRow<PayoutToRead<'_>> = look::parse(EARNED, row)?;
        claims.extend(id_in(&row.key).zip(earned.claim_id));
    }
    Ok(claims)
}

/// The receipt in an [`earned_key`].
fn id_in(key: &str) -> Option<ReceiptId> {
    key.rsplit_once('/')?.1.parse().ok()
}
