//! How much of their slots' time runtimes worked, from `measure_from` until the last job was asked for.

use labman_proto_core::time::{Span, Time};

use super::Run;
use crate::cast::{Resident, runtime_name};

/// What runtimes had worked together at a moment.
type Look = (Time, Span);

pub(super) struct Busy {
    from: Time,
    until: Time,
    first: Option<Look>,
    last: Option<Look>,
}

impl Default for Busy {
    fn default() -> Self {
        Self { from: Time::ZERO, until: Time::ZERO, first: None, last: None }
    }
}

impl Run<'_> {
    pub(super) fn watch_busy(&mut self) {
        let (measured, whole) = (self.scenario.measure_from, self.scenario.duration);
        let last = self.jobs.iter().map(|job| job.planned.at).max().filter(|_| !self.scenario.one_by_one);
        let last = last.unwrap_or(whole).min(whole);
        let from = self.started + measured;
        self.busy = Busy { from, until: self.started + last, ..Busy::default() };
    }

    /// After each event: mostly there is nothing to do.
    pub(super) fn look_at_busy(&mut self) {
        let now = self.world.now();
        if self.busy.first.is_none() && now >= self.busy.from {
            self.busy.first = Some((now, self.worked()));
        }
        if self.busy.last.is_none() && now >= self.busy.until {
            self.busy.last = Some((now, self.worked()));
        }
    }

    /// In millionths. The work is over, at the latest now.
    pub(super) fn busy_ppm(&self) -> Option<i64> {
        let (from, before) = self.busy.first?;
        let (until, after) = self.busy.last.unwrap_or_else(|| (self.world.now(), self.worked()));
        let slots = self.scenario.providers.iter().flat_map(|provider| &provider.portmans);
        let slots: u128 = slots.map(|portman| u128::from(portman.slots)).sum();
        let ppm = u128::from(after.0.saturating_sub(before.0)) * 1_000_000;
        i64::try_from(ppm.checked_div(u128::from((until - from).0) * slots)?).ok()
    }

    fn worked(&self) -> Span {
        let portmans = self.scenario.providers.iter();
        let runtimes = portmans.flat_map(|provider| {
            provider.portmans.iter().map(move |portman| runtime_name(provider, portman))
        });
        let hosts = runtimes.filter_map(|name| self.hosts.get(&name).copied());
        let worked = hosts.map(|host| match self.world.machine(host) {
            Some(Resident::Toy(toy)) => toy.worked(self.world.host_now(host).mono),
            _ => Span::default(),
        });
        worked.fold(Span::default(), |all, one| all + one)
    }
}
