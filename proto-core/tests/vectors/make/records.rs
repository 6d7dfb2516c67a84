//! Gossip records: what is news, and what is not.

use labman_proto_core::limits::GOSSIP_FRAME;
use labman_proto_core::time::Wall;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::{Header, Kind, OVERHEAD};
use labman_proto_core::wire::mesh::{CapabilityRecord, Hosted, PeerRecord};
use labman_proto_core::wire::portal::Offer;
use serde_json::{Value, json};

use super::{Sample, Suite};
use crate::craft::{broadcast, malleable, object_of, resigned, signature_of, signed};
use crate::format::{File, pack};
use crate::keys::{GATEWAY, NETWORK, OTHER, PROVIDER, WALL, node};
use crate::samples::{MESSAGES, Theme, capability_record, offer, peer_record, seal};

const WHAT: &str = "record";

fn heard_at(wall_ms: u64) -> Value {
    json!({ "network": NETWORK, "receiver": hex::encode(node(GATEWAY).0), "wall_ms": wall_ms })
}

fn holding(held: &[u8]) -> Value {
    let mut context = heard_at(WALL);
    context["held"] = pack(held).into();
    context
}

pub(crate) fn make() -> File {
    let mut suite =
        Suite::new("Gossip records, as the gateway hears them of a neighbour: protocol.md, section 7.");
    let now = || heard_at(WALL);
    for message in MESSAGES.iter().filter(|message| Theme::of(message.kind) == Theme::Record) {
        let frame = |payload: &[u8]| signed(PROVIDER, broadcast(message.kind), payload);
        suite.message(WHAT, &now(), &format!("{:?}", message.kind), &Sample::from(message), frame);
    }

    let payload = cbor::encode(&peer_record());
    let record = |header: Header| signed(PROVIDER, header, &payload);
    let header = || broadcast(Kind::PeerRecord);
    let good = record(header());
    let own = signed(GATEWAY, header(), &payload);
    suite.bad("record.own", WHAT, now(), "the receiver's own", own);
    let version = |incarnation, seq| record(Header { incarnation, seq, ..header() });
    let held = version(1_000, 5);
    for (name, incarnation, seq) in
        [("a higher seq", 1_000, 6), ("a higher incarnation and a lower seq", 1_001, 1)]
    {
        suite.good(WHAT, holding(&held), format!("{name} than the one held"), version(incarnation, seq));
    }
    for (name, incarnation, seq) in [
        ("the version of the one held", 1_000, 5),
        ("a lower seq than the one held", 1_000, 4),
        ("a lower incarnation and a higher seq than the one held", 999, 9),
    ] {
        suite.bad("record.stale", WHAT, holding(&held), name, version(incarnation, seq));
    }
    let capability = signed(
        PROVIDER,
        Header { seq: 1, ..broadcast(Kind::CapabilityRecord) },
        &cbor::encode(&capability_record()),
    );
    suite.good(WHAT, holding(&held), "a lower version than the record held of another kind", capability);
    let others = signed(OTHER, Header { incarnation: 1, ..header() }, &payload);
    suite.good(WHAT, holding(&held), "a lower version than the record held of somebody else", others);

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

    let bare = PeerRecord {
        public_endpoint: None,
        addresses: Vec::new(),
        feps: Vec::new(),
        gateway: false,
        provider: true,
    };
    suite.good(
        WHAT,
        now(),
        "of a provider that only dials out",
        signed(PROVIDER, header(), &cbor::encode(&bare)),
    );
    offers(&mut suite);
    suite.0
}

/// Which offers of a capability record count.
fn offers(suite: &mut Suite) {
    let hosted = |offer: Vec<u8>| Hosted { offer: Blob(offer), slots: 1 };
    let slug = |slug: &str| Offer { slug: slug.into(), ..offer() };
    let sealed = |party, content| hosted(seal(party, content).bytes.0);
    let mut say = |name: &str, hosted: Vec<Hosted>| {
        let payload = cbor::encode(&CapabilityRecord { hosted });
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
