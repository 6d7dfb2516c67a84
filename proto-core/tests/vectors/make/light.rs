//! Light frames: pieces of bodies, chunks, acknowledgements, ends.

use labman_proto_core::limits::BODY_FRAME;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Kind, LIGHT_OVERHEAD, light};
use labman_proto_core::wire::mesh::ProxyEnd;
use serde_json::Value;

use super::{Sample, Suite};
use crate::craft::with;
use crate::format::File;
use crate::samples::{MESSAGES, body, proxy_end, refusal};

const WHAT: &str = "light";

pub(crate) fn make() -> File {
    let mut suite = Suite::new("Light frames: protocol.md, sections 3 and 8.");
    let chunk = MESSAGES.iter().find(|message| message.kind == Kind::Chunk).expect("it is there");
    suite.message(WHAT, &Value::Null, "Chunk", &Sample::from(chunk), |payload| light(Kind::Chunk, payload));
    for message in MESSAGES.iter().filter(|message| matches!(message.kind, Kind::StreamAck | Kind::ProxyEnd))
    {
        let (name, kind) = (format!("{:?}", message.kind), message.kind);
        suite.message(WHAT, &Value::Null, &name, &Sample::from(message), |payload| light(kind, payload));
    }
    let broken = cbor::encode(&ProxyEnd { broken: Some(refusal()), ..proxy_end() });
    suite.good(WHAT, Value::Null, "ProxyEnd: it broke", light(Kind::ProxyEnd, &broken));
    let payload = (chunk.payload)();
    let text = with(&payload, 1, Some(b"\x62{}"));
    suite.bad("content", WHAT, Value::Null, "Chunk: text in place of bytes", light(Kind::Chunk, &text));
    let empty = with(&payload, 1, Some(b"\x40"));
    suite.good(WHAT, Value::Null, "Chunk: of no bytes", light(Kind::Chunk, &empty));
    let counts = with(&payload, 0, Some(&[0xa2, 0, 0, 1, 0]));
    suite.bad("content", WHAT, Value::Null, "Chunk: a count is missing", light(Kind::Chunk, &counts));
    suite.good(WHAT, Value::Null, "Body: a piece", light(Kind::Body, &body()));
    suite.good(WHAT, Value::Null, "Body: an empty piece", light(Kind::Body, b""));
    suite.good(WHAT, Value::Null, "Body: bytes of any kind", light(Kind::Body, &[0xff, 0x00, 0xfe]));
    let raw = |version: u8, kind: u16, rest: &[u8]| {
        let len = (rest.len() + 3) as u32;
        [&len.to_be_bytes()[..], &[version], &kind.to_be_bytes(), rest].concat()
    };
    suite.good(WHAT, Value::Null, "an unknown light kind is passed over", raw(1, 0xffff, b"whatever"));
    suite.bad("frame.version", WHAT, Value::Null, "version 2", raw(2, 0x8001, b"x"));
    let over = (BODY_FRAME - LIGHT_OVERHEAD + 1 + 3) as u32;
    let over = [&over.to_be_bytes()[..], &[1, 0x80, 0x01], &[0; 16]].concat();
    suite.bad("frame.length", WHAT, Value::Null, "a byte above the cap of a light frame", over);
    suite.bad("frame.length", WHAT, Value::Null, "len 2: no room for a kind", [0, 0, 0, 2, 1, 0x80]);
    suite.0
}
