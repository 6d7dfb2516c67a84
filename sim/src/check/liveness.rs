//! After healing, what is sound must work: whoever no fault touches any more is its core, and a job that needs nobody else
//! must be served.

use std::collections::BTreeSet;

use labman_proto_core::time::Span;

use crate::scenario::{Gateway, Portman, Scenario};
use crate::workload::Planned;

/// So long after healing links are up again, machines restarted, and views agree.
pub const RECOVERY: Span = Span::from_secs(60);

/// The part of a mesh that must work from some time on.
pub struct Core {
    hosts: BTreeSet<String>,
    slugs: BTreeSet<String>,
    /// Since the workload's start; recovery included.
    pub from: Span,
}

/// Whether that gateway is one of those, and one of those tells it of the others. Providers and later gateways dial it;
/// behind a NAT, it has only the gateways that it dials itself: those before it.
pub fn hears(scenario: &Scenario, gateway: &Gateway, those: impl Fn(&str) -> bool) -> bool {
    let before = scenario.gateways.iter().take_while(|other| other.name != gateway.name);
    let mut dialled = before.filter(|other| !other.nat && those(&other.name));
    those(&gateway.name) && (!gateway.nat || dialled.next().is_some())
}

impl Core {
    /// `None`: the scenario never heals, or something lasts that touches everybody.
    pub fn of(scenario: &Scenario) -> Option<Self> {
        let healed_at = scenario.healed_at?;
        let mut hosts: BTreeSet<String> = scenario.hosts().collect();
        for fault in scenario.faults.iter().filter(|fault| fault.at + fault.lasting > healed_at) {
            let touched = fault.inject.hosts();
            if touched.is_empty() {
                return None;
            }
            hosts.retain(|host| !touched.contains(&host.as_str()));
        }
        hosts.retain(|host| scenario.is_honest(host));
        let mut slugs = BTreeSet::new();
        for provider in scenario.providers.iter().filter(|provider| hosts.contains(&provider.name)) {
            for (slug, portman) in provider.with_portmans(Portman::first_models) {
                if hosts.contains(&format!("{}/{}", provider.name, portman.ep)) {
                    slugs.insert(slug);
                }
            }
        }
        hosts.contains(&scenario.fep.name).then_some(Self { hosts, slugs, from: healed_at + RECOVERY })
    }

    pub fn contains(&self, host: &str) -> bool {
        self.hosts.contains(host)
    }

    /// Whether that gateway is of the core, and somebody of the core tells it of the others.
    pub fn hears(&self, scenario: &Scenario, gateway: &Gateway) -> bool {
        hears(scenario, gateway, |host| self.contains(host))
    }

    /// What every gateway of the core must know of.
    pub fn slugs(&self) -> &BTreeSet<String> {
        &self.slugs
    }

    /// Whether that job must be served to its end. One for a bare model name may first meet providers that are not of the
    /// core, so nothing is promised for it.
    pub fn must_serve(&self, scenario: &Scenario, job: &Planned) -> bool {
        let pays = scenario.users.iter().any(|user| *user.name == *job.user && user.deposit.0 > 0);
        let patient = job.leaves_after.is_none() && job.stops_reading_after.is_none();
        job.at >= self.from
            && job.api_key.is_none()
            && pays
            && patient
            && self.slugs.contains(job.model())
            && self.contains(&job.gateway)
            // Providers dial out to their gateways: one that nobody can dial knows of them and has no way to them.
            && scenario.gateways.iter().any(|gateway| *gateway.name == *job.gateway && !gateway.nat)
            && self.contains(&job.user)
    }
}
