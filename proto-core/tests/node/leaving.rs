//! A node whose process is asked to end: it takes on nothing new, brings its jobs to their end, and says goodbye.

use labman_proto_core::limits::{FAREWELL, LEAVE, LEAVE_TOLD_EVERY};
use labman_proto_core::machine::StreamId;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{CapabilityRecord, RefusalCode};
use labman_proto_core::wire::portman::FromPortman;

use super::jobs::shop;
use super::lies::{SLUG, prompt};
use super::peer::{Peer, ack, counts};
use super::portman::{acks, delivery, end, refusal};
use super::rig::{FEP_KEY, OTHER, PEER, Rig};

/// The peer hears the node's departure and the end of its control stream; then it closes, as its like do.
fn closes(rig: &mut Rig, peer: &Peer) {
    let heard = peer.hears(rig);
    assert_eq!(heard.last().map(|(kind, _)| *kind), Some(Kind::Departure), "{heard:?}");
    assert!(is_finished(rig, peer.control));
    rig.link_down(peer.link);
}

fn is_finished(rig: &Rig, stream: StreamId) -> bool {
    rig.wires[&stream].finished
}

#[test]
fn a_provider_takes_no_more_work_and_leaves_when_its_jobs_are_paid() {
    let mut shop = shop();
    let order = shop.order(1);
    let stream = order.place(&mut shop.rig, &mut shop.gateway);
    let job = shop.portman.started(&mut shop.rig)[0];
    shop.gateway.hears(&mut shop.rig);

    shop.rig.leave();
    assert!(!shop.rig.has_left());
    assert_eq!(shop.rig.admin("/status")["leaves"], true);
    let heard = shop.gateway.hears(&mut shop.rig);
    let (_, record) = heard.iter().rfind(|(kind, _)| *kind == Kind::CapabilityRecord).expect("a record");
    assert!(cbor::decode::<CapabilityRecord>(record).unwrap().hosted.is_empty());
    let late = shop.order(2).place(&mut shop.rig, &mut shop.gateway);
    assert_eq!(refusal(&mut shop.rig, late), Some(RefusalCode::ModelNotAvailable));

    shop.portman.text(&mut shop.rig, job, "the whole answer", counts(3, 4));
    shop.portman.say(&mut shop.rig, &FromPortman::Done { job, counts: counts(3, 4) });
    assert!(end(&super::peer::frames(&shop.rig.hear(stream))).is_some());
    let receipt = order.receipt(counts(3, 4));
    shop.gateway.say(&mut shop.rig, stream, Kind::ReceiptDelivery, &delivery(FEP_KEY, &receipt));
    assert_eq!(acks(&super::peer::frames(&shop.rig.hear(stream))), [None]);
    assert!(!shop.rig.has_left(), "the gateway has not finished the job's stream");
    shop.rig.finish(stream);
    closes(&mut shop.rig, &shop.gateway);
    assert!(!shop.rig.has_left(), "its Portman has not heard it");
    assert!(is_finished(&shop.rig, shop.portman.stream));
    shop.rig.link_down(shop.portman.link);
    assert!(shop.rig.has_left());
}

#[test]
fn a_gateway_refuses_new_requests_and_answers_those_it_has() {
    let mut rig = Rig::gateway();
    let mut provider = Peer::serving(&mut rig, PEER, SLUG);
    let first = rig.ask(&prompt(true));
    let mut job = provider.job(&mut rig);
    rig.leave();
    let second = rig.ask(&prompt(true));
    assert_eq!(rig.status(second), Some(503));
    assert!(rig.text(second).contains("shut down"), "{}", rig.text(second));
    job.text(&mut rig, counts(5, 3), "hello");
    job.end(&mut rig, counts(5, 3));
    let receipt = job.receipt(&mut rig).expect("a receipt");
    provider.say(&mut rig, job.stream, Kind::ReceiptAck, &ack(&receipt));
    assert!(rig.text(first).ends_with("data: [DONE]\n\n"), "{}", rig.text(first));
    closes(&mut rig, &provider);
    assert!(rig.has_left());
}

#[test]
fn who_takes_long_to_leave_says_what_it_waits_for() {
    let mut shop = shop();
    shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    let job = shop.portman.started(&mut shop.rig)[0];
    let said = |rig: &Rig, words: &str| rig.log.last().is_some_and(|line| line.ends_with(words));
    shop.rig.leave();
    assert!(
        shop.rig.log.iter().any(|line| line.ends_with("leaves once these are over: jobs of gateways: 1"))
    );
    shop.rig.pass(LEAVE_TOLD_EVERY);
    assert!(said(&shop.rig, "for 15 s at most: jobs of gateways: 1"), "{:?}", shop.rig.log);
    shop.portman.say(&mut shop.rig, &FromPortman::Done { job, counts: counts(3, 4) });
    shop.rig.pass(LEAVE_TOLD_EVERY);
    assert!(said(&shop.rig, "for 10 s at most: receipts: 1"), "{:?}", shop.rig.log);
    shop.rig.pass(LEAVE);
    let warned = "leaves in the middle of these: receipts: 1";
    assert!(shop.rig.log.iter().any(|line| line.ends_with(warned)), "{:?}", shop.rig.log);
}

#[test]
fn neither_an_endless_job_nor_a_neighbour_that_does_not_close_keeps_a_node_for_ever() {
    let mut shop = shop();
    shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    let other = Peer::admitted(&mut shop.rig, OTHER);
    shop.rig.leave();
    shop.rig.pass(LEAVE);
    assert!(!shop.rig.has_left());
    closes(&mut shop.rig, &other);
    shop.rig.pass(FAREWELL);
    assert!(shop.rig.has_left());
    let late = Peer::connected(&mut shop.rig, OTHER);
    assert!(!shop.rig.is_up(late.link), "it is gone");
}
