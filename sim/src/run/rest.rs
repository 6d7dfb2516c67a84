//! Whether anything is under way: held, delivered and not settled, or earned and not claimed.

use std::collections::BTreeSet;

use labman_proto_core::identity::NodeId;
use labman_proto_core::time::Span;
use serde::Deserialize;

use super::Run;
use super::disks::GATEWAY_JOBS;
use crate::check::ledger::{self, Ledger, States};
use crate::name::Name;
use crate::scenario;

/// After so many claim periods what can be claimed has been: only receipts below the least payout stay unclaimed.
const CLAIM_PERIODS: u64 = 3;

/// The part of a node's `GET /status` that tells whether it is at rest.
#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) receipts: States,
    jobs: Jobs,
}

#[derive(Debug, Deserialize)]
struct Jobs {
    gateway: u64,
    provider: u64,
    unsettled: u64,
}

/// The part of a gateway's row that tells for whom a receipt waits.
#[derive(Deserialize)]
struct JobRow {
    state: String,
    provider: Option<NodeId>,
}

impl Run<'_> {
    /// Whether money must come to rest at that party: not at a dishonest one, nor at one that something keeps down.
    pub(super) fn rests(&self, name: &str) -> bool {
        let of_the_core = self.core.as_ref().is_none_or(|core| core.contains(name));
        of_the_core && self.is_honest(name)
    }

    /// Whose money is under way, if anybody's is.
    pub(super) fn restless(&mut self, ledger: &Ledger) -> Option<String> {
        // They leave holds that lapse in their own time.
        let holds = self.users_through(|gateway| !self.rests(gateway));
        if self.scenario.believes_fep() && ledger::held_for_nothing(ledger, &holds).next().is_some() {
            return Some("something is held".into());
        }
        let scenario = self.scenario;
        let besieged = scenario.gateways.iter().any(|gateway| !self.is_honest(&gateway.name));
        let gateways = scenario.gateways.iter().map(|gateway| (&gateway.name, None));
        let providers = scenario.providers.iter().map(|provider| (&provider.name, Some(provider)));
        for (name, provider) in gateways.chain(providers) {
            if !self.rests(name) {
                continue;
            }
            let Ok(Status { receipts, jobs }) = self.get::<Status>(name, "/status?brief") else {
                return Some(format!("{name} does not answer"));
            };
            let undeliverable = if jobs.unsettled > 0 { self.undeliverable(name) } else { 0 };
            let unsettled = jobs.unsettled.saturating_sub(undeliverable);
            // A dishonest gateway opens job streams for as long as it likes.
            let served = if besieged { 0 } else { jobs.provider };
            if jobs.gateway + served + unsettled > 0 {
                return Some(format!("{name} has {jobs:?}"));
            }
            let mut claims = || provider.is_some_and(|provider| self.claims_yet(provider));
            if receipts.in_claim > 0 || (receipts.unclaimed > 0 && claims()) {
                return Some(format!("{name} has {receipts:?}"));
            }
        }
        None
    }

    /// Whether anybody's money is under way now, as far as the FEP tells.
    pub(super) fn is_restless(&mut self) -> bool {
        let ledger = self.get::<Ledger>(&self.scenario.fep.name, "/ledger");
        ledger.is_ok_and(|ledger| self.restless(&ledger).is_some())
    }

    /// Receipts of a gateway for providers that may never take them.
    fn undeliverable(&self, gateway: &str) -> u64 {
        let Some(host) = self.hosts.get(gateway) else { return 0 };
        let providers = self.scenario.providers.iter().filter(|provider| !self.rests(&provider.name));
        let nodes: BTreeSet<NodeId> = providers.map(|provider| self.cast.node_id(&provider.name)).collect();
        let theirs = |row: &[u8]| {
            let row: Option<JobRow> = serde_json::from_slice(row).ok();
            row.is_some_and(|row| {
                row.state == "receipted" && row.provider.is_some_and(|node| nodes.contains(&node))
            })
        };
        self.world.disk(*host).rows(GATEWAY_JOBS).filter(|(_, row)| theirs(row)).count() as u64
    }

    /// Whether what a provider has not claimed is to be claimed.
    fn claims_yet(&mut self, provider: &scenario::Provider) -> bool {
        let patience = Span(provider.claim_every.0.saturating_mul(CLAIM_PERIODS));
        if self.world.now() - self.last_job_ended < patience {
            return true;
        }
        let least = self.cast.least_payouts(provider);
        let held = self.receipts_of(&provider.name);
        held.is_ok_and(|(_, held)| ledger::is_claim_due(&held, &least))
    }

    /// Accounts of users who asked through such gateways.
    pub(super) fn users_through(&self, such: impl Fn(&str) -> bool) -> BTreeSet<Name> {
        let through = self.jobs.iter().filter(|job| such(&job.planned.gateway));
        let mut users: Vec<&Name> = through.map(|job| &job.planned.user).collect();
        users.sort();
        users.dedup();
        users.into_iter().map(|user| self.user_id(user)).collect()
    }
}
