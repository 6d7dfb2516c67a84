//! What each fuzz target does with its bytes: decodes them as a hostile party's, and holds what must hold.
//!
//! A body panics if a promise is broken and does nothing otherwise. libFuzzer calls it millions of times (`fuzz/`); the
//! test of this crate calls it with every file of `fuzz/corpus`, on stable and without instruments.
//!
//! Absent: real signatures where a stranger's bytes shall get past them. Such targets sign by the simulator's tags, which
//! cost a hundredth and hold as little back from a fuzzer as they should.

pub mod driver;
mod feed;
pub mod files;
pub mod http;
pub mod node;
pub mod portal;
pub mod portman;
pub mod wire;

use labman_proto_core::identity::{Identity, Network};
use labman_proto_core::wire::keys::{CertifiedKey, KeyRing};
use labman_proto_core::wire::object;

/// A target's name, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target: one for each decoder, and one for each machine that takes bytes from outside.
pub const TARGETS: &[Target] = &[
    ("cbor", wire::cbor),
    ("frame_reader", wire::frame_reader),
    ("signed_frame", wire::signed_frame),
    ("mesh_message", wire::mesh_message),
    ("signed_object", wire::signed_object),
    ("portman_line", wire::portman_line),
    ("chat_request", http::chat_request),
    ("sse", http::sse),
    ("runtime_chunk", http::runtime_chunk),
    ("journal", files::journal),
    ("store_rows", files::store_rows),
    ("config", files::config),
    ("scenario", files::scenario),
    ("node", node::node),
    ("portal", portal::portal),
    ("portman", portman::portman),
];

/// The network of all targets.
const NETWORK: &str = "fuzz";

/// Keys are numbers.
fn identity(number: u8) -> Identity {
    labman_sim::tag::identity(&[number; 32])
}

/// A ring of that root's, with these keys: numbers, the time from which each signs, and from which it is revoked.
fn ring(root: u8, serial: u64, keys: &[(u8, u64, Option<u64>)]) -> Vec<u8> {
    let certified = |(number, from_ms, revoked_from_ms): &(u8, u64, Option<u64>)| CertifiedKey {
        key: identity(*number).fep_key(),
        from_ms: *from_ms,
        until_ms: u64::MAX,
        revoked_from_ms: *revoked_from_ms,
    };
    let keys = keys.iter().map(certified).collect();
    let ring = KeyRing { fep_id: identity(root).fep_id(), serial, keys };
    object::seal(&identity(root), network().id, ring).bytes.0
}

fn network() -> Network {
    identity(0).network(NETWORK)
}
