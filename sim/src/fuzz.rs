//! Fuzzing: many seeds, each a world of its own with its own faults, over all processors. One run is one thread, so what a
//! seed comes to does not depend on how many run beside it.

mod mesh;
#[cfg(labman_mutants)]
pub mod mutants;
mod plan;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use labman_proto_core::time::Span;

use crate::adversary;
use crate::faults;
use crate::marks::{Marks, SOMETIMES};
use crate::report::Report;
use crate::run::{Options, run_with};
use crate::threats::THREATS;

pub use plan::{Profile, plan};

/// What a search over seeds came to.
#[derive(Debug, Default)]
pub struct Found {
    pub seeds: u64,
    pub virtual_time: Span,
    pub events: u64,
    pub marks: Marks,
    /// What broke, by seed.
    pub failures: BTreeMap<u64, Vec<String>>,
}

pub struct Search {
    pub seeds: Range<u64>,
    pub profile: Profile,
    pub nodes: usize,
    pub threads: usize,
    /// No further seed is begun from then on.
    pub until: Option<Instant>,
}

impl Search {
    /// Runs the seeds; `progress` hears of each that has ended, from any thread.
    pub fn run(&self, progress: &(dyn Fn(&Report) + Sync)) -> Found {
        let next = AtomicU64::new(self.seeds.start);
        let found = Mutex::new(Found::default());
        let work = || {
            loop {
                // Not beyond the last: the counter would begin anew where seeds end.
                let step = |seed: u64| (seed < self.seeds.end).then(|| seed + 1);
                let Ok(seed) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step) else { return };
                let late = self.until.is_some_and(|until| Instant::now() >= until);
                if late {
                    return;
                }
                let mut report = run_seed(self.profile, seed, self.nodes, Options::default());
                if seed.is_multiple_of(TWICE) {
                    run_again(self.profile, &mut report, self.nodes);
                }
                progress(&report);
                lock(&found).add(seed, report);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One seed in so many is run twice.
const TWICE: u64 = 100;

/// What does not repeat itself can't be believed.
fn run_again(profile: Profile, report: &mut Report, nodes: usize) {
    let again = run_seed(profile, report.seed, nodes, Options::default());
    if again.trace_hash != report.trace_hash {
        report.failures.push("it came to something else when it was run again".into());
    }
}

/// Runs the world that a seed stands for.
pub fn run_seed(profile: Profile, seed: u64, nodes: usize, options: Options<'_>) -> Report {
    run_with(&plan(profile, seed, nodes), seed, options)
}

impl Found {
    /// Faults that never bit, and what was never seen: nothing was proven about them.
    pub fn never_fired(&self, profile: Profile) -> Vec<&'static str> {
        if profile == Profile::Money {
            let never = THREATS.iter().filter(|(threat, _)| !self.marks.threats.contains_key(*threat));
            return never.map(|(threat, _)| *threat).collect();
        }
        let kinds = faults::KINDS.iter().chain(adversary::KINDS);
        let never_bit = kinds.filter(|kind| !self.marks.faults.contains_key(**kind));
        let never_seen = SOMETIMES.iter().filter(|what| !self.marks.sometimes.contains_key(**what));
        never_bit.chain(never_seen).copied().collect()
    }

    fn add(&mut self, seed: u64, report: Report) {
        self.seeds += 1;
        self.virtual_time = self.virtual_time + report.virtual_time;
        self.events += report.events;
        self.marks.add(&report.marks);
        if !report.passed() {
            self.failures.insert(seed, report.failures);
        }
    }
}

fn lock(found: &Mutex<Found>) -> std::sync::MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_ends_where_seeds_end() {
        let search = Search {
            seeds: u64::MAX - 1..u64::MAX,
            profile: Profile::Everything,
            nodes: 2,
            threads: 2,
            until: None,
        };
        assert_eq!(search.run(&|_| {}).seeds, 1);
    }
}
