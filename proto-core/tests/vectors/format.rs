//! A vector as it stands in its file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) about: String,
    pub(crate) vectors: Vec<Vector>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Vector {
    /// Unique in its file; a sentence about the input.
    pub(crate) name: String,
    /// Which question is asked: see `check.rs`, and protocol.md, section 14.
    pub(crate) what: String,
    /// What the answer depends on beside the input.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) context: Map<String, Value>,
    /// [Packed](pack) bytes.
    pub(crate) input: String,
    pub(crate) expect: Verdict,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// What is read out of the input.
    Accept(Value),
    /// Which rule it breaks.
    Reject(String),
}

impl Vector {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        unpack(&self.input)
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        let text = self.context.get(key).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("{}: no {key} in its context", self.name))
    }

    pub(crate) fn number(&self, key: &str) -> u64 {
        let number = self.context.get(key).and_then(Value::as_u64);
        number.unwrap_or_else(|| panic!("{}: no {key} in its context", self.name))
    }

    pub(crate) fn id(&self, key: &str) -> [u8; 32] {
        self.maybe_id(key).unwrap_or_else(|| panic!("{}: no {key} in its context", self.name))
    }

    pub(crate) fn maybe_id(&self, key: &str) -> Option<[u8; 32]> {
        let text = self.context.get(key)?.as_str()?;
        Some(hex::decode(text).expect("hex").try_into().expect("32 bytes"))
    }
}

/// A run of equal bytes at least so long is written short.
const RUN: usize = 48;

/// Hex, in which `{n:xx}` stands for n times the byte xx.
pub(crate) fn pack(bytes: &[u8]) -> String {
    let mut text = String::new();
    for run in bytes.chunk_by(|one, next| one == next) {
        let byte = hex::encode(&run[..1]);
        match run.len() {
            RUN.. => text.push_str(&format!("{{{}:{byte}}}", run.len())),
            short => text.push_str(&byte.repeat(short)),
        }
    }
    text
}

pub(crate) fn unpack(text: &str) -> Vec<u8> {
    let plain = |hex: &str| hex::decode(hex).unwrap_or_else(|_| panic!("{hex:?} is not hex"));
    let mut pieces = text.split('{');
    let mut bytes = plain(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (run, rest) = piece.split_once('}').expect("a run ends");
        let (count, byte) = run.split_once(':').expect("a run has its byte");
        bytes.extend(plain(byte).repeat(count.parse().expect("a run has its length")));
        bytes.extend(plain(rest));
    }
    bytes
}

pub(crate) fn path(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", &format!("{file}.json")].iter().collect()
}

impl File {
    pub(crate) fn read(file: &str) -> Self {
        let path = path(file);
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn write(&self, file: &str) {
        let mut text = serde_json::to_vec_pretty(self).expect("our own types");
        text.push(b'\n');
        std::fs::write(path(file), text).expect("the vectors' directory is there");
    }
}
