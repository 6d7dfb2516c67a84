//! What providers have earned: receipts are issued here, numbered for each provider, and wait to be claimed.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::identity::NodeId;
use crate::money::Micros;
use crate::mutants::{Mutant, mutant};
use crate::store::{BadRow, Row, Snapshot, Write};
use crate::wire::ids::ReceiptId;
use crate::wire::object::Sealed;
use crate::wire::portal::{PayoutTo, Receipt};

use super::rows::{PROVIDERS, ProviderRow, RECEIPTS, ReceiptRow, Signed, UNCLAIMED, UnclaimedRow, numbered};

pub(super) struct Unclaimed {
    pub(super) provider: NodeId,
    pub(super) payout: Micros,
    pub(super) payout_to: PayoutTo,
}

#[derive(Default)]
pub(super) struct Receipts {
    unclaimed: BTreeMap<ReceiptId, Unclaimed>,
    /// How many of them each provider has.
    unclaimed_of: BTreeMap<NodeId, usize>,
    /// Each provider's last sequence number.
    providers: BTreeMap<NodeId, u64>,
    /// The number of the last receipt of all.
    last: u64,
}

impl Receipts {
    pub(super) fn load(snapshot: &Snapshot, last: u64) -> Result<Self, BadRow> {
        let mut receipts = Self { last, ..Self::default() };
        for row in snapshot.of(PROVIDERS) {
            let ProviderRow { node_id, sequence } = row.parse(PROVIDERS)?;
            let skipped = u64::from(mutant(Mutant::SequenceSkipped));
            receipts.providers.insert(node_id, sequence + skipped);
        }
        for row in snapshot.of(UNCLAIMED) {
            let UnclaimedRow { receipt_id, provider, payout, payout_to } = row.parse(UNCLAIMED)?;
            receipts.unclaimed.insert(receipt_id, Unclaimed { provider, payout, payout_to });
            *receipts.unclaimed_of.entry(provider).or_default() += 1;
        }
        Ok(receipts)
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// How many nobody has claimed.
    pub(super) fn len(&self) -> usize {
        self.unclaimed.len()
    }

    /// How many of that provider's.
    pub(super) fn unclaimed_of(&self, provider: NodeId) -> usize {
        self.unclaimed_of.get(&provider).copied().unwrap_or_default()
    }

    pub(super) fn providers(&self) -> usize {
        self.providers.len()
    }

    /// Was this provider ever issued a receipt?
    pub(super) fn knows(&self, provider: NodeId) -> bool {
        self.providers.contains_key(&provider)
    }

    pub(super) fn unclaimed(&self, receipt_id: ReceiptId) -> Option<&Unclaimed> {
        self.unclaimed.get(&receipt_id)
    }

    pub(super) fn next_sequence(&self, provider: NodeId) -> u64 {
        self.providers.get(&provider).copied().unwrap_or_default() + 1
    }

    /// A receipt that was just signed, under its provider's next sequence number.
    pub(super) fn add(&mut self, receipt: &Sealed<Receipt>) -> Vec<Write> {
        let Receipt { receipt_id, provider_node_id: provider, sequence, payout, .. } = receipt.content;
        let payout_to = receipt.content.payout_to.clone();
        self.last += 1;
        self.providers.insert(provider, sequence);
        self.unclaimed.insert(receipt_id, Unclaimed { provider, payout, payout_to: payout_to.clone() });
        *self.unclaimed_of.entry(provider).or_default() += 1;
        let unclaimed = UnclaimedRow { receipt_id, provider, payout, payout_to };
        let row = ReceiptRow { receipt: receipt.content.clone(), signed: Signed(receipt.bytes.0.clone()) };
        let counted = ProviderRow { node_id: provider, sequence };
        alloc::vec![
            Write::Insert(UNCLAIMED, Row::json(alloc::format!("{receipt_id}"), &unclaimed)),
            Write::Insert(RECEIPTS, Row::json(numbered(self.last), &row)),
            Write::Put(PROVIDERS, Row::json(alloc::format!("{provider}"), &counted)),
        ]
    }

    /// The receipt is paid.
    pub(super) fn close(&mut self, receipt_id: ReceiptId) -> Write {
        if let Some(Unclaimed { provider, .. }) = self.unclaimed.remove(&receipt_id)
            && let Some(left) = self.unclaimed_of.get_mut(&provider)
        {
            *left -= 1;
            if *left == 0 {
                self.unclaimed_of.remove(&provider);
            }
        }
        Write::Delete(UNCLAIMED, alloc::format!("{receipt_id}"))
    }
}
