//! A whole node, gateway and provider at once, and a fuzzer that is everybody else: peers whose keys it has, users, the
//! operator, the FEP, a Portman, the disk and the clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use labman_proto_core::economics::{Counts, Fees, Price, Rate};
use labman_proto_core::http::{RequestHead, ResponseHead, Surface};
use labman_proto_core::machine::{Completion, Op, Peer, ResetCode, StreamId};
use labman_proto_core::money::Micros;
use labman_proto_core::node::{Node, config};
use labman_proto_core::rng::Seed;
use labman_proto_core::time::{Span, Wall};
use labman_proto_core::wire::cbor::{Blob, decode, encode};
use labman_proto_core::wire::envelope::{Header, Kind, SignedFrame, light};
use labman_proto_core::wire::ids::{AuthId, Hash, ReceiptId, RequestId};
use labman_proto_core::wire::keys::Descriptor;
use labman_proto_core::wire::mesh::{
    Announce, CapabilityRecord, Chunk, Departure, Digest, Distance, Distances, Errand, ErrandDone, Features,
    FepCall, FepDescriptor, Hello, Hosted, Invitation, Invite, Key, Mark, PeerRecord, ProxyEnd, ProxyError,
    ProxyMark, ProxyRequest, Prune, ReceiptAck, ReceiptDelivery, Refusal, RefusalCode, Shuffle, Suspicion,
    Taken, Transcript, Version, Want,
};
use labman_proto_core::wire::object::{self, Object};
use labman_proto_core::wire::portal::{
    Attempt, AttemptRelease, End, JobAuthorization, Offer, PayoutTo, StreamAck, UsageStatement, key_id,
};
use labman_proto_core::wire::topic::{Topic, Topics};

mod fep;

use crate::driver::{Driver, beginning};
use crate::feed::Feed;
use crate::{NETWORK, identity, network};

const NODE: u8 = 1;
const FEP: u8 = 2;
/// The keys that sign for it.
const FEP_KEY: u8 = 3;
const NEXT_KEY: u8 = 4;
/// The first of the keys that peers have.
const PEER: u8 = 10;
const PEERS: u8 = 5;
/// Of every connection.
const BINDING: [u8; 32] = [7; 32];
const TOKEN: &str = "0123456789abcdef";
/// Of every job that a peer brings.
const BODY: &[u8] = br#"{"messages":[{"role":"user","content":"x"}],"stream":true,"max_tokens":8}"#;

/// Room for two of three.
fn shelf() -> config::Shelf {
    let hosted =
        |pin| config::Hosted { memory: 4, load: Span::from_secs(1), slots: Some(3), pin, never: false };
    let models =
        [("toy", false), ("lantern", true), ("tide", false)].map(|(model, pin)| (model.into(), hosted(pin)));
    config::Shelf { memory: 8, models: models.into() }
}

pub(crate) fn both_config() -> config::Config {
    let fep = identity(FEP).fep_id();
    let portman = config::Portman {
        ep: "box".into(),
        token: TOKEN.into(),
        price: price(),
        prices: BTreeMap::new(),
        payout: payout_to(),
        least_payout: Micros::ZERO,
        queue: 0,
        shelf: Some(shelf()),
        pricing: config::Pricing { strategy: config::Strategy::Undercut, ..config::Pricing::default() },
    };
    config::Config {
        network: NETWORK.into(),
        addresses: vec!["192.0.2.1:1".into()],
        bootstrap: vec![config::Bootstrap { node_id: identity(PEER).node_id(), addr: "peer:1".into() }],
        trust: Vec::new(),
        deny: vec![identity(PEER + PEERS - 1).node_id()],
        // Few, so that places are fought for.
        caps: config::Caps { links: 4, links_per_address: 2, links_per_network: 3, ..Default::default() },
        reach: config::Reach::default(),
        feps: vec![config::Fep { fep_id: fep, url: "http://fep".into() }],
        gateway: Some(config::Gateway {
            public_endpoint: None,
            fep,
            families: Vec::new(),
            aliases: BTreeMap::new(),
            routing: config::Policy::default(),
            key_limits: config::KeyLimits::default(),
            body: labman_proto_core::limits::HTTP_BODY,
        }),
        unpaid: None,
        provider: Some(config::Provider {
            dispute_for: Span::from_secs(60),
            tenant: "acme".into(),
            portmans: vec![portman],
            claim_every: Span::from_secs(10),
            exposure: Micros(1_000_000).into(),
            hosting: config::Hosting { epoch: Span::from_secs(20), ..Default::default() },
            load_every: Span::from_secs(1),
        }),
    }
}

/// All, or some families.
fn topics(feed: &mut Feed<'_>) -> Topics {
    match feed.u8() % 4 {
        0 => Topics::All,
        many => (1..many).map(|number| Topic([number; 8])).collect(),
    }
}

fn price() -> Price {
    Price {
        input_per_mtok: Micros(2_000_000),
        cached_per_mtok: Micros(1_000_000),
        output_per_mtok: Micros(5_000_000),
        per_request: Micros::ZERO,
    }
}

fn payout_to() -> PayoutTo {
    PayoutTo { currency: "XTS".parse().expect("a currency"), address: "address".into() }
}

/// No sequence of inputs makes a node panic, break its contract, spin, or hold more than it may.
pub fn node(bytes: &[u8]) {
    let now = beginning();
    let machine = Node::new(both_config(), identity(NODE), Seed::from_u64(1), &Default::default(), now);
    let mut world = World {
        driver: Driver::new(machine.expect("an empty store is a good one"), now),
        sequences: BTreeMap::new(),
        transcripts: BTreeMap::new(),
        own_offer: None,
        auths: Vec::new(),
    };
    let mut feed = Feed::new(bytes);
    // Whether the first write is done before all else.
    if !feed.flag() {
        world.driver.settle();
    }
    for _ in 0..256 {
        if feed.is_empty() || world.driver.stopped() {
            break;
        }
        world.step(&mut feed);
        world.listen();
    }
}

struct World {
    driver: Driver<Node>,
    /// The last number of each stream's directed frames, and (without a stream) of each peer's records.
    sequences: BTreeMap<(Option<StreamId>, u8), u64>,
    /// The chunks that were sent on each stream.
    transcripts: BTreeMap<StreamId, Transcript>,
    /// The node's own offer, as it was last heard.
    own_offer: Option<Hash>,
    /// What the FEP authorized.
    auths: Vec<JobAuthorization>,
}

impl World {
    fn step(&mut self, feed: &mut Feed<'_>) {
        match feed.u8() % 20 {
            0 => {
                let node_id = identity(PEER + feed.u8() % PEERS).node_id();
                let addr = address(feed);
                self.driver.link_up(Peer::Mesh { node_id, dialled: feed.flag(), binding: BINDING, addr });
            }
            1 => {
                if let Some(link) = self.driver.link(feed.u8()) {
                    self.driver.link_down(link);
                }
            }
            2 => {
                if let Some(link) = self.driver.link(feed.u8()) {
                    self.driver.open(link);
                }
            }
            3..=6 => self.says(feed),
            // A link whose peer is polite.
            7 => {
                let peer = feed.u8() % PEERS;
                let node_id = identity(PEER + peer).node_id();
                let link =
                    self.driver.link_up(Peer::Mesh { node_id, dialled: false, binding: BINDING, addr: None });
                let stream = self.driver.open(link);
                let hello = Hello {
                    features: Features::OURS,
                    software: "fuzz".into(),
                    interest: topics(feed),
                    binding: BINDING,
                };
                self.signed(stream, PEER + peer, Kind::Hello as u16, &encode(&hello), 0);
            }
            8 => self.on_stream(feed, |world, stream, feed| world.driver.bytes(stream, feed.bytes())),
            9 => self.on_stream(feed, |world, stream, feed| {
                let kind = *feed.one(&[Kind::Body, Kind::Chunk, Kind::StreamAck]);
                let payload = match kind {
                    _ if feed.flag() => feed.bytes().to_vec(),
                    Kind::Body => BODY.to_vec(),
                    Kind::StreamAck => world.taken(feed, stream),
                    _ => chunk(feed),
                };
                if kind == Kind::Chunk {
                    world.transcripts.entry(stream).or_default().add(&payload);
                }
                world.driver.bytes(stream, &light(kind, &payload));
            }),
            10 => self.on_stream(feed, |world, stream, feed| match feed.u8() % 3 {
                0 => world.driver.finish(stream),
                _ => world.driver.reset(stream, ResetCode::from_u32(u32::from(feed.u8()))),
            }),
            11 => self.on_stream(feed, |world, stream, feed| {
                world.driver.take(stream, if feed.flag() { usize::MAX } else { 1 });
            }),
            12 => self.operation(feed),
            13 => self.time(feed),
            14 => self.user(feed),
            15 => self.operator(feed),
            16 => self.fep(feed),
            17 => {
                let token = if feed.flag() { "wrong".into() } else { TOKEN.into() };
                let origin = (feed.u8() == 1).then(|| "http://page".into());
                let link = self.driver.link_up(Peer::Portman { token, origin });
                let stream = self.driver.open(link);
                let hello = r#"{"type":"hello","models":[{"id":"toy","context_length":4096,"slots":2}]}"#;
                self.driver.bytes(stream, format!("{hello}\n").as_bytes());
            }
            18 => self.portman(feed),
            _ => self.driver.settle(),
        }
    }

    /// Learns the node's offer, to ask for what it sells.
    fn listen(&mut self) {
        let frame = SignedFrame::parse(self.driver.last_heard.clone());
        let Ok(frame) = frame.as_ref().map(|frame| frame.open(network())) else { return };
        let record = frame.ok().and_then(|payload| decode::<CapabilityRecord>(payload).ok());
        let offer = record.and_then(|record| record.hosted.into_iter().next());
        let offer = offer.and_then(|hosted| object::open::<Offer>(network(), None, &hosted.offer.0).ok());
        self.own_offer = offer.map(|offer| Hash(offer.hash)).or(self.own_offer);
    }

    fn on_stream(&mut self, feed: &mut Feed<'_>, act: impl FnOnce(&mut Self, StreamId, &mut Feed<'_>)) {
        if let Some(stream) = self.driver.stream(feed.u8()) {
            act(self, stream, feed);
        }
    }

    /// Whose link a stream is on.
    fn peer_of(&self, stream: StreamId) -> Option<u8> {
        let link = self.driver.streams.get(&stream)?.link?;
        let Peer::Mesh { node_id, .. } = self.driver.links.get(&link)? else { return None };
        (PEER..PEER + PEERS).find(|peer| identity(*peer).node_id() == *node_id)
    }

    /// A peer says something signed: mostly what it may say there, sometimes not quite.
    fn says(&mut self, feed: &mut Feed<'_>) {
        let Some(stream) = self.driver.stream(feed.u8()) else { return };
        let Some(peer) = self.peer_of(stream) else { return };
        let (kind, payload) = self.message(feed, peer, stream);
        let twist = feed.u8();
        self.signed(stream, peer, kind, &payload, twist);
    }

    fn signed(&mut self, stream: StreamId, peer: u8, kind: u16, payload: &[u8], twist: u8) {
        if kind == Kind::ProxyEnd as u16 && twist != 1 {
            return self.driver.bytes(stream, &light(Kind::ProxyEnd, payload));
        }
        let record = kind == Kind::PeerRecord as u16 || kind == Kind::CapabilityRecord as u16;
        let origin = if twist == 5 { PEER + 100 + peer % 3 } else { peer };
        let counter = if record { (None, origin) } else { (Some(stream), peer) };
        let seq = self.sequences.entry(counter).or_default();
        if twist != 1 {
            *seq += 1;
        }
        let header = Header {
            kind,
            net_id: network().id,
            sender: identity(origin).node_id(),
            dest: match record {
                true => None,
                false => Some(identity(if twist == 2 { PEER } else { NODE }).node_id()),
            },
            incarnation: u64::from(twist / 32),
            seq: *seq,
            issued: Wall(self.driver.now.wall.0.saturating_add(if twist == 3 { 1_000_000 } else { 0 })),
            ttl_s: if record { 1_800 } else { 0 },
        };
        let mut bytes = SignedFrame::sign(&identity(origin), header, payload).into_bytes();
        if twist == 4
            && let Some(last) = bytes.last_mut()
        {
            *last ^= 1;
        }
        self.driver.bytes(stream, &bytes);
    }

    /// A gateway's acknowledgement of the job that it brought last; mostly by itself.
    fn taken(&self, feed: &mut Feed<'_>, stream: StreamId) -> Vec<u8> {
        let auth_id = self.auths.last().map_or(AuthId([0; 16]), |auth| auth.auth_id);
        let (attempt, counts) = (u8::from(feed.u8() == 1), counts(feed));
        let by = if feed.u8() == 1 { NODE } else { self.peer_of(stream).unwrap_or(PEER) };
        encode(&Taken { ack: Blob(seal(by, StreamAck { auth_id, attempt, counts })) })
    }

    /// What a peer says to have delivered on a stream that the node opened; mostly of its own, and as it was.
    fn statement(
        &self,
        feed: &mut Feed<'_>,
        auth_id: AuthId,
        attempt: u8,
        stream: StreamId,
    ) -> UsageStatement {
        let transcript = self.transcripts.get(&stream);
        let counts = counts(feed);
        let ack = (feed.u8() == 1).then(|| Blob(seal(NODE, StreamAck { auth_id, attempt, counts })));
        UsageStatement {
            fep_id: identity(FEP).fep_id(),
            auth_id,
            attempt,
            counts,
            end: *feed.one(&[End::Complete, End::Cancelled, End::Broken, End::Forgotten]),
            ack,
            chunks: transcript.map_or(0, Transcript::chunks),
            transcript: transcript.map_or_else(|| Transcript::default().hash(), Transcript::hash),
            stated_ms: self.driver.now.wall.0,
        }
    }

    /// An invitation of some gateway's to this node, or another; sometimes only bytes.
    fn invitation(&self, feed: &mut Feed<'_>, provider: u8) -> Vec<u8> {
        if feed.flag() {
            return feed.bytes().to_vec();
        }
        let invitation = Invitation {
            provider: identity(provider).node_id(),
            issued_ms: self.driver.now.wall.0,
            addresses: vec![format!("8.{}.0.1:4433", feed.u8())],
            feps: vec![identity(FEP).fep_id()],
        };
        object::seal(&identity(PEER + 100 + feed.u8() % 40), network().id, invitation).bytes.0
    }

    fn message(&mut self, feed: &mut Feed<'_>, peer: u8, stream: StreamId) -> (u16, Vec<u8>) {
        let asked =
            self.driver.streams.get(&stream).map(|state| state.first_heard.as_slice()).unwrap_or_default();
        let job = request_in(asked);
        let (request_id, attempt) = job.map_or((RequestId([0; 16]), 0), |job| (job.request_id, job.attempt));
        let auth_id = AuthId::of(identity(FEP).fep_id(), identity(NODE).node_id(), request_id);
        let key = |feed: &mut Feed<'_>| {
            let origin = identity(feed.u8() % 32).node_id();
            if feed.flag() { Key::suspicion(origin, origin) } else { Key::capability(origin) }
        };
        let (kind, payload) = match feed.u8() % 22 {
            0 => {
                let software = String::from_utf8_lossy(feed.bytes()).into_owned();
                let features = Features(feed.u64());
                (Kind::Hello, encode(&Hello { features, software, interest: topics(feed), binding: BINDING }))
            }
            14 => {
                let frames = (0..feed.u8() % 10).map(|_| Blob(feed.bytes().to_vec()));
                let peers = frames.collect();
                (Kind::Shuffle, encode(&Shuffle { peers, answer: feed.flag(), topics: topics(feed) }))
            }
            17 => {
                let distance = |feed: &mut Feed<'_>| Distance {
                    topic: Topic([feed.u8() % 4; 8]),
                    root: identity(feed.u8() % 32).node_id(),
                    links: feed.u8(),
                    above: feed.flag(),
                };
                let trees = (0..feed.u8() % 4).map(|_| distance(feed)).collect();
                (Kind::Distances, encode(&Distances { trees }))
            }
            18 => {
                let (provider, hops) = (*feed.one(&[NODE, peer, 7]), feed.u8());
                (Kind::Invite, encode(&Invite { hops, invitation: Blob(self.invitation(feed, provider)) }))
            }
            15 => (Kind::Departure, encode(&Departure { topics: topics(feed) })),
            16 => {
                let subject = identity(feed.u8() % 32).node_id();
                let version = Version { incarnation: feed.u64(), seq: feed.u64() };
                (Kind::Suspicion, encode(&Suspicion { subject, version, topics: topics(feed) }))
            }
            1 => {
                let record = PeerRecord {
                    gateway: feed.flag(),
                    provider: feed.flag(),
                    addresses: vec![String::from_utf8_lossy(feed.bytes()).into_owned()],
                    public_endpoint: None,
                    feps: vec![identity(feed.u8()).fep_id()],
                    witnesses: (0..feed.u8() % 4).map(|_| identity(feed.u8() % 32).node_id()).collect(),
                    interest: topics(feed),
                };
                (Kind::PeerRecord, encode(&record))
            }
            2 => {
                let offer = Blob(seal(peer, self.offer(feed)));
                let slots = u32::from(feed.u8());
                let hosted = vec![Hosted { offer, slots, queue: slots / 2 }; usize::from(feed.u8() % 3)];
                (
                    Kind::CapabilityRecord,
                    encode(&CapabilityRecord { hosted, witnesses: Vec::new(), topics: topics(feed) }),
                )
            }
            3 => {
                let version = Version { incarnation: feed.u64(), seq: feed.u64() };
                let marks = (0..=feed.u8()).map(|_| Mark { key: key(feed), version }).collect();
                (Kind::Announce, encode(&Announce { marks }))
            }
            4 => (Kind::Want, encode(&Want { keys: (0..=feed.u8()).map(|_| key(feed)).collect() })),
            5 => (Kind::Prune, encode(&Prune { topic: Topic::of_family("toy") })),
            6 => {
                let mut buckets = feed.bytes().to_vec();
                buckets.resize(if feed.flag() { 2_048 } else { 2_047 }, 0);
                (Kind::Digest, encode(&Digest { buckets: Blob(buckets) }))
            }
            7 => {
                let broken = feed.flag().then(|| refusal(feed));
                let statement = self.statement(feed, auth_id, attempt, stream);
                (Kind::ProxyEnd, encode(&ProxyEnd { statement: Blob(seal(peer, statement)), broken }))
            }
            8 => {
                let refusal = refusal(feed);
                let release = AttemptRelease { auth_id, attempt };
                let release = feed.flag().then(|| Blob(seal(peer, release)));
                (Kind::ProxyError, encode(&ProxyError { request_id, attempt, refusal, release }))
            }
            13 if feed.flag() => {
                let transcript = self.transcripts.get(&stream);
                let mark = ProxyMark {
                    request_id,
                    attempt,
                    counts: counts(feed),
                    chunks: transcript.map_or(0, Transcript::chunks),
                    transcript: transcript.map_or(Hash([0; 32]), Transcript::hash),
                };
                (Kind::ProxyMark, encode(&mark))
            }
            9 => {
                let receipt = self.auths.last().map(|auth| fep::receipt(auth, 0, counts(feed)));
                let receipt = receipt.map_or_else(|| feed.bytes().to_vec(), |receipt| seal(FEP_KEY, receipt));
                (Kind::ReceiptDelivery, encode(&ReceiptDelivery { receipt: Blob(receipt) }))
            }
            10 => {
                let receipt_id = self.auths.last().map(|auth| fep::receipt(auth, 0, counts(feed)).receipt_id);
                let receipt_id = receipt_id.unwrap_or(ReceiptId(feed.array()));
                (Kind::ReceiptAck, encode(&ReceiptAck { receipt_id, refused: None }))
            }
            19 => {
                let call = *feed.one(&[FepCall::Statement, FepCall::Claim]);
                let statement = self.statement(feed, auth_id, attempt, stream);
                let object = if feed.flag() { seal(peer, statement) } else { feed.bytes().to_vec() };
                let fep_id = identity(FEP).fep_id();
                let errand = Errand { number: feed.u64(), fep_id, call, object: Blob(object) };
                (Kind::Errand, encode(&errand))
            }
            20 => {
                let receipt = self.auths.last().map(|auth| fep::receipt(auth, 0, counts(feed)));
                let object = receipt.map_or_else(|| feed.bytes().to_vec(), |receipt| seal(FEP_KEY, receipt));
                let number = u64::from(feed.u8() % 4);
                (Kind::ErrandDone, encode(&ErrandDone { number, object: Blob(object) }))
            }
            21 => {
                let fep_id = identity(*feed.one(&[FEP, FEP, FEP, PEER])).fep_id();
                let descriptor = Blob(some_descriptor(feed));
                (Kind::FepDescriptor, encode(&FepDescriptor { fep_id, descriptor }))
            }
            11 => (Kind::ProxyRequest, self.job_for_us(feed, peer)),
            12 => (*feed.one(&KINDS), feed.bytes().to_vec()),
            _ => return (feed.u16(), feed.bytes().to_vec()),
        };
        (kind as u16, payload)
    }

    fn offer(&self, feed: &mut Feed<'_>) -> Offer {
        Offer {
            slug: feed.one(&["acme:box:toy", "a:b:c", "::", ""]).to_string(),
            context_length: 4_096,
            max_output: 1_024,
            price: price(),
            payout: payout_to(),
            valid_until_ms: self.driver.now.wall.0.saturating_add(3_600_000),
        }
    }

    /// A job of a peer that is a gateway, for a model of ours, with our own offer if we were heard to make one.
    fn job_for_us(&mut self, feed: &mut Feed<'_>, gateway: u8) -> Vec<u8> {
        let request_id = RequestId(feed.array());
        let offer_hash = self.own_offer.unwrap_or(Hash([0; 32]));
        let fep_id = identity(FEP).fep_id();
        let auth = JobAuthorization {
            auth_id: AuthId::of(fep_id, identity(gateway).node_id(), request_id),
            fep_id,
            request_id,
            gateway: identity(gateway).node_id(),
            issued_ms: self.driver.now.wall.0,
            ttl_s: 960,
            currency: payout_to().currency,
            hold: Micros(1_000_000),
            fees: Fees::default(),
            input_bound: 1_000,
            max_output: 8,
            attempts: vec![Attempt {
                provider: identity(NODE).node_id(),
                offer_hash,
                max_charge: Micros(1_000_000),
                max_payout: Micros(1_000_000),
                payout_currency: payout_to().currency,
                rate: Rate::ONE,
            }],
            key_id: key_id(&identity(FEP_KEY).fep_key().0),
            streamed: true,
        };
        self.auths.push(auth.clone());
        encode(&ProxyRequest {
            request_id,
            fep_id,
            authorization: Blob(seal(FEP_KEY, auth)),
            attempt: 0,
            offer_hash,
            body_len: BODY.len() as u32,
            body_hash: Hash(*blake3::hash(BODY).as_bytes()),
            descriptor: (feed.u8() == 1).then(|| Blob(some_descriptor(feed))),
        })
    }

    fn operation(&mut self, feed: &mut Feed<'_>) {
        let Some((op, asked)) = self.driver.complete(feed.u8() == 1) else { return };
        if let Op::Dial(_) = asked {
            let result = match feed.flag() {
                true => Err("nobody there".into()),
                false => {
                    let node_id = identity(PEER).node_id();
                    Ok(self.driver.link_up(Peer::Mesh {
                        node_id,
                        dialled: true,
                        binding: BINDING,
                        addr: None,
                    }))
                }
            };
            self.driver.done(op, Completion::Dialled(result));
        }
    }

    fn time(&mut self, feed: &mut Feed<'_>) {
        let spans = [1, 50, 200, 500, 2_000, 10_000, 60_000, 600_000, 3_600_000];
        self.driver.pass(Span::from_millis(*feed.one(&spans)));
        if feed.u8() == 1 {
            self.driver.set_clock(Wall(feed.u64()));
        }
    }

    fn user(&mut self, feed: &mut Feed<'_>) {
        let path = *feed.one(&["/v1/chat/completions", "/v1/models", "/v1/models/toy", "/", "?"]);
        let method = *feed.one(&["POST", "GET", "OPTIONS", ""]);
        let head = RequestHead::new(method, path).with("authorization", "Bearer sk-labman-1");
        let stream = self.driver.request(Surface::Public, head);
        if feed.flag() {
            self.driver.bytes(stream, feed.bytes());
        } else {
            let (model, streams) = (*feed.one(&["toy", "acme:box:toy", "a:b:c"]), feed.flag());
            let body = format!(
                r#"{{"model":"{model}","stream":{streams},"messages":[{{"role":"user","content":"x"}}],"max_tokens":8}}"#
            );
            self.driver.bytes(stream, body.as_bytes());
        }
        self.driver.finish(stream);
    }

    fn operator(&mut self, feed: &mut Feed<'_>) {
        let known = *feed.one(&["/status", "/receipts?limit=9", "/claims?limit=9", "/receipts?limit=x", ""]);
        let path =
            if known.is_empty() { String::from_utf8_lossy(feed.bytes()).into() } else { String::from(known) };
        let stream = self.driver.request(Surface::Admin, RequestHead::new("GET", &path));
        self.driver.finish(stream);
        self.driver.settle();
    }

    /// The FEP answers one of the calls, mostly well.
    fn fep(&mut self, feed: &mut Feed<'_>) {
        let waiting = self.driver.streams.iter().filter(|(_, state)| state.asked.is_some());
        let waiting: Vec<StreamId> = waiting.map(|(stream, _)| *stream).collect();
        let Some(stream) = waiting.get(usize::from(feed.u8()) % waiting.len().max(1)).copied() else {
            return;
        };
        let Some(state) = self.driver.streams.get(&stream) else { return };
        let path = state.asked.as_ref().map(|(_, head)| head.path.clone()).unwrap_or_default();
        let body = state.heard.clone();
        let honest = if feed.u8().is_multiple_of(4) {
            None
        } else {
            fep::answer(&mut self.auths, self.driver.now.wall, &path, &body, feed)
        };
        let (status, answer) = honest.unwrap_or_else(|| (feed.u16(), feed.bytes().to_vec()));
        self.driver.respond(stream, ResponseHead::new(status));
        self.driver.bytes(stream, &answer);
        self.driver.finish(stream);
    }

    /// The Portman says a line on one of its sockets.
    fn portman(&mut self, feed: &mut Feed<'_>) {
        let on_socket = |stream: &StreamId| {
            let link = self.driver.streams.get(stream).and_then(|state| state.link);
            link.is_some_and(|link| matches!(self.driver.links.get(&link), Some(Peer::Portman { .. })))
        };
        let sockets: Vec<StreamId> = self.driver.streams.keys().copied().filter(on_socket).collect();
        let Some(stream) = sockets.get(usize::from(feed.u8()) % sockets.len().max(1)).copied() else {
            return;
        };
        let job = feed.u8() % 4;
        let counts = serde_json::to_string(&counts(feed)).unwrap_or_default();
        let line = match feed.u8() % 6 {
            0 => format!(r#"{{"type":"done","job":{job},"counts":{counts}}}"#),
            1 => format!(r#"{{"type":"failed","job":{job},"fault":"busy","message":"m"}}"#),
            2 | 3 => {
                let data = serde_json::json!({
                    "choices": [{ "index": 0, "delta": { "content": "x" }, "finish_reason": null }]
                });
                let data = serde_json::Value::String(data.to_string());
                format!(r#"{{"type":"chunk","job":{job},"data":{data},"counts":{counts}}}"#)
            }
            4 => r#"{"type":"hello","models":[]}"#.into(),
            _ => {
                let raw = feed.bytes();
                self.driver.bytes(stream, raw);
                return self.driver.bytes(stream, b"\n");
            }
        };
        self.driver.bytes(stream, format!("{line}\n").as_bytes());
    }
}

const KINDS: [Kind; 19] = [
    Kind::Hello,
    Kind::PeerRecord,
    Kind::CapabilityRecord,
    Kind::Announce,
    Kind::Want,
    Kind::Prune,
    Kind::Digest,
    Kind::ProxyRequest,
    Kind::ProxyMark,
    Kind::ProxyError,
    Kind::ReceiptDelivery,
    Kind::ReceiptAck,
    Kind::Load,
    Kind::Market,
    Kind::Distances,
    Kind::Invite,
    Kind::Errand,
    Kind::ErrandDone,
    Kind::FepDescriptor,
];

/// The job request in what a node sent last, if there is one.
fn request_in(bytes: &[u8]) -> Option<ProxyRequest> {
    let frame = SignedFrame::parse(bytes.to_vec()).ok()?;
    decode(frame.open(network()).ok()?).ok()
}

/// Of a few networks, one of which is not counted.
fn address(feed: &mut Feed<'_>) -> Option<SocketAddr> {
    let host = feed.u8();
    (host != 0).then(|| SocketAddr::from(([*feed.one(&[8, 9, 127]), 0, host % 2, host], 7)))
}

/// Mostly text, sometimes the last.
fn chunk(feed: &mut Feed<'_>) -> Vec<u8> {
    let reason = if feed.u8() == 1 { serde_json::json!("stop") } else { serde_json::Value::Null };
    let choice = serde_json::json!({ "index": 0, "delta": { "content": "x" }, "finish_reason": reason });
    let data = serde_json::json!({ "choices": [choice] }).to_string().into_bytes();
    encode(&Chunk { counts: counts(feed), data: Blob(data) })
}

fn counts(feed: &mut Feed<'_>) -> Counts {
    let (input, cached, output) = (feed.u8().into(), feed.u8().into(), feed.u8().into());
    Counts { input, cached, output }
}

fn refusal(feed: &mut Feed<'_>) -> Refusal {
    let code = *feed.one(&[RefusalCode::Busy, RefusalCode::BadRequest, RefusalCode::NotTrusted]);
    Refusal { code, message: String::from_utf8_lossy(feed.bytes()).into_owned() }
}

/// What the FEP says of itself.
fn descriptor(serial: u64, keys: &[(u8, u64, Option<u64>)], issued_ms: u64) -> Vec<u8> {
    let descriptor = Descriptor {
        ring: Blob(crate::ring(FEP, serial, keys)),
        issued_ms,
        currency: payout_to().currency,
        fees: Fees::default(),
        rails: Vec::new(),
        quotes: Vec::new(),
    };
    seal(FEP_KEY, descriptor)
}

/// The same of some other time, with another key, one revoked, or by another; sometimes only bytes.
fn some_descriptor(feed: &mut Feed<'_>) -> Vec<u8> {
    let number = |feed: &mut Feed<'_>| match feed.u8() {
        255 => feed.u64(),
        small => u64::from(small),
    };
    let first = (FEP_KEY, number(feed), feed.flag().then(|| number(feed)));
    match feed.u8() % 4 {
        0 => feed.bytes().to_vec(),
        1 => descriptor(number(feed), &[first], number(feed)),
        _ => descriptor(number(feed), &[first, (NEXT_KEY, number(feed), None)], number(feed)),
    }
}

fn seal<T: Object>(signer: u8, content: T) -> Vec<u8> {
    object::seal(&identity(signer), network().id, content).bytes.0
}
