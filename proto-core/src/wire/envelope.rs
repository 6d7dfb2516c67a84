//! The frame in which every mesh message travels.
//!
//! ```text
//! signed = len:u32 | header | payload | sig:64          len counts what follows it; all big-endian
//! header = ver:u8 | kind:u16 | net_id:8 | sender:32 | dest:32 (zero: broadcast) | incarnation:u64 | seq:u64
//!        | issued_ms:u64 | ttl_s:u32 | payload_len:u32
//! sig    = Ed25519(sender, "labman/mesh/1\0" || header || payload)      id = BLAKE3(domain || header || payload)
//! light  = len:u32 | ver:u8 | kind:u16 | payload
//! ```
//!
//! A *signed* frame is evidence: it can be kept and forwarded verbatim. A *light* frame (a piece of a body, a chunk of
//! tokens) has no signature: it is authentic by the TLS channel, and covered by the transcript hash or body hash in a
//! signed frame of its stream, or holds a signed object.

use alloc::vec::Vec;

use crate::identity::{Identity, NetId, Network, NodeId};
use crate::limits::{BODY_FRAME, CONTROL_FRAME, GOSSIP_FRAME};
use crate::time::{Span, Wall};

pub const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"labman/mesh/1\0";
const HEADER: usize = 107;
const SIGNATURE: usize = 64;
const LIGHT_HEADER: usize = 3;
/// A signed message of up to so many bytes is put together without allocating.
const SHORT: usize = 256;
/// What a reader keeps allocated while it holds nothing, in bytes.
const KEPT: usize = 2 * 1024;
/// What a signed frame adds to its payload, in bytes.
pub const OVERHEAD: usize = 4 + HEADER + SIGNATURE;
/// What a light frame adds to its payload, in bytes.
pub const LIGHT_OVERHEAD: usize = 4 + LIGHT_HEADER;

/// What a frame holds. Kinds from 0x8000 are light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Kind {
    Hello = 1,
    PeerRecord = 2,
    CapabilityRecord = 3,
    Announce = 4,
    Want = 5,
    Prune = 6,
    Digest = 7,
    Shuffle = 8,
    Departure = 9,
    Suspicion = 10,
    Distances = 11,
    Invite = 12,
    ProxyRequest = 16,
    ProxyError = 18,
    ReceiptDelivery = 19,
    ReceiptAck = 20,
    ProxyMark = 21,
    Load = 22,
    Market = 23,
    Errand = 24,
    ErrandDone = 25,
    FepDescriptor = 26,
    Body = 0x8001,
    Chunk = 0x8002,
    StreamAck = 0x8003,
    ProxyEnd = 0x8004,
}

impl Kind {
    pub const fn from_u16(kind: u16) -> Option<Self> {
        Some(match kind {
            1 => Self::Hello,
            2 => Self::PeerRecord,
            3 => Self::CapabilityRecord,
            4 => Self::Announce,
            5 => Self::Want,
            6 => Self::Prune,
            7 => Self::Digest,
            8 => Self::Shuffle,
            9 => Self::Departure,
            10 => Self::Suspicion,
            11 => Self::Distances,
            12 => Self::Invite,
            16 => Self::ProxyRequest,
            18 => Self::ProxyError,
            19 => Self::ReceiptDelivery,
            20 => Self::ReceiptAck,
            21 => Self::ProxyMark,
            22 => Self::Load,
            23 => Self::Market,
            24 => Self::Errand,
            25 => Self::ErrandDone,
            26 => Self::FepDescriptor,
            0x8001 => Self::Body,
            0x8002 => Self::Chunk,
            0x8003 => Self::StreamAck,
            0x8004 => Self::ProxyEnd,
            _ => return None,
        })
    }

    /// The longest frame of this kind, in bytes.
    pub(crate) const fn cap(self) -> usize {
        match self {
            Self::PeerRecord | Self::CapabilityRecord | Self::Departure | Self::Suspicion => GOSSIP_FRAME,
            _ => cap_of_unknown(self as u16),
        }
    }
}

const fn cap_of_unknown(kind: u16) -> usize {
    if is_light(kind) { BODY_FRAME } else { CONTROL_FRAME }
}

const fn is_light(kind: u16) -> bool {
    kind >= 0x8000
}

/// Everything of a signed frame but its payload and signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// A [`Kind`], or a number of a later version.
    pub kind: u16,
    pub net_id: NetId,
    pub sender: NodeId,
    /// `None`: a broadcast.
    pub dest: Option<NodeId>,
    /// Which life of the sender this is: rises at each of its starts.
    pub incarnation: u64,
    /// Directed: rises on the stream. Broadcast: rises over the incarnation.
    pub seq: u64,
    pub issued: Wall,
    /// Seconds from `issued`; 0: until replaced.
    pub ttl_s: u32,
}

impl Header {
    pub fn expires(&self) -> Wall {
        self.issued + Span::from_secs(u64::from(self.ttl_s))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    Length,
    Version(u8),
    PayloadLength,
    /// A directed frame that its link's other end did not sign.
    Sender,
    /// A directed frame that is not for us.
    Destination,
    /// A directed frame whose number does not rise.
    Repeated,
    Network,
    Signature,
}

impl BadFrame {
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Length => "a frame's length is outside the bounds of its kind",
            Self::Version(_) => "a frame of another protocol version",
            Self::PayloadLength => "a frame's payload length disagrees with its length",
            Self::Sender => "a frame signed by somebody else",
            Self::Destination => "a frame for somebody else",
            Self::Repeated => "a frame was repeated",
            Self::Network => "a frame of another network",
            Self::Signature => "a frame whose signature does not hold",
        }
    }
}

impl core::fmt::Display for BadFrame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "a frame of protocol version {version}; this node speaks {VERSION}")
            }
            other => f.write_str(other.reason()),
        }
    }
}

impl core::error::Error for BadFrame {}

/// A frame cut out of a stream, not yet verified. Borrows nothing: streams arrive in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Signed(SignedFrame),
    Light { kind: u16, payload: Vec<u8> },
}

/// A signed frame's exact bytes. [`SignedFrame::open`] gives its content only if the signature holds.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedFrame {
    bytes: Vec<u8>,
    header: Header,
}

impl core::fmt::Debug for SignedFrame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SignedFrame({:?}, {} bytes)", self.header, self.bytes.len())
    }
}

impl SignedFrame {
    /// Signs a message. `header.sender` must be the identity's own id.
    pub fn sign(identity: &Identity, header: Header, payload: &[u8]) -> Self {
        debug_assert_eq!(header.sender, identity.node_id());
        let body_len = HEADER + payload.len();
        let mut bytes = Vec::with_capacity(4 + body_len + SIGNATURE);
        bytes.extend_from_slice(&((body_len + SIGNATURE) as u32).to_be_bytes());
        bytes.extend_from_slice(&write_header(&header, payload.len()));
        bytes.extend_from_slice(payload);
        let signature = in_domain(bytes.get(4..).unwrap_or_default(), |message| identity.sign(message));
        bytes.extend_from_slice(&signature);
        Self { bytes, header }
    }

    /// Parses one whole frame, such as a record that was stored or forwarded.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BadFrame> {
        match Cut::first_of(&bytes)? {
            Some(Cut { len, header: Some(header), .. }) if len == bytes.len() => Ok(Self { bytes, header }),
            _ => Err(BadFrame::Length),
        }
    }

    /// Unverified: use it to decide whether verification is worth its cost.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The frame as it was sent, to forward or store.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The payload before anybody has looked at the signature: to drop a frame by it, not to believe it.
    pub(crate) fn unverified(&self) -> &[u8] {
        self.signed_part().get(HEADER..).unwrap_or_default()
    }

    /// Whether both say the same. Not by their signatures: one statement may have several.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.signed_part() == other.signed_part()
    }

    /// As [`Self::bytes`], for a frame that is not needed any more.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// BLAKE3 of what is signed. Never depends on the signature's bytes.
    pub fn id(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(DOMAIN);
        hasher.update(self.signed_part());
        *hasher.finalize().as_bytes()
    }

    /// The payload, if network and signature hold.
    pub fn open(&self, network: Network) -> Result<&[u8], BadFrame> {
        if self.header.net_id != network.id {
            return Err(BadFrame::Network);
        }
        let body = self.signed_part();
        let signature = self.bytes.last_chunk::<SIGNATURE>().ok_or(BadFrame::Length)?;
        if !in_domain(body, |message| network.verify(&self.header.sender.0, message, signature)) {
            return Err(BadFrame::Signature);
        }
        body.get(HEADER..).ok_or(BadFrame::Length)
    }

    fn signed_part(&self) -> &[u8] {
        self.bytes.get(4..self.bytes.len() - SIGNATURE).unwrap_or_default()
    }
}

/// The directed frames that come on one stream of a link: from its other end, for us, their numbers rising.
#[derive(Clone, Debug)]
pub struct Directed {
    us: NodeId,
    peer: NodeId,
    /// Of the last frame that was accepted.
    seq: u64,
}

impl Directed {
    pub const fn new(us: NodeId, peer: NodeId) -> Self {
        Self::after(us, peer, 0)
    }

    /// Of a stream on which a frame with that number was accepted last.
    pub const fn after(us: NodeId, peer: NodeId, seq: u64) -> Self {
        Self { us, peer, seq }
    }

    /// A frame's payload, if it may be heard here. The signature is looked at last, and the number is taken only if it holds.
    pub fn open<'f>(&mut self, network: Network, frame: &'f SignedFrame) -> Result<&'f [u8], BadFrame> {
        let header = frame.header();
        if header.sender != self.peer {
            return Err(BadFrame::Sender);
        }
        if header.dest != Some(self.us) {
            return Err(BadFrame::Destination);
        }
        if header.seq <= self.seq {
            return Err(BadFrame::Repeated);
        }
        let payload = frame.open(network)?;
        self.seq = header.seq;
        Ok(payload)
    }
}

/// Frames a light message.
pub fn light(kind: Kind, payload: &[u8]) -> Vec<u8> {
    debug_assert!(is_light(kind as u16));
    let mut bytes = Vec::with_capacity(4 + LIGHT_HEADER + payload.len());
    bytes.extend_from_slice(&((LIGHT_HEADER + payload.len()) as u32).to_be_bytes());
    bytes.push(VERSION);
    bytes.extend_from_slice(&(kind as u16).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Cuts a stream's bytes into frames. Holds at most one incomplete frame, whose length was checked first.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// How much of the buffer was given out. It is dropped with the next push: once for all frames of a push, so that
    /// many small ones cost no more than one large one.
    given: usize,
}

impl FrameReader {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.given);
        self.given = 0;
        if self.buffer.capacity() - self.buffer.len() < bytes.len() {
            // Twice as much each time, as a vector grows, but no more than the frame takes. (Behind a whole frame that nobody
            // has taken yet, there is no telling.)
            match self.begun().saturating_sub(self.buffer.len()) {
                0 => self.buffer.reserve(bytes.len()),
                missing => self.buffer.reserve_exact(self.buffer.len().min(missing).max(bytes.len())),
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The length of the frame that has begun, as it says itself.
    fn begun(&self) -> usize {
        let len = self.buffer.first_chunk::<4>().map_or(0, |len| u32::from_be_bytes(*len) as usize);
        len.min(BODY_FRAME) + 4
    }

    /// Bytes of the frame that is not whole yet.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.given
    }

    /// Bytes that are set aside for it.
    pub(crate) fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// The next whole frame; `None` until more bytes come. After an error the stream is beyond repair.
    pub fn poll(&mut self) -> Result<Option<Frame>, BadFrame> {
        // A link that was told everything at once is silent for minutes after: it keeps no room for the next time.
        if self.buffered() == 0 && self.buffer.capacity() > KEPT {
            *self = Self::default();
        }
        let waiting = self.buffer.get(self.given..).unwrap_or_default();
        let Some(cut) = Cut::first_of(waiting)? else { return Ok(None) };
        let Some(bytes) = waiting.get(..cut.len) else { return Ok(None) };
        self.given += cut.len;
        Ok(Some(match cut.header {
            Some(header) => Frame::Signed(SignedFrame { bytes: bytes.to_vec(), header }),
            None => {
                let payload = bytes.get(4 + LIGHT_HEADER..).unwrap_or_default().into();
                Frame::Light { kind: cut.kind, payload }
            }
        }))
    }
}

/// Where the first frame of some bytes ends, and what it says of itself.
struct Cut {
    /// Of the whole frame.
    len: usize,
    kind: u16,
    /// A signed frame's.
    header: Option<Header>,
}

impl Cut {
    /// `None`: the frame is not whole yet. Its length is checked as soon as it is there.
    fn first_of(waiting: &[u8]) -> Result<Option<Self>, BadFrame> {
        let Some((len, rest)) = waiting.split_first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_be_bytes(*len) as usize;
        if !(LIGHT_HEADER..=BODY_FRAME).contains(&len) {
            return Err(BadFrame::Length);
        }
        // Version and kind decide the cap, before the rest is waited for.
        let Some(head) = rest.first_chunk::<LIGHT_HEADER>() else { return Ok(None) };
        let [version, kind @ ..] = *head;
        let kind = u16::from_be_bytes(kind);
        if version != VERSION {
            return Err(BadFrame::Version(version));
        }
        let cap = Kind::from_u16(kind).map_or_else(|| cap_of_unknown(kind), Kind::cap);
        if len + 4 > cap || (!is_light(kind) && len < HEADER + SIGNATURE) {
            return Err(BadFrame::Length);
        }
        let Some(body) = rest.get(..len) else { return Ok(None) };
        if is_light(kind) {
            return Ok(Some(Self { len: 4 + len, kind, header: None }));
        }
        let (header, payload_len) = read_header(body).ok_or(BadFrame::Length)?;
        if payload_len + HEADER + SIGNATURE != len {
            return Err(BadFrame::PayloadLength);
        }
        Ok(Some(Self { len: 4 + len, kind, header: Some(header) }))
    }
}

/// What is signed of a body: its domain in front of it. On the stack where it fits, as nearly every frame does.
fn in_domain<R>(body: &[u8], look: impl FnOnce(&[u8]) -> R) -> R {
    let mut short = [0; SHORT];
    let len = DOMAIN.len() + body.len();
    match short.get_mut(..len).and_then(|message| message.split_at_mut_checked(DOMAIN.len())) {
        Some((domain, rest)) => {
            domain.copy_from_slice(DOMAIN);
            rest.copy_from_slice(body);
            look(short.get(..len).unwrap_or_default())
        }
        None => look(&[DOMAIN, body].concat()),
    }
}

// Both go through an array of known length, so that none of their steps has to check for the end.

fn write_header(header: &Header, payload_len: usize) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    let mut rest = &mut out[..];
    fn put<const N: usize>(rest: &mut &mut [u8], field: [u8; N]) {
        if let Some((head, tail)) = core::mem::take(rest).split_first_chunk_mut::<N>() {
            *head = field;
            *rest = tail;
        }
    }
    put(&mut rest, [VERSION]);
    put(&mut rest, header.kind.to_be_bytes());
    put(&mut rest, header.net_id.0);
    put(&mut rest, header.sender.0);
    put(&mut rest, header.dest.map_or([0; 32], |dest| dest.0));
    put(&mut rest, header.incarnation.to_be_bytes());
    put(&mut rest, header.seq.to_be_bytes());
    put(&mut rest, header.issued.0.to_be_bytes());
    put(&mut rest, header.ttl_s.to_be_bytes());
    put(&mut rest, (payload_len as u32).to_be_bytes());
    debug_assert!(rest.is_empty());
    out
}

/// From what follows a frame's length.
fn read_header(body: &[u8]) -> Option<(Header, usize)> {
    let mut rest = &body.first_chunk::<HEADER>()?[1..];
    fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
        let (head, tail) = rest.split_first_chunk::<N>()?;
        *rest = tail;
        Some(*head)
    }
    let kind = u16::from_be_bytes(take(&mut rest)?);
    let net_id = NetId(take(&mut rest)?);
    let sender = NodeId(take(&mut rest)?);
    let dest = Some(NodeId(take(&mut rest)?)).filter(|dest| dest.0 != [0; 32]);
    let incarnation = u64::from_be_bytes(take(&mut rest)?);
    let seq = u64::from_be_bytes(take(&mut rest)?);
    let issued = Wall(u64::from_be_bytes(take(&mut rest)?));
    let ttl_s = u32::from_be_bytes(take(&mut rest)?);
    let payload_len = u32::from_be_bytes(take(&mut rest)?) as usize;
    Some((Header { kind, net_id, sender, dest, incarnation, seq, issued, ttl_s }, payload_len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame() -> SignedFrame {
        let identity = Identity::from_secret(&[3; 32]);
        let header = Header {
            kind: Kind::Hello as u16,
            net_id: NetId::of("test"),
            sender: identity.node_id(),
            dest: None,
            incarnation: 9,
            seq: 1,
            issued: Wall(1_000),
            ttl_s: 30,
        };
        SignedFrame::sign(&identity, header, b"\xa0")
    }

    #[test]
    fn any_flipped_bit_is_rejected() {
        let good = frame();
        assert_eq!(good.open(Network::of("test")), Ok(&b"\xa0"[..]));
        for at in 0..good.bytes().len() {
            for bit in 0..8 {
                let mut bytes = good.bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let opened =
                    SignedFrame::parse(bytes).and_then(|f| f.open(Network::of("test")).map(<[u8]>::to_vec));
                assert!(opened.is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_frame_of_another_network_is_rejected() {
        assert_eq!(frame().open(Network::of("other")), Err(BadFrame::Network));
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_its_frames_come_out_whole(cuts in prop::collection::vec(1usize..40, 1..40)) {
            let mut stream = frame().bytes().to_vec();
            stream.extend(light(Kind::Chunk, b"tokens"));
            stream.extend(frame().bytes());
            let (mut reader, mut frames, mut rest) = (FrameReader::default(), Vec::new(), &stream[..]);
            for cut in cuts.into_iter().chain([stream.len()]) {
                let (piece, tail) = rest.split_at(cut.min(rest.len()));
                rest = tail;
                reader.push(piece);
                while let Some(frame) = reader.poll().unwrap() {
                    frames.push(frame);
                }
            }
            prop_assert_eq!(frames.len(), 3);
            prop_assert_eq!(&frames[1], &Frame::Light { kind: Kind::Chunk as u16, payload: b"tokens".to_vec() });
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut reader = FrameReader::default();
            reader.push(&bytes);
            while let Ok(Some(_)) = reader.poll() {}
        }
    }
}
