//! Whether anything is under way: held, delivered and not settled, or earned and not claimed.

use std::collections::BTreeSet;

use labman_proto_core::time::Span;
use serde::Deserialize;

use super::Run;
use crate::check::ledger::{self, Ledger, States};
use crate::scenario;

/// After so many claim periods what can be claimed has been: only receipts below the least payout stay unclaimed.
const CLAIM_PERIODS: u64 = 3;

/// The part of a node's `GET /status` that tells whether it is at rest.
#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) receipts: States,
    jobs: Jobs,
}

#[derive(Deserialize)]
struct Jobs {
    gateway: u64,
    provider: u64,
    unsettled: u64,
}

impl Run<'_> {
    /// Whether money must come to rest at that party: not at a dishonest one, nor at one that something keeps down.
    pub(super) fn rests(&self, name: &str) -> bool {
        let of_the_core = self.core.as_ref().is_none_or(|core| core.contains(name));
        of_the_core && self.scenario.is_honest(name)
    }

    pub(super) fn is_at_rest(&mut self, ledger: &Ledger) -> bool {
        // They leave holds that lapse in their own time.
        let holds = self.users_through(|gateway| !self.rests(gateway));
        if self.scenario.is_honest(&self.scenario.fep.name)
            && ledger::held_for_nothing(ledger, &holds).next().is_some()
        {
            return false;
        }
        let scenario = self.scenario;
        let gateways = scenario.gateways.iter().map(|gateway| (&gateway.name, None));
        let providers = scenario.providers.iter().map(|provider| (&provider.name, Some(provider)));
        for (name, provider) in gateways.chain(providers) {
            if !self.rests(name) {
                continue;
            }
            let Ok(Status { receipts, jobs }) = self.get::<Status>(name, "/status") else { return false };
            let working = jobs.gateway + jobs.provider + jobs.unsettled + receipts.in_claim > 0;
            let mut claims = || provider.is_some_and(|provider| self.claims_yet(provider));
            if working || (receipts.unclaimed > 0 && claims()) {
                return false;
            }
        }
        true
    }

    /// Whether what a provider has not claimed is to be claimed.
    fn claims_yet(&mut self, provider: &scenario::Provider) -> bool {
        let patience = Span(provider.claim_every.0.saturating_mul(CLAIM_PERIODS));
        if self.world.now() - self.last_job_ended < patience {
            return true;
        }
        let least = provider.slugs().zip(provider.portmans.iter().map(|portman| portman.least_payout));
        let held = self.receipts_of(&provider.name);
        held.is_ok_and(|(_, held)| ledger::is_claim_due(&held, &least.collect()))
    }

    /// Accounts of users who asked through such gateways.
    pub(super) fn users_through(&self, such: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let through = self.jobs.iter().filter(|job| such(&job.planned.gateway));
        through.map(|job| self.user_id(&job.planned.user)).collect()
    }
}
