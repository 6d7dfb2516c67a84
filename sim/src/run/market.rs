//! Looks, once an epoch, at who loaded a model: providers alike are not to change together.

use std::collections::BTreeMap;

use labman_proto_core::time::{Span, Time};

use super::{Due, Run};
use crate::cast::Resident;
use crate::host::HostId;
use crate::oracle::popularity::search_ppm;
use crate::report::Report;
use crate::report::market::MarketReport;
use crate::report::prices::mean;
use crate::scenario::market::Popularity;

#[derive(Default)]
pub(super) struct Shelves {
    every: Span,
    /// Loads of each that has a shelf, as of the last look.
    loads: BTreeMap<HostId, u64>,
    started: Time,
    together: u64,
    measured_together: u64,
    /// At each measured look, what a search would cost.
    searches: Vec<i64>,
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
            shelves.searches.extend(self.search_ppm(shelves.loads.keys()));
        }
        self.schedule(now + shelves.every, Due::Market);
        self.shelves = Some(shelves);
    }

    /// What a search would cost by what these host now. `None`: nobody asks for many models.
    fn search_ppm<'h>(&self, hosts: impl Iterator<Item = &'h HostId>) -> Option<i64> {
        let mut many = self.scenario.arrivals.iter().filter_map(|one| Some((&one.model, one.zipf.as_ref()?)));
        let (model, zipf) = many.next_back()?;
        let parts = Popularity::of(zipf).parts();
        let mut hosted = vec![0.0; parts.len()];
        let nodes = hosts.filter_map(|host| match self.world.machine(*host) {
            Some(Resident::Node(node)) => Some(node),
            _ => None,
        });
        for (named, _) in nodes.flat_map(|node| node.prices()) {
            let number = named.strip_prefix(model.as_str()).and_then(|rest| rest.strip_prefix('-'));
            let index = number.and_then(|number| number.parse::<usize>().ok()?.checked_sub(1));
            if let Some(often) = index.and_then(|index| hosted.get_mut(index)) {
                *often += 1.0;
            }
        }
        Some(search_ppm(&parts, &hosted) as i64)
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
            search_ppm: mean(shelves.searches).unwrap_or(0).unsigned_abs(),
        })
    }
}
