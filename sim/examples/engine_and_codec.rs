//! What the simulator's engine and the mesh's codec cost by themselves: virtual nodes that probe each other as SWIM's do.
//!
//! Once a second each node sends a probe to another, which answers. Every frame is a real one: signed (by a tag, see
//! `labman_sim::tag`), cut out of bytes, checked against network, sender and signature, its CBOR checked and decoded.
//! What is absent: the machines, and streams with their credit. `benches/simulator.sh` runs it.
//!
//!     engine_and_codec NODES SECONDS        of virtual time; prints how many events there were

use labman_proto_core::identity::{Identity, Network, NodeId};
use labman_proto_core::rng::{Seed, Stream};
use labman_proto_core::time::{Span, Time, Wall};
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{BadFrame, Header, Kind, SignedFrame};
use labman_proto_core::wire::ids::ReceiptId;
use labman_proto_core::wire::mesh::ReceiptAck;
use labman_sim::engine::Engine;
use labman_sim::net::latency::Latency;
use labman_sim::tag;

const LATENCY: Latency = Latency::Uniform(Span::from_millis(10), Span::from_millis(50));
const PERIOD: Latency = Latency::Uniform(Span::from_millis(900), Span::from_millis(1_100));

struct Node {
    identity: Identity,
    node_id: NodeId,
    seq: u64,
    /// Whom it probed in this round, until they answer.
    waits_for: Option<u32>,
    silent: u64,
}

enum Event {
    Round { node: u32 },
    Probe { from: u32, to: u32, frame: Vec<u8> },
    Answer { from: u32, to: u32, frame: Vec<u8> },
}

struct Mesh {
    engine: Engine<Event>,
    nodes: Vec<Node>,
    network: Network,
    draws: Stream,
    /// Where payloads are encoded.
    payload: Vec<u8>,
}

impl Mesh {
    fn new(nodes: u32) -> Self {
        let seed = Seed::from_u64(1);
        let (mut ids, mut draws) = (seed.stream("ids"), seed.stream("traffic"));
        let mut engine = Engine::new(seed.child("engine"));
        let nodes: Vec<Node> = (0..nodes).map(|_| Node::new(ids.bytes())).collect();
        for node in 0..nodes.len() as u32 {
            engine.schedule(Time(draws.below(1_000_000_000)), Event::Round { node });
        }
        Self { engine, network: nodes[0].identity.network("bench"), nodes, draws, payload: Vec::new() }
    }

    fn run(&mut self, until: Time) -> Result<u64, BadFrame> {
        while self.engine.now() < until
            && let Some(event) = self.engine.pop()
        {
            match event {
                Event::Round { node } => self.round(node),
                Event::Probe { from, to, frame } => self.probed(from, to, frame)?,
                Event::Answer { from, to, frame } => self.answered(from, to, frame)?,
            }
        }
        assert!(self.nodes.iter().all(|node| node.silent == 0), "an answer was lost");
        Ok(self.engine.executed())
    }

    fn round(&mut self, node: u32) {
        let others = self.nodes.len() as u64 - 1;
        let to = (u64::from(node) + 1 + self.draws.below(others)) % (others + 1);
        let to = to as u32;
        let probed = &mut self.nodes[node as usize];
        probed.silent += u64::from(probed.waits_for.replace(to).is_some());
        let round = ReceiptAck { receipt_id: ReceiptId([7; 16]), refused: None };
        let frame = self.sign(node, to, &round);
        let at = self.after(LATENCY);
        self.engine.schedule(at, Event::Probe { from: node, to, frame });
        let next = self.after(PERIOD);
        self.engine.schedule(next, Event::Round { node });
    }

    fn probed(&mut self, from: u32, to: u32, frame: Vec<u8>) -> Result<(), BadFrame> {
        let message = self.open(from, frame)?;
        let frame = self.sign(to, from, &message);
        let at = self.after(LATENCY);
        self.engine.schedule(at, Event::Answer { from: to, to: from, frame });
        Ok(())
    }

    fn answered(&mut self, from: u32, to: u32, frame: Vec<u8>) -> Result<(), BadFrame> {
        self.open(from, frame)?;
        let waits_for = &mut self.nodes[to as usize].waits_for;
        assert_eq!(waits_for.take(), Some(from));
        Ok(())
    }

    fn sign(&mut self, from: u32, to: u32, message: &ReceiptAck) -> Vec<u8> {
        let dest = Some(self.nodes[to as usize].node_id);
        let issued = Wall(self.engine.now().0 / 1_000_000);
        let node = &mut self.nodes[from as usize];
        node.seq += 1;
        let header = Header {
            kind: Kind::ReceiptAck as u16,
            net_id: self.network.id,
            sender: node.node_id,
            dest,
            incarnation: 1,
            seq: node.seq,
            issued,
            ttl_s: 0,
        };
        self.payload.clear();
        cbor::encode_onto(message, &mut self.payload);
        SignedFrame::sign(&node.identity, header, &self.payload).into_bytes()
    }

    fn open(&self, from: u32, frame: Vec<u8>) -> Result<ReceiptAck, BadFrame> {
        let frame = SignedFrame::parse(frame)?;
        assert_eq!(frame.header().sender, self.nodes[from as usize].node_id);
        Ok(cbor::decode(frame.open(self.network)?).expect("what a probe holds"))
    }

    fn after(&mut self, latency: Latency) -> Time {
        self.engine.now() + latency.draw(&mut self.draws)
    }
}

impl Node {
    fn new(id: [u8; 32]) -> Self {
        let identity = tag::identity(&id);
        Self { node_id: identity.node_id(), identity, seq: 0, waits_for: None, silent: 0 }
    }
}

fn main() {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let [nodes, seconds] = args[..] else { panic!("engine_and_codec NODES SECONDS") };
    let events = Mesh::new(nodes as u32).run(Time::ZERO + Span::from_secs(seconds));
    println!("events {}", events.expect("frames that hold"));
}
