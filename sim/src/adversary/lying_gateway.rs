//! A gateway that cheats providers and its portal: reports less than was delivered, more, or before anything was; keeps
//! receipts back; shows one authorization to several providers, or twice to one; names another attempt; sends another
//! body than it signed for.
//!
//! What must hold: a provider works once for an authorization that names it, and only for the body that was signed for;
//! nobody's bill exceeds what both sides counted and was authorised; the ledger balances. What is lost is what
//! economics.md says: the provider's pay for this gateway's jobs, the hold of this gateway's users.

use std::collections::{BTreeMap, BTreeSet};

use labman_proto_core::economics::Counts;
use labman_proto_core::identity::NodeId;
use labman_proto_core::machine::StreamId;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::Hash;
use labman_proto_core::wire::mesh::{ProxyRequest, ReceiptDelivery};
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::{JobAuthorization, UsageReport};

use super::craft::{self, Said};
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::{Fate, Letter, Strategy};

#[derive(Default)]
pub(super) struct LyingGateway {
    /// Job streams whose body is to be another than was signed for.
    altered: BTreeSet<StreamId>,
    /// Streams that get the same as these.
    copies: BTreeMap<StreamId, Vec<StreamId>>,
}

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
            (_, kind) if kind == Kind::ReceiptDelivery as u16 && is_kept_back(said) => hand.fired(),
            _ => hand.pass(stream, said),
        }
    }

    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        let network = hand.party.network;
        let report = object::open::<UsageReport>(network, Some(hand.me().0), &letter.body);
        let Some(mut report) = report.ok().map(|report| report.content) else { return Fate::Sent };
        match hand.draws.below(5) {
            0 => report.accepted.output /= 2,
            1 => report.attempt = None,
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

    fn wakes(&mut self, _: &mut Hand) {
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
                    hand.fired();
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
