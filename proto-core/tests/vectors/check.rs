//! What our code says to a vector. It is asked through the decoders that the machines use; where a rule lives in a machine
//! (a hello's binding, what news is), a whole [`Node`](crate::receiver) is asked too, and must agree.

use labman_proto_core::economics::{Counts, merkle};
use labman_proto_core::identity::{FepId, NetId, Network, NodeId, verify_strict};
use labman_proto_core::keys::{BadPaper, BadRing, Keys};
use labman_proto_core::openai::request::JobBody;
use labman_proto_core::time::Wall;
use labman_proto_core::wire::cbor::{self, BadCbor};
use labman_proto_core::wire::envelope::{BadFrame, Directed, Frame, FrameReader, Kind, SignedFrame};
use labman_proto_core::wire::ids::{AuthId, ClaimId, PayoutId, ReceiptId, RequestId};
use labman_proto_core::wire::keys::{Descriptor, KeyRing};
use labman_proto_core::wire::mesh::{
    Announce, CapabilityRecord, Chunk, Departure, Digest, Distances, Errand, ErrandDone, FepDescriptor,
    Hello, Invitation, Invite, Load, Market, PeerRecord, ProxyEnd, ProxyError, ProxyMark, ProxyRequest,
    Prune, ReceiptAck, ReceiptDelivery, Shuffle, Suspicion, Taken, Transcript, Want,
};
use labman_proto_core::wire::object::{self, BadObject, Object, Sealed};
use labman_proto_core::wire::portal::{
    AttemptRelease, AuthorizeRequest, Claim, ClaimDecision, Dispute, DisputeDecision, IssuedReceipts,
    JobAuthorization, Offer, Receipt, ReceiptsRequest, StreamAck, UsageReport, UsageStatement, key_digest,
    key_id,
};
use labman_proto_core::wire::topic::Topic;
use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode};
use serde_json::{Map, Value, json};

use crate::format::{Vector, Verdict, unpack};
use crate::receiver::{self, Hearing, News};

/// The rule that an input breaks.
type Rule = &'static str;

pub(crate) fn verdict(vector: &Vector) -> Verdict {
    let answer = match vector.what.as_str() {
        "cbor" => cbor::check(&vector.bytes()).map(|()| json!({})).map_err(cbor_rule),
        "directed" => directed(vector),
        "record" => record(vector),
        "light" => light(&vector.bytes()),
        "stream" => stream(vector),
        "object" => object(vector),
        "ring" => ring(vector, &vector.bytes()).map(|_| json!({})),
        "paper" => paper(vector),
        "signature" => signature(vector),
        "derive" => Ok(derive(vector)),
        "id-text" => id_text(vector),
        "merkle" => Ok(merkle_root(vector)),
        "transcript" => Ok(transcript(vector)),
        "body" => body(vector),
        "accepted-counts" => Ok(accepted_counts(vector)),
        other => panic!("{}: nobody knows how to ask {other}", vector.name),
    };
    match answer {
        Ok(read) => Verdict::Accept(read),
        Err(rule) => Verdict::Reject(rule.into()),
    }
}

/// As [`verdict`], for what carries a signature, without a node's opinion.
pub(crate) fn without_a_node(vector: &Vector) -> Verdict {
    let network = || Network::of(vector.text("network"));
    let answer = match vector.what.as_str() {
        "directed" => {
            let (us, peer) = (NodeId(vector.id("receiver")), NodeId(vector.id("peer")));
            directed_frame(vector, network(), &mut Directed::after(us, peer, vector.number("last_seq")))
        }
        "record" => SignedFrame::parse(vector.bytes())
            .and_then(|frame| frame.open(network()).map(|_| json!({})))
            .map_err(frame_rule),
        _ => return verdict(vector),
    };
    match answer {
        Ok(read) => Verdict::Accept(read),
        Err(rule) => Verdict::Reject(rule.into()),
    }
}

/// A message's fields. A new message has its line here.
fn fields(kind: Kind, payload: &[u8]) -> Result<Value, Rule> {
    match kind {
        Kind::Hello => again::<Hello>(payload),
        Kind::PeerRecord => again::<PeerRecord>(payload),
        Kind::CapabilityRecord => again::<CapabilityRecord>(payload),
        Kind::Announce => again::<Announce>(payload),
        Kind::Want => again::<Want>(payload),
        Kind::Prune => again::<Prune>(payload),
        // Its length is looked at by whoever compares.
        Kind::Digest => match cbor::decode::<Digest>(payload) {
            Ok(digest) if digest.buckets.0.len() != 2_048 => Err("content"),
            _ => again::<Digest>(payload),
        },
        Kind::Distances => again::<Distances>(payload),
        Kind::Invite => again::<Invite>(payload),
        Kind::Shuffle => again::<Shuffle>(payload),
        Kind::Departure => again::<Departure>(payload),
        Kind::Suspicion => again::<Suspicion>(payload),
        Kind::ProxyRequest => again::<ProxyRequest>(payload),
        Kind::ProxyMark => again::<ProxyMark>(payload),
        Kind::ProxyError => again::<ProxyError>(payload),
        Kind::ReceiptDelivery => again::<ReceiptDelivery>(payload),
        Kind::ReceiptAck => again::<ReceiptAck>(payload),
        Kind::Load => again::<Load>(payload),
        Kind::Market => again::<Market>(payload),
        Kind::Errand => again::<Errand>(payload),
        Kind::ErrandDone => again::<ErrandDone>(payload),
        Kind::FepDescriptor => again::<FepDescriptor>(payload),
        Kind::Chunk => again::<Chunk>(payload),
        Kind::StreamAck => again::<Taken>(payload),
        Kind::ProxyEnd => again::<ProxyEnd>(payload),
        Kind::Body => Ok(bytes(payload)),
    }
}

/// A signed object's signer, hash and fields. A new object has its line here.
fn object(vector: &Vector) -> Result<Value, Rule> {
    match vector.text("object") {
        "Offer" => opened::<Offer>(vector),
        "AuthorizeRequest" => opened::<AuthorizeRequest>(vector),
        "JobAuthorization" => opened::<JobAuthorization>(vector),
        "UsageReport" => opened::<UsageReport>(vector),
        "Receipt" => opened::<Receipt>(vector),
        "Claim" => opened::<Claim>(vector),
        "ReceiptsRequest" => opened::<ReceiptsRequest>(vector),
        "IssuedReceipts" => opened::<IssuedReceipts>(vector),
        "ClaimDecision" => opened::<ClaimDecision>(vector),
        "Dispute" => opened::<Dispute>(vector),
        "DisputeDecision" => opened::<DisputeDecision>(vector),
        "Invitation" => opened::<Invitation>(vector),
        "StreamAck" => opened::<StreamAck>(vector),
        "UsageStatement" => opened::<UsageStatement>(vector),
        "AttemptRelease" => opened::<AttemptRelease>(vector),
        "KeyRing" => opened::<KeyRing>(vector),
        "Descriptor" => opened::<Descriptor>(vector),
        other => panic!("{}: nobody knows {other}", vector.name),
    }
}

fn directed(vector: &Vector) -> Result<Value, Rule> {
    let network = Network::of(vector.text("network"));
    let (us, peer) = (NodeId(vector.id("receiver")), NodeId(vector.id("peer")));
    let last_seq = vector.number("last_seq");
    let mut answer = directed_frame(vector, network, &mut Directed::after(us, peer, last_seq));
    if let (Some(binding), 0) = (vector.maybe_id("binding"), last_seq) {
        let admitted = receiver::admits(us, peer, vector.text("network"), binding, &vector.bytes());
        assert_eq!(admitted, answer.is_ok(), "{}: a node says otherwise", vector.name);
    }
    if let Ok(Value::Object(read)) = &mut answer
        && read["kind"] == Kind::Shuffle as u16
    {
        let (network, wall_ms) = (vector.text("network"), vector.number("wall_ms"));
        let (peers, answered) = receiver::hears_shuffle(us, peer, network, wall_ms, &vector.bytes());
        let mut peers: Vec<String> = peers.iter().map(|peer| hex::encode(peer.0)).collect();
        peers.sort();
        read.insert("peers".into(), peers.into());
        read.insert("answered".into(), answered.into());
    }
    answer
}

fn directed_frame(vector: &Vector, network: Network, heard: &mut Directed) -> Result<Value, Rule> {
    let frame = SignedFrame::parse(vector.bytes()).map_err(frame_rule)?;
    let payload = heard.open(network, &frame).map_err(frame_rule)?;
    let mut read = head(&frame);
    match Kind::from_u16(frame.header().kind) {
        Some(kind) => {
            read.insert("fields".into(), fields(kind, payload)?);
            if kind == Kind::Hello {
                let hello: Hello = cbor::decode(payload).map_err(cbor_rule)?;
                if Some(hello.binding) != vector.maybe_id("binding") {
                    return Err("hello.binding");
                }
            }
        }
        None => {
            read.insert("dropped".into(), true.into());
        }
    }
    Ok(Value::Object(read))
}

/// What a signed frame says of itself.
fn head(frame: &SignedFrame) -> Map<String, Value> {
    let header = frame.header();
    let read = json!({
        "id": hex::encode(frame.id()),
        "kind": header.kind,
        "sender": hex::encode(header.sender.0),
        "incarnation": header.incarnation,
        "seq": header.seq,
        "issued_ms": header.issued.0,
        "ttl_s": header.ttl_s,
    });
    let Value::Object(read) = read else { unreachable!("an object was written") };
    read
}

/// A node that holds `held`, if anything, hears a record from a neighbour, and keeps it and passes it on, or does not.
fn record(vector: &Vector) -> Result<Value, Rule> {
    let frame = SignedFrame::parse(vector.bytes()).map_err(frame_rule)?;
    let texts = |key: &str| {
        let list = vector.context.get(key).and_then(Value::as_array);
        list.into_iter().flatten().map(|text| text.as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    let hearing = Hearing {
        us: NodeId(vector.id("receiver")),
        peer: vector.maybe_id("peer").map(NodeId),
        network: vector.text("network").into(),
        wall_ms: vector.number("wall_ms"),
        families: texts("families"),
        held: texts("held").iter().map(|held| unpack(held)).collect(),
    };
    let news = receiver::hears_record(&hearing, &frame);
    let opened = frame.open(Network::of(&hearing.network)).map_err(frame_rule);
    let kind = Kind::from_u16(frame.header().kind).expect("a record's kind");
    let fields = opened.and_then(|payload| fields(kind, payload));
    let Some(news) = news else {
        fields?;
        // Which of its rules, a machine does not say.
        return Err("record");
    };
    let mut read = head(&frame);
    read.insert("fields".into(), fields.expect("it is kept"));
    match news {
        News::Kept => {}
        News::PassedOn { tree, served } => {
            read.insert("tree".into(), hex::encode(tree.0).into());
            if kind == Kind::CapabilityRecord {
                read.insert("served".into(), served.into());
            }
        }
        News::Refuted => {
            read.insert("refuted".into(), true.into());
        }
    }
    Ok(Value::Object(read))
}

fn light(input: &[u8]) -> Result<Value, Rule> {
    let mut reader = FrameReader::default();
    reader.push(input);
    match reader.poll().map_err(frame_rule)? {
        Some(Frame::Light { kind, payload }) if reader.buffered() == 0 => match Kind::from_u16(kind) {
            Some(known) => Ok(json!({ "kind": kind, "fields": fields(known, &payload)? })),
            None => Ok(json!({ "kind": kind, "dropped": true })),
        },
        _ => Err("frame.length"),
    }
}

fn stream(vector: &Vector) -> Result<Value, Rule> {
    let whole = stream_in_pieces(vector, usize::MAX);
    assert_eq!(whole, stream_in_pieces(vector, 1), "{}: byte by byte it means something else", vector.name);
    if vector.text("stream") == "control" {
        let (us, peer) = (NodeId(vector.id("receiver")), NodeId(vector.id("peer")));
        let input = vector.bytes();
        let stays = receiver::stays(us, peer, vector.text("network"), vector.id("binding"), &input);
        assert_eq!(stays, whole.is_ok(), "{}: a node says otherwise", vector.name);
    }
    whole
}

fn stream_in_pieces(vector: &Vector, piece: usize) -> Result<Value, Rule> {
    let network = Network::of(vector.text("network"));
    let mut heard = Directed::new(NodeId(vector.id("receiver")), NodeId(vector.id("peer")));
    let control = vector.text("stream") == "control";
    let (mut admitted, mut frames, mut reader) = (false, Vec::new(), FrameReader::default());
    let input = vector.bytes();
    let mut pieces = input.chunks(piece.min(input.len().max(1)));
    loop {
        let Some(frame) = reader.poll().map_err(frame_rule)? else {
            match pieces.next() {
                Some(piece) => reader.push(piece),
                None => return Ok(json!({ "frames": frames, "waiting": reader.buffered() })),
            }
            continue;
        };
        let (kind, payload) = match &frame {
            Frame::Light { .. } if control => return Err("control.light"),
            Frame::Light { kind, payload } => (*kind, payload.as_slice()),
            Frame::Signed(frame) => {
                let kind = frame.header().kind;
                if control && is_record(kind) {
                    let what = if admitted { "record" } else { "ignored" };
                    frames.push(json!({ "kind": kind, what: true }));
                    continue;
                }
                (kind, heard.open(network, frame).map_err(frame_rule)?)
            }
        };
        if control && kind == Kind::Hello as u16 {
            let hello: Hello = cbor::decode(payload).map_err(cbor_rule)?;
            if hello.binding != vector.id("binding") {
                return Err("hello.binding");
            }
            admitted = true;
        } else if control && !admitted {
            return Err("control.before-hello");
        }
        frames.push(match Kind::from_u16(kind) {
            Some(_) => json!({ "kind": kind, "payload": hex::encode(payload) }),
            None => json!({ "kind": kind, "dropped": true }),
        });
    }
}

pub(crate) fn is_record(kind: u16) -> bool {
    let records = [Kind::PeerRecord, Kind::CapabilityRecord, Kind::Departure, Kind::Suspicion];
    records.iter().any(|record| *record as u16 == kind)
}

fn opened<T: Object>(vector: &Vector) -> Result<Value, Rule> {
    let opened = open::<T>(vector)?;
    Ok(json!({
        "signer": hex::encode(opened.signer),
        "hash": hex::encode(opened.hash),
        "fields": diagnostic(&cbor::encode(&opened.content)),
    }))
}

fn open<T: Object>(vector: &Vector) -> Result<Sealed<T>, Rule> {
    let network = Network::of(vector.text("network"));
    object::open::<T>(network, vector.maybe_id("signer"), &vector.bytes()).map_err(object_rule)
}

fn object_rule(bad: BadObject) -> Rule {
    match bad {
        BadObject::Length => "object.length",
        BadObject::Foreign => "object.foreign",
        BadObject::Signer => "object.signer",
        BadObject::Signature => "object.signature",
        BadObject::Content(bad) => cbor_rule(bad),
    }
}

fn ring(vector: &Vector, bytes: &[u8]) -> Result<Keys, Rule> {
    Keys::open(Network::of(vector.text("network")), None, bytes).map_err(|bad| match bad {
        BadRing::Object(bad) => object_rule(bad),
        BadRing::NotByRoot => "ring.root",
        BadRing::TooManyKeys | BadRing::KeyTwice | BadRing::NoTime => "ring.keys",
    })
}

fn paper(vector: &Vector) -> Result<Value, Rule> {
    let keys = ring(vector, &hex::decode(vector.text("ring")).expect("hex"))?;
    let now = Wall(vector.number("now_ms"));
    let verdict = match vector.text("object") {
        "JobAuthorization" => keys.binds_now(&open::<JobAuthorization>(vector)?, now),
        "Receipt" => keys.bound_when_issued(&open::<Receipt>(vector)?),
        "ClaimDecision" => keys.bound_when_issued(&open::<ClaimDecision>(vector)?),
        "DisputeDecision" => keys.bound_when_issued(&open::<DisputeDecision>(vector)?),
        "IssuedReceipts" => keys.bound_when_issued(&open::<IssuedReceipts>(vector)?),
        other => panic!("{}: {other} is no paper of a FEP's", vector.name),
    };
    verdict.map(|()| json!({})).map_err(|bad| match bad {
        BadPaper::NoKeys | BadPaper::UnknownKey => "paper.key",
        BadPaper::NotValid => "paper.time",
        BadPaper::Misnamed => "paper.names",
    })
}

fn signature(vector: &Vector) -> Result<Value, Rule> {
    let message = hex::decode(vector.text("message")).expect("hex");
    let signature = vector.bytes().try_into().expect("64 bytes");
    match verify_strict(&vector.id("signer"), &message, &signature) {
        true => Ok(json!({})),
        false => Err("signature"),
    }
}

/// The input is the key material.
fn derive(vector: &Vector) -> Value {
    let input = vector.bytes();
    let text = || std::str::from_utf8(&input).expect("text");
    let (first, rest) = input.split_at(input.len().min(32));
    let (second, rest) = rest.split_at(rest.len().min(32));
    let id = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).expect("32 bytes");
    let short = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).expect("16 bytes");
    let value = match vector.text("derive") {
        "net id" => NetId::of(text()).0.to_vec(),
        "auth id" => AuthId::of(FepId(id(first)), NodeId(id(second)), RequestId(short(rest))).0.to_vec(),
        "receipt id" => {
            let (auth, attempt) = input[32..].split_at(16);
            ReceiptId::of(FepId(id(first)), AuthId(short(auth)), attempt[0]).0.to_vec()
        }
        "payout id" => PayoutId::of(FepId(id(first)), NodeId(id(second)), ClaimId(short(rest))).0.to_vec(),
        "key digest" => key_digest(text()).0.to_vec(),
        "key id" => key_id(&id(first)).0.to_vec(),
        "topic" => Topic::of_model(text()).0.to_vec(),
        other => panic!("{}: nobody derives {other}", vector.name),
    };
    json!({ "value": hex::encode(value) })
}

fn id_text(vector: &Vector) -> Result<Value, Rule> {
    let bytes = vector.bytes();
    let text = std::str::from_utf8(&bytes).map_err(|_| "id.text")?;
    let id: NodeId = text.parse().map_err(|_| "id.text")?;
    assert_eq!(id.to_string(), text);
    Ok(json!({ "id": hex::encode(id.0) }))
}

fn merkle_root(vector: &Vector) -> Value {
    let leaves: Vec<[u8; 16]> =
        vector.bytes().chunks(16).map(|leaf| leaf.try_into().expect("16 bytes")).collect();
    json!({ "root": hex::encode(merkle::root(&leaves).0) })
}

fn transcript(vector: &Vector) -> Value {
    let lengths = vector.context["lengths"].as_array().expect("lengths");
    let (mut transcript, input) = (Transcript::default(), vector.bytes());
    let mut rest = input.as_slice();
    for length in lengths {
        let (payload, after) = rest.split_at(length.as_u64().expect("a length") as usize);
        transcript.add(payload);
        rest = after;
    }
    assert!(rest.is_empty(), "{}: bytes of no payload", vector.name);
    json!({ "chunks": transcript.chunks(), "transcript": hex::encode(transcript.hash().0) })
}

fn body(vector: &Vector) -> Result<Value, Rule> {
    let input = vector.bytes();
    let body = JobBody::parse(&input).map_err(|_| "body")?;
    Ok(json!({
        "input_bound": body.input_bound,
        "max_tokens": body.max_output,
        "body_hash": hex::encode(blake3::hash(&input).as_bytes()),
    }))
}

fn accepted_counts(vector: &Vector) -> Value {
    let number = |key| u32::try_from(vector.number(key)).expect("32 bits");
    let stated: Counts = cbor::decode(&vector.bytes()).expect("counts");
    let output = number("max_tokens").min(number("authorized_output")).min(number("text_bytes"));
    diagnostic(&cbor::encode(&stated.bounded_by(number("input_bound"), output)))
}

fn frame_rule(bad: BadFrame) -> Rule {
    match bad {
        BadFrame::Length => "frame.length",
        BadFrame::Version(_) => "frame.version",
        BadFrame::PayloadLength => "frame.payload-length",
        BadFrame::Sender => "frame.sender",
        BadFrame::Destination => "frame.destination",
        BadFrame::Repeated => "frame.repeated",
        BadFrame::Network => "frame.network",
        BadFrame::Signature => "frame.signature",
    }
}

fn cbor_rule(bad: BadCbor) -> Rule {
    match bad {
        BadCbor::CutShort => "cbor.cut-short",
        BadCbor::Trailing => "cbor.trailing",
        BadCbor::Depth => "cbor.depth",
        BadCbor::Items => "cbor.items",
        BadCbor::Utf8 => "cbor.utf8",
        BadCbor::KeyType => "cbor.key-type",
        BadCbor::KeyOrder => "cbor.key-order",
        BadCbor::Critical => "cbor.critical",
        BadCbor::Shortest => "cbor.shortest",
        BadCbor::Indefinite => "cbor.indefinite",
        BadCbor::Simple => "cbor.simple",
        BadCbor::Tag => "cbor.tag",
        BadCbor::Content => "content",
    }
}

/// Decoded, and what was understood of it written down.
fn again<T: Encode<()> + for<'b> Decode<'b, ()>>(payload: &[u8]) -> Result<Value, Rule> {
    let message: T = cbor::decode(payload).map_err(cbor_rule)?;
    Ok(diagnostic(&cbor::encode(&message)))
}

fn bytes(bytes: &[u8]) -> Value {
    format!("h'{}'", hex::encode(bytes)).into()
}

/// CBOR as JSON, after RFC 8949's diagnostic notation: a map's keys as text, byte strings as `h'..'`.
fn diagnostic(encoded: &[u8]) -> Value {
    fn item(from: &mut Decoder<'_>) -> Result<Value, minicbor::decode::Error> {
        Ok(match from.datatype()? {
            Type::Bool => from.bool()?.into(),
            Type::Null => {
                from.null()?;
                Value::Null
            }
            Type::Bytes => bytes(from.bytes()?),
            Type::String => from.str()?.into(),
            Type::Array => {
                let items = from.array()?.unwrap_or_default();
                (0..items).map(|_| item(from)).collect::<Result<Vec<_>, _>>()?.into()
            }
            Type::Map => {
                let (mut map, pairs) = (Map::new(), from.map()?.unwrap_or_default());
                for _ in 0..pairs {
                    let key = from.u64()?;
                    map.insert(key.to_string(), item(from)?);
                }
                map.into()
            }
            Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => from.i64()?.into(),
            _ => from.u64()?.into(),
        })
    }
    item(&mut Decoder::new(encoded)).expect("our own encoding")
}
