//! What still must hold where somebody is dishonest: whose answers are looked at how closely, and whose books are believed.
//!
//! In a scenario without dishonest parties nothing here changes anything.

use std::collections::BTreeSet;

use labman_proto_core::names::is_served_by;

use super::Run;
use crate::check::ledger::{Books, Doubt};
use crate::name::Name;
use crate::workload::Planned;

/// How closely a job's answer is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Everybody on its way is honest: it is exact.
    Exact,
    /// A dishonest provider may have made its text, an honest gateway its shape.
    Shape,
    /// It came from a dishonest gateway.
    Nothing,
}

impl Run<'_> {
    pub(super) fn trust_in(&self, job: &Planned) -> Trust {
        if !self.is_honest(&job.gateway) {
            return Trust::Nothing;
        }
        // Of each of a million jobs it is asked which of thousands of providers could cheat.
        if self.doubted.is_empty() {
            return Trust::Exact;
        }
        let model = job.model();
        let served = |slug: String| is_served_by(model, &slug);
        let mut cheats = self.doubted.iter();
        match cheats.any(|provider| provider.slugs().any(served)) {
            true => Trust::Shape,
            false => Trust::Exact,
        }
    }
}

impl Run<'_> {
    /// Whether a gateway may bring nobody its receipts: a dishonest one, one whose disk forgot a job, one that is down.
    fn keeps_receipts(&self, gateway: &str) -> bool {
        self.scenario.forgets(gateway) || !self.rests(gateway)
    }

    /// Says which parts of the books rest on the word of somebody dishonest.
    pub(super) fn doubted(&self, mut books: Books) -> Books {
        let through_cheats = |name: &str| !self.is_honest(name);
        let cheated = self.jobs.iter().filter(|job| through_cheats(&job.planned.gateway));
        let jobs: BTreeSet<&Name> = cheated.map(|job| &job.planned.name).collect();
        books.asked.retain(|asked| !jobs.contains(&asked.job));
        // A dishonest provider may send text that it states no tokens for.
        let gifts = self.jobs.iter().filter(|job| self.trust_in(&job.planned) == Trust::Shape);
        let gifts: BTreeSet<&Name> = gifts.map(|job| &job.planned.name).collect();
        let given = books.asked.iter_mut().filter(|asked| gifts.contains(&asked.job));
        given.for_each(|asked| asked.text = None);
        let providers = self.scenario.providers.iter().filter(|provider| through_cheats(&provider.name));
        let keeping = self.scenario.gateways.iter().filter(|gateway| self.keeps_receipts(&gateway.name));
        books.doubt = Doubt {
            fep: !self.scenario.believes_fep(),
            gateways: keeping.map(|gateway| self.cast.node_id(&gateway.name)).collect(),
            holds: self.users_through(|gateway| self.keeps_receipts(gateway)),
            users: self.users_through(through_cheats),
            providers: providers.map(|provider| self.cast.node_id(&provider.name)).collect(),
        };
        books
    }
}
