//! Writes what fuzzing begins with into `fuzz/corpus`: one good input of each kind, from which a fuzzer makes others.
//!
//!     cargo run -p labman-fuzz-bodies --example seeds

use std::fs;
use std::path::{Path, PathBuf};

use labman_fuzz_bodies::TARGETS;
use labman_proto_core::economics::{Counts, Fees, Price, Rate};
use labman_proto_core::http::{RequestHead, ResponseHead, Surface};
use labman_proto_core::identity::{Identity, NodeId};
use labman_proto_core::journal;
use labman_proto_core::machine::{Completion, DownReason, Input, LinkId, OpId, Peer, ResetCode, StreamId};
use labman_proto_core::money::Micros;
use labman_proto_core::rng::Seed;
use labman_proto_core::store::Snapshot;
use labman_proto_core::time::{Now, Time, Wall};
use labman_proto_core::wire::cbor::{Blob, encode};
use labman_proto_core::wire::envelope::{Header, Kind, SignedFrame, light};
use labman_proto_core::wire::ids::{AuthId, ClaimId, Hash, PayoutId, ReceiptId, RequestId};
use labman_proto_core::wire::keys::{CertifiedKey, Descriptor, KeyRing, OfferedRail, Quote};
use labman_proto_core::wire::mesh::{
    Announce, Busy, CapabilityRecord, Chunk, Departure, Digest, Distance, Distances, Errand, ErrandDone,
    Features, FepCall, FepDescriptor, Hello, Hosted, Invitation, Invite, Key, Load, Mark, Market, PeerRecord,
    ProxyEnd, ProxyError, ProxyMark, ProxyRequest, Prune, ReceiptAck, ReceiptDelivery, Refusal, RefusalCode,
    Shuffle, Suspicion, Taken, Version, Want, Wanted,
};
use labman_proto_core::wire::portal::{
    Attempt, AttemptRelease, AuthorizeRequest, Claim, ClaimDecision, Dispute, DisputeDecision, End,
    IssuedReceipt, IssuedReceipts, JobAuthorization, Offer, Payout, PayoutTo, Receipt, ReceiptsRequest,
    RejectedLine, Ruling, StreamAck, UsageReport, UsageStatement, Verdict,
};
use labman_proto_core::wire::topic::{Topic, Topics};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, seeds) in all(&root) {
        let folder = root.join("fuzz/corpus").join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let body = TARGETS.iter().find(|(target, _)| *target == name).expect("a target").1;
        for (number, seed) in seeds.iter().enumerate() {
            body(seed);
            fs::write(folder.join(format!("seed-{number:02}")), seed).expect("a file");
        }
        println!("{name}: {}", seeds.len());
    }
}

type Seeds = Vec<Vec<u8>>;

fn all(root: &Path) -> Vec<(&'static str, Seeds)> {
    let messages = messages();
    let objects = objects();
    let behind = |number: usize, bytes: &[u8]| [&[number as u8], bytes].concat();
    let numbered =
        |list: &Seeds| list.iter().enumerate().map(|(number, bytes)| behind(number, bytes)).collect();
    let hello = frame(Kind::Hello, &messages[0]);
    let stream = [hello.as_slice(), &frame(Kind::Announce, &messages[3]), &light(Kind::Chunk, &messages[8])];
    let texts = |folder: &str| {
        let mut paths: Vec<PathBuf> = fs::read_dir(root.join(folder))
            .expect("a folder")
            .map(|file| file.expect("a file").path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
            .collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).expect("a file")).collect::<Seeds>()
    };
    vec![
        ("cbor", messages.clone()),
        ("frame_reader", vec![[&[3, 200, 1, 9], stream.concat().as_slice()].concat()]),
        ("signed_frame", vec![hello, frame(Kind::PeerRecord, &messages[1])]),
        ("mesh_message", numbered(&messages)),
        ("signed_object", numbered(&objects)),
        ("portman_line", vec![behind(9, LINES.as_bytes()), behind(40, JOBS.as_bytes())]),
        (
            "chat_request",
            vec![CHAT.into(), br#"{"model":"m","messages":[{"role":"user","content":"x"}],"n":1}"#.into()],
        ),
        ("sse", vec![behind(30, EVENTS.as_bytes())]),
        ("runtime_chunk", vec![CHUNKS.into()]),
        ("journal", vec![journal_of_a_node()]),
        ("store_rows", vec![rows()]),
        ("config", texts("examples")),
        ("scenario", [texts("scenarios"), texts("scenarios/conformance")].concat()),
        ("node", node_stories()),
        ("portal", portal_stories()),
        ("portman", vec![vec![0, 2, 1, 0, 0, 255, 255, 4, 0, 0, 5, 0, 3, 9, 6, 0, 4, 4, 0, 5]]),
    ]
}

/// A gateway's job at a peer that serves it, and a peer's job here: as `node.rs` reads its bytes.
fn node_stories() -> Seeds {
    let begin = [0, 7, 0, 0];
    // The peer on the first link says its capability on its control stream, and a user asks.
    let offer = [3, 0, 2, 0, 9, 1, 0, 0];
    let ask = [14, 0, 0, 0, 1, 1, 19];
    let fep = [16, 0, 1];
    let (chunk, mark) = ([9, 0, 1, 0, 0, 1, 0, 1], [3, 0, 13, 1, 1, 0, 1, 0]);
    let end = [3, 0, 7, 0, 1, 0, 1, 0, 0, 0, 19];
    let settled = [16, 0, 1, 0, 19, 3, 0, 10, 1, 0, 1, 0, 19];
    let asked = [&begin[..], &offer, &ask, &fep].concat();
    let served = [&asked[..], &chunk, &mark, &chunk, &end, &settled, &[13, 5]].concat();
    // The user leaves, and the peer has the last word; or the peer refuses, and signs that nothing is owed.
    let left = [10, 2, 1, 1, 3, 0, 7, 0, 1, 0, 1, 0, 1, 0, 19, 16, 0, 1, 0, 19];
    let left = [&asked[..], &chunk, &mark, &left].concat();
    let refused = [&asked[..], &[3, 0, 8, 0, 0, 1, 0, 19, 16, 0, 1, 19]].concat();
    // A Portman attaches, and the peer brings a job.
    let portman = [0, 17, 0, 0, 7, 0, 0, 19];
    let job = [2, 1, 3, 2, 11, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 9, 2, 0, 0, 19];
    // The Portman gives a chunk, the gateway acknowledges it, the job ends, and the gateway brings the receipt.
    let ack = [9, 2, 2, 0, 0, 1, 0, 1, 0];
    let piece = [18, 0, 1, 1, 0, 1, 2];
    let worked = [18, 0, 1, 1, 0, 1, 0, 19, 3, 2, 9, 1, 0, 1, 0, 19, 13, 5];
    // Or it wants no more: by the end of its direction, or by the end of the stream. Then the FEP is asked.
    let cancelled = [10, 2, 0, 19];
    let lost = [10, 2, 1, 1, 19, 13, 5, 0, 13, 5, 0, 13, 5, 0, 16, 1, 1, 1, 19, 13, 5];
    let job = [&portman[..], &job, &piece, &ack].concat();
    vec![
        served,
        left,
        refused,
        [&job[..], &piece, &worked].concat(),
        [&job[..], &cancelled].concat(),
        [&job[..], &piece, &lost].concat(),
    ]
}

/// Jobs of a gateway, and how they are settled: as `portal.rs` reads its bytes.
fn portal_stories() -> Seeds {
    let settle = [11, 1];
    let authorize = [&[2, 1, 1, 9, 9, 9, 9, 9, 1, 9, 1, 3, 0], &settle[..]].concat();
    // What was delivered, how it ended, with an acknowledgement of as much, in a chunk.
    let statement = |end: u8| [9, 0, 1, 9, 0, end, 2, 1];
    let shown = |attempt: u8, end: u8| [&[5, 0, attempt], &statement(end)[..], &[0], &settle].concat();
    let releases = [1, 2, 2];
    let with_statement = [&[4, 9, 0, 1, 9, 0, 0, 0, 1, 0], &statement(0)[..], &releases, &settle].concat();
    let without = [&[4, 9, 0, 1, 9, 0, 0, 0, 0], &releases[..], &settle].concat();
    let nobody = [&[4, 0, 0, 0, 0, 0, 0, 3, 0], &releases[..], &settle].concat();
    let claim = [&[6, 0, 0, 0, 0, 0, 9, 0, 0], &settle[..]].concat();
    let lapse = [9, 3, 0, 11, 1];
    // Of the first job's receipt, with what was settled, paid and claimed, and until when.
    let dispute = [&[12, 1, 0, 0, 0][..], &[1; 15], &[0; 7], &[9, 1, 0], &[0; 8], &[0], &settle].concat();
    // Whatever its id begins with.
    let decide: Vec<u8> = (0..16).flat_map(|digit| [12, 0, digit, 1, 11, 1]).collect();
    let story = |parts: &[&[u8]]| [&authorize[..], &parts.concat()].concat();
    vec![
        story(&[&with_statement, &claim, &with_statement]),
        // The provider is first, and another one was acknowledged, too: the bond pays.
        story(&[&shown(1, 1), &shown(0, 2), &shown(0, 2), &nobody, &lapse]),
        // The gateway says that nobody delivered.
        story(&[&nobody, &shown(0, 3), &lapse, &nobody]),
        // Nothing is settled before the provider speaks, or the hold lapses.
        story(&[&without, &shown(0, 2)]),
        story(&[&without, &lapse, &without]),
        // What was not paid is disputed, decided, and asked about again.
        story(&[&with_statement, &dispute, &dispute, &decide, &dispute]),
    ]
}

fn node_id(number: u8) -> NodeId {
    NodeId([number; 32])
}

fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let identity = Identity::from_secret(&[1; 32]);
    let header = Header {
        kind: kind as u16,
        net_id: labman_proto_core::identity::NetId::of("fuzz"),
        sender: identity.node_id(),
        dest: Some(node_id(2)),
        incarnation: 1_700_000_000_000,
        seq: 1,
        issued: Wall(1_700_000_000_000),
        ttl_s: 0,
    };
    SignedFrame::sign(&identity, header, payload).into_bytes()
}

fn counts() -> Counts {
    Counts { input: 30, cached: 10, output: 300 }
}

fn refusal() -> Refusal {
    Refusal { code: RefusalCode::Busy, message: "all slots are taken".into() }
}

/// In the order of `mesh_message`.
fn messages() -> Seeds {
    let key = Key::capability(node_id(3));
    let version = Version { incarnation: 1_700_000_000_000, seq: 4 };
    let (request_id, receipt_id) = (RequestId([7; 16]), ReceiptId([8; 16]));
    vec![
        encode(&Hello {
            features: Features::OURS,
            software: "labman 0.1.0".into(),
            interest: Topics::All,
            binding: [7; 32],
        }),
        encode(&PeerRecord {
            gateway: true,
            provider: false,
            addresses: vec!["192.0.2.1:4433".into()],
            public_endpoint: Some("https://gate.example".into()),
            feps: vec![Identity::from_secret(&[1; 32]).fep_id()],
            witnesses: vec![node_id(3)],
            interest: Topics::All,
        }),
        encode(&CapabilityRecord {
            hosted: vec![Hosted { offer: Blob(objects()[0].clone()), slots: 4, queue: 2 }],
            witnesses: vec![node_id(3)],
            topics: Topics::All,
        }),
        encode(&Announce { marks: vec![Mark { key, version }] }),
        encode(&Want { keys: vec![key] }),
        encode(&Prune { topic: Topic::of_family("toy") }),
        encode(&Digest { buckets: Blob(vec![0; 64]) }),
        encode(&ProxyRequest {
            request_id,
            fep_id: Identity::from_secret(&[1; 32]).fep_id(),
            authorization: Blob(vec![1; 16]),
            attempt: 0,
            offer_hash: Hash([2; 32]),
            body_len: 70_000,
            body_hash: Hash([3; 32]),
            descriptor: Some(Blob(vec![4; 16])),
        }),
        encode(&Chunk { counts: counts(), data: Blob(br#"{"choices":[]}"#.to_vec()) }),
        encode(&ProxyEnd { statement: Blob(objects()[9].clone()), broken: Some(refusal()) }),
        encode(&ProxyError {
            request_id,
            attempt: 0,
            refusal: refusal(),
            release: Some(Blob(objects()[10].clone())),
        }),
        encode(&ReceiptDelivery { receipt: Blob(vec![5; 16]) }),
        encode(&ReceiptAck { receipt_id, refused: Some("another payout".into()) }),
        encode(&Shuffle { peers: vec![Blob(vec![6; 16])], answer: true, topics: Topics::All }),
        encode(&Departure { topics: Topics::All }),
        encode(&Suspicion { subject: node_id(3), version, topics: Topics::All }),
        encode(&ProxyMark { request_id, attempt: 1, counts: counts(), chunks: 9, transcript: Hash([4; 32]) }),
        encode(&Load { busy: vec![Busy { slug: "acme:box:toy".into(), jobs: 3, yours: 2 }] }),
        encode(&Market { wanted: vec![Wanted { model: "toy".into(), jobs: 7, ..Wanted::default() }] }),
        encode(&Distances {
            trees: vec![Distance { topic: Topic::of_family("toy"), root: node_id(3), links: 2, above: true }],
        }),
        encode(&Invite { hops: 12, invitation: Blob(objects()[7].clone()) }),
        encode(&Errand {
            number: 3,
            fep_id: Identity::from_secret(&[1; 32]).fep_id(),
            call: FepCall::Claim,
            object: Blob(objects()[5].clone()),
        }),
        encode(&ErrandDone { number: 3, object: Blob(objects()[6].clone()) }),
        encode(&FepDescriptor {
            fep_id: Identity::from_secret(&[1; 32]).fep_id(),
            descriptor: Blob(objects()[14].clone()),
        }),
        encode(&Taken { ack: Blob(objects()[8].clone()) }),
    ]
}

/// Payloads, in the order of `signed_object`.
fn objects() -> Seeds {
    let fep_id = Identity::from_secret(&[1; 32]).fep_id();
    let currency: labman_proto_core::money::Currency = "XTS".parse().expect("a currency");
    let payout_to = PayoutTo { currency: currency.clone(), address: "acct-7".into() };
    let price = Price {
        input_per_mtok: Micros(2_000_000),
        cached_per_mtok: Micros(1_000_000),
        output_per_mtok: Micros(5_000_000),
        per_request: Micros(10),
    };
    let (auth_id, request_id) = (AuthId([1; 16]), RequestId([2; 16]));
    let (receipt_id, claim_id, hash) = (ReceiptId([3; 16]), ClaimId([4; 16]), Hash([5; 32]));
    let attempt = Attempt {
        provider: node_id(5),
        offer_hash: hash,
        max_charge: Micros(735),
        max_payout: Micros(700),
        payout_currency: currency.clone(),
        rate: Rate::ONE,
    };
    let now = 1_700_000_000_000;
    vec![
        encode(&Offer {
            slug: "acme:box:toy".into(),
            context_length: 4_096,
            max_output: 1_024,
            price,
            payout: payout_to.clone(),
            valid_until_ms: now,
        }),
        encode(&AuthorizeRequest {
            fep_id,
            request_id,
            issued_ms: now,
            key: hash,
            input_bound: 100,
            max_output: 100,
            ttl_s: 720,
            offers: vec![Blob(vec![6; 8])],
            streamed: true,
        }),
        encode(&JobAuthorization {
            auth_id,
            fep_id,
            request_id,
            gateway: node_id(4),
            issued_ms: now,
            ttl_s: 720,
            currency: currency.clone(),
            hold: Micros(735),
            fees: Fees { fep_bps: 100, gateway_bps: 400 },
            input_bound: 100,
            max_output: 100,
            attempts: vec![attempt],
            key_id: hash,
            streamed: true,
        }),
        encode(&UsageReport {
            fep_id,
            auth_id,
            attempt: Some(0),
            accepted: counts(),
            statement: Some(Blob(vec![7; 8])),
            releases: vec![Blob(vec![8; 8])],
            ended_ms: now,
        }),
        encode(&Receipt {
            receipt_id,
            fep_id,
            provider_node_id: node_id(5),
            gateway_node_id: node_id(4),
            auth_id,
            attempt: 0,
            offer_hash: hash,
            settled: counts(),
            accepted: counts(),
            stated: counts(),
            billing_currency: currency,
            charge: Micros(735),
            payout_to: payout_to.clone(),
            payout: Micros(700),
            rate: Rate::ONE,
            authorized_ms: now,
            issued_ms: now,
            key_id: hash,
            sequence: 1,
            request_id,
        }),
        encode(&Claim {
            claim_id,
            fep_id,
            payout_to: payout_to.clone(),
            total: Micros(700),
            receipts: vec![receipt_id],
            merkle_root: hash,
            issued_ms: now,
        }),
        encode(&ClaimDecision {
            claim_id,
            fep_id,
            verdict: Verdict::Partial,
            rejected: vec![RejectedLine { receipt_id, reason: "paid before".into() }],
            payout: Some(Payout {
                payout_id: PayoutId([9; 16]),
                to: payout_to,
                amount: Micros(700),
                rail_tx: "tx-1".into(),
            }),
            decided_ms: now,
        }),
        encode(&Invitation {
            provider: node_id(3),
            issued_ms: now,
            addresses: vec!["192.0.2.1:4433".into()],
            feps: vec![fep_id],
        }),
        encode(&StreamAck { auth_id, attempt: 0, counts: counts() }),
        encode(&UsageStatement {
            fep_id,
            auth_id,
            attempt: 0,
            counts: counts(),
            end: End::Cancelled,
            ack: Some(Blob(vec![9; 8])),
            chunks: 9,
            transcript: hash,
            stated_ms: now,
        }),
        encode(&AttemptRelease { auth_id, attempt: 1 }),
        encode(&ReceiptsRequest { fep_id, after: 3, issued_ms: now }),
        encode(&IssuedReceipts {
            fep_id,
            provider: node_id(5),
            after: 3,
            last: 4,
            receipts: vec![IssuedReceipt { receipt: Blob(vec![10; 8]), claim_id: Some(claim_id) }],
            issued_ms: now,
        }),
        encode(&KeyRing {
            fep_id,
            serial: now,
            keys: vec![CertifiedKey {
                key: Identity::from_secret(&[3; 32]).fep_key(),
                from_ms: now,
                until_ms: now + 31_536_000_000,
                revoked_from_ms: Some(now + 1),
            }],
        }),
        encode(&Descriptor {
            ring: Blob(vec![10; 8]),
            issued_ms: now,
            currency: "XTS".parse().expect("a currency"),
            fees: Fees { fep_bps: 100, gateway_bps: 400 },
            rails: vec![OfferedRail {
                name: "test".into(),
                currency: "XTS".parse().expect("a currency"),
                least_payout: Micros(1),
            }],
            quotes: vec![Quote {
                currency: "EUR".parse().expect("a currency"),
                rate: "0.92".parse().expect("a rate"),
                until_ms: now + 3_600_000,
            }],
        }),
        encode(&Dispute {
            fep_id,
            claim_id,
            receipt: Blob(vec![10; 8]),
            reason: "paid before".into(),
            until_ms: now + 3_600_000,
            issued_ms: now,
        }),
        encode(&DisputeDecision {
            fep_id,
            claim_id,
            receipt_id,
            ruling: Ruling::Stands,
            answer: "it was paid".into(),
            decided_ms: now,
        }),
    ]
}

/// A call of each kind of input: as `journal` reads its bytes, each behind its length.
fn journal_of_a_node() -> Vec<u8> {
    let now = Now { mono: Time(5), wall: Wall(6) };
    let outcome = || journal::Outcome {
        signatures: vec![[1; 64]],
        fault: None,
        said: journal::Said { outputs: 3, hash: [2; 32] },
    };
    let (stream, link) = (StreamId(3), LinkId(4));
    let inputs = [
        Input::LinkUp { link, peer: Peer::Portman { token: "t".into(), origin: None } },
        Input::Opened { stream, link },
        Input::Bytes { stream, bytes: b"bytes" },
        Input::Finished { stream },
        Input::Reset { stream, code: ResetCode::Refused },
        Input::Credit { stream, bytes: 9 },
        Input::LinkDown { link, reason: DownReason::TimedOut },
        Input::Request { stream, surface: Surface::Admin, head: RequestHead::new("GET", "/").with("a", "b") },
        Input::Response { stream, head: ResponseHead::json(200) },
        Input::Done(OpId(1), Completion::Dialled(Err("gone".into()))),
        Input::Done(OpId(2), Completion::Page(Ok(Vec::new()))),
    ];
    let mut records = Vec::new();
    let mut life = Vec::new();
    journal::put_life(now, Seed([3; 32]), &Snapshot::default(), &outcome(), &mut life);
    records.push(life);
    for input in inputs {
        let mut call = Vec::new();
        journal::put_call(now, &journal::Cause::Input(input), &mut call);
        journal::put_outcome(&outcome(), &mut call);
        records.push(call);
    }
    let mut end = Vec::new();
    journal::put_end(&mut end);
    records.push(end);
    records.iter().flat_map(|record| behind_length(record)).collect()
}

fn behind_length(bytes: &[u8]) -> Vec<u8> {
    let length = match u8::try_from(bytes.len()) {
        Ok(length) if length < 255 => vec![length],
        _ => [vec![255], (bytes.len() as u16).to_le_bytes().to_vec()].concat(),
    };
    [length.as_slice(), bytes].concat()
}

/// The row that every node has: as `store_rows` reads its bytes.
fn rows() -> Vec<u8> {
    [&[0, 0][..], &behind_length(b"life"), &behind_length(br#"{"incarnation":1700000000000}"#)].concat()
}

const LINES: &str = r#"{"type":"hello","models":[{"id":"toy","context_length":4096,"slots":4}]}
{"type":"chunk","job":1,"data":"{\"choices\":[]}","counts":{"input":1,"cached":0,"output":2}}
{"type":"done","job":1,"counts":{"input":1,"cached":0,"output":2}}
{"type":"failed","job":2,"fault":"busy","message":"all slots are taken"}
"#;

const JOBS: &str = r#"{"type":"start","job":1,"model":"toy","body":{"messages":[{"role":"user"}]},"credit":65536}
{"type":"credit","job":1,"bytes":900}
{"type":"cancel","job":1}
"#;

const CHAT: &[u8] = br#"{"model":"acme:box:toy","stream":true,"stream_options":{"include_usage":true},"max_tokens":9,
"temperature":0.5,"tools":[{"type":"function","function":{"name":"f"}}],"user":"ann","frobnicate":1,"messages":[
{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"hi"},
{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]}"#;

const EVENTS: &str = ": keep-alive\r\n\r\nevent: x\r\nid: 7\r\ndata: {\"a\":1}\r\n\r\ndata:b\ndata: c\n\ndatabase: 5\n\ndata: [DONE]\n\n";

const CHUNKS: &[u8] = br#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}
{"choices":[{"index":0,"delta":{"content":"Hel"},"logprobs":{"content":[{"token":"Hel","logprob":-1}]}}]}
{"choices":[{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}]}
{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{"}}]}}]}
{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]},"finish_reason":"tool_calls"}]}
{"choices":[],"usage":{"prompt_tokens":22,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}}"#;
