//! No two papers in one place: a record's (sender, kind, incarnation, seq) names one frame for ever, a receipt id one
//! receipt, and a provider ends an attempt once.

use std::collections::BTreeMap;

use labman_proto_core::identity::NodeId;
use labman_proto_core::wire::ids::{ReceiptId, RequestId};

use super::notary::Paper;

/// What was seen under each name, as a hash.
#[derive(Default)]
pub(super) struct Once {
    records: BTreeMap<(NodeId, u16, u64, u64), [u8; 32]>,
    receipts: BTreeMap<ReceiptId, [u8; 32]>,
    ends: BTreeMap<(String, RequestId, u8), u64>,
}

impl Once {
    pub(super) fn check(&mut self, host: &str, paper: &Paper, bytes: &[u8]) -> Option<String> {
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
                differs.then(|| format!("I3: two receipts are both {id}"))
            }
            Paper::End(end) => {
                let ends = self.ends.entry((host.into(), end.request_id, end.attempt)).or_default();
                *ends += 1;
                let id = end.request_id;
                (*ends > 1).then(|| format!("ended req_{id}, attempt {}, a second time", end.attempt))
            }
            Paper::Acknowledged(_)
            | Paper::Delivered(_)
            | Paper::Asked(_)
            | Paper::Authorized(_)
            | Paper::Reported
            | Paper::Claimed(_)
            | Paper::Decided(_) => None,
        }
    }
}
