//! Transcripts: hashes over the chunks of a stream.

use labman_proto_core::economics::Counts;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::mesh::Chunk;
use serde_json::json;

use super::Suite;
use crate::format::File;

pub(crate) fn make() -> File {
    let mut suite =
        Suite::new("Transcripts; the input is the payloads, of these lengths: protocol.md, section 8.1.");
    let chunk = |output: u32, data: &[u8]| {
        cbor::encode(&Chunk { counts: Counts { input: 9, cached: 0, output }, data: Blob(data.to_vec()) })
    };
    let mut say = |name: &str, payloads: Vec<Vec<u8>>| {
        let lengths: Vec<usize> = payloads.iter().map(Vec::len).collect();
        suite.good("transcript", json!({ "lengths": lengths }), name, payloads.concat());
    };
    say("of no chunk", vec![]);
    say("of one chunk", vec![chunk(1, b"{}")]);
    say("of three chunks", vec![chunk(1, b"{\"a\":1}"), chunk(2, b"{\"b\":2}"), chunk(3, b"{}")]);
    say("of the same bytes cut in two ways: one", vec![b"ab".to_vec(), b"c".to_vec()]);
    say("of the same bytes cut in two ways: another", vec![b"a".to_vec(), b"bc".to_vec()]);
    say("of an empty payload", vec![vec![]]);
    say("of 65 chunks", (1..=65).map(|n| chunk(n, b"{}")).collect());
    suite.0
}
