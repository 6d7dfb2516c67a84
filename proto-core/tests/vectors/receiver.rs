//! A gateway that hears what a vector holds, from its start: two neighbours, a wall clock, a disk that keeps nothing.

use std::collections::BTreeMap;

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::identity::{Identity, NodeId};
use labman_proto_core::machine::{Completion, Input, LinkId, Machine, Op, Output, Peer, StreamId};
use labman_proto_core::node::{Node, config};
use labman_proto_core::rng::Seed;
use labman_proto_core::store::Snapshot;
use labman_proto_core::time::{Now, Wall};
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Header, Kind, SignedFrame};
use labman_proto_core::wire::mesh::{Features, Hello};
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
    fn new(us: NodeId, network: &str, wall_ms: u64) -> Self {
        let now = Now { wall: Wall(wall_ms), ..Now::default() };
        let fep = identity(FEP).fep_id();
        let config = config::Config {
            network: network.into(),
            addresses: Vec::new(),
            bootstrap: Vec::new(),
            trust: Vec::new(),
            deny: Vec::new(),
            feps: vec![config::Fep { fep_id: fep, url: "http://fep".into() }],
            gateway: Some(config::Gateway { public_endpoint: None, fep }),
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
        self.handle(Input::LinkUp { link, peer: Peer::Mesh { node_id, dialled: false, binding } });
        self.handle(Input::Opened { stream: control, link });
    }

    /// A neighbour that is admitted.
    fn neighbour(&mut self, at: (LinkId, StreamId), who: &Identity) {
        let binding = [at.0.0 as u8; 32];
        self.link(at, who.node_id(), binding);
        let hello = Hello { features: Features::OURS, software: "neighbour".into(), leaf: false, binding };
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

    fn status(&mut self) -> Value {
        let head = RequestHead::new("GET", "/status");
        self.handle(Input::Request { stream: ADMIN, surface: Surface::Admin, head });
        serde_json::from_slice(&self.said[&ADMIN]).expect("a status")
    }
}

/// Does this, first of all on a link, admit it?
pub(crate) fn admits(us: NodeId, peer: NodeId, network: &str, binding: [u8; 32], input: &[u8]) -> bool {
    let mut receiver = Receiver::new(us, network, WALL);
    receiver.link(FIRST, peer, binding);
    receiver.bytes(FIRST.1, input);
    receiver.closed.is_empty() && receiver.status()["links"][0]["admitted"] == true
}

/// Does a link outlive this on its control stream?
pub(crate) fn stays(us: NodeId, peer: NodeId, network: &str, binding: [u8; 32], input: &[u8]) -> bool {
    let mut receiver = Receiver::new(us, network, WALL);
    receiver.link(FIRST, peer, binding);
    receiver.bytes(FIRST.1, input);
    receiver.closed.is_empty()
}

/// Is a record news, so that it is passed on? Then the models of its origin that may be used.
pub(crate) fn hears_record(
    us: NodeId,
    network: &str,
    wall_ms: u64,
    held: Option<Vec<u8>>,
    record: &[u8],
) -> Option<Vec<String>> {
    let mut receiver = Receiver::new(us, network, wall_ms);
    receiver.neighbour(FIRST, &identity(BRINGER));
    receiver.neighbour(SECOND, &identity(LISTENER));
    receiver.bytes(FIRST.1, &held.unwrap_or_default());
    receiver.said.clear();
    receiver.bytes(FIRST.1, record);
    let passed_on = receiver.said.get(&SECOND.1).is_some_and(|said| said == record);
    assert_eq!(receiver.said.contains_key(&SECOND.1), passed_on, "verbatim");
    assert!(receiver.closed.is_empty(), "a bad record costs no link");
    passed_on.then(|| {
        let status = receiver.status();
        let models = status["models"].as_array().expect("models").iter();
        models.map(|model| model["slug"].as_str().expect("a slug").to_owned()).collect()
    })
}
