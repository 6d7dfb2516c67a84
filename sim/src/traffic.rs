//! What crosses the mesh, counted: bytes by kind of frame, and the ways that the records of some take.
//!
//! Frames are read by their headers only. A machine sends each frame of a control stream whole, so the beginning of what
//! it sends is the beginning of a frame.

use std::collections::BTreeMap;

use labman_proto_core::identity::NodeId;
use labman_proto_core::time::Time;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::Version;

use crate::host::HostId;

/// Where a signed frame has what is looked at, from its length on.
const KIND: usize = 5;
const SENDER: usize = 15;
const INCARNATION: usize = 79;
const SEQ: usize = 87;

#[derive(Debug, Default)]
pub struct Traffic {
    /// Nothing before it is counted.
    from: Time,
    by_kind: BTreeMap<u16, Sum>,
    watched: BTreeMap<NodeId, BTreeMap<Version, Ways>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub frames: u64,
    pub bytes: u64,
}

/// How one record went from host to host.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// How often it was sent.
    pub copies: u64,
    /// Of each host it was sent to: over how many links, by the first that sent it.
    hops: BTreeMap<HostId, u32>,
}

impl Traffic {
    pub fn new(from: Time, watched: impl IntoIterator<Item = NodeId>) -> Self {
        let watched = watched.into_iter().map(|node_id| (node_id, BTreeMap::new())).collect();
        Self { from, by_kind: BTreeMap::new(), watched }
    }

    pub(super) fn sent(&mut self, now: Time, from: HostId, to: HostId, bytes: &[u8]) {
        let Some(kind) = bytes.get(KIND..KIND + 2) else { return };
        let kind = u16::from_be_bytes([kind[0], kind[1]]);
        if now >= self.from {
            let sum = self.by_kind.entry(kind).or_default();
            sum.frames += 1;
            sum.bytes += bytes.len() as u64;
        }
        if kind != Kind::CapabilityRecord as u16 {
            return;
        }
        let Some(sender) = bytes.get(SENDER..).and_then(|rest| rest.first_chunk::<32>()) else { return };
        let Some(versions) = self.watched.get_mut(&NodeId(*sender)) else { return };
        let number = |at: usize| {
            let number = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
            number.copied().map_or(0, u64::from_be_bytes)
        };
        let ways =
            versions.entry(Version { incarnation: number(INCARNATION), seq: number(SEQ) }).or_default();
        ways.copies += 1;
        let hops = ways.hops.get(&from).copied().unwrap_or_default() + 1;
        ways.hops.entry(to).or_insert(hops);
    }

    pub fn by_kind(&self) -> impl Iterator<Item = (Option<Kind>, Sum)> + '_ {
        self.by_kind.iter().map(|(kind, sum)| (Kind::from_u16(*kind), *sum))
    }

    pub fn ways(&self, origin: NodeId, version: Version) -> Option<&Ways> {
        self.watched.get(&origin)?.get(&version)
    }
}

impl Ways {
    /// Over how many links it came to whom it came over most.
    pub fn last_hop(&self) -> u32 {
        self.hops.values().copied().max().unwrap_or_default()
    }

    /// To how many it came.
    pub fn receivers(&self) -> u64 {
        self.hops.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::identity::Identity;
    use labman_proto_core::time::{Span, Wall};
    use labman_proto_core::wire::envelope::{Header, SignedFrame};

    #[test]
    fn a_record_s_way_is_followed_by_its_header() {
        let identity = Identity::from_secret(&[7; 32]);
        let header = Header {
            kind: Kind::CapabilityRecord as u16,
            net_id: identity.network("test").id,
            sender: identity.node_id(),
            dest: None,
            incarnation: 3,
            seq: 9,
            issued: Wall(1),
            ttl_s: 1,
        };
        let frame = SignedFrame::sign(&identity, header, b"\xa0");
        let mut traffic = Traffic::new(Time::ZERO + Span::from_secs(1), [identity.node_id()]);
        let [origin, one, two] = [0, 1, 2].map(HostId);
        traffic.sent(Time::ZERO, origin, one, frame.bytes());
        let later = Time::ZERO + Span::from_secs(2);
        traffic.sent(later, one, two, frame.bytes());
        traffic.sent(later, origin, two, frame.bytes());
        let ways = traffic.ways(identity.node_id(), Version { incarnation: 3, seq: 9 }).unwrap();
        assert_eq!((ways.copies, ways.receivers(), ways.last_hop()), (3, 2, 2));
        let counted: Vec<_> = traffic.by_kind().collect();
        let bytes = 2 * frame.bytes().len() as u64;
        assert_eq!(counted, [(Some(Kind::CapabilityRecord), Sum { frames: 2, bytes })]);
    }
}
