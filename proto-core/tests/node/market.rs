//! What is asked for: counted by gateways, told to their neighbours, summed by those, and shown to people.

use labman_proto_core::limits::{MARKET_EVERY, MARKET_SOON};
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{Market, Wanted};

use super::lies::{SLUG, prompt};
use super::peer::Peer;
use super::rig::{OTHER, PEER, Rig, STRANGER, provider_config};

const HOUR: Span = Span::from_secs(3_600);

fn markets(rig: &mut Rig, peer: &Peer) -> Vec<Market> {
    let heard = peer.hears(rig).into_iter().filter(|(kind, _)| *kind == Kind::Market);
    heard.map(|(_, payload)| cbor::decode(&payload).expect("a market")).collect()
}

fn wanted(model: &str, jobs: u32, around: u32) -> Wanted {
    Wanted { model: model.into(), jobs, around, ..Wanted::default() }
}

fn says(rig: &mut Rig, peer: &mut Peer, wanted: Vec<Wanted>) {
    peer.say(rig, peer.control, Kind::Market, &cbor::encode(&Market { wanted }));
}

fn called(rig: &mut Rig, number: u8) -> Peer {
    let mut peer = Peer::called(rig, number);
    peer.greet(rig);
    peer
}

#[test]
fn a_gateway_tells_its_neighbours_what_its_users_ask_for_until_they_do_so_no_more() {
    let mut rig = Rig::gateway();
    let provider = Peer::serving(&mut rig, PEER, SLUG);
    let neighbour = called(&mut rig, OTHER);
    for _ in 0..3 {
        rig.ask(&prompt(true));
    }
    let mut nobodys = prompt(true);
    nobodys["model"] = "dreamt:of:model".into();
    rig.ask(&nobodys);
    rig.pass(MARKET_SOON);
    let [market] = &markets(&mut rig, &neighbour)[..] else { panic!("one") };
    let [first, second] = &market.wanted[..] else { panic!("{market:?}") };
    assert_eq!((first.jobs, first.unserved, first.slots, first.taken), (3, 0, 64, 0));
    assert!(SLUG.ends_with(&first.model) && !first.model.contains(':'), "{first:?}");
    assert_eq!((second.model.as_str(), second.jobs, second.unserved), ("model", 0, 1));
    assert_eq!(markets(&mut rig, &provider).len(), 1);
    let late = called(&mut rig, STRANGER);
    assert_eq!(markets(&mut rig, &late).first(), Some(market), "who comes later has missed it");

    rig.pass(MARKET_EVERY);
    assert_eq!(markets(&mut rig, &neighbour), [], "nothing is new");
    // Who asked at its beginning counts for less and less until ten minutes after the hour.
    rig.pass(HOUR);
    rig.pass(MARKET_EVERY);
    rig.pass(MARKET_EVERY);
    assert_eq!(markets(&mut rig, &neighbour).pop(), Some(Market::default()), "nobody asked for an hour");
    rig.pass(HOUR);
    assert_eq!(markets(&mut rig, &neighbour), []);
}

#[test]
fn what_neighbours_users_ask_for_is_summed_and_what_those_hear_of_is_not() {
    let mut rig = Rig::gateway();
    let mut neighbours = [PEER, OTHER].map(|number| called(&mut rig, number));
    for neighbour in &mut neighbours {
        says(&mut rig, neighbour, vec![wanted("toy", 10, 1_000), wanted("big", 1, 0)]);
    }
    let mut stranger = Peer::admitted(&mut rig, STRANGER);
    says(&mut rig, &mut stranger, vec![wanted("toy", u32::MAX, 0)]);
    rig.ask(&prompt(true));
    rig.pass(MARKET_SOON);
    let told = markets(&mut rig, &neighbours[0]).remove(0);
    let around: Vec<(&str, u32)> = told.wanted.iter().map(|one| (one.model.as_str(), one.around)).collect();
    assert!(around.starts_with(&[("toy", 20), ("big", 2)]), "{told:?}");

    rig.link_down(neighbours[1].link);
    let shown = rig.admin("/market");
    assert_eq!(shown["models"][0]["around"], 10);
    assert_eq!(shown["models"][0]["widest"], 1_010);
    assert_eq!(shown["neighbours"], 1);
    says(&mut rig, &mut neighbours[0], vec![wanted("toy", u32::MAX, u32::MAX); 100]);
    assert_eq!(rig.admin("/market")["models"][0]["around"], u32::MAX);
}

#[test]
fn a_provider_sees_what_its_gateways_users_ask_for() {
    let mut rig = Rig::new(provider_config());
    let mut gateway = called(&mut rig, PEER);
    says(&mut rig, &mut gateway, vec![Wanted { slots: 5, taken: 4, ..wanted("toy", 7, 30) }]);
    let shown = rig.admin("/market");
    assert_eq!(shown["models"][0]["model"], "toy");
    assert_eq!((&shown["models"][0]["around"], &shown["models"][0]["widest"]), (&7.into(), &37.into()));
    for _ in 0..20 {
        gateway.say(&mut rig, gateway.control, Kind::Market, b"\xa1\x00\x01");
    }
    assert!(!rig.is_up(gateway.link), "nonsense is held against it");
}
