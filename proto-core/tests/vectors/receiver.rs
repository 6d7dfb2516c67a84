//! A gateway that hears what a vector holds, from its start: neighbours, a wall clock, a disk that keeps nothing.

use std::collections::BTreeMap;

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::identity::{Identity, Network, NodeId};
use labman_proto_core::machine::{Completion, Input, LinkId, Machine, Op, Output, Peer, StreamId};
use labman_proto_core::node::{Node, config};
use labman_proto_core::rng::Seed;
use labman_proto_core::store::Snapshot;
use labman_proto_core::time::{Now, Wall};
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Frame, FrameReader, Header, Kind, SignedFrame};
use labman_proto_core::wire::mesh::{Features, Hello, Prune, Shuffle};
use labman_proto_core::wire::topic::{Topic, Topics};
use serde_json::Value;

use crate::keys::{BRINGER, FEP, LISTENER, WALL, identity, of};

/// Links, their control streams, and an admin's exchange.
const FIRST: (LinkId, StreamId) = (LinkId(1), StreamId(11));
const SECOND: (LinkId, StreamId) = (LinkId(2), StreamId(13));
const ADMIN: StreamId = StreamId(15);

struct Receiver {
    node: Node,
    now: Now,
    network: String,
    said: BTreeMap<StreamId, Vec<u8>>,
    closed: Vec<LinkId>,
}

impl Receiver {
    /// One that hears of these families; of all, where there are none.
    fn new(us: NodeId, network: &str, wall_ms: u64, families: &[String]) -> Self {
        let now = Now { wall: Wall(wall_ms), ..Now::default() };
        let fep = identity(FEP).fep_id();
        let config = config::Config {
            network: network.into(),
            addresses: Vec::new(),
            bootstrap: Vec::new(),
            trust: Vec::new(),
            deny: Vec::new(),
            reach: config::Reach::default(),
            caps: config::Caps::default(),
            feps: vec![config::Fep { fep_id: fep, url: "http://fep".into() }],
            gateway: Some(config::Gateway {
                public_endpoint: None,
                fep,
                families: families.to_vec(),
                aliases: config::Aliases::new(),
                routing: config::Policy::default(),
                key_limits: config::KeyLimits::default(),
                body: labman_proto_core::limits::HTTP_BODY,
            }),
            unpaid: None,
            provider: None,
        };
        let identity = of(us).unwrap_or_else(|| panic!("no test key is {us}"));
        let node = Node::new(config, identity, Seed::from_u64(1), &Snapshot::default(), now);
        let node = node.expect("an empty store is a good one");
        let mut receiver =
            Self { node, now, network: network.into(), said: BTreeMap::new(), closed: Vec::new() };
        receiver.drain();
        receiver
    }

    fn handle(&mut self, input: Input<'_>) {
        self.node.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Start(op, Op::Store(_)) => {
                    self.node.handle(self.now, Input::Done(op, Completion::Stored(Ok(()))));
                }
                Output::Send { stream, bytes } => self.said.entry(stream).or_default().extend(bytes),
                Output::Close { link, .. } => self.closed.push(link),
                _ => {}
            }
        }
    }

    fn link(&mut self, (link, control): (LinkId, StreamId), node_id: NodeId, binding: [u8; 32]) {
        self.handle(Input::LinkUp {
            link,
            peer: Peer::Mesh { node_id, dialled: false, binding, addr: None },
        });
        self.handle(Input::Opened { stream: control, link });
    }

    /// A neighbour that is admitted, and hears of everything.
    fn neighbour(&mut self, at: (LinkId, StreamId), who: &Identity) {
        let binding = [at.0.0 as u8; 32];
        self.link(at, who.node_id(), binding);
        let hello =
            Hello { features: Features::OURS, software: "neighbour".into(), interest: Topics::All, binding };
        let header = Header {
            kind: Kind::Hello as u16,
            net_id: labman_proto_core::identity::NetId::of(&self.network),
            sender: who.node_id(),
            dest: Some(self.node.node_id()),
            incarnation: 1,
            seq: 1,
            issued: self.now.wall,
            ttl_s: 0,
        };
        let frame = SignedFrame::sign(who, header, &cbor::encode(&hello)).into_bytes();
        self.bytes(at.1, &frame);
        assert!(self.said.contains_key(&at.1), "admitted");
    }

    fn bytes(&mut self, stream: StreamId, bytes: &[u8]) {
        self.handle(Input::Bytes { stream, bytes });
    }

    /// The frames that were said on a control stream since that was last asked. All are whole, and signed.
    fn heard_on(&mut self, stream: StreamId) -> Vec<SignedFrame> {
        let (mut reader, mut frames) = (FrameReader::default(), Vec::new());
        reader.push(&self.said.remove(&stream).unwrap_or_default());
        while let Some(frame) = reader.poll().expect("our own") {
            match frame {
                Frame::Signed(frame) => frames.push(frame),
                Frame::Light { .. } => panic!("a light frame on a control stream"),
            }
        }
        assert_eq!(reader.buffered(), 0);
        frames
    }

    fn payload<'f>(&self, frame: &'f SignedFrame) -> &'f [u8] {
        frame.open(Network::of(&self.network)).expect("our own")
    }

    fn status(&mut self) -> Value {
        let head = RequestHead::new("GET", "/status");
        self.said.remove(&ADMIN);
        self.handle(Input::Request { stream: ADMIN, surface: Surface::Admin, head });
        serde_json::from_slice(&self.said[&ADMIN]).expect("a status")
    }

    /// Of whom it holds a peer record.
    fn peers(&mut self) -> Vec<NodeId> {
        let status = self.status();
        let peers = status["peers"].as_array().expect("peers").iter();
        peers.map(|peer| peer["node_id"].as_str().expect("an id").parse().expect("an id")).collect()
    }

    /// The models of that provider that may be used.
    fn served(&mut self, provider: NodeId) -> Vec<String> {
        let status = self.status();
        let models = status["models"].as_array().expect("models").iter();
        let his = models.filter(|model| model["provider"] == provider.to_string());
        his.map(|model| model["slug"].as_str().expect("a slug").to_owned()).collect()
    }
}

/// Does this, first of all on a link, admit it?
pub(crate) fn admits(us: NodeId, peer: NodeId, network: &str, binding: [u8; 32], input: &[u8]) -> bool {
    let mut receiver = Receiver::new(us, network, WALL, &[]);
    receiver.link(FIRST, peer, binding);
    receiver.bytes(FIRST.1, input);
    receiver.closed.is_empty() && receiver.status()["links"][0]["admitted"] == true
}

/// Does a link outlive this on its control stream?
pub(crate) fn stays(us: NodeId, peer: NodeId, network: &str, binding: [u8; 32], input: &[u8]) -> bool {
    let mut receiver = Receiver::new(us, network, WALL, &[]);
    receiver.link(FIRST, peer, binding);
    receiver.bytes(FIRST.1, input);
    receiver.closed.is_empty()
}

/// Where a record comes from and to.
pub(crate) struct Hearing {
    pub(crate) us: NodeId,
    /// The neighbour that brings it, if it is known to the vector.
    pub(crate) peer: Option<NodeId>,
    pub(crate) network: String,
    pub(crate) wall_ms: u64,
    pub(crate) families: Vec<String>,
    /// What was heard before.
    pub(crate) held: Vec<Vec<u8>>,
}

/// What comes of a record that is news.
#[derive(Debug, PartialEq)]
pub(crate) enum News {
    /// It is kept, and goes no further.
    Kept,
    /// It is passed on, along the tree of that topic.
    PassedOn { tree: Topic, served: Vec<String> },
    /// It was said of the receiver, which has said of itself since what is newer.
    Refuted,
}

/// Is a record news?
pub(crate) fn hears_record(hearing: &Hearing, record: &SignedFrame) -> Option<News> {
    let mut receiver = Receiver::new(hearing.us, &hearing.network, hearing.wall_ms, &hearing.families);
    let peer = hearing.peer.map_or_else(|| identity(BRINGER), |peer| of(peer).expect("a test key"));
    receiver.neighbour(FIRST, &peer);
    receiver.neighbour(SECOND, &identity(LISTENER));
    for held in &hearing.held {
        receiver.bytes(FIRST.1, held);
    }
    receiver.said.clear();
    receiver.bytes(FIRST.1, record.bytes());
    assert!(receiver.closed.is_empty(), "a bad record costs no link");
    let (origin, kind) = (record.header().sender, record.header().kind);
    let told = receiver.heard_on(SECOND.1);
    if kind == Kind::PeerRecord as u16 {
        assert!(told.is_empty(), "it is not passed on");
        return receiver.peers().contains(&origin).then_some(News::Kept);
    }
    match told.as_slice() {
        [] => None,
        [passed_on] if passed_on == record => {
            // On which tree, is said to who sends it again.
            receiver.bytes(SECOND.1, record.bytes());
            let answer = receiver.heard_on(SECOND.1);
            let [prune] = answer.as_slice() else { panic!("one way is enough on a tree") };
            assert_eq!(prune.header().kind, Kind::Prune as u16);
            let Prune { topic: tree } = cbor::decode(receiver.payload(prune)).expect("our own");
            Some(News::PassedOn { tree, served: receiver.served(origin) })
        }
        anew => {
            let own = |frame: &SignedFrame| frame.header().sender == hearing.us;
            assert!(anew.iter().all(own), "verbatim");
            Some(News::Refuted)
        }
    }
}

/// The peers, but itself, that it knows of by a neighbour's first message, and whether it answers with others.
pub(crate) fn hears_shuffle(
    us: NodeId,
    peer: NodeId,
    network: &str,
    wall_ms: u64,
    input: &[u8],
) -> (Vec<NodeId>, bool) {
    let mut receiver = Receiver::new(us, network, wall_ms, &[]);
    receiver.neighbour(FIRST, &of(peer).expect("a test key"));
    receiver.said.clear();
    receiver.bytes(FIRST.1, input);
    assert!(receiver.closed.is_empty(), "it costs no link");
    let answers = receiver.heard_on(FIRST.1);
    for answer in &answers {
        assert_eq!(answer.header().kind, Kind::Shuffle as u16);
        let shuffle: Shuffle = cbor::decode(receiver.payload(answer)).expect("our own");
        assert!(!shuffle.answer, "answers without end");
    }
    (receiver.peers(), !answers.is_empty())
}
