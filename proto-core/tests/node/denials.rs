//! Whoever does not deliver is not worked for, for a while.

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::limits::{DENIAL_FIRST, STATE_AFTER, WITHHELD_AFTER};
use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{FepDescriptor, RefusalCode};
use labman_proto_core::wire::portal::key_id;
use labman_proto_core::wire::portman::FromPortman;
use serde_json::Value;

use super::fep::FEES;
use super::jobs::{Shop, shop};
use super::peer::{Peer, counts};
use super::portman::{Order, Portman, declined, delivery, model};
use super::rig::{FEP, FEP_KEY, OTHER, PEER, STRANGER, identity, node, seal};
use super::rings;

/// Between two times that a fault counts.
const APART: Span = Span::from_secs(61);

impl Shop {
    /// A job of ours that is delivered, acknowledged, and awaits its receipt.
    pub(super) fn delivers(&mut self, number: u8) -> (Order, StreamId) {
        let order = self.order(number);
        let stream = order.place(&mut self.rig, &mut self.gateway);
        let [job] = self.portman.started(&mut self.rig)[..] else { panic!("refused") };
        self.portman.text(&mut self.rig, job, "seven tokens", counts(10, 7));
        self.rig.deliver(stream, &order.ack(PEER, counts(10, 7)));
        self.portman.say(&mut self.rig, &FromPortman::Done { job, counts: counts(10, 7) });
        (order, stream)
    }

    fn brings_receipt(&mut self, stream: StreamId, order: &Order, sequence: u64) {
        let mut receipt = order.receipt(counts(10, 7));
        receipt.sequence = sequence;
        self.gateway.say(&mut self.rig, stream, Kind::ReceiptDelivery, &delivery(FEP_KEY, &receipt));
        self.rig.finish(stream);
    }

    /// Its gateway keeps the receipt back: the FEP gives it.
    fn asks_its_fep(&mut self, number: u8) {
        let (order, stream) = self.delivers(number);
        let mut receipt = order.receipt(counts(10, 7));
        receipt.sequence = number.into();
        self.rig.fep.says = Some(("/v1/statements", 200, seal(FEP_KEY, receipt)));
        self.rig.reset(stream, ResetCode::Cancelled);
        self.rig.pass(APART + STATE_AFTER);
    }

    /// Whether a job of that gateway is refused for what was not delivered: then nothing will be owed for it.
    fn denies(&mut self, number: u8, gateway: u8) -> bool {
        let order = Order::new(&self.rig, gateway, &self.offer, number);
        let stream = match gateway {
            PEER => order.place(&mut self.rig, &mut self.gateway),
            other => {
                let mut peer = Peer::admitted(&mut self.rig, other);
                order.place(&mut self.rig, &mut peer)
            }
        };
        match declined(&mut self.rig, stream) {
            Some(said) => {
                assert_eq!(said, (RefusalCode::NotTrusted, true));
                true
            }
            None => {
                self.rig.reset(stream, ResetCode::Cancelled);
                false
            }
        }
    }

    fn denied(&mut self) -> Vec<(String, String)> {
        let shown = self.rig.admin("/denials");
        let of = |row: &Value| {
            (row["id"].as_str().unwrap().to_string(), row["fault"].as_str().unwrap().to_string())
        };
        shown["denials"].as_array().unwrap().iter().map(of).collect()
    }

    fn lies(&mut self, number: u8) {
        self.lies_by(FEP_KEY, number);
    }

    /// Another amount than was agreed, signed by that key.
    fn lies_by(&mut self, key: u8, number: u8) {
        let (order, stream) = self.delivers(number);
        let mut receipt = order.receipt(counts(10, 7));
        receipt.payout = Micros(receipt.payout.0 - 1);
        receipt.key_id = key_id(&node(key).0);
        self.gateway.say(&mut self.rig, stream, Kind::ReceiptDelivery, &delivery(key, &receipt));
        self.rig.reset(stream, ResetCode::Cancelled);
    }
}

fn fep() -> String {
    identity(FEP).fep_id().to_string()
}

#[test]
fn what_no_key_of_a_fep_has_signed_is_not_held_against_it() {
    let mut shop = shop();
    let key = |number| identity(number);
    let revoked = rings::revoked(rings::always(&key(OTHER)), shop.rig.now.wall.0);
    let ring = rings::ring(&key(FEP), 2, vec![rings::always(&key(FEP_KEY)), revoked]);
    let descriptor = Blob(rings::descriptor(&key(FEP_KEY), ring, 0, FEES));
    let told = cbor::encode(&FepDescriptor { fep_id: key(FEP).fep_id(), descriptor });
    shop.gateway.say(&mut shop.rig, shop.gateway.control, Kind::FepDescriptor, &told);
    // A stranger's, one that is revoked, and the root's own.
    for (number, key) in (1..).zip([STRANGER, OTHER, FEP]) {
        shop.lies_by(key, number);
        assert!(shop.denied().is_empty(), "{key}");
    }
    shop.lies(4);
    assert_eq!(shop.denied(), [(fep(), "false_paper".to_string())]);
}

#[test]
fn a_fep_that_signs_another_amount_is_not_worked_for_and_longer_each_time() {
    let mut shop = shop();
    shop.lies(1);
    assert_eq!(shop.denied(), [(fep(), "false_paper".to_string())]);
    assert!(shop.denies(2, PEER));
    shop.rig.pass(DENIAL_FIRST);
    assert!(shop.denied().is_empty());
    shop.lies(3);
    shop.rig.pass(DENIAL_FIRST);
    assert!(shop.denies(4, PEER));
    shop.rig.pass(DENIAL_FIRST);
    assert!(!shop.denies(5, PEER));
}

#[test]
fn a_denial_survives_a_restart_and_its_operator_ends_it() {
    let mut shop = shop();
    shop.lies(1);
    shop.rig.restart();
    shop.portman = Portman::attach(&mut shop.rig, vec![model("toy", 1)]);
    shop.gateway = Peer::admitted(&mut shop.rig, PEER);
    shop.offer = super::portman::offer_of(&mut shop.rig, &shop.gateway);
    assert!(shop.denies(2, PEER));
    let mut clear = |path: &str| {
        let stream = shop.rig.request(Surface::Admin, RequestHead::new("POST", path));
        shop.rig.finish(stream);
        serde_json::from_str::<Value>(&shop.rig.text(stream)).unwrap()["cleared"].clone()
    };
    assert_eq!(clear("/denials/clear?id=nobody"), Value::Array(Vec::new()));
    assert_eq!(clear(&format!("/denials/clear?id={}", fep()))[0], fep());
    assert!(!shop.denies(3, PEER));
    assert!(shop.rig.disk.rows("denials").is_empty());
}

#[test]
fn a_fep_that_rejects_claim_after_claim_is_not_worked_for() {
    let mut shop = shop();
    for (number, rejects) in (1..).zip([true, true, false, true, true, true]) {
        assert!(shop.denied().is_empty(), "it paid the third");
        shop.rig.fep.rejects = rejects.then_some("no");
        let (order, stream) = shop.delivers(number);
        shop.brings_receipt(stream, &order, number.into());
        shop.rig.pass(APART);
    }
    assert_eq!(shop.denied(), [(fep(), "unpaid".to_string())]);
    shop.rig.pass(DENIAL_FIRST);
    assert!(!shop.denies(7, PEER));
}

#[test]
fn a_fep_that_gives_no_receipts_is_worked_for_again_when_they_come() {
    let mut shop = shop();
    let (order, stream) = shop.delivers(1);
    shop.rig.reset(stream, ResetCode::Cancelled);
    shop.rig.pass(WITHHELD_AFTER);
    assert!(shop.denied().is_empty(), "it may be down");
    shop.rig.pass(Span(APART.0 * 4));
    assert_eq!(shop.denied(), [(fep(), "withheld".to_string())]);
    shop.rig.fep.says = Some(("/v1/statements", 200, seal(FEP_KEY, order.receipt(counts(10, 7)))));
    shop.rig.pass(APART);
    assert!(shop.denied().is_empty());
    assert!(!shop.denies(2, PEER));
}

#[test]
fn nobody_withholds_what_is_not_owed_yet() {
    let mut shop = shop();
    let order = shop.order(1);
    let stream = order.place(&mut shop.rig, &mut shop.gateway);
    let [job] = shop.portman.started(&mut shop.rig)[..] else { panic!("refused") };
    shop.portman.text(&mut shop.rig, job, "seven tokens", counts(10, 7));
    shop.rig.reset(stream, ResetCode::Cancelled);
    shop.rig.pass(WITHHELD_AFTER + Span(APART.0 * 4));
    assert!(shop.rig.fep.statements.len() > 10, "it was asked for");
    assert!(shop.denied().is_empty(), "its gateway has acknowledged nothing");
}

#[test]
fn a_gateway_that_brings_no_receipts_is_not_worked_for_and_others_are() {
    let mut shop = shop();
    for number in 1..=3 {
        assert!(shop.denied().is_empty());
        shop.asks_its_fep(number);
    }
    assert_eq!(shop.denied(), [(node(PEER).to_string(), "no_receipts".to_string())]);
    assert!(shop.denies(4, PEER));
    assert!(!shop.denies(5, OTHER));
}

#[test]
fn a_gateway_that_was_away_for_a_while_is_forgiven_with_the_first_receipt_that_it_brings() {
    let mut shop = shop();
    for number in 1..=2 {
        shop.asks_its_fep(number);
    }
    let (order, stream) = shop.delivers(3);
    shop.brings_receipt(stream, &order, 3);
    for number in 4..=5 {
        shop.asks_its_fep(number);
    }
    assert!(shop.denied().is_empty());
}
