//! What was tried with money in a run, as far as faults and users tried it: adversaries count their own.

use std::collections::BTreeMap;

use super::{JobState, Run};
use crate::check::ledger::{Books, Issued};
use crate::threats;

impl Run<'_> {
    pub(super) fn count_threats(&mut self, books: &Books) {
        let mut tried: BTreeMap<&str, u64> = BTreeMap::new();
        let mut count = |threat, times: usize| *tried.entry(threat).or_default() += times as u64;
        let scenario = self.scenario;
        let begun = self.begun.iter().map(|index| &scenario.faults[*index]);
        for fault in begun {
            let hosts = fault.inject.hosts();
            let is_provider = scenario.providers.iter().any(|one| hosts.contains(&one.name.as_str()));
            let is_gateway = scenario.gateways.iter().any(|one| hosts.contains(&one.name.as_str()));
            let is_fep = hosts.contains(&scenario.fep.name.as_str());
            match fault.inject.name() {
                "crash" | "torn" | "roll-back" => {
                    count(threats::PROVIDER_DIES, usize::from(is_provider));
                    count(threats::GATEWAY_DIES, usize::from(is_gateway));
                    count(threats::FEP_DIES, usize::from(is_fep));
                }
                "disk-full" | "disk-fails" => count(threats::DISK_FULL, usize::from(is_provider)),
                "clock-jump" | "clock-freeze" => count(threats::CLOCKS, 1),
                "key-rotation" => count(threats::ROTATION, 1),
                _ => {}
            }
        }
        for job in &self.jobs {
            let JobState::Ended(answer) = &job.state else { continue };
            let left = job.planned.leaves_after.is_some() && answer.broken && !answer.text.is_empty();
            count(threats::CLIENT_LEAVES, usize::from(left));
            let refused = answer.error_code.as_deref() == Some("insufficient_quota");
            let deposit = scenario.users.iter().find(|user| refused && *user.name == *job.planned.user);
            let has_some = deposit.is_some_and(|user| user.deposit.0 > 0);
            count(threats::DOUBLE_SPENDS, usize::from(refused && has_some));
        }
        let failed_over = books.issued.iter().filter(|receipt| receipt.attempt > 0).count();
        count(threats::FAILOVER, failed_over);
        count(threats::BOND_PAYS, usize::from(books.bonds_paid() > 0));
        let last = |receipt: &&Issued| {
            let quotes = &scenario.fep.quotes;
            let quoted = quotes.iter().rfind(|quote| quote.currency == receipt.currency);
            quoted.is_some_and(|quote| quote.rate != receipt.rate)
        };
        let moved = books.issued.iter().filter(last);
        count(threats::RATE_MOVES, moved.count());
        count(threats::RAIL_UNKNOWN, scenario.fep.rail_faults as usize);
        let marks = self.world.marks();
        tried.into_iter().for_each(|(threat, times)| marks.tried(threat, times));
    }
}
