//! Hostile peers for `tests/attack`: each with a key and an address of its own, each of a kind, all against one node.
//!
//!     hostile --target 127.0.0.1:7700 --node-id ID --network labman --peers 1000 --seconds 60
//!
//!     hostile --target ... --node-id ... --network labman --seconds 60 --tell addresses.txt
//!
//! They speak the mesh's own frames over the mesh's own TLS, so nothing tells them apart but what they do. Whoever is
//! closed comes again. Prints one JSON line a kind: how often it tried, came through the handshake, was admitted, and with
//! what words it was closed. With `--tell` there is one, which tells of peers at those addresses, one a line.

#[path = "../../src/quic/rpk.rs"]
#[allow(dead_code)]
mod rpk;

mod kinds;
mod records;
mod session;
mod tell;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use labman_proto_core::identity::{Network, NodeId};
use tokio::time::{sleep, timeout_at};

use kinds::Kind;
use records::Records;
use session::{Peer, Stats};

/// What all of them know.
struct Plan {
    target: SocketAddr,
    node_id: NodeId,
    network: Network,
    until: Instant,
    records: Records,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let target = argument("--target").parse().expect("--target IP:PORT");
    let node_id = argument("--node-id").parse().expect("--node-id ID");
    let seconds = argument("--seconds").parse().expect("--seconds NUMBER");
    let network = Network::of(&argument("--network"));
    let told = std::env::args().any(|argument| argument == "--tell").then(|| argument("--tell"));
    let records = Records::new(network.id, if told.is_some() { 0 } else { records::COUNT });
    let until = Instant::now() + Duration::from_secs(seconds);
    let plan = Arc::new(Plan { target, node_id, network, until, records });
    if let Some(file) = told {
        let addresses = std::fs::read_to_string(file).expect("--tell FILE");
        let addresses: Vec<String> = addresses.lines().map(str::to_owned).collect();
        let peer = Peer::new([0x74; 32], Ipv4Addr::UNSPECIFIED.into()).expect("a UDP socket");
        return tell::tell(&plan, &peer, &addresses).await;
    }
    let peers: usize = argument("--peers").parse().expect("--peers NUMBER");
    let stats: Arc<Vec<Stats>> = Arc::new(Kind::ALL.iter().map(|_| Stats::default()).collect());
    let tasks: Vec<_> =
        (0..peers).map(|number| tokio::spawn(go_on(plan.clone(), stats.clone(), number))).collect();
    for task in tasks {
        task.await.expect("an attacker does not panic");
    }
    for (kind, stats) in Kind::ALL.iter().zip(stats.iter()) {
        println!("{}", stats.to_json(kind.name()));
    }
}

/// One peer, from its first connection to the end.
async fn go_on(plan: Arc<Plan>, stats: Arc<Vec<Stats>>, number: usize) {
    let (at, kind) = Kind::of(number);
    let stats = &stats[at];
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).expect("random bytes");
    let peer = Peer::new(secret, address(number)).expect("a UDP socket");
    // Not all in one moment.
    sleep(Duration::from_millis((number as u64 * 7) % 5_000)).await;
    let deadline = tokio::time::Instant::from_std(plan.until);
    while Instant::now() < plan.until {
        // What hangs at the end is cut off.
        if timeout_at(deadline, kind.attack(&plan, &peer, stats)).await.is_err() {
            break;
        }
        sleep(kind.pause()).await;
    }
    peer.endpoint.close(0u32.into(), b"");
}

/// A hundred networks of ten, each peer with an address of its own.
fn address(number: usize) -> IpAddr {
    Ipv4Addr::new(127, 66, (number % 100) as u8, 1 + (number / 100 % 250) as u8).into()
}

fn argument(name: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).unwrap_or_else(|| panic!("{name} is missing"))
}
