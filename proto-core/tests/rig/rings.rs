//! Key rings and descriptors, as roots and signing keys make them.

use labman_proto_core::economics::Fees;
use labman_proto_core::identity::{Identity, Network};
use labman_proto_core::wire::cbor::Blob;
use labman_proto_core::wire::keys::{CertifiedKey, Descriptor, KeyRing, Quote};
use labman_proto_core::wire::object;

/// A key that is certified for all time.
pub(crate) fn always(key: &Identity) -> CertifiedKey {
    between(key, 0, u64::MAX)
}

pub(crate) fn between(key: &Identity, from_ms: u64, until_ms: u64) -> CertifiedKey {
    CertifiedKey { key: key.fep_key(), from_ms, until_ms, revoked_from_ms: None }
}

pub(crate) fn revoked(key: CertifiedKey, from_ms: u64) -> CertifiedKey {
    CertifiedKey { revoked_from_ms: Some(from_ms), ..key }
}

pub(crate) fn ring(root: &Identity, serial: u64, keys: Vec<CertifiedKey>) -> Vec<u8> {
    object::seal(root, Network::of("test").id, KeyRing { fep_id: root.fep_id(), serial, keys }).bytes.0
}

#[allow(dead_code, reason = "a portal makes its own")]
pub(crate) fn descriptor(signer: &Identity, ring: Vec<u8>, issued_ms: u64, fees: Fees) -> Vec<u8> {
    quoting(signer, ring, issued_ms, fees, Vec::new())
}

#[allow(dead_code, reason = "a portal makes its own")]
pub(crate) fn quoting(
    signer: &Identity,
    ring: Vec<u8>,
    issued_ms: u64,
    fees: Fees,
    quotes: Vec<Quote>,
) -> Vec<u8> {
    let (ring, currency, rails) = (Blob(ring), "XTS".parse().unwrap(), Vec::new());
    let descriptor = Descriptor { ring, issued_ms, currency, fees, rails, quotes };
    object::seal(signer, Network::of("test").id, descriptor).bytes.0
}
