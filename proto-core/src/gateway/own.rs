//! A gateway's own jobs, by where they run or are about to. They count from the moment of the choice, whatever a provider last said
//! of its load: until the FEP has answered, a slot that is free would otherwise be given to each that comes.

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::identity::NodeId;
use crate::routing::Own;
use crate::routing::along::Along;
use crate::wire::ids::RequestId;

#[derive(Default)]
pub(super) struct Owns {
    /// By provider, then by slug: it is asked for each candidate of each request.
    at: BTreeMap<NodeId, BTreeMap<String, Own>>,
    reserved: BTreeMap<RequestId, (NodeId, String)>,
}

impl Owns {
    pub(super) fn at(&self, provider: &NodeId, slug: &str) -> u32 {
        self.jobs(provider, slug).all()
    }

    pub(super) fn placed_at(&self, provider: &NodeId, slug: &str) -> u32 {
        self.jobs(provider, slug).placed
    }

    /// Of one provider after the other.
    pub(super) fn along(&self) -> impl FnMut(&NodeId, &str) -> Own {
        let mut along = Along::new(&self.at);
        move |provider, slug| along.at(provider).and_then(|jobs| jobs.get(slug)).copied().unwrap_or_default()
    }

    /// The request is to be placed there, and nowhere else any more.
    pub(super) fn reserve(&mut self, id: RequestId, provider: NodeId, slug: String) {
        self.release(id);
        self.change(provider, &slug, |jobs| jobs.reserved += 1);
        self.reserved.insert(id, (provider, slug));
    }

    /// It is placed, or will not be.
    pub(super) fn release(&mut self, id: RequestId) {
        if let Some((provider, slug)) = self.reserved.remove(&id) {
            self.change(provider, &slug, |jobs| jobs.reserved -= 1);
        }
    }

    pub(super) fn begun(&mut self, provider: NodeId, slug: &str) {
        self.change(provider, slug, |jobs| jobs.placed += 1);
    }

    pub(super) fn ended(&mut self, provider: NodeId, slug: &str) {
        self.change(provider, slug, |jobs| jobs.placed -= 1);
    }

    fn jobs(&self, provider: &NodeId, slug: &str) -> Own {
        self.at.get(provider).and_then(|jobs| jobs.get(slug)).copied().unwrap_or_default()
    }

    fn change(&mut self, provider: NodeId, slug: &str, change: impl FnOnce(&mut Own)) {
        let of_it = self.at.entry(provider).or_default();
        let mut jobs = of_it.get(slug).copied().unwrap_or_default();
        change(&mut jobs);
        if jobs == Own::default() {
            of_it.remove(slug);
        } else if let Some(known) = of_it.get_mut(slug) {
            *known = jobs;
        } else {
            of_it.insert(slug.into(), jobs);
        }
        if of_it.is_empty() {
            self.at.remove(&provider);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: NodeId = NodeId([1; 32]);

    #[test]
    fn a_job_counts_once_from_the_choice_to_its_end() {
        let (mut own, id) = (Owns::default(), RequestId([7; 16]));
        let counts =
            |own: &Owns| (own.at(&SHOP, "a"), own.placed_at(&SHOP, "a"), own.along()(&SHOP, "a").all());
        own.reserve(id, SHOP, "a".into());
        assert_eq!(counts(&own), (1, 0, 1));
        // It is chosen anew, for the same provider.
        own.reserve(id, SHOP, "a".into());
        assert_eq!(counts(&own), (1, 0, 1));
        own.release(id);
        own.begun(SHOP, "a");
        assert_eq!(counts(&own), (1, 1, 1));
        own.release(id);
        own.ended(SHOP, "a");
        assert_eq!(counts(&own), (0, 0, 0));
        assert!(own.at.is_empty() && own.reserved.is_empty(), "nothing is kept of what is over");
    }
}
