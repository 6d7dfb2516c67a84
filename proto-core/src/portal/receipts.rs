//! What providers have earned: receipts are issued here, numbered for each provider, and wait in the store to be claimed.
//!
//! In memory is how many each provider was issued, and what is being claimed: neither grows with the receipts.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::identity::NodeId;
use crate::mutants::{Mutant, mutant};
use crate::store::{BadRow, Keys, Row, Snapshot, Write};
use crate::wire::ids::ReceiptId;
use crate::wire::object::Sealed;
use crate::wire::portal::Receipt;

use super::claimed::Closing;
use super::rows::{
    CLAIMED, EARNED, EarnedRow, ISSUED, IssuedRow, PROVIDERS, ProviderRow, RECEIPTS, ReceiptRow, Signed,
    earned_key, issued_key, numbered, payout_place,
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
    pub(super) closing: Closing,
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
        let earned = EarnedRow { payout, to: payout_place(&receipt.content.payout_to), sequence };
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

    /// These writes are durable: whoever looks now finds what was issued and claimed by them.
    pub(super) fn written(&mut self, batch: &[Write]) {
        for write in batch {
            match write {
                Write::Put(CLAIMED, row) => self.closing.written(row),
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
