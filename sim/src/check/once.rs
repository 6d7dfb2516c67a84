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
    records: BTreeMap<(NodeId, u16, u64, u64), Seen>,
    receipts: BTreeMap<ReceiptId, Seen>,
    stated: BTreeMap<(AuthId, u8), Stated>,
    released: BTreeSet<(AuthId, u8)>,
}

/// A hash of a paper, as much of it as tells two of a run apart: there are some for each job.
type Seen = u64;

fn seen(paper: &[u8]) -> Seen {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(paper).as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

struct Stated {
    seen: Seen,
    /// Output tokens that the gateway has acknowledged.
    owed: u32,
}

impl Once {
    pub(super) fn check(&mut self, paper: &Paper, bytes: &[u8]) -> Option<String> {
        match paper {
            Paper::Record(header) => {
                let name = (header.sender, header.kind, header.incarnation, header.seq);
                let now = seen(bytes);
                let differs = *self.records.entry(name).or_insert(now) != now;
                let (sender, incarnation, seq) = (header.sender, header.incarnation, header.seq);
                differs.then(|| format!("two records of {sender} are both {incarnation}/{seq}"))
            }
            Paper::Issued(receipt) => {
                let id = receipt.receipt_id;
                let now = seen(bytes);
                let differs = *self.receipts.entry(id).or_insert(now) != now;
                let owed =
                    self.stated.get(&(receipt.auth_id, receipt.attempt)).map_or(0, |stated| stated.owed);
                let paid = receipt.settled.output;
                let short = || format!("{owed} tokens were acknowledged, and receipt {id} settles {paid}");
                differs
                    .then(|| format!("I3: two receipts are both {id}"))
                    .or_else(|| (paid < owed).then(short))
            }
            Paper::Stated { said, acked } => {
                let key = (said.auth_id, said.attempt);
                // The same one may stand in an end and be shown to the FEP.
                let now = seen(&cbor::encode(said));
                let stated = self.stated.entry(key).or_insert(Stated { seen: now, owed: 0 });
                let differs = stated.seen != now;
                let released = self.released.contains(&key) && said.counts.output > 0;
                let (auth_id, attempt) = key;
                let window = if acked.is_some() { UNACKED } else { UNACKED_FIRST };
                let acked = acked.unwrap_or_default();
                stated.owed = acked.min(said.counts.output);
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
