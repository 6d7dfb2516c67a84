//! Shrinking: from a scenario that fails to the smallest that still fails in the same way. Parts are left out, first many
//! at once and then one by one (delta debugging: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
//! input", 2002), until none can go any more.

mod parts;

use labman_proto_core::time::Span;

use crate::check::liveness::RECOVERY;
use crate::report::Report;
use crate::run::{Options, run_with};
use crate::scenario::Scenario;

use parts::PARTS;

/// Other seeds for the world that a smaller scenario is tried with: leaving something out moves everybody's draws, and may
/// hide what is still there.
const OTHER_SEEDS: u64 = 3;
/// Passes over all parts after which it is enough.
const PASSES: usize = 4;

/// A scenario with a seed that makes it fail.
#[derive(Clone, Debug)]
pub struct Failing {
    pub scenario: Scenario,
    pub seed: u64,
    pub failure: String,
}

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub runs: usize,
    pub nodes: usize,
    pub faults: usize,
    pub jobs: usize,
}

pub struct Shrinker<'a> {
    /// What a failure must be like to count.
    kind: String,
    progress: &'a dyn Fn(Progress),
    runs: usize,
}

impl Failing {
    /// `None`: it does not fail.
    pub fn of(scenario: Scenario, seed: u64) -> Option<Self> {
        let failure = run_with(&scenario, seed, Options::default()).failures.into_iter().next()?;
        Some(Self { scenario, seed, failure })
    }

    /// Gateways and providers.
    pub fn nodes(&self) -> usize {
        self.scenario.gateways.len() + self.scenario.providers.len()
    }
}

impl<'a> Shrinker<'a> {
    pub fn new(failing: &Failing, progress: &'a dyn Fn(Progress)) -> Self {
        Self { kind: kind(&failing.failure), progress, runs: 0 }
    }

    /// The smallest that was found.
    pub fn shrink(&mut self, mut failing: Failing) -> Failing {
        for _ in 0..PASSES {
            let before = failing.scenario.clone();
            self.shorten(&mut failing);
            for part in PARTS {
                self.leave_out(&mut failing, *part);
            }
            if failing.scenario == before {
                break;
            }
        }
        failing
    }

    /// Leaves out as many of one kind of part as possible.
    fn leave_out(&mut self, failing: &mut Failing, part: parts::Part) {
        let mut chunk = (part.count)(&failing.scenario);
        while chunk > 0 {
            let mut at = 0;
            while at < (part.count)(&failing.scenario) {
                let until = (at + chunk).min((part.count)(&failing.scenario));
                let mut smaller = failing.scenario.clone();
                let left_out = (part.leave_out)(&mut smaller, at..until);
                if !(left_out && self.still(failing, smaller)) {
                    at = until;
                }
            }
            chunk /= 2;
        }
    }

    /// Ends the run soon after the last thing it still needs. What must be well after healing is still looked at then, and
    /// nobody is left who had not begun.
    fn shorten(&mut self, failing: &mut Failing) {
        for _ in 0..6 {
            let mut shorter = failing.scenario.clone();
            let least = shorter.healed_at.map_or(Span::default(), |healed_at| healed_at + RECOVERY);
            shorter.duration = Span(shorter.duration.0 / 2).max(least);
            shorter.jobs.retain(|job| job.at < shorter.duration);
            shorter.faults.retain(|fault| fault.at < shorter.duration);
            if shorter.duration >= failing.scenario.duration || !self.still(failing, shorter) {
                break;
            }
        }
        let soon = Scenario { whole: false, ..failing.scenario.clone() };
        self.still(failing, soon);
    }

    /// Takes the smaller one, if it fails in the same way.
    fn still(&mut self, failing: &mut Failing, smaller: Scenario) -> bool {
        for other in 0..=OTHER_SEEDS {
            let seed = failing.seed.wrapping_add(other.wrapping_mul(1_000_003));
            let report = run_with(&smaller, seed, Options::default());
            self.runs += 1;
            if let Some(failure) = self.alike(report) {
                *failing = Failing { scenario: smaller, seed, failure };
                (self.progress)(Progress {
                    runs: self.runs,
                    nodes: failing.nodes(),
                    faults: failing.scenario.faults.len(),
                    jobs: failing.scenario.jobs.len(),
                });
                return true;
            }
        }
        false
    }

    fn alike(&self, report: Report) -> Option<String> {
        report.failures.into_iter().find(|failure| kind(failure) == self.kind)
    }
}

/// A failure's text without what differs from run to run: numbers, names, ids.
fn kind(failure: &str) -> String {
    let plain = |word: &&str| !word.contains(|c: char| c.is_ascii_digit() || c == '"');
    failure.split_whitespace().filter(plain).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_alike_whoever_they_befall() {
        assert_eq!(kind("job j39 was served for free"), kind("job j4 was served for free"));
        assert_eq!(
            kind("p15 at 12 ms: panicked: index 3"),
            kind("p1 at 99 ms: panicked: index 7"),
            "places and times differ"
        );
        assert_ne!(kind("job j1 was served for free"), kind("job j1 was never answered"));
    }
}
