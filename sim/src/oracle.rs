//! What a figure should be: by a closed form, or by the same scenario with something changed, told beside what a run came to.
//!
//! How well one run knows a mean is said by the means of its parts (`report/estimate.rs`). A queue near its limit would have to run
//! for millions of jobs; so each job is held beside what it would have met in the book's queue, and only the difference is
//! estimated (control variates; S. Lavenberg and P. Welch, 1981).

pub mod baselines;
pub mod beside;
pub mod equivalence;
mod owed;
pub mod queue;

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use crate::scenario::market::Zipf;
use crate::scenario::values;
use beside::{Beside, Bounds, Estimate};
use queue::Queue;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oracle {
    /// A figure of the report, such as `sojourn.mean_us`.
    pub field: String,
    pub formula: Formula,
    /// So near the figure must come, in percent of what theory says; not said: it is told only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_percent: Option<f64>,
    /// So well it must be known: half the width of its interval, in percent of what theory says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_width_percent: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Formula {
    /// Mean time in an M/M/c queue, waiting and being served, in microseconds (A. K. Erlang, 1917).
    ErlangC(Queue),
    /// The same where each job goes to the least loaded of `servers` drawn from infinitely many (Mitzenmacher, 1996; Vvedenskaya,
    /// Dobrushin and Karpelevich, 1996).
    Choices(Queue),
    /// How often, in millionths, one of `replicas` is there, each up and down for times of these means, by itself.
    Availability {
        #[serde(with = "values::span")]
        up: Span,
        #[serde(with = "values::span")]
        down: Span,
        replicas: u32,
    },
    /// What `providers` are owed together at a moment drawn by chance, in micro-units: each earns `payout` so often in the mean, and claims
    /// all of it every period; no more than `cap` each.
    Unclaimed {
        providers: u32,
        payout: i64,
        #[serde(with = "values::span")]
        every: Span,
        #[serde(with = "values::span")]
        claims: Span,
        cap: i64,
    },
    /// The part of requests, in millionths, for the most wanted of `models` that have `room`, by a Zipf law with exponent 1.
    ZipfTop { models: u32, room: u32 },
}

impl Formula {
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::ErlangC(queue) | Self::Choices(queue) => queue.check(),
            Self::Availability { up, down, replicas } if up.0 > 0 && down.0 > 0 && *replicas > 0 => Ok(()),
            Self::Availability { .. } => Err("up, down and replicas must be above zero".into()),
            Self::Unclaimed { every, .. } if every.0 > 0 => Ok(()),
            Self::Unclaimed { .. } => Err("every must be above zero".into()),
            Self::ZipfTop { models, room } if (1..=1_000_000).contains(models) && *room > 0 => Ok(()),
            Self::ZipfTop { .. } => Err("models must be from 1 to 1000000, and room above zero".into()),
        }
    }

    pub fn value(&self) -> f64 {
        match self {
            Self::ErlangC(queue) => queue.erlang_c_us(),
            Self::Choices(queue) => queue.choices_us(),
            Self::Availability { up, down, replicas } => {
                let down_share = down.0 as f64 / (up.0 as f64 + down.0 as f64);
                1e6 * (1.0 - down_share.powi(*replicas as i32))
            }
            Self::Unclaimed { providers, payout, every, claims, cap } => {
                owed::unclaimed(*payout as f64, claims.0 as f64 / every.0 as f64, *cap as f64)
                    * f64::from(*providers)
            }
            Self::ZipfTop { models, room } => Zipf { count: *models, shift: 0 }.top_ppm(*room) as f64,
        }
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::ErlangC(_) => "Erlang C",
            Self::Choices(_) => "the least loaded of several",
            Self::Availability { .. } => "one of several is there",
            Self::Unclaimed { .. } => "what is not claimed yet",
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
    /// And so many times that it must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
}

impl Oracle {
    pub fn beside(&self, measured: i64, estimate: Option<Estimate>) -> Beside {
        let Self { field, formula, within_percent, half_width_percent } = self;
        let within = within_percent.map(f64::abs);
        let bounds = Bounds {
            at_least: within.map(|within| -within),
            at_most: within,
            half_width: *half_width_percent,
        };
        Beside::new((field, formula.name().into()), formula.value(), measured, estimate, bounds)
    }
}

impl Baseline {
    pub fn beside(&self, expected: i64, measured: i64) -> Beside {
        let percent = |times: f64| (times - 1.0) * 100.0;
        let (at_least, at_most) = (self.at_least.map(percent), self.at_most.map(percent));
        let bounds = Bounds { at_least, at_most, half_width: None };
        Beside::new((&self.field, self.name.clone()), expected as f64, measured, None, bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(servers: u32, load: f64) -> Queue {
        Queue { servers, load, service: Span::from_millis(1_000) }
    }

    #[test]
    fn the_most_wanted_of_a_thousand_are_asked_for_as_the_books_say() {
        let top = Formula::ZipfTop { models: 1_000, room: 100 }.value();
        assert!((top / 693_000.0 - 1.0).abs() < 1e-4, "{top}");
        assert!(Formula::ZipfTop { models: 0, room: 1 }.check().is_err());
    }

    #[test]
    fn what_is_further_off_than_it_may_be_is_a_failure() {
        let (field, formula) = ("sojourn.mean_us".into(), Formula::ErlangC(queue(10, 0.9)));
        let oracle = Oracle { field, formula, within_percent: Some(2.0), half_width_percent: None };
        assert_eq!(oracle.beside(1_690_000, None).failure(), None);
        assert!(oracle.beside(1_710_000, None).failure().unwrap().contains("+2.5 % off"));
        assert!(oracle.beside(1_600_000, None).failure().unwrap().contains("-4.1 % off"));
        assert_eq!(Oracle { within_percent: None, ..oracle }.beside(9_000_000, None).failure(), None);
    }

    #[test]
    fn what_is_not_known_well_enough_is_a_failure_too() {
        let (field, formula) = ("sojourn.mean_us".into(), Formula::ErlangC(queue(10, 0.9)));
        let oracle = Oracle { field, formula, within_percent: Some(2.0), half_width_percent: Some(1.0) };
        let known = |value, from_the_book, half_width| Some(Estimate { value, from_the_book, half_width });
        assert!(oracle.beside(1_668_730, None).failure().unwrap().contains("how well it is known"));
        let failure = |estimate| oracle.beside(1_400_000, estimate).failure();
        assert!(failure(known(1_668_730.0, false, Some(17_000.0))).unwrap().contains("±1.0 % only"));
        assert_eq!(failure(known(1_668_730.0, false, Some(16_000.0))), None);
        // The jobs themselves came to much less, and to a millisecond more than the very same would have in the book's queue.
        assert_eq!(failure(known(1_000.0, true, Some(10.0))), None);
        assert!(failure(known(50_000.0, true, Some(10.0))).unwrap().contains("+3.0 % off"));
    }

    #[test]
    fn what_is_better_than_its_baseline_is_no_failure_and_what_is_much_worse_is() {
        let (name, field) = ("who knows all".into(), "sojourn.p99_us".into());
        let baseline = Baseline { name, set: Vec::new(), field, at_most: Some(1.5), at_least: None };
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
}
