//! Mesh messages: the payloads of [`envelope`](super::envelope) frames.
//!
//! A link's **control stream** is the first that its dialler opens. Each end sends `Hello` first, then records and what
//! there is to say about them, receipts and their acknowledgements. A **job stream** is opened by the gateway:
//!
//! ```text
//! gateway  ProxyRequest Body*                    StreamAck*         ReceiptDelivery
//! provider                     ProxyError
//! provider                     (Chunk+ ProxyMark)*         ProxyEnd                              ReceiptAck
//! ```

use alloc::{string::String, vec::Vec};

use minicbor::{Decode, Encode};
use serde::Serialize;

use crate::economics::Counts;
use crate::identity::{FepId, NodeId};
use crate::money::{Currency, Micros};
use crate::wire::cbor::Blob;
use crate::wire::ids::{Hash, ReceiptId, RequestId};
use crate::wire::object::Object;
use crate::wire::portman::Fault;
use crate::wire::topic::{Topic, Topics};

/// First frame of each end of a control stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// What this node can do beyond the version.
    #[n(0)]
    pub features: Features,
    /// Name and version of the software, for people.
    #[n(1)]
    pub software: String,
    /// What it wants to be told of, and passes on.
    #[n(2)]
    pub interest: Topics,
    /// The connection's own ([`Peer::Mesh`](crate::machine::Peer::Mesh)), so that a hello is worth nothing on another.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub binding: [u8; 32],
}

/// What a node can do beyond the version, a bit each. On a link only what both ends have may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(transparent)]
pub struct Features(#[n(0)] pub u64);

impl Features {
    /// Of this version. None is defined yet.
    pub const OURS: Self = Self(0);

    /// Bits that one end does not know are not in it.
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// GossipPeers: who a node is and where it can be reached. Signed, broadcast, last writer wins.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(map)]
pub struct PeerRecord {
    #[n(0)]
    pub gateway: bool,
    #[n(1)]
    pub provider: bool,
    /// `ip:port` of its mesh listeners; empty where it only dials out.
    #[n(2)]
    pub addresses: Vec<String>,
    /// URL of its OpenAI API, if it offers one to the public.
    #[n(3)]
    pub public_endpoint: Option<String>,
    /// The FEPs it is paired with.
    #[n(4)]
    pub feps: Vec<FepId>,
    /// Gateways it is linked to: if it dies, they are the ones to notice.
    #[n(5)]
    pub witnesses: Vec<NodeId>,
    /// What it wants to be told of, and passes on.
    #[n(6)]
    pub interest: Topics,
}

/// GossipCapabilities: what a provider serves now, at what price.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CapabilityRecord {
    #[n(0)]
    pub hosted: Vec<Hosted>,
    /// As in its peer record.
    #[n(1)]
    pub witnesses: Vec<NodeId>,
    /// The families of the models: whom this concerns.
    #[n(2)]
    pub topics: Topics,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hosted {
    /// A signed [`Offer`](super::portal::Offer).
    #[n(0)]
    pub offer: Blob,
    /// Requests it can run at once.
    #[n(1)]
    pub slots: u32,
    /// Requests that it lets wait for a slot.
    #[n(2)]
    pub queue: u32,
}

/// The origin leaves, and says so: what it said before counts no more.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Departure {
    /// Whom it concerns: the families of what it served; absent: everyone.
    #[n(0)]
    pub topics: Topics,
}

/// The origin was linked to that node and is not any more, and has not heard that it lives.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Suspicion {
    #[n(0)]
    pub subject: NodeId,
    /// The latest of its records that the origin holds. A later one refutes the suspicion.
    #[n(1)]
    pub version: Version,
    /// As in [`Departure::topics`].
    #[n(2)]
    pub topics: Topics,
}

/// What a record says of its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum About {
    #[n(2)]
    Peer,
    #[n(3)]
    Capability,
    #[n(9)]
    Departure,
    #[n(10)]
    Suspicion,
}

/// Which record: there is at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct Key {
    #[n(0)]
    pub about: About,
    #[n(1)]
    pub origin: NodeId,
    /// Of a suspicion: whom it suspects.
    #[n(2)]
    pub subject: Option<NodeId>,
}

impl Key {
    pub const fn peer(origin: NodeId) -> Self {
        Self { about: About::Peer, origin, subject: None }
    }

    pub const fn capability(origin: NodeId) -> Self {
        Self { about: About::Capability, origin, subject: None }
    }

    pub const fn departure(origin: NodeId) -> Self {
        Self { about: About::Departure, origin, subject: None }
    }

    pub const fn suspicion(origin: NodeId, subject: NodeId) -> Self {
        Self { about: About::Suspicion, origin, subject: Some(subject) }
    }
}

/// A record's version. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct Version {
    #[n(0)]
    pub incarnation: u64,
    #[n(1)]
    pub seq: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct Mark {
    #[n(0)]
    pub key: Key,
    #[n(1)]
    pub version: Version,
}

/// The sender holds these records, and does not send them unless they are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Announce {
    #[n(0)]
    pub marks: Vec<Mark>,
}

/// Send me these, and from now on what is new.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Want {
    #[n(0)]
    pub keys: Vec<Key>,
}

/// Send me no more new records, only announce them: I have them from others.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Prune {
    /// Of the tree of this topic.
    #[n(0)]
    pub topic: Topic,
}

/// How far the sender is from the roots of some trees that both are on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Distances {
    #[n(0)]
    pub trees: Vec<Distance>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Distance {
    /// Of which tree.
    #[n(0)]
    pub topic: Topic,
    #[n(1)]
    pub root: NodeId,
    /// Links between the sender and the root.
    #[n(2)]
    pub links: u8,
    /// It is so near by the receiver.
    #[n(3)]
    pub above: bool,
}

/// An invitation on its way to a provider, along the links by which the provider's record came.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Invite {
    /// How many times it may still be passed on.
    #[n(0)]
    pub hops: u8,
    /// A sealed [`Invitation`].
    #[n(1)]
    pub invitation: Blob,
}

/// A gateway, which signs it, asks a provider to which it has no link to call.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Invitation {
    #[n(0)]
    pub provider: NodeId,
    /// Unix time in milliseconds.
    #[n(1)]
    pub issued_ms: u64,
    /// Where to call: `ip:port`.
    #[n(2)]
    pub addresses: Vec<String>,
    /// FEPs that it is paired with.
    #[n(3)]
    pub feps: Vec<FepId>,
}

impl Object for Invitation {
    const KIND: u16 = 8;
}

/// Some peers that the sender knows of, itself among them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Shuffle {
    /// Peer records, whole frames as their origins signed them.
    #[n(0)]
    pub peers: Vec<Blob>,
    /// The receiver is to answer with as many.
    #[n(1)]
    pub answer: bool,
    /// Of gateways that hear of these, if it knows some; absent: of any.
    #[n(2)]
    pub topics: Topics,
}

/// All records that the sender holds, in a few bytes: where two differ, their holders announce what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Digest {
    /// A sum over each of 256 buckets, 8 bytes each, big-endian.
    #[n(0)]
    pub buckets: Blob,
}

/// How busy the sender is now. Slugs of which no job runs are left out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Load {
    #[n(0)]
    pub busy: Vec<Busy>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Busy {
    #[n(0)]
    pub slug: String,
    /// Running now, or waiting.
    #[n(1)]
    pub jobs: u32,
    /// Of them, those of the gateway that is told.
    #[n(2)]
    pub yours: u32,
}

/// What the sender's users asked for in the last hour, and what there is of it, by model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Market {
    /// The most wanted first.
    #[n(0)]
    pub wanted: Vec<Wanted>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Wanted {
    /// Without tenant and endpoint.
    #[n(0)]
    pub model: String,
    /// Jobs of the sender's users that were authorised.
    #[n(1)]
    pub jobs: u32,
    /// Requests of its users that nobody could serve.
    #[n(2)]
    pub unserved: u32,
    /// Both, summed over the sender's neighbours.
    #[n(3)]
    pub around: u32,
    /// Of the providers that the sender knows; and how many of these are taken.
    #[n(4)]
    pub slots: u32,
    #[n(5)]
    pub taken: u32,
    /// The cheapest offer in each of at most [`MARKET_CURRENCIES`](crate::limits::MARKET_CURRENCIES) currencies.
    #[n(6)]
    pub cheapest: Vec<Cheapest>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Cheapest {
    #[n(0)]
    pub currency: Currency,
    /// A million tokens of input and a million of output together.
    #[n(1)]
    pub price: Micros,
}

impl Wanted {
    /// By anybody.
    pub(crate) const fn all(&self) -> u32 {
        self.jobs.saturating_add(self.unserved).saturating_add(self.around)
    }

    pub(crate) const fn is_wanted(&self) -> bool {
        self.all() > 0
    }
}

/// A job, offered by a gateway to a provider. Its body follows in `Body` frames.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ProxyRequest {
    #[n(0)]
    pub request_id: RequestId,
    #[n(1)]
    pub fep_id: FepId,
    /// A signed [`JobAuthorization`](super::portal::JobAuthorization).
    #[n(2)]
    pub authorization: Blob,
    /// Which of the authorization's attempts this is, from 0.
    #[n(3)]
    pub attempt: u8,
    /// Hash of the offer under which the gateway expects to be served.
    #[n(4)]
    pub offer_hash: Hash,
    /// Length and BLAKE3 of the OpenAI body (JSON) in the frames that follow.
    #[n(5)]
    pub body_len: u32,
    #[n(6)]
    pub body_hash: Hash,
    /// The FEP's, signed, where it may be news: the authorization's key stands in it.
    #[n(7)]
    pub descriptor: Option<Blob>,
}

/// Light: one OpenAI chunk, with the running counts that it brings the stream to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Chunk {
    #[n(0)]
    pub counts: Counts,
    /// One `chat.completion.chunk` object, JSON.
    #[n(1)]
    pub data: Blob,
}

/// Signed, while chunks flow: what came so far. So the chunks that nobody could be shown are few, and of the last moments.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ProxyMark {
    #[n(0)]
    pub request_id: RequestId,
    #[n(1)]
    pub attempt: u8,
    /// Those of the last chunk.
    #[n(2)]
    pub counts: Counts,
    /// How many chunks so far, and the transcript over them.
    #[n(3)]
    pub chunks: u64,
    #[n(4)]
    pub transcript: Hash,
}

/// Light: the gateway has taken so much of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Taken {
    /// A signed [`StreamAck`](super::portal::StreamAck).
    #[n(0)]
    pub ack: Blob,
}

/// Light: the end of a stream of chunks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ProxyEnd {
    /// A signed [`UsageStatement`](super::portal::UsageStatement): what was delivered.
    #[n(0)]
    pub statement: Blob,
    /// Why the provider ended the stream before its natural end, if it did.
    #[n(1)]
    pub broken: Option<Refusal>,
}

/// Signed refusal: the job was not begun, and nothing is owed for it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ProxyError {
    #[n(0)]
    pub request_id: RequestId,
    #[n(1)]
    pub attempt: u8,
    #[n(2)]
    pub refusal: Refusal,
    /// A signed [`AttemptRelease`](super::portal::AttemptRelease), where the job was paid for.
    #[n(3)]
    pub release: Option<Blob>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Refusal {
    #[n(0)]
    pub code: RefusalCode,
    /// For people; at most 256 bytes of it are shown.
    #[n(1)]
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RefusalCode {
    /// The model is not served here now.
    #[n(0)]
    ModelNotAvailable,
    /// All slots are taken.
    #[n(1)]
    Busy,
    /// The FEP or the gateway is not trusted here.
    #[n(2)]
    NotTrusted,
    /// The authorization does not cover this attempt: expired, used, too small, for somebody else.
    #[n(3)]
    BadAuthorization,
    /// The offer is not (or no longer) one of ours.
    #[n(4)]
    OfferChanged,
    /// The runtime calls the request itself wrong: another provider would too.
    #[n(5)]
    BadRequest,
    /// The runtime or Portman failed.
    #[n(6)]
    RuntimeFailed,
    /// The gateway wanted no more before anything was delivered.
    #[n(7)]
    Cancelled,
}

impl From<Fault> for RefusalCode {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::BadRequest => Self::BadRequest,
            Fault::ModelNotAvailable => Self::ModelNotAvailable,
            Fault::Busy => Self::Busy,
            Fault::RuntimeFailed => Self::RuntimeFailed,
        }
    }
}

impl RefusalCode {
    /// In a few words, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ModelNotAvailable => "does not serve the model now",
            Self::Busy => "busy",
            Self::NotTrusted => "does not trust the FEP or this gateway",
            Self::BadAuthorization => "does not take the authorization",
            Self::OfferChanged => "has another offer now",
            Self::BadRequest => "calls the request wrong",
            Self::RuntimeFailed => "its runtime failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The FEP's receipt, on the job stream or later on the control stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ReceiptDelivery {
    /// A signed [`Receipt`](super::portal::Receipt).
    #[n(0)]
    pub receipt: Blob,
}

/// The receipt is durable at the provider, or was refused for good with a reason.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ReceiptAck {
    #[n(0)]
    pub receipt_id: ReceiptId,
    #[n(1)]
    pub refused: Option<String>,
}

/// Carry this to a FEP: of a provider that does not reach it, to a gateway that does. On the control stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Errand {
    /// The sender's, so that it knows the answer by it.
    #[n(0)]
    pub number: u64,
    #[n(1)]
    pub fep_id: FepId,
    #[n(2)]
    pub call: FepCall,
    /// The call's body, signed by the sender.
    #[n(3)]
    pub object: Blob,
}

/// A call of a FEP that is carried: its answer is signed, so that nobody on the way can make one up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum FepCall {
    #[n(0)]
    Statement,
    #[n(1)]
    Claim,
}

impl FepCall {
    pub const fn path(self) -> &'static str {
        match self {
            Self::Statement => "/v1/statements",
            Self::Claim => "/v1/claims",
        }
    }
}

/// What the FEP answered to an errand, where that is signed. Nothing comes back of any other.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ErrandDone {
    #[n(0)]
    pub number: u64,
    /// A signed [`Receipt`](super::portal::Receipt) or [`ClaimDecision`](super::portal::ClaimDecision).
    #[n(1)]
    pub object: Blob,
}

/// What a FEP that the sender trusts says of itself: told when it is news, and to whoever is new.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FepDescriptor {
    #[n(0)]
    pub fep_id: FepId,
    /// A signed [`Descriptor`](super::keys::Descriptor).
    #[n(1)]
    pub descriptor: Blob,
}

/// The running hash behind [`ProxyMark::transcript`] and a usage statement's: BLAKE3 over the payloads of all `Chunk`
/// frames, each behind its length (u32, big-endian).
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    hasher: blake3::Hasher,
    chunks: u64,
}

impl Transcript {
    pub fn add(&mut self, chunk_payload: &[u8]) {
        self.hasher.update(&(chunk_payload.len() as u32).to_be_bytes());
        self.hasher.update(chunk_payload);
        self.chunks += 1;
    }

    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    pub fn hash(&self) -> Hash {
        Hash(*self.hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_ends_can_do_is_common_to_them() {
        assert_eq!(Features(0b0110).common(Features(0b1100)), Features(0b0100));
        assert_eq!(Features::OURS.common(Features(u64::MAX)), Features::OURS);
    }
}
