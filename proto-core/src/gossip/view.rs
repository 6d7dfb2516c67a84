//! The mesh as this node believes it to be: decoded records, ready for routing and for people.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::identity::{Network, NodeId};
use crate::limits::OFFERS;
use crate::wire::mesh::{CapabilityRecord, PeerRecord};
use crate::wire::object::{Sealed, open};
use crate::wire::portal::Offer;

#[derive(Default)]
pub(crate) struct View {
    peers: BTreeMap<NodeId, PeerRecord>,
    served: BTreeMap<NodeId, Vec<Served>>,
}

/// One model at one provider.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) offer: Sealed<Offer>,
    pub(crate) slots: u32,
}

impl View {
    pub(crate) fn peers(&self) -> impl Iterator<Item = (&NodeId, &PeerRecord)> {
        self.peers.iter()
    }

    pub(crate) fn served(&self) -> impl Iterator<Item = (NodeId, &Served)> {
        self.served.iter().flat_map(|(node_id, served)| served.iter().map(|one| (*node_id, one)))
    }

    pub(crate) fn peer(&mut self, node_id: NodeId, record: PeerRecord) {
        self.peers.insert(node_id, record);
    }

    /// Offers that their provider did not sign are left out. One that was verified before is not verified again.
    pub(crate) fn capability(&mut self, network: Network, node_id: NodeId, record: &CapabilityRecord) {
        let known = self.served.remove(&node_id).unwrap_or_default();
        let served = record.hosted.iter().take(OFFERS).filter_map(|hosted| {
            let same = known.iter().find(|one| one.offer.bytes == hosted.offer);
            let offer = match same {
                Some(one) => one.offer.clone(),
                None => open(network, Some(node_id.0), &hosted.offer.0).ok()?,
            };
            Some(Served { offer, slots: hosted.slots })
        });
        let served: Vec<Served> = served.collect();
        if !served.is_empty() {
            self.served.insert(node_id, served);
        }
    }

    pub(crate) fn forget_peer(&mut self, node_id: &NodeId) {
        self.peers.remove(node_id);
    }

    pub(crate) fn forget_capability(&mut self, node_id: &NodeId) {
        self.served.remove(node_id);
    }
}
