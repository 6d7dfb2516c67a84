//! Reverse connections: a provider that nobody is linked to is asked to call, by way of who told of it.

use labman_proto_core::limits::{INVITE_HOPS, INVITE_WAIT, INVITED_LINKS};
use labman_proto_core::machine::Target;
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{Invite, PeerRecord};

use super::lies::{SLUG, prompt};
use super::membership::gateway_at;
use super::peer::{Peer, capability, offer, record};
use super::rig::{FEP, NODE, OTHER, PEER, Rig, STRANGER, identity, node, seal};

/// A gateway, and a neighbour that told it of a provider.
fn told_of_a_provider() -> (Rig, Peer) {
    let mut rig = Rig::gateway();
    let neighbour = Peer::admitted(&mut rig, PEER);
    let offers = vec![seal(STRANGER, offer(&rig, SLUG))];
    let told = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &capability(offers));
    rig.deliver(neighbour.control, &told);
    neighbour.hears(&mut rig);
    (rig, neighbour)
}

fn invites(rig: &mut Rig, neighbour: &Peer) -> Vec<Invite> {
    let heard = neighbour.hears(rig).into_iter().filter(|(kind, _)| *kind == Kind::Invite);
    heard.map(|(_, payload)| cbor::decode(&payload).expect("an invite")).collect()
}

/// What a gateway says of itself: it works for the FEP, and is there.
fn word(rig: &Rig, number: u8, address: &str) -> Vec<u8> {
    let said = PeerRecord { feps: vec![identity(FEP).fep_id()], ..gateway_at(address) };
    record(rig, number, Kind::PeerRecord, 1, &cbor::encode(&said))
}

fn invite(rig: &mut Rig, by: &mut Peer, provider: u8, hops: u8, word: Vec<u8>) {
    let invite = Invite { provider: node(provider), hops, gateway: Blob(word) };
    by.say(rig, by.control, Kind::Invite, &cbor::encode(&invite));
}

fn calls(rig: &mut Rig) -> Vec<Target> {
    std::mem::take(&mut rig.dials).into_iter().map(|(_, target)| target).collect()
}

#[test]
fn a_request_waits_for_a_provider_that_was_asked_to_call_and_is_served_by_it() {
    let (mut rig, neighbour) = told_of_a_provider();
    let user = rig.ask(&prompt(true));
    let asked = invites(&mut rig, &neighbour);
    assert_eq!(
        asked.iter().map(|one| (one.provider, one.hops)).collect::<Vec<_>>(),
        [(node(STRANGER), INVITE_HOPS)]
    );
    rig.ask(&prompt(true));
    assert!(invites(&mut rig, &neighbour).is_empty(), "it was asked already");
    assert_eq!(rig.status(user), None);
    let provider = Peer::admitted(&mut rig, STRANGER);
    assert!(provider.jobs(&mut rig).is_empty(), "our hello is on its way: a stream could overtake it");
    let said = word(&rig, STRANGER, "8.0.0.1:4433");
    rig.deliver(provider.control, &said);
    assert_eq!(provider.jobs(&mut rig).len(), 2, "both have waited for it");
}

#[test]
fn if_nobody_comes_the_user_is_told_after_a_while() {
    let (mut rig, _neighbour) = told_of_a_provider();
    let user = rig.ask(&prompt(true));
    rig.pass(INVITE_WAIT);
    assert_eq!(rig.status(user), Some(503));
    assert!(rig.text(user).contains("no_provider"), "{}", rig.text(user));
    // Nor is anything left of a user that did not wait.
    let user = rig.ask(&prompt(true));
    rig.reset(user, labman_proto_core::machine::ResetCode::Cancelled);
    assert_eq!(rig.admin("/status")["jobs"]["gateway"], 0);
}

#[test]
fn an_invite_goes_back_the_way_the_record_came_but_not_for_ever() {
    let (mut rig, neighbour) = told_of_a_provider();
    let mut other = Peer::admitted(&mut rig, OTHER);
    let said = word(&rig, OTHER, "8.0.0.1:4433");
    invite(&mut rig, &mut other, STRANGER, 2, said.clone());
    let passed_on = Invite { provider: node(STRANGER), hops: 1, gateway: Blob(said.clone()) };
    assert_eq!(invites(&mut rig, &neighbour), [passed_on]);
    invite(&mut rig, &mut other, STRANGER, 0, said.clone());
    invite(&mut rig, &mut other, 99, 2, said.clone());
    assert!(invites(&mut rig, &neighbour).is_empty(), "too far, and to nobody that is known");
    // Who is linked is told at once, and nobody is who sends more than its share.
    let provider = Peer::admitted(&mut rig, STRANGER);
    for _ in 0..100 {
        invite(&mut rig, &mut other, STRANGER, u8::MAX, said.clone());
    }
    let came = invites(&mut rig, &provider);
    assert!((1..=16).contains(&came.len()), "{}", came.len());
    assert!(came.iter().all(|one| one.hops == INVITE_HOPS - 1), "{came:?}");
    assert!(invites(&mut rig, &neighbour).is_empty());
}

#[test]
fn a_provider_calls_a_gateway_that_invites_it_once() {
    let mut rig = Rig::provider();
    let mut neighbour = Peer::admitted(&mut rig, PEER);
    let said = word(&rig, OTHER, "8.0.0.1:4433");
    invite(&mut rig, &mut neighbour, NODE, 3, said.clone());
    invite(&mut rig, &mut neighbour, NODE, 3, said.clone());
    let [(op, target)] = &std::mem::take(&mut rig.dials)[..] else { panic!("one call") };
    assert_eq!(*target, Target::Mesh { addr: "8.0.0.1:4433".into(), node_id: node(OTHER) });
    let mut gateway = Peer::called(&mut rig, OTHER);
    rig.dialled(*op, Ok(gateway.link));
    gateway.greet(&mut rig);
    assert!(rig.is_up(gateway.link));
    invite(&mut rig, &mut neighbour, NODE, 3, said);
    assert!(calls(&mut rig).is_empty(), "it is linked");
}

#[test]
fn a_provider_calls_nobody_whose_word_does_not_hold() {
    let mut rig = Rig::provider();
    let mut neighbour = Peer::admitted(&mut rig, PEER);
    let mut forged = word(&rig, OTHER, "8.0.0.1:4433");
    *forged.last_mut().unwrap() ^= 1;
    let at_home = word(&rig, OTHER, "192.168.1.1:4433");
    let other_fep = record(&rig, OTHER, Kind::PeerRecord, 1, &cbor::encode(&gateway_at("8.0.0.1:4433")));
    let said =
        PeerRecord { gateway: false, feps: vec![identity(FEP).fep_id()], ..gateway_at("8.0.0.1:4433") };
    let no_gateway = record(&rig, OTHER, Kind::PeerRecord, 1, &cbor::encode(&said));
    let other_kind = record(&rig, OTHER, Kind::CapabilityRecord, 1, &cbor::encode(&said));
    let stale = word(&rig, OTHER, "8.0.0.1:4433");
    for gateway in [forged, at_home, other_fep, no_gateway, other_kind, Vec::new()] {
        invite(&mut rig, &mut neighbour, NODE, 3, gateway);
    }
    assert_eq!(calls(&mut rig), []);
    rig.pass(Span::from_secs(1_801));
    calls(&mut rig);
    invite(&mut rig, &mut neighbour, NODE, 3, stale);
    assert_eq!(calls(&mut rig), []);
    // A node that is no provider is asked for nothing.
    let mut rig = Rig::gateway();
    let mut neighbour = Peer::admitted(&mut rig, PEER);
    let said = word(&rig, OTHER, "8.0.0.1:4433");
    invite(&mut rig, &mut neighbour, NODE, 3, said);
    assert_eq!(calls(&mut rig), []);
}

#[test]
fn whoever_invites_a_provider_again_and_again_takes_the_place_of_others_that_did() {
    let mut rig = Rig::provider();
    let mut neighbour = Peer::admitted(&mut rig, PEER);
    let mut came = Vec::new();
    for number in 100..100 + INVITED_LINKS as u8 + 3 {
        let said = word(&rig, number, &format!("8.{number}.0.1:4433"));
        invite(&mut rig, &mut neighbour, NODE, 3, said);
        rig.pass(Span::from_secs(1));
        for (op, target) in std::mem::take(&mut rig.dials) {
            assert_eq!(target, Target::Mesh { addr: format!("8.{number}.0.1:4433"), node_id: node(number) });
            let mut gateway = Peer::called(&mut rig, number);
            rig.dialled(op, Ok(gateway.link));
            gateway.greet(&mut rig);
            came.push(gateway.link);
        }
    }
    assert_eq!(came.len(), INVITED_LINKS + 3);
    let up: Vec<bool> = came.iter().map(|link| rig.is_up(*link)).collect();
    assert_eq!(up.iter().filter(|up| **up).count(), INVITED_LINKS);
    assert!(up.iter().skip(3).all(|up| *up), "the oldest went");
    assert!(rig.is_up(neighbour.link));
}
