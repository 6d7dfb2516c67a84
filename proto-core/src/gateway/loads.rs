//! How busy providers say they are. Own jobs are known better: they count at once.

use alloc::collections::BTreeMap;

use crate::gossip::View;
use crate::identity::NodeId;
use crate::limits::CONTESTED_FOR;
use crate::names::SlugKey;
use crate::routing::Load;
use crate::routing::along::Along;
use crate::time::Time;
use crate::wire::mesh;

#[derive(Default)]
pub(super) struct Loads {
    /// Of those that are linked. One map and no maps within it: it is walked for each request, and what stands next in memory is near.
    said: BTreeMap<(NodeId, SlugKey), Said>,
}

#[derive(Clone, Copy, Default)]
struct Said {
    jobs: u32,
    /// Of them, this gateway's: not all that it has sent may have come there, nor the end of each have come here.
    own: u32,
    /// Until when it had jobs that are not this gateway's.
    others: Option<Time>,
}

impl Said {
    fn jobs(self, own: u32) -> u32 {
        self.jobs.saturating_sub(self.own).saturating_add(own)
    }

    fn at(self, own: u32, now: Time) -> Load {
        Load { jobs: self.jobs(own), contested: self.is_contested(now) }
    }

    /// Others had jobs there until now, if it says so or said so last.
    fn others_until(self, there_are: bool, now: Time) -> Option<Time> {
        if there_are || self.jobs > self.own { Some(now) } else { self.others }
    }

    /// A provider says nothing while nothing changes: its last word holds.
    fn is_contested(self, now: Time) -> bool {
        self.jobs > self.own || self.others.is_some_and(|at| now - at < CONTESTED_FOR)
    }
}

impl Loads {
    /// Replaces what it said before. What it does not offer is left out.
    pub(super) fn heard(&mut self, view: &View, provider: NodeId, load: mesh::Load, now: Time) {
        let offers = |slug: SlugKey| view.serves_that(provider, slug);
        let busy = load.busy.into_iter().map(|busy| (SlugKey::of(&busy.slug), (busy.jobs, busy.yours)));
        let before: BTreeMap<SlugKey, Said> = self.taken_from(provider);
        for (slug, (jobs, own)) in busy.filter(|(slug, _)| offers(*slug)) {
            let before = before.get(&slug).copied().unwrap_or_default();
            let others = before.others_until(jobs > own, now);
            self.said.insert((provider, slug), Said { jobs, own, others });
        }
        // It says nothing of models that have no jobs now.
        for (slug, gone) in before.into_iter().filter(|(slug, gone)| gone.is_contested(now) && offers(*slug))
        {
            let others = gone.others_until(false, now);
            self.said.entry((provider, slug)).or_insert(Said { jobs: 0, own: 0, others });
        }
    }

    /// No link to it is left: it could not say if that changed.
    pub(super) fn left(&mut self, provider: &NodeId) {
        self.taken_from(*provider);
    }

    fn taken_from(&mut self, provider: NodeId) -> BTreeMap<SlugKey, Said> {
        self.said
            .extract_if(SlugKey::all_of(provider), |_, _| true)
            .map(|((_, slug), said)| (slug, said))
            .collect()
    }

    /// Jobs there when it said so last.
    pub(super) fn of(&self, provider: &NodeId, slug: SlugKey) -> u32 {
        self.said(provider, slug).jobs
    }

    /// Jobs there now, as far as can be known: others' are as many as it said, one's own are counted.
    pub(super) fn now(&self, provider: &NodeId, slug: SlugKey, own: u32) -> u32 {
        self.said(provider, slug).jobs(own)
    }

    /// The same, of one after the other.
    pub(super) fn along(&self, now: Time) -> impl FnMut(&NodeId, SlugKey, u32) -> Load {
        let mut along = Along::new(&self.said);
        move |provider, slug, own| along.at(&(*provider, slug)).copied().unwrap_or_default().at(own, now)
    }

    fn said(&self, provider: &NodeId, slug: SlugKey) -> Said {
        self.said.get(&(*provider, slug)).copied().unwrap_or_default()
    }
}
