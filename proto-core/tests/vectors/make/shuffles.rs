//! Shuffles: which of the peers in them a gateway takes.

use labman_proto_core::time::Wall;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::{Header, Kind, light};
use labman_proto_core::wire::mesh::{PeerRecord, Shuffle};
use labman_proto_core::wire::topic::Topics;
use serde_json::Value;

use super::{Sample, Suite, to_gateway};
use crate::craft::{broadcast, header, signed, with, with_critical};
use crate::format::File;
use crate::keys::{CROWD, GATEWAY, OTHER, PROVIDER, WALL};
use crate::samples::{MESSAGES, capability_record, peer_at, peer_record, shuffle, told};

const WHAT: &str = "directed";

/// Behind a hello, now.
fn heard() -> Value {
    let mut context = to_gateway(1);
    context["wall_ms"] = WALL.into();
    context
}

fn frame(payload: &[u8]) -> Vec<u8> {
    signed(PROVIDER, Header { seq: 2, ..header(Kind::Shuffle as u16) }, payload)
}

pub(crate) fn make() -> File {
    let mut suite = Suite::new(
        "Shuffles, as the gateway hears them of a neighbour that has only said hello: protocol.md, section 7.4.",
    );
    let message = MESSAGES.iter().find(|message| message.kind == Kind::Shuffle).expect("it is there");
    suite.message(WHAT, &heard(), "Shuffle", &Sample::from(message), frame);

    let say = |peers: Vec<Blob>| frame(&cbor::encode(&Shuffle { peers, ..shuffle() }));
    suite.good(WHAT, heard(), "Shuffle: of no peers", say(Vec::new()));
    let answer = Shuffle { answer: false, ..shuffle() };
    suite.good(WHAT, heard(), "Shuffle: it is not to be answered", frame(&cbor::encode(&answer)));
    let nobody = Shuffle { topics: Topics::none(), ..shuffle() };
    suite.good(WHAT, heard(), "Shuffle: asks for peers of no topic", frame(&cbor::encode(&nobody)));
    let many = Shuffle { peers: vec![Blob(Vec::new()); 257], ..shuffle() };
    suite.bad("cbor.items", WHAT, heard(), "Shuffle: of 257 peers", frame(&cbor::encode(&many)));
    let payload = cbor::encode(&shuffle());
    let text = frame(&with(&payload, 0, Some(b"\x81\x61x")));
    suite.bad("content", WHAT, heard(), "Shuffle: a peer that is text", text);
    let number = frame(&with(&payload, 1, Some(&[1])));
    suite.bad("content", WHAT, heard(), "Shuffle: a number in place of a bool", number);
    which_count(&mut suite);
    crowds(&mut suite);
    addresses(&mut suite);
    suite.0
}

fn good(number: u8) -> Blob {
    told(CROWD + number, &peer_at(&format!("9.{number}.0.1:4433")))
}

fn which_count(suite: &mut Suite) {
    let mut say = |name: &str, peers: Vec<Blob>| {
        let shuffle = frame(&cbor::encode(&Shuffle { peers, ..shuffle() }));
        suite.good(WHAT, heard(), format!("Shuffle: {name}"), shuffle);
    };
    say("nine peers, of which the last is not looked at", (0..9).map(good).collect());
    let bytes = |bytes: &[u8]| Blob(bytes.to_vec());
    let whole = good(0).0;
    let payload = cbor::encode(&peer_at("9.0.0.1:4433"));
    let of = |header: Header| Blob(signed(CROWD, header, &payload));
    let header = broadcast(Kind::PeerRecord);
    let mut version = whole.clone();
    version[4] = 2;
    let capability = cbor::encode(&capability_record());
    say(
        "what is no frame does not count",
        vec![
            bytes(b""),
            bytes(b"\x00"),
            bytes(&whole[..whole.len() - 1]),
            Blob([whole.as_slice(), &[0]].concat()),
            Blob(version),
            Blob(light(Kind::Chunk, &payload)),
            good(1),
        ],
    );
    say(
        "frames of other kinds do not count",
        vec![
            Blob(signed(CROWD, broadcast(Kind::CapabilityRecord), &capability)),
            Blob(signed(CROWD, broadcast(Kind::Departure), b"\xa0")),
            Blob(signed(CROWD, broadcast(Kind::Hello), &payload)),
            Blob(signed(CROWD, Header { kind: 0x0400, ..header }, &payload)),
            good(1),
        ],
    );
    let mut bent = whole.clone();
    let last = bent.len() - 1;
    bent[last] ^= 1;
    say("a record whose signature does not hold does not count", vec![Blob(bent), good(1)]);
    let elsewhere = labman_proto_core::identity::NetId::of("another network");
    let elsewhere = of(Header { net_id: elsewhere, ..header });
    say("a record of another network does not count", vec![elsewhere, good(1)]);
    say(
        "records that are no news do not count",
        vec![
            of(Header { ttl_s: 0, ..header }),
            of(Header { ttl_s: 1_801, ..header }),
            of(Header { issued: Wall(WALL - 1_800_000), ..header }),
            of(Header { issued: Wall(WALL + 120_001), ..header }),
            of(Header { dest: Some(crate::keys::node(GATEWAY)), ..header }),
            told(GATEWAY, &peer_at("9.9.9.9:4433")),
            good(1),
        ],
    );
    let crowd = |payload: &[u8]| Blob(signed(CROWD, header, payload));
    say(
        "records that are not well-formed do not count",
        vec![
            crowd(b""),
            crowd(b"\xa0"),
            crowd(&with(&payload, 5, None)),
            crowd(&with_critical(&payload)),
            crowd(&[payload.as_slice(), &[0xf6]].concat()),
            good(1),
        ],
    );
    let dials_out = PeerRecord { addresses: Vec::new(), ..peer_record() };
    let provider = PeerRecord { gateway: false, provider: true, ..peer_at("9.9.9.9:4433") };
    say(
        "nodes that nobody could call, and such as are no gateways, are kept of the neighbour itself only",
        vec![told(PROVIDER, &dials_out), told(OTHER, &dials_out), told(CROWD, &provider), good(1)],
    );
    say("one peer twice", vec![good(1), good(1)]);
    let first = PeerRecord { addresses: vec!["10.0.0.1:1".into(), "9.9.9.9:1".into()], ..peer_record() };
    say("the first address that may be dialled counts", vec![told(CROWD, &first)]);
}

/// Who comes first is kept.
fn crowds(suite: &mut Suite) {
    let mut say = |name: &str, addresses: &[&str]| {
        let peers = addresses.iter().zip(CROWD..).map(|(address, party)| told(party, &peer_at(address)));
        let shuffle = frame(&cbor::encode(&Shuffle { peers: peers.collect(), ..shuffle() }));
        suite.good(WHAT, heard(), format!("Shuffle: {name}"), shuffle);
    };
    let address = ["9.9.9.9:1", "9.9.9.9:2", "9.9.9.9:3", "9.9.9.10:1"];
    say("a third peer of one address is not kept", &address);
    let network = ["9.9.9.1:1", "9.9.9.2:1", "9.9.9.3:1", "9.9.9.4:1", "9.9.9.5:1", "9.9.10.1:1"];
    say("a fifth peer of one /24 is not kept", &network);
    let sixty_four = ["[2606:4700::1]:1", "[2606:4700::2]:1", "[2606:4700::3]:1", "[2606:4700:0:1::1]:1"];
    say("a third peer of one /64 is not kept", &sixty_four);
    let forty_eight = [
        "[2606:4700:0:1::1]:1",
        "[2606:4700:0:2::1]:1",
        "[2606:4700:0:3::1]:1",
        "[2606:4700:0:4::1]:1",
        "[2606:4700:0:5::1]:1",
        "[2606:4700:1::1]:1",
    ];
    say("a fifth peer of one /48 is not kept", &forty_eight);
    say(
        "a v4 address is one, however it is written",
        &["9.9.9.9:1", "[::ffff:9.9.9.9]:1", "[2002:909:909::1]:1"],
    );
}

/// Which addresses may be dialled.
fn addresses(suite: &mut Suite) {
    for (name, addresses) in [
        (
            "of v4 that are not public",
            ["127.0.0.1:1", "10.1.2.3:1", "172.16.0.1:1", "192.168.1.1:1", "100.64.0.1:1", "169.254.1.1:1"],
        ),
        (
            "of v4 that nobody has, and such as are none",
            ["224.0.0.1:1", "240.0.0.1:1", "0.0.0.0:1", "198.18.0.1:1", "9.9.9.9:0", "9.9.9.9"],
        ),
        (
            "of v6 that are not public",
            ["[::1]:1", "[fd00::1]:1", "[fe80::1]:1", "[ff02::1]:1", "[2001:db8::1]:1", "localhost:1"],
        ),
        (
            "of v4 that are not public, in v6",
            [
                "[::ffff:127.0.0.1]:1",
                "[64:ff9b::10.0.0.1]:1",
                "[2002:7f00:1::]:1",
                "[::ffff:192.168.1.1]:1",
                "[2002:a01:203::1]:1",
                "[64:ff9b::169.254.1.1]:1",
            ],
        ),
    ] {
        let peers = addresses.iter().zip(CROWD..).map(|(address, party)| told(party, &peer_at(address)));
        let peers = peers.chain([good(30)]).collect();
        let shuffle = frame(&cbor::encode(&Shuffle { peers, ..shuffle() }));
        suite.good(WHAT, heard(), format!("Shuffle: addresses {name} are not dialled"), shuffle);
    }
}
