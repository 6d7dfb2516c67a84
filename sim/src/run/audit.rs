//! The looks at a run: one now and then, while it lasts, and the last.

use std::collections::BTreeSet;

use labman_proto_core::limits;
use labman_proto_core::time::Time;

use super::{DEADLINE_GRACE, Job, JobState, Run};
use crate::check::ledger::{self, Ledger};
use crate::check::liveness::Core;
use crate::report::Report;

impl Run<'_> {
    /// The periodic look: the ledger must hold at every moment, and when nothing is under way the run is over.
    pub(super) fn check(&mut self) {
        self.check_burdens();
        let fep = self.scenario.fep.name.as_str();
        if !self.hosts.get(fep).is_some_and(|host| self.world.is_up(*host)) {
            return;
        }
        let (asked, before) = (self.world.now(), self.under_way.clone());
        match self.get::<Ledger>(fep, "/ledger") {
            Ok(ledger) => {
                let at = self.world.now().0 / 1_000_000_000;
                let found = ledger::check_ledger(&ledger);
                self.findings.extend(found.into_iter().map(|what| format!("after {at} s: {what}")));
                // Nobody asks any more: what is at rest stays so, but for holds of who is dishonest.
                if !self.settled && self.all_ended() {
                    self.restless = self.restless(&ledger);
                    self.settled = self.restless.is_none();
                    self.world.marks().note_if(self.settled, "money came to rest");
                }
            }
            Err(_) if self.struck(fep, asked, &before) => {}
            Err(why) => self.findings.push(why),
        }
    }

    /// Whether a host that was asked then, with those faults under way, may not have answered.
    fn struck(&self, name: &str, asked: Time, before: &BTreeSet<usize>) -> bool {
        let touches = |index: &usize| self.scenario.faults[*index].inject.hosts().contains(&name);
        let host = self.hosts.get(name).copied();
        let died = |host| !self.world.is_up(host) || self.world.died_within(host, asked, self.world.now());
        host.is_none_or(died) || before.union(&self.under_way).any(touches)
    }

    /// The last look: all books against each other, and into the report.
    pub(super) fn audit(&mut self, report: &mut Report) {
        let open = |job: &&Job| !matches!(job.state, JobState::Ended(_)) && !self.is_cut_off(job);
        let unanswered = self.jobs.iter().filter(open).map(|job| &job.planned.name);
        let found: Vec<String> = unanswered.map(|name| format!("job {name} was never answered")).collect();
        self.findings.extend(found);
        if let Some(core) = Core::of(self.scenario) {
            self.check_served(&core);
        }
        self.check_disks();
        self.check_rows();
        report.currency = Some(self.scenario.fep.currency.clone());
        let old = self.world.exchanges_older_than(limits::JOB_TOTAL + DEADLINE_GRACE);
        let open = old.into_iter().filter(|(parties, since)| !self.are_apart(*parties, *since));
        let found =
            open.map(|([asker, asked], _)| format!("an exchange of {asker} with {asked} never ended"));
        let found: Vec<String> = found.collect();
        self.findings.extend(found);
        match self.books() {
            Ok(books) => {
                self.count_threats(&books);
                self.check_burdens();
                let found = ledger::check(&books);
                report.ledger_balanced = Some(ledger::check_ledger(&books.ledger).is_empty());
                self.findings.extend(found);
                self.fill(report, books);
            }
            Err(why) => self.findings.push(format!("the books can't be read: {why}")),
        }
    }
}
