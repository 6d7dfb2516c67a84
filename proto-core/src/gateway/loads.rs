//! How busy providers say they are. Own jobs are known better: they count at once.

use alloc::{collections::BTreeMap, string::String};

use crate::gossip::View;
use crate::identity::NodeId;
use crate::wire::mesh::Load;

#[derive(Default)]
pub(super) struct Loads {
    /// Of those that are linked, by slug.
    said: BTreeMap<NodeId, BTreeMap<String, Said>>,
}

#[derive(Clone, Copy, Default)]
struct Said {
    jobs: u32,
    /// Of them, as far as this gateway knew then, its own.
    own: u32,
}

impl Loads {
    /// Replaces what it said before. What it does not offer is left out.
    pub(super) fn heard(
        &mut self,
        view: &View,
        provider: NodeId,
        load: Load,
        own: impl Fn(&NodeId, &str) -> u32,
    ) {
        let offers = |slug: &str| view.served_by(&provider).iter().any(|one| one.offer.content.slug == slug);
        let busy = load.busy.into_iter().filter(|busy| offers(&busy.slug));
        let said = busy.map(|busy| {
            let own = own(&provider, &busy.slug);
            (busy.slug, Said { jobs: busy.jobs, own })
        });
        self.said.insert(provider, said.collect());
    }

    /// No link to it is left: it could not say if that changed.
    pub(super) fn left(&mut self, provider: &NodeId) {
        self.said.remove(provider);
    }

    /// Jobs there when it said so last.
    pub(super) fn of(&self, provider: &NodeId, slug: &str) -> u32 {
        self.said(provider, slug).jobs
    }

    /// Jobs there now, as far as can be known: others' are as many as it said, one's own are counted.
    pub(super) fn now(&self, provider: &NodeId, slug: &str, own: u32) -> u32 {
        let said = self.said(provider, slug);
        said.jobs.saturating_sub(said.own).saturating_add(own)
    }

    fn said(&self, provider: &NodeId, slug: &str) -> Said {
        self.said.get(provider).and_then(|busy| busy.get(slug)).copied().unwrap_or_default()
    }
}
