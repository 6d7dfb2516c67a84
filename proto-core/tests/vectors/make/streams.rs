//! Whole streams: frames one behind the other, whatever the pieces in which they come.

use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Header, Kind, light};
use labman_proto_core::wire::mesh::Hello;
use serde_json::{Value, json};

use super::Suite;
use crate::check::is_record;
use crate::craft::{broadcast, header, signed};
use crate::format::File;
use crate::keys::{GATEWAY, NETWORK, OTHER, PROVIDER, node};
use crate::samples::{BINDING, MESSAGES, chunk, hello, peer_record, proxy_end, proxy_mark, prune};

const WHAT: &str = "stream";

fn of(stream: &str) -> Value {
    let mut context = json!({
        "stream": stream,
        "network": NETWORK,
        "receiver": hex::encode(node(GATEWAY).0),
        "peer": hex::encode(node(PROVIDER).0),
    });
    if stream == "control" {
        context["binding"] = hex::encode(BINDING).into();
    }
    context
}

pub(crate) fn make() -> File {
    let mut suite = Suite::new(
        "Streams, as the gateway hears them from their first byte: protocol.md, sections 3, 6 and 8.",
    );
    let say = |kind: u16, seq: u64, payload: &[u8]| signed(PROVIDER, Header { seq, ..header(kind) }, payload);
    let greet = |seq| say(Kind::Hello as u16, seq, &cbor::encode(&hello()));
    let prune = |seq| say(Kind::Prune as u16, seq, &cbor::encode(&prune()));
    let record = signed(OTHER, broadcast(Kind::PeerRecord), &cbor::encode(&peer_record()));
    let unknown = |seq| say(0x0400, seq, b"\xa0");
    let control = || of("control");

    suite.good(WHAT, control(), "nothing yet", []);
    suite.good(WHAT, control(), "a hello, and then a message", [greet(1), prune(2)].concat());
    suite.good(WHAT, control(), "half of a frame waits", [greet(1), prune(2)[..50].to_vec()].concat());
    suite.good(WHAT, control(), "three bytes of a length wait", [greet(1), vec![0, 0, 0]].concat());
    suite.good(
        WHAT,
        control(),
        "records between messages have no number here",
        [greet(1), record.clone(), prune(2), record.clone()].concat(),
    );
    suite.good(WHAT, control(), "a record before hello is ignored", [record.clone(), greet(1)].concat());
    for message in MESSAGES.iter().filter(|message| is_record(message.kind as u16)) {
        let record = signed(OTHER, broadcast(message.kind), &(message.payload)());
        let name = format!("a record before hello, and one behind it: {:?}", message.kind);
        suite.good(WHAT, control(), name, [record.clone(), greet(1), record, prune(2)].concat());
    }
    suite.good(
        WHAT,
        control(),
        "an unknown kind is dropped, and takes its number",
        [greet(1), unknown(2), prune(3)].concat(),
    );
    suite.good(WHAT, control(), "a second hello changes nothing", [greet(1), greet(2), prune(3)].concat());
    suite.bad("frame.repeated", WHAT, control(), "a message twice", [greet(1), prune(2), prune(2)].concat());
    suite.bad(
        "frame.repeated",
        WHAT,
        control(),
        "an unknown kind takes a number",
        [greet(1), unknown(2), prune(2)].concat(),
    );
    suite.bad("frame.repeated", WHAT, control(), "the hello again", [greet(1), greet(1)].concat());
    suite.bad("control.before-hello", WHAT, control(), "a message before hello", prune(1));
    suite.bad("control.before-hello", WHAT, control(), "an unknown kind before hello", unknown(1));
    suite.bad(
        "control.light",
        WHAT,
        control(),
        "a light frame behind a hello",
        [greet(1), light(Kind::Chunk, b"\xa0")].concat(),
    );
    suite.bad(
        "control.light",
        WHAT,
        control(),
        "an unknown light frame in front of all",
        [vec![0, 0, 0, 3, 1, 0xff, 0xff], greet(1)].concat(),
    );
    let other = cbor::encode(&Hello { binding: [0; 32], ..hello() });
    suite.bad(
        "hello.binding",
        WHAT,
        control(),
        "a second hello, of another connection",
        [greet(1), say(1, 2, &other)].concat(),
    );
    suite.bad(
        "content",
        WHAT,
        control(),
        "a hello without a field",
        say(Kind::Hello as u16, 1, b"\xa1\x00\x00"),
    );
    let broadcast_prune = signed(PROVIDER, Header { seq: 2, ..broadcast(Kind::Prune) }, b"\xa0");
    suite.bad(
        "frame.destination",
        WHAT,
        control(),
        "a broadcast of a kind that is no record",
        [greet(1), broadcast_prune].concat(),
    );
    suite.bad(
        "frame.length",
        WHAT,
        control(),
        "a length that nothing has, behind good frames",
        [greet(1), vec![255; 4]].concat(),
    );
    suite.bad(
        "frame.version",
        WHAT,
        control(),
        "another version, before the rest of its frame",
        [greet(1), vec![0, 0, 1, 0, 9, 0, 1]].concat(),
    );

    let job = || of("job");
    let chunk = light(Kind::Chunk, &cbor::encode(&chunk()));
    let end = light(Kind::ProxyEnd, &cbor::encode(&proxy_end()));
    let mark = |seq| say(Kind::ProxyMark as u16, seq, &cbor::encode(&proxy_mark()));
    let marked = [chunk.clone(), mark(1), chunk.clone(), mark(2), chunk.clone(), end.clone()].concat();
    suite.good(WHAT, job(), "a chunk, its mark, more of both, and an end", marked);
    suite.good(
        WHAT,
        job(),
        "light frames of unknown kinds are passed over",
        [vec![0, 0, 0, 4, 1, 0xff, 0xff, 9], chunk.clone()].concat(),
    );
    suite.good(
        WHAT,
        job(),
        "signed frames of unknown kinds are passed over",
        [unknown(1), chunk.clone(), mark(2), end].concat(),
    );
    suite.bad(
        "frame.repeated",
        WHAT,
        job(),
        "a mark whose number an unknown kind took",
        [unknown(1), chunk.clone(), mark(1)].concat(),
    );
    let mut bent = mark(1);
    bent[150] ^= 1;
    suite.bad(
        "frame.signature",
        WHAT,
        job(),
        "a chunk, and a mark whose signature does not hold",
        [chunk, bent].concat(),
    );
    suite.0
}
