//! Peers that behave badly lose their links and their places, those that speak much are heard later, and the others notice
//! nothing.

use labman_proto_core::limits::{
    BAN_FIRST, DIGEST_AT_MOST, HELLO_WITHIN, JOBS_HEARD_OF_ONE, LINK_CHECKS, RECORDS,
};
use labman_proto_core::machine::{Peer as Who, ResetCode};
use labman_proto_core::node::config::{Caps, Config};
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Header, Kind, light};
use labman_proto_core::wire::mesh::{PeerRecord, Want};
use labman_proto_core::wire::topic::Topics;

use super::peer::{Peer, header, record, sign};
use super::rig::{OTHER, PEER, Rig, STRANGER, gateway_config, node, provider_config};

const SECOND: Span = Span::from_secs(1);

fn with_caps(caps: Caps) -> Config {
    Config { caps, ..gateway_config() }
}

fn is_banned(rig: &mut Rig, number: u8) -> bool {
    let binding = rig.new_binding();
    let link = rig.link_up(Who::Mesh { node_id: node(number), dialled: false, binding, addr: None });
    let up = rig.is_up(link);
    rig.link_down(link);
    !up
}

/// A record of nobody, whose signature does not hold.
fn forged_record(rig: &Rig, seq: u64) -> Vec<u8> {
    let mut bytes = record(rig, STRANGER, Kind::CapabilityRecord, seq, &super::gossip::news("forged"));
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

#[test]
fn whoever_is_not_admitted_costs_one_signature_check_however_much_it_says() {
    let mut rig = Rig::gateway();
    let mut peer = Peer::connected(&mut rig, PEER);
    // Records before hello are looked at no closer, and the first frame whose signature is checked ends the link.
    for seq in 0..100 {
        let forged = forged_record(&rig, seq);
        rig.deliver(peer.control, &forged);
    }
    assert!(rig.log.iter().all(|line| !line.contains("bad signature")), "{:?}", rig.log);
    assert!(rig.is_up(peer.link));
    let mut hello = peer.frame(Kind::Hello, &cbor::encode(&peer.hello()));
    *hello.last_mut().unwrap() ^= 1;
    let good = peer.frame(Kind::Hello, &cbor::encode(&peer.hello()));
    rig.deliver(peer.control, &[hello, good].concat());
    assert!(!rig.is_up(peer.link));
    assert_eq!(rig.closed.len(), 1, "{:?}", rig.closed);
}

#[test]
fn who_passes_on_records_that_nobody_signed_loses_its_link_and_then_its_place() {
    let mut rig = Rig::gateway();
    let honest = Peer::admitted(&mut rig, OTHER);
    let mut links = 0;
    for seq in 0.. {
        if is_banned(&mut rig, PEER) {
            break;
        }
        let bad = Peer::admitted(&mut rig, PEER);
        links += 1;
        for part in 0..10 {
            let forged = forged_record(&rig, 100 * seq + part);
            rig.deliver(bad.control, &forged);
        }
        assert!(!rig.is_up(bad.link));
    }
    assert!(links <= 3, "{links} links before the ban");
    assert!(rig.is_up(honest.link));
    assert_eq!(rig.admin("/status")["banned"]["nodes"], 1);
    rig.pass(BAN_FIRST);
    assert!(!is_banned(&mut rig, PEER), "a ban ends");
    assert_eq!(rig.admin("/status")["banned"]["nodes"], 0);
}

#[test]
fn a_forged_frame_on_a_job_s_stream_counts_too() {
    let mut rig = Rig::provider();
    let mut bad = Peer::admitted(&mut rig, PEER);
    for _ in 0..2 {
        let stream = rig.open(bad.link);
        let mut frame = bad.frame(Kind::ProxyRequest, b"\xa0");
        *frame.last_mut().unwrap() ^= 1;
        rig.deliver(stream, &frame);
    }
    assert!(!rig.is_up(bad.link));
    assert!(is_banned(&mut rig, PEER));
}

#[test]
fn an_honest_peer_that_errs_now_and_then_stays() {
    let mut rig = Rig::gateway();
    for _ in 0..50 {
        let bad = Peer::admitted(&mut rig, PEER);
        rig.deliver(bad.control, &light(Kind::Chunk, b"\xa0"));
        assert!(!rig.is_up(bad.link));
        rig.pass(Span::from_secs(60));
    }
    assert!(!is_banned(&mut rig, PEER));
}

#[test]
fn keys_of_one_network_that_all_behave_badly_cost_the_network_its_place() {
    let mut rig = Rig::gateway();
    let early = Peer::from(&mut rig, OTHER, [203, 0, 113, 9]);
    for key in 100..140 {
        let mut bad = Peer::from(&mut rig, key, [203, 0, 113, key]);
        let mut hello = bad.frame(Kind::Hello, &cbor::encode(&bad.hello()));
        *hello.last_mut().unwrap() ^= 1;
        rig.deliver(bad.control, &hello);
    }
    let newcomer = Peer::from(&mut rig, STRANGER, [203, 0, 113, 77]);
    assert!(!rig.is_up(newcomer.link), "of the same network");
    let elsewhere = Peer::from(&mut rig, STRANGER, [203, 0, 114, 77]);
    assert!(rig.is_up(elsewhere.link));
    assert!(rig.is_up(early.link), "who is there stays");
    assert_eq!(rig.admin("/status")["banned"]["networks"], 1);
}

#[test]
fn a_flood_of_records_is_heard_at_its_pace_and_nothing_of_it_is_lost() {
    let mut rig = Rig::gateway();
    let flooder = Peer::admitted(&mut rig, PEER);
    // Of known origins: each is looked at, none fills the table.
    let most = RECORDS + 12_000;
    let bytes: Vec<u8> = (0..most as u64)
        .flat_map(|seq| {
            let header = Header {
                dest: None,
                issued: rig.now.wall,
                ttl_s: 1_800,
                ..header(STRANGER, Kind::PeerRecord, seq)
            };
            // Without a life: it costs no signature here, but that is not known before it is looked at.
            sign(STRANGER, Header { ttl_s: 0, ..header }, b"\xa0")
        })
        .collect();
    rig.deliver(flooder.control, &bytes);
    assert!(rig.is_up(flooder.link));
    let waiting = rig.waiting(flooder.control);
    assert!(waiting > 0, "all of it was read at once");
    // What is not read is not granted: it stays with its sender, but for a window.
    rig.pass(SECOND);
    let after = rig.waiting(flooder.control);
    let each = bytes.len() / most;
    let read = (waiting - after) / each;
    assert!((1_500..=2_700).contains(&read), "{read} in a second, of {LINK_CHECKS:?}");
    // A neighbour meanwhile is heard at once.
    let mut honest = Peer::admitted(&mut rig, OTHER);
    honest.hears(&mut rig);
    rig.pass(Span::from_secs(20));
    assert_eq!(rig.waiting(flooder.control), 0, "the rest was lost");
    assert!(rig.is_up(flooder.link));
    assert!(rig.is_up(honest.link));
    honest.say(&mut rig, honest.control, Kind::Prune, b"\xa0");
    assert!(rig.is_up(honest.link));
}

#[test]
fn strangers_share_one_budget_and_each_gets_its_turn() {
    let mut rig = Rig::gateway();
    let flooders: Vec<Peer> = (100..108).map(|number| Peer::admitted(&mut rig, number)).collect();
    let one = |rig: &Rig, seq: u64| {
        let header = Header { dest: None, issued: rig.now.wall, ..header(STRANGER, Kind::PeerRecord, seq) };
        sign(STRANGER, header, b"\xa0")
    };
    let flood: Vec<u8> = (0..6_000).flat_map(|seq| one(&rig, seq)).collect();
    for flooder in &flooders {
        rig.deliver(flooder.control, &flood);
    }
    let waiting = |rig: &Rig| flooders.iter().map(|one| rig.waiting(one.control)).collect::<Vec<_>>();
    let before = waiting(&rig);
    rig.pass(Span::from_secs(5));
    let after = waiting(&rig);
    let each = flood.len() / 6_000;
    let read: Vec<usize> = before.iter().zip(&after).map(|(before, after)| (before - after) / each).collect();
    let all: usize = read.iter().sum();
    // What is granted together is a window: so exact is what can be seen here.
    assert!((17_000..=21_000).contains(&all), "{read:?}");
    let late = read.iter().zip(&after).filter(|(_, left)| **left > 0).map(|(read, _)| *read);
    let (least, most) = (late.clone().min().unwrap(), late.max().unwrap());
    assert!(most <= least + 800, "{read:?} of {before:?}");
}

#[test]
fn a_full_node_gives_up_who_says_nothing_and_then_who_crowds() {
    let caps = Caps { links: 6, ..Caps::default() };
    let mut rig = Rig::new(with_caps(caps));
    let ours = Peer::called(&mut rig, OTHER);
    let silent = Peer::from(&mut rig, 100, [8, 1, 1, 1]);
    let mut crowd = Vec::new();
    for number in 0..4 {
        let mut one = Peer::from(&mut rig, 110 + number, [9, 9, 9, number]);
        one.greet(&mut rig);
        crowd.push(one);
    }
    rig.pass(SECOND);
    let mut first = Peer::from(&mut rig, 120, [7, 1, 1, 1]);
    assert!(!rig.is_up(silent.link), "it was silent");
    first.greet(&mut rig);
    assert!(rig.is_up(first.link) && crowd.iter().all(|one| rig.is_up(one.link)));
    let second = Peer::from(&mut rig, 121, [6, 1, 1, 1]);
    assert!(rig.is_up(second.link));
    assert_eq!(crowd.iter().filter(|one| rig.is_up(one.link)).count(), 3);
    let more = Peer::from(&mut rig, 122, [9, 9, 9, 77]);
    assert!(!rig.is_up(more.link), "the crowd grows");
    assert!(rig.is_up(ours.link), "we called it");
    // However often the crowd comes, it is let in for its own places only.
    for number in 0..50 {
        Peer::from(&mut rig, 130 + number, [9, 9, 9, number]);
        rig.pass(HELLO_WITHIN);
    }
    assert!(rig.is_up(ours.link) || !rig.closed.iter().any(|(link, _)| *link == first.link));
    assert!(rig.is_up(first.link));
}

#[test]
fn addresses_and_networks_have_their_share_and_loopback_has_no_bound() {
    let caps = Caps { links_per_address: 2, links_per_network: 3, ..Caps::default() };
    let mut rig = Rig::new(with_caps(caps));
    let mut up = |number: u8, ip: [u8; 4]| {
        let peer = Peer::from(&mut rig, number, ip);
        rig.is_up(peer.link)
    };
    assert!(up(100, [8, 8, 8, 1]) && up(101, [8, 8, 8, 1]));
    assert!(!up(102, [8, 8, 8, 1]), "a third of one address");
    assert!(up(103, [8, 8, 8, 2]));
    assert!(!up(104, [8, 8, 8, 3]), "a fourth of one network");
    assert!(up(105, [8, 8, 9, 3]));
    assert!((110..130).all(|number| up(number, [127, 0, 0, 1])));
}

#[test]
fn what_peers_do_not_read_is_bounded_for_all_of_them_together() {
    // 16 links at least, and 512 KiB for all their control streams.
    let caps = Caps { links: 16, memory: 4 << 20, ..Caps::default() };
    let mut rig = Rig::new(with_caps(caps));
    let flooder = Peer::admitted(&mut rig, PEER);
    let idle: Vec<Peer> = (100..112).map(|number| Peer::admitted(&mut rig, number)).collect();
    for peer in &idle {
        rig.wires.get_mut(&peer.control).unwrap().reads = false;
    }
    let record = PeerRecord {
        gateway: true,
        provider: false,
        addresses: vec!["x".repeat(12 * 1024)],
        public_endpoint: None,
        feps: Vec::new(),
        witnesses: Vec::new(),
        interest: Topics::All,
    };
    let payload = cbor::encode(&record);
    for number in 0..200u64 {
        let bytes = super::gossip::record_of(&rig, number, &payload);
        rig.deliver(flooder.control, &bytes);
    }
    let waiting: usize =
        idle.iter().filter(|peer| rig.is_up(peer.link)).map(|peer| rig.wires[&peer.control].untaken).sum();
    assert!(waiting <= 600 * 1024, "{waiting} bytes wait");
    assert!(rig.is_up(flooder.link), "{:?}", rig.closed);
    let known = rig.admin("/status")["peers"].as_array().unwrap().len();
    assert!(known <= 42, "{known} records of 12 KiB are held in 512 KiB");
}

#[test]
fn where_memory_is_short_who_does_not_read_goes_before_who_has_just_come() {
    let caps = Caps { links: 16, memory: 24 << 20, ..Caps::default() };
    let mut rig = Rig::new(with_caps(caps));
    let mut flooder = Peer::admitted(&mut rig, PEER);
    let payload = super::gossip::news(&"x".repeat(200));
    let mut number = 0;
    let mut tell = |rig: &mut Rig, flooder: &mut Peer| {
        number += 1;
        let bytes = super::gossip::record_of(rig, number, &payload);
        rig.deliver(flooder.control, &bytes);
    };
    (0..1_000).for_each(|_| tell(&mut rig, &mut flooder));
    let idle: Vec<Peer> = (100..112).map(|number| Peer::admitted(&mut rig, number)).collect();
    for peer in &idle {
        rig.wires.get_mut(&peer.control).unwrap().reads = false;
    }
    (0..80).for_each(|_| tell(&mut rig, &mut flooder));
    rig.pass(SECOND);
    assert!(idle.iter().all(|peer| rig.is_up(peer.link)), "memory is short already");
    // It is owed more than all others, and reads.
    let mut late = Peer::connected(&mut rig, OTHER);
    rig.wires.get_mut(&late.control).unwrap().reads = false;
    late.say(&mut rig, late.control, Kind::Hello, &cbor::encode(&late.hello()));
    let want: Vec<_> = (1..251).map(super::gossip::key_of).collect();
    late.say(&mut rig, late.control, Kind::Want, &cbor::encode(&Want { keys: want }));
    for _ in 0..1_000 {
        tell(&mut rig, &mut flooder);
        rig.take(late.control, 1_024);
    }
    assert!(idle.iter().any(|peer| !rig.is_up(peer.link)), "memory was not short");
    assert!(rig.is_up(late.link), "{:?}", rig.closed);
}

#[test]
fn whoever_comes_is_heard_of_itself_though_a_flood_has_filled_the_table() {
    let caps = Caps { links: 16, memory: 4 << 20, ..Caps::default() };
    let mut rig = Rig::new(with_caps(caps));
    let flooder = Peer::admitted(&mut rig, PEER);
    let record = super::gossip::news;
    let early = Peer::serving(&mut rig, 100, "acme:box:early");
    for number in 0..5_000 {
        let bytes = super::gossip::record_of(&rig, number, &record(&"x".repeat(200)));
        rig.deliver(flooder.control, &bytes);
    }
    let models = |rig: &mut Rig| {
        let status = rig.admin("/status");
        let models = status["models"].as_array().unwrap().iter();
        models.map(|model| model["slug"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    let mut asker = Peer::admitted(&mut rig, 102);
    asker.hears(&mut rig);
    assert!(asker.pull(&mut rig).len() < 2_000, "all of it is held");
    let late = Peer::serving(&mut rig, 101, "acme:box:late");
    assert_eq!(models(&mut rig), ["acme:box:early", "acme:box:late"]);
    // Another stranger's news has room, too, as long as it has brought less.
    let other = Peer::admitted(&mut rig, OTHER);
    let told = super::gossip::record_of(&rig, 9_999, &record("told"));
    rig.deliver(other.control, &told);
    let mut knows_what_was_told = |rig: &mut Rig| {
        rig.pass(DIGEST_AT_MOST);
        asker.hears(rig);
        asker.pull(rig).contains(&record("told"))
    };
    assert!(knows_what_was_told(&mut rig));
    // And the flood goes on, and does not drive them out.
    for number in 10_000..12_000 {
        let bytes = super::gossip::record_of(&rig, number, &record(&"x".repeat(200)));
        rig.deliver(flooder.control, &bytes);
    }
    assert_eq!(models(&mut rig), ["acme:box:early", "acme:box:late"]);
    assert!(knows_what_was_told(&mut rig));
    assert!(rig.is_up(early.link) && rig.is_up(late.link));
}

#[test]
fn a_gateway_can_not_take_every_place_for_requests_that_are_not_paid_for() {
    let mut rig = Rig::provider();
    let greedy = Peer::admitted(&mut rig, PEER);
    let streams: Vec<_> = (0..JOBS_HEARD_OF_ONE + 5).map(|_| rig.open(greedy.link)).collect();
    let refused = streams.iter().filter(|stream| rig.reset_of(**stream) == Some(ResetCode::Refused)).count();
    assert_eq!(refused, 5);
    let other = Peer::admitted(&mut rig, OTHER);
    let stream = rig.open(other.link);
    assert_eq!(rig.reset_of(stream), None);
    // Of all gateways together no more than fit the memory: whoever has most makes room.
    let caps = Caps { links: 16, memory: 4 << 20, ..Caps::default() };
    let mut rig = Rig::new(Config { caps, ..provider_config() });
    let greedy = Peer::admitted(&mut rig, PEER);
    let streams: Vec<_> = (0..12).map(|_| rig.open(greedy.link)).collect();
    assert!(streams.iter().all(|stream| rig.reset_of(*stream).is_none()));
    let other = Peer::admitted(&mut rig, OTHER);
    let stream = rig.open(other.link);
    assert_eq!(rig.reset_of(stream), None);
    assert_eq!(rig.reset_of(streams[0]), Some(ResetCode::Refused));
}

#[test]
fn half_a_frame_that_is_no_request_is_not_kept_for_long() {
    let mut rig = Rig::provider();
    let peer = Peer::admitted(&mut rig, PEER);
    let stream = rig.open(peer.link);
    let body = light(Kind::Body, &[0; 200 * 1024]);
    rig.deliver(stream, &body[..100 * 1024]);
    assert_eq!(rig.reset_of(stream), Some(ResetCode::Protocol));
    assert!(rig.is_up(peer.link));
}
