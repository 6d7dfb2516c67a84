//! A provider that cheats: states more tokens than it made, sends other text than the model's or another model's,
//! acknowledges receipts and forgets them, claims twice, claims other sums, claims receipts that are not its own.
//!
//! What must hold: its users pay for no more than text came for and was authorised; no receipt is paid twice, none to
//! whom it was not issued; nobody else's job, receipt or balance is touched. What its own users read is its own word.

use std::collections::BTreeMap;

use labman_proto_core::economics::{Counts, merkle};
use labman_proto_core::machine::StreamId;
use labman_proto_core::money::Micros;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::{ClaimId, ReceiptId};
use labman_proto_core::wire::mesh::{Chunk, ProxyEnd, ProxyMark, ReceiptAck, ReceiptDelivery, Transcript};
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::{Claim, Receipt, UsageStatement};
use serde_json::{Value, json};

use super::craft::{self, Said};
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::{Fate, Letter, Strategy};
use crate::threats;

#[derive(Default)]
pub(super) struct LyingProvider {
    jobs: BTreeMap<StreamId, Job>,
}

/// Jobs remembered: the oldest are over by then.
const REMEMBERED: usize = 256;

struct Job {
    lie: Lie,
    /// Of what was sent, so that marks and the end fit the lie.
    transcript: Transcript,
}

#[derive(Clone, Copy)]
enum Lie {
    Counts,
    Text,
    Model,
    None,
}

impl Strategy for LyingProvider {
    fn says(&mut self, hand: &mut Hand, stream: StreamId, _: &Way, said: &Said) {
        match said.kind {
            kind if kind == Kind::Chunk as u16 => self.chunk(hand, stream, said),
            kind if kind == Kind::ProxyMark as u16 => self.mark(hand, stream, said),
            kind if kind == Kind::ProxyEnd as u16 => self.end(hand, stream, said),
            _ => hand.pass(stream, said),
        }
    }

    fn hears(&mut self, hand: &mut Hand, stream: StreamId, _: &Way, said: &Said) -> bool {
        if said.kind != Kind::ReceiptDelivery as u16 || !hand.once_in(4) {
            return true;
        }
        let network = hand.party.network;
        let receipt = cbor::decode::<ReceiptDelivery>(&said.payload).ok();
        let receipt = receipt.and_then(|it| object::open::<Receipt>(network, None, &it.receipt.0).ok());
        let Some(receipt) = receipt else { return true };
        hand.fired();
        let ack = ReceiptAck { receipt_id: receipt.content.receipt_id, refused: None };
        hand.say(stream, Kind::ReceiptAck as u16, &cbor::encode(&ack));
        false
    }

    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        let network = hand.party.network;
        let claim = object::open::<Claim>(network, Some(hand.me().0), &letter.body);
        let Some(claim) = claim.ok().map(|claim| claim.content) else { return Fate::Sent };
        let seal = |hand: &Hand, claim: Claim| object::seal(&hand.party.identity, network.id, claim).bytes.0;
        match hand.draws.below(5) {
            // Under two ids at once.
            0 | 1 => {
                hand.tried(threats::CLAIMS_WRONG);
                let again = Claim { claim_id: ClaimId(hand.draws.bytes()), ..claim };
                let again = seal(hand, again);
                hand.post(&letter.path.clone(), again);
            }
            // Under one id, with another sum.
            2 => {
                hand.tried(threats::CLAIMS_WRONG);
                let dearer = Claim { total: Micros(claim.total.0.saturating_mul(10)), ..claim };
                let dearer = seal(hand, dearer);
                hand.post(&letter.path.clone(), dearer);
            }
            3 => {
                hand.tried(threats::CLAIMS_WRONG);
                let others = with_receipts_of_others(hand, claim);
                letter.body = seal(hand, others);
            }
            _ => {}
        }
        Fate::Sent
    }

    fn wakes(&mut self, _: &mut Hand) {
        while self.jobs.len() > REMEMBERED {
            self.jobs.pop_first();
        }
    }
}

impl LyingProvider {
    fn chunk(&mut self, hand: &mut Hand, stream: StreamId, said: &Said) {
        let Ok(mut chunk) = cbor::decode::<Chunk>(&said.payload) else { return hand.pass(stream, said) };
        let draw = hand.draws.below(5);
        let job = self.jobs.entry(stream).or_insert_with(|| Job {
            lie: match draw {
                0 | 1 => Lie::Counts,
                2 => Lie::Text,
                3 => Lie::Model,
                _ => Lie::None,
            },
            transcript: Transcript::default(),
        });
        match job.lie {
            // What is acknowledged must be what its core has sent: it lies at the end.
            Lie::Counts => {}
            Lie::Text => alter(&mut chunk, |data| data["choices"][0]["delta"]["content"] = json!("lies, ")),
            Lie::Model => alter(&mut chunk, |data| data["model"] = json!("a far larger model")),
            Lie::None => {}
        }
        let payload = cbor::encode(&chunk);
        job.transcript.add(&payload);
        if payload != said.payload {
            hand.fired();
        }
        hand.send(stream, craft::light(said.kind, &payload));
    }

    fn mark(&mut self, hand: &mut Hand, stream: StreamId, said: &Said) {
        let (Some(job), Ok(mark)) = (self.jobs.get(&stream), cbor::decode::<ProxyMark>(&said.payload)) else {
            return hand.pass(stream, said);
        };
        let (chunks, transcript) = (job.transcript.chunks(), job.transcript.hash());
        hand.say(stream, said.kind, &cbor::encode(&ProxyMark { chunks, transcript, ..mark }));
    }

    fn end(&mut self, hand: &mut Hand, stream: StreamId, said: &Said) {
        let (Some(job), Ok(end)) = (self.jobs.remove(&stream), cbor::decode::<ProxyEnd>(&said.payload))
        else {
            return hand.pass(stream, said);
        };
        let network = hand.party.network;
        let Ok(stated) = object::open::<UsageStatement>(network, None, &end.statement.0) else {
            return hand.pass(stream, said);
        };
        let stated = stated.content;
        let counts = match job.lie {
            Lie::Counts => {
                hand.tried(threats::OVER_REPORTS);
                inflated(stated.counts)
            }
            Lie::Text | Lie::Model | Lie::None => stated.counts,
        };
        let (chunks, transcript) = (job.transcript.chunks(), job.transcript.hash());
        let stated = UsageStatement { counts, chunks, transcript, ..stated };
        let statement = object::seal(&hand.party.identity, network.id, stated).bytes;
        hand.send(stream, craft::light(said.kind, &cbor::encode(&ProxyEnd { statement, ..end })));
    }
}

fn inflated(counts: Counts) -> Counts {
    let more = |count: u32| count.saturating_mul(50).saturating_add(1_000);
    Counts { input: more(counts.input), cached: counts.cached, output: more(counts.output) }
}

fn alter(chunk: &mut Chunk, change: impl FnOnce(&mut Value)) {
    let Ok(mut data) = serde_json::from_slice::<Value>(&chunk.data.0) else { return };
    if data["choices"][0]["delta"]["content"].is_string() {
        change(&mut data);
        chunk.data = Blob(data.to_string().into_bytes());
    }
}

fn with_receipts_of_others(hand: &mut Hand, claim: Claim) -> Claim {
    let mut receipts = claim.receipts;
    receipts.extend((0..3).map(|_| ReceiptId(hand.draws.bytes())));
    receipts.sort_unstable();
    let leaves: Vec<[u8; 16]> = receipts.iter().map(|id| id.0).collect();
    let total = Micros(claim.total.0.saturating_add(1_000_000));
    Claim { receipts, merkle_root: merkle::root(&leaves), total, ..claim }
}
