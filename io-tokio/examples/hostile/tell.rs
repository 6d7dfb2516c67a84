//! One neighbour that tells of gateways at addresses which nobody should call, for `tests/net/packet_trap.sh`. Each has a key
//! of its own, and signs well.

use std::time::{Duration, Instant};

use labman_proto_core::identity::Identity;
use labman_proto_core::wire::cbor::{Blob, encode};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{PeerRecord, Shuffle};
use labman_proto_core::wire::topic::Topics;
use tokio::time::sleep;

use crate::Plan;
use crate::records::signed;
use crate::session::{Peer, Stats};

/// So many in a message are looked at.
const AT_ONCE: usize = 8;
const EVERY: Duration = Duration::from_millis(250);

pub(crate) async fn tell(plan: &Plan, peer: &Peer, addresses: &[String]) {
    let stats = Stats::default();
    let records: Vec<Blob> = addresses.iter().map(|address| record(plan, address)).collect();
    let mut session = peer.admitted(plan, &stats).await.expect("the node admits a stranger");
    let mut told = 0;
    for some in records.chunks(AT_ONCE).cycle() {
        if Instant::now() >= plan.until {
            break;
        }
        let shuffle = Shuffle { peers: some.to_vec(), answer: false, topics: Topics::All };
        let frame = peer.frame(plan, &mut session, Kind::Shuffle, &encode(&shuffle));
        session.say(&stats, &frame).await.expect("the node goes on listening");
        told += some.len();
        sleep(EVERY).await;
    }
    println!("told of {told} peers at {} addresses", addresses.len());
}

fn record(plan: &Plan, address: &str) -> Blob {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).expect("random bytes");
    let origin = Identity::from_secret(&secret);
    let said = PeerRecord {
        gateway: true,
        provider: false,
        addresses: vec![address.to_owned()],
        public_endpoint: None,
        feps: Vec::new(),
        witnesses: Vec::new(),
        interest: Topics::All,
    };
    Blob(signed(&origin, plan.network.id, Kind::PeerRecord, &encode(&said)))
}
