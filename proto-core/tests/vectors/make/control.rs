//! What is said on control streams, records apart: Hello and its binding, messages about records, acknowledgements.

use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{
    Announce, Digest, Distance, Distances, Features, Hello, Invite, Key, Want,
};
use labman_proto_core::wire::topic::Topics;

use super::{Sample, Suite, to_gateway, to_gateway_first};
use crate::craft::{header, signed, with};
use crate::format::File;
use crate::keys::{BRINGER, OTHER, PROVIDER, node};
use crate::samples::{
    MESSAGES, announce, distances, errand, hello, invite, mark, prune, receipt_ack, topics, want,
};

const WHAT: &str = "directed";

pub(crate) fn make() -> File {
    let mut suite = Suite::new("Directed messages on control streams: protocol.md, sections 6, 7.2 and 9.");
    let kinds = [
        Kind::Hello,
        Kind::Announce,
        Kind::Want,
        Kind::Prune,
        Kind::Digest,
        Kind::Distances,
        Kind::Invite,
        Kind::ReceiptDelivery,
        Kind::ReceiptAck,
        Kind::Load,
        Kind::Market,
        Kind::Errand,
        Kind::ErrandDone,
    ];
    for message in MESSAGES.iter().filter(|message| kinds.contains(&message.kind)) {
        let context = if message.kind == Kind::Hello { to_gateway_first() } else { to_gateway(0) };
        let frame = |payload: &[u8]| signed(PROVIDER, header(message.kind as u16), payload);
        suite.message(WHAT, &context, &format!("{:?}", message.kind), &Sample::from(message), frame);
    }

    let frame = |payload: &[u8]| signed(PROVIDER, header(Kind::Hello as u16), payload);
    let say = |hello: Hello| frame(&cbor::encode(&hello));
    let features = Hello { features: Features(u64::MAX), ..hello() };
    suite.good(WHAT, to_gateway_first(), "Hello: feature bits that nobody knows", say(features));
    let some = topics(&["qwen", "llama", "lantern"]);
    for (name, interest) in [("of no topic", Topics::none()), ("of some topics", some)] {
        let interested = say(Hello { interest, ..hello() });
        suite.good(WHAT, to_gateway_first(), format!("Hello: who hears {name}"), interested);
    }
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
    let other = with(&cbor::encode(&errand()), 2, Some(&[2]));
    suite.bad(
        "content",
        WHAT,
        to_gateway(0),
        "Errand: of a call that is not carried",
        say(Kind::Errand, &other),
    );
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
        // An array of one mark, whose key's kind stands first.
        let at = payload.windows(3).position(|w| w == [0xa2, 0x00, 0x02]).expect("a kind") + 2;
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
    of_distances(&mut suite);
    of_invites(&mut suite);
    keys(&mut suite);
    of_topics(&mut suite);
    suite.0
}

/// How far a root may be said to be.
fn of_distances(suite: &mut Suite) {
    let say = |payload: &[u8]| signed(PROVIDER, header(Kind::Distances as u16), payload);
    let of = |trees: Vec<Distance>| say(&cbor::encode(&Distances { trees }));
    let one = distances().trees[0];
    let far = of(vec![Distance { links: u8::MAX, ..one }]);
    suite.good(WHAT, to_gateway(0), "Distances: farther than is looked at", far);
    suite.good(WHAT, to_gateway(0), "Distances: of no tree", of(Vec::new()));
    suite.bad("cbor.items", WHAT, to_gateway(0), "Distances: of 257 trees", of(vec![one; 257]));
    let payload = cbor::encode(&distances());
    // The first is 3 links away: key 2, 3 links, key 3.
    let at = payload.windows(3).position(|w| w == [2, 3, 3]).expect("links") + 1;
    let farther = [&payload[..at], &[0x19, 0x01, 0x00], &payload[at + 1..]].concat();
    suite.bad("content", WHAT, to_gateway(0), "Distances: 256 links", say(&farther));
}

/// How far an invite may go.
fn of_invites(suite: &mut Suite) {
    let say = |payload: &[u8]| signed(PROVIDER, header(Kind::Invite as u16), payload);
    let last = say(&cbor::encode(&Invite { hops: 0, ..invite() }));
    suite.good(WHAT, to_gateway(0), "Invite: not to be passed on", last);
    let payload = cbor::encode(&invite());
    // Key 0, 11 hops, key 1.
    let at = payload.windows(3).position(|w| w == [0, 11, 1]).expect("hops") + 1;
    let farther = [&payload[..at], &[0x19, 0x01, 0x00], &payload[at + 1..]].concat();
    suite.bad("content", WHAT, to_gateway(0), "Invite: 256 hops", say(&farther));
}

/// Which records can be named.
fn keys(suite: &mut Suite) {
    let say = |kind: Kind, payload: &[u8]| signed(PROVIDER, header(kind as u16), payload);
    let keys = vec![
        Key::peer(node(PROVIDER)),
        Key::capability(node(PROVIDER)),
        Key::departure(node(PROVIDER)),
        Key::suspicion(node(PROVIDER), node(OTHER)),
        Key::suspicion(node(PROVIDER), node(BRINGER)),
    ];
    let marks = keys.iter().zip(1..).map(|(key, seq)| mark(*key, seq)).collect();
    let all = cbor::encode(&Announce { marks });
    suite.good(WHAT, to_gateway(0), "Announce: of all four kinds", say(Kind::Announce, &all));
    let all = cbor::encode(&Want { keys });
    suite.good(WHAT, to_gateway(0), "Want: of all four kinds", say(Kind::Want, &all));
    let nobody = Key { subject: None, ..Key::suspicion(node(PROVIDER), node(OTHER)) };
    let somebody = Key { subject: Some(node(OTHER)), ..Key::capability(node(PROVIDER)) };
    for (name, key) in [
        ("a suspicion without a subject, which names no record", nobody),
        ("a capability record with a subject, which names no record", somebody),
    ] {
        let want = cbor::encode(&Want { keys: vec![key] });
        suite.good(WHAT, to_gateway(0), format!("Want: {name}"), say(Kind::Want, &want));
    }
    for kind in [0, 1, 4, 8, 11] {
        let mut payload = cbor::encode(&want());
        let at = payload.windows(3).position(|w| w == [0xa2, 0x00, 0x02]).expect("a kind") + 2;
        payload[at] = kind;
        let wanted = say(Kind::Want, &payload);
        suite.bad("content", WHAT, to_gateway(0), format!("Want: of records of kind {kind}"), wanted);
    }
    let mut many = want();
    many.keys = many.keys.iter().cycle().take(257).copied().collect();
    let many = say(Kind::Want, &cbor::encode(&many));
    suite.bad("cbor.items", WHAT, to_gateway(0), "Want: of 257 records", many);
    let suspicion = cbor::encode(&Want { keys: vec![Key::suspicion(node(PROVIDER), node(OTHER))] });
    let mut short = suspicion[..suspicion.len() - 1].to_vec();
    short[suspicion.len() - 33] = 31;
    let short = say(Kind::Want, &short);
    suite.bad("content", WHAT, to_gateway(0), "Want: a subject of 31 bytes", short);
}

/// How topics are written: those of a Hello, and that of a Prune.
fn of_topics(suite: &mut Suite) {
    let hello = cbor::encode(&hello());
    let greet =
        |interest: &[u8]| signed(PROVIDER, header(Kind::Hello as u16), &with(&hello, 2, Some(interest)));
    let list = |topics: &[&[u8]]| {
        let topics = topics.iter().map(|topic| [&[0x40 + topic.len() as u8], *topic].concat());
        let topics: Vec<Vec<u8>> = topics.collect();
        [&[0x80 + topics.len() as u8][..], &topics.concat()].concat()
    };
    let (low, high) = ([1; 8], [2; 8]);
    suite.good(
        WHAT,
        to_gateway_first(),
        "Hello: topics in any order, and one of them twice",
        greet(&list(&[&high, &low, &high])),
    );
    for (name, interest) in [
        ("a topic of 7 bytes", list(&[&low, &[2; 7]])),
        ("a topic of 9 bytes", list(&[&low, &[2; 9]])),
        ("a topic as text", [&[0x81, 0x68][..], b"lanterns"].concat()),
        ("a topic that is null", vec![0x81, 0xf6]),
        ("one topic without a list", cbor::encode(&prune().topic)),
        ("a bool in the place of topics", vec![0xf4]),
    ] {
        suite.bad("content", WHAT, to_gateway_first(), format!("Hello: {name}"), greet(&interest));
    }
    let many = [&[0x99, 1, 1][..], &list(&[&low])[1..].repeat(257)].concat();
    suite.bad("cbor.items", WHAT, to_gateway_first(), "Hello: 257 topics", greet(&many));
    let prune = |topic: &[u8]| signed(PROVIDER, header(Kind::Prune as u16), &[&[0xa1, 0], topic].concat());
    let none = prune(&[&[0x48][..], &[0; 8]].concat());
    suite.good(WHAT, to_gateway(0), "Prune: of the tree of what concerns all topics", none);
    let short = prune(&[&[0x47][..], &[0; 7]].concat());
    suite.bad("content", WHAT, to_gateway(0), "Prune: a topic of 7 bytes", short);
    suite.bad("content", WHAT, to_gateway(0), "Prune: a null where a topic is required", prune(&[0xf6]));
    suite.bad("content", WHAT, to_gateway(0), "Prune: a list of topics", prune(&list(&[&low])));
}
