//! The peers that a node knows of without being linked to them: whom it may call, and whom it tells others of. A bounded
//! and mixed sample of the mesh, so that what membership costs does not grow with it.
//!
//! Whoever fills it with its own would decide who is called (an eclipse): so no neighbour brings more than its share, and
//! no network has more than its share, however many keys it signs with.

use alloc::{collections::BTreeMap, vec::Vec};
use core::net::IpAddr;

use crate::identity::NodeId;
use crate::labnet::networks;
use crate::limits::{PEERS_IN_NETWORKS, PEERS_OF_ONE};
use crate::mutants::{Mutant, mutant};
use crate::rng::Stream;

pub(super) struct Peers {
    most: usize,
    known: BTreeMap<NodeId, Known>,
    /// How many each neighbour told us of.
    told: BTreeMap<NodeId, usize>,
    /// How many there are in each network.
    crowds: BTreeMap<(bool, u128), usize>,
}

struct Known {
    /// The neighbour that told us first.
    from: NodeId,
    networks: [(bool, u128); 3],
}

/// Whether a peer is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Refused,
    Kept { instead_of: Option<NodeId> },
}

impl Peers {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, known: BTreeMap::new(), told: BTreeMap::new(), crowds: BTreeMap::new() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = NodeId> {
        self.known.keys().copied()
    }

    pub(super) fn forget(&mut self, node_id: &NodeId) {
        let Some(Known { from, networks }) = self.known.remove(node_id) else { return };
        less(&mut self.told, &from);
        networks.iter().for_each(|network| less(&mut self.crowds, network));
    }

    /// Keeps a peer, if need be in the place of another of those that came the same way.
    pub(super) fn place(&mut self, node_id: NodeId, ip: IpAddr, from: NodeId, rng: &mut Stream) -> Place {
        if self.known.contains_key(&node_id) {
            return Place::Kept { instead_of: None };
        }
        let networks = networks(ip);
        let mut crowds = networks.iter().zip(PEERS_IN_NETWORKS);
        if !mutant(Mutant::SampleWithoutNetworks)
            && crowds.any(|(network, most)| self.crowds.get(network).is_some_and(|crowd| *crowd >= most))
        {
            return Place::Refused;
        }
        let mut instead_of = None;
        if self.told.get(&from).is_some_and(|told| *told >= self.most / PEERS_OF_ONE) {
            instead_of = self.one_of(from, rng);
        } else if self.known.len() >= self.most {
            let most = self.told.iter().max_by_key(|(_, told)| **told).map(|(from, _)| *from);
            instead_of = most.and_then(|most| self.one_of(most, rng));
        }
        if let Some(other) = instead_of {
            self.forget(&other);
        }
        self.known.insert(node_id, Known { from, networks });
        *self.told.entry(from).or_default() += 1;
        networks.iter().for_each(|network| *self.crowds.entry(*network).or_default() += 1);
        Place::Kept { instead_of }
    }

    fn one_of(&self, from: NodeId, rng: &mut Stream) -> Option<NodeId> {
        let his: Vec<NodeId> =
            self.known.iter().filter(|(_, known)| known.from == from).map(|(node_id, _)| *node_id).collect();
        his.get(rng.below(his.len() as u64) as usize).copied()
    }
}

fn less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PEERS;
    use crate::rng::Seed;
    use core::net::Ipv4Addr;

    fn node(number: u32) -> NodeId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        NodeId(id)
    }

    fn ip(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(number))
    }

    #[test]
    fn a_swarm_that_comes_through_one_neighbour_takes_only_its_share() {
        let (mut peers, mut rng) = (Peers::new(PEERS), Seed::from_u64(1).stream("peers"));
        for honest in 0..PEERS as u32 {
            peers.place(node(honest), ip(honest << 16), node(1_000_000 + honest % 8), &mut rng);
        }
        for sybil in 0..20 * PEERS as u32 {
            peers.place(node(2_000_000 + sybil), ip(sybil << 12), node(9), &mut rng);
        }
        let sybils = peers.iter().filter(|id| *id >= node(2_000_000)).count();
        assert_eq!(peers.iter().count(), PEERS);
        assert!((1..=PEERS / PEERS_OF_ONE).contains(&sybils), "{sybils}");
    }

    #[test]
    fn a_swarm_in_one_network_takes_only_its_share_however_it_comes() {
        let (mut peers, mut rng) = (Peers::new(PEERS), Seed::from_u64(1).stream("peers"));
        let mut kept = 0;
        for sybil in 0..1_000 {
            let place = peers.place(node(sybil), ip(8 << 24 | sybil), node(1_000_000 + sybil), &mut rng);
            kept += usize::from(place != Place::Refused);
        }
        // Four networks of 256 addresses.
        assert_eq!(kept, 4 * PEERS_IN_NETWORKS[1]);
    }
}
