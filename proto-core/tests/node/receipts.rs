//! Receipts at a provider: only what the FEP signed for this very job, acknowledged only once it is durable.

use labman_proto_core::economics::Rate;
use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::{AuthId, Hash, ReceiptId, RequestId};
use labman_proto_core::wire::portal::{Receipt, Verdict};
use labman_proto_core::wire::portman::{Fault, FromPortman};

use super::jobs::{Shop, shop};
use super::peer::{Peer, counts, frames};
use super::portman::{Order, acks, delivery};
use super::rig::{FEP_KEY, OTHER, PEER, STRANGER, identity, node};

/// A job that was delivered, 10 and 7 tokens of it, and awaits its receipt.
fn delivered() -> (Shop, Order, StreamId) {
    let mut shop = shop();
    let (order, stream) = shop.delivers(1);
    (shop, order, stream)
}

impl Shop {
    fn deliver(&mut self, stream: StreamId, signer: u8, receipt: &Receipt) -> Vec<Option<String>> {
        let delivery = delivery(signer, receipt);
        self.gateway.say(&mut self.rig, stream, Kind::ReceiptDelivery, &delivery);
        acks(&frames(&self.rig.hear(stream)))
    }

    fn receipts(&self) -> usize {
        self.rig.disk.rows("receipts_open").len()
    }
}

#[test]
fn a_receipt_that_is_not_for_what_was_delivered_is_refused_and_not_kept() {
    type Twist = fn(&mut Receipt);
    let (mut shop, order, stream) = delivered();
    let good = order.receipt(counts(10, 7));
    let cases: [(&str, Twist); 17] = [
        ("another provider", |r| r.provider_node_id = node(OTHER)),
        ("another gateway", |r| r.gateway_node_id = node(OTHER)),
        ("another request", |r| r.request_id = RequestId([9; 16])),
        ("another hold", |r| r.auth_id = AuthId([9; 16])),
        ("another attempt", |r| r.attempt = 1),
        ("another offer", |r| r.offer_hash = Hash([9; 32])),
        ("another FEP", |r| r.fep_id = identity(STRANGER).fep_id()),
        ("an id of its own", |r| r.receipt_id = ReceiptId([9; 16])),
        ("a micro less", |r| r.payout = Micros(r.payout.0 - 1)),
        ("a micro more", |r| r.payout = Micros(r.payout.0 + 1)),
        ("a micro less charged", |r| r.charge = Micros(r.charge.0 - 1)),
        ("another address", |r| r.payout_to.address = "thief".into()),
        ("another currency", |r| r.payout_to.currency = "USD".parse().unwrap()),
        ("billed otherwise", |r| r.billing_currency = "USD".parse().unwrap()),
        ("another rate", |r| r.rate = Rate::new(1, 2).unwrap()),
        ("other counts", |r| r.settled.output = 6),
        ("more cached than read", |r| r.settled.cached = r.settled.input + 1),
    ];
    for (what, twist) in cases {
        let mut wrong = good.clone();
        twist(&mut wrong);
        let acks = shop.deliver(stream, FEP_KEY, &wrong);
        assert!(matches!(acks[..], [Some(_)]), "{what}: {acks:?}");
    }
    // Settled above what was authorised, and with the right amounts for it.
    let acks = shop.deliver(stream, FEP_KEY, &order.receipt(counts(10, 101)));
    assert!(matches!(acks[..], [Some(_)]), "{acks:?}");
    for signer in [STRANGER, PEER] {
        let acks = shop.deliver(stream, signer, &good);
        assert!(!acks.contains(&None), "{acks:?}");
    }
    assert_eq!(shop.receipts(), 0);
    assert_eq!(shop.deliver(stream, FEP_KEY, &good), [None]);
    assert_eq!(shop.receipts(), 1);
}

#[test]
fn a_receipt_is_acknowledged_once_it_is_durable_and_kept_once() {
    let (mut shop, order, stream) = delivered();
    let receipt = order.receipt(counts(10, 7));
    shop.rig.store_held = true;
    assert_eq!(shop.deliver(stream, FEP_KEY, &receipt), []);
    assert_eq!(shop.deliver(stream, FEP_KEY, &receipt), []);
    assert_eq!(shop.rig.writes_waiting(), 1);
    shop.rig.release_store();
    assert_eq!(acks(&frames(&shop.rig.hear(stream))), [None]);
    assert_eq!(shop.deliver(stream, FEP_KEY, &receipt), [None]);
    assert_eq!(shop.receipts(), 1);
    shop.rig.finish(stream);
    assert!(shop.rig.wires[&stream].is_gone());
    assert_eq!(shop.rig.admin("/receipts")["receipts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_receipt_that_can_t_be_written_is_not_acknowledged() {
    let (mut shop, order, stream) = delivered();
    let receipt = order.receipt(counts(10, 7));
    shop.rig.disk.full = true;
    assert_eq!(shop.deliver(stream, FEP_KEY, &receipt), []);
    assert!(shop.rig.stopped());
    shop.rig.disk.full = false;
    shop.rig.restart();
    shop.gateway = Peer::admitted(&mut shop.rig, PEER);
    let control = shop.gateway.control;
    assert_eq!(shop.receipts(), 0);
    shop.rig.hear(control);
    assert_eq!(shop.deliver(control, FEP_KEY, &receipt), [None]);
    assert_eq!(shop.receipts(), 1);
}

#[test]
fn a_receipt_finds_its_way_after_the_job_s_stream_was_lost() {
    let (mut shop, order, stream) = delivered();
    shop.rig.reset(stream, ResetCode::Unreachable);
    let receipt = order.receipt(counts(10, 7));
    let control = shop.gateway.control;
    assert_eq!(shop.deliver(control, FEP_KEY, &receipt), [None]);
    assert_eq!(shop.deliver(control, FEP_KEY, &receipt), [None]);
    assert_eq!(shop.receipts(), 1);
}

#[test]
fn a_receipt_whose_stream_is_lost_while_it_is_written_is_acknowledged_on_the_link() {
    let (mut shop, order, stream) = delivered();
    let receipt = order.receipt(counts(10, 7));
    shop.rig.store_held = true;
    shop.deliver(stream, FEP_KEY, &receipt);
    shop.rig.reset(stream, ResetCode::Unreachable);
    shop.rig.release_store();
    assert_eq!(acks(&shop.gateway.hears(&mut shop.rig)), [None]);
}

#[test]
fn a_receipt_for_a_job_that_came_to_nothing_is_not_said_to_be_kept() {
    let mut shop = shop();
    let order = shop.order(1);
    order.place(&mut shop.rig, &mut shop.gateway);
    let failed = FromPortman::Failed { job: 1, fault: Fault::RuntimeFailed, message: "no".into() };
    shop.portman.say(&mut shop.rig, &failed);
    let control = shop.gateway.control;
    let receipt = order.receipt(counts(10, 7));
    let acks = shop.deliver(control, FEP_KEY, &receipt);
    assert!(!acks.contains(&None) || shop.receipts() == 1, "acknowledged, and not kept");
}

#[test]
fn a_receipt_is_claimed_once_and_paid() {
    let (mut shop, order, stream) = delivered();
    let receipt = order.receipt(counts(10, 7));
    shop.deliver(stream, FEP_KEY, &receipt);
    shop.rig.pass(Span::from_secs(60));
    assert_eq!(shop.rig.fep.claims.len(), 1);
    assert_eq!(shop.rig.fep.claims[0].total, receipt.payout);
    assert_eq!(shop.rig.disk.rows("receipts_paid").len(), 1);
    // Delivered once more, it is known and not open again.
    let control = shop.gateway.control;
    assert_eq!(shop.deliver(control, FEP_KEY, &receipt), [None]);
    shop.rig.pass(Span::from_secs(60));
    assert_eq!((shop.rig.fep.claims.len(), shop.receipts()), (1, 0));
}

#[test]
fn a_receipt_that_comes_again_when_its_job_is_long_forgotten_is_acknowledged_and_kept_once() {
    let (mut shop, order, stream) = delivered();
    let receipt = order.receipt(counts(10, 7));
    shop.deliver(stream, FEP_KEY, &receipt);
    shop.rig.pass(Span::from_secs(3600));
    assert_eq!(shop.rig.disk.rows("authorizations").len(), 0);
    let mut gateway = Peer::admitted(&mut shop.rig, OTHER);
    let control = gateway.control;
    gateway.say(&mut shop.rig, control, Kind::ReceiptDelivery, &delivery(FEP_KEY, &receipt));
    assert_eq!(acks(&gateway.hears(&mut shop.rig)), [None]);
    // One that never came is a gateway's word for nothing.
    let never = Receipt { auth_id: AuthId([9; 16]), ..receipt };
    let never = Receipt { receipt_id: ReceiptId::of(never.fep_id, never.auth_id, never.attempt), ..never };
    gateway.say(&mut shop.rig, control, Kind::ReceiptDelivery, &delivery(FEP_KEY, &never));
    let refused = acks(&gateway.hears(&mut shop.rig));
    assert!(matches!(&refused[..], [Some(why)] if why.contains("no job that is remembered")), "{refused:?}");
    assert_eq!((shop.receipts(), shop.rig.disk.rows("receipts_paid").len()), (0, 1));
}

#[test]
fn an_error_page_is_no_decision_on_a_claim() {
    let (mut shop, order, stream) = delivered();
    let receipt = order.receipt(counts(10, 7));
    shop.deliver(stream, FEP_KEY, &receipt);
    shop.rig.fep.says = Some(("/v1/claims", 404, b"<html>not found</html>".to_vec()));
    shop.rig.pass(Span::from_secs(60));
    assert!(shop.rig.fep.called("/v1/claims") > 2);
    shop.rig.fep.says = None;
    shop.rig.pass(Span::from_secs(60));
    assert_eq!(shop.rig.disk.rows("receipts_paid").len(), 1);
}

#[test]
fn a_claim_decided_by_somebody_else_is_not_decided() {
    let (mut shop, order, stream) = delivered();
    let receipt = order.receipt(counts(10, 7));
    shop.deliver(stream, FEP_KEY, &receipt);
    shop.rig.fep.signer = Some(STRANGER);
    shop.rig.pass(Span::from_secs(60));
    assert_eq!(shop.rig.disk.rows("receipts_paid").len(), 0);
    // The claim goes on in the next life, under the same id.
    shop.rig.restart();
    shop.rig.fep.signer = None;
    shop.rig.pass(Span::from_secs(60));
    assert_eq!(shop.rig.disk.rows("receipts_paid").len(), 1);
    let ids: std::collections::BTreeSet<_> = shop.rig.fep.claims.iter().map(|claim| claim.claim_id).collect();
    assert_eq!(ids.len(), 1);
}

#[test]
fn a_payout_that_is_not_the_sum_of_its_lines_pays_none_of_them() {
    let (mut shop, order, stream) = delivered();
    let receipt = order.receipt(counts(10, 7));
    shop.deliver(stream, FEP_KEY, &receipt);
    shop.rig.fep.decision = Some(|decision| {
        let payout = decision.payout.as_mut().unwrap();
        payout.amount = Micros(payout.amount.0 - 1);
    });
    shop.rig.pass(Span::from_secs(60));
    assert_eq!(shop.rig.disk.rows("receipts_paid").len(), 0);
    assert_eq!(shop.rig.admin("/receipts")["receipts"][0]["state"], "disputed");
}

#[test]
fn a_claim_rejected_without_a_word_on_its_lines_leaves_them_to_be_claimed_again() {
    let (mut shop, order, stream) = delivered();
    let receipt = order.receipt(counts(10, 7));
    shop.deliver(stream, FEP_KEY, &receipt);
    shop.rig.fep.decision = Some(|decision| {
        decision.verdict = Verdict::Rejected;
        decision.payout = None;
    });
    shop.rig.pass(Span::from_secs(60));
    assert_eq!(shop.rig.disk.rows("receipts_paid").len(), 0);
    shop.rig.fep.decision = None;
    shop.rig.pass(Span::from_secs(120));
    assert_eq!(shop.rig.disk.rows("receipts_paid").len(), 1);
}

#[test]
fn a_list_of_receipts_says_how_many_it_leaves_out_and_since_when_one_is_missing() {
    let (mut shop, order, stream) = delivered();
    shop.rig.pass(Span::from_secs(90));
    let answer = shop.rig.admin("/receipts?limit=1");
    assert_eq!((answer["awaited"].as_u64(), answer["more"].as_u64()), (Some(1), Some(0)));
    assert!(answer["awaited_for_ms"].as_u64().is_some_and(|ms| ms >= 90_000), "{answer}");
    let receipt = order.receipt(counts(10, 7));
    shop.deliver(stream, FEP_KEY, &receipt);

    one_more(&mut shop, 2);
    let answer = shop.rig.admin("/receipts?limit=1");
    assert_eq!((answer["awaited"].as_u64(), answer["more"].as_u64()), (Some(0), Some(1)), "{answer}");
    assert!(answer["awaited_for_ms"].is_null(), "{answer}");
    shop.rig.pass(Span::from_secs(60));
    let answer = shop.rig.admin("/receipts?limit=1");
    assert_eq!((&answer["receipts"][0]["state"], answer["more"].as_u64()), (&"paid".into(), Some(1)));
}

/// One more job, from its order to its receipt.
fn one_more(shop: &mut Shop, number: u8) {
    let (order, stream) = shop.delivers(number);
    shop.deliver(stream, FEP_KEY, &order.receipt(counts(10, 7)));
}

#[test]
fn a_provider_that_is_never_idle_forgets_authorizations_that_cannot_be_shown_again() {
    let mut shop = shop();
    let every = Span::from_secs(30);
    let mut kept = Vec::new();
    for number in 1..=120 {
        one_more(&mut shop, number);
        shop.rig.pass(every);
        kept.push(shop.rig.disk.rows("authorizations").len());
    }
    assert!(kept[20] > 15 && kept[60..].iter().all(|kept| *kept < 50), "{kept:?}");
}

#[test]
fn claims_are_listed_newest_first_however_many_and_without_their_thousands_of_receipts() {
    let mut shop = shop();
    for number in 1..=25 {
        if number == 25 {
            shop.rig.fep.silent = vec!["/v1/claims"];
        }
        one_more(&mut shop, number);
        shop.rig.pass(Span::from_secs(60));
    }
    let of = |answer: serde_json::Value, name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let claims = of(shop.rig.admin("/claims"), "claims");
    let state = |claim: &serde_json::Value| claim["state"].as_str().map(String::from);
    let states: Vec<_> = claims.iter().filter_map(state).collect();
    assert_eq!((states.len(), states[0].as_str()), (25, "submitted"), "{states:?}");
    assert!(states[1..].iter().all(|state| state == "paid"), "{states:?}");
    let made: Vec<u64> = claims.iter().filter_map(|claim| claim["issued_ms"].as_u64()).collect();
    assert!(made.len() == 25 && made.is_sorted_by(|earlier, later| earlier > later), "{made:?}");
    assert!(claims.iter().all(|claim| claim["count"] == 1 && claim["receipts"].is_null()), "{}", claims[0]);
    assert_eq!(of(shop.rig.admin("/payouts"), "payouts").len(), 24);
    let newest = shop.rig.admin("/claims?limit=5");
    assert_eq!(of(newest.clone(), "claims"), claims[..5]);
    assert!(newest["more"].as_u64().is_some_and(|more| (1..=20).contains(&more)), "at least: {newest}");
}
