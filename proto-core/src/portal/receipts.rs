//! What providers have earned: receipts are issued here, numbered for each provider, and wait in the store to be claimed.
//!
//! In memory is how many each provider was issued, and what is being closed: neither grows with the receipts.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::de::DeserializeOwned;

use crate::identity::NodeId;
use crate::mutants::{Mutant, mutant};
use crate::store::{BadRow, Keys, Row, Snapshot, Table, Write};
use crate::wire::ids::{ClaimId, ReceiptId};
use crate::wire::object::Sealed;
use crate::wire::portal::Receipt;

use super::answer::Refused;
use super::look;
use super::rows::{
    CLOSED, ClosedRow, ISSUED, IssuedRow, PROVIDERS, ProviderRow, RECEIPTS, ReceiptRow, Signed, UNCLAIMED,
    UnclaimedRow, earned_key, issued_key, numbered,
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
        let payout_to = receipt.content.payout_to.clone();
        self.last += 1;
        self.providers.entry(provider).or_default().last = sequence;
        let unclaimed = UnclaimedRow { payout, payout_to };
        let row = ReceiptRow { receipt: receipt.content.clone(), signed: Signed(receipt.bytes.0.clone()) };
        let counted = ProviderRow { node_id: provider, sequence };
        let issued = IssuedRow { number: self.last };
        alloc::vec![
            Write::Insert(UNCLAIMED, Row::json(earned_key(provider, receipt_id), &unclaimed)),
            Write::Insert(RECEIPTS, Row::json(numbered(self.last), &row)),
            Write::Insert(ISSUED, Row::json(issued_key(provider, sequence), &issued)),
            Write::Put(PROVIDERS, Row::json(provider.to_string(), &counted)),
        ]
    }

    /// The claim that is taking the receipt at this moment.
    pub(super) fn closing(&self, receipt_id: ReceiptId) -> Option<ClaimId> {
        self.closing.get(&receipt_id).copied()
    }

    /// A claim was accepted for the receipt. Should another have been, in spite of all, the store refuses it.
    pub(super) fn close(
        &mut self,
        provider: NodeId,
        receipts: &[ReceiptId],
        claim_id: ClaimId,
    ) -> Vec<Write> {
        let closed = Row::json(String::new(), &ClosedRow { claim_id }).value;
        let close = |(receipt_id, key): (&ReceiptId, String)| {
            self.closing.insert(*receipt_id, claim_id);
            let row = Row { key: key.clone(), value: closed.clone() };
            [Write::Delete(UNCLAIMED, key), Write::Insert(CLOSED, row)]
        };
        receipts.iter().zip(keys(provider, receipts.iter().copied())).flat_map(close).collect()
    }

    /// These writes are durable: whoever looks now finds what was issued and closed by them.
    pub(super) fn written(&mut self, batch: &[Write]) {
        for write in batch {
            match write {
                Write::Insert(CLOSED, row) => {
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

/// Which of these receipts of the provider are unclaimed, as the store has it.
pub(super) fn unclaimed(provider: NodeId, receipts: impl Iterator<Item = ReceiptId>) -> Keys {
    Keys { table: UNCLAIMED, keys: keys(provider, receipts).collect() }
}

/// Which of them were claimed.
pub(super) fn closed(provider: NodeId, receipts: impl Iterator<Item = ReceiptId>) -> Keys {
    Keys { table: CLOSED, keys: keys(provider, receipts).collect() }
}

/// What [`unclaimed`] found.
pub(super) fn waiting(rows: &[Row]) -> Result<BTreeMap<ReceiptId, UnclaimedRow>, Refused> {
    by_id(UNCLAIMED, rows)
}

/// By which claims, from the rows that [`closed`] found.
pub(super) fn claims(rows: &[Row]) -> Result<BTreeMap<ReceiptId, ClaimId>, Refused> {
    let closed: BTreeMap<ReceiptId, ClosedRow> = by_id(CLOSED, rows)?;
    Ok(closed.into_iter().map(|(receipt_id, row)| (receipt_id, row.claim_id)).collect())
}

fn by_id<T: DeserializeOwned>(table: Table, rows: &[Row]) -> Result<BTreeMap<ReceiptId, T>, Refused> {
    let ids = rows.iter().filter_map(|row| Some((id_in(&row.key)?, row)));
    ids.map(|(id, row)| Ok((id, look::parse(table, row)?))).collect()
}

/// [`earned_key`]s of many: whose they are is written out once.
fn keys(provider: NodeId, receipts: impl Iterator<Item = ReceiptId>) -> impl Iterator<Item = String> {
    let provider = provider.to_string();
    receipts.map(move |receipt_id| alloc::format!("{provider}/{receipt_id}"))
}

fn id_in(key: &str) -> Option<ReceiptId> {
    key.rsplit_once('/')?.1.parse().ok()
}
