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

pub(crate) fn loads(rig: &mut Rig, peer: &Peer) -> Vec<Vec<u32>> {
    let heard = peer.hears(rig).into_iter().filter(|(kind, _)| *kind == Kind::Load);
    let loads = heard.map(|(_, payload)| cbor::decode::<Load>(&payload).expect("a load"));
    loads.map(|load| load.busy.iter().map(|busy| busy.jobs).collect()).collect()
}

pub(crate) fn says(rig: &mut Rig, peer: &mut Peer, slug: &str, jobs: u32) {
    let load = Load { busy: vec![Busy { slug: slug.into(), jobs }] };
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
