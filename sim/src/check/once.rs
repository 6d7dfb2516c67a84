//! No two papers in one place: a record's (sender, kind, incarnation, seq) names one frame for ever, a receipt id one
//! receipt, and a provider states of an attempt once what it delivered, and does not if it released it.

use std::collections::{BTreeMap, BTreeSet};

use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::{UNACKED, UNACKED_FIRST};
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::ids::{AuthId, ReceiptId};

use super::notary::Paper;

/// What was seen under each name, as a hash.
#[derive(Default)]
pub(super) struct Once {
    records: BTreeMap<(NodeId, u16, u64, u64), [u8; 32]>,
    receipts: BTreeMap<ReceiptId, [u8; 32]>,
    stated: BTreeMap<(AuthId, u8), [u8; 32]>,
    released: BTreeSet<(AuthId, u8)>,
    /// Output tokens that the gateway has acknowledged, by attempt.
    owed: BTreeMap<(AuthId, u8), u32>,
}

impl Once {
    pub(super) fn check(&mut self, paper: &Paper, bytes: &[u8]) -> Option<String> {
        let hash = || *blake3::hash(bytes).as_bytes();
        match paper {
            Paper::Record(header) => {
                let name = (header.sender, header.kind, header.incarnation, header.seq);
                let differs = *self.records.entry(name).or_insert_with(hash) != hash();
                let (sender, incarnation, seq) = (header.sender, header.incarnation, header.seq);
                differs.then(|| format!("two records of {sender} are both {incarnation}/{seq}"))
            }
            Paper::Issued(receipt) => {
                let id = receipt.receipt_id;
                let differs = *self.receipts.entry(id).or_insert_with(hash) != hash();
                let owed = self.owed.get(&(receipt.auth_id, receipt.attempt)).copied().unwrap_or_default();
                let paid = receipt.settled.output;
                let short = || format!("{owed} tokens were acknowledged, and receipt {id} settles {paid}");
                differs
                    .then(|| format!("I3: two receipts are both {id}"))
                    .or_else(|| (paid < owed).then(short))
            }
            Paper::Stated { said, acked } => {
                let key = (said.auth_id, said.attempt);
                // The same one may stand in an end and be shown to the FEP.
                let hash = *blake3::hash(&cbor::encode(said)).as_bytes();
                let differs = *self.stated.entry(key).or_insert(hash) != hash;
                let released = self.released.contains(&key) && said.counts.output > 0;
                let (auth_id, attempt) = key;
                let window = if acked.is_some() { UNACKED } else { UNACKED_FIRST };
                let acked = acked.unwrap_or_default();
                self.owed.insert(key, acked.min(said.counts.output));
                let (stated, lost) = (said.counts.output, said.counts.output.saturating_sub(acked));
                if lost > window {
                    return Some(format!(
                        "sent {stated} tokens of {auth_id}:{attempt}, {acked} were acknowledged"
                    ));
                }
                (differs || released)
                    .then(|| format!("stated {auth_id}:{attempt} twice, or after its release"))
            }
            Paper::Released(said) => {
                let key = (said.auth_id, said.attempt);
                self.released.insert(key);
                let (auth_id, attempt) = key;
                self.stated
                    .contains_key(&key)
                    .then(|| format!("released {auth_id}:{attempt}, which it has stated"))
            }
            Paper::Acknowledged(_)
            | Paper::Delivered(_)
            | Paper::Asked(_)
            | Paper::Placed(_)
            | Paper::Authorized(_)
            | Paper::Reported
            | Paper::Claimed(_)
            | Paper::Decided(_) => None,
        }
    }
}
