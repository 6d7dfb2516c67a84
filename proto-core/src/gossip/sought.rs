//! Families that neighbours asked for and of which this node knew nobody. It asks others, and tells whoever asked what it
//! then hears: a family that few gateways hear of would otherwise be found by chance.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::limits::{SOUGHT, SOUGHT_FOR};
use crate::machine::LinkId;
use crate::time::Time;
use crate::wire::topic::{Topic, Topics};

#[derive(Default)]
pub(super) struct Sought {
    askers: BTreeMap<LinkId, Asker>,
}

struct Asker {
    topics: BTreeSet<Topic>,
    until: Time,
}

impl Sought {
    /// That neighbour asked for these in vain. Beyond the bound it has to ask again.
    pub(super) fn ask(&mut self, now: Time, link: LinkId, topics: BTreeSet<Topic>) {
        self.askers.retain(|_, asker| now < asker.until);
        if self.askers.len() < SOUGHT || self.askers.contains_key(&link) {
            self.askers.insert(link, Asker { topics, until: now + SOUGHT_FOR });
        }
    }

    /// What to ask others for.
    pub(super) fn topics(&self, now: Time) -> BTreeSet<Topic> {
        let askers = self.askers.values().filter(|asker| now < asker.until);
        askers.flat_map(|asker| &asker.topics).take(SOUGHT).copied().collect()
    }

    /// Who is to be told now, as somebody is known: of what.
    pub(super) fn found(&mut self, now: Time, known: impl Fn(&Topic) -> bool) -> Vec<(LinkId, Topics)> {
        let mut found = Vec::new();
        self.askers.retain(|link, asker| {
            let is_found = asker.topics.iter().any(&known);
            if is_found && now < asker.until {
                found.push((*link, Topics::These(asker.topics.clone())));
            }
            !is_found
        });
        found
    }

    pub(super) fn link_down(&mut self, link: LinkId) {
        self.askers.remove(&link);
    }
}
