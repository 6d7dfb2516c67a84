//! A portal whose books are in order and whose answers are not: authorizations for other jobs, other providers, other
//! sums, by a key that is revoked; receipts with wrong amounts, for others, out of sequence, unsigned; claims refused, paid in part, or decided for
//! somebody else; errors, garbage, late answers, none.
//!
//! What must hold: a gateway sends no prompt on an authorization that does not fit what it asked; a provider keeps no
//! receipt whose amounts do not follow from counts and offer, and takes no claim for paid that was not; users get exact
//! answers or errors. What such a FEP owes may be lost: economics.md.

use labman_proto_core::http::ResponseHead;
use labman_proto_core::identity::NodeId;
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::wire::ids::{ClaimId, Hash, ReceiptId, RequestId};
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::{
    ClaimDecision, JobAuthorization, Receipt, RejectedLine, Verdict, key_id,
};

use super::craft;
use super::hand::Hand;
use super::strategy::{Fate, Letter, Strategy};
use crate::threats;

#[derive(Default)]
pub(super) struct LyingFep;

impl Strategy for LyingFep {
    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        if !hand.once_in(2) {
            return Fate::Sent;
        }
        let threat = match letter.path.as_str() {
            "/v1/claims" => threats::FEP_CLAIMS,
            _ if letter.status != 200 => threats::FEP_STALLS,
            _ => threats::FEP_TERMS,
        };
        let seal = |hand: &Hand, object| hand_seal(hand, object);
        let lie = match (letter.status, letter.path.as_str()) {
            (200, "/v1/authorize") if hand.once_in(6) => {
                let theft = by_stolen_key(hand, &letter.body);
                if let Some(theft) = theft {
                    hand.tried(threats::STOLEN_KEY);
                    letter.body = theft;
                    return Fate::Sent;
                }
                None
            }
            (200, "/v1/authorize") => authorization(hand, &letter.body).map(|it| seal(hand, Paper::Auth(it))),
            (200, "/v1/usage" | "/v1/statements") => {
                receipt(hand, &letter.body).map(|it| seal(hand, Paper::Receipt(it)))
            }
            (200, "/v1/claims") => decision(hand, &letter.body).map(|it| seal(hand, Paper::Decision(it))),
            _ => None,
        };
        match (hand.draws.below(10), lie) {
            (0..6, Some(lie)) => {
                hand.tried(threat);
                letter.body = lie;
            }
            (6, Some(_)) => {
                hand.fired();
                craft::flip(&mut letter.body, &mut hand.draws);
            }
            _ => {
                hand.tried(if threat == threats::FEP_CLAIMS { threat } else { threats::FEP_STALLS });
                return hitch(hand, letter);
            }
        }
        Fate::Sent
    }
}

enum Paper {
    Auth(JobAuthorization),
    Receipt(Receipt),
    Decision(ClaimDecision),
}

fn hand_seal(hand: &Hand, paper: Paper) -> Vec<u8> {
    let (me, net) = (&hand.party.identity, hand.party.network.id);
    match paper {
        Paper::Auth(it) => object::seal(me, net, it).bytes.0,
        Paper::Receipt(it) => object::seal(me, net, it).bytes.0,
        Paper::Decision(it) => object::seal(me, net, it).bytes.0,
    }
}

/// What was asked for, signed by a key that is revoked: as its thief would.
fn by_stolen_key(hand: &Hand, body: &[u8]) -> Option<Vec<u8>> {
    let stolen = hand.party.stolen.as_ref()?;
    let mut auth = object::open::<JobAuthorization>(hand.party.network, None, body).ok()?.content;
    auth.key_id = key_id(&stolen.fep_key().0);
    Some(object::seal(stolen, hand.party.network.id, auth).bytes.0)
}

fn authorization(hand: &mut Hand, body: &[u8]) -> Option<JobAuthorization> {
    let mut auth = object::open::<JobAuthorization>(hand.party.network, None, body).ok()?.content;
    match hand.draws.below(9) {
        0 => auth.request_id = RequestId(hand.draws.bytes()),
        1 => auth.attempts.first_mut()?.provider = NodeId(hand.draws.bytes()),
        2 => auth.attempts.first_mut()?.offer_hash = Hash(hand.draws.bytes()),
        3 => auth.attempts.iter_mut().for_each(|attempt| attempt.max_payout = Micros(-1)),
        4 => auth.input_bound = 0,
        5 => auth.ttl_s = u32::try_from(hand.draws.below(10)).unwrap_or(0),
        6 => auth.gateway = NodeId(hand.draws.bytes()),
        7 => auth.attempts = Vec::new(),
        _ => {
            auth.fees.fep_bps = u32::MAX;
            auth.issued_ms = u64::MAX;
        }
    }
    Some(auth)
}

fn receipt(hand: &mut Hand, body: &[u8]) -> Option<Receipt> {
    let mut receipt = object::open::<Receipt>(hand.party.network, None, body).ok()?.content;
    match hand.draws.below(9) {
        0 => receipt.payout = Micros(receipt.payout.0 / 2),
        1 => receipt.charge = Micros(i64::MAX),
        2 => receipt.provider_node_id = NodeId(hand.draws.bytes()),
        3 => receipt.sequence = hand.draws.next_u64(),
        4 => receipt.payout_to.address = "somewhere else".into(),
        5 => receipt.settled.output = u32::MAX,
        6 => receipt.settled.cached = receipt.settled.input.saturating_add(1),
        7 => receipt.receipt_id = ReceiptId(hand.draws.bytes()),
        _ => receipt.request_id = RequestId(hand.draws.bytes()),
    }
    Some(receipt)
}

fn decision(hand: &mut Hand, body: &[u8]) -> Option<ClaimDecision> {
    let mut decision = object::open::<ClaimDecision>(hand.party.network, None, body).ok()?.content;
    match hand.draws.below(5) {
        0 => decision.claim_id = ClaimId(hand.draws.bytes()),
        1 => decision.payout.as_mut()?.amount = Micros(i64::MIN),
        2 => decision.payout = None,
        3 => (decision.verdict, decision.payout) = (Verdict::Rejected, None),
        _ => {
            let line =
                |_| RejectedLine { receipt_id: ReceiptId(hand.draws.bytes()), reason: "no".repeat(500) };
            decision.rejected = (0..200).map(line).collect();
        }
    }
    Some(decision)
}

/// Trouble that needs no reading.
fn hitch(hand: &mut Hand, letter: &mut Letter) -> Fate {
    let mut says = |status: u16, body: &[u8]| {
        letter.status = status;
        letter.headers = ResponseHead::json(status).with("content-length", "0").headers;
        letter.body = body.to_vec();
    };
    match hand.draws.below(7) {
        0 => says(500, b"oh no"),
        1 => says(403, br#"{"error":{"code":"not_paired","message":"who are you?"}}"#),
        2 => says(404, b"<html>nothing here</html>"),
        3 => says(204, b""),
        4 => says(200, &craft::random_cbor(&mut hand.draws)),
        5 => return Fate::SentAfter(Span::from_millis(hand.draws.below(8_000))),
        _ => return Fate::Kept,
    }
    Fate::Sent
}
