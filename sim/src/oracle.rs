//! What a figure should be: by a closed form, or by the same scenario with something changed, told beside what a run came to.
//!
//! How well one run knows a mean is said by the means of its parts (`report/estimate.rs`). A queue near its limit would have to run
//! for millions of jobs; so each job is held beside what it would have met in the book's queue, and only the difference is
//! estimated (control variates; S. Lavenberg and P. Welch, 1981).

pub mod audits;
mod availability;
pub mod bandit;
pub mod baselines;
pub mod beside;
pub mod crowd;
pub mod equivalence;
mod owed;
pub mod popularity;
pub mod prices;
pub mod queue;
mod sybils;

use serde::{Deserialize, Serialize};

use beside::{Beside, Bounds, Estimate};

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

/// A closed form.
pub trait Law {
    /// # Errors
    ///
    /// What makes no sense of it, as `key must ...`.
    fn check(&self) -> Result<(), String>;
    /// In the unit of the figure beside which it is told.
    fn value(&self) -> f64;
}

/// The list: a variant, its law, and what it is called for people.
macro_rules! formulas {
    ($($(#[$doc:meta])* $name:ident($law:ty) = $text:literal,)*) => {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub enum Formula {
            $($(#[$doc])* $name($law),)*
        }

        impl Formula {
            fn law(&self) -> &dyn Law {
                match self {
                    $(Self::$name(law) => law,)*
                }
            }

            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $text,)*
                }
            }
        }
    };
}

formulas! {
    /// Mean time in an M/M/c queue, waiting and being served, in microseconds (A. K. Erlang, 1917).
    ErlangC(queue::ErlangC) = "Erlang C",
    /// The same where each job goes to the least loaded of `servers` drawn from infinitely many (Mitzenmacher, 1996; Vvedenskaya,
    /// Dobrushin and Karpelevich, 1996).
    Choices(queue::Choices) = "the least loaded of several",
    ZipfTop(popularity::ZipfTop) = "the most wanted in memory",
    CheLru(popularity::CheLru) = "what was asked for last in memory",
    ZipfHosting(popularity::ZipfHosting) = "Cohen and Shenker",
    Bertrand(prices::Bertrand) = "the second-lowest cost",
    ShareRouting(prices::ShareRouting) = "best responses to each other",
    PriceShare(prices::PriceShare) = "the part by price",
    CapacityEdgeworth(prices::Edgeworth) = "what fills both",
    EdgeworthCycle(prices::EdgeworthCycle) = "between what turns either way",
    CrowdBacklog(crowd::CrowdBacklog) = "the fluid backlog",
    CrowdCleared(crowd::CrowdCleared) = "the fluid backlog over what is left to serve it",
    Availability(availability::Availability) = "one of several is there",
    Unclaimed(owed::Unclaimed) = "what is not claimed yet",
    EwmaVariance(bandit::EwmaVariance) = "an exponential mean's variance",
    LaiRobbins(bandit::LaiRobbins) = "Lai and Robbins",
    Ucb(bandit::Ucb) = "UCB1",
    SybilShare(sybils::SybilShare) = "what is explored",
    WashLoss(sybils::WashLoss) = "fees",
    Caught(audits::Caught) = "one of so many is checked",
    AuditedShare(audits::AuditedShare) = "what is left of its custom",
}

impl Formula {
    /// # Errors
    ///
    /// What makes no sense of its parameters.
    pub fn check(&self) -> Result<(), String> {
        self.law().check()
    }

    pub fn value(&self) -> f64 {
        self.law().value()
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
    /// It is more than told.
    pub fn binds(&self) -> bool {
        self.at_most.is_some() || self.at_least.is_some()
    }

    pub fn beside(&self, expected: i64, measured: i64) -> Beside {
        let percent = |times: f64| (times - 1.0) * 100.0;
        let (at_least, at_most) = (self.at_least.map(percent), self.at_most.map(percent));
        let bounds = Bounds { at_least, at_most, half_width: None };
        Beside::new((&self.field, self.name.clone()), expected as f64, measured, None, bounds)
    }
}

#[cfg(test)]
mod tests {
    use labman_proto_core::time::Span;

    use super::queue::{ErlangC, Queue};
    use super::*;

    fn queue(servers: u32, load: f64) -> ErlangC {
        ErlangC(Queue { servers, load, service: Span::from_millis(1_000) })
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
        let known = |value, book, half_width| Some(Estimate { value, book, half_width });
        assert!(oracle.beside(1_668_730, None).failure().unwrap().contains("how well it is known"));
        let failure = |estimate| oracle.beside(1_400_000, estimate).failure();
        assert!(failure(known(1_668_730.0, None, Some(17_000.0))).unwrap().contains("±1.0 % only"));
        assert_eq!(failure(known(1_668_730.0, None, Some(16_000.0))), None);
        // They came to much less than expected, and to a hundredth more than the very same would have in the book's queue.
        let half = Some(500_000.0);
        assert_eq!(failure(known(505_000.0, half, Some(10.0))), None);
        assert!(failure(known(515_000.0, half, Some(10.0))).unwrap().contains("+3.0 % off"));
        assert!(failure(known(505_000.0, half, Some(6_000.0))).unwrap().contains("±1.2 % only"));
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
