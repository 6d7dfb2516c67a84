//! A provider that does not reach its FEP is paid all the same: a gateway carries what it has to say.

use labman_proto_core::limits::{ERRANDS_OF_ONE, FEP_ANSWER, SETTLE_MARGIN};
use labman_proto_core::machine::ResetCode;
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::{ClaimId, Hash};
use labman_proto_core::wire::mesh::{Errand, ErrandDone, FepCall, PeerRecord};
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::{Claim, ClaimDecision, UsageStatement};
use labman_proto_core::wire::topic::Topics;

use super::fep::paid;
use super::jobs::{Shop, shop};
use super::peer::{self, Peer, counts};
use super::portman::{Order, delivery};
use super::rig::{FEP, FEP_KEY, NODE, OTHER, PEER, Rig, STRANGER, identity, net, node, payout_to, seal};

/// After a job's end its statement has been shown, and the FEP has not answered.
const SHOWN_AFTER: Span = Span(SETTLE_MARGIN.0 / 2 + FEP_ANSWER.0);

/// What that gateway says of itself.
fn record(gateway: bool) -> PeerRecord {
    PeerRecord {
        gateway,
        provider: false,
        addresses: Vec::new(),
        public_endpoint: None,
        feps: vec![identity(FEP).fep_id()],
        witnesses: Vec::new(),
        interest: Topics::none(),
    }
}

fn says(rig: &mut Rig, gateway: &Peer, number: u8, seq: u64, said: &PeerRecord) {
    let frame = peer::record(rig, number, Kind::PeerRecord, seq, &cbor::encode(said));
    rig.deliver(gateway.control, &frame);
}

fn errands(rig: &mut Rig, gateway: &Peer) -> Vec<Errand> {
    let heard = gateway.hears(rig);
    let errands = heard.iter().filter(|(kind, _)| *kind == Kind::Errand);
    errands.map(|(_, payload)| cbor::decode(payload).unwrap()).collect()
}

/// A provider whose FEP is silent, and a gateway that says that it works with it.
fn cut_off() -> Shop {
    let mut shop = shop();
    shop.rig.fep.silent = vec!["/v1/claims", "/v1/statements"];
    says(&mut shop.rig, &shop.gateway, PEER, 1, &record(true));
    shop
}

impl Shop {
    fn ends_unreceipted(&mut self, number: u8) -> Order {
        let (order, stream) = self.delivers(number);
        self.rig.reset(stream, ResetCode::Cancelled);
        order
    }

    fn hears_back(&mut self, number: u64, object: Vec<u8>) {
        let done = cbor::encode(&ErrandDone { number, object: Blob(object) });
        self.gateway.say(&mut self.rig, self.gateway.control, Kind::ErrandDone, &done);
    }

    fn kept(&self) -> [usize; 2] {
        ["receipts_open", "receipts_paid"].map(|table| self.rig.disk.rows(table).len())
    }
}

#[test]
fn a_provider_that_never_reaches_its_fep_has_receipt_and_payment_carried() {
    let mut shop = cut_off();
    let order = shop.ends_unreceipted(1);
    shop.rig.pass(SHOWN_AFTER);
    let carried = errands(&mut shop.rig, &shop.gateway);
    let [Errand { number, fep_id, call: FepCall::Statement, object }] = &carried[..] else {
        panic!("{carried:?}");
    };
    assert_eq!(*fep_id, identity(FEP).fep_id());
    let said = object::open::<UsageStatement>(net(), Some(node(NODE).0), &object.0).unwrap();
    assert_eq!(said.content.counts, counts(10, 7));
    let receipt = order.receipt(counts(10, 7));
    shop.hears_back(*number, seal(FEP_KEY, receipt.clone()));
    assert_eq!(shop.kept(), [1, 0]);
    shop.rig.pass(Span::from_secs(20));
    let carried = errands(&mut shop.rig, &shop.gateway);
    let [Errand { number, call: FepCall::Claim, object, .. }, ..] = &carried[..] else {
        panic!("{carried:?}");
    };
    let claim = object::open::<Claim>(net(), None, &object.0).unwrap().content;
    assert_eq!(claim.total, receipt.payout);
    shop.hears_back(*number, seal(FEP_KEY, paid(&claim, node(NODE))));
    assert_eq!(shop.kept(), [0, 1]);
}

#[test]
fn what_a_courier_makes_up_is_worth_nothing() {
    let mut shop = cut_off();
    let order = shop.ends_unreceipted(1);
    shop.rig.pass(SHOWN_AFTER);
    let number = errands(&mut shop.rig, &shop.gateway)[0].number;
    for forged in [seal(PEER, order.receipt(counts(10, 7))), vec![0; 200], Vec::new()] {
        shop.hears_back(number, forged);
    }
    assert_eq!(shop.kept(), [0, 0]);
    // It is asked for again, and the right answer is taken then.
    shop.rig.pass(Span::from_secs(60));
    let number = errands(&mut shop.rig, &shop.gateway).last().unwrap().number;
    shop.hears_back(number + 1_000, seal(FEP_KEY, order.receipt(counts(10, 7))));
    assert_eq!(shop.kept(), [0, 0], "an answer to nothing that was asked");
    shop.hears_back(number, seal(FEP_KEY, order.receipt(counts(10, 7))));
    assert_eq!(shop.kept(), [1, 0]);
}

#[test]
fn another_job_s_receipt_is_no_answer_and_only_its_courier_answers() {
    let mut shop = cut_off();
    let earlier = shop.ends_unreceipted(1);
    let mut first = earlier.receipt(counts(10, 7));
    shop.gateway.say(&mut shop.rig, shop.gateway.control, Kind::ReceiptDelivery, &delivery(FEP_KEY, &first));
    assert_eq!(shop.kept(), [1, 0]);
    let order = shop.ends_unreceipted(2);
    shop.rig.pass(SHOWN_AFTER);
    let number = errands(&mut shop.rig, &shop.gateway).last().unwrap().number;
    first.sequence = 1;
    shop.hears_back(number, seal(FEP_KEY, first));
    let mut other = Peer::admitted(&mut shop.rig, OTHER);
    shop.rig.pass(Span::from_secs(60));
    let asked = errands(&mut shop.rig, &shop.gateway);
    let again = asked.iter().rev().find(|errand| errand.call == FepCall::Statement);
    let number = again.expect("it is asked for again").number;
    let mut receipt = order.receipt(counts(10, 7));
    receipt.sequence = 2;
    let done = cbor::encode(&ErrandDone { number, object: Blob(seal(FEP_KEY, receipt.clone())) });
    other.say(&mut shop.rig, other.control, Kind::ErrandDone, &done);
    assert_eq!(shop.kept(), [1, 0], "nobody asked that one");
    shop.hears_back(number, seal(FEP_KEY, receipt));
    assert_eq!(shop.kept(), [2, 0]);
}

#[test]
fn a_decision_that_comes_twice_at_once_pays_once_and_only_where_it_was_to() {
    let mut shop = cut_off();
    let order = shop.ends_unreceipted(1);
    let receipt = order.receipt(counts(10, 7));
    shop.gateway.say(
        &mut shop.rig,
        shop.gateway.control,
        Kind::ReceiptDelivery,
        &delivery(FEP_KEY, &receipt),
    );
    shop.rig.pass(Span::from_secs(20));
    let asked = errands(&mut shop.rig, &shop.gateway);
    let errand = asked.iter().find(|errand| errand.call == FepCall::Claim).expect("a claim");
    let claim = object::open::<Claim>(net(), None, &errand.object.0).unwrap().content;
    let good = paid(&claim, node(NODE));
    let mut elsewhere = good.clone();
    elsewhere.payout.as_mut().unwrap().to.address = "thief".into();
    shop.hears_back(errand.number, seal(FEP_KEY, elsewhere));
    assert_eq!(shop.kept(), [1, 0]);
    shop.rig.pass(Span::from_secs(40));
    let asked = errands(&mut shop.rig, &shop.gateway);
    let number = asked.iter().rev().find(|errand| errand.call == FepCall::Claim).unwrap().number;
    // Its own call is answered while the carried one's receipts are being read.
    shop.rig.store_held = true;
    shop.hears_back(number, seal(FEP_KEY, good));
    shop.rig.fep.silent.clear();
    shop.rig.pass(Span::from_secs(40));
    shop.rig.release_store();
    shop.rig.pass(Span::from_secs(40));
    assert_eq!(shop.kept(), [0, 1]);
    let exposure = &shop.rig.admin("/exposure")["feps"][0];
    assert_eq!((&exposure["in_claim"], &exposure["total"]), (&0.into(), &0.into()), "{exposure}");
    let earned = shop.rig.admin("/earnings?by=fep");
    assert_eq!(earned["earnings"][0]["paid"], receipt.payout.0, "once: {earned}");
}

#[test]
fn only_gateways_of_the_same_fep_are_asked_and_only_while_it_is_silent() {
    let mut shop = shop();
    shop.rig.fep.silent = vec!["/v1/statements"];
    says(&mut shop.rig, &shop.gateway, PEER, 1, &PeerRecord { feps: Vec::new(), ..record(true) });
    let other = Peer::admitted(&mut shop.rig, OTHER);
    says(&mut shop.rig, &other, OTHER, 1, &record(false));
    shop.ends_unreceipted(1);
    shop.rig.pass(SHOWN_AFTER);
    assert!(errands(&mut shop.rig, &shop.gateway).is_empty());
    assert!(errands(&mut shop.rig, &other).is_empty());
    // One that answers, if only that it can't now, is asked by the provider itself.
    shop.rig.fep.silent = Vec::new();
    shop.rig.fep.says =
        Some(("/v1/statements", 503, br#"{"error":{"code":"unavailable","message":"full"}}"#.into()));
    shop.rig.pass(Span::from_secs(60));
    says(&mut shop.rig, &other, OTHER, 2, &record(true));
    shop.rig.pass(Span::from_secs(60));
    assert!(errands(&mut shop.rig, &other).is_empty());
}

fn asks(rig: &mut Rig, provider: &mut Peer, number: u64, signer: u8) {
    let claim = Claim {
        claim_id: ClaimId([number as u8; 16]),
        fep_id: identity(FEP).fep_id(),
        payout_to: payout_to(),
        total: Default::default(),
        receipts: Vec::new(),
        merkle_root: Hash([0; 32]),
        issued_ms: 0,
    };
    let errand = Errand {
        number,
        fep_id: identity(FEP).fep_id(),
        call: FepCall::Claim,
        object: Blob(seal(signer, claim)),
    };
    provider.say(rig, provider.control, Kind::Errand, &cbor::encode(&errand));
}

fn done(rig: &mut Rig, provider: &Peer) -> Vec<ErrandDone> {
    let heard = provider.hears(rig);
    let done = heard.iter().filter(|(kind, _)| *kind == Kind::ErrandDone);
    done.map(|(_, payload)| cbor::decode(payload).unwrap()).collect()
}

#[test]
fn a_gateway_carries_what_its_sender_signed_and_brings_back_what_its_fep_signed() {
    let mut rig = Rig::gateway();
    let mut provider = Peer::admitted(&mut rig, PEER);
    asks(&mut rig, &mut provider, 7, PEER);
    let [ErrandDone { number: 7, object }] = &done(&mut rig, &provider)[..] else { panic!("no answer") };
    assert!(object::open::<ClaimDecision>(net(), Some(identity(FEP_KEY).fep_id().0), &object.0).is_ok());
    asks(&mut rig, &mut provider, 8, STRANGER);
    assert_eq!(rig.fep.claims.len(), 1, "somebody else's");
    // What is not signed can't be believed, so nothing comes.
    rig.fep.says = Some(("/v1/claims", 409, br#"{"error":{"code":"conflict","message":"no"}}"#.into()));
    asks(&mut rig, &mut provider, 9, PEER);
    assert!(done(&mut rig, &provider).is_empty());
}

#[test]
fn a_gateway_carries_little_at_once_for_one() {
    let mut rig = Rig::gateway();
    rig.fep.silent = vec!["/v1/claims"];
    let mut provider = Peer::admitted(&mut rig, PEER);
    for number in 0..10 {
        asks(&mut rig, &mut provider, number, PEER);
    }
    assert_eq!(rig.fep.called("/v1/claims"), ERRANDS_OF_ONE);
    rig.pass(Span::from_secs(6));
    asks(&mut rig, &mut provider, 11, PEER);
    assert_eq!(rig.fep.called("/v1/claims"), ERRANDS_OF_ONE + 1);
}
