//! What is signed on job streams: requests, marks, refusals; bodies, and the counts that a gateway accepts.

use labman_proto_core::economics::Counts;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use serde_json::{Value, json};

use super::{Sample, Suite, to_gateway};
use crate::craft::{header, signed, with};
use crate::format::File;
use crate::keys::{GATEWAY, NETWORK, PROVIDER, node};
use crate::samples::{MESSAGES, body, proxy_error};

const WHAT: &str = "directed";

pub(crate) fn make() -> File {
    let mut suite = Suite::new("Messages, bodies and counts of job streams: protocol.md, section 8.");
    for message in &MESSAGES {
        let name = format!("{:?}", message.kind);
        match message.kind {
            Kind::ProxyRequest => {
                let header = |payload: &[u8]| {
                    let header = labman_proto_core::wire::envelope::Header {
                        dest: Some(node(PROVIDER)),
                        ..header(message.kind as u16)
                    };
                    signed(GATEWAY, header, payload)
                };
                suite.message(WHAT, &to_provider(), &name, &Sample::from(message), header);
            }
            Kind::ProxyMark | Kind::ProxyError => {
                let frame = |payload: &[u8]| signed(PROVIDER, header(message.kind as u16), payload);
                suite.message(WHAT, &to_gateway(0), &name, &Sample::from(message), frame);
            }
            _ => {}
        }
    }
    let say = |kind: Kind, payload: &[u8]| signed(PROVIDER, header(kind as u16), payload);
    let error = cbor::encode(&proxy_error());
    let with_code = |code: &[u8]| with(&error, 2, Some(&[&[0xa2, 0x00], code, &[0x01, 0x60]].concat()));
    for code in 0..=7u8 {
        let name = format!("ProxyError: code {code}");
        suite.good(WHAT, to_gateway(0), name, say(Kind::ProxyError, &with_code(&[code])));
    }
    for (name, code) in [("8", &[8][..]), ("23", &[23]), ("256", &[0x19, 1, 0]), ("-1", &[0x20])] {
        suite.bad(
            "content",
            WHAT,
            to_gateway(0),
            format!("ProxyError: code {name}"),
            say(Kind::ProxyError, &with_code(code)),
        );
    }
    let attempt = with(&error, 1, Some(&[0x19, 0x01, 0x00]));
    suite.bad("content", WHAT, to_gateway(0), "ProxyError: attempt 256", say(Kind::ProxyError, &attempt));
    bodies(&mut suite);
    accepted(&mut suite);
    suite.0
}

/// The provider hears the gateway.
fn to_provider() -> Value {
    json!({
        "network": NETWORK,
        "receiver": hex::encode(node(PROVIDER).0),
        "peer": hex::encode(node(GATEWAY).0),
        "last_seq": 0,
    })
}

fn bodies(suite: &mut Suite) {
    suite.good("body", Value::Null, "a body", body());
    let good = [
        (
            "members in another order, and white space",
            r#"{ "stream" : true, "messages" : [ {"role":"user" , "content":"x"} ], "max_tokens":1 }"#,
        ),
        (
            "a message of parts",
            r#"{"max_tokens":1,"messages":[{"content":[{"text":"x","type":"text"},{"image_url":{"url":"data:image/png;base64,AA=="},"type":"image_url"}],"role":"user"}],"stream":true}"#,
        ),
        (
            "a refusal that is told again",
            r#"{"max_tokens":1,"messages":[{"content":[{"refusal":"no","type":"refusal"}],"role":"assistant"}],"stream":true}"#,
        ),
        (
            "content that is null, and absent",
            r#"{"max_tokens":1,"messages":[{"content":null,"role":"assistant"},{"role":"tool"}],"stream":true}"#,
        ),
        (
            "text that is escaped and text that need not be",
            r#"{"max_tokens":1,"messages":[{"content":"\u00e9\u4e2d\n\t\"\\\/\u001f\u007f","role":"user"}],"stream":true}"#,
        ),
        (
            "tools, functions and a response format count too",
            r#"{"max_tokens":9,"messages":[{"content":"x","role":"user"}],"response_format":{"type":"json_object"},"stream":true,"tools":[{"type":"function"},{"type":"function"}]}"#,
        ),
        (
            "three answers",
            r#"{"max_tokens":10,"messages":[{"content":"x","role":"user"}],"n":3,"stream":true}"#,
        ),
        (
            "a completion of two prompts, one of them tokens, with two answers each",
            r#"{"max_tokens":10,"n":2,"prompt":["x",[1,18446744073709551615]],"stream":true}"#,
        ),
        ("a completion of tokens", r#"{"max_tokens":10,"n":null,"prompt":[1,2],"stream":true}"#),
        ("an embedding", r#"{"input":"x"}"#),
        (
            "embeddings of seventeen texts",
            r#"{"input":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16",[17]]}"#,
        ),
        (
            "settings do not count",
            r#"{"max_tokens":4294967295,"messages":[{"content":"x","role":"user"}],"seed":7,"stop":["a"],"stream":true,"top_k":4}"#,
        ),
    ];
    for (name, text) in good {
        suite.good("body", Value::Null, format!("a body: {name}"), text);
    }
    let bad = [
        ("no JSON", r#"{"max_tokens":1"#),
        ("an array", r#"[]"#),
        ("no messages", r#"{"max_tokens":1,"stream":true}"#),
        (
            "a chat and a completion",
            r#"{"max_tokens":1,"messages":[{"content":"x","role":"user"}],"prompt":"x","stream":true}"#,
        ),
        ("no answer", r#"{"max_tokens":1,"n":0,"prompt":"x","stream":true}"#),
        ("129 answers", r#"{"max_tokens":1,"n":129,"prompt":"x","stream":true}"#),
        ("130 answers", r#"{"max_tokens":1,"n":65,"prompt":["x","y"],"stream":true}"#),
        ("an empty prompt of tokens", r#"{"max_tokens":1,"prompt":[],"stream":true}"#),
        ("a prompt that is a number", r#"{"max_tokens":1,"prompt":["x",1],"stream":true}"#),
        ("a field of chats in a completion", r#"{"max_tokens":1,"prompt":"x","stream":true,"tools":[]}"#),
        ("an embedding of nothing", r#"{"input":["x",""]}"#),
        ("an embedding with max_tokens", r#"{"input":"x","max_tokens":1}"#),
        ("an empty list of messages", r#"{"max_tokens":1,"messages":[],"stream":true}"#),
        ("a message without a role", r#"{"max_tokens":1,"messages":[{"content":"x"}],"stream":true}"#),
        (
            "content that is a number",
            r#"{"max_tokens":1,"messages":[{"content":1,"role":"user"}],"stream":true}"#,
        ),
        (
            "an image elsewhere",
            r#"{"max_tokens":1,"messages":[{"content":[{"image_url":{"url":"http://10.0.0.1/x"},"type":"image_url"}],"role":"user"}],"stream":true}"#,
        ),
        (
            "a part of an unknown type",
            r#"{"max_tokens":1,"messages":[{"content":[{"type":"input_audio"}],"role":"user"}],"stream":true}"#,
        ),
        ("no max_tokens", r#"{"messages":[{"content":"x","role":"user"}],"stream":true}"#),
        ("max_tokens 0", r#"{"max_tokens":0,"messages":[{"content":"x","role":"user"}],"stream":true}"#),
        (
            "max_tokens 2^32",
            r#"{"max_tokens":4294967296,"messages":[{"content":"x","role":"user"}],"stream":true}"#,
        ),
        (
            "a model of its own",
            r#"{"max_tokens":1,"messages":[{"content":"x","role":"user"}],"model":"other","stream":true}"#,
        ),
        (
            "a field that is not in the list",
            r#"{"max_tokens":1,"messages":[{"content":"x","role":"user"}],"stream":true,"user":"ann"}"#,
        ),
    ];
    for (name, text) in bad {
        suite.bad("body", "body", Value::Null, format!("a body: {name}"), text);
    }
}

fn accepted(suite: &mut Suite) {
    let limits = |input_bound: u32, max_tokens: u32, authorized_output: u32, text_bytes: u32| {
        json!({
            "input_bound": input_bound, "max_tokens": max_tokens, "authorized_output": authorized_output,
            "text_bytes": text_bytes,
        })
    };
    for (name, stated, limits) in [
        ("within all bounds", (100, 10, 20), limits(200, 64, 64, 90)),
        ("more output than was asked for", (100, 10, 70), limits(200, 64, 128, 900)),
        ("more output than was authorized", (100, 10, 70), limits(200, 128, 64, 900)),
        ("more tokens than bytes of text", (100, 10, 70), limits(200, 128, 128, 9)),
        ("more input than authorized, and more of it cached", (300, 250, 1), limits(200, 64, 64, 90)),
        ("more cached than there is input", (5, 6, 1), limits(200, 64, 64, 90)),
    ] {
        let (input, cached, output) = stated;
        let name = format!("accepted counts: {name}");
        suite.good("accepted-counts", limits, name, cbor::encode(&Counts { input, cached, output }));
    }
}
