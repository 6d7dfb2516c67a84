//! How a dishonest party makes its bytes: frames read apart, signed anew with its own key, bent, or made of nothing.
//!
//! What is absent: anybody else's signature. A forger of the simulator guesses, as one outside of it would have to.

use labman_proto_core::identity::{Identity, NetId, NodeId};
use labman_proto_core::rng::Stream;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Frame, Header, OVERHEAD, SignedFrame};
use labman_proto_core::wire::object::{self, Object};
use minicbor::encode::{Encode, Encoder, Error, Write};
use minicbor::{Decode, Decoder};

const SIGNATURE: usize = 64;
/// Length, version and kind of any frame.
const FRONT: usize = 7;

/// A whole frame that was said or heard.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) kind: u16,
    /// `None`: a light frame.
    pub(super) header: Option<Header>,
    pub(super) payload: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

impl Said {
    pub(super) fn of(frame: Frame) -> Self {
        match frame {
            Frame::Light { kind, payload } => {
                let bytes = light(kind, &payload);
                Self { kind, header: None, payload, bytes }
            }
            Frame::Signed(frame) => {
                let bytes = frame.bytes().to_vec();
                let payload = bytes.get(OVERHEAD - SIGNATURE..bytes.len() - SIGNATURE).unwrap_or_default();
                let (kind, payload) = (frame.header().kind, payload.to_vec());
                Self { kind, header: Some(*frame.header()), payload, bytes }
            }
        }
    }

    /// A frame meant for one node; the other signed ones are records.
    pub(super) fn is_directed(&self) -> bool {
        self.header.is_some_and(|header| header.dest.is_some())
    }

    pub(super) fn is_record_of(&self, node: NodeId) -> bool {
        self.header.is_some_and(|header| header.dest.is_none() && header.sender == node)
    }
}

/// A light frame of any kind.
pub(super) fn light(kind: u16, payload: &[u8]) -> Vec<u8> {
    raw(1, kind, payload)
}

/// A frame of any version and kind, its length right.
pub(super) fn raw(version: u8, kind: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRONT + rest.len());
    bytes.extend_from_slice(&((rest.len() + 3) as u32).to_be_bytes());
    bytes.push(version);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

pub(super) fn signed(by: &Identity, header: Header, payload: &[u8]) -> Vec<u8> {
    let header = Header { sender: by.node_id(), ..header };
    SignedFrame::sign(by, header, payload).bytes().to_vec()
}

/// Flips one to four bits anywhere in it.
pub(super) fn flip(bytes: &mut [u8], draws: &mut Stream) {
    for _ in 0..=draws.below(4) {
        let at = draws.below(bytes.len() as u64) as usize;
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << draws.below(8);
        }
    }
}

/// Flips one bit of what a frame's signature covers, or of the signature. Its length, version and kind stay: the reader
/// is to get as far as the signature.
pub(super) fn spoil(bytes: &mut [u8], draws: &mut Stream) {
    if bytes.len() > FRONT {
        let at = FRONT + draws.below((bytes.len() - FRONT) as u64) as usize;
        bytes[at] ^= 1 << draws.below(8);
    }
}

/// An object of the same kind whose payload is `payload`, signed by `by`. `None`: `bytes` is no object.
pub(super) fn reseal(by: &Identity, net: NetId, bytes: &[u8], payload: Vec<u8>) -> Option<Vec<u8>> {
    let kind = u16::from_be_bytes(*bytes.get(1..)?.first_chunk::<2>()?);
    Some(match kind {
        1 => seal::<1>(by, net, payload),
        2 => seal::<2>(by, net, payload),
        3 => seal::<3>(by, net, payload),
        4 => seal::<4>(by, net, payload),
        5 => seal::<5>(by, net, payload),
        6 => seal::<6>(by, net, payload),
        7 => seal::<7>(by, net, payload),
        _ => return None,
    })
}

/// An object's payload. `None`: it is too short for one.
pub(super) fn payload_of(object: &[u8]) -> Option<&[u8]> {
    object.get(47..object.len().checked_sub(SIGNATURE)?)
}

fn seal<const KIND: u16>(by: &Identity, net: NetId, payload: Vec<u8>) -> Vec<u8> {
    object::seal(by, net, Raw::<KIND>(payload)).bytes.0
}

/// An object's payload that need not be CBOR.
struct Raw<const KIND: u16>(Vec<u8>);

impl<const KIND: u16> Object for Raw<KIND> {
    const KIND: u16 = KIND;
}

impl<C, const KIND: u16> Encode<C> for Raw<KIND> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), Error<W::Error>> {
        e.writer_mut().write_all(&self.0).map_err(Error::write)
    }
}

impl<'b, C, const KIND: u16> Decode<'b, C> for Raw<KIND> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(Self(d.input().to_vec()))
    }
}

/// CBOR of no meaning, some of it outside of what labman takes.
pub(super) fn random_cbor(draws: &mut Stream) -> Vec<u8> {
    let mut out = Vec::new();
    item(&mut out, draws, 0);
    out
}

fn item(out: &mut Vec<u8>, draws: &mut Stream, depth: u32) {
    let head = |out: &mut Vec<u8>, major: u8, value: u64| {
        let mut encoded = Encoder::new(Vec::new());
        // Writing to memory does not fail.
        let _ = encoded.u64(value);
        let mut bytes = encoded.into_writer();
        if let Some(first) = bytes.first_mut() {
            *first |= major << 5;
        }
        out.extend_from_slice(&bytes);
    };
    let deep = depth > 10;
    match draws.below(if deep { 4 } else { 8 }) {
        0 => head(out, 0, draws.next_u64() >> draws.below(64)),
        1 => head(out, 1, draws.next_u64() >> draws.below(64)),
        2 => {
            let length = draws.below(40);
            head(out, 2 + draws.below(2) as u8, length);
            out.extend((0..length).map(|_| draws.next_u64() as u8 & 0x7f));
        }
        3 => out.push(0xf4 + draws.below(4) as u8),
        4 => {
            let items = draws.below(6);
            head(out, 4, items);
            (0..items).for_each(|_| item(out, draws, depth + 1));
        }
        5 | 6 => {
            let pairs = draws.below(8);
            head(out, 5, pairs);
            for key in 0..pairs {
                head(out, 0, key * (1 + draws.below(2)));
                item(out, draws, depth + 1);
            }
        }
        // A tag, a float, an indefinite length, a number longer than it need be.
        _ => {
            let odd: [&[u8]; 4] = [&[0xc0, 0x00], &[0xfa, 0, 0, 0, 0], &[0x9f, 0xff], &[0x18, 0x01]];
            out.extend_from_slice(odd[draws.below(4) as usize]);
        }
    }
}

/// The map with one pair more, of a key that this version does not know. A negative key is a critical one.
pub(super) fn with_unknown_key(map: &[u8], critical: bool) -> Option<Vec<u8>> {
    let (first, rest) = map.split_first()?;
    if !(0xa0..0xb6).contains(first) {
        return None;
    }
    let mut out = vec![first + 1];
    out.extend_from_slice(rest);
    // Key 200 or -201, with a text.
    out.extend_from_slice(if critical { &[0x38, 200] } else { &[0x18, 200] });
    out.extend_from_slice(&cbor::encode(&"from the future"));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::identity::Network;
    use labman_proto_core::rng::Seed;
    use labman_proto_core::wire::mesh::{Features, Hello};
    use labman_proto_core::wire::topic::Topics;

    #[test]
    fn an_unknown_key_is_ignored_and_a_critical_one_refused() {
        let (features, binding) = (Features::OURS, [7; 32]);
        let hello =
            cbor::encode(&Hello { features, software: "labman".into(), interest: Topics::All, binding });
        let read = |bytes: Option<Vec<u8>>| cbor::decode::<Hello>(&bytes.expect("a map")).is_ok();
        assert!(read(with_unknown_key(&hello, false)));
        assert!(!read(with_unknown_key(&hello, true)));
    }

    #[test]
    fn a_resealed_object_is_signed_well_whatever_it_holds() {
        let me = Identity::from_secret(&[5; 32]);
        let network = Network::of("test");
        let mut draws = Seed::from_u64(1).stream("cbor");
        for _ in 0..200 {
            let payload = random_cbor(&mut draws);
            let object = seal::<4>(&me, network.id, payload.clone());
            assert_eq!(payload_of(&object), Some(&payload[..]));
            let again = reseal(&me, network.id, &object, payload.clone()).expect("an object");
            match object::open::<Raw<4>>(network, None, &again) {
                Ok(opened) => assert_eq!(opened.content.0, payload),
                Err(error) => assert!(matches!(error, object::BadObject::Content(_)), "{error}"),
            }
        }
    }
}
