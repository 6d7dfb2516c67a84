//! Gossip records: what is news, and what is not.

use labman_proto_core::limits::GOSSIP_FRAME;
use labman_proto_core::time::Wall;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::{Header, Kind, OVERHEAD};
use labman_proto_core::wire::mesh::{CapabilityRecord, Departure, Hosted, PeerRecord, Suspicion, Version};
use labman_proto_core::wire::portal::Offer;
use labman_proto_core::wire::topic::Topics;
use serde_json::{Value, json};

use super::{Sample, Suite};
use crate::check::is_record;
use crate::craft::{broadcast, malleable, object_of, resigned, signature_of, signed, with};
use crate::format::{File, pack};
use crate::keys::{BRINGER, CROWD, GATEWAY, LISTENER, NETWORK, OTHER, PROVIDER, WALL, node};
use crate::samples::{MESSAGES, capability_record, departure, offer, peer_record, seal, suspicion, topics};

const WHAT: &str = "record";

fn heard_at(wall_ms: u64) -> Value {
    json!({ "network": NETWORK, "receiver": hex::encode(node(GATEWAY).0), "wall_ms": wall_ms })
}

/// Of the provider itself.
fn of_itself() -> Value {
    let mut context = heard_at(WALL);
    context["peer"] = hex::encode(node(PROVIDER).0).into();
    context
}

/// Behind these, one after the other.
fn holding(context: Value, held: &[&[u8]]) -> Value {
    let mut context = context;
    context["held"] = held.iter().map(|held| pack(held)).collect();
    context
}

/// At a gateway of these families.
fn serving(context: Value, families: &[&str]) -> Value {
    let mut context = context;
    context["families"] = json!(families);
    context
}

/// A record of the provider's, in its first life.
fn said(kind: Kind, seq: u64, payload: &[u8]) -> Vec<u8> {
    signed(PROVIDER, Header { incarnation: 1_000, seq, ..broadcast(kind) }, payload)
}

pub(crate) fn make() -> File {
    let mut suite =
        Suite::new("Gossip records, as the gateway hears them of a neighbour: protocol.md, section 7.");
    let now = || heard_at(WALL);
    for message in MESSAGES.iter().filter(|message| is_record(message.kind as u16)) {
        let context = if message.kind == Kind::PeerRecord { of_itself() } else { now() };
        let frame = |payload: &[u8]| signed(PROVIDER, broadcast(message.kind), payload);
        suite.message(WHAT, &context, &format!("{:?}", message.kind), &Sample::from(message), frame);
    }

    let payload = cbor::encode(&capability_record());
    let record = |header: Header| signed(PROVIDER, header, &payload);
    let header = || broadcast(Kind::CapabilityRecord);
    let good = record(header());
    let own = signed(GATEWAY, header(), &payload);
    suite.bad("record.own", WHAT, now(), "the receiver's own", own);
    let version = |incarnation, seq| record(Header { incarnation, seq, ..header() });
    let held = version(1_000, 5);
    for (name, incarnation, seq) in
        [("a higher seq", 1_000, 6), ("a higher incarnation and a lower seq", 1_001, 1)]
    {
        suite.good(
            WHAT,
            holding(now(), &[&held]),
            format!("{name} than the one held"),
            version(incarnation, seq),
        );
    }
    for (name, incarnation, seq) in [
        ("the version of the one held", 1_000, 5),
        ("a lower seq than the one held", 1_000, 4),
        ("a lower incarnation and a higher seq than the one held", 999, 9),
    ] {
        suite.bad("record.stale", WHAT, holding(now(), &[&held]), name, version(incarnation, seq));
    }
    let another = said(Kind::CapabilityRecord, 5, &with(&payload, 1_000, Some(b"\x63new")));
    suite.bad(
        "record.stale",
        WHAT,
        holding(now(), &[&held]),
        "another record of the version of the one held",
        another,
    );
    let departure = said(Kind::Departure, 1, &cbor::encode(&departure()));
    suite.good(
        WHAT,
        holding(now(), &[&held]),
        "a lower version than the record held of another kind",
        departure,
    );
    let others = signed(OTHER, Header { incarnation: 1, ..header() }, &payload);
    suite.good(
        WHAT,
        holding(now(), &[&held]),
        "a lower version than the record held of somebody else",
        others,
    );

    let ttl = |ttl_s| record(Header { ttl_s, ..header() });
    suite.good(WHAT, now(), "ttl_s 1", ttl(1));
    suite.bad("record.ttl", WHAT, now(), "ttl_s 0", ttl(0));
    suite.bad("record.ttl", WHAT, now(), "ttl_s 1801", ttl(1_801));
    suite.bad("record.ttl", WHAT, now(), "ttl_s 2^32 - 1", ttl(u32::MAX));
    let life = 1_800_000;
    suite.good(WHAT, heard_at(WALL + life - 1), "in the last millisecond of its life", &good);
    suite.bad("record.expired", WHAT, heard_at(WALL + life), "when its life is over", &good);
    suite.bad("record.expired", WHAT, heard_at(WALL + 86_400_000), "a day old", &good);
    suite.good(WHAT, heard_at(WALL - 120_000), "120 s ahead of the receiver's clock", &good);
    suite.bad(
        "record.ahead",
        WHAT,
        heard_at(WALL - 120_001),
        "more than 120 s ahead of the receiver's clock",
        &good,
    );
    let far = record(Header { issued: Wall(u64::MAX), ..header() });
    suite.bad("record.ahead", WHAT, now(), "issued at the end of time", far);
    let directed = record(Header { dest: Some(node(GATEWAY)), ..header() });
    suite.bad("record.destination", WHAT, now(), "directed", directed);

    let elsewhere = Header { net_id: labman_proto_core::identity::NetId::of("another network"), ..header() };
    suite.bad("frame.network", WHAT, now(), "of another network", record(elsewhere));
    let mut named = good.clone();
    named[4 + 11..4 + 43].copy_from_slice(&node(OTHER).0);
    suite.bad("frame.signature", WHAT, now(), "said to be somebody else's", named);
    suite.bad(
        "frame.signature",
        WHAT,
        now(),
        "S + L in place of S",
        resigned(&good, &malleable(&signature_of(&good))),
    );
    let mut shorter = good.clone();
    shorter[4 + 102] ^= 8;
    suite.bad("frame.signature", WHAT, now(), "another ttl_s under the same signature", shorter);
    let padded = |frame: usize| {
        // The longest that still is a record: padded by an unknown key.
        let room = frame - OVERHEAD - payload.len() - 3 - 3;
        let pad = [&[0x59][..], &(room as u16).to_be_bytes(), &vec![0; room]].concat();
        signed(PROVIDER, header(), &crate::craft::with(&payload, 1_000, Some(&pad)))
    };
    let full = padded(GOSSIP_FRAME);
    assert_eq!(full.len(), GOSSIP_FRAME);
    suite.good(WHAT, now(), "as long as a record may be", full);
    let over = [&((GOSSIP_FRAME - 3) as u32).to_be_bytes()[..], &[1, 0, 2], &[0; 16]].concat();
    suite.bad("frame.length", WHAT, now(), "a byte above the cap of a record", over);

    peers(&mut suite);
    offers(&mut suite);
    whom_it_concerns(&mut suite);
    suspicions(&mut suite);
    the_dead(&mut suite);
    suite.0
}

/// Of a neighbour, by itself: kept, and not passed on.
fn peers(suite: &mut Suite) {
    let say = |record: &PeerRecord| signed(PROVIDER, broadcast(Kind::PeerRecord), &cbor::encode(record));
    let bare = PeerRecord {
        public_endpoint: None,
        addresses: Vec::new(),
        feps: Vec::new(),
        gateway: false,
        provider: true,
        witnesses: Vec::new(),
        interest: Topics::none(),
    };
    suite.good(WHAT, of_itself(), "of a provider that only dials out", say(&bare));
    let witnesses: Vec<_> = (CROWD..CROWD + 9).map(node).collect();
    let watched = PeerRecord { witnesses, ..peer_record() };
    suite.good(WHAT, of_itself(), "a peer record of nine witnesses", say(&watched));
    let payload = cbor::encode(&peer_record());
    let short = [&[0x81, 0x58, 31][..], &[7; 31]].concat();
    let short = signed(PROVIDER, broadcast(Kind::PeerRecord), &with(&payload, 5, Some(&short)));
    suite.bad("content", WHAT, of_itself(), "a peer record with a witness of 31 bytes", short);
    suite.bad(
        "record.concern",
        WHAT,
        heard_at(WALL),
        "a peer record of who is no neighbour, and not to be called",
        say(&peer_record()),
    );
}

/// Which offers of a capability record count.
fn offers(suite: &mut Suite) {
    let hosted = |offer: Vec<u8>| Hosted { offer: Blob(offer), slots: 1, queue: 0 };
    let slug = |slug: &str| Offer { slug: slug.into(), ..offer() };
    let sealed = |party, content| hosted(seal(party, content).bytes.0);
    let mut say = |name: &str, hosted: Vec<Hosted>| {
        let payload = cbor::encode(&CapabilityRecord { hosted, ..capability_record() });
        suite.good(WHAT, heard_at(WALL), name, signed(PROVIDER, broadcast(Kind::CapabilityRecord), &payload));
    };
    say("no offers", Vec::new());
    say(
        "an offer that somebody else signed does not count",
        vec![sealed(OTHER, offer()), sealed(PROVIDER, slug("acme:box:sun"))],
    );
    let mut bent = seal(PROVIDER, offer()).bytes.0;
    bent[60] ^= 1;
    say(
        "an offer whose signature does not hold does not count",
        vec![hosted(bent), sealed(PROVIDER, slug("acme:box:sun"))],
    );
    say(
        "an offer that is no object does not count",
        vec![hosted(vec![0; 20]), sealed(PROVIDER, slug("acme:box:sun"))],
    );
    say(
        "an object of another kind does not count",
        vec![hosted(object_of(PROVIDER, 6, &cbor::encode(&offer())))],
    );
}

fn serves(families: Topics, seq: u64) -> Vec<u8> {
    let record = CapabilityRecord { topics: families, ..capability_record() };
    said(Kind::CapabilityRecord, seq, &cbor::encode(&record))
}

fn leaves(topics: Topics, seq: u64) -> Vec<u8> {
    said(Kind::Departure, seq, &cbor::encode(&Departure { topics }))
}

/// Somebody misses the provider.
fn missed(by: u8, topics: Topics, version: (u64, u64), seq: u64) -> Vec<u8> {
    let version = Version { incarnation: version.0, seq: version.1 };
    let payload = cbor::encode(&Suspicion { subject: node(PROVIDER), version, topics });
    signed(by, Header { incarnation: 1_000, seq, ..broadcast(Kind::Suspicion) }, &payload)
}

/// Topics of the record and of the receiver, and the tree of a record.
fn whom_it_concerns(suite: &mut Suite) {
    let now = || heard_at(WALL);
    let qwen = || serving(now(), &["qwen"]);
    let both = || topics(&["qwen", "lantern"]);
    let (lantern, all, none) = (topics(&["lantern"]), Topics::All, Topics::none());
    suite.good(WHAT, now(), "of two topics, at a gateway of all", serves(both(), 1));
    suite.good(WHAT, now(), "of all topics, at a gateway of all", serves(all.clone(), 1));
    suite.bad("record.concern", WHAT, now(), "of no topic, at a gateway of all", serves(none.clone(), 1));
    suite.good(WHAT, qwen(), "of two topics, at a gateway of one of them", serves(both(), 1));
    suite.good(WHAT, qwen(), "of all topics, at a gateway of one", serves(all.clone(), 1));
    suite.bad(
        "record.concern",
        WHAT,
        qwen(),
        "of another topic than the gateway's",
        serves(lantern.clone(), 1),
    );
    suite.bad("record.concern", WHAT, qwen(), "of no topic, at a gateway of one", serves(none.clone(), 1));
    let two = || serving(now(), &["llama", "lantern"]);
    suite.good(WHAT, two(), "of a topic of two that the gateway hears of", serves(lantern.clone(), 1));
    let payload = cbor::encode(&capability_record());
    let twice =
        [&[0x83][..], &[[0x48; 1].as_slice(), &[2; 8], &[0x48], &[1; 8], &[0x48], &[2; 8]].concat()].concat();
    let twice = said(Kind::CapabilityRecord, 1, &with(&payload, 2, Some(&twice)));
    suite.good(WHAT, now(), "topics in any order, and one of them twice", twice);

    let held = serves(topics(&["qwen"]), 1);
    let after = |context: Value| holding(context, &[&held]);
    suite.good(
        WHAT,
        after(qwen()),
        "what replaces a record held concerns its topics, too",
        serves(lantern.clone(), 2),
    );
    suite.good(WHAT, after(now()), "of no topic any more", serves(none.clone(), 2));
    suite.good(WHAT, after(now()), "of all topics now", serves(all.clone(), 2));

    suite.bad("record.concern", WHAT, qwen(), "a departure of another topic", leaves(lantern.clone(), 2));
    suite.good(WHAT, qwen(), "a departure that concerns all", leaves(all.clone(), 2));
    suite.good(WHAT, after(qwen()), "a departure of whom a record is held of", leaves(lantern.clone(), 2));
    let misses = |topics: &Topics| missed(OTHER, topics.clone(), (1_000, 1), 1);
    suite.bad("record.concern", WHAT, qwen(), "a suspicion of another topic", misses(&lantern));
    suite.bad("record.concern", WHAT, now(), "a suspicion of no topic, at a gateway of all", misses(&none));
    suite.good(WHAT, qwen(), "a suspicion that concerns all", misses(&all));
    suite.good(WHAT, after(qwen()), "a suspicion against whom a record is held of", misses(&lantern));
}

fn suspicions(suite: &mut Suite) {
    let now = || heard_at(WALL);
    let against = |subject: u8, seq: u64| {
        let payload = cbor::encode(&Suspicion { subject: node(subject), ..suspicion() });
        said(Kind::Suspicion, seq, &payload)
    };
    let held = against(OTHER, 5);
    let holding = || holding(now(), &[&held]);
    suite.good(WHAT, holding(), "a later suspicion against the same", against(OTHER, 6));
    suite.bad("record.stale", WHAT, holding(), "an older suspicion against the same", against(OTHER, 4));
    suite.good(WHAT, holding(), "an older suspicion against somebody else", against(LISTENER, 4));
    let payload = cbor::encode(&suspicion());
    let bad = |name: &str, version: &[u8]| (name.to_owned(), with(&payload, 1, Some(version)));
    for (name, payload) in [
        bad("without an incarnation", &[0xa1, 1, 7]),
        bad("without a seq", &[0xa1, 0, 7]),
        bad("with a negative seq", &[0xa2, 0, 7, 1, 0x20]),
        bad("that is an array", &[0x82, 7, 7]),
        bad("that is null", &[0xf6]),
    ] {
        let name = format!("a suspicion of a version {name}");
        suite.bad("content", WHAT, now(), name, said(Kind::Suspicion, 1, &payload));
    }
    let short = with(&payload, 0, Some(&[&[0x58, 31][..], &[7; 31]].concat()));
    let short = said(Kind::Suspicion, 1, &short);
    suite.bad("content", WHAT, now(), "a suspicion against 31 bytes", short);
    let version = Version { incarnation: u64::MAX, seq: u64::MAX };
    let ours = Suspicion { subject: node(GATEWAY), version, topics: Topics::none() };
    suite.good(
        WHAT,
        now(),
        "a suspicion against the receiver is refuted, whatever topics it concerns",
        said(Kind::Suspicion, 1, &cbor::encode(&ours)),
    );
}

/// Who left, and who is missed by those who should know.
fn the_dead(suite: &mut Suite) {
    let now = || heard_at(WALL);
    let serves = |seq: u64| serves(topics(&["lantern"]), seq);
    let watched = |seq: u64, witnesses: &[u8]| {
        let witnesses = witnesses.iter().copied().map(node).collect();
        let record = CapabilityRecord { witnesses, ..capability_record() };
        said(Kind::CapabilityRecord, seq, &cbor::encode(&record))
    };
    let about_itself = |seq: u64| said(Kind::PeerRecord, seq, &cbor::encode(&peer_record()));
    let dead = |suite: &mut Suite, context: Value, name: &str, input: Vec<u8>| {
        suite.bad("record.dead", WHAT, context, name, input);
    };

    let left = leaves(Topics::All, 5);
    let gone = || holding(now(), &[&left]);
    dead(suite, gone(), "signed before its origin left", serves(4));
    dead(suite, gone(), "of the version in which its origin left", serves(5));
    suite.good(WHAT, gone(), "signed after its origin left", serves(6));
    let next = Header { incarnation: 1_001, seq: 1, ..broadcast(Kind::CapabilityRecord) };
    let next = signed(PROVIDER, next, &cbor::encode(&capability_record()));
    suite.good(WHAT, gone(), "of the life after the one that its origin left", next);
    let held = serves(3);
    dead(suite, holding(now(), &[&held, &left]), "newer than one held when its origin left", serves(4));
    let gone_itself = holding(of_itself(), &[&left]);
    dead(suite, gone_itself.clone(), "a peer record signed before its origin left", about_itself(4));
    suite.good(WHAT, gone_itself, "a peer record signed after its origin left", about_itself(6));
    let suspects = said(Kind::Suspicion, 4, &cbor::encode(&suspicion()));
    suite.good(WHAT, gone(), "a suspicion signed before its origin left", suspects);
    suite.bad("record.stale", WHAT, gone(), "an older departure", leaves(Topics::All, 4));
    let others = signed(
        OTHER,
        Header { incarnation: 1, ..broadcast(Kind::CapabilityRecord) },
        &cbor::encode(&capability_record()),
    );
    suite.good(WHAT, gone(), "of somebody else than left", others);

    let by = |party: u8, version: u64| missed(party, Topics::All, (1_000, version), 1);
    let [one, two, three] = [OTHER, CROWD, CROWD + 1];
    let [first, second, third] = [by(one, 5), by(two, 5), by(three, 5)];
    let all = [first.as_slice(), &second, &third];
    let crowd = [OTHER, CROWD, CROWD + 1, CROWD + 2];
    dead(suite, holding(now(), &all), "three of its witnesses miss its origin", watched(5, &crowd));
    dead(suite, holding(now(), &all), "older than what its witnesses miss", watched(4, &crowd));
    suite.good(WHAT, holding(now(), &all), "newer than what its witnesses miss", watched(6, &crowd));
    suite.good(
        WHAT,
        holding(now(), &all[..2]),
        "two of its four witnesses miss its origin",
        watched(5, &crowd),
    );
    dead(suite, holding(now(), &all[..2]), "both of its witnesses miss its origin", watched(5, &crowd[..2]));
    dead(suite, holding(now(), &all[..1]), "its only witness misses its origin", watched(5, &crowd[..1]));
    suite.good(WHAT, holding(now(), &all), "it names no witnesses", watched(5, &[]));
    suite.good(
        WHAT,
        holding(now(), &all),
        "others than its witnesses miss its origin",
        watched(5, &[BRINGER, LISTENER]),
    );
    let older = by(three, 4);
    suite.good(
        WHAT,
        holding(now(), &[&first, &second, &older]),
        "one of three misses an older version",
        watched(5, &crowd),
    );
    let held = watched(5, &crowd);
    dead(
        suite,
        holding(now(), &[&first, &held, &second, &third]),
        "of a version that was found dead, now without witnesses",
        watched(5, &[]),
    );
    let alive = holding(of_itself(), &all);
    suite.good(WHAT, alive, "its witnesses miss its origin, which is linked", watched(5, &crowd));
}
