//! How busy providers say they are. Own jobs are known better: they count at once.

use alloc::{collections::BTreeMap, string::String};

use crate::gossip::View;
use crate::identity::NodeId;
use crate::wire::mesh::Load;

#[derive(Default)]
pub(super) struct Loads {
    /// Of those that are linked, jobs by slug.
    said: BTreeMap<NodeId, BTreeMap<String, u32>>,
}

impl Loads {
    /// Replaces what it said before. What it does not offer is left out.
    pub(super) fn heard(&mut self, view: &View, provider: NodeId, load: Load) {
        let offers = |slug: &str| view.served_by(&provider).iter().any(|one| one.offer.content.slug == slug);
        let busy = load.busy.into_iter().filter(|busy| offers(&busy.slug));
        self.said.insert(provider, busy.map(|busy| (busy.slug, busy.jobs)).collect());
    }

    /// No link to it is left: it could not say if that changed.
    pub(super) fn left(&mut self, provider: &NodeId) {
        self.said.remove(provider);
    }

    pub(super) fn of(&self, provider: &NodeId, slug: &str) -> u32 {
        self.said.get(provider).and_then(|busy| busy.get(slug)).copied().unwrap_or(0)
    }
}
