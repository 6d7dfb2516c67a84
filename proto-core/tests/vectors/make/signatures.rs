//! Strict Ed25519: what a lax verifier takes and labman must not, bare and in frames; and what both take.

use curve25519_dalek::constants::ED25519_BASEPOINT_TABLE;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use serde_json::{Value, json};

use super::{Suite, to_gateway};
use crate::craft::{
    by_key, by_small_order, expanded, hash, header, malleable, raw_sign, resigned, sign_with, signature_of,
    signed, torsion,
};
use crate::format::File;
use crate::keys::{PROVIDER, node};
use crate::samples::receipt_ack;

const WHAT: &str = "signature";
const MESSAGE: &[u8] = b"labman/mesh/1\0 and so on";

/// Other ways to write the neutral point, and the point of order two: no encoder makes them.
const NEUTRAL: [(&str, [u8; 32]); 3] = [
    ("y = 1 with the sign bit of x", with_ends(0x01, 0x00, 0x80)),
    ("y = p + 1", with_ends(0xee, 0xff, 0x7f)),
    ("y = p + 1 with the sign bit of x", with_ends(0xee, 0xff, 0xff)),
];

const fn with_ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    (bytes[0], bytes[31]) = (first, last);
    bytes
}

fn by(signer: &[u8; 32]) -> Value {
    json!({ "signer": hex::encode(signer), "message": hex::encode(MESSAGE) })
}

pub(crate) fn make() -> File {
    let mut suite = Suite::new("Ed25519, verified strictly: protocol.md, section 1.");
    let provider = node(PROVIDER).0;
    let (secret, _) = expanded(PROVIDER);
    let good = raw_sign(PROVIDER, MESSAGE);
    suite.good(WHAT, by(&provider), "a good one", good);
    let no_message = json!({ "signer": hex::encode(provider), "message": "" });
    suite.good(WHAT, no_message, "of the empty message", raw_sign(PROVIDER, b""));
    suite.bad(WHAT, WHAT, by(&provider), "of another message", raw_sign(PROVIDER, b"something else"));
    suite.bad(WHAT, WHAT, by(&node(7).0), "by another key", good);
    suite.bad(WHAT, WHAT, by(&provider), "all zeros", [0; 64]);
    suite.bad(WHAT, WHAT, by(&provider), "S + L in place of S", malleable(&good));
    let mut high = good;
    high[63] |= 0x80;
    suite.bad(WHAT, WHAT, by(&provider), "the highest bit of S is set", high);
    let mut zero = good;
    zero[32..].fill(0);
    suite.bad(WHAT, WHAT, by(&provider), "S is 0", zero);
    let mut sign = good;
    sign[31] ^= 0x80;
    suite.bad(WHAT, WHAT, by(&provider), "the sign of R is changed", sign);
    let mut no_point = good;
    no_point[..32].copy_from_slice(&no_such_point());
    suite.bad(WHAT, WHAT, by(&provider), "R is no point", no_point);
    suite.bad(WHAT, WHAT, by(&no_such_point()), "the key is no point", good);

    for at in 0..8 {
        let point = torsion(at);
        let key = point.compress().0;
        suite.bad(
            WHAT,
            WHAT,
            by(&key),
            format!("by the key of small order {at}"),
            by_small_order(&key, point, MESSAGE),
        );
    }
    for (name, key) in NEUTRAL {
        let signature = by_small_order(&key, EdwardsPoint::default(), MESSAGE);
        suite.bad(WHAT, WHAT, by(&key), format!("by the neutral point, written as {name}"), signature);
        let signature = sign_with(&provider, &key, Scalar::ZERO, secret, MESSAGE);
        suite.bad(WHAT, WHAT, by(&provider), format!("R is the neutral point, written as {name}"), signature);
    }
    let neutral = EdwardsPoint::default().compress().0;
    let signature = sign_with(&provider, &neutral, Scalar::ZERO, secret, MESSAGE);
    suite.bad(WHAT, WHAT, by(&provider), "R is the neutral point, and the equation holds", signature);

    // The equation without the cofactor: with it, both of these would hold.
    let r = Scalar::from(77u64);
    let mixed_r = (ED25519_BASEPOINT_TABLE * &r + torsion(1)).compress().0;
    let signature = sign_with(&provider, &mixed_r, r, secret, MESSAGE);
    suite.bad(
        WHAT,
        WHAT,
        by(&provider),
        "R has a part of order 8: only the equation with the cofactor holds",
        signature,
    );
    let mixed = (ED25519_BASEPOINT_TABLE * &secret + torsion(1)).compress().0;
    for (n, cofactorless) in [(0, true), (1, false)] {
        let (signature, k) = by_mixed(&mixed, secret, cofactorless);
        assert_eq!((torsion(1) * k == EdwardsPoint::default()), n == 0);
        match cofactorless {
            true => suite.good(
                WHAT,
                by(&mixed),
                "by a key with a part of order 8, where the equation holds",
                signature,
            ),
            false => {
                let name = "by a key with a part of order 8: only the equation with the cofactor holds";
                suite.bad(WHAT, WHAT, by(&mixed), name, signature);
            }
        }
    }

    in_frames(&mut suite);
    suite.0
}

fn in_frames(suite: &mut Suite) {
    let (what, rule) = ("directed", "frame.signature");
    let kind = Kind::ReceiptAck as u16;
    let payload = cbor::encode(&receipt_ack());
    let good = signed(PROVIDER, header(kind), &payload);
    let bent = resigned(&good, &malleable(&signature_of(&good)));
    suite.bad(rule, what, to_gateway(0), "a frame with S + L in place of S", bent);
    for at in [0, 1, 4] {
        let key = torsion(at).compress().0;
        let frame = by_key(key, header(kind), &payload, |message| by_small_order(&key, torsion(at), message));
        let mut context = to_gateway(0);
        context["peer"] = hex::encode(key).into();
        suite.bad(rule, what, context, format!("a frame by the key of small order {at}"), frame);
    }
    let (secret, _) = expanded(PROVIDER);
    let key = node(PROVIDER).0;
    let neutral = EdwardsPoint::default().compress().0;
    let frame = by_key(key, header(kind), &payload, |message| {
        sign_with(&key, &neutral, Scalar::ZERO, secret, message)
    });
    suite.bad(rule, what, to_gateway(0), "a frame whose R is the neutral point", frame);
}

/// Thirty-two bytes that are no point's encoding.
fn no_such_point() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = 2;
    while CompressedEdwardsY(bytes).decompress().is_some() {
        bytes[0] += 1;
    }
    bytes
}

/// By a key of mixed order: one whose `[k]A` has a part of small order left, or none.
fn by_mixed(key: &[u8; 32], secret: Scalar, holds: bool) -> ([u8; 64], Scalar) {
    for n in 1u64.. {
        let r = Scalar::from(n);
        let r_bytes = (ED25519_BASEPOINT_TABLE * &r).compress().0;
        let k = hash(&[&r_bytes, key, MESSAGE]);
        if (torsion(1) * k == EdwardsPoint::default()) == holds {
            return (sign_with(key, &r_bytes, r, secret, MESSAGE), k);
        }
    }
    unreachable!("one k in eight will do")
}
