//! What the whole core costs while nothing is asked of it: real nodes on the simulator's world, each with its neighbours,
//! its timers, and the records that everybody signs anew every ten minutes.
//!
//! Each record goes to every node that is no leaf, so that one network of thousands is beyond it. The nodes are therefore
//! put on *islands*: networks of their own, of at most [`ISLAND`] nodes, on one engine. Frames are tagged and not signed
//! (`labman_sim::tag`); everything else is what a daemon runs. `benches/simulator.sh` runs it.
//!
//!     idle_mesh NODES SECONDS        of virtual time; prints how much happened in it
//!
//! What counts as an event: a frame that reached its node, and a timer that rang. A frame cut into pieces on its way is
//! one event, and neither credit nor grants are any.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use labman_proto_core::identity::NodeId;
use labman_proto_core::machine::{Input, Machine, Output};
use labman_proto_core::node::Node;
use labman_proto_core::node::config::{Bootstrap, Config};
use labman_proto_core::rng::Seed;
use labman_proto_core::time::{Now, Span, Time, Wake};
use labman_sim::host::{Address, Spec};
use labman_sim::net::latency::Latency;
use labman_sim::net::link::Latencies;
use labman_sim::tag;
use labman_sim::world::World;

/// Nodes of one network.
const ISLAND: u64 = 50;
/// Each node dials that many that came before it, so it has twice as many neighbours on average.
const DIALS: u64 = 3;

/// A node that counts what happens to it.
struct Counted {
    node: Node,
    events: Arc<AtomicU64>,
}

impl Counted {
    fn count(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }
}

impl Machine for Counted {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.node.handle(now, input);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.count();
        self.node.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.node.poll_output();
        // Nodes without jobs send whole frames, and every one arrives.
        if let Some(Output::Send { .. }) = output {
            self.count();
        }
        output
    }

    fn poll_timeout(&self) -> Option<Wake> {
        self.node.poll_timeout()
    }

    fn stopped(&self) -> Option<&str> {
        self.node.stopped()
    }
}

fn spec(seed: Seed, number: u64, events: &Arc<AtomicU64>) -> Spec<Counted> {
    let (island, place) = (number / ISLAND, number % ISLAND);
    let secret = move |number: u64| seed.child("identity").child(&number.to_string()).0;
    let node_id = |number| -> NodeId { tag::identity(&secret(number)).node_id() };
    let mut draws = seed.child("neighbours").stream(&number.to_string());
    let mut before: Vec<u64> = (0..place).collect();
    let dialled =
        (0..DIALS.min(place)).map(|_| before.swap_remove(draws.below(before.len() as u64) as usize));
    let bootstrap = dialled.map(|place| {
        let number = island * ISLAND + place;
        Bootstrap { node_id: node_id(number), addr: address(number) }
    });
    let config = Config {
        network: format!("island {island}"),
        addresses: vec![address(number)],
        bootstrap: bootstrap.collect(),
        trust: Vec::new(),
        deny: Vec::new(),

        reach: Default::default(),
        caps: Default::default(),
        feps: Vec::new(),
        gateway: None,
        unpaid: None,
        provider: None,
    };
    let events = Arc::clone(events);
    Spec {
        name: number.to_string(),
        addresses: vec![Address::Mesh(address(number))],
        node_id: Some(node_id(number)),
        from: None,
        local: false,
        reachable: true,
        place: None,
        lawless: false,
        wall_offset_ms: 0,
        disk: Latency::Uniform(Span::from_millis(1), Span::from_secs(60)),
        build: Box::new(move |draws, snapshot, now| {
            let node = Node::new(config.clone(), tag::identity(&secret(number)), draws, snapshot, now);
            let node = node.map_err(|bad| bad.to_string())?;
            Ok(Counted { node, events: Arc::clone(&events) })
        }),
    }
}

fn address(number: u64) -> String {
    format!("n{number}:4433")
}

fn main() {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let [nodes, seconds] = args[..] else { panic!("idle_mesh NODES SECONDS") };
    let seed = Seed::from_u64(1);
    let mesh = Latency::Uniform(Span::from_millis(10), Span::from_millis(50));
    let mut world = World::new(seed, Latencies { mesh, http: mesh, local: mesh });
    let events = Arc::new(AtomicU64::new(0));
    for number in 0..nodes {
        world.add(spec(seed, number, &events));
    }
    let until = Time::ZERO + Span::from_secs(seconds);
    while world.now() < until && world.step().is_some() {}
    assert_eq!(world.take_failures(), Vec::<String>::new());
    println!("events {} of the engine {}", events.load(Ordering::Relaxed), world.events());
}
