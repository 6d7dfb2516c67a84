//! One good message of each kind, and one good object.

use labman_proto_core::economics::{Counts, Fees, Price, Rate, merkle};
use labman_proto_core::identity::NetId;
use labman_proto_core::money::Micros;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::{AuthId, ClaimId, Hash, PayoutId, ReceiptId, RequestId};
use labman_proto_core::wire::keys::{CertifiedKey, Descriptor, KeyRing, OfferedRail, Quote};
use labman_proto_core::wire::mesh::{
    Announce, Busy, CapabilityRecord, Cheapest, Chunk, Departure, Digest, Distance, Distances, Errand,
    ErrandDone, Features, FepCall, FepDescriptor, Hello, Hosted, Invitation, Invite, Key, Load, Mark, Market,
    PeerRecord, ProxyEnd, ProxyError, ProxyMark, ProxyRequest, Prune, ReceiptAck, ReceiptDelivery, Refusal,
    RefusalCode, Shuffle, Suspicion, Taken, Transcript, Version, Want, Wanted,
};
use labman_proto_core::wire::object::{self, Object, Sealed};
use labman_proto_core::wire::portal::{
    Attempt, AttemptRelease, AuthorizeRequest, Claim, ClaimDecision, Dispute, DisputeDecision, End,
    IssuedReceipt, IssuedReceipts, JobAuthorization, Offer, Payout, PayoutTo, Receipt, ReceiptsRequest,
    RejectedLine, Ruling, StreamAck, UsageReport, UsageStatement, Verdict, key_digest, key_id,
};
use labman_proto_core::wire::topic::{Topic, Topics};

use crate::craft::{broadcast, signed};
use crate::keys::{BRINGER, FEP, FEP_KEY, GATEWAY, NETWORK, OTHER, PROVIDER, WALL, identity, node};

/// Of the connection on which every golden hello comes.
pub(crate) const BINDING: [u8; 32] = [0xb1; 32];

pub(crate) struct Message {
    pub(crate) kind: Kind,
    /// Encoded.
    pub(crate) payload: fn() -> Vec<u8>,
    /// Keys that may be absent or null.
    pub(crate) optional: &'static [u64],
}

/// Of every kind but `Body`, whose payload is no CBOR.
pub(crate) const MESSAGES: [Message; 25] = [
    Message { kind: Kind::Hello, payload: || cbor::encode(&hello()), optional: &[2] },
    Message { kind: Kind::PeerRecord, payload: || cbor::encode(&peer_record()), optional: &[3, 6] },
    Message { kind: Kind::CapabilityRecord, payload: || cbor::encode(&capability_record()), optional: &[2] },
    Message { kind: Kind::Departure, payload: || cbor::encode(&departure()), optional: &[0] },
    Message { kind: Kind::Suspicion, payload: || cbor::encode(&suspicion()), optional: &[2] },
    Message { kind: Kind::Announce, payload: || cbor::encode(&announce()), optional: &[] },
    Message { kind: Kind::Want, payload: || cbor::encode(&want()), optional: &[] },
    Message { kind: Kind::Prune, payload: || cbor::encode(&prune()), optional: &[] },
    Message { kind: Kind::Digest, payload: || cbor::encode(&digest()), optional: &[] },
    Message { kind: Kind::Distances, payload: || cbor::encode(&distances()), optional: &[] },
    Message { kind: Kind::Invite, payload: || cbor::encode(&invite()), optional: &[] },
    Message { kind: Kind::Shuffle, payload: || cbor::encode(&shuffle()), optional: &[2] },
    Message { kind: Kind::ProxyRequest, payload: || cbor::encode(&proxy_request()), optional: &[7] },
    Message { kind: Kind::ProxyMark, payload: || cbor::encode(&proxy_mark()), optional: &[] },
    Message { kind: Kind::ProxyError, payload: || cbor::encode(&proxy_error()), optional: &[3] },
    Message { kind: Kind::ReceiptDelivery, payload: || cbor::encode(&receipt_delivery()), optional: &[] },
    Message { kind: Kind::ReceiptAck, payload: || cbor::encode(&receipt_ack()), optional: &[1] },
    Message { kind: Kind::Load, payload: || cbor::encode(&load()), optional: &[] },
    Message { kind: Kind::Market, payload: || cbor::encode(&market()), optional: &[] },
    Message { kind: Kind::Errand, payload: || cbor::encode(&errand()), optional: &[] },
    Message { kind: Kind::ErrandDone, payload: || cbor::encode(&errand_done()), optional: &[] },
    Message { kind: Kind::FepDescriptor, payload: || cbor::encode(&fep_descriptor()), optional: &[] },
    Message { kind: Kind::Chunk, payload: || cbor::encode(&chunk()), optional: &[] },
    Message { kind: Kind::StreamAck, payload: || cbor::encode(&taken()), optional: &[] },
    Message { kind: Kind::ProxyEnd, payload: || cbor::encode(&proxy_end()), optional: &[1] },
];

pub(crate) struct Paper {
    pub(crate) name: &'static str,
    pub(crate) kind: u16,
    pub(crate) signer: u8,
    /// Encoded.
    pub(crate) payload: fn() -> Vec<u8>,
    pub(crate) optional: &'static [u64],
}

pub(crate) const OBJECTS: [Paper; 17] = [
    Paper { name: "Offer", kind: 1, signer: PROVIDER, payload: || cbor::encode(&offer()), optional: &[] },
    Paper {
        name: "AuthorizeRequest",
        kind: 2,
        signer: GATEWAY,
        payload: || cbor::encode(&authorize_request()),
        optional: &[],
    },
    Paper {
        name: "JobAuthorization",
        kind: 3,
        signer: FEP_KEY,
        payload: || cbor::encode(&job_authorization()),
        optional: &[],
    },
    Paper {
        name: "UsageReport",
        kind: 4,
        signer: GATEWAY,
        payload: || cbor::encode(&usage_report()),
        optional: &[2, 4],
    },
    Paper { name: "Receipt", kind: 5, signer: FEP_KEY, payload: || cbor::encode(&receipt()), optional: &[] },
    Paper { name: "Claim", kind: 6, signer: PROVIDER, payload: || cbor::encode(&claim()), optional: &[] },
    Paper {
        name: "ClaimDecision",
        kind: 7,
        signer: FEP_KEY,
        payload: || cbor::encode(&claim_decision()),
        optional: &[4],
    },
    Paper {
        name: "Invitation",
        kind: 8,
        signer: GATEWAY,
        payload: || cbor::encode(&invitation()),
        optional: &[],
    },
    Paper {
        name: "StreamAck",
        kind: 9,
        signer: GATEWAY,
        payload: || cbor::encode(&stream_ack()),
        optional: &[],
    },
    Paper {
        name: "UsageStatement",
        kind: 10,
        signer: PROVIDER,
        payload: || cbor::encode(&usage_statement()),
        optional: &[5],
    },
    Paper {
        name: "AttemptRelease",
        kind: 11,
        signer: PROVIDER,
        payload: || cbor::encode(&attempt_release()),
        optional: &[],
    },
    Paper { name: "KeyRing", kind: 12, signer: FEP, payload: || cbor::encode(&key_ring()), optional: &[] },
    Paper {
        name: "Descriptor",
        kind: 13,
        signer: FEP_KEY,
        payload: || cbor::encode(&descriptor()),
        optional: &[],
    },
    Paper {
        name: "ReceiptsRequest",
        kind: 14,
        signer: PROVIDER,
        payload: || cbor::encode(&receipts_request()),
        optional: &[],
    },
    Paper {
        name: "IssuedReceipts",
        kind: 15,
        signer: FEP_KEY,
        payload: || cbor::encode(&issued_receipts()),
        optional: &[],
    },
    Paper {
        name: "Dispute",
        kind: 16,
        signer: PROVIDER,
        payload: || cbor::encode(&dispute()),
        optional: &[],
    },
    Paper {
        name: "DisputeDecision",
        kind: 17,
        signer: FEP_KEY,
        payload: || cbor::encode(&dispute_decision()),
        optional: &[],
    },
];

const REQUEST: RequestId = RequestId([0x0e; 16]);
const CLAIM: ClaimId = ClaimId([0xc1; 16]);

pub(crate) fn seal<T: Object>(party: u8, content: T) -> Sealed<T> {
    object::seal(&identity(party), NetId::of(NETWORK), content)
}

pub(crate) fn counts() -> Counts {
    Counts { input: 1_200, cached: 200, output: 64 }
}

pub(crate) fn topics(families: &[&str]) -> Topics {
    families.iter().map(|family| Topic::of_family(family)).collect()
}

/// Of a gateway that serves all models.
pub(crate) fn hello() -> Hello {
    Hello {
        features: Features::OURS,
        software: "labman 0.1.0".into(),
        interest: Topics::All,
        binding: BINDING,
    }
}

pub(crate) fn peer_record() -> PeerRecord {
    PeerRecord {
        gateway: true,
        provider: false,
        addresses: vec!["203.0.113.7:4433".into(), "[2001:db8::7]:4433".into()],
        public_endpoint: Some("https://gateway.example/v1".into()),
        feps: vec![identity(FEP).fep_id()],
        witnesses: vec![node(OTHER)],
        interest: topics(&["lantern"]),
    }
}

/// Of a gateway that may be called.
pub(crate) fn peer_at(address: &str) -> PeerRecord {
    PeerRecord {
        gateway: true,
        provider: false,
        addresses: vec![address.into()],
        public_endpoint: None,
        feps: Vec::new(),
        witnesses: Vec::new(),
        interest: Topics::All,
    }
}

/// A party's peer record as a Shuffle carries it.
pub(crate) fn told(party: u8, record: &PeerRecord) -> Blob {
    Blob(signed(party, broadcast(Kind::PeerRecord), &cbor::encode(record)))
}

pub(crate) fn capability_record() -> CapabilityRecord {
    CapabilityRecord {
        hosted: vec![Hosted { offer: seal(PROVIDER, offer()).bytes, slots: 4, queue: 2 }],
        witnesses: vec![node(BRINGER), node(OTHER)],
        topics: topics(&["lantern"]),
    }
}

pub(crate) fn departure() -> Departure {
    Departure { topics: topics(&["lantern"]) }
}

pub(crate) fn suspicion() -> Suspicion {
    let version = Version { incarnation: WALL - 1_000, seq: 7 };
    Suspicion { subject: node(OTHER), version, topics: topics(&["lantern"]) }
}

pub(crate) fn mark(key: Key, seq: u64) -> Mark {
    Mark { key, version: Version { incarnation: WALL, seq } }
}

pub(crate) fn announce() -> Announce {
    Announce { marks: vec![mark(Key::peer(node(PROVIDER)), 1), mark(Key::capability(node(OTHER)), 70_000)] }
}

pub(crate) fn want() -> Want {
    Want { keys: vec![Key::peer(node(PROVIDER)), Key::capability(node(OTHER))] }
}

pub(crate) fn prune() -> Prune {
    Prune { topic: Topic::of_family("lantern") }
}

/// The provider tells of itself, and of a gateway.
pub(crate) fn shuffle() -> Shuffle {
    let others = PeerRecord { gateway: false, provider: true, addresses: Vec::new(), ..peer_record() };
    let peers = vec![told(PROVIDER, &others), told(OTHER, &peer_at("9.9.9.9:4433"))];
    Shuffle { peers, answer: true, topics: topics(&["lantern"]) }
}

pub(crate) fn digest() -> Digest {
    Digest { buckets: Blob([vec![0; 2_000], (0..48).collect()].concat()) }
}

pub(crate) fn distances() -> Distances {
    let lantern = Distance { topic: Topic::of_family("lantern"), root: node(OTHER), links: 3, above: true };
    let all = Distance { topic: Topic::NONE, root: node(PROVIDER), links: 0, above: false };
    Distances { trees: vec![lantern, all] }
}

pub(crate) fn invitation() -> Invitation {
    Invitation {
        provider: node(OTHER),
        issued_ms: WALL,
        addresses: vec!["9.9.9.9:4433".into()],
        feps: vec![identity(FEP).fep_id()],
    }
}

/// On its way to a provider that the receiver knows.
pub(crate) fn invite() -> Invite {
    Invite { hops: 11, invitation: seal(GATEWAY, invitation()).bytes }
}

pub(crate) fn body() -> Vec<u8> {
    br#"{"max_tokens":64,"messages":[{"content":"How far is the moon?","role":"user"}],"stream":true}"#
        .to_vec()
}

pub(crate) fn proxy_request() -> ProxyRequest {
    ProxyRequest {
        request_id: REQUEST,
        fep_id: identity(FEP).fep_id(),
        authorization: seal(FEP_KEY, job_authorization()).bytes,
        attempt: 0,
        offer_hash: Hash(seal(PROVIDER, offer()).hash),
        body_len: body().len() as u32,
        body_hash: Hash(*blake3::hash(&body()).as_bytes()),
        descriptor: Some(seal(FEP_KEY, descriptor()).bytes),
    }
}

pub(crate) fn chunk() -> Chunk {
    let data = br#"{"choices":[{"delta":{"content":"About"},"finish_reason":null,"index":0}]}"#;
    Chunk { counts: Counts { output: 1, ..counts() }, data: Blob(data.to_vec()) }
}

pub(crate) fn transcript() -> Transcript {
    let mut transcript = Transcript::default();
    transcript.add(&cbor::encode(&chunk()));
    transcript
}

pub(crate) fn proxy_mark() -> ProxyMark {
    let transcript = transcript();
    ProxyMark {
        request_id: REQUEST,
        attempt: 0,
        counts: chunk().counts,
        chunks: transcript.chunks(),
        transcript: transcript.hash(),
    }
}

pub(crate) fn taken() -> Taken {
    Taken { ack: seal(GATEWAY, stream_ack()).bytes }
}

pub(crate) fn proxy_end() -> ProxyEnd {
    ProxyEnd { statement: seal(PROVIDER, usage_statement()).bytes, broken: None }
}

pub(crate) fn refusal() -> Refusal {
    Refusal { code: RefusalCode::RuntimeFailed, message: "the runtime ended its stream".into() }
}

pub(crate) fn proxy_error() -> ProxyError {
    let refusal = Refusal { code: RefusalCode::Busy, message: "all slots of the model are taken".into() };
    // Of the attempt that the release is of.
    let attempt = attempt_release().attempt;
    ProxyError {
        request_id: REQUEST,
        attempt,
        refusal,
        release: Some(seal(PROVIDER, attempt_release()).bytes),
    }
}

pub(crate) fn receipt_delivery() -> ReceiptDelivery {
    ReceiptDelivery { receipt: seal(FEP_KEY, receipt()).bytes }
}

pub(crate) fn load() -> Load {
    Load { busy: vec![Busy { slug: "home:gpu:lantern".into(), jobs: 3, yours: 2 }] }
}

pub(crate) fn market() -> Market {
    let cheapest = Cheapest { currency: offer().payout.currency, price: Micros(2_500_000) };
    let wanted = Wanted {
        model: "lantern".into(),
        jobs: 40,
        unserved: 2,
        around: 500,
        slots: 12,
        taken: 11,
        cheapest: vec![cheapest],
    };
    Market { wanted: vec![wanted] }
}

pub(crate) fn errand() -> Errand {
    let fep_id = claim().fep_id;
    Errand { number: 3, fep_id, call: FepCall::Claim, object: seal(PROVIDER, claim()).bytes }
}

pub(crate) fn errand_done() -> ErrandDone {
    ErrandDone { number: 3, object: seal(FEP, claim_decision()).bytes }
}

pub(crate) fn receipt_ack() -> ReceiptAck {
    ReceiptAck { receipt_id: receipt().receipt_id, refused: None }
}

fn payout_to() -> PayoutTo {
    PayoutTo { currency: "XTS".parse().expect("a code"), address: "acct_0001".into() }
}

pub(crate) fn offer() -> Offer {
    Offer {
        slug: "acme:box:lantern".into(),
        context_length: 8_192,
        max_output: 2_048,
        price: Price {
            input_per_mtok: Micros(2_000_000),
            cached_per_mtok: Micros(500_000),
            output_per_mtok: Micros(6_000_000),
            per_request: Micros(0),
        },
        payout: payout_to(),
        valid_until_ms: WALL + 3_600_000,
    }
}

/// The key that signs now, and one that is revoked.
pub(crate) fn key_ring() -> KeyRing {
    let key = |party, from_ms, revoked_from_ms| CertifiedKey {
        key: identity(party).fep_key(),
        from_ms,
        until_ms: from_ms + 7_776_000_000,
        revoked_from_ms,
    };
    let keys =
        vec![key(OTHER, WALL - 86_400_000, Some(WALL - 3_600_000)), key(FEP_KEY, WALL - 7_200_000, None)];
    KeyRing { fep_id: identity(FEP).fep_id(), serial: WALL - 3_600_000, keys }
}

pub(crate) fn descriptor() -> Descriptor {
    Descriptor {
        ring: seal(FEP, key_ring()).bytes,
        issued_ms: WALL,
        currency: "XTS".parse().expect("a code"),
        fees: Fees { fep_bps: 100, gateway_bps: 400 },
        rails: vec![OfferedRail {
            name: "test".into(),
            currency: "XTS".parse().expect("a code"),
            least_payout: Micros(1_000_000),
        }],
        quotes: vec![Quote {
            currency: "EUR".parse().expect("a code"),
            rate: "0.92".parse().expect("a rate"),
            until_ms: WALL + 3_600_000,
        }],
    }
}

pub(crate) fn fep_descriptor() -> FepDescriptor {
    FepDescriptor { fep_id: identity(FEP).fep_id(), descriptor: seal(FEP_KEY, descriptor()).bytes }
}

pub(crate) fn authorize_request() -> AuthorizeRequest {
    AuthorizeRequest {
        fep_id: identity(FEP).fep_id(),
        request_id: REQUEST,
        issued_ms: WALL,
        key: key_digest("sk-vector"),
        input_bound: 1_264,
        max_output: 64,
        ttl_s: 960,
        offers: vec![seal(PROVIDER, offer()).bytes],
        streamed: true,
    }
}

fn auth_id() -> AuthId {
    AuthId::of(identity(FEP).fep_id(), node(GATEWAY), REQUEST)
}

pub(crate) fn job_authorization() -> JobAuthorization {
    let attempt = Attempt {
        provider: node(PROVIDER),
        offer_hash: Hash(seal(PROVIDER, offer()).hash),
        max_charge: Micros(3_050),
        max_payout: Micros(2_912),
        payout_currency: payout_to().currency,
        rate: Rate::ONE,
    };
    // Somebody who is paid in another currency.
    let foreign = Attempt {
        provider: node(OTHER),
        offer_hash: Hash([7; 32]),
        payout_currency: "EUR".parse().expect("a code"),
        rate: "0.92".parse().expect("a rate"),
        ..attempt.clone()
    };
    JobAuthorization {
        auth_id: auth_id(),
        fep_id: identity(FEP).fep_id(),
        request_id: REQUEST,
        gateway: node(GATEWAY),
        issued_ms: WALL,
        ttl_s: 960,
        currency: "XTS".parse().expect("a code"),
        hold: Micros(3_050),
        fees: Fees { fep_bps: 100, gateway_bps: 400 },
        input_bound: 1_264,
        max_output: 64,
        attempts: vec![attempt, foreign],
        key_id: key_id(&node(FEP_KEY).0),
        streamed: true,
    }
}

/// Not the last one: more was taken after it.
pub(crate) fn stream_ack() -> StreamAck {
    StreamAck { auth_id: auth_id(), attempt: 0, counts: Counts { output: 32, ..counts() } }
}

/// A token more than the gateway accepted.
pub(crate) fn usage_statement() -> UsageStatement {
    let transcript = transcript();
    UsageStatement {
        fep_id: identity(FEP).fep_id(),
        auth_id: auth_id(),
        attempt: 0,
        counts: Counts { output: 65, ..counts() },
        end: End::Complete,
        ack: Some(seal(GATEWAY, stream_ack()).bytes),
        chunks: transcript.chunks(),
        transcript: transcript.hash(),
        stated_ms: WALL + 3_900,
    }
}

pub(crate) fn attempt_release() -> AttemptRelease {
    AttemptRelease { auth_id: auth_id(), attempt: 1 }
}

pub(crate) fn usage_report() -> UsageReport {
    UsageReport {
        fep_id: identity(FEP).fep_id(),
        auth_id: auth_id(),
        attempt: Some(0),
        accepted: counts(),
        statement: Some(seal(PROVIDER, usage_statement()).bytes),
        releases: vec![seal(OTHER, attempt_release()).bytes],
        ended_ms: WALL + 4_000,
    }
}

pub(crate) fn receipt() -> Receipt {
    Receipt {
        receipt_id: ReceiptId::of(identity(FEP).fep_id(), auth_id(), 0),
        fep_id: identity(FEP).fep_id(),
        provider_node_id: node(PROVIDER),
        gateway_node_id: node(GATEWAY),
        auth_id: auth_id(),
        attempt: 0,
        offer_hash: Hash(seal(PROVIDER, offer()).hash),
        settled: counts(),
        accepted: counts(),
        stated: Counts { output: 65, ..counts() },
        billing_currency: "XTS".parse().expect("a code"),
        charge: Micros(2_609),
        payout_to: payout_to(),
        payout: Micros(2_484),
        rate: Rate::ONE,
        authorized_ms: WALL,
        issued_ms: WALL + 4_100,
        key_id: key_id(&node(FEP_KEY).0),
        sequence: 1,
        request_id: REQUEST,
    }
}

pub(crate) fn receipts_request() -> ReceiptsRequest {
    ReceiptsRequest { fep_id: identity(FEP).fep_id(), after: 0, issued_ms: WALL + 9_000 }
}

pub(crate) fn issued_receipts() -> IssuedReceipts {
    let next = Receipt { sequence: 2, ..receipt() };
    let issued = |receipt, claim_id| IssuedReceipt { receipt: seal(FEP_KEY, receipt).bytes, claim_id };
    IssuedReceipts {
        fep_id: identity(FEP).fep_id(),
        provider: node(PROVIDER),
        after: 0,
        last: 3,
        receipts: vec![issued(receipt(), Some(CLAIM)), issued(next, None)],
        issued_ms: WALL,
    }
}

pub(crate) fn claim() -> Claim {
    let mut receipts = vec![receipt().receipt_id, ReceiptId([0x11; 16]), ReceiptId([0xee; 16])];
    receipts.sort();
    let leaves: Vec<[u8; 16]> = receipts.iter().map(|receipt| receipt.0).collect();
    Claim {
        claim_id: CLAIM,
        fep_id: identity(FEP).fep_id(),
        payout_to: payout_to(),
        total: Micros(7_452),
        merkle_root: merkle::root(&leaves),
        receipts,
        issued_ms: WALL + 10_000,
    }
}

pub(crate) fn claim_decision() -> ClaimDecision {
    let payout_id = PayoutId::of(identity(FEP).fep_id(), node(PROVIDER), CLAIM);
    ClaimDecision {
        claim_id: CLAIM,
        fep_id: identity(FEP).fep_id(),
        verdict: Verdict::Partial,
        rejected: vec![RejectedLine { receipt_id: ReceiptId([0xee; 16]), reason: "no such receipt".into() }],
        payout: Some(Payout { payout_id, to: payout_to(), amount: Micros(4_968), rail_tx: "mock-1".into() }),
        decided_ms: WALL + 10_020,
    }
}

pub(crate) fn dispute() -> Dispute {
    Dispute {
        fep_id: identity(FEP).fep_id(),
        claim_id: CLAIM,
        receipt: seal(FEP_KEY, receipt()).bytes,
        reason: "no such receipt".into(),
        until_ms: WALL + 259_210_020,
        issued_ms: WALL + 10_030,
    }
}

pub(crate) fn dispute_decision() -> DisputeDecision {
    DisputeDecision {
        fep_id: identity(FEP).fep_id(),
        claim_id: CLAIM,
        receipt_id: receipt().receipt_id,
        ruling: Ruling::Stands,
        answer: "it was paid under another claim".into(),
        decided_ms: WALL + 20_000,
    }
}
