//! A node whose wall clock is wrong, as its peers' clocks say: it signs nothing that money depends on until they agree.

use labman_proto_core::limits::CLOCK_LOOK;
use labman_proto_core::time::Wall;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Frame, FrameReader, Kind};
use labman_proto_core::wire::mesh::{CapabilityRecord, RefusalCode};

use super::jobs::shop;
use super::lies::{SLUG, prompt};
use super::peer::{Peer, ack, counts};
use super::portman::{Order, offer_of, refusal};
use super::rig::{OTHER, PEER, Rig, STRANGER, gateway_config};

const MINUTE: i64 = 60_000;

/// A peer that the node called, and whose clock is ahead of the node's, or behind.
fn peer(rig: &mut Rig, number: u8, ahead_ms: i64) -> Peer {
    let mut peer = Peer::called(rig, number);
    peer.ahead_ms = ahead_ms;
    peer.greet(rig);
    peer
}

/// A gateway among peers whose clocks are so far ahead of its own.
fn gateway_among(clocks: &[i64]) -> (Rig, Vec<Peer>) {
    let mut rig = Rig::gateway();
    let peers = [PEER, OTHER, STRANGER, STRANGER + 1, STRANGER + 2].into_iter().zip(clocks);
    let peers = peers.map(|(number, ahead)| peer(&mut rig, number, *ahead)).collect();
    (rig, peers)
}

fn disagreement(rig: &mut Rig) -> Option<i64> {
    rig.admin("/status")["clock"]["ahead_of_peers_ms"].as_i64()
}

/// Warnings and news of the clock, since the start.
fn said(rig: &Rig) -> Vec<&str> {
    rig.log.iter().map(String::as_str).filter(|line| line.contains("peers'")).collect()
}

fn set_clock(rig: &mut Rig, by_ms: i64) {
    rig.now.wall = Wall(rig.now.wall.0.saturating_add_signed(by_ms));
    rig.pass(CLOCK_LOOK);
}

#[test]
fn a_gateway_whose_clock_is_wrong_asks_for_no_authorization_until_it_is_right() {
    let (mut rig, mut peers) = gateway_among(&[-10 * MINUTE, -11 * MINUTE, -12 * MINUTE]);
    assert_eq!(disagreement(&mut rig), Some(11 * MINUTE));
    let [warning] = said(&rig)[..] else { panic!("{:?}", said(&rig)) };
    assert!(warning.contains("660 s ahead of the median of 3 peers'"), "{warning}");

    let user = rig.ask(&prompt(true));
    assert_eq!(rig.status(user), Some(503));
    assert!(rig.text(user).contains("clock is wrong"), "{}", rig.text(user));
    assert_eq!(rig.fep.called("/v1/authorize"), 0);

    set_clock(&mut rig, -11 * MINUTE);
    peers.iter_mut().for_each(|peer| peer.ahead_ms += 11 * MINUTE);
    assert_eq!(disagreement(&mut rig), None);
    assert_eq!(said(&rig).len(), 2, "{:?}", said(&rig));
    let offer = super::rig::seal(PEER, super::peer::offer(&rig, SLUG));
    peers[0].announce(&mut rig, vec![offer]);
    rig.ask(&prompt(true));
    assert_eq!(rig.fep.called("/v1/authorize"), 1);
    assert_eq!(peers[0].jobs(&mut rig).len(), 1);
}

#[test]
fn the_clock_may_turn_wrong_while_a_request_is_written_down() {
    let mut rig = Rig::gateway();
    let _serving = Peer::serving(&mut rig, PEER, SLUG);
    rig.store_held = true;
    let user = rig.ask(&prompt(true));
    let _others = [OTHER, STRANGER, STRANGER + 1].map(|number| peer(&mut rig, number, 10 * MINUTE));
    rig.release_store();
    assert_eq!(rig.status(user), Some(503));
    assert_eq!(rig.fep.called("/v1/authorize"), 0);
    assert!(rig.disk.rows("gateway_jobs").is_empty());
}

#[test]
fn neither_two_peers_nor_a_minority_of_liars_stop_a_gateway() {
    let far = 365 * 24 * 60 * MINUTE;
    for clocks in [
        &[far, far][..],
        &[far, 0, 0],
        &[-far, far, MINUTE],
        &[0, -MINUTE, far, far],
        &[0, 0, 2 * MINUTE, -far, -far],
    ] {
        let (mut rig, _peers) = gateway_among(clocks);
        assert_eq!(disagreement(&mut rig), None, "{clocks:?}");
        assert!(said(&rig).is_empty(), "{clocks:?}");
    }
}

#[test]
fn each_peer_has_one_voice_and_only_while_it_is_linked() {
    let (mut rig, mut peers) = gateway_among(&[10 * MINUTE, 10 * MINUTE]);
    for _ in 0..5 {
        peers[0].greet(&mut rig);
    }
    let again = peer(&mut rig, PEER, 10 * MINUTE);
    assert_eq!(disagreement(&mut rig), None, "twice linked, it is one peer");
    // Not admitted: one on whose hello nobody insisted yet.
    let _silent = Peer::called(&mut rig, STRANGER);
    assert_eq!(rig.admin("/status")["clock"]["peers"], 2);
    let third = peer(&mut rig, STRANGER + 1, 10 * MINUTE);
    assert_eq!(disagreement(&mut rig), Some(-10 * MINUTE));
    rig.link_down(again.link);
    assert_eq!(disagreement(&mut rig), Some(-10 * MINUTE), "the other link is still there");
    rig.link_down(third.link);
    assert_eq!(disagreement(&mut rig), None);
}

#[test]
fn a_crowd_of_strangers_has_no_voice_until_one_of_them_was_of_use() {
    let (mut rig, _called) = gateway_among(&[0, 0, 0]);
    let mut server = Peer::serving(&mut rig, 90, SLUG);
    server.ahead_ms = -500 * MINUTE;
    for number in 100..200 {
        let mut stranger = Peer::connected(&mut rig, number);
        stranger.ahead_ms = -500 * MINUTE;
        stranger.greet(&mut rig);
        assert!(rig.is_up(stranger.link));
    }
    server.greet(&mut rig);
    assert_eq!(disagreement(&mut rig), None);
    assert_eq!(rig.admin("/status")["clock"]["peers"], 3);

    rig.ask(&prompt(true));
    let mut job = server.job(&mut rig);
    job.text(&mut rig, counts(5, 3), "hello");
    job.end(&mut rig, counts(5, 3));
    let receipt = job.receipt(&mut rig).expect("a receipt");
    server.say(&mut rig, job.stream, Kind::ReceiptAck, &ack(&receipt));
    server.greet(&mut rig);
    assert_eq!(rig.admin("/status")["clock"]["peers"], 4, "it did a job for us");
    assert_eq!(disagreement(&mut rig), None);
}

#[test]
fn a_provider_whose_clock_is_wrong_offers_nothing_and_takes_no_work() {
    let mut shop = shop();
    let mut others = [OTHER, STRANGER, STRANGER + 1].map(|number| peer(&mut shop.rig, number, 10 * MINUTE));
    assert_eq!(disagreement(&mut shop.rig), Some(-10 * MINUTE));
    let offers = shop.gateway.hears(&mut shop.rig);
    let (_, last) = offers.iter().rfind(|(kind, _)| *kind == Kind::CapabilityRecord).expect("a record");
    assert!(cbor::decode::<CapabilityRecord>(last).unwrap().hosted.is_empty());

    let stream = shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    assert_eq!(refusal(&mut shop.rig, stream), Some(RefusalCode::ModelNotAvailable));
    assert!(shop.rig.disk.rows("authorizations").is_empty());

    // It was the others' clocks: they were set, and say so.
    for other in &mut others {
        other.ahead_ms = 0;
        other.greet(&mut shop.rig);
    }
    assert_eq!(disagreement(&mut shop.rig), None);
    let offer = offer_of(&mut shop.rig, &shop.gateway);
    let order = Order::new(&shop.rig, PEER, &offer, 2);
    order.place(&mut shop.rig, &mut shop.gateway);
    assert_eq!(shop.portman.started(&mut shop.rig).len(), 1);
}

/// When the node's hellos on a link were signed.
fn hellos(rig: &mut Rig, peer: &Peer) -> Vec<Wall> {
    let mut reader = FrameReader::default();
    reader.push(&rig.hear(peer.control));
    let mut issued = Vec::new();
    while let Some(frame) = reader.poll().expect("a node's frames are good") {
        if let Frame::Signed(frame) = frame
            && frame.header().kind == Kind::Hello as u16
        {
            issued.push(frame.header().issued);
        }
    }
    issued
}

#[test]
fn whoever_sets_its_clock_says_so_on_every_link_at_once() {
    let mut rig = Rig::new(gateway_config());
    let peers = [Peer::admitted(&mut rig, PEER), Peer::admitted(&mut rig, OTHER)];
    let before = rig.now.wall;
    for peer in &peers {
        assert_eq!(hellos(&mut rig, peer), [before]);
    }
    set_clock(&mut rig, -5 * MINUTE);
    for peer in &peers {
        let [again] = hellos(&mut rig, peer)[..] else { panic!("one more hello") };
        assert!(again < before, "{again:?}");
    }
}
