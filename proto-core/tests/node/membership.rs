//! Who is of the mesh: what is heard of them, who is called, and who is gone.

use std::collections::BTreeSet;

use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::{
    DIGEST_AT_MOST, GATEWAY_CALLS, LOOK_LAST, RECORD_TTL, SHUFFLE_EVERY, SHUFFLE_SOON, SHUFFLED,
    SUSPECT_AFTER, SUSPECT_JITTER,
};
use labman_proto_core::machine::{DownReason, Peer as Who, Target};
use labman_proto_core::node::config::{Bootstrap, Config, Gateway};
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::{Header, Kind};
use labman_proto_core::wire::mesh::{
    CapabilityRecord, Departure, Hello, PeerRecord, Prune, Shuffle, Suspicion, Version,
};
use labman_proto_core::wire::portman::FromPortman;
use labman_proto_core::wire::topic::{Topic, Topics};

use super::peer::{Peer, capability, header, offer, record, sign};
use super::portman::{Portman, model};
use super::rig::{
    FEP, NODE, OTHER, PEER, Rig, STRANGER, gateway_config, identity, node, provider_config, seal,
};

const LATE: u8 = 12;
const FOURTH: u8 = 13;
/// Long enough for who misses a node to say so.
const MISSED: Span = Span(SUSPECT_AFTER.0 + SUSPECT_JITTER.0);

fn topics(families: &[&str]) -> Topics {
    families.iter().map(|family| Topic::of_family(family)).collect()
}

/// A neighbour with such an interest.
fn interested(rig: &mut Rig, number: u8, interest: Topics) -> Peer {
    let mut peer = Peer::connected(rig, number);
    let hello = Hello { interest, ..peer.hello() };
    peer.say(rig, peer.control, Kind::Hello, &cbor::encode(&hello));
    peer.hears(rig);
    peer
}

/// What a provider says that serves these families, and is linked to these nodes.
fn serves(families: &[&str], witnesses: &[u8]) -> Vec<u8> {
    let witnesses = witnesses.iter().map(|number| node(*number)).collect();
    cbor::encode(&CapabilityRecord { hosted: Vec::new(), witnesses, topics: topics(families) })
}

pub(super) fn gateway_at(address: &str) -> PeerRecord {
    PeerRecord {
        gateway: true,
        provider: false,
        addresses: vec![address.into()],
        public_endpoint: None,
        feps: Vec::new(),
        witnesses: Vec::new(),
        interest: Topics::All,
    }
}

fn kinds(heard: &[(Kind, Vec<u8>)]) -> Vec<Kind> {
    heard.iter().map(|(kind, _)| *kind).collect()
}

fn gateway_of(families: &[&str]) -> Rig {
    let config = gateway_config();
    let families = families.iter().map(|family| (*family).into()).collect();
    let gateway = Gateway { families, ..config.gateway.clone().unwrap() };
    Rig::new(Config { gateway: Some(gateway), ..config })
}

#[test]
fn a_gateway_hears_of_its_families_and_tells_each_neighbour_of_those_both_have() {
    let mut rig = gateway_of(&["llama", "qwen"]);
    let from = Peer::admitted(&mut rig, PEER);
    let (both, one) =
        (interested(&mut rig, OTHER, Topics::All), interested(&mut rig, LATE, topics(&["qwen"])));
    let none = interested(&mut rig, FOURTH, Topics::none());
    let qwen = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &serves(&["qwen"], &[]));
    let llama = record(&rig, 21, Kind::CapabilityRecord, 1, &serves(&["llama"], &[]));
    let gemma = record(&rig, 22, Kind::CapabilityRecord, 1, &serves(&["gemma"], &[]));
    rig.deliver(from.control, &[qwen.clone(), llama.clone(), gemma].concat());
    assert_eq!(rig.hear(both.control), [qwen.clone(), llama].concat());
    assert_eq!(rig.hear(one.control), qwen);
    assert_eq!(none.hears(&mut rig), []);
}

#[test]
fn who_heard_of_a_family_hears_that_it_is_served_no_more() {
    let mut rig = Rig::gateway();
    let from = Peer::admitted(&mut rig, PEER);
    let qwen = interested(&mut rig, OTHER, topics(&["qwen"]));
    let served = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &serves(&["qwen"], &[]));
    let no_more = record(&rig, STRANGER, Kind::CapabilityRecord, 2, &serves(&["llama"], &[]));
    rig.deliver(from.control, &[served.clone(), no_more.clone()].concat());
    assert_eq!(rig.hear(qwen.control), [served, no_more].concat());
}

#[test]
fn a_tree_is_pruned_for_its_topic_only() {
    let mut rig = Rig::gateway();
    let from = Peer::admitted(&mut rig, PEER);
    let families = ["qwen", "llama"].map(Topic::of_family).into_iter().collect();
    let (mut to, mut all) = (interested(&mut rig, OTHER, families), Peer::admitted(&mut rig, 12));
    let prune = cbor::encode(&Prune { topic: Topic::of_family("qwen") });
    for peer in [&mut to, &mut all] {
        peer.hears(&mut rig);
        peer.say(&mut rig, peer.control, Kind::Prune, &prune);
    }
    let qwen = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &serves(&["qwen"], &[]));
    let llama = record(&rig, 21, Kind::CapabilityRecord, 1, &serves(&["llama"], &[]));
    rig.deliver(from.control, &[qwen, llama.clone()].concat());
    assert_eq!(rig.hear(to.control), llama);
    // With who hears of all, as we do, there is one tree for all.
    assert!(rig.hear(all.control).is_empty());
}

#[test]
fn a_provider_hears_of_no_other_provider() {
    let mut rig = Rig::provider();
    let from = Peer::admitted(&mut rig, PEER);
    let offers = vec![seal(STRANGER, offer(&rig, "acme:box:toy"))];
    let told = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &capability(offers));
    rig.deliver(from.control, &told);
    assert_eq!(rig.admin("/status")["models"].as_array().map(Vec::len), Some(0));
}

/// Tells the node of these peers, and gives whom it calls.
fn told_of(rig: &mut Rig, peers: &[(u8, &str)]) -> Vec<Target> {
    let mut teller = Peer::admitted(rig, PEER);
    let records = peers.iter().map(|(number, address)| {
        let said = PeerRecord { feps: vec![identity(FEP).fep_id()], ..gateway_at(address) };
        Blob(record(rig, *number, Kind::PeerRecord, 1, &cbor::encode(&said)))
    });
    let shuffle = Shuffle { peers: records.collect(), answer: false, topics: Topics::All };
    teller.say(rig, teller.control, Kind::Shuffle, &cbor::encode(&shuffle));
    for _ in 0..5 {
        rig.pass(LOOK_LAST);
    }
    rig.dials.iter().map(|(_, target)| target.clone()).collect()
}

fn target(number: u8, addr: &str) -> Target {
    Target::Mesh { addr: addr.into(), node_id: node(number) }
}

#[test]
fn peers_that_were_told_of_are_called_until_there_are_enough_and_one_in_a_network() {
    let mut rig = Rig::gateway();
    let told: Vec<(u8, String)> = (0..7).map(|n| (30 + n, format!("8.{n}.0.1:4433"))).collect();
    let mut told: Vec<(u8, &str)> = told.iter().map(|(number, addr)| (*number, addr.as_str())).collect();
    told.push((40, "8.0.0.2:4433"));
    let called = told_of(&mut rig, &told);
    // Nobody answers the first, so all are tried: but for the one whose neighbour is being called.
    let first = rig
        .dials
        .iter()
        .filter(|(_, called)| [target(30, "8.0.0.1:4433"), target(40, "8.0.0.2:4433")].contains(called));
    assert_eq!(first.count(), 1, "{called:?}");
    assert_eq!(called.len(), 7, "{called:?}");
}

/// Each of these peers that the node calls takes the call, and admits it.
fn answer_calls(rig: &mut Rig) -> Vec<Target> {
    let mut called = Vec::new();
    for _ in 0..10 {
        for (op, target) in std::mem::take(&mut rig.dials) {
            let Target::Mesh { node_id, .. } = &target else { panic!("{target:?}") };
            let number = (30..50).find(|number| node(*number) == *node_id).expect("one of them");
            let mut peer = Peer::called(rig, number);
            rig.dialled(op, Ok(peer.link));
            peer.greet(rig);
            called.push(target);
        }
        rig.pass(LOOK_LAST);
    }
    called
}

#[test]
fn a_node_that_starts_again_first_calls_whom_it_had_chosen_before() {
    let mut rig = Rig::gateway();
    let told: Vec<(u8, String)> = (0..7).map(|n| (30 + n, format!("8.{n}.0.1:4433"))).collect();
    let told: Vec<(u8, &str)> = told.iter().map(|(number, addr)| (*number, addr.as_str())).collect();
    let first = told_of(&mut rig, &told).remove(0);
    // The first is still being called; those who answer are enough without it.
    let mut chosen = answer_calls(&mut rig);
    chosen.sort_by_key(|target| format!("{target:?}"));
    assert!(chosen.len() >= 4 && chosen.contains(&first), "{chosen:?}");
    assert_eq!(rig.disk.rows("anchors").len(), chosen.len());

    rig.restart();
    rig.pass(LOOK_LAST);
    let mut again: Vec<Target> = rig.dials.iter().map(|(_, target)| target.clone()).collect();
    again.sort_by_key(|target| format!("{target:?}"));
    assert_eq!(again, chosen, "nobody told it of anybody");
}

/// A gateway whose operator named `STRANGER`, and that is told of ten others who all take its calls, for five minutes: whom it
/// called, and how many of them were linked at most.
fn calls_of_a_gateway(named_answers: bool) -> (BTreeSet<NodeId>, usize) {
    let named = Bootstrap { node_id: node(STRANGER), addr: "stranger:1".into() };
    let mut rig = Rig::new(Config { bootstrap: vec![named], ..gateway_config() });
    let others: Vec<(u8, String)> = (30..40).map(|n| (n, format!("8.{n}.0.1:4433"))).collect();
    let mut teller = Peer::admitted(&mut rig, PEER);
    let records = others.iter().map(|(number, address)| {
        Blob(record(&rig, *number, Kind::PeerRecord, 1, &cbor::encode(&gateway_at(address))))
    });
    let (told, later): (Vec<Blob>, Vec<Blob>) = {
        let all: Vec<Blob> = records.collect();
        (all[..5].to_vec(), all[5..].to_vec())
    };
    let (mut called, mut links, mut most) = (BTreeSet::new(), Vec::new(), 0);
    for peers in [told, later] {
        let shuffle = Shuffle { peers, answer: false, topics: Topics::All };
        teller.say(&mut rig, teller.control, Kind::Shuffle, &cbor::encode(&shuffle));
        for _ in 0..150 {
            rig.pass(Span::from_secs(1));
            for (op, target) in std::mem::take(&mut rig.dials) {
                let Target::Mesh { node_id, .. } = target else { continue };
                if node_id == node(STRANGER) && !named_answers {
                    rig.dialled(op, Err("nobody answers there".into()));
                    continue;
                }
                let number = (0..=u8::MAX).find(|number| node(*number) == node_id).expect("it was told of");
                let mut peer = Peer::called(&mut rig, number);
                rig.dialled(op, Ok(peer.link));
                peer.greet(&mut rig);
                called.insert(node_id);
                links.push(peer.link);
            }
            most = most.max(links.iter().filter(|link| rig.is_up(**link)).count());
        }
    }
    (called, most)
}

#[test]
fn a_gateway_to_which_nobody_is_linked_that_its_operator_named_doubts_whom_it_called_and_tries_others() {
    let (called, most) = calls_of_a_gateway(false);
    assert!(called.len() > GATEWAY_CALLS + 2, "{called:?}");
    assert!(most <= GATEWAY_CALLS + 1, "{most} at a time");
    // One to which the named is linked has nothing to doubt.
    let (called, most) = calls_of_a_gateway(true);
    assert_eq!((called.len(), most), (GATEWAY_CALLS, GATEWAY_CALLS));
}

#[test]
fn a_call_that_is_refused_when_it_is_answered_does_not_keep_others_in_its_network_from_being_called() {
    let mut rig = Rig::gateway();
    let told = [(30, "8.0.0.1:4433")];
    let called = told_of(&mut rig, &told);
    assert_eq!(called, [target(30, "8.0.0.1:4433")]);
    // It is banned for what it does on a link of its own, before it answers.
    for _ in 0..10 {
        let one = Peer::from(&mut rig, 30, [9, 0, 0, 1]);
        rig.deliver(one.control, &[0; 64]);
    }
    let (op, _) = rig.dials.remove(0);
    let binding = rig.new_binding();
    let link = rig.link_up(Who::Mesh { node_id: node(30), dialled: true, binding, addr: None });
    assert!(!rig.is_up(link));
    rig.dialled(op, Ok(link));
    assert_eq!(told_of(&mut rig, &[(31, "8.0.0.2:4433")]), [target(31, "8.0.0.2:4433")]);
}

#[test]
fn an_address_that_is_not_public_is_never_called() {
    let mut rig = Rig::gateway();
    let told =
        [(30, "127.0.0.1:4433"), (31, "10.0.0.1:4433"), (32, "[fd00::1]:4433"), (33, "db.internal:5432")];
    assert_eq!(told_of(&mut rig, &told), []);
    assert_eq!(rig.admin("/status")["peers"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_provider_calls_gateways_of_a_fep_that_it_works_for() {
    let mut rig = Rig::new(provider_config());
    let mut teller = Peer::admitted(&mut rig, PEER);
    let stranger = Blob(record(&rig, 30, Kind::PeerRecord, 1, &cbor::encode(&gateway_at("8.0.0.1:4433"))));
    let shuffle = Shuffle { peers: vec![stranger], answer: false, topics: Topics::All };
    teller.say(&mut rig, teller.control, Kind::Shuffle, &cbor::encode(&shuffle));
    rig.pass(LOOK_LAST);
    assert!(rig.dials.is_empty());
}

#[test]
fn who_asks_for_peers_is_told_some_and_not_too_often() {
    let mut rig = Rig::gateway();
    let told: Vec<(u8, String)> = (0..8).map(|n| (30 + n, format!("8.{n}.0.1:4433"))).collect();
    told_of(&mut rig, &told.iter().map(|(number, addr)| (*number, addr.as_str())).collect::<Vec<_>>());
    let mut asker = Peer::admitted(&mut rig, OTHER);
    asker.hears(&mut rig);
    let ask = cbor::encode(&Shuffle { peers: Vec::new(), answer: true, topics: Topics::All });
    asker.say(&mut rig, asker.control, Kind::Shuffle, &ask);
    asker.say(&mut rig, asker.control, Kind::Shuffle, &ask);
    let heard = asker.hears(&mut rig);
    assert_eq!(kinds(&heard), [Kind::Shuffle]);
    let shuffle: Shuffle = cbor::decode(&heard[0].1).unwrap();
    assert_eq!((shuffle.peers.len(), shuffle.answer), (SHUFFLED, false));
    rig.pass(SHUFFLE_SOON);
    asker.hears(&mut rig);
    asker.say(&mut rig, asker.control, Kind::Shuffle, &ask);
    assert_eq!(kinds(&asker.hears(&mut rig)), [Kind::Shuffle]);
}

#[test]
fn who_is_asked_for_a_family_of_which_it_knows_nobody_asks_others_for_it() {
    let mut rig = gateway_of(&["toy"]);
    let mut neighbour = interested(&mut rig, PEER, topics(&["toy"]));
    let mut asker = interested(&mut rig, OTHER, Topics::none());
    rig.pass(SHUFFLE_SOON);
    neighbour.hears(&mut rig);
    let asks = |rig: &mut Rig, neighbour: &Peer| {
        let heard = neighbour.hears(rig).into_iter().filter(|(kind, _)| *kind == Kind::Shuffle);
        let asked = heard.map(|(_, payload)| cbor::decode::<Shuffle>(&payload).unwrap().topics);
        asked.collect::<Vec<Topics>>()
    };
    let rare = Shuffle { peers: Vec::new(), answer: true, topics: topics(&["toy", "rare"]) };
    asker.say(&mut rig, asker.control, Kind::Shuffle, &cbor::encode(&rare));
    rig.pass(SHUFFLE_SOON);
    assert_eq!(asks(&mut rig, &neighbour), [topics(&["toy", "rare"])]);
    asker.hears(&mut rig);
    let found = PeerRecord { interest: topics(&["rare"]), ..gateway_at("8.0.0.1:4433") };
    let found = Blob(record(&rig, 30, Kind::PeerRecord, 1, &cbor::encode(&found)));
    let answer = Shuffle { peers: vec![found.clone()], answer: false, topics: topics(&["toy"]) };
    neighbour.say(&mut rig, neighbour.control, Kind::Shuffle, &cbor::encode(&answer));
    let told = asker.hears(&mut rig);
    let [(Kind::Shuffle, told)] = &told[..] else { panic!("{:?}", kinds(&told)) };
    assert!(cbor::decode::<Shuffle>(told).unwrap().peers.contains(&found), "who asked is told");
    asker.say(
        &mut rig,
        asker.control,
        Kind::Shuffle,
        &cbor::encode(&Shuffle { topics: topics(&["rarer"]), ..rare }),
    );
    rig.pass(SHUFFLE_EVERY);
    rig.pass(SHUFFLE_EVERY);
    assert_eq!(asks(&mut rig, &neighbour).pop(), Some(topics(&["toy"])), "not for ever");
}

#[test]
fn peers_whose_records_are_as_long_as_may_be_are_told_of_as_far_as_a_frame_holds_them() {
    let mut rig = Rig::gateway();
    let long = |number: u8| PeerRecord {
        addresses: vec![format!("8.{number}.0.1:4433"), "z".repeat(15 * 1024)],
        ..gateway_at("")
    };
    // One a teller: of a single neighbour not so many are kept.
    for number in 30..40 {
        let teller = Peer::admitted(&mut rig, number);
        let own = record(&rig, number, Kind::PeerRecord, 1, &cbor::encode(&long(number)));
        rig.deliver(teller.control, &own);
        teller.hears(&mut rig);
    }
    let mut asker = Peer::admitted(&mut rig, OTHER);
    asker.hears(&mut rig);
    let ask = cbor::encode(&Shuffle { peers: Vec::new(), answer: true, topics: Topics::All });
    asker.say(&mut rig, asker.control, Kind::Shuffle, &ask);
    // Longer frames could not be read here.
    let heard = asker.hears(&mut rig);
    let [(Kind::Shuffle, payload)] = &heard[..] else { panic!("{:?}", kinds(&heard)) };
    let told = cbor::decode::<Shuffle>(payload).unwrap().peers.len();
    assert!((2..SHUFFLED).contains(&told), "{told}");
}

/// A node that is linked to the provider PEER, which names these witnesses, and to a neighbour.
fn witness(witnesses: &[u8]) -> (Rig, Peer, Peer) {
    let mut rig = Rig::gateway();
    let neighbour = Peer::admitted(&mut rig, OTHER);
    let provider = interested(&mut rig, PEER, Topics::none());
    let said = record(&rig, PEER, Kind::CapabilityRecord, 1, &serves(&["toy"], witnesses));
    rig.deliver(provider.control, &said);
    neighbour.hears(&mut rig);
    (rig, provider, neighbour)
}

fn suspicion(rig: &Rig, by: u8, seq: u64) -> Vec<u8> {
    let version = Version { incarnation: 1, seq };
    let suspicion = Suspicion { subject: node(PEER), version, topics: topics(&["toy"]) };
    record(rig, by, Kind::Suspicion, 1, &cbor::encode(&suspicion))
}

/// What is said of others, and not to find some.
fn news(rig: &mut Rig, neighbour: &Peer) -> Vec<(Kind, Vec<u8>)> {
    neighbour
        .hears(rig)
        .into_iter()
        .filter(|(kind, _)| !matches!(kind, Kind::Shuffle | Kind::Distances))
        .collect()
}

fn is_known(rig: &mut Rig, neighbour: &mut Peer) -> bool {
    rig.pass(DIGEST_AT_MOST);
    neighbour.hears(rig);
    neighbour.pull(rig).iter().any(|payload| cbor::decode::<CapabilityRecord>(payload).is_ok())
}

#[test]
fn a_node_that_its_only_witness_loses_is_gone_after_a_while_and_its_record_is_no_news() {
    let (mut rig, provider, mut neighbour) = witness(&[NODE]);
    rig.link_lost(provider.link, DownReason::TimedOut);
    assert_eq!(neighbour.hears(&mut rig), []);
    rig.pass(MISSED);
    let heard = news(&mut rig, &neighbour);
    assert_eq!(kinds(&heard), [Kind::Suspicion]);
    let said: Suspicion = cbor::decode(&heard[0].1).unwrap();
    assert_eq!((said.subject, said.version), (node(PEER), Version { incarnation: 1, seq: 1 }));
    // Stale gossip does not raise the dead: who brings it is told.
    let stale = record(&rig, PEER, Kind::CapabilityRecord, 1, &serves(&["toy"], &[NODE]));
    rig.deliver(neighbour.control, &stale);
    assert_eq!(kinds(&news(&mut rig, &neighbour)), [Kind::Suspicion]);
    assert!(!is_known(&mut rig, &mut neighbour));
    // What it says later does.
    let alive = record(&rig, PEER, Kind::CapabilityRecord, 2, &serves(&["toy"], &[OTHER]));
    rig.deliver(neighbour.control, &alive);
    assert!(is_known(&mut rig, &mut neighbour));
}

#[test]
fn a_node_that_comes_back_or_is_heard_of_through_others_is_not_missed() {
    let (mut rig, provider, neighbour) = witness(&[NODE]);
    rig.link_lost(provider.link, DownReason::TimedOut);
    let _back = interested(&mut rig, PEER, Topics::none());
    neighbour.hears(&mut rig);
    rig.pass(MISSED);
    assert!(!kinds(&neighbour.hears(&mut rig)).contains(&Kind::Suspicion));

    let (mut rig, provider, neighbour) = witness(&[NODE, OTHER]);
    rig.link_lost(provider.link, DownReason::TimedOut);
    let elsewhere = record(&rig, PEER, Kind::CapabilityRecord, 2, &serves(&["toy"], &[OTHER]));
    rig.deliver(neighbour.control, &elsewhere);
    rig.pass(MISSED);
    assert!(!kinds(&neighbour.hears(&mut rig)).contains(&Kind::Suspicion));
}

#[test]
fn it_takes_three_of_its_witnesses_to_make_a_death_and_nobody_else_counts() {
    let (mut rig, provider, mut neighbour) = witness(&[OTHER, LATE, FOURTH, 14]);
    rig.link_lost(provider.link, DownReason::Closed);
    for by in [OTHER, LATE, 40, 41, 42] {
        let bytes = suspicion(&rig, by, 1);
        rig.deliver(neighbour.control, &bytes);
    }
    assert!(is_known(&mut rig, &mut neighbour));
    // Of an older version it counts for nothing.
    let older = suspicion(&rig, FOURTH, 0);
    rig.deliver(neighbour.control, &older);
    assert!(is_known(&mut rig, &mut neighbour));
    let third = suspicion(&rig, 14, 1);
    rig.deliver(neighbour.control, &third);
    assert!(!is_known(&mut rig, &mut neighbour));
}

#[test]
fn who_is_linked_to_us_is_alive_whoever_says_otherwise() {
    let (mut rig, _provider, mut neighbour) = witness(&[OTHER, LATE, FOURTH]);
    for by in [OTHER, LATE, FOURTH] {
        let bytes = suspicion(&rig, by, 1);
        rig.deliver(neighbour.control, &bytes);
    }
    assert!(is_known(&mut rig, &mut neighbour));
}

#[test]
fn who_hears_that_it_is_dead_says_that_it_lives_and_takes_its_slanderer_for_no_witness() {
    let mut rig = Rig::gateway();
    let slanderer = Peer::admitted(&mut rig, PEER);
    let said = cbor::encode(&gateway_at("8.0.0.1:4433"));
    let bytes = record(&rig, PEER, Kind::PeerRecord, 1, &said);
    rig.deliver(slanderer.control, &bytes);
    rig.pass(Span::from_secs(2));
    let own = |heard: Vec<(Kind, Vec<u8>)>| {
        let said = heard.into_iter().rfind(|(kind, _)| *kind == Kind::PeerRecord).expect("our record");
        cbor::decode::<PeerRecord>(&said.1).unwrap()
    };
    assert_eq!(own(slanderer.hears(&mut rig)).witnesses, [node(PEER)]);
    let version = Version { incarnation: u64::MAX, seq: u64::MAX };
    let lie = Suspicion { subject: node(NODE), version, topics: Topics::All };
    let bytes = record(&rig, PEER, Kind::Suspicion, 2, &cbor::encode(&lie));
    rig.deliver(slanderer.control, &bytes);
    assert_eq!(own(slanderer.hears(&mut rig)).witnesses, []);
}

#[test]
fn who_has_spoken_of_others_since_refutes_what_is_said_of_its_last_word_of_itself() {
    let (mut rig, provider, neighbour) = witness(&[NODE]);
    rig.link_lost(provider.link, DownReason::TimedOut);
    rig.pass(MISSED);
    assert_eq!(kinds(&news(&mut rig, &neighbour)), [Kind::Suspicion], "its second record");
    let version = Version { incarnation: rig.admin("/status")["incarnation"].as_u64().unwrap(), seq: 1 };
    let said = Suspicion { subject: node(NODE), version, topics: Topics::All };
    let bytes = record(&rig, LATE, Kind::Suspicion, 1, &cbor::encode(&said));
    rig.deliver(neighbour.control, &bytes);
    assert_eq!(kinds(&news(&mut rig, &neighbour)), [Kind::PeerRecord]);
    let again = record(&rig, FOURTH, Kind::Suspicion, 1, &cbor::encode(&said));
    rig.deliver(neighbour.control, &again);
    assert_eq!(news(&mut rig, &neighbour), [], "it was refuted");
}

#[test]
fn who_leaves_says_so_and_is_forgotten_at_once() {
    let (mut rig, provider, mut neighbour) = witness(&[NODE]);
    let leaves = cbor::encode(&Departure { topics: topics(&["toy"]) });
    let bytes = record(&rig, PEER, Kind::Departure, 2, &leaves);
    rig.deliver(provider.control, &bytes);
    assert_eq!(rig.hear(neighbour.control), bytes);
    assert!(!is_known(&mut rig, &mut neighbour));
    let stale = record(&rig, PEER, Kind::CapabilityRecord, 1, &serves(&["toy"], &[NODE]));
    rig.deliver(neighbour.control, &stale);
    assert_eq!(rig.hear(neighbour.control), bytes, "who brings it is told");
    // And when all that it said has lapsed, so is its leaving.
    rig.pass(RECORD_TTL);
    assert!(!is_known(&mut rig, &mut neighbour));
}

#[test]
fn a_peer_record_is_signed_anew_in_time_however_often_the_offers_change() {
    let mut rig = Rig::provider();
    let portman = Portman::attach(&mut rig, vec![model("toy", 1)]);
    let neighbour = Peer::admitted(&mut rig, PEER);
    let mut peer_records = 0;
    for minutes in 1..=60 {
        if minutes % 10 == 0 {
            portman.say(
                &mut rig,
                &FromPortman::Hello { models: vec![model("toy", minutes)], shelf: Vec::new() },
            );
        }
        rig.pass(Span::from_secs(60));
        peer_records +=
            kinds(&neighbour.hears(&mut rig)).iter().filter(|kind| **kind == Kind::PeerRecord).count();
    }
    // One when it was linked, another when that made a witness; then one a quarter of an hour.
    assert!(peer_records >= 4, "{peer_records} in an hour");
}

/// A peer record of that node in one of its lives, signed with that key.
fn of_a_life(rig: &Rig, key: u8, number: u8, incarnation: u64, seq: u64) -> Vec<u8> {
    let said = cbor::encode(&gateway_at("8.0.0.1:4433"));
    let (dest, issued, ttl_s) = (None, rig.now.wall, 1_800);
    let header = Header { dest, issued, ttl_s, incarnation, ..header(number, Kind::PeerRecord, seq) };
    sign(key, header, &said)
}

#[test]
fn a_node_that_hears_of_a_later_life_of_its_own_goes_on_after_it() {
    let mut rig = Rig::gateway();
    let mut neighbour = Peer::admitted(&mut rig, PEER);
    let incarnation = |rig: &mut Rig| rig.admin("/status")["incarnation"].as_u64().unwrap();
    let now = incarnation(&mut rig);
    let later = |rig: &Rig, by: u8, incarnation: u64| of_a_life(rig, by, NODE, incarnation, 1);
    let forged = later(&rig, OTHER, now + 500);
    rig.deliver(neighbour.control, &forged);
    assert_eq!(incarnation(&mut rig), now);
    let last = later(&rig, NODE, u64::MAX);
    rig.deliver(neighbour.control, &last);
    assert_eq!(incarnation(&mut rig), now, "there is none above it");
    neighbour.hears(&mut rig);

    let known = later(&rig, NODE, now + 500);
    rig.deliver(neighbour.control, &known);
    assert_eq!(incarnation(&mut rig), now + 501);
    assert_eq!(rig.disk.rows("life")[0].1["incarnation"], now + 501);
    rig.pass(Span::from_secs(2));
    assert_eq!(kinds(&news(&mut rig, &neighbour)), [Kind::PeerRecord], "which says so to its neighbours");
    neighbour.greet(&mut rig);
    assert!(rig.is_up(neighbour.link));
}

#[test]
fn who_is_set_back_is_told_of_its_later_life() {
    let mut rig = Rig::gateway();
    let mut peer = Peer::admitted(&mut rig, PEER);
    let lives = |incarnation: u64, seq: u64| of_a_life(&rig, PEER, PEER, incarnation, seq);
    let (later, same, earlier) = (lives(9, 5), lives(9, 4), lives(7, 6));
    rig.deliver(peer.control, &later);
    peer.hears(&mut rig);
    rig.deliver(peer.control, &same);
    assert!(rig.hear(peer.control).is_empty(), "it may just have been late");
    rig.deliver(peer.control, &earlier);
    assert_eq!(rig.hear(peer.control), later);
    peer.greet(&mut rig);
}

#[test]
fn who_says_two_things_under_one_number_is_found_out_and_the_first_counts() {
    let mut rig = Rig::gateway();
    let mut from = Peer::admitted(&mut rig, PEER);
    let one = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &serves(&["toy"], &[]));
    let other = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &serves(&["toy", "qwen"], &[]));
    rig.deliver(from.control, &[one, other].concat());
    assert_eq!(rig.admin("/status")["equivocations"], 1);
    let told = from.pull(&mut rig);
    assert!(told.contains(&serves(&["toy"], &[])));
    assert!(!told.contains(&serves(&["toy", "qwen"], &[])));
}
