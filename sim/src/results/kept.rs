//! All that is kept of a run: its row, and what went on in it.

use std::collections::BTreeMap;

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Income, Ran, Tick};
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
}

impl Kept {
    /// Of a run of that scenario. One that panicked has nothing but its row.
    #[must_use]
    pub fn new(ended: &Ended, scenario: &Scenario) -> Self {
        let Ended { point, run, seed, report, .. } = ended;
        let ran = Ran::new(*point, *run, *seed, report);
        let Ok(report) = report else { return Self { ran, courses: Vec::new(), incomes: BTreeMap::new() } };
        let every: Span = scenario.tick_every();
        let courses = report.courses(every, scenario.duration).into_iter();
        let income = |(name, Earned { jobs, earned }): (&str, Earned)| (name.to_owned(), (jobs, earned));
        Self {
            ran,
            courses: courses.map(|course| (course.series.to_owned(), course.values)).collect(),
            incomes: report.incomes().into_iter().map(income).collect(),
        }
    }

    /// Of a run that was read from its tables.
    pub(super) fn of(ran: Ran, ticks: Vec<Tick>, incomes: Vec<Income>) -> Self {
        let mut courses: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
        for Tick { at_s, series, value, .. } in ticks {
            match courses.last_mut().filter(|(last, _)| *last == series) {
                Some((_, values)) => values.push((at_s, value)),
                None => courses.push((series, vec![(at_s, value)])),
            }
        }
        let income = |Income { provider, jobs, earned, .. }| (provider, (jobs, earned));
        Self { ran, courses, incomes: incomes.into_iter().map(income).collect() }
    }

    pub(super) fn ticks(&self) -> impl Iterator<Item = (&str, f64, f64)> {
        self.courses.iter().flat_map(|(series, values)| {
            values.iter().map(move |(at_s, value)| (series.as_str(), *at_s, *value))
        })
    }

    pub(super) fn incomes(&self) -> impl Iterator<Item = (&str, i64, i64)> {
        self.incomes.iter().map(|(provider, (jobs, earned))| (provider.as_str(), *jobs, *earned))
    }
}
