//! When adversaries set to work and let go, and what they did.

use labman_proto_core::time::Span;

use super::{Due, Run};
use crate::adversary::Dishonest;
use crate::cast::Resident;

/// How soon a FEP that was down when it was to default is told so again.
const AGAIN: Span = Span::from_secs(5);

impl Run<'_> {
    pub(super) fn schedule_adversaries(&mut self) {
        for (index, adversary) in self.scenario.adversaries.iter().enumerate() {
            self.schedule(self.started + adversary.from, Due::Attack(index));
            if let Some(until) = adversary.until {
                self.schedule(self.started + until, Due::Retreat(index));
            }
        }
        let fep = &self.scenario.fep;
        if fep.strategy == Some(Dishonest::Defaulting) {
            self.schedule(self.started + fep.defaults_at.unwrap_or_default(), Due::Default);
        }
    }

    pub(super) fn let_fep_default(&mut self) {
        let Some(host) = self.hosts.get(&self.scenario.fep.name).copied() else { return };
        let told = self.world.command(host, |resident| {
            if let Resident::Byzantine(one) = resident {
                one.turn();
            }
        });
        if told.is_none() {
            self.schedule(self.world.now() + AGAIN, Due::Default);
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
                Some(Resident::Byzantine(one)) => {
                    let (deeds, threats) = ((one.kind().name(), one.deeds()), one.threats());
                    let marks = self.world.marks();
                    threats.into_iter().for_each(|(threat, times)| marks.tried(threat, times));
                    deeds
                }
                Some(Resident::Loner(one)) => (one.kind().name(), one.deeds()),
                Some(_) | None => continue,
            };
            self.world.marks().fired_times(deeds.0, deeds.1);
        }
    }
}
