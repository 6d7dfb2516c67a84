//! How busy this provider is, told to the gateways that it is linked to: when a model's last slot is taken or freed, and
//! at each quarter of its slots, but not more often than they could use.
//!
//! What is absent: who is told, which is the node's to know; and what follows for a gateway, which is `routing.rs`.

use alloc::{collections::BTreeMap, string::String};

use crate::time::{Span, Time, Wake};
use crate::timers::Timers;
use crate::wire::mesh::{Busy, Load};

/// Jobs that run now, and slots there are, by slug.
pub(super) type Taken = BTreeMap<String, (u32, u32)>;

pub(super) struct Teller {
    /// Not oftener.
    every: Span,
    /// What was told last: models of which none is taken are left out.
    told: BTreeMap<String, u32>,
    /// Not sooner again.
    from: Time,
    due: Timers<()>,
}

impl Teller {
    pub(super) fn new(every: Span) -> Self {
        Self { every, told: BTreeMap::new(), from: Time::default(), due: Timers::default() }
    }

    /// Slots were taken or freed.
    pub(super) fn changed(&mut self, now: Time, taken: &Taken) {
        let gone = self.told.keys().any(|slug| !taken.contains_key(slug));
        let step = |(slug, (busy, slots)): (&String, &(u32, u32))| {
            let told = self.told.get(slug).copied().unwrap_or(0);
            (told >= *slots) != (busy >= slots) || busy.abs_diff(told).saturating_mul(4) >= *slots
        };
        if (gone || taken.iter().any(step)) && !self.due.is_set(()) {
            self.due.set((), now.max(self.from), "tell gateways how busy this provider is");
        }
    }

    /// What is to be told now.
    pub(super) fn poll(&mut self, now: Time, taken: impl FnOnce() -> Taken) -> Option<Load> {
        self.due.expired(now)?;
        self.from = now + self.every;
        let taken = taken();
        self.told = taken.into_iter().map(|(slug, (busy, _))| (slug, busy)).filter(|(_, n)| *n > 0).collect();
        Some(self.latest())
    }

    pub(super) fn latest(&self) -> Load {
        let busy = self.told.iter().map(|(slug, jobs)| Busy { slug: slug.clone(), jobs: *jobs, yours: 0 });
        Load { busy: busy.collect() }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        self.due.next()
    }
}
