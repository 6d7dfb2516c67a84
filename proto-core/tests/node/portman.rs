//! The other ends of a provider's work, by hand: the Portman that runs it, and the gateway that orders it.

use labman_proto_core::economics::Counts;
use labman_proto_core::machine::{LinkId, Peer as Who, StreamId};
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::{Kind, light};
use labman_proto_core::wire::ids::{Hash, RequestId};
use labman_proto_core::wire::mesh::{
    CapabilityRecord, ProxyEnd, ProxyError, ProxyRequest, ReceiptAck, ReceiptDelivery, Refusal, RefusalCode,
    Taken,
};
use labman_proto_core::wire::object::{self, Sealed};
use labman_proto_core::wire::portal::{
    AttemptRelease, AuthorizeRequest, JobAuthorization, Offer, Receipt, StreamAck, UsageStatement, key_digest,
};
use labman_proto_core::wire::portman::{FromPortman, Model, ToPortman};
use serde_json::{Value, json};

use super::fep;
use super::peer::{Peer, content, frames};
use super::rig::{FEP, FEP_KEY, Rig, TOKEN, identity, net, node, seal};

pub(crate) struct Portman {
    pub(crate) link: LinkId,
    pub(crate) stream: StreamId,
}

pub(crate) fn model(id: &str, slots: u32) -> Model {
    Model { id: id.into(), context_length: 4_096, slots }
}

impl Portman {
    pub(crate) fn attach(rig: &mut Rig, models: Vec<Model>) -> Self {
        Self::attach_with(rig, TOKEN, models)
    }

    pub(crate) fn attach_with(rig: &mut Rig, token: &str, models: Vec<Model>) -> Self {
        let link = rig.link_up(Who::Portman { token: token.into(), origin: None });
        let portman = Self { link, stream: rig.open(link) };
        portman.say(rig, &FromPortman::Hello { models, shelf: Vec::new() });
        portman
    }

    pub(crate) fn say(&self, rig: &mut Rig, message: &FromPortman) {
        let mut line = serde_json::to_vec(message).unwrap();
        line.push(b'\n');
        rig.deliver(self.stream, &line);
    }

    pub(crate) fn text(&self, rig: &mut Rig, job: u64, text: &str, counts: Counts) {
        self.say(rig, &FromPortman::Chunk { job, data: content(text).to_string(), counts });
    }

    pub(crate) fn hears(&self, rig: &mut Rig) -> Vec<ToPortman> {
        let heard = rig.hear(self.stream);
        heard
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("a line of JSON"))
            .collect()
    }

    /// The numbers of jobs started since last asked.
    pub(crate) fn started(&self, rig: &mut Rig) -> Vec<u64> {
        let heard = self.hears(rig).into_iter();
        heard
            .filter_map(|message| match message {
                ToPortman::Start { job, .. } => Some(job),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn cancelled(&self, rig: &mut Rig) -> Vec<u64> {
        let heard = self.hears(rig).into_iter();
        heard
            .filter_map(|message| match message {
                ToPortman::Cancel { job } => Some(job),
                _ => None,
            })
            .collect()
    }
}

/// A job as its gateway orders it: good, unless a test changes it before it is placed.
pub(crate) struct Order {
    pub(crate) auth: JobAuthorization,
    pub(crate) signer: u8,
    pub(crate) request: ProxyRequest,
    pub(crate) body: Vec<u8>,
    pub(crate) offer: Offer,
}

/// What the node offers, from the record that it sent to this peer.
pub(crate) fn offer_of(rig: &mut Rig, peer: &Peer) -> Sealed<Offer> {
    let heard = peer.hears(rig);
    let record = heard.iter().rfind(|(kind, _)| *kind == Kind::CapabilityRecord).expect("a record");
    let record: CapabilityRecord = cbor::decode(&record.1).unwrap();
    object::open::<Offer>(net(), None, &record.hosted[0].offer.0).unwrap()
}

pub(crate) fn body(max_tokens: u32) -> Value {
    json!({ "messages": [{ "role": "user", "content": "hi" }], "stream": true, "max_tokens": max_tokens })
}

impl Order {
    pub(crate) fn new(rig: &Rig, gateway: u8, offer: &Sealed<Offer>, number: u8) -> Self {
        let fep_id = identity(FEP).fep_id();
        let asked = AuthorizeRequest {
            fep_id,
            request_id: RequestId([number; 16]),
            issued_ms: rig.now.wall.0,
            key: key_digest("key"),
            input_bound: 1_000,
            max_output: 100,
            ttl_s: 780,
            offers: Vec::new(),
            streamed: true,
        };
        let offers = std::slice::from_ref(offer);
        let auth = fep::authorization(rig.now, node(gateway), &asked, offers);
        let request = ProxyRequest {
            request_id: asked.request_id,
            fep_id,
            authorization: Blob(Vec::new()),
            attempt: 0,
            offer_hash: Hash(offer.hash),
            body_len: 0,
            body_hash: Hash([0; 32]),
            descriptor: None,
        };
        let mut order =
            Self { auth, signer: FEP_KEY, request, body: Vec::new(), offer: offer.content.clone() };
        order.set_body(&body(100));
        order
    }

    pub(crate) fn set_body(&mut self, body: &Value) {
        self.body = body.to_string().into_bytes();
        self.request.body_len = self.body.len() as u32;
        self.request.body_hash = Hash(*blake3::hash(&self.body).as_bytes());
    }

    pub(crate) fn place(&self, rig: &mut Rig, gateway: &mut Peer) -> StreamId {
        let stream = rig.open(gateway.link);
        self.place_on(rig, gateway, stream);
        stream
    }

    pub(crate) fn place_on(&self, rig: &mut Rig, gateway: &mut Peer, stream: StreamId) {
        let mut request = self.request.clone();
        request.authorization = Blob(seal(self.signer, self.auth.clone()));
        gateway.say(rig, stream, Kind::ProxyRequest, &cbor::encode(&request));
        rig.deliver(stream, &light(Kind::Body, &self.body));
    }

    /// The FEP's receipt for it.
    pub(crate) fn receipt(&self, settled: Counts) -> Receipt {
        fep::receipt(&self.auth, &self.offer, self.request.attempt, settled, settled)
    }

    /// The gateway's acknowledgement of so much.
    pub(crate) fn ack(&self, gateway: u8, counts: Counts) -> Vec<u8> {
        let ack = StreamAck { auth_id: self.auth.auth_id, attempt: self.request.attempt, counts };
        light(Kind::StreamAck, &cbor::encode(&Taken { ack: Blob(seal(gateway, ack)) }))
    }
}

pub(crate) fn delivery(signer: u8, receipt: &Receipt) -> Vec<u8> {
    cbor::encode(&ReceiptDelivery { receipt: Blob(seal(signer, receipt.clone())) })
}

/// The provider's refusal on this stream, and whether it says that nothing will be owed.
pub(crate) fn declined(rig: &mut Rig, stream: StreamId) -> Option<(RefusalCode, bool)> {
    let heard = frames(&rig.hear(stream));
    let error = heard.iter().find(|(kind, _)| *kind == Kind::ProxyError)?;
    let error = cbor::decode::<ProxyError>(&error.1).unwrap();
    let release = error.release.map(|it| object::open::<AttemptRelease>(net(), None, &it.0).unwrap().content);
    assert!(release.as_ref().is_none_or(|release| release.attempt == error.attempt));
    Some((error.refusal.code, release.is_some()))
}

pub(crate) fn refusal(rig: &mut Rig, stream: StreamId) -> Option<RefusalCode> {
    declined(rig, stream).map(|(code, _)| code)
}

pub(crate) fn end(heard: &[(Kind, Vec<u8>)]) -> Option<(UsageStatement, Option<Refusal>)> {
    let end = heard.iter().find(|(kind, _)| *kind == Kind::ProxyEnd)?;
    let end: ProxyEnd = cbor::decode(&end.1).unwrap();
    Some((object::open(net(), None, &end.statement.0).unwrap().content, end.broken))
}

/// Acknowledgements: `None` where the receipt was taken, the reason where it was refused.
pub(crate) fn acks(heard: &[(Kind, Vec<u8>)]) -> Vec<Option<String>> {
    let acks = heard.iter().filter(|(kind, _)| *kind == Kind::ReceiptAck);
    acks.map(|(_, payload)| cbor::decode::<ReceiptAck>(payload).unwrap().refused).collect()
}
