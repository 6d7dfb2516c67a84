//! The mesh as this node believes it to be: decoded records, ready for routing and for people.

use alloc::{collections::BTreeMap, vec::Vec};

use super::bygone::Bygone;
use super::titles::{Title, Titles};
use crate::identity::{Network, NodeId};
use crate::limits::{OFFERS, WITNESSES};
use crate::names::{Asked, SlugKey, bare};
use crate::time::Time;
use crate::wire::mesh::{About, CapabilityRecord, Key, PeerRecord};
use crate::wire::object::{Sealed, open};
use crate::wire::portal::Offer;

#[derive(Default)]
pub(crate) struct View {
    peers: BTreeMap<NodeId, PeerRecord>,
    /// One map and no lists within it: it is walked for each request, and what stands next in memory is near.
    served: BTreeMap<(NodeId, SlugKey), Served>,
    /// Of those that say what they serve, be it nothing: the witnesses that they name.
    providers: BTreeMap<NodeId, Vec<NodeId>>,
    /// The models that are served, each once.
    titles: Titles,
    bygone: Bygone,
}

/// One model at one provider.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) offer: Sealed<Offer>,
    pub(crate) slots: u32,
    /// Requests that it lets wait for a slot.
    pub(crate) queue: u32,
    /// Of the offer's slug.
    pub(crate) key: SlugKey,
    title: Title,
}

impl Served {
    fn slug(&self) -> &str {
        &self.offer.content.slug
    }
}

impl View {
    pub(crate) fn peers(&self) -> impl Iterator<Item = (&NodeId, &PeerRecord)> {
        self.peers.iter()
    }

    pub(crate) fn served(&self) -> impl Iterator<Item = (NodeId, &Served)> {
        self.served.iter().map(|((node_id, _), served)| (*node_id, served))
    }

    /// By whom a request can be served, by the names that it asks for. Of thousands of offers no name is looked at, but each name once.
    pub(crate) fn serves(&self, asked: &Asked<'_>) -> impl Iterator<Item = (NodeId, &Served)> {
        let titles = self.titles.matching(|bare| asked.may_be(bare));
        self.served().filter(move |(_, served)| {
            titles.contains(&served.title) && (!asked.names_a_slug() || asked.is_served_by(served.slug()))
        })
    }

    pub(crate) fn serves_that(&self, node_id: NodeId, slug: SlugKey) -> bool {
        self.served.contains_key(&(node_id, slug))
    }

    /// What was served a moment ago, perhaps still is, by its slug.
    pub(crate) fn served_lately(&self, now: Time) -> impl Iterator<Item = &str> {
        self.bygone.slugs(now)
    }

    pub(crate) fn peer_of(&self, node_id: &NodeId) -> Option<&PeerRecord> {
        self.peers.get(node_id)
    }

    /// Has it said anything?
    pub(crate) fn knows(&self, node_id: &NodeId) -> bool {
        self.peers.contains_key(node_id) || self.providers.contains_key(node_id)
    }

    /// The witnesses that a record names.
    pub(crate) fn witnesses_in(&self, key: &Key) -> &[NodeId] {
        match key.about {
            About::Peer => self.peers.get(&key.origin).map_or(&[], |record| &record.witnesses),
            About::Capability => self.providers.get(&key.origin).map_or(&[], |witnesses| witnesses),
            About::Departure | About::Suspicion => &[],
        }
    }

    /// Gateways that it is linked to, by what it says: not all, where there are more, or where they had it called.
    pub(crate) fn gateways_of(&self, provider: &NodeId) -> &[NodeId] {
        self.witnesses_in(&Key::capability(*provider))
    }

    /// Is this node to notice if that one dies?
    pub(crate) fn is_witness(&self, me: &NodeId, of: NodeId) -> bool {
        [Key::peer(of), Key::capability(of)].iter().any(|key| self.witnesses_in(key).contains(me))
    }

    pub(crate) fn peer(&mut self, node_id: NodeId, mut record: PeerRecord) {
        // There are many, and decoding leaves room for more in each.
        record.addresses.shrink_to_fit();
        record.feps.shrink_to_fit();
        record.witnesses.truncate(WITNESSES);
        record.witnesses.shrink_to_fit();
        self.peers.insert(node_id, record);
    }

    /// Offers that their provider did not sign are left out. One that was verified before is not verified again.
    pub(crate) fn capability(
        &mut self,
        network: Network,
        now: Time,
        node_id: NodeId,
        record: &CapabilityRecord,
    ) {
        let known = self.taken_from(node_id);
        for hosted in record.hosted.iter().take(OFFERS) {
            let same = known.iter().find(|one| one.offer.bytes == hosted.offer);
            let offer = match same {
                Some(one) => Some(one.offer.clone()),
                None => open(network, Some(node_id.0), &hosted.offer.0).ok(),
            };
            let Some(offer) = offer else { continue };
            let (key, title) =
                (SlugKey::of(&offer.content.slug), self.titles.take(bare(&offer.content.slug)));
            let served = Served { offer, slots: hosted.slots, queue: hosted.queue, key, title };
            if let Some(twice) = self.served.insert((node_id, key), served) {
                self.titles.give_back(bare(twice.slug()));
            }
        }
        for one in &known {
            self.titles.give_back(bare(one.slug()));
            if !self.serves_that(node_id, one.key) {
                self.bygone.ended(now, one.slug());
            }
        }
        self.providers.insert(node_id, record.witnesses.iter().take(WITNESSES).copied().collect());
    }

    fn taken_from(&mut self, node_id: NodeId) -> Vec<Served> {
        self.served.extract_if(SlugKey::all_of(node_id), |_, _| true).map(|(_, served)| served).collect()
    }

    pub(crate) fn forget_peer(&mut self, node_id: &NodeId) {
        self.peers.remove(node_id);
    }

    pub(crate) fn forget_capability(&mut self, now: Time, node_id: &NodeId) {
        self.providers.remove(node_id);
        for gone in self.taken_from(*node_id) {
            self.titles.give_back(bare(gone.slug()));
            self.bygone.ended(now, gone.slug());
        }
    }
}
