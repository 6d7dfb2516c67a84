//! A FEP's papers, by its key rings.

use labman_proto_core::limits::{CLOCK_SKEW, FEP_KEYS};
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::keys::{CertifiedKey, KeyRing};
use labman_proto_core::wire::portal::key_id;
use serde_json::{Value, json};

use super::Suite;
use crate::craft::object_of;
use crate::format::File;
use crate::keys::{CROWD, FEP, FEP_KEY, NETWORK, OTHER, WALL, identity, node};
use crate::samples::{claim_decision, dispute_decision, issued_receipts, job_authorization, receipt, seal};

const HOUR: u64 = 3_600_000;

fn key(party: u8, from_ms: u64, until_ms: u64) -> CertifiedKey {
    CertifiedKey { key: identity(party).fep_key(), from_ms, until_ms, revoked_from_ms: None }
}

fn revoked(key: CertifiedKey, from_ms: u64) -> CertifiedKey {
    CertifiedKey { revoked_from_ms: Some(from_ms), ..key }
}

fn ring_of(keys: Vec<CertifiedKey>) -> KeyRing {
    KeyRing { fep_id: identity(FEP).fep_id(), serial: 1, keys }
}

/// Of a paper that is seen at that time by who holds a ring with these keys.
fn seen(object: &str, now_ms: u64, keys: Vec<CertifiedKey>) -> Value {
    let ring = hex::encode(seal(FEP, ring_of(keys)).bytes.0);
    json!({ "network": NETWORK, "object": object, "ring": ring, "now_ms": now_ms })
}

pub(crate) fn make() -> File {
    let mut suite = Suite::new("Key rings, and papers by their keys: protocol.md, section 4.1.");
    rings(&mut suite);
    authorizations(&mut suite);
    history(&mut suite);
    names(&mut suite);
    suite.0
}

fn rings(suite: &mut Suite) {
    let context = || json!({ "network": NETWORK });
    let by = |party, ring: &KeyRing| object_of(party, 12, &cbor::encode(ring));
    let good = key(FEP_KEY, WALL, WALL + 1);
    suite.good("ring", context(), "a ring without keys", by(FEP, &ring_of(Vec::new())));
    suite.good(
        "ring",
        context(),
        "a ring with one key, for a millisecond",
        by(FEP, &ring_of(vec![good.clone()])),
    );
    let many = |count: usize| {
        let keys = (0..count as u8).map(|number| key(CROWD + number, WALL, WALL + 1));
        by(FEP, &ring_of(keys.collect()))
    };
    suite.good("ring", context(), "a ring with 64 keys", many(FEP_KEYS));
    suite.bad("ring.keys", "ring", context(), "a ring with 65 keys", many(FEP_KEYS + 1));
    let twice = ring_of(vec![good.clone(), key(FEP_KEY, WALL + 1, WALL + 2)]);
    suite.bad("ring.keys", "ring", context(), "a ring with a key twice", by(FEP, &twice));
    let root = ring_of(vec![key(FEP, WALL, WALL + 1)]);
    suite.bad("ring.keys", "ring", context(), "a ring with its root as a key", by(FEP, &root));
    let empty = ring_of(vec![key(FEP_KEY, WALL, WALL)]);
    suite.bad("ring.keys", "ring", context(), "a ring with a key for no time", by(FEP, &empty));
    suite.bad("ring.root", "ring", context(), "a ring by one of its keys", by(FEP_KEY, &ring_of(vec![good])));
}

/// What must be valid now.
fn authorizations(suite: &mut Suite) {
    let paper = seal(FEP_KEY, job_authorization()).bytes.0;
    let skew = CLOCK_SKEW.as_millis();
    let seen = |now_ms, key| seen("JobAuthorization", now_ms, vec![key]);
    let good: [(&str, u64, CertifiedKey); 5] = [
        ("its key is valid", WALL, key(FEP_KEY, WALL - HOUR, WALL + HOUR)),
        ("its key begins at that moment", WALL, key(FEP_KEY, WALL, WALL + HOUR)),
        ("its key ends a millisecond later", WALL, key(FEP_KEY, WALL - HOUR, WALL + 1)),
        (
            "its key is revoked from a millisecond later",
            WALL,
            revoked(key(FEP_KEY, 0, WALL + HOUR), WALL + 1),
        ),
        ("its key begins in 120 s", WALL - skew, key(FEP_KEY, WALL, WALL + HOUR)),
    ];
    for (name, now_ms, key) in good {
        suite.good("paper", seen(now_ms, key), format!("an authorization: {name}"), &paper);
    }
    let bad: [(&str, u64, CertifiedKey); 6] = [
        ("its key has ended at that moment", WALL + HOUR, key(FEP_KEY, WALL - HOUR, WALL + HOUR)),
        ("its key is revoked from that moment", WALL, revoked(key(FEP_KEY, 0, WALL + HOUR), WALL)),
        (
            "its key was revoked since it was issued",
            WALL + 2,
            revoked(key(FEP_KEY, 0, WALL + HOUR), WALL + 1),
        ),
        ("its key begins in 120 s and a millisecond", WALL - skew - 1, key(FEP_KEY, WALL, WALL + HOUR)),
        ("its key began after it was issued", WALL + 2, key(FEP_KEY, WALL + 1, WALL + HOUR)),
        ("its key was revoked before it began", WALL, revoked(key(FEP_KEY, WALL, WALL + HOUR), WALL - 1)),
    ];
    for (name, now_ms, key) in bad {
        suite.bad("paper.time", "paper", seen(now_ms, key), format!("an authorization: {name}"), &paper);
    }
    let stranger = seen(WALL, key(OTHER, 0, WALL + HOUR));
    suite.bad("paper.key", "paper", stranger, "an authorization: its key is in no ring", &paper);
    let root = seal(FEP, job_authorization()).bytes.0;
    let context = seen(WALL, key(FEP_KEY, 0, WALL + HOUR));
    suite.bad("paper.key", "paper", context, "an authorization by the root", root);
}

/// What must have been valid when it was issued.
fn history(suite: &mut Suite) {
    let papers: [(&str, Vec<u8>, u64); 4] = [
        ("Receipt", seal(FEP_KEY, receipt()).bytes.0, receipt().issued_ms),
        ("ClaimDecision", seal(FEP_KEY, claim_decision()).bytes.0, claim_decision().decided_ms),
        ("IssuedReceipts", seal(FEP_KEY, issued_receipts()).bytes.0, issued_receipts().issued_ms),
        ("DisputeDecision", seal(FEP_KEY, dispute_decision()).bytes.0, dispute_decision().decided_ms),
    ];
    for (object, paper, issued) in papers {
        let long_after = issued + 1_000 * HOUR;
        let seen = |key| seen(object, long_after, vec![key]);
        for (name, key) in [
            ("by a key that has ended since", key(FEP_KEY, issued, issued + 1)),
            ("by a key that is revoked since", revoked(key(FEP_KEY, 0, u64::MAX), issued + 1)),
        ] {
            suite.good("paper", seen(key), format!("{object}: {name}"), &paper);
        }
        for (name, key) in [
            ("by a key that had ended", key(FEP_KEY, issued - 1, issued)),
            ("by a key that had not begun", key(FEP_KEY, issued + 1, issued + HOUR)),
            ("by a key that was revoked", revoked(key(FEP_KEY, 0, u64::MAX), issued)),
        ] {
            suite.bad("paper.time", "paper", seen(key), format!("{object}: {name}"), &paper);
        }
        suite.bad(
            "paper.key",
            "paper",
            seen(key(OTHER, 0, u64::MAX)),
            format!("{object}: by a key that is in no ring"),
            &paper,
        );
    }
}

fn names(suite: &mut Suite) {
    let context = |object| seen(object, WALL, vec![key(FEP_KEY, 0, u64::MAX)]);
    let mut auth = job_authorization();
    auth.key_id = key_id(&node(OTHER).0);
    let paper = seal(FEP_KEY, auth).bytes.0;
    suite.bad(
        "paper.names",
        "paper",
        context("JobAuthorization"),
        "an authorization that names another key",
        paper,
    );
    let mut other = receipt();
    other.fep_id = identity(OTHER).fep_id();
    let paper = seal(FEP_KEY, other).bytes.0;
    suite.bad("paper.names", "paper", context("Receipt"), "a receipt that names another FEP", paper);
}
