//! A gateway's own jobs, by where they run or are about to. They count from the moment of the choice, whatever a provider last said
//! of its load: until the FEP has answered, a slot that is free would otherwise be given to each that comes.

use alloc::collections::BTreeMap;

use crate::identity::NodeId;
use crate::names::SlugKey;
use crate::routing::Own;
use crate::routing::along::Along;
use crate::wire::ids::RequestId;

#[derive(Default)]
pub(super) struct Owns {
    /// It is walked for each request.
    at: BTreeMap<(NodeId, SlugKey), Own>,
    reserved: BTreeMap<RequestId, (NodeId, SlugKey)>,
}

impl Owns {
    pub(super) fn at(&self, provider: &NodeId, slug: SlugKey) -> u32 {
        self.at.get(&(*provider, slug)).map_or(0, |jobs| jobs.all())
    }

    /// Of one provider after the other.
    pub(super) fn along(&self) -> impl FnMut(&NodeId, SlugKey) -> Own {
        let mut along = Along::new(&self.at);
        move |provider, slug| along.at(&(*provider, slug)).copied().unwrap_or_default()
    }

    /// The request is to be placed there, and nowhere else any more.
    pub(super) fn reserve(&mut self, id: RequestId, provider: NodeId, slug: SlugKey) {
        self.release(id);
        self.change(provider, slug, |jobs| jobs.reserved += 1);
        self.reserved.insert(id, (provider, slug));
    }

    /// It is placed, or will not be.
    pub(super) fn release(&mut self, id: RequestId) {
        if let Some((provider, slug)) = self.reserved.remove(&id) {
            self.change(provider, slug, |jobs| jobs.reserved -= 1);
        }
    }

    pub(super) fn begun(&mut self, provider: NodeId, slug: SlugKey) {
        self.change(provider, slug, |jobs| jobs.placed += 1);
    }

    pub(super) fn ended(&mut self, provider: NodeId, slug: SlugKey) {
        self.change(provider, slug, |jobs| jobs.placed -= 1);
    }

    fn change(&mut self, provider: NodeId, slug: SlugKey, change: impl FnOnce(&mut Own)) {
        let jobs = self.at.entry((provider, slug)).or_default();
        change(jobs);
        if *jobs == Own::default() {
            self.at.remove(&(provider, slug));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: NodeId = NodeId([1; 32]);

    #[test]
    fn a_job_counts_once_from_the_choice_to_its_end() {
        let (mut own, id, toy) = (Owns::default(), RequestId([7; 16]), SlugKey::of("home:gpu:toy"));
        let counts = |own: &Owns| {
            let here = own.along()(&SHOP, toy);
            (own.at(&SHOP, toy), here.placed, here.all())
        };
        own.reserve(id, SHOP, toy);
        assert_eq!(counts(&own), (1, 0, 1));
        // It is chosen anew, for the same provider.
        own.reserve(id, SHOP, toy);
        assert_eq!(counts(&own), (1, 0, 1));
        own.release(id);
        own.begun(SHOP, toy);
        assert_eq!(counts(&own), (1, 1, 1));
        own.release(id);
        own.ended(SHOP, toy);
        assert_eq!(counts(&own), (0, 0, 0));
        assert!(own.at.is_empty() && own.reserved.is_empty(), "nothing is kept of what is over");
    }
}
