//! Records: who may say what of whom, for how long, and how far it goes.

use std::collections::BTreeSet;

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::{
    ANNOUNCE_EVERY, CLOCK_LOOK, COMPARED, CONTROL_BACKLOG, DIGEST_EVERY, DISTANCE_EVERY, RECORD_TTL, RECORDS,
    WANT_AFTER, WANT_WITHIN,
};
use labman_proto_core::time::{Span, Wall};
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::{Header, Kind, SignedFrame};
use labman_proto_core::wire::mesh::{
    Announce, CapabilityRecord, Digest, Distance, Distances, Hosted, Key, Mark, Prune, Version, Want,
};
use labman_proto_core::wire::portal::Offer;
use labman_proto_core::wire::topic::Topic;
use serde_json::Value;

use super::peer::{Peer, capability, header, offer, record, sign};
use super::portman::{Portman, model};
use super::rig::{NODE, OTHER, PEER, Rig, STRANGER, both_config, net, node, seal};

/// What a provider of the family `toy` may say: news to whoever hears of it.
pub(crate) fn news(text: &str) -> Vec<u8> {
    let hosted = vec![Hosted { offer: Blob(text.into()), slots: 1, queue: 0 }];
    let topics = [Topic::of_family("toy")].into_iter().collect();
    cbor::encode(&CapabilityRecord { hosted, witnesses: Vec::new(), topics })
}

fn models(rig: &mut Rig) -> Vec<String> {
    let stream = rig.request(Surface::Public, RequestHead::new("GET", "/v1/models"));
    rig.finish(stream);
    let list: Value = serde_json::from_str(&rig.text(stream)).unwrap();
    list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().into()).collect()
}

#[test]
fn a_record_is_passed_on_byte_for_byte_once_and_not_back() {
    let mut rig = Rig::gateway();
    let (from, to) = (Peer::admitted(&mut rig, PEER), Peer::admitted(&mut rig, OTHER));
    from.hears(&mut rig);
    to.hears(&mut rig);
    let told = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &news("a:1"));
    rig.deliver(from.control, &told);
    assert_eq!(rig.hear(to.control), told);
    assert_eq!(from.hears(&mut rig), []);
    // Who comes later can have it too.
    let mut late = Peer::admitted(&mut rig, 12);
    assert!(late.pull(&mut rig).contains(&news("a:1")));
}

fn announced(heard: &[(Kind, Vec<u8>)]) -> Vec<Mark> {
    let announces = heard.iter().filter(|(kind, _)| *kind == Kind::Announce);
    announces.flat_map(|(_, payload)| cbor::decode::<Announce>(payload).unwrap().marks).collect()
}

fn wanted(heard: &[(Kind, Vec<u8>)]) -> Vec<Key> {
    let wants = heard.iter().filter(|(kind, _)| *kind == Kind::Want);
    wants.flat_map(|(_, payload)| cbor::decode::<Want>(payload).unwrap().keys).collect()
}

fn mark(number: u8, seq: u64) -> Mark {
    Mark { key: Key::capability(node(number)), version: Version { incarnation: 1, seq } }
}

fn announce(rig: &mut Rig, peer: &mut Peer, marks: &[Mark]) {
    let message = cbor::encode(&Announce { marks: marks.to_vec() });
    peer.say(rig, peer.control, Kind::Announce, &message);
}

#[test]
fn who_sends_what_we_have_is_pruned_and_told_of_what_follows_until_it_wants_that() {
    let mut rig = Rig::gateway();
    let (from, mut twice) = (Peer::admitted(&mut rig, PEER), Peer::admitted(&mut rig, OTHER));
    let [first, second, third] =
        [1, 2, 3].map(|seq| record(&rig, STRANGER, Kind::CapabilityRecord, seq, &news("a:1")));
    // What one lacked when they met says nothing of branches.
    rig.pass(COMPARED);
    rig.deliver(from.control, &first);
    twice.hears(&mut rig);
    rig.deliver(twice.control, &[first.clone(), first].concat());
    assert_eq!(
        twice.hears(&mut rig),
        [(Kind::Prune, cbor::encode(&Prune { topic: Topic::of_family("toy") }))],
        "told once"
    );
    rig.deliver(from.control, &second);
    assert_eq!(twice.hears(&mut rig), []);
    rig.pass(ANNOUNCE_EVERY);
    let told = announced(&twice.hears(&mut rig));
    assert_eq!(told, [mark(STRANGER, 2)]);
    let want = cbor::encode(&Want { keys: vec![told[0].key] });
    twice.say(&mut rig, twice.control, Kind::Want, &want);
    assert_eq!(rig.hear(twice.control), second);
    // And from now on it is sent all that is new.
    rig.deliver(from.control, &third);
    assert_eq!(rig.hear(twice.control), third);
}

#[test]
fn what_is_announced_and_does_not_come_is_asked_for_of_one_after_the_other() {
    let mut rig = Rig::gateway();
    let (mut silent, mut honest) = (Peer::admitted(&mut rig, PEER), Peer::admitted(&mut rig, OTHER));
    silent.hears(&mut rig);
    honest.hears(&mut rig);
    // Long after both compared what they hold: it may come by itself.
    rig.pass(COMPARED);
    // A version that nobody has keeps none that somebody has from being asked for.
    announce(&mut rig, &mut silent, &[mark(STRANGER, u64::MAX)]);
    announce(&mut rig, &mut honest, &[mark(STRANGER, 2)]);
    rig.pass(WANT_AFTER);
    assert_eq!(wanted(&silent.hears(&mut rig)), [mark(STRANGER, 0).key]);
    assert_eq!(wanted(&honest.hears(&mut rig)), []);
    rig.pass(WANT_WITHIN);
    assert_eq!(wanted(&honest.hears(&mut rig)), [mark(STRANGER, 0).key]);
    let came = record(&rig, STRANGER, Kind::CapabilityRecord, 2, &news("a:1"));
    rig.deliver(honest.control, &came);
    rig.pass(WANT_WITHIN);
    assert_eq!(wanted(&silent.hears(&mut rig)), []);
    assert_eq!(wanted(&honest.hears(&mut rig)), []);
}

#[test]
fn what_is_announced_and_comes_by_itself_is_not_asked_for() {
    let mut rig = Rig::gateway();
    let (mut teller, sender) = (Peer::admitted(&mut rig, PEER), Peer::admitted(&mut rig, OTHER));
    teller.hears(&mut rig);
    announce(&mut rig, &mut teller, &[mark(STRANGER, 1), mark(NODE, u64::MAX)]);
    let told = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &news("a:1"));
    rig.deliver(sender.control, &told);
    teller.hears(&mut rig);
    rig.pass(WANT_AFTER);
    assert_eq!(wanted(&teller.hears(&mut rig)), []);
}

/// What the node says of its place in the tree of all topics.
fn place(heard: &[(Kind, Vec<u8>)]) -> Option<Distance> {
    let (_, payload) = heard.iter().rfind(|(kind, _)| *kind == Kind::Distances)?;
    cbor::decode::<Distances>(payload).unwrap().trees.first().copied()
}

fn is_at(rig: &mut Rig, peer: &mut Peer, links: u8, above: bool) {
    let place = Distance { topic: Topic::NONE, root: NodeId([0; 32]), links, above };
    peer.say(rig, peer.control, Kind::Distances, &cbor::encode(&Distances { trees: vec![place] }));
}

/// Do these hear the news itself, and not only of it?
fn hear_news(rig: &mut Rig, from: &Peer, seq: u64, peers: [&Peer; 3]) -> [bool; 3] {
    let told = record(rig, STRANGER, Kind::CapabilityRecord, seq, &news("a:1"));
    rig.deliver(from.control, &told);
    peers.map(|peer| peer.hears(rig).iter().any(|(kind, _)| *kind == Kind::CapabilityRecord))
}

#[test]
fn branches_are_to_whom_the_root_is_nearest_by_and_who_is_nearest_to_it_by_us() {
    let mut rig = Rig::gateway();
    let [mut above, mut aside, mut below, from] =
        [PEER, OTHER, 12, 13].map(|number| Peer::admitted(&mut rig, number));
    rig.pass(COMPARED);
    assert_eq!(hear_news(&mut rig, &from, 1, [&above, &aside, &below]), [true; 3], "as long as none says");
    is_at(&mut rig, &mut above, 1, false);
    is_at(&mut rig, &mut aside, 2, false);
    is_at(&mut rig, &mut below, 3, true);
    rig.pass(DISTANCE_EVERY);
    let said = [&above, &aside, &below].map(|peer| place(&peer.hears(&mut rig)).expect("it has a place"));
    assert_eq!(said.map(|said| (said.links, said.above)), [(2, true), (2, false), (2, false)]);
    assert_eq!(hear_news(&mut rig, &from, 2, [&above, &aside, &below]), [true, false, true]);
    // What is announced aside may be lacking there: who wants it is a branch.
    let want = cbor::encode(&Want { keys: vec![mark(STRANGER, 2).key] });
    aside.say(&mut rig, aside.control, Kind::Want, &want);
    assert!(aside.hears(&mut rig).iter().any(|(kind, _)| *kind == Kind::CapabilityRecord));
    assert_eq!(hear_news(&mut rig, &from, 3, [&above, &aside, &below]), [true; 3]);
    // Who was above is gone.
    rig.link_down(above.link);
    rig.pass(DISTANCE_EVERY);
    assert_eq!(place(&aside.hears(&mut rig)).map(|said| (said.links, said.above)), Some((3, true)));
}

#[test]
fn who_says_that_the_root_is_as_far_as_can_be_said_offers_no_way_to_it() {
    let mut rig = Rig::gateway();
    let mut far = Peer::admitted(&mut rig, PEER);
    rig.pass(COMPARED);
    is_at(&mut rig, &mut far, u8::MAX, false);
    rig.pass(DISTANCE_EVERY);
    assert_eq!(place(&far.hears(&mut rig)).map(|said| (said.links, said.above)), Some((0, false)));
}

#[test]
fn of_two_that_send_the_same_the_one_that_is_no_way_to_the_root_is_pruned() {
    let mut rig = Rig::gateway();
    let [mut above, mut aside] = [PEER, OTHER].map(|number| Peer::admitted(&mut rig, number));
    rig.pass(COMPARED);
    is_at(&mut rig, &mut above, 1, false);
    is_at(&mut rig, &mut aside, 2, false);
    let told = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &news("a:1"));
    rig.deliver(above.control, &told);
    // It lacked something, and is a branch.
    let want = cbor::encode(&Want { keys: vec![mark(STRANGER, 1).key] });
    aside.say(&mut rig, aside.control, Kind::Want, &want);
    for peer in [&above, &aside] {
        peer.hears(&mut rig);
    }
    let told = record(&rig, STRANGER, Kind::CapabilityRecord, 2, &news("a:1"));
    rig.deliver(aside.control, &told);
    rig.deliver(above.control, &told);
    let pruned =
        [&above, &aside].map(|peer| peer.hears(&mut rig).iter().any(|(kind, _)| *kind == Kind::Prune));
    assert_eq!(pruned, [false, true]);
}

#[test]
fn of_two_digests_only_what_differs_is_announced() {
    let mut rig = Rig::gateway();
    let mut peer = Peer::admitted(&mut rig, PEER);
    let digest = |heard: &[(Kind, Vec<u8>)]| {
        let (_, payload) = heard.iter().rfind(|(kind, _)| *kind == Kind::Digest).expect("a digest");
        cbor::decode::<Digest>(payload).unwrap()
    };
    let before = digest(&peer.hears(&mut rig));
    let told = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &news("a:1"));
    rig.deliver(peer.control, &told);
    peer.say(&mut rig, peer.control, Kind::Digest, &cbor::encode(&before));
    rig.pass(ANNOUNCE_EVERY);
    assert_eq!(announced(&peer.hears(&mut rig)), [mark(STRANGER, 1)]);
    // Now and then it compares by itself; with what it says itself it has nothing to announce.
    rig.pass(DIGEST_EVERY);
    let now = digest(&peer.hears(&mut rig));
    peer.say(&mut rig, peer.control, Kind::Digest, &cbor::encode(&now));
    rig.pass(ANNOUNCE_EVERY);
    assert_eq!(announced(&peer.hears(&mut rig)), []);
}

#[test]
fn who_compares_all_the_time_is_heard_now_and_then() {
    let mut rig = Rig::gateway();
    let mut peer = Peer::admitted(&mut rig, PEER);
    let held = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &news("a:1"));
    rig.deliver(peer.control, &held);
    let nothing = cbor::encode(&Digest { buckets: Blob(vec![0; 256 * 8]) });
    let mut told = 0;
    for _ in 0..100 {
        peer.say(&mut rig, peer.control, Kind::Digest, &nothing);
        rig.pass(ANNOUNCE_EVERY);
        told += announced(&peer.hears(&mut rig)).len();
    }
    // At 0 s and at 10 s.
    assert_eq!(told, 2);
}

#[test]
fn an_older_record_is_ignored_and_a_newer_one_wins() {
    let mut rig = Rig::gateway();
    let mut peer = Peer::admitted(&mut rig, PEER);
    let [new, old] = ["acme:box:new", "acme:box:old"].map(|slug| {
        let offer = seal(PEER, offer(&rig, slug));
        capability(vec![offer])
    });
    let seq = peer.next_seq();
    let newer = record(&rig, PEER, Kind::CapabilityRecord, seq + 1, &new);
    let older = record(&rig, PEER, Kind::CapabilityRecord, seq, &old);
    rig.deliver(peer.control, &[newer, older].concat());
    assert_eq!(models(&mut rig), ["acme:box:new", "new"]);
    let nothing = record(&rig, PEER, Kind::CapabilityRecord, seq + 2, &capability(Vec::new()));
    rig.deliver(peer.control, &nothing);
    assert!(models(&mut rig).is_empty());
}

#[test]
fn a_record_that_is_not_what_it_should_be_is_neither_believed_nor_passed_on() {
    let mut rig = Rig::gateway();
    let to = Peer::admitted(&mut rig, OTHER);
    to.hears(&mut rig);
    let good = Header {
        dest: None,
        issued: rig.now.wall,
        ttl_s: 1_800,
        ..header(STRANGER, Kind::CapabilityRecord, 1)
    };
    let payload = news("a:1");
    let mut flipped = sign(STRANGER, good, &payload);
    *flipped.last_mut().unwrap() ^= 1;
    let mut other_net = net().id;
    other_net.0[3] ^= 1;
    let later = |ms: u64| Wall(rig.now.wall.0 + ms);
    let wrong = [
        ("a bad signature", flipped),
        ("another's signature", sign(PEER, good, &payload)),
        ("another network", sign(STRANGER, Header { net_id: other_net, ..good }, &payload)),
        ("expired", sign(STRANGER, Header { issued: Wall(rig.now.wall.0 - 1_800_000), ..good }, &payload)),
        ("from the future", sign(STRANGER, Header { issued: later(121_000), ..good }, &payload)),
        ("for ever", sign(STRANGER, Header { ttl_s: u32::MAX, ..good }, &payload)),
        ("no life", sign(STRANGER, Header { ttl_s: 0, ..good }, &payload)),
        ("to somebody", sign(STRANGER, Header { dest: Some(node(NODE)), ..good }, &payload)),
        ("malformed", sign(STRANGER, good, b"\xa1\x00\x01")),
        ("of the end of time", sign(STRANGER, Header { issued: Wall(u64::MAX), ..good }, &payload)),
    ];
    for (number, (what, bytes)) in (100..).zip(wrong) {
        // Of another neighbour each: one that passes on such things does not stay for long.
        let from = Peer::admitted(&mut rig, number);
        rig.deliver(from.control, &bytes);
        assert_eq!(to.hears(&mut rig), [], "{what}");
    }
    let from = Peer::admitted(&mut rig, PEER);
    // None of them was in the way of the good one.
    let good = sign(STRANGER, good, &payload);
    rig.deliver(from.control, &good);
    assert_eq!(rig.hear(to.control), good);
}

#[test]
fn what_came_while_our_clock_was_wrong_counts_once_it_is_right() {
    for [wrong, right] in [[-3_600_000, 3_600_000], [36_000_000, -36_000_000]] {
        let mut rig = Rig::gateway();
        let mut peer = Peer::admitted(&mut rig, PEER);
        let offer = seal(PEER, offer(&rig, "acme:box:toy"));
        let seq = peer.next_seq();
        let told = record(&rig, PEER, Kind::CapabilityRecord, seq, &capability(vec![offer]));
        rig.set_clock(wrong);
        rig.deliver(peer.control, &told);
        assert!(models(&mut rig).is_empty());
        rig.set_clock(right);
        rig.pass(CLOCK_LOOK);
        assert_eq!(models(&mut rig), ["acme:box:toy", "toy"]);
    }
}

#[test]
fn the_newest_of_what_is_put_aside_is_kept_as_long_as_the_first_would_have_been() {
    let mut rig = Rig::gateway();
    let mut peer = Peer::admitted(&mut rig, PEER);
    rig.set_clock(-86_400_000);
    for _ in 0..4 {
        rig.pass(Span(RECORD_TTL.0 / 3 * 2));
        let offer = seal(PEER, Offer { valid_until_ms: u64::MAX, ..offer(&rig, "acme:box:toy") });
        let seq = peer.next_seq();
        let issued = Wall(rig.now.wall.0 + 86_400_000);
        let header = Header { dest: None, issued, ttl_s: 1_800, ..header(PEER, Kind::CapabilityRecord, seq) };
        rig.deliver(peer.control, &sign(PEER, header, &capability(vec![offer])));
    }
    rig.set_clock(86_400_000);
    rig.pass(CLOCK_LOOK);
    assert_eq!(models(&mut rig), ["acme:box:toy", "toy"]);
}

#[test]
fn an_offer_that_its_provider_did_not_sign_is_left_out() {
    let mut rig = Rig::gateway();
    let mut peer = Peer::admitted(&mut rig, PEER);
    let (mine, stolen) = (offer(&rig, "acme:box:mine"), offer(&rig, "acme:box:stolen"));
    let mut broken = seal(PEER, offer(&rig, "acme:box:broken"));
    broken[60] ^= 1;
    peer.announce(&mut rig, vec![seal(OTHER, stolen), seal(PEER, mine), broken, vec![7; 300]]);
    assert_eq!(models(&mut rig), ["acme:box:mine", "mine"]);
}

#[test]
fn an_echo_of_our_own_record_changes_nothing_however_new_it_claims_to_be() {
    let mut rig = Rig::gateway();
    let (from, to) = (Peer::admitted(&mut rig, PEER), Peer::admitted(&mut rig, OTHER));
    let said = rig.hear(from.control);
    to.hears(&mut rig);
    let mut reader = labman_proto_core::wire::envelope::FrameReader::default();
    reader.push(&said);
    while let Some(labman_proto_core::wire::envelope::Frame::Signed(frame)) = reader.poll().unwrap() {
        if frame.header().dest.is_none() {
            rig.deliver(from.control, frame.bytes());
        }
    }
    // Even with our own key, as after the theft of a backup.
    let forged = Header {
        dest: None,
        issued: rig.now.wall,
        ttl_s: 60,
        incarnation: u64::MAX,
        ..header(NODE, Kind::CapabilityRecord, 9)
    };
    rig.deliver(from.control, &sign(NODE, forged, &news("evil:1")));
    assert_eq!(to.hears(&mut rig), []);
    assert!(rig.is_up(from.link));
}

#[test]
fn a_record_is_forgotten_when_its_life_is_over() {
    let mut rig = Rig::gateway();
    let _peer = Peer::serving(&mut rig, PEER, "acme:box:toy");
    assert_eq!(models(&mut rig).len(), 2);
    rig.pass(labman_proto_core::limits::RECORD_TTL);
    assert!(models(&mut rig).is_empty());
}

pub(crate) fn stranger(number: u64) -> labman_proto_core::identity::Identity {
    let mut secret = [9; 32];
    secret[..8].copy_from_slice(&number.to_be_bytes());
    labman_proto_core::identity::Identity::from_secret(&secret)
}

/// What names the record of [`record_of`].
pub(crate) fn key_of(number: u64) -> Key {
    Key::capability(stranger(number).node_id())
}

pub(crate) fn record_of(rig: &Rig, number: u64, payload: &[u8]) -> Vec<u8> {
    let identity = stranger(number);
    let header = Header {
        sender: identity.node_id(),
        dest: None,
        issued: rig.now.wall,
        ttl_s: 1_800,
        ..header(STRANGER, Kind::CapabilityRecord, 1)
    };
    SignedFrame::sign(&identity, header, payload).bytes().to_vec()
}

#[test]
fn a_flood_of_records_is_bounded() {
    let mut rig = Rig::gateway();
    let flooder = Peer::admitted(&mut rig, PEER);
    let payload = news("a:1");
    for number in 0..RECORDS as u64 + 100 {
        let bytes = record_of(&rig, number, &payload);
        rig.deliver(flooder.control, &bytes);
    }
    let mut to = Peer::admitted(&mut rig, OTHER);
    to.hears(&mut rig);
    // Our own is one of them, and not compared.
    assert_eq!(to.pull(&mut rig).len(), RECORDS - 1);
}

#[test]
fn a_flood_that_an_honest_neighbour_passes_on_keeps_nobody_else_from_being_known() {
    let mut rig = Rig::gateway();
    let [mut flooded, mut other] = [PEER, OTHER].map(|number| Peer::called(&mut rig, number));
    flooded.greet(&mut rig);
    other.greet(&mut rig);
    let payload = news("a:1");
    for number in 0..RECORDS as u64 + 100 {
        let bytes = record_of(&rig, number, &payload);
        rig.deliver(flooded.control, &bytes);
    }
    // One says so itself, of one another neighbour tells.
    let told = capability(vec![seal(STRANGER, offer(&rig, "acme:far:tide"))]);
    let told = record(&rig, STRANGER, Kind::CapabilityRecord, 1, &told);
    rig.deliver(other.control, &told);
    let _near = Peer::serving(&mut rig, 12, "acme:near:tide");
    let status = rig.admin("/status");
    let known: BTreeSet<&str> =
        status["models"].as_array().unwrap().iter().map(|model| model["slug"].as_str().unwrap()).collect();
    assert_eq!(known, ["acme:far:tide", "acme:near:tide"].into());
}

#[test]
fn a_new_neighbour_is_told_all_records_however_many_there_are() {
    let mut rig = Rig::gateway();
    let flooder = Peer::admitted(&mut rig, PEER);
    let payload = news(&"x".repeat(15 * 1024));
    let most = CONTROL_BACKLOG / payload.len() + 100;
    for number in 0..most as u64 {
        let bytes = record_of(&rig, number, &payload);
        rig.deliver(flooder.control, &bytes);
    }
    let mut to = Peer::admitted(&mut rig, OTHER);
    to.hears(&mut rig);
    // It reads, but not at once.
    rig.wires.get_mut(&to.control).unwrap().reads = false;
    let told = to.pull(&mut rig);
    assert!(rig.is_up(to.link), "{:?}", rig.closed);
    assert_eq!(told.len(), most);
}

#[test]
fn our_record_fits_a_frame_whatever_a_portman_runs() {
    let mut config = both_config();
    config.provider.as_mut().unwrap().portmans[0].payout.address = "a".repeat(128);
    let mut rig = Rig::new(config);
    let peer = Peer::admitted(&mut rig, PEER);
    let long = |number: usize| model(&format!("{number:04}{}", "m".repeat(252)), 1);
    let _portman = Portman::attach(&mut rig, (0..100).map(long).collect());
    let heard = peer.hears(&mut rig);
    let (_, said) = heard.iter().rfind(|(kind, _)| *kind == Kind::CapabilityRecord).expect("a record");
    let said: CapabilityRecord = cbor::decode(said).unwrap();
    assert!(said.hosted.len() > 10);
}

#[test]
fn a_portman_with_ever_new_models_does_not_fill_the_memory() {
    let mut rig = Rig::provider();
    let portman = Portman::attach(&mut rig, Vec::new());
    for round in 0..3 {
        let models = (0..4_000).map(|number| model(&format!("{round}-{number}"), 1)).collect();
        portman.say(
            &mut rig,
            &labman_proto_core::wire::portman::FromPortman::Hello { models, shelf: Vec::new() },
        );
    }
    let status = rig.admin("/status").to_string();
    assert!(status.len() < 100_000, "{} bytes of status", status.len());
}
