//! What still must hold where somebody is dishonest: whose answers are looked at how closely, whose books are believed,
//! and what an attack may never make an honest daemon hold.
//!
//! In a scenario without dishonest parties nothing here changes anything.

use std::collections::BTreeSet;

use labman_proto_core::limits;

use super::{Due, Run};
use crate::cast::Resident;
use crate::check::ledger::{self, Books, Doubt};
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

/// Streams an honest daemon may have: its jobs' both sides, and what Portmans, control streams and callers take.
const STREAMS: usize = 2 * limits::GATEWAY_JOBS + limits::LINKS + 1024;

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

    fn is_under_attack(&self) -> bool {
        let providers = self.providers.iter().any(|provider| !self.is_honest(&provider.name));
        providers || !self.settles() || !self.adversaries.is_empty()
    }
}

impl Run<'_> {
    pub(super) fn schedule_adversaries(&mut self) {
        for (index, adversary) in self.scenario.adversaries.iter().enumerate() {
            self.schedule(self.started + adversary.from, Due::Attack(index));
            if let Some(until) = adversary.until {
                self.schedule(self.started + until, Due::Retreat(index));
            }
        }
    }

    pub(super) fn set_adversary(&mut self, index: usize, active: bool) {
        for spec in self.cast.adversary(&self.scenario.adversaries[index]) {
            let Some(host) = self.hosts.get(&spec.name).copied() else { continue };
            let now = self.world.host_now(host);
            self.world.command(host, |resident| {
                if let Resident::Loner(loner) = resident {
                    loner.set_active(active, now);
                }
            });
        }
    }

    /// Counts what the dishonest did, under the names of their strategies.
    pub(super) fn count_deeds(&mut self) {
        for host in self.hosts.values().copied().collect::<Vec<_>>() {
            let deeds = match self.world.machine(host) {
                Some(Resident::Byzantine(one)) => (one.kind().name(), one.deeds()),
                Some(Resident::Loner(one)) => (one.kind().name(), one.deeds()),
                Some(_) | None => continue,
            };
            self.world.marks().fired_times(deeds.0, deeds.1);
        }
    }

    pub(super) fn check_books(&mut self, books: &Books) -> Vec<String> {
        self.check_burdens();
        ledger::check(books)
    }

    /// No attack makes an honest daemon hold more than its limits say.
    pub(super) fn check_burdens(&mut self) {
        if !self.scenario.is_under_attack() {
            return;
        }
        for (name, host) in &self.hosts {
            if self.scenario.role_of(name).is_none() || !self.scenario.is_honest_host(name) {
                continue;
            }
            let burden = self.world.burden(*host);
            if burden.links > limits::LINKS
                || burden.streams > STREAMS
                || burden.waiting > limits::CONTROL_BACKLOG + limits::BODY_FRAME
            {
                self.findings.push(format!("{name} holds more than its limits allow: {burden:?}"));
            }
        }
    }

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
