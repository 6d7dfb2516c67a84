//! Bytes of links: CBOR, frames, messages, signed objects, Portman lines.

use labman_proto_core::http::Lines;
use labman_proto_core::identity::Network;
use labman_proto_core::limits::{BODY_FRAME, PORTMAN_LINE};
use labman_proto_core::time::Wall;
use labman_proto_core::wire::cbor::{check, decode, encode};
use labman_proto_core::wire::envelope::{BadFrame, Frame, FrameReader, Header, SignedFrame};
use labman_proto_core::wire::keys::{Descriptor, KeyRing};
use labman_proto_core::wire::mesh::{
    Announce, CapabilityRecord, Chunk, Departure, Digest, Distances, Errand, ErrandDone, FepDescriptor,
    Hello, Invitation, Invite, Load, Market, PeerRecord, ProxyEnd, ProxyError, ProxyMark, ProxyRequest,
    Prune, ReceiptAck, ReceiptDelivery, Shuffle, Suspicion, Taken, Want,
};
use labman_proto_core::wire::object::{self, Object};
use labman_proto_core::wire::portal::{
    AttemptRelease, AuthorizeRequest, Claim, ClaimDecision, Dispute, DisputeDecision, IssuedReceipts,
    JobAuthorization, Offer, Receipt, ReceiptsRequest, StreamAck, UsageReport, UsageStatement,
};
use labman_proto_core::wire::portman::{FromPortman, ToPortman};
use minicbor::{Decode, Encode};
use serde_json::Value;

use crate::feed::Feed;
use crate::{NETWORK, identity, network};

/// What the check lets through, a decoder walks to its end without an error.
pub fn cbor(bytes: &[u8]) {
    if check(bytes).is_ok() {
        let mut decoder = minicbor::Decoder::new(bytes);
        decoder.skip().expect("what was checked is CBOR");
        assert_eq!(decoder.position(), bytes.len(), "what was checked is one item");
        // The shortest form is the only one: a cut anywhere is noticed.
        for end in 0..bytes.len().min(64) {
            assert!(check(&bytes[..end]).is_err(), "an item that ends twice");
        }
    }
}

/// However a stream is cut, the same frames come out, byte for byte, and nothing more is held than one of them.
pub fn frame_reader(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let cuts: [u8; 4] = feed.array();
    let stream = feed.rest();
    let whole = frames(&[stream]);
    let mut pieces = Vec::new();
    let (mut rest, mut turn) = (stream, 0);
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at((1 + usize::from(cuts[turn % 4])).min(rest.len()));
        pieces.push(piece);
        (rest, turn) = (tail, turn + 1);
    }
    assert_eq!(frames(&pieces), whole, "frames depend on how their stream was cut");
    let mut sent = stream;
    for frame in &whole.0 {
        if let Frame::Signed(frame) = frame {
            let (head, _) = sent.split_at(frame.bytes().len());
            assert_eq!(head, frame.bytes(), "a frame is not what was sent");
            assert_eq!(SignedFrame::parse(frame.bytes().to_vec()).as_ref(), Ok(frame));
        }
        sent = &sent[length(frame)..];
    }
}

fn length(frame: &Frame) -> usize {
    match frame {
        Frame::Signed(frame) => frame.bytes().len(),
        Frame::Light { payload, .. } => payload.len() + labman_proto_core::wire::envelope::LIGHT_OVERHEAD,
    }
}

fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, Option<BadFrame>) {
    let mut reader = FrameReader::default();
    let mut found = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.poll() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(bad) => return (found, Some(bad)),
            }
        }
        assert!(reader.buffered() < BODY_FRAME, "more than one frame is held");
    }
    (found, None)
}

/// A stranger's bytes never open, and of a good frame no byte can be another.
pub fn signed_frame(bytes: &[u8]) {
    if let Ok(frame) = SignedFrame::parse(bytes.to_vec()) {
        assert_eq!(frame.bytes(), bytes);
        let _ = frame.id();
        let _ = frame.open(Network::of(NETWORK));
        let _ = frame.open(network());
    }
    let mut feed = Feed::new(bytes);
    let (at, bit) = (feed.u16(), feed.u8() % 8);
    let signer = identity(feed.u8());
    let header = header(&mut feed, signer.node_id());
    let payload = feed.rest();
    if labman_proto_core::wire::envelope::OVERHEAD + payload.len() > 16 * 1024 || header.kind >= 0x8000 {
        return;
    }
    let good = SignedFrame::sign(&signer, header, payload);
    assert_eq!(good.open(network()), Ok(payload));
    let mut bytes = good.bytes().to_vec();
    assert_eq!(SignedFrame::parse(bytes.clone()), Ok(good));
    let at = usize::from(at) % bytes.len();
    bytes[at] ^= 1 << bit;
    let opened = SignedFrame::parse(bytes).and_then(|frame| frame.open(network()).map(<[u8]>::to_vec));
    assert!(opened.is_err(), "byte {at}, bit {bit} may be another");
}

fn header(feed: &mut Feed<'_>, sender: labman_proto_core::identity::NodeId) -> Header {
    Header {
        kind: feed.u16(),
        net_id: network().id,
        sender,
        dest: feed.flag().then(|| identity(feed.u8()).node_id()),
        incarnation: feed.u64(),
        seq: feed.u64(),
        issued: Wall(feed.u64()),
        ttl_s: u32::from(feed.u16()),
    }
}

/// Whatever decodes as a message means the same when it is sent again.
pub fn mesh_message(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let kind = feed.u8();
    let payload = feed.rest();
    match kind % 25 {
        0 => again::<Hello>(payload),
        1 => again::<PeerRecord>(payload),
        2 => again::<CapabilityRecord>(payload),
        3 => again::<Announce>(payload),
        4 => again::<Want>(payload),
        5 => again::<Prune>(payload),
        6 => again::<Digest>(payload),
        7 => again::<ProxyRequest>(payload),
        8 => again::<Chunk>(payload),
        9 => again::<ProxyEnd>(payload),
        10 => again::<ProxyError>(payload),
        11 => again::<ReceiptDelivery>(payload),
        12 => again::<ReceiptAck>(payload),
        13 => again::<Shuffle>(payload),
        14 => again::<Departure>(payload),
        15 => again::<Suspicion>(payload),
        16 => again::<ProxyMark>(payload),
        17 => again::<Load>(payload),
        18 => again::<Market>(payload),
        19 => again::<Distances>(payload),
        20 => again::<Invite>(payload),
        21 => again::<Errand>(payload),
        22 => again::<ErrandDone>(payload),
        23 => again::<FepDescriptor>(payload),
        _ => again::<Taken>(payload),
    }
}

fn again<T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + std::fmt::Debug>(payload: &[u8]) {
    if let Ok(message) = decode::<T>(payload) {
        let encoded = encode(&message);
        assert!(encoded.len() <= payload.len() + 64, "an encoding grows");
        assert_eq!(decode::<T>(&encoded).as_ref(), Ok(&message));
    }
}

/// Objects as strangers make them, and payloads of strangers behind a signature that holds.
pub fn signed_object(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let kind = feed.u8();
    let object = feed.rest();
    match kind % 17 {
        0 => opened::<Offer>(object),
        1 => opened::<AuthorizeRequest>(object),
        2 => opened::<JobAuthorization>(object),
        3 => opened::<UsageReport>(object),
        4 => opened::<Receipt>(object),
        5 => opened::<Claim>(object),
        6 => opened::<ClaimDecision>(object),
        7 => opened::<Invitation>(object),
        8 => opened::<StreamAck>(object),
        9 => opened::<UsageStatement>(object),
        10 => opened::<AttemptRelease>(object),
        11 => opened::<ReceiptsRequest>(object),
        12 => opened::<IssuedReceipts>(object),
        13 => opened::<KeyRing>(object),
        14 => opened::<Descriptor>(object),
        15 => opened::<Dispute>(object),
        _ => opened::<DisputeDecision>(object),
    }
}

fn opened<T: Object + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let _ = object::open::<T>(network(), None, bytes);
    let _ = object::open::<T>(Network::of(NETWORK), None, bytes);
    if let Ok(content) = decode::<T>(bytes) {
        let signer = identity(1);
        let sealed = object::seal(&signer, network().id, content);
        if sealed.bytes.0.len() <= object::MOST {
            let opened = object::open::<T>(network(), Some(signer.node_id().0), &sealed.bytes.0);
            assert_eq!(opened.as_ref(), Ok(&sealed));
            let other = object::open::<T>(network(), Some([0; 32]), &sealed.bytes.0);
            assert!(other.is_err(), "an object of anybody");
        }
    }
}

/// Lines between a labman and its Portman, in both directions.
pub fn portman_line(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let cut = usize::from(feed.u8());
    let stream = feed.rest();
    let whole = Lines::up_to(PORTMAN_LINE).push(stream).expect("it is shorter than a line may be");
    let (head, tail) = stream.split_at(cut.min(stream.len()));
    let mut lines = Lines::up_to(PORTMAN_LINE);
    let mut cut = lines.push(head).expect("it is shorter");
    cut.extend(lines.push(tail).expect("it is shorter"));
    assert_eq!(cut, whole, "lines depend on how their stream was cut");
    assert!(
        Lines::up_to(8).push(stream).is_ok_and(|lines| lines.iter().all(|line| line.len() <= 8))
            || stream.split(|byte| *byte == b'\n').any(|line| line.len() > 8)
    );
    for line in whole {
        if let Ok(message) = serde_json::from_slice::<ToPortman>(&line) {
            let said = serde_json::to_vec(&message).expect("it was JSON");
            // Numbers that JSON can't carry exactly come back as others.
            assert!(serde_json::from_slice::<ToPortman>(&said).is_ok());
        }
        if let Ok(message) = serde_json::from_slice::<FromPortman>(&line) {
            let said = serde_json::to_vec(&message).expect("it was JSON");
            assert_eq!(serde_json::from_slice::<FromPortman>(&said).ok(), Some(message));
        }
        let _ = serde_json::from_slice::<Value>(&line);
    }
}
