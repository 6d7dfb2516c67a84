//! Bytes that our own code would not make: bent frames and objects, signed anew; CBOR put together by hand; signatures that
//! only a strict verifier refuses.

use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use labman_proto_core::identity::NetId;
use labman_proto_core::time::Wall;
use labman_proto_core::wire::envelope::{Header, Kind, SignedFrame};
use minicbor::{Decoder, Encoder};
use sha2::{Digest as _, Sha512};

use crate::keys::{GATEWAY, NETWORK, PROVIDER, WALL, identity, node};

pub(crate) const MESH: &[u8] = b"labman/mesh/1\0";
pub(crate) const OBJECT: &[u8] = b"labman/object/1\0";

/// Of a frame from the provider to the gateway.
pub(crate) fn header(kind: u16) -> Header {
    Header {
        kind,
        net_id: NetId::of(NETWORK),
        sender: node(PROVIDER),
        dest: Some(node(GATEWAY)),
        incarnation: WALL - 1_000,
        seq: 1,
        issued: Wall(WALL),
        ttl_s: 0,
    }
}

/// Of a record of the provider's.
pub(crate) fn broadcast(kind: Kind) -> Header {
    Header { dest: None, ttl_s: 1_800, ..header(kind as u16) }
}

pub(crate) fn signed(party: u8, header: Header, payload: &[u8]) -> Vec<u8> {
    SignedFrame::sign(&identity(party), Header { sender: node(party), ..header }, payload).into_bytes()
}

/// A frame whose header is bent after it was made, and then signed.
pub(crate) fn bent(frame: &[u8], bend: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = frame[..frame.len() - 64].to_vec();
    bend(&mut bytes);
    let signature = raw_sign(PROVIDER, &[MESH, &bytes[4..]].concat());
    [bytes, signature.to_vec()].concat()
}

/// As [`bent`], for an object of that party's.
pub(crate) fn bent_object(party: u8, object: &[u8], bend: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = object[..object.len() - 64].to_vec();
    bend(&mut bytes);
    let signature = raw_sign(party, &[OBJECT, &bytes].concat());
    [bytes, signature.to_vec()].concat()
}

/// An object with any payload.
pub(crate) fn object_of(party: u8, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend(kind.to_be_bytes());
    bytes.extend(NetId::of(NETWORK).0);
    bytes.extend(node(party).0);
    bytes.extend((payload.len() as u32).to_be_bytes());
    bytes.extend(payload);
    let signature = raw_sign(party, &[OBJECT, &bytes].concat());
    [bytes, signature.to_vec()].concat()
}

/// Ed25519 by its definition: for messages of other domains than ours.
pub(crate) fn raw_sign(party: u8, message: &[u8]) -> [u8; 64] {
    let (secret, nonce) = expanded(party);
    let r = hash(&[&nonce, message]);
    sign_with(&node(party).0, &(ED25519_BASEPOINT_TABLE * &r).compress().0, r, secret, message)
}

/// `R` as it is written, `S = r + k * secret`.
pub(crate) fn sign_with(
    key: &[u8; 32],
    r_bytes: &[u8; 32],
    r: Scalar,
    secret: Scalar,
    message: &[u8],
) -> [u8; 64] {
    let k = hash(&[r_bytes, key, message]);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r_bytes);
    signature[32..].copy_from_slice((r + k * secret).as_bytes());
    signature
}

/// The scalar of a party's key, and what its nonces come from.
pub(crate) fn expanded(party: u8) -> (Scalar, [u8; 32]) {
    let [low, high] = halves(Sha512::digest([party; 32]).into());
    (Scalar::from_bytes_mod_order(clamp_integer(low)), high)
}

pub(crate) fn hash(parts: &[&[u8]]) -> Scalar {
    let mut hasher = Sha512::new();
    parts.iter().for_each(|part| hasher.update(part));
    let wide: [u8; 64] = hasher.finalize().into();
    Scalar::from_bytes_mod_order_wide(&wide)
}

fn halves(whole: [u8; 64]) -> [[u8; 32]; 2] {
    let (low, high) = whole.split_at(32);
    [low.try_into().expect("32 bytes"), high.try_into().expect("32 bytes")]
}

/// A point of order 1, 2, 4 or 8.
pub(crate) fn torsion(at: usize) -> EdwardsPoint {
    EIGHT_TORSION[at]
}

/// A good signature by a key of small order: `[S]B = R + [k]A` holds where `[k]A` is nothing.
pub(crate) fn by_small_order(key: &[u8; 32], point: EdwardsPoint, message: &[u8]) -> [u8; 64] {
    for n in 1u64.. {
        let r = Scalar::from(n);
        let r_bytes = (ED25519_BASEPOINT_TABLE * &r).compress().0;
        let k = hash(&[&r_bytes, key, message]);
        if point * k == EdwardsPoint::default() {
            return sign_with(key, &r_bytes, r, Scalar::ZERO, message);
        }
    }
    unreachable!("one k in eight will do")
}

/// The same signature with L added to its S, which RFC 8032 forbids.
pub(crate) fn malleable(signature: &[u8; 64]) -> [u8; 64] {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (mut sum, mut carry) = (*signature, 0);
    for (byte, add) in sum[32..].iter_mut().zip(L) {
        let total = u16::from(*byte) + u16::from(add) + carry;
        *byte = total as u8;
        carry = total >> 8;
    }
    sum
}

/// A frame or object with another signature.
pub(crate) fn resigned(bytes: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    [&bytes[..bytes.len() - 64], signature].concat()
}

pub(crate) fn signature_of(bytes: &[u8]) -> [u8; 64] {
    bytes[bytes.len() - 64..].try_into().expect("64 bytes")
}

/// A frame whose sender is any 32 bytes, its signature made from the message that is signed.
pub(crate) fn by_key(
    key: [u8; 32],
    header: Header,
    payload: &[u8],
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> Vec<u8> {
    let mut frame = signed(PROVIDER, header, payload);
    frame[4 + 11..4 + 43].copy_from_slice(&key);
    let message = [MESH, &frame[4..frame.len() - 64]].concat();
    resigned(&frame, &sign(&message))
}

/// An encoded map taken apart: each key with its encoded value.
pub(crate) fn pairs(map: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut from = Decoder::new(map);
    let count = from.map().expect("a map").expect("of definite length");
    let mut pairs = Vec::new();
    for _ in 0..count {
        let key = from.u64().expect("a key");
        let begin = from.position();
        from.skip().expect("a value");
        pairs.push((key, map[begin..from.position()].to_vec()));
    }
    pairs
}

pub(crate) fn map(pairs: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut out = Encoder::new(Vec::new());
    out.map(pairs.len() as u64).expect("memory");
    for (key, value) in pairs {
        out.u64(*key).expect("memory");
        out.writer_mut().extend_from_slice(value);
    }
    out.into_writer()
}

/// The map with that key set, or without it.
pub(crate) fn with(encoded: &[u8], key: u64, value: Option<&[u8]>) -> Vec<u8> {
    let mut pairs = pairs(encoded);
    pairs.retain(|(at, _)| *at != key);
    pairs.extend(value.map(|value| (key, value.to_vec())));
    pairs.sort_by_key(|(at, _)| *at);
    map(&pairs)
}

/// The map with a critical key behind its others: -1, null.
pub(crate) fn with_critical(encoded: &[u8]) -> Vec<u8> {
    assert!((0xa0..0xb7).contains(&encoded[0]), "a short map");
    [&[encoded[0] + 1], &encoded[1..], &[0x20, 0xf6]].concat()
}
