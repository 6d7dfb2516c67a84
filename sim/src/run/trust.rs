//! What still must hold where somebody is dishonest: whose answers are looked at how closely, and whose books are believed.
//!
//! In a scenario without dishonest parties nothing here changes anything.

use std::collections::BTreeSet;

use super::Run;
use crate::check::ledger::{Books, Doubt};
use crate::scenario::Scenario;
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

impl Scenario {
    pub(super) fn trust_in(&self, job: &Planned) -> Trust {
        if !self.is_honest(&job.gateway) {
            return Trust::Nothing;
        }
        let model = job.body.get("model").and_then(serde_json::Value::as_str).unwrap_or_default();
        let served = |slug: String| slug == model || slug.splitn(3, ':').last() == Some(model);
        let mut cheats = self.providers.iter().filter(|provider| !self.is_honest(&provider.name));
        match cheats.any(|provider| provider.slugs().any(served)) {
            true => Trust::Shape,
            false => Trust::Exact,
        }
    }

    /// Whether everybody that money passes through says what happened to it.
    pub(super) fn settles(&self) -> bool {
        self.is_honest(&self.fep.name) && self.gateways.iter().all(|gateway| self.is_honest(&gateway.name))
    }
}

impl Run<'_> {
    /// A gateway that forgot a job brings nobody its receipt.
    fn gateways_forget(&self) -> bool {
        self.scenario.gateways.iter().any(|gateway| self.scenario.forgets(&gateway.name))
    }

    /// Says which parts of the books rest on the word of somebody dishonest.
    pub(super) fn doubted(&self, mut books: Books) -> Books {
        let through_cheats = |name: &str| !self.scenario.is_honest(name);
        let cheated = self.jobs.iter().filter(|job| through_cheats(&job.planned.gateway));
        let (mut users, mut jobs) = (BTreeSet::new(), BTreeSet::new());
        for job in cheated {
            users.insert(self.user_id(&job.planned.user));
            jobs.insert(job.planned.name.clone());
        }
        books.asked.retain(|asked| !jobs.contains(&asked.job));
        // A dishonest provider may send text that it states no tokens for.
        let gifts = self.jobs.iter().filter(|job| self.scenario.trust_in(&job.planned) == Trust::Shape);
        let gifts: BTreeSet<&str> = gifts.map(|job| job.planned.name.as_str()).collect();
        let given = books.asked.iter_mut().filter(|asked| gifts.contains(asked.job.as_str()));
        given.for_each(|asked| asked.text = None);
        let providers = self.scenario.providers.iter().filter(|provider| through_cheats(&provider.name));
        books.doubt = Doubt {
            fep: through_cheats(&self.scenario.fep.name),
            settling: !self.scenario.settles() || self.gateways_forget(),
            users,
            providers: providers.map(|provider| self.cast.node_id(&provider.name)).collect(),
        };
        books
    }
}
