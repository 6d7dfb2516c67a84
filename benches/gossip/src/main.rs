//! Messages of random nodes in iroh-gossip's simulator, one after the other: when they are everywhere, over how many links,
//! in how many copies.
//!
//!     gossip-bench NODES MESSAGES      prints one JSON object

use std::time::Duration;

use bytes::Bytes;
use iroh_gossip::proto::sim::{BootstrapMode, LatencyConfig, NetworkConfig, Simulator, SimulatorConfig};
use iroh_gossip::proto::{Command, Config, Event, Scope, TopicId};
use serde_json::{Value, json};

/// The simulator's own topic.
const TOPIC: TopicId = TopicId::from_bytes([0; 32]);
const SEED: u64 = 1;
/// Messages before those that count: they make the tree.
const WARM: usize = 20;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Between two messages.
const QUIET: Duration = Duration::from_secs(2);

fn main() {
    let [nodes, messages] = [1, 2].map(|at| std::env::args().nth(at).expect("NODES MESSAGES").parse().expect("a number"));
    let config = SimulatorConfig { rng_seed: SEED, peers: nodes, gossip_round_timeout: Duration::from_secs(30) };
    let network = NetworkConfig { latency: LatencyConfig::random_ms(10, 50), proto: Config::default() };
    let mut simulator = Simulator::new(config, network);
    simulator.bootstrap(BootstrapMode::default());
    for number in 0..WARM {
        spread(&mut simulator, number);
    }
    let spread: Vec<Value> = (0..messages).map(|number| spread(&mut simulator, WARM + number)).collect();
    // Copies its simulator counts in rounds of its own only.
    for number in 0..messages {
        let from = simulator.random_peer();
        simulator.gossip_round(vec![(from, message(WARM + messages + number))]);
        simulator.network.run_duration(QUIET);
    }
    let rounds = simulator.round_stats_average().mean;
    println!("{}", json!({ "spread": spread, "redundancy": rounds.rmr, "missed": rounds.missed }));
}

fn message(number: usize) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn spread(simulator: &mut Simulator, number: usize) -> Value {
    let (nodes, from) = (simulator.peer_count(), simulator.random_peer());
    let start = simulator.network.elapsed();
    simulator.network.command(from, TOPIC, Command::Broadcast(message(number), Scope::Swarm));
    let (mut reached, mut reached_999, mut links) = (1, None, 0);
    let took = |simulator: &Simulator| (simulator.network.elapsed() - start).as_millis() as u64;
    while reached < nodes && took(simulator) < 30_000 {
        simulator.network.run_duration(LOOK_EVERY);
        for (_, _, event) in simulator.network.events() {
            let Event::Received(received) = event else { continue };
            reached += 1;
            // A round of 0 has come over one link.
            let round = serde_json::to_value(received.scope).ok();
            let round = round.and_then(|scope| scope["Swarm"].as_u64());
            links = links.max(round.map_or(0, |round| round + 1));
        }
        if reached * 1_000 >= nodes * 999 {
            reached_999 = reached_999.or_else(|| Some(took(simulator)));
        }
    }
    let reached_all = (reached == nodes).then(|| took(simulator));
    simulator.network.run_duration(QUIET);
    simulator.network.events().for_each(drop);
    json!({ "reached_999_ms": reached_999, "reached_all_ms": reached_all, "last_hop": links })
}
