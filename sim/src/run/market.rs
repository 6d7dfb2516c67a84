//! Looks, once an epoch, at who loaded a model: providers alike are not to change together.

use std::collections::BTreeMap;

use labman_proto_core::time::{Span, Time};

use super::{Due, Run};
use crate::cast::Resident;
use crate::host::HostId;
use crate::report::Report;
use crate::report::market::MarketReport;

#[derive(Default)]
pub(super) struct Shelves {
    every: Span,
    /// Loads of each that has a shelf, as of the last look.
    loads: BTreeMap<HostId, u64>,
    started: Time,
    together: u64,
    measured_together: u64,
}

impl Run<'_> {
    /// Begins to watch those that decide what they host, where there are any.
    pub(super) fn watch_market(&mut self) {
        let with_shelf =
            self.scenario.providers.iter().filter(|one| one.portmans.iter().any(|p| p.shelf.is_some()));
        let every = with_shelf.clone().map(|provider| provider.hosting.epoch).max();
        let hosts = with_shelf.filter_map(|provider| self.hosts.get(&provider.name).copied());
        let loads = hosts.map(|host| (host, 0)).collect();
        if let Some(every) = every {
            let started = self.world.now();
            self.shelves = Some(Shelves { every, loads, started, ..Shelves::default() });
            self.schedule(started + every, Due::Market);
        }
    }

    pub(super) fn look_at_market(&mut self) {
        let Some(mut shelves) = self.shelves.take() else { return };
        let now = self.world.now();
        let mut switched = 0;
        for (host, before) in &mut shelves.loads {
            let loads = match self.world.machine(*host) {
                Some(Resident::Node(node)) => node.loads(),
                _ => continue,
            };
            switched += u64::from(loads > *before);
            *before = loads;
        }
        let permille = switched * 1_000 / (shelves.loads.len() as u64).max(1);
        shelves.together = permille.max(shelves.together);
        // The whole epoch is measured.
        if now >= self.started + self.scenario.measure_from + shelves.every {
            shelves.measured_together = permille.max(shelves.measured_together);
        }
        self.schedule(now + shelves.every, Due::Market);
        self.shelves = Some(shelves);
    }

    /// What came of it, where there is a best to compare with: users ask for many models, and one would be in memory for ever.
    pub(super) fn market_report(&mut self, report: &Report) -> Option<MarketReport> {
        self.look_at_market();
        let shelves = self.shelves.take()?;
        let providers = shelves.loads.len() as u64;
        let loads: u64 = shelves.loads.values().sum();
        let millis = (self.world.now() - shelves.started).as_millis().max(1) * providers.max(1);
        let (asked, hits) = report.measured_hits();
        Some(MarketReport {
            asked,
            hits,
            hit_ppm: hits * 1_000_000 / asked.max(1),
            optimum_ppm: self.scenario.best_hits_ppm().unwrap_or(0),
            loads,
            loads_per_hour_milli: loads * 3_600_000_000 / millis,
            together_permille: shelves.together,
            measured_together_permille: shelves.measured_together,
        })
    }
}
