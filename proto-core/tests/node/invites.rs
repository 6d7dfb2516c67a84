//! Reverse connections: a provider that nobody is linked to is asked to call, by way of who told of it.

use labman_proto_core::limits::{INVITE_AGAIN, INVITE_HOPS, INVITE_WAIT, INVITED_LINKS, UNANSWERED_FOR};
use labman_proto_core::machine::{ResetCode, Target};
use labman_proto_core::node::config;
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{Invitation, Invite};
use labman_proto_core::wire::object::open;

use super::jobs::shop;
use super::lies::{SLUG, prompt};
use super::membership::gateway_at;
use super::peer::{Peer, capability, offer, record};
use super::rig::{FEP, NODE, OTHER, PEER, Rig, STRANGER, gateway_config, identity, net, node, seal};

const SECOND: Span = Span::from_secs(1);

fn reachable() -> config::Config {
    config::Config { addresses: vec!["8.9.0.1:4433".into()], ..gateway_config() }
}

/// A gateway, and a neighbour that told it of a provider.
fn told_of_a_provider() -> (Rig, Peer) {
    let mut rig = Rig::new(reachable());
    let neighbour = Peer::admitted(&mut rig, PEER);
    tell_of(&mut rig, &neighbour, STRANGER);
    neighbour.hears(&mut rig);
    (rig, neighbour)
}

fn tell_of(rig: &mut Rig, neighbour: &Peer, provider: u8) {
    let offers = vec![seal(provider, offer(rig, SLUG))];
    let told = record(rig, provider, Kind::CapabilityRecord, 1, &capability(offers));
    rig.deliver(neighbour.control, &told);
}

/// Those that came to that neighbour, as (provider, hops left).
fn invites(rig: &mut Rig, neighbour: &Peer) -> Vec<(u8, u8)> {
    let heard = neighbour.hears(rig).into_iter().filter(|(kind, _)| *kind == Kind::Invite);
    let invites = heard.map(|(_, payload)| cbor::decode::<Invite>(&payload).expect("an invite"));
    let number = |id| (0..u8::MAX).find(|number| node(*number) == id).expect("a known node");
    invites
        .map(|Invite { hops, invitation }| {
            let invitation = open::<Invitation>(net(), None, &invitation.0).expect("an invitation").content;
            (number(invitation.provider), hops)
        })
        .collect()
}

/// Of a gateway of the FEP's, to a provider.
fn invitation(rig: &Rig, provider: u8, address: &str) -> Invitation {
    Invitation {
        provider: node(provider),
        issued_ms: rig.now.wall.0,
        addresses: vec![address.into()],
        feps: vec![identity(FEP).fep_id()],
    }
}

fn bring(rig: &mut Rig, by: &mut Peer, hops: u8, sealed: Vec<u8>) {
    let invite = Invite { hops, invitation: Blob(sealed) };
    by.say(rig, by.control, Kind::Invite, &cbor::encode(&invite));
}

fn calls(rig: &mut Rig) -> Vec<Target> {
    std::mem::take(&mut rig.dials).into_iter().map(|(_, target)| target).collect()
}

/// Whoever is called answers, and is linked.
fn answer(rig: &mut Rig, number: u8) -> Option<Peer> {
    let (op, _) = std::mem::take(&mut rig.dials).pop()?;
    let mut gateway = Peer::called(rig, number);
    rig.dialled(op, Ok(gateway.link));
    gateway.greet(rig);
    Some(gateway)
}

#[test]
fn a_request_waits_for_a_provider_that_was_asked_to_call_and_is_served_by_it() {
    let (mut rig, neighbour) = told_of_a_provider();
    assert!(rig.admin("/status")["models"].as_array().is_some_and(|models| models.len() == 1));
    let user = rig.ask(&prompt(true));
    assert_eq!(invites(&mut rig, &neighbour), [(STRANGER, INVITE_HOPS)]);
    rig.ask(&prompt(true));
    assert_eq!(invites(&mut rig, &neighbour), [], "it was asked just now");
    assert_eq!(rig.status(user), None);
    let provider = Peer::admitted(&mut rig, STRANGER);
    assert!(provider.jobs(&mut rig).is_empty(), "our hello is on its way: a stream could overtake it");
    let said = record(&rig, STRANGER, Kind::PeerRecord, 2, &cbor::encode(&gateway_at("8.0.0.1:4433")));
    rig.deliver(provider.control, &said);
    assert_eq!(provider.jobs(&mut rig).len(), 2, "both have waited for it");
}

#[test]
fn if_nobody_comes_the_user_is_told_after_a_while() {
    let (mut rig, neighbour) = told_of_a_provider();
    let user = rig.ask(&prompt(true));
    rig.pass(INVITE_WAIT);
    assert_eq!(rig.status(user), Some(503));
    assert!(rig.text(user).contains("no_provider"), "{}", rig.text(user));
    // Nor is anything left of a user that did not wait.
    let user = rig.ask(&prompt(true));
    rig.reset(user, ResetCode::Cancelled);
    assert_eq!(rig.admin("/status")["jobs"]["gateway"], 0);
    // And where nobody knows the way, nobody waits.
    rig.link_down(neighbour.link);
    let user = rig.ask(&prompt(true));
    assert_eq!(rig.status(user), Some(503));
}

#[test]
fn an_invitation_that_was_lost_is_sent_again_while_users_ask() {
    let (mut rig, neighbour) = told_of_a_provider();
    let mut sent = 0;
    for _ in 0..20 {
        rig.ask(&prompt(true));
        sent += invites(&mut rig, &neighbour).len();
        rig.pass(Span(INVITE_AGAIN.0 / 2));
    }
    assert_eq!(sent, 10);
}

#[test]
fn whoever_never_comes_does_not_keep_others_from_being_asked() {
    let mut rig = Rig::new(reachable());
    let neighbour = Peer::admitted(&mut rig, PEER);
    for provider in [30, 31, 32, 33, 34] {
        tell_of(&mut rig, &neighbour, provider);
    }
    let mut asked = std::collections::BTreeSet::new();
    for round in 1..=2 {
        rig.ask(&prompt(true));
        let now: Vec<u8> = invites(&mut rig, &neighbour).into_iter().map(|(provider, _)| provider).collect();
        assert_eq!(now.len(), 3, "{now:?}");
        asked.extend(now);
        rig.pass(INVITE_WAIT);
        assert!(asked.len() >= (3 * round).min(5), "{asked:?}");
    }
}

#[test]
fn an_invitation_goes_back_the_way_the_record_came_but_not_for_ever() {
    let (mut rig, neighbour) = told_of_a_provider();
    let mut other = Peer::admitted(&mut rig, OTHER);
    let of = |rig: &Rig, provider: u8| seal(OTHER, invitation(rig, provider, "8.0.0.1:4433"));
    let (to_it, to_nobody) = (of(&rig, STRANGER), of(&rig, 99));
    bring(&mut rig, &mut other, 2, to_it.clone());
    assert_eq!(invites(&mut rig, &neighbour), [(STRANGER, 1)]);
    bring(&mut rig, &mut other, 0, to_it.clone());
    bring(&mut rig, &mut other, 2, to_nobody);
    assert_eq!(invites(&mut rig, &neighbour), [], "too far, and to nobody that is known");
    // Who is linked is told at once, and nobody is who brings more than its share.
    let provider = Peer::admitted(&mut rig, STRANGER);
    for _ in 0..100 {
        bring(&mut rig, &mut other, u8::MAX, to_it.clone());
    }
    let came = invites(&mut rig, &provider);
    assert!((1..=16).contains(&came.len()), "{}", came.len());
    assert!(came.iter().all(|one| *one == (STRANGER, INVITE_HOPS - 1)), "{came:?}");
    assert_eq!(invites(&mut rig, &neighbour), []);
    assert!(rig.is_up(other.link));
}

#[test]
fn nobody_passes_on_what_its_gateway_did_not_sign() {
    let (mut rig, neighbour) = told_of_a_provider();
    let mut liar = Peer::admitted(&mut rig, OTHER);
    let mut forged = seal(OTHER, invitation(&rig, STRANGER, "8.0.0.1:4433"));
    *forged.last_mut().unwrap() ^= 1;
    let long = Invitation { addresses: vec!["8.0.0.1:4433".into(); 200], ..invitation(&rig, STRANGER, "") };
    let long = seal(OTHER, long);
    for bad in [forged, long, Vec::new()].iter().cycle().take(12) {
        bring(&mut rig, &mut liar, 3, bad.clone());
    }
    assert_eq!(invites(&mut rig, &neighbour), []);
    assert!(!rig.is_up(liar.link), "it has to look first");
}

#[test]
fn a_provider_calls_a_gateway_that_invites_it_once() {
    let mut rig = Rig::provider();
    let mut neighbour = Peer::admitted(&mut rig, PEER);
    let sealed = seal(OTHER, invitation(&rig, NODE, "8.0.0.1:4433"));
    bring(&mut rig, &mut neighbour, 3, sealed.clone());
    bring(&mut rig, &mut neighbour, 3, sealed.clone());
    let called: Vec<&Target> = rig.dials.iter().map(|(_, target)| target).collect();
    assert_eq!(called, [&Target::Mesh { addr: "8.0.0.1:4433".into(), node_id: node(OTHER) }]);
    let gateway = answer(&mut rig, OTHER).unwrap();
    assert!(rig.is_up(gateway.link));
    bring(&mut rig, &mut neighbour, 3, sealed);
    assert_eq!(calls(&mut rig), [], "it is linked");
}

#[test]
fn a_provider_calls_nobody_whose_invitation_does_not_hold() {
    let mut rig = Rig::provider();
    let mut neighbour = Peer::admitted(&mut rig, PEER);
    let good = invitation(&rig, NODE, "8.0.0.1:4433");
    let bad = [
        Invitation { addresses: vec!["192.168.1.1:4433".into()], ..good.clone() },
        Invitation { addresses: Vec::new(), ..good.clone() },
        Invitation { feps: vec![identity(OTHER).fep_id()], ..good.clone() },
        Invitation { feps: Vec::new(), ..good.clone() },
        Invitation { issued_ms: good.issued_ms - 121_000, ..good.clone() },
        Invitation { issued_ms: good.issued_ms + 121_000, ..good.clone() },
    ];
    for invitation in bad {
        bring(&mut rig, &mut neighbour, 3, seal(OTHER, invitation));
    }
    assert_eq!(calls(&mut rig), []);
    bring(&mut rig, &mut neighbour, 3, seal(OTHER, good.clone()));
    assert_eq!(calls(&mut rig).len(), 1);
    // A node that is no provider is asked for nothing.
    let mut rig = Rig::gateway();
    let mut neighbour = Peer::admitted(&mut rig, PEER);
    bring(&mut rig, &mut neighbour, 3, seal(OTHER, good));
    assert_eq!(calls(&mut rig), []);
}

#[test]
fn a_network_that_does_not_answer_is_left_alone_whoever_names_it() {
    let mut rig = Rig::provider();
    let mut neighbour = Peer::admitted(&mut rig, PEER);
    for number in 100..105 {
        let sealed = seal(number, invitation(&rig, NODE, &format!("8.0.0.{number}:4433")));
        bring(&mut rig, &mut neighbour, 3, sealed);
        for (op, _) in std::mem::take(&mut rig.dials) {
            assert_eq!(number, 100);
            rig.dialled(op, Err("nobody is there".into()));
        }
        rig.pass(SECOND);
    }
    rig.pass(UNANSWERED_FOR);
    let sealed = seal(110, invitation(&rig, NODE, "8.0.0.110:4433"));
    bring(&mut rig, &mut neighbour, 3, sealed);
    assert_eq!(calls(&mut rig).len(), 1);
}

#[test]
fn whoever_invites_again_and_again_takes_the_place_of_others_that_did_but_not_of_one_with_a_paid_job() {
    let mut shop = shop();
    let rig = &mut shop.rig;
    let mut neighbour = Peer::admitted(rig, OTHER);
    let mut came = Vec::new();
    for number in 100..100 + INVITED_LINKS as u8 + 3 {
        let sealed = seal(number, invitation(rig, NODE, &format!("8.{number}.0.1:4433")));
        bring(rig, &mut neighbour, 3, sealed);
        rig.pass(SECOND);
        let mut gateway = answer(rig, number).expect("a call");
        if number == 100 {
            let order = super::portman::Order::new(rig, number, &shop.offer, 200);
            order.place(rig, &mut gateway);
            assert_eq!(shop.portman.started(rig), [1]);
        }
        came.push(gateway.link);
    }
    let up: Vec<bool> = came.iter().map(|link| rig.is_up(*link)).collect();
    assert_eq!(up.iter().filter(|up| **up).count(), INVITED_LINKS);
    let down: Vec<usize> = (0..up.len()).filter(|at| !up[*at]).collect();
    assert_eq!(down, [1, 2, 3], "the oldest without work went");
    assert!(rig.is_up(neighbour.link));
}
