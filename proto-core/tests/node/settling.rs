//! After a job: the report reaches the FEP and the receipt its provider, however often either is away.

use labman_proto_core::limits::GATEWAY_UNSURE;
use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::ReceiptId;
use labman_proto_core::wire::mesh::ReceiptAck;
use labman_proto_core::wire::portal::Receipt;
use serde_json::json;

use super::lies::{SLUG, prompt, running};
use super::peer::{Peer, Served, ack, counts, receipt_in};
use super::rig::{OTHER, PEER, Rig, STRANGER};

/// Delivered and answered, three tokens of it.
fn answered(silent: &'static str) -> (Rig, Peer, Served, StreamId) {
    let (mut rig, peer, mut job, user) = running();
    rig.fep.silent = vec![silent];
    job.text(&mut rig, counts(10, 3), "three tokens");
    job.end(&mut rig, counts(10, 3));
    (rig, peer, job, user)
}

fn on_the_link(rig: &mut Rig, peer: &Peer) -> Vec<Receipt> {
    let heard = peer.hears(rig);
    let deliveries = heard.iter().filter(|(kind, _)| *kind == Kind::ReceiptDelivery);
    deliveries.map(|(_, payload)| receipt_in(payload)).collect()
}

fn unsettled(rig: &Rig) -> usize {
    rig.disk.rows("gateway_jobs").len()
}

#[test]
fn a_report_is_repeated_until_it_is_answered_across_restarts() {
    let (mut rig, _, _, _) = answered("/v1/usage");
    rig.pass(Span::from_secs(60));
    let before = rig.fep.reports.len();
    assert!((3..20).contains(&before), "{before} reports in a minute");
    rig.restart();
    rig.pass(Span::from_secs(60));
    assert!(rig.fep.reports.len() > before);
    assert!(rig.fep.reports.windows(2).all(|pair| pair[0] == pair[1]), "the same each time");
    rig.fep.silent.clear();
    rig.pass(Span::from_secs(60));
    let peer = Peer::admitted(&mut rig, PEER);
    assert_eq!(on_the_link(&mut rig, &peer).len(), 1);
}

#[test]
fn a_report_that_was_not_written_is_not_sent() {
    let (mut rig, _peer, mut job, _) = running();
    job.text(&mut rig, counts(10, 3), "three tokens");
    rig.store_held = true;
    job.end(&mut rig, counts(10, 3));
    assert!(rig.fep.reports.is_empty());
    rig.release_store();
    assert_eq!(rig.fep.reports.len(), 1);
}

#[test]
fn a_receipt_goes_where_the_answer_came_from_and_is_forgotten_once_acknowledged() {
    let (mut rig, mut peer, job, _) = answered("");
    let receipt = job.receipt(&mut rig).expect("a receipt on the job's stream");
    assert_eq!(unsettled(&rig), 1);
    peer.say(&mut rig, job.stream, Kind::ReceiptAck, &ack(&receipt));
    assert_eq!(unsettled(&rig), 0);
    assert!(rig.wires[&job.stream].finished);
    peer.hears(&mut rig);
    rig.pass(Span::from_secs(300));
    assert!(on_the_link(&mut rig, &peer).is_empty());
}

#[test]
fn a_receipt_is_repeated_until_it_is_acknowledged_across_links_and_restarts() {
    let (mut rig, peer, job, _) = answered("");
    let receipt = job.receipt(&mut rig).unwrap();
    peer.hears(&mut rig);
    rig.pass(Span::from_secs(60));
    let again = on_the_link(&mut rig, &peer);
    assert!((2..20).contains(&again.len()) && again.iter().all(|one| *one == receipt));

    rig.link_down(peer.link);
    let peer = Peer::admitted(&mut rig, PEER);
    assert_eq!(on_the_link(&mut rig, &peer), std::slice::from_ref(&receipt), "at once when it is back");

    rig.restart();
    let mut peer = Peer::admitted(&mut rig, PEER);
    assert_eq!(on_the_link(&mut rig, &peer), std::slice::from_ref(&receipt));
    rig.pass(Span::from_secs(1));
    peer.say(&mut rig, peer.control, Kind::ReceiptAck, &ack(&receipt));
    assert_eq!(unsettled(&rig), 0);
}

#[test]
fn only_the_provider_itself_can_acknowledge_and_only_its_own_receipt() {
    let (mut rig, mut peer, job, _) = answered("");
    let receipt = job.receipt(&mut rig).unwrap();
    let mut other = Peer::admitted(&mut rig, OTHER);
    other.say(&mut rig, other.control, Kind::ReceiptAck, &ack(&receipt));
    let wrong = ReceiptAck { receipt_id: ReceiptId([1; 16]), refused: None };
    peer.say(&mut rig, peer.control, Kind::ReceiptAck, &cbor::encode(&wrong));
    peer.say(&mut rig, peer.control, Kind::ReceiptAck, b"\xa0");
    assert_eq!(unsettled(&rig), 1);
    // A wrong one and the right one in one piece.
    let wrong = peer.frame(Kind::ReceiptAck, &cbor::encode(&wrong));
    let right = peer.frame(Kind::ReceiptAck, &ack(&receipt));
    rig.deliver(job.stream, &[wrong, right].concat());
    assert_eq!(unsettled(&rig), 0);
}

#[test]
fn a_receipt_whose_stream_was_lost_goes_over_the_link() {
    let (mut rig, peer, job, _) = answered("/v1/usage");
    rig.reset(job.stream, ResetCode::Unreachable);
    rig.fep.silent.clear();
    peer.hears(&mut rig);
    rig.pass(Span::from_secs(30));
    assert!(!on_the_link(&mut rig, &peer).is_empty());
}

#[test]
fn a_receipt_that_the_fep_did_not_sign_is_asked_for_again() {
    let (mut rig, peer, job, _) = answered("/v1/usage");
    rig.fep.silent.clear();
    rig.fep.signer = Some(STRANGER);
    peer.hears(&mut rig);
    rig.pass(Span::from_secs(60));
    assert!(job.receipt(&mut rig).is_none() && on_the_link(&mut rig, &peer).is_empty());
    rig.fep.signer = None;
    rig.pass(Span::from_secs(60));
    assert!(job.receipt(&mut rig).is_some());
}

#[test]
fn neither_an_error_page_nor_an_empty_answer_settles_what_was_delivered() {
    for (status, body) in [(404, b"<html>".to_vec()), (429, Vec::new()), (200, Vec::new())] {
        let (mut rig, peer, job, _) = answered("/v1/usage");
        rig.fep.silent.clear();
        rig.fep.says = Some(("/v1/usage", status, body));
        rig.pass(Span::from_secs(60));
        rig.fep.says = None;
        rig.pass(Span::from_secs(60));
        assert!(job.receipt(&mut rig).is_some(), "status {status}");
        assert!(rig.is_up(peer.link));
    }
}

#[test]
fn a_fep_that_refuses_for_good_is_not_asked_again() {
    let (mut rig, _, _, _) = answered("/v1/usage");
    rig.fep.silent.clear();
    let refusal = json!({ "error": { "code": "conflict", "message": "lapsed" } });
    rig.fep.says = Some(("/v1/usage", 409, refusal.to_string().into_bytes()));
    rig.pass(Span::from_secs(60));
    assert_eq!(unsettled(&rig), 0);
}

#[test]
fn a_job_that_was_under_way_when_the_gateway_died_is_not_reported() {
    let (mut rig, _, mut job, _) = running();
    job.text(&mut rig, counts(10, 3), "three tokens");
    rig.restart();
    rig.pass(Span::from_secs(60));
    assert!(rig.fep.reports.is_empty());
    assert_eq!(unsettled(&rig), 0);
}

/// A request that the FEP did not answer in time, and what the FEP says of its hold.
fn given_up(says: Option<(u16, &str)>) -> Rig {
    let mut rig = Rig::gateway();
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    rig.fep.silent = vec!["/v1/authorize"];
    rig.fep.says = says.map(|(status, code)| {
        let refusal = json!({ "error": { "code": code, "message": "no" } });
        ("/v1/usage", status, refusal.to_string().into_bytes())
    });
    let user = rig.ask(&prompt(true));
    rig.pass(Span::from_secs(5));
    assert_eq!(rig.status(user), Some(503));
    assert!(peer.jobs(&mut rig).is_empty());
    rig
}

#[test]
fn a_hold_made_after_the_gateway_gave_up_is_given_back() {
    let mut rig = given_up(Some((404, "not_found")));
    rig.pass(Span::from_secs(100));
    let before = rig.fep.reports.len();
    assert!((3..20).contains(&before), "{before} reports");
    rig.restart();
    rig.pass(Span::from_secs(60));
    assert_eq!(unsettled(&rig), 1);
    // Now it is there.
    rig.fep.says = None;
    rig.pass(Span::from_secs(30));
    assert_eq!(unsettled(&rig), 0);
    let reports = &rig.fep.reports;
    assert!(reports.len() > before && reports.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!((reports[0].attempt, &reports[0].statement), (None, &None));
    let asked = reports.len();
    rig.pass(Span::from_secs(600));
    assert_eq!(rig.fep.reports.len(), asked);
}

#[test]
fn a_request_that_is_too_old_to_become_a_hold_is_forgotten() {
    let mut rig = given_up(Some((404, "not_found")));
    rig.pass(Span::from_secs(200));
    assert_eq!(unsettled(&rig), 1);
    rig.pass(Span::from_secs(100));
    assert_eq!(unsettled(&rig), 0);
    assert!(given_up(Some((409, "conflict"))).disk.rows("gateway_jobs").is_empty(), "it has lapsed");
}

#[test]
fn holds_that_may_be_there_are_asked_back_up_to_a_bound() {
    let mut rig = Rig::gateway();
    Peer::serving(&mut rig, PEER, SLUG);
    rig.fep.silent = vec!["/v1/authorize", "/v1/usage"];
    for _ in 0..GATEWAY_UNSURE + 10 {
        rig.ask(&prompt(true));
    }
    rig.pass(Span::from_secs(5));
    assert_eq!(unsettled(&rig), GATEWAY_UNSURE);
    let user = rig.ask(&prompt(true));
    rig.pass(Span::from_secs(5));
    assert_eq!(rig.status(user), Some(503), "the gateway is not full of them");
}

#[test]
fn a_receipt_that_charges_otherwise_than_was_agreed_is_not_taken_and_asked_for_again() {
    type Twist = fn(&mut Receipt);
    let cases: [(&str, Twist); 3] = [
        ("a dearer one", |receipt| receipt.charge.0 += 1),
        ("another rate", |receipt| receipt.rate = "0.92".parse().unwrap()),
        ("another rate, and its charge", |receipt| {
            receipt.rate = "0.5".parse().unwrap();
            receipt.charge.0 *= 2;
        }),
    ];
    for (what, twist) in cases {
        let (mut rig, _peer, mut job, _) = running();
        rig.fep.receipt = Some(twist);
        job.text(&mut rig, counts(10, 3), "three tokens");
        job.end(&mut rig, counts(10, 3));
        assert!(job.receipt(&mut rig).is_none(), "{what}");
        rig.fep.receipt = None;
        rig.pass(Span::from_secs(31));
        assert!(job.receipt(&mut rig).is_some(), "{what}");
    }
}
