//! Looks, once an epoch, at what providers ask for, where any of them moves its prices or the scenario wants to know.

use std::collections::BTreeMap;

use labman_proto_core::economics::{Counts, Fees};
use labman_proto_core::node::config::Strategy;
use labman_proto_core::time::{Span, Time};

use super::{Due, Run};
use crate::cast::Resident;
use crate::check::price;
use crate::report::prices::{Asked, FIGURES, Offered, PriceReport, mean};
use crate::report::{ReceiptFacts, Report};
use crate::scenario::{Provider, Scenario};

pub(super) struct Looks {
    every: Span,
    started: Time,
    from: Time,
    /// Since then.
    looks: Vec<Vec<Offered>>,
    course: Vec<Asked>,
}

impl Run<'_> {
    pub(super) fn watch_prices(&mut self) {
        if !is_asked_for(self.scenario) {
            return;
        }
        let epochs = self.scenario.providers.iter().map(|provider| provider.hosting.epoch);
        let every = epochs.min().unwrap_or_default().min(self.scenario.duration).max(Span::from_secs(1));
        let started = self.world.now();
        let from = started + self.scenario.measure_from;
        self.prices = Some(Looks { every, started, from, looks: Vec::new(), course: Vec::new() });
        self.schedule(started + every, Due::Prices);
    }

    pub(super) fn look_at_prices(&mut self) {
        let Some(mut prices) = self.prices.take() else { return };
        let now = self.world.now();
        let offered = self.offered();
        let asked = || offered.iter().map(|(_, price)| *price);
        if let Some((mean, cheapest)) = mean(asked()).zip(asked().min()) {
            let at_us = (now - prices.started).0 / 1_000;
            prices.course.push(Asked { at_us, mean, cheapest });
        }
        if now >= prices.from {
            prices.looks.push(offered);
        }
        self.schedule(now + prices.every, Due::Prices);
        self.prices = Some(prices);
    }

    fn offered(&self) -> Vec<Offered> {
        let of = |(number, provider): (usize, &Provider)| {
            let host = *self.hosts.get(&provider.name)?;
            let Some(Resident::Node(node)) = self.world.machine(host) else { return None };
            let prices = node.prices().into_iter().map(|(_, price)| price.output_per_mtok.0);
            Some((number, mean(prices)?))
        };
        self.scenario.providers.iter().enumerate().filter_map(of).collect()
    }

    /// After the work is counted.
    pub(super) fn price_report(&mut self, report: &Report) -> Option<PriceReport> {
        self.look_at_prices();
        let prices = self.prices.take()?;
        let providers = &self.scenario.providers;
        let names: Vec<String> = providers.iter().map(|provider| provider.name.clone()).collect();
        let kind = |name: &str| report.providers.get(name).map(|work| work.kind);
        let is_first = |name: &str| kind(name) == Some(0);
        let by_name: BTreeMap<&str, &Provider> =
            providers.iter().map(|one| (one.name.as_str(), one)).collect();
        let mut profits: BTreeMap<&str, i64> = names.iter().map(|name| (name.as_str(), 0)).collect();
        for receipt in &report.receipts {
            let provider = by_name.get(&*receipt.provider);
            let cost = provider.map_or(0, |provider| cost(provider, receipt));
            if let Some(profit) = profits.get_mut(&*receipt.provider) {
                *profit += receipt.payout.0 - cost;
            }
        }
        let works = || report.providers.values();
        let all: u64 = works().map(|work| work.jobs).sum();
        let of_first: u64 = works().filter(|work| work.kind == 0).map(|work| work.jobs).sum();
        let share = of_first * 1_000_000 / all.max(1);
        let profit = |like: &dyn Fn(&str) -> bool| {
            mean(profits.iter().filter(|(name, _)| like(name)).map(|(_, profit)| *profit)).unwrap_or(0)
        };
        Some(PriceReport {
            profit: profit(&|_| true),
            first_profit: profit(&is_first),
            first_share_ppm: i64::try_from(share).unwrap_or(i64::MAX),
            course: prices.course,
            ..PriceReport::of(&prices.looks, &names, |number| {
                names.get(number).is_some_and(|name| is_first(name))
            })
        })
    }
}

/// Does anybody move a price, or is one of the figures named?
fn is_asked_for(scenario: &Scenario) -> bool {
    let mut portmans = scenario.providers.iter().flat_map(|provider| &provider.portmans);
    portmans.any(|portman| portman.pricing.strategy != Strategy::Fixed) || scenario.names_one_of(FIGURES)
}

/// What a job cost whoever served it: its tokens at the floor of the price, in micro-units, rounded down.
fn cost(provider: &Provider, receipt: &ReceiptFacts) -> i64 {
    let of_ep = |ep: &str| receipt.slug.split(':').nth(1) == Some(ep);
    let Some(portman) = provider.portmans.iter().find(|portman| of_ep(&portman.ep)) else { return 0 };
    let counts =
        Counts { input: receipt.input_tokens, cached: receipt.cached_tokens, output: receipt.output_tokens };
    let floor = price::at(&portman.price, portman.pricing.floor);
    price::owed(&floor, &Fees::default(), (1, 1), &counts).map_or(0, |(_, payout)| payout.0)
}
