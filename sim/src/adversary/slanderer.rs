//! Signs suspicions of nodes that live, of the latest that it heard of them, again and again, and tells all its neighbours.
//!
//! What must hold: only who is a witness is believed, and one is not enough where there are others; the slandered say that
//! they live, take the slanderer for no witness any more, and stay known wherever they are heard of.

use std::collections::BTreeMap;

use labman_proto_core::identity::NodeId;
use labman_proto_core::machine::StreamId;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Header, Kind};
use labman_proto_core::wire::mesh::{Suspicion, Version};
use labman_proto_core::wire::topic::Topics;

use super::craft::{self, Said};
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::Strategy;

/// Nodes slandered at a time.
const AT_ONCE: usize = 6;

#[derive(Default)]
pub(super) struct Slanderer {
    /// The latest that was heard of each.
    heard: BTreeMap<NodeId, Version>,
}

impl Strategy for Slanderer {
    fn hears(&mut self, hand: &mut Hand, _: StreamId, _: &Way, said: &Said) -> bool {
        let speaks = said.kind == Kind::PeerRecord as u16 || said.kind == Kind::CapabilityRecord as u16;
        if let Some(header) = said.header.filter(|header| speaks && header.sender != hand.me()) {
            let version = Version { incarnation: header.incarnation, seq: header.seq };
            let latest = self.heard.entry(header.sender).or_insert(version);
            *latest = version.max(*latest);
        }
        true
    }

    fn wakes(&mut self, hand: &mut Hand) {
        let heard: Vec<_> = self.heard.iter().map(|(subject, version)| (*subject, *version)).collect();
        for _ in 0..AT_ONCE {
            let Some((subject, version)) = hand.pick(&heard) else { return };
            let suspicion = Suspicion { subject, version, topics: Topics::All };
            // The later it is said the newer it is, and newer than anything that the daemon says of the same node.
            let header = Header { seq: hand.now.wall.0, ..hand.header(Kind::Suspicion as u16, None) };
            let frame = craft::signed(&hand.party.identity, header, &cbor::encode(&suspicion));
            for (control, _) in hand.controls() {
                hand.fired();
                hand.send(control, frame.clone());
            }
        }
    }
}
