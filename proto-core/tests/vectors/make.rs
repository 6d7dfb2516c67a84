//! Makes the vectors: what is fed in, and what must come of it. The details of what is accepted are read by our decoders;
//! that it is accepted, and which rule refuses it where it is not, is said here.

mod cbor;
mod control;
mod frames;
mod ids;
mod jobs;
mod light;
mod merkle;
mod objects;
mod papers;
mod records;
mod shuffles;
mod signatures;
mod streams;
mod transcripts;

use serde_json::{Map, Value, json};

use crate::check;
use crate::craft;
use crate::format::{File, Vector, Verdict, pack};
use crate::keys::{GATEWAY, NETWORK, PROVIDER, node};
use crate::samples::{BINDING, Message};

type Make = fn() -> File;

/// The files, and who makes each.
pub(crate) const FILES: [(&str, Make); 14] = [
    ("cbor", cbor::make),
    ("control", control::make),
    ("frames", frames::make),
    ("ids", ids::make),
    ("jobs", jobs::make),
    ("light", light::make),
    ("merkle", merkle::make),
    ("objects", objects::make),
    ("papers", papers::make),
    ("records", records::make),
    ("shuffles", shuffles::make),
    ("signatures", signatures::make),
    ("streams", streams::make),
    ("transcripts", transcripts::make),
];

struct Suite(File);

impl Suite {
    fn new(about: &str) -> Self {
        Self(File { about: about.into(), vectors: Vec::new() })
    }

    fn good(&mut self, what: &str, context: Value, name: impl Into<String>, input: impl AsRef<[u8]>) {
        let vector = self.ask(what, context, name, input);
        match &vector.expect {
            Verdict::Accept(_) => self.0.vectors.push(vector),
            Verdict::Reject(rule) => panic!("{} is refused by {rule}", vector.name),
        }
    }

    fn bad(
        &mut self,
        rule: &str,
        what: &str,
        context: Value,
        name: impl Into<String>,
        input: impl AsRef<[u8]>,
    ) {
        let vector = self.ask(what, context, name, input);
        let expect = Verdict::Reject(rule.into());
        assert!(crate::agrees(&vector.expect, &expect), "{}: {:?}, not {rule}", vector.name, vector.expect);
        self.0.vectors.push(Vector { expect, ..vector });
    }

    fn ask(&self, what: &str, context: Value, name: impl Into<String>, input: impl AsRef<[u8]>) -> Vector {
        let context = match context {
            Value::Object(context) => context,
            _ => Map::new(),
        };
        let mut vector = Vector {
            name: name.into(),
            what: what.into(),
            context,
            input: pack(input.as_ref()),
            expect: Verdict::Reject(String::new()),
        };
        vector.expect = check::verdict(&vector);
        vector
    }

    /// What every message must refuse and tolerate, whatever it says. `frame` puts a payload into what is fed in.
    fn message(
        &mut self,
        what: &str,
        context: &Value,
        name: &str,
        sample: &Sample<'_>,
        frame: impl Fn(&[u8]) -> Vec<u8>,
    ) {
        let Sample { payload, optional } = sample;
        let pairs = craft::pairs(payload);
        let named = |rest: &str| format!("{name}: {rest}");
        self.good(what, context.clone(), named("a good one"), frame(payload));
        let unknown = craft::with(payload, 1_000, Some(b"\x63new"));
        self.good(what, context.clone(), named("an unknown key is ignored"), frame(&unknown));
        for key in *optional {
            let null = craft::with(payload, *key, Some(&[0xf6]));
            self.good(
                what,
                context.clone(),
                named(&format!("key {key} is null, which is as absent")),
                frame(&null),
            );
            let absent = craft::with(payload, *key, None);
            self.good(what, context.clone(), named(&format!("key {key} is absent")), frame(&absent));
        }
        let critical = craft::with_critical(payload);
        self.bad("cbor.critical", what, context.clone(), named("an unknown critical key"), frame(&critical));
        let behind = [payload.as_slice(), &[0xf6]].concat();
        self.bad("cbor.trailing", what, context.clone(), named("an item behind it"), frame(&behind));
        self.bad("content", what, context.clone(), named("an array in its place"), frame(&[0x80]));
        let required: Vec<u64> =
            pairs.iter().map(|(key, _)| *key).filter(|key| !optional.contains(key)).collect();
        let (Some(first), Some(last)) = (required.first(), required.last()) else { return };
        let without = craft::with(payload, *last, None);
        self.bad("content", what, context.clone(), named(&format!("key {last} is missing")), frame(&without));
        // No field of any message is a map with only that in it.
        let wrong = craft::with(payload, *first, Some(&[0xa1, 0x18, 0x63, 0xf6]));
        self.bad(
            "content",
            what,
            context.clone(),
            named(&format!("key {first} is of another type")),
            frame(&wrong),
        );
    }
}

struct Sample<'a> {
    payload: Vec<u8>,
    optional: &'a [u64],
}

impl<'a> From<&'a Message> for Sample<'a> {
    fn from(message: &'a Message) -> Self {
        Self { payload: (message.payload)(), optional: message.optional }
    }
}

/// The gateway hears the provider.
fn to_gateway(last_seq: u64) -> Value {
    json!({
        "network": NETWORK,
        "receiver": hex::encode(node(GATEWAY).0),
        "peer": hex::encode(node(PROVIDER).0),
        "last_seq": last_seq,
    })
}

/// As [`to_gateway`], first of all on a connection.
fn to_gateway_first() -> Value {
    let mut context = to_gateway(0);
    context["binding"] = hex::encode(BINDING).into();
    context
}
