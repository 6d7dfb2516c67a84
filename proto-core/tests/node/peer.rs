//! A node by hand, at the other end of a mesh link: an honest one, whose bytes a test may change before they go out.

use std::net::SocketAddr;

use labman_proto_core::economics::Counts;
use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::{ANNOUNCE_EVERY, MARK_CHUNKS};
use labman_proto_core::machine::{LinkId, Peer as Who, StreamId};
use labman_proto_core::time::Wall;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::{Frame, FrameReader, Header, Kind, SignedFrame, light};
use labman_proto_core::wire::mesh::{
    Announce, CapabilityRecord, Chunk, Digest, Features, Hello, Hosted, ProxyEnd, ProxyError, ProxyMark,
    ProxyRequest, ReceiptAck, ReceiptDelivery, Refusal, Taken, Transcript, Want,
};
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::{
    AttemptRelease, End, JobAuthorization, Offer, Receipt, StreamAck, UsageStatement,
};
use labman_proto_core::wire::topic::Topics;
use serde_json::{Value, json};

use super::rig::{NODE, Rig, identity, net, node, payout_to, price, seal};

pub(crate) struct Peer {
    pub(crate) number: u8,
    pub(crate) link: LinkId,
    pub(crate) control: StreamId,
    /// Of the connection.
    pub(crate) binding: [u8; 32],
    /// Of its wall clock, before the node's; behind, if negative.
    pub(crate) ahead_ms: i64,
    seq: u64,
}

pub(crate) fn header(number: u8, kind: Kind, seq: u64) -> Header {
    Header {
        kind: kind as u16,
        net_id: net().id,
        sender: node(number),
        dest: Some(node(NODE)),
        incarnation: 1,
        seq,
        issued: Wall(0),
        ttl_s: 0,
    }
}

/// Signed by that key, whoever the header names.
pub(crate) fn sign(number: u8, header: Header, payload: &[u8]) -> Vec<u8> {
    let honest = Header { sender: node(number), ..header };
    let mut bytes = SignedFrame::sign(&identity(number), honest, payload).bytes().to_vec();
    bytes[4 + 11..4 + 43].copy_from_slice(&header.sender.0);
    bytes
}

/// The frames in these bytes, which must be whole.
pub(crate) fn frames(bytes: &[u8]) -> Vec<(Kind, Vec<u8>)> {
    let mut reader = FrameReader::default();
    reader.push(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = reader.poll().expect("a node's frames are good") {
        let (kind, payload) = match frame {
            Frame::Light { kind, payload } => (kind, payload),
            Frame::Signed(frame) => (frame.header().kind, frame.open(net()).expect("signed").to_vec()),
        };
        frames.push((Kind::from_u16(kind).expect("a known kind"), payload));
    }
    assert_eq!(reader.buffered(), 0, "half a frame");
    frames
}

/// A record as its origin signs it.
pub(crate) fn record(rig: &Rig, number: u8, kind: Kind, seq: u64, payload: &[u8]) -> Vec<u8> {
    let header = Header { dest: None, issued: rig.now.wall, ttl_s: 1_800, ..header(number, kind, seq) };
    sign(number, header, payload)
}

pub(crate) fn offer(rig: &Rig, slug: &str) -> Offer {
    Offer {
        slug: slug.into(),
        context_length: 4_096,
        max_output: 1_024,
        price: price(),
        payout: payout_to(),
        valid_until_ms: rig.now.wall.0 + 3_600_000,
    }
}

pub(crate) fn capability(offers: Vec<Vec<u8>>) -> Vec<u8> {
    capability_among(offers, Vec::new())
}

fn capability_among(offers: Vec<Vec<u8>>, witnesses: Vec<NodeId>) -> Vec<u8> {
    let hosted = offers.into_iter().map(|offer| Hosted { offer: Blob(offer), slots: 64, queue: 0 });
    cbor::encode(&CapabilityRecord { hosted: hosted.collect(), witnesses, topics: Topics::All })
}

pub(crate) fn content(text: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }] })
}

pub(crate) fn counts(input: u32, output: u32) -> Counts {
    Counts { input, cached: 0, output }
}

impl Peer {
    /// Connected, nothing said.
    pub(crate) fn connected(rig: &mut Rig, number: u8) -> Self {
        Self::on(rig, number, false, None)
    }

    /// The node has called it; nothing said.
    pub(crate) fn called(rig: &mut Rig, number: u8) -> Self {
        Self::on(rig, number, true, None)
    }

    /// Connected from there, nothing said.
    pub(crate) fn from(rig: &mut Rig, number: u8, ip: [u8; 4]) -> Self {
        Self::on(rig, number, false, Some(SocketAddr::from((ip, 7))))
    }

    fn on(rig: &mut Rig, number: u8, dialled: bool, addr: Option<SocketAddr>) -> Self {
        let binding = rig.new_binding();
        let link = rig.link_up(Who::Mesh { node_id: node(number), dialled, binding, addr });
        // Whoever dialled opened the control stream.
        let control = match dialled {
            true => rig.opened.pop().expect("a control stream").0,
            false => rig.open(link),
        };
        // Marks on job streams have the numbers below.
        Self { number, link, control, binding, ahead_ms: 0, seq: 100 }
    }

    pub(crate) fn hello(&self) -> Hello {
        let (features, binding) = (Features::OURS, self.binding);
        Hello { features, software: "hand".into(), interest: Topics::All, binding }
    }

    pub(crate) fn admitted(rig: &mut Rig, number: u8) -> Self {
        let mut peer = Self::connected(rig, number);
        peer.greet(rig);
        assert!(rig.is_up(peer.link));
        peer
    }

    pub(crate) fn greet(&mut self, rig: &mut Rig) {
        self.say(rig, self.control, Kind::Hello, &cbor::encode(&self.hello()));
    }

    /// Admitted, and serving a model under that name.
    pub(crate) fn serving(rig: &mut Rig, number: u8, slug: &str) -> Self {
        let mut peer = Self::admitted(rig, number);
        let offer = seal(number, offer(rig, slug));
        peer.announce(rig, vec![offer]);
        peer
    }

    pub(crate) fn announce(&mut self, rig: &mut Rig, offers: Vec<Vec<u8>>) {
        self.announce_among(rig, offers, Vec::new());
    }

    /// It is linked to these gateways.
    pub(crate) fn announce_among(&mut self, rig: &mut Rig, offers: Vec<Vec<u8>>, gateways: Vec<NodeId>) {
        let payload = capability_among(offers, gateways);
        let record = record(rig, self.number, Kind::CapabilityRecord, self.next_seq(), &payload);
        rig.deliver(self.control, &record);
    }

    pub(crate) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(crate) fn node_id(&self) -> NodeId {
        node(self.number)
    }

    pub(crate) fn frame(&mut self, kind: Kind, payload: &[u8]) -> Vec<u8> {
        let header = header(self.number, kind, self.next_seq());
        sign(self.number, header, payload)
    }

    pub(crate) fn say(&mut self, rig: &mut Rig, stream: StreamId, kind: Kind, payload: &[u8]) {
        let issued = Wall(rig.now.wall.0.saturating_add_signed(self.ahead_ms));
        let header = Header { issued, ..header(self.number, kind, self.next_seq()) };
        rig.deliver(stream, &sign(self.number, header, payload));
    }

    /// What the node said on the control stream since last asked.
    pub(crate) fn hears(&self, rig: &mut Rig) -> Vec<(Kind, Vec<u8>)> {
        frames(&rig.hear(self.control))
    }

    /// As a new neighbour with no records would: compares, is told what there is, and asks for it.
    pub(crate) fn pull(&mut self, rig: &mut Rig) -> Vec<Vec<u8>> {
        let nothing = cbor::encode(&Digest { buckets: Blob(vec![0; 256 * 8]) });
        self.say(rig, self.control, Kind::Digest, &nothing);
        let mut records = Vec::new();
        loop {
            rig.pass(ANNOUNCE_EVERY);
            let mut wants = Vec::new();
            let before = records.len();
            for (kind, payload) in self.hears(rig) {
                match kind {
                    Kind::Announce => wants.push(cbor::decode::<Announce>(&payload).unwrap()),
                    Kind::PeerRecord | Kind::CapabilityRecord => records.push(payload),
                    _ => {}
                }
            }
            if wants.is_empty() && records.len() == before {
                return records;
            }
            for Announce { marks } in wants {
                let want = Want { keys: marks.iter().map(|mark| mark.key).collect() };
                self.say(rig, self.control, Kind::Want, &cbor::encode(&want));
            }
            rig.take(self.control, usize::MAX);
        }
    }

    /// Jobs that the node brings, since last asked.
    pub(crate) fn jobs(&self, rig: &mut Rig) -> Vec<Served> {
        let mine: Vec<StreamId> =
            rig.opened.iter().filter(|(_, link)| *link == self.link).map(|(stream, _)| *stream).collect();
        rig.opened.retain(|(_, link)| *link != self.link);
        mine.into_iter().map(|stream| Served::hear(rig, self.number, stream)).collect()
    }

    pub(crate) fn job(&self, rig: &mut Rig) -> Served {
        let mut jobs = self.jobs(rig);
        assert_eq!(jobs.len(), 1);
        jobs.remove(0)
    }
}

/// A job as its provider sees it.
pub(crate) struct Served {
    pub(crate) stream: StreamId,
    pub(crate) request: ProxyRequest,
    pub(crate) body: Value,
    pub(crate) transcript: Transcript,
    number: u8,
    marks: u64,
}

impl Served {
    fn hear(rig: &mut Rig, number: u8, stream: StreamId) -> Self {
        let heard = frames(&rig.hear(stream));
        let (kind, payload) = &heard[0];
        assert_eq!(*kind, Kind::ProxyRequest);
        let request: ProxyRequest = cbor::decode(payload).unwrap();
        let body: Vec<u8> = heard[1..].iter().flat_map(|(_, payload)| payload.clone()).collect();
        assert_eq!(request.body_hash.0, *blake3::hash(&body).as_bytes());
        let body = serde_json::from_slice(&body).unwrap();
        Self { stream, request, body, transcript: Transcript::default(), number, marks: 0 }
    }

    pub(crate) fn bare_chunk(&mut self, counts: Counts, data: &Value) -> Vec<u8> {
        let payload = cbor::encode(&Chunk { counts, data: Blob(data.to_string().into_bytes()) });
        self.transcript.add(&payload);
        light(Kind::Chunk, &payload)
    }

    /// A chunk, and a mark behind it where there must be one.
    pub(crate) fn chunk_frame(&mut self, counts: Counts, data: &Value) -> Vec<u8> {
        let mut bytes = self.bare_chunk(counts, data);
        if self.transcript.chunks() % MARK_CHUNKS == 1 {
            bytes.extend(self.mark_frame(&self.proxy_mark(counts)));
        }
        bytes
    }

    pub(crate) fn mark_frame(&mut self, mark: &ProxyMark) -> Vec<u8> {
        self.marks += 1;
        sign(self.number, header(self.number, Kind::ProxyMark, self.marks), &cbor::encode(mark))
    }

    pub(crate) fn proxy_mark(&self, counts: Counts) -> ProxyMark {
        ProxyMark {
            request_id: self.request.request_id,
            attempt: self.request.attempt,
            counts,
            chunks: self.transcript.chunks(),
            transcript: self.transcript.hash(),
        }
    }

    pub(crate) fn chunk(&mut self, rig: &mut Rig, counts: Counts, data: &Value) {
        let frame = self.chunk_frame(counts, data);
        rig.deliver(self.stream, &frame);
    }

    pub(crate) fn text(&mut self, rig: &mut Rig, counts: Counts, text: &str) {
        self.chunk(rig, counts, &content(text));
    }

    pub(crate) fn auth(&self) -> JobAuthorization {
        object::open(net(), None, &self.request.authorization.0).unwrap().content
    }

    pub(crate) fn statement(&self, counts: Counts, end: End) -> UsageStatement {
        UsageStatement {
            fep_id: self.request.fep_id,
            auth_id: self.auth().auth_id,
            attempt: self.request.attempt,
            counts,
            end,
            ack: None,
            chunks: self.transcript.chunks(),
            transcript: self.transcript.hash(),
            stated_ms: 0,
        }
    }

    pub(crate) fn end_frame(&self, statement: UsageStatement, broken: Option<Refusal>) -> Vec<u8> {
        let statement = Blob(seal(self.number, statement));
        light(Kind::ProxyEnd, &cbor::encode(&ProxyEnd { statement, broken }))
    }

    pub(crate) fn end(&self, rig: &mut Rig, counts: Counts) {
        self.end_as(rig, counts, End::Complete);
    }

    pub(crate) fn end_as(&self, rig: &mut Rig, counts: Counts, end: End) {
        let frame = self.end_frame(self.statement(counts, end), None);
        rig.deliver(self.stream, &frame);
    }

    /// What the gateway has acknowledged since last asked.
    pub(crate) fn acks(&self, rig: &mut Rig) -> Vec<StreamAck> {
        let heard = frames(&rig.hear(self.stream));
        let acks = heard.iter().filter(|(kind, _)| *kind == Kind::StreamAck);
        let taken = acks.map(|(_, payload)| cbor::decode::<Taken>(payload).unwrap().ack);
        taken.map(|ack| object::open(net(), None, &ack.0).unwrap().content).collect()
    }

    /// A refusal that nothing will be owed after.
    pub(crate) fn release(&self, rig: &mut Rig, peer: &mut Peer, refusal: Refusal) {
        let (request_id, attempt) = (self.request.request_id, self.request.attempt);
        let release = seal(self.number, AttemptRelease { auth_id: self.auth().auth_id, attempt });
        let error = ProxyError { request_id, attempt, refusal, release: Some(Blob(release)) };
        peer.say(rig, self.stream, Kind::ProxyError, &cbor::encode(&error));
        rig.finish(self.stream);
    }

    pub(crate) fn refuse(&self, rig: &mut Rig, peer: &mut Peer, refusal: Refusal) {
        let (request_id, attempt) = (self.request.request_id, self.request.attempt);
        let error = ProxyError { request_id, attempt, refusal, release: None };
        peer.say(rig, self.stream, Kind::ProxyError, &cbor::encode(&error));
        rig.finish(self.stream);
    }

    /// The receipt on this job's stream, acknowledged.
    pub(crate) fn receipt(&self, rig: &mut Rig) -> Option<Receipt> {
        let heard = frames(&rig.hear(self.stream));
        heard.iter().find(|(kind, _)| *kind == Kind::ReceiptDelivery).map(|(_, payload)| receipt_in(payload))
    }
}

pub(crate) fn receipt_in(payload: &[u8]) -> Receipt {
    let delivery: ReceiptDelivery = cbor::decode(payload).unwrap();
    object::open::<Receipt>(net(), None, &delivery.receipt.0).unwrap().content
}

pub(crate) fn ack(receipt: &Receipt) -> Vec<u8> {
    cbor::encode(&ReceiptAck { receipt_id: receipt.receipt_id, refused: None })
}
