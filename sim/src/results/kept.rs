//! All that is kept of a run: its row, and what went on in it.

use std::collections::BTreeMap;

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Income, Ran, Tick, Wait};
use crate::report::income::Earned;
use crate::scenario::Scenario;
use crate::sweep::Ended;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub ran: Ran,
    /// By series, in the order in which they are told: when, in seconds, and what.
    courses: Vec<(String, Vec<(f64, f64)>)>,
    /// By provider: jobs and money.
    incomes: BTreeMap<String, (i64, i64)>,
    /// By what was waited for: how many of a thousand jobs waited no longer than so many microseconds.
    waits: Vec<(String, Vec<(u32, i64)>)>,
}

impl Kept {
    /// Of a run of that scenario. One that panicked has nothing but its row.
    #[must_use]
    pub fn new(ended: &Ended, scenario: &Scenario) -> Self {
        let Ended { point, run, seed, report, .. } = ended;
        let ran = Ran::new(*point, *run, *seed, report);
        let Ok(report) = report else {
            return Self { ran, courses: Vec::new(), incomes: BTreeMap::new(), waits: Vec::new() };
        };
        let every: Span = scenario.tick_every();
        let courses = report.courses(every, scenario.duration).into_iter();
        let income = |(name, Earned { jobs, earned }): (&str, Earned)| (name.to_owned(), (jobs, earned));
        Self {
            ran,
            courses: courses.map(|course| (course.series.to_owned(), course.values)).collect(),
            incomes: report.incomes().into_iter().map(income).collect(),
            waits: report.waits().into_iter().map(|(until, waits)| (until.to_owned(), waits)).collect(),
        }
    }

    /// Of a run that was read from its tables.
    pub(super) fn of(ran: Ran, ticks: Vec<Tick>, incomes: Vec<Income>, waits: Vec<Wait>) -> Self {
        let tick = |Tick { at_s, series, value, .. }| (series, (at_s, value));
        let income = |Income { provider, jobs, earned, .. }| (provider, (jobs, earned));
        let wait = |Wait { until, permille, us, .. }| (until, (permille, us));
        Self {
            ran,
            courses: grouped(ticks.into_iter().map(tick)),
            incomes: incomes.into_iter().map(income).collect(),
            waits: grouped(waits.into_iter().map(wait)),
        }
    }

    pub(super) fn ticks(&self) -> impl Iterator<Item = (&str, f64, f64)> {
        self.courses.iter().flat_map(|(series, values)| {
            values.iter().map(move |(at_s, value)| (series.as_str(), *at_s, *value))
        })
    }

    pub(super) fn incomes(&self) -> impl Iterator<Item = (&str, i64, i64)> {
        self.incomes.iter().map(|(provider, (jobs, earned))| (provider.as_str(), *jobs, *earned))
    }

    pub(super) fn waits(&self) -> impl Iterator<Item = (&str, u32, i64)> {
        self.waits.iter().flat_map(|(until, waits)| {
            waits.iter().map(move |(permille, us)| (until.as_str(), *permille, *us))
        })
    }
}

/// What stands together by name, under it once.
fn grouped<T>(named: impl Iterator<Item = (String, T)>) -> Vec<(String, Vec<T>)> {
    let mut groups: Vec<(String, Vec<T>)> = Vec::new();
    for (name, value) in named {
        match groups.last_mut().filter(|(last, _)| *last == name) {
            Some((_, values)) => values.push(value),
            None => groups.push((name, vec![value])),
        }
    }
    groups
}
