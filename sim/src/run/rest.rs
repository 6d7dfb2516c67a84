//! Whether anything is under way: held, delivered and not settled, or earned and not claimed.

use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use serde::Deserialize;

use super::Run;
use crate::check::ledger::{self, Ledger, States};

/// Receipts below the least payout stay unclaimed: after so many claim periods nothing more will come.
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
    pub(super) fn is_at_rest(&mut self, ledger: &Ledger) -> bool {
        let held = |line: &ledger::Line| line.account.starts_with("held:") && line.balance != Micros::ZERO;
        // A dishonest gateway may leave holds that lapse in their own time.
        if ledger.accounts.iter().any(held) && self.scenario.settles() {
            return false;
        }
        let since_last_job = self.world.now() - self.last_job_ended;
        let patience = |claim_every: Span| Span(claim_every.0.saturating_mul(CLAIM_PERIODS));
        let gateways = self.scenario.gateways.iter().map(|gateway| (&gateway.name, Span::default()));
        let providers = self.scenario.providers.iter().map(|p| (&p.name, patience(p.claim_every)));
        let honest = |(name, _): &(&String, Span)| self.scenario.is_honest(name);
        for (name, patience) in gateways.chain(providers).filter(honest) {
            let Ok(Status { receipts, jobs }) = self.get::<Status>(name, "/status") else { return false };
            let working = jobs.gateway + jobs.provider + jobs.unsettled > 0;
            let claiming = receipts.in_claim > 0 || (receipts.unclaimed > 0 && since_last_job < patience);
            if working || claiming {
                return false;
            }
        }
        true
    }
}
