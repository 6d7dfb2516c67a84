//! A gateway that cheats providers and its portal: reports less than was delivered, more, or before anything was; keeps
//! receipts back; shows one authorization to several providers, twice to one, or again when it is old; has two attempts work at once;
//! acknowledges nothing; names another attempt; sends another
//! body than it signed for.
//!
//! What must hold: a provider works once for an authorization that names it, and only for the body that was signed for;
//! nobody's bill exceeds what both sides counted and was authorised; the ledger balances. What is lost is what
//! economics.md says: the provider's pay for this gateway's jobs, the hold of this gateway's users.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use labman_proto_core::economics::Counts;
use labman_proto_core::identity::NodeId;
use labman_proto_core::machine::StreamId;
use labman_proto_core::time::{Span, Time};
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::{AuthId, Hash};
use labman_proto_core::wire::mesh::{Chunk, ProxyRequest, ReceiptDelivery, Taken};
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::{JobAuthorization, StreamAck, UsageReport};

use super::craft::{self, Said};
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::{Fate, Letter, Strategy};
use crate::threats;

#[derive(Default)]
pub(super) struct LyingGateway {
    /// Job streams whose body is to be another than was signed for.
    altered: BTreeSet<StreamId>,
    /// Streams that get the same as these.
    copies: BTreeMap<StreamId, Vec<StreamId>>,
    /// Streams of which nothing is acknowledged, or everything is.
    keeping: BTreeMap<StreamId, bool>,
    /// Requests that were shown, when and to whom.
    shown: VecDeque<(Time, NodeId, Vec<u8>)>,
    /// Streams on which a second attempt works, with its authorization.
    second: BTreeMap<StreamId, AuthId>,
}

/// A provider demands more life of an authorization than it has left then.
const OLD: Span = Span::from_secs(5 * 60);

/// Streams remembered of either kind: the oldest are over by then.
const REMEMBERED: usize = 256;

impl Strategy for LyingGateway {
    fn says(&mut self, hand: &mut Hand, stream: StreamId, way: &Way, said: &Said) {
        match (way, said.kind) {
            (Way::Job { peer, ours: true, .. }, kind) if kind == Kind::ProxyRequest as u16 => {
                self.offers(hand, stream, *peer, said);
            }
            (Way::Job { ours: true, .. }, kind) if kind == Kind::Body as u16 => {
                if let Some(copies) = self.copies.get(&stream) {
                    copies.iter().for_each(|copy| hand.send(*copy, said.bytes.clone()));
                }
                if self.altered.remove(&stream) {
                    let mut payload = said.payload.clone();
                    craft::flip(&mut payload, &mut hand.draws);
                    return hand.send(stream, craft::light(said.kind, &payload));
                }
                hand.pass(stream, said);
            }
            (_, kind) if kind == Kind::ReceiptDelivery as u16 && is_kept_back(said) => {
                hand.tried(threats::KEPT_RECEIPT);
            }
            (_, kind) if kind == Kind::StreamAck as u16 && self.keeps_acks(hand, stream) => {
                hand.tried(threats::NEVER_ACKS);
            }
            _ => hand.pass(stream, said),
        }
    }

    fn hears(&mut self, hand: &mut Hand, stream: StreamId, _: &Way, said: &Said) -> bool {
        if said.kind == Kind::Chunk as u16
            && let Some(auth_id) = self.second.get(&stream).copied()
            && let Ok(chunk) = cbor::decode::<Chunk>(&said.payload)
            && chunk.counts.output > 0
        {
            let network = hand.party.network;
            let ack = StreamAck { auth_id, attempt: 1, counts: chunk.counts };
            let ack = object::seal(&hand.party.identity, network.id, ack).bytes;
            hand.tried(threats::SECOND_ATTEMPT);
            hand.send(stream, craft::light(Kind::StreamAck as u16, &cbor::encode(&Taken { ack })));
        }
        true
    }

    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        let network = hand.party.network;
        let report = object::open::<UsageReport>(network, Some(hand.me().0), &letter.body);
        let Some(mut report) = report.ok().map(|report| report.content) else { return Fate::Sent };
        match hand.draws.below(5) {
            0 => {
                hand.tried(threats::UNDER_REPORTS);
                report.accepted.output /= 2;
            }
            1 => {
                hand.tried(threats::UNDER_REPORTS);
                (report.attempt, report.statement) = (None, None);
            }
            2 => {
                let Counts { input, output, .. } = &mut report.accepted;
                (*input, *output) = (input.saturating_mul(100), output.saturating_add(1_000_000));
                report.statement = report.statement.filter(|_| hand.once_in(2));
            }
            3 => report.attempt = Some(report.attempt.map_or(0, |attempt| attempt.wrapping_add(1))),
            _ => return Fate::Sent,
        }
        hand.fired();
        letter.body = object::seal(&hand.party.identity, network.id, report).bytes.0;
        Fate::Sent
    }

    fn wakes(&mut self, hand: &mut Hand) {
        self.show_again(hand);
        while self.second.len() > REMEMBERED {
            self.second.pop_first();
        }
        while self.keeping.len() > REMEMBERED {
            self.keeping.pop_first();
        }
        while self.copies.len() > REMEMBERED {
            self.copies.pop_first();
        }
        while self.altered.len() > REMEMBERED {
            self.altered.pop_first();
        }
    }
}

impl LyingGateway {
    fn offers(&mut self, hand: &mut Hand, stream: StreamId, peer: NodeId, said: &Said) {
        let network = hand.party.network;
        let Ok(mut request) = cbor::decode::<ProxyRequest>(&said.payload) else {
            return hand.pass(stream, said);
        };
        let auth = object::open::<JobAuthorization>(network, None, &request.authorization.0);
        let Ok(auth) = auth.map(|auth| auth.content) else { return hand.pass(stream, said) };
        self.shown.push_back((hand.now.mono, peer, said.payload.clone()));
        if self.shown.len() > REMEMBERED {
            self.shown.pop_front();
        }
        self.run_second(hand, stream, &auth, &request);
        match hand.draws.below(6) {
            0 => {
                hand.fired();
                let report = early_report(hand, &auth);
                hand.post("/v1/usage", report);
            }
            1 | 2 => {
                let nodes: BTreeSet<NodeId> = hand.links.values().map(|(node, _)| *node).collect();
                let others = nodes.into_iter().filter(|node| *node != peer).take(3);
                for node in others.chain([peer]).collect::<Vec<_>>() {
                    let Some(copy) = hand.open_job(node) else { continue };
                    hand.tried(threats::MANY_PROVIDERS);
                    hand.say(copy, said.kind, &said.payload);
                    self.copies.entry(stream).or_default().push(copy);
                }
            }
            3 => {
                hand.fired();
                match hand.once_in(2) {
                    true => request.attempt = request.attempt.wrapping_add(1),
                    false => request.offer_hash = Hash(hand.draws.bytes()),
                }
                return hand.say(stream, said.kind, &cbor::encode(&request));
            }
            4 => {
                hand.fired();
                self.altered.insert(stream);
            }
            _ => {}
        }
        hand.pass(stream, said);
    }
}

impl LyingGateway {
    /// Whether it acknowledges nothing of that stream.
    fn keeps_acks(&mut self, hand: &mut Hand, stream: StreamId) -> bool {
        if let Some(keeps) = self.keeping.get(&stream) {
            return *keeps;
        }
        let keeps = hand.once_in(4);
        self.keeping.insert(stream, keeps);
        keeps
    }

    /// What was shown minutes ago is shown once more.
    fn show_again(&mut self, hand: &mut Hand) {
        let Some((at, peer, payload)) = self.shown.front().cloned() else { return };
        if hand.now.mono - at < OLD {
            return;
        }
        self.shown.pop_front();
        if let Some(stream) = hand.open_job(peer) {
            hand.tried(threats::OLD_AUTHORIZATION);
            hand.say(stream, Kind::ProxyRequest as u16, &payload);
        }
    }

    /// Has the second attempt work beside the first; its body follows with the first one's.
    fn run_second(
        &mut self,
        hand: &mut Hand,
        stream: StreamId,
        auth: &JobAuthorization,
        request: &ProxyRequest,
    ) {
        let Some(second) = auth.attempts.get(1).filter(|_| request.attempt == 0) else { return };
        if !hand.once_in(2) {
            return;
        }
        let Some(copy) = hand.open_job(second.provider) else { return };
        let request = ProxyRequest { attempt: 1, offer_hash: second.offer_hash, ..request.clone() };
        hand.say(copy, Kind::ProxyRequest as u16, &cbor::encode(&request));
        self.copies.entry(stream).or_default().push(copy);
        self.second.insert(copy, auth.auth_id);
    }
}

/// All that was authorised is said to have been delivered, before the provider has heard of it.
fn early_report(hand: &Hand, auth: &JobAuthorization) -> Vec<u8> {
    let counts = Counts { input: auth.input_bound, cached: 0, output: auth.max_output };
    let report = UsageReport {
        fep_id: auth.fep_id,
        auth_id: auth.auth_id,
        attempt: Some(0),
        accepted: counts,
        statement: None,
        releases: Vec::new(),
        ended_ms: hand.now.wall.0,
    };
    object::seal(&hand.party.identity, hand.party.network.id, report).bytes.0
}

/// Half of all receipts, and each of them whenever it is repeated.
fn is_kept_back(said: &Said) -> bool {
    let receipt = cbor::decode::<ReceiptDelivery>(&said.payload).map(|delivery| delivery.receipt.0);
    receipt.is_ok_and(|receipt| receipt.last().is_some_and(|byte| byte.is_multiple_of(2)))
}
