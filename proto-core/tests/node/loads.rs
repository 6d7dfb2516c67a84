//! How busy a provider is: told to the gateways that it is linked to, and heeded by them.

use labman_proto_core::limits::LOAD_EVERY;
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{Busy, Load};
use labman_proto_core::wire::portman::FromPortman;

use super::jobs::shop;
use super::lies::{SLUG, prompt};
use super::peer::{Peer, counts};
use super::portman::{Order, Portman, model, offer_of};
use super::rig::{OTHER, PEER, Rig};

fn heard(rig: &mut Rig, peer: &Peer) -> Vec<Load> {
    let heard = peer.hears(rig).into_iter().filter(|(kind, _)| *kind == Kind::Load);
    heard.map(|(_, payload)| cbor::decode(&payload).expect("a load")).collect()
}

pub(crate) fn loads(rig: &mut Rig, peer: &Peer) -> Vec<Vec<u32>> {
    heard(rig, peer).iter().map(|load| load.busy.iter().map(|busy| busy.jobs).collect()).collect()
}

/// So many jobs run there, none of them this node's.
pub(crate) fn says(rig: &mut Rig, peer: &mut Peer, slug: &str, jobs: u32) {
    says_of(rig, peer, slug, (jobs, 0));
}

/// So many jobs run there, and of them so many are this node's.
pub(crate) fn says_of(rig: &mut Rig, peer: &mut Peer, slug: &str, (jobs, yours): (u32, u32)) {
    let load = Load { busy: vec![Busy { slug: slug.into(), jobs, yours }] };
    peer.say(rig, peer.control, Kind::Load, &cbor::encode(&load));
}

#[test]
fn a_provider_tells_its_gateways_when_its_slots_are_taken_and_freed_and_not_too_often() {
    let mut shop = shop();
    let other = Peer::admitted(&mut shop.rig, OTHER);
    shop.order(1).place(&mut shop.rig, &mut shop.gateway);
    let job = shop.portman.started(&mut shop.rig)[0];
    assert_eq!(loads(&mut shop.rig, &shop.gateway), [[1]]);
    assert_eq!(loads(&mut shop.rig, &other), [[1]]);
    let late = Peer::admitted(&mut shop.rig, super::rig::STRANGER);
    assert_eq!(loads(&mut shop.rig, &late), [[1]], "who comes later has missed it");

    shop.portman.text(&mut shop.rig, job, "x", counts(3, 1));
    shop.portman.say(&mut shop.rig, &FromPortman::Done { job, counts: counts(3, 1) });
    assert!(loads(&mut shop.rig, &other).is_empty(), "a moment after the last");
    shop.rig.pass(LOAD_EVERY);
    assert_eq!(loads(&mut shop.rig, &other), [Vec::<u32>::new()]);
    shop.rig.pass(Span(10 * LOAD_EVERY.0));
    assert!(loads(&mut shop.rig, &other).is_empty(), "nothing changes, nothing is said");
}

#[test]
fn of_many_slots_each_quarter_is_told() {
    let mut rig = Rig::provider();
    let portman = Portman::attach(&mut rig, vec![model("toy", 8)]);
    let mut gateway = Peer::admitted(&mut rig, PEER);
    let offer = offer_of(&mut rig, &gateway);
    let mut told = Vec::new();
    for number in 1..=8 {
        Order::new(&rig, PEER, &offer, number).place(&mut rig, &mut gateway);
        rig.pass(LOAD_EVERY);
        told.extend(loads(&mut rig, &gateway).concat());
    }
    assert_eq!(portman.started(&mut rig).len(), 8);
    assert_eq!(told, [2, 4, 6, 8]);
}

#[test]
fn each_gateway_is_told_which_jobs_are_its_own() {
    let mut rig = Rig::provider();
    let portman = Portman::attach(&mut rig, vec![model("toy", 2)]);
    let mut gateway = Peer::admitted(&mut rig, PEER);
    let mut other = Peer::admitted(&mut rig, OTHER);
    let offer = offer_of(&mut rig, &gateway);
    let told = |rig: &mut Rig, peer: &Peer| -> Vec<(u32, u32)> {
        heard(rig, peer).iter().flat_map(|load| &load.busy).map(|busy| (busy.jobs, busy.yours)).collect()
    };
    Order::new(&rig, PEER, &offer, 1).place(&mut rig, &mut gateway);
    assert_eq!((told(&mut rig, &gateway), told(&mut rig, &other)), (vec![(1, 1)], vec![(1, 0)]));
    rig.pass(LOAD_EVERY);
    Order::new(&rig, OTHER, &offer, 2).place(&mut rig, &mut other);
    assert_eq!((told(&mut rig, &gateway), told(&mut rig, &other)), (vec![(2, 1)], vec![(2, 1)]));
    let jobs = portman.started(&mut rig);
    portman.say(&mut rig, &FromPortman::Done { job: jobs[1], counts: counts(3, 1) });
    rig.pass(LOAD_EVERY);
    assert_eq!((told(&mut rig, &gateway), told(&mut rig, &other)), (vec![(1, 1)], vec![(1, 0)]));
}

#[test]
fn a_gateway_goes_to_who_has_a_free_slot_and_to_the_full_only_if_nobody_else_is_there() {
    let mut rig = Rig::gateway();
    let mut first = Peer::serving(&mut rig, PEER, SLUG);
    let mut second = Peer::serving(&mut rig, OTHER, SLUG);
    says(&mut rig, &mut first, SLUG, 64);
    for _ in 0..5 {
        rig.ask(&prompt(true));
        assert_eq!((first.jobs(&mut rig).len(), second.jobs(&mut rig).len()), (0, 1));
    }
    says(&mut rig, &mut second, SLUG, u32::MAX);
    rig.ask(&prompt(true));
    assert_eq!(first.jobs(&mut rig).len() + second.jobs(&mut rig).len(), 1, "they may have a slot by now");
    says(&mut rig, &mut first, SLUG, 0);
    for _ in 0..5 {
        rig.ask(&prompt(true));
        assert_eq!((first.jobs(&mut rig).len(), second.jobs(&mut rig).len()), (1, 0));
    }
    // What it says of others, and nonsense, moves nobody.
    says(&mut rig, &mut first, "somebody:else:model", 64);
    for _ in 0..40 {
        first.say(&mut rig, first.control, Kind::Load, b"\xff");
    }
    assert!(!rig.is_up(first.link));
}
