//! What is said on control streams, records apart: Hello and its binding, messages about records, acknowledgements.

use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{Announce, Digest, Features, Hello};

use super::{Sample, Suite, to_gateway, to_gateway_first};
use crate::craft::{header, signed, with};
use crate::format::File;
use crate::keys::PROVIDER;
use crate::samples::{MESSAGES, Theme, announce, hello, receipt_ack};

const WHAT: &str = "directed";

pub(crate) fn make() -> File {
    let mut suite = Suite::new("Directed messages on control streams: protocol.md, sections 6, 7.1 and 9.");
    for message in MESSAGES.iter().filter(|message| Theme::of(message.kind) == Theme::Control) {
        let context = if message.kind == Kind::Hello { to_gateway_first() } else { to_gateway(0) };
        let frame = |payload: &[u8]| signed(PROVIDER, header(message.kind as u16), payload);
        suite.message(WHAT, &context, &format!("{:?}", message.kind), &Sample::from(message), frame);
    }

    let frame = |payload: &[u8]| signed(PROVIDER, header(Kind::Hello as u16), payload);
    let say = |hello: Hello| frame(&cbor::encode(&hello));
    let features = Hello { features: Features(u64::MAX), ..hello() };
    suite.good(WHAT, to_gateway_first(), "Hello: feature bits that nobody knows", say(features));
    suite.good(WHAT, to_gateway_first(), "Hello: of a leaf", say(Hello { leaf: true, ..hello() }));
    let mute = Hello { software: String::new(), ..hello() };
    suite.good(WHAT, to_gateway_first(), "Hello: of software without a name", say(mute));
    let mut almost = hello();
    almost.binding[31] ^= 1;
    suite.bad(
        "hello.binding",
        WHAT,
        to_gateway_first(),
        "Hello: a bit of the binding is another",
        say(almost),
    );
    let captured = Hello { binding: [0xb2; 32], ..hello() };
    suite.bad(
        "hello.binding",
        WHAT,
        to_gateway_first(),
        "Hello: captured on another connection",
        say(captured.clone()),
    );
    suite.bad(
        "hello.binding",
        WHAT,
        {
            let mut context = to_gateway_first();
            context["last_seq"] = 3.into();
            context
        },
        "Hello: a later one, of another connection",
        {
            let header = labman_proto_core::wire::envelope::Header { seq: 4, ..header(Kind::Hello as u16) };
            signed(PROVIDER, header, &cbor::encode(&captured))
        },
    );
    let payload = cbor::encode(&hello());
    let short = with(&payload, 3, Some(&[&[0x58, 31][..], &[0xb1; 31]].concat()));
    suite.bad("content", WHAT, to_gateway_first(), "Hello: a binding of 31 bytes", frame(&short));
    let list = with(&payload, 3, Some(&[&[0x98, 32][..], &[0x00; 32]].concat()));
    suite.bad(
        "content",
        WHAT,
        to_gateway_first(),
        "Hello: a binding that is an array of numbers",
        frame(&list),
    );
    let null = with(&payload, 3, Some(&[0xf6]));
    suite.bad("content", WHAT, to_gateway_first(), "Hello: a null where a field is required", frame(&null));

    let say = |kind: Kind, payload: &[u8]| signed(PROVIDER, header(kind as u16), payload);
    let refused = with(&cbor::encode(&receipt_ack()), 1, Some(&cbor::encode(&"not for work of ours")));
    suite.good(WHAT, to_gateway(0), "ReceiptAck: refused for good", say(Kind::ReceiptAck, &refused));
    let none = cbor::encode(&Announce { marks: Vec::new() });
    suite.good(WHAT, to_gateway(0), "Announce: of nothing", say(Kind::Announce, &none));
    let mut many = announce();
    many.marks = many.marks.iter().cycle().take(257).copied().collect();
    suite.bad(
        "cbor.items",
        WHAT,
        to_gateway(0),
        "Announce: of 257 records",
        say(Kind::Announce, &cbor::encode(&many)),
    );
    for topic in [1, 4] {
        let mut payload = cbor::encode(&announce());
        // An array of one mark, whose key's topic stands first.
        let at = payload.windows(3).position(|w| w == [0xa2, 0x00, 0x02]).expect("a topic") + 2;
        payload[at] = topic;
        suite.bad(
            "content",
            WHAT,
            to_gateway(0),
            format!("Announce: of records of kind {topic}"),
            say(Kind::Announce, &payload),
        );
    }
    let short = cbor::encode(&Digest { buckets: Blob(vec![0; 2_047]) });
    suite.bad("content", WHAT, to_gateway(0), "Digest: a byte too short", say(Kind::Digest, &short));
    suite.0
}
