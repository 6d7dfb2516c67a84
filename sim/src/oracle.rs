//! What a figure should be: by a closed form, or by the same scenario with something changed, told beside what a run came to.
//!
//! What is absent: confidence intervals. One run knows its mean to some percent, and a scenario says how near it must come.

use std::fmt::{self, Write as _};

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use crate::scenario::market::Zipf;
use crate::scenario::values;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oracle {
    /// A figure of the report, such as `sojourn.mean_us`.
    pub field: String,
    pub formula: Formula,
    /// So near the figure must come, in percent of what theory says; not said: it is told only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_percent: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Formula {
    /// Mean time in an M/M/c queue, waiting and being served, in microseconds (A. K. Erlang, 1917).
    ErlangC(Queue),
    /// The same where each job goes to the least loaded of `servers` drawn from infinitely many (Mitzenmacher, 1996; Vvedenskaya,
    /// Dobrushin and Karpelevich, 1996).
    Choices(Queue),
    /// The part of requests, in millionths, for the most wanted of `models` that have `room`, by a Zipf law with exponent 1.
    ZipfTop { models: u32, room: u32 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    pub servers: u32,
    /// Of each server, below 1.
    pub load: f64,
    /// Mean time of service.
    #[serde(with = "values::span")]
    pub service: Span,
}

impl Queue {
    fn check(&self) -> Result<(), String> {
        match self.servers > 0 && self.servers <= 1_000_000 && self.load > 0.0 && self.load < 1.0 {
            true => Ok(()),
            false => Err("servers must be from 1 to 1000000, and load between 0 and 1".into()),
        }
    }

    fn service_us(&self) -> f64 {
        self.service.0 as f64 / 1e3
    }

    /// Erlang's B by its recursion, from that C, and from that the mean wait.
    fn erlang_c_us(&self) -> f64 {
        let (servers, offered) = (f64::from(self.servers), self.load * f64::from(self.servers));
        let blocked = (1..=self.servers).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
        let waits = blocked / (1.0 - self.load * (1.0 - blocked));
        self.service_us() * (1.0 + waits / (servers - offered))
    }

    /// The sum over i from 1 of load^((d^i - d) / (d - 1)).
    fn choices_us(&self) -> f64 {
        let d = f64::from(self.servers);
        let (mut sum, mut exponent) = (0.0, 0.0);
        loop {
            let term = self.load.powf(exponent);
            sum += term;
            if term < 1e-12 {
                return self.service_us() * sum;
            }
            // (d^(i+1) - d) / (d - 1) is d times that of i, and d.
            exponent = if self.servers == 1 { exponent + 1.0 } else { exponent * d + d };
        }
    }
}

impl Formula {
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::ErlangC(queue) | Self::Choices(queue) => queue.check(),
            Self::ZipfTop { models, room } if (1..=1_000_000).contains(models) && *room > 0 => Ok(()),
            Self::ZipfTop { .. } => Err("models must be from 1 to 1000000, and room above zero".into()),
        }
    }

    pub fn value(&self) -> f64 {
        match self {
            Self::ErlangC(queue) => queue.erlang_c_us(),
            Self::Choices(queue) => queue.choices_us(),
            Self::ZipfTop { models, room } => Zipf { count: *models, shift: 0 }.top_ppm(*room) as f64,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::ErlangC(_) => "Erlang C",
            Self::Choices(_) => "the least loaded of several",
            Self::ZipfTop { .. } => "the most wanted in memory",
        }
    }
}

/// The same scenario with something changed, run with the same seed: what would have come if, say, everybody knew all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// What it stands for, such as "one gateway that knows every queue".
    pub name: String,
    /// As on the command line: `gateway.0.count=1`.
    pub set: Vec<String>,
    /// A figure of the report.
    pub field: String,
    /// So many times that of the baseline the figure may be; not said: it is told only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
}

/// A figure beside what it should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Beside {
    pub field: String,
    /// The formula's name, or the baseline's.
    pub by: String,
    pub expected: f64,
    pub measured: i64,
    pub off_percent: f64,
    /// What that must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most_percent: Option<f64>,
}

impl Oracle {
    pub fn beside(&self, measured: i64) -> Beside {
        let within = self.within_percent;
        let by = self.formula.name().into();
        Beside::new(&self.field, by, self.formula.value(), measured, within.map(|within| -within), within)
    }
}

impl Baseline {
    pub fn beside(&self, expected: i64, measured: i64) -> Beside {
        let at_most = self.at_most.map(|times| (times - 1.0) * 100.0);
        Beside::new(&self.field, self.name.clone(), expected as f64, measured, None, at_most)
    }
}

impl Beside {
    fn new(
        field: &str,
        by: String,
        expected: f64,
        measured: i64,
        at_least_percent: Option<f64>,
        at_most_percent: Option<f64>,
    ) -> Self {
        let off_percent = if expected == 0.0 { 0.0 } else { (measured as f64 / expected - 1.0) * 100.0 };
        Self { field: field.into(), by, expected, measured, off_percent, at_least_percent, at_most_percent }
    }

    /// What is wrong, if it is further off than it may be.
    pub fn failure(&self) -> Option<String> {
        let Self { field, by, expected, measured, off_percent: off, .. } = self;
        let below = self.at_least_percent.filter(|least| off < least);
        let bound = below.or(self.at_most_percent.filter(|most| off > most))?;
        Some(format!(
            "{field} is {measured}, {off:+.1} % off the {expected:.0} of {by}: {bound:+.1} % at the furthest"
        ))
    }

    pub fn summary(&self, out: &mut String) -> fmt::Result {
        let Self { field, by, expected, measured, off_percent, .. } = self;
        writeln!(out, "  oracle    {field} {measured}; {by}: {expected:.0}, {off_percent:+.1} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(servers: u32, load: f64) -> Queue {
        Queue { servers, load, service: Span::from_millis(1_000) }
    }

    fn near(value: f64, expected: f64) {
        assert!((value / expected - 1.0).abs() < 1e-4, "{value} is not {expected}");
    }

    #[test]
    fn formulas_give_the_figures_of_the_books() {
        near(queue(10, 0.9).erlang_c_us(), 1_668_730.0);
        near(queue(100, 0.95).erlang_c_us(), 1_101_290.0);
        // M/M/1.
        near(queue(1, 0.9).erlang_c_us(), 10_000_000.0);
        near(queue(1, 0.9).choices_us(), 10_000_000.0);
        near(queue(2, 0.9).choices_us(), 2_614_000.0);
        near(queue(2, 0.99).choices_us(), 5_432_000.0);
        near(Formula::ZipfTop { models: 1_000, room: 100 }.value(), 693_000.0);
    }

    #[test]
    fn what_is_further_off_than_it_may_be_is_a_failure() {
        let formula = Formula::ErlangC(queue(10, 0.9));
        let oracle = Oracle { field: "sojourn.mean_us".into(), formula, within_percent: Some(2.0) };
        assert_eq!(oracle.beside(1_690_000).failure(), None);
        assert!(oracle.beside(1_710_000).failure().unwrap().contains("+2.5 % off"));
        assert_eq!(Oracle { within_percent: None, ..oracle }.beside(9_000_000).failure(), None);
    }

    #[test]
    fn what_is_better_than_its_baseline_is_no_failure_and_what_is_much_worse_is() {
        let (name, field) = ("who knows all".into(), "sojourn.p99_us".into());
        let baseline = Baseline { name, set: Vec::new(), field, at_most: Some(1.5) };
        assert_eq!(baseline.beside(1_000, 1_499).failure(), None);
        assert_eq!(baseline.beside(1_000, 10).failure(), None);
        assert!(
            baseline
                .beside(1_000, 1_501)
                .failure()
                .unwrap()
                .contains("+50.1 % off the 1000 of who knows all")
        );
        assert_eq!(baseline.beside(0, 10).failure(), None, "nothing to compare with");
    }

    #[test]
    fn a_queue_that_is_none_is_refused() {
        for wrong in [queue(0, 0.5), queue(1, 1.0), queue(1, 0.0), queue(1, f64::NAN)] {
            assert!(Formula::ErlangC(wrong).check().is_err());
        }
        assert!(Formula::ZipfTop { models: 0, room: 1 }.check().is_err());
    }
}
