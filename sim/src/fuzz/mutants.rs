//! Hunting mutants: which seed is the first whose checkers notice a deliberate defect of the core?
//!
//! The switch is the process's, so all seeds that run at once run with the same mutant, or all with none.
//!
//! A failure counts only where the honest core passes the same seed, and the same world with the dice of its network and
//! disks thrown again: a defect moves every draw that comes after it, and what the honest core would also fail at with
//! other draws proves nothing about a checker.

use std::collections::BTreeMap;
use std::ops::Range;

use labman_proto_core::mutants::{Mutant, select};

use super::{Profile, Search, plan};
use crate::run::run;

/// Defects that take somebody who is after money: hunted in worlds of the profile `money`.
const OF_MONEY: [Mutant; 8] = [
    Mutant::AckIgnored,
    Mutant::BondUnlocked,
    Mutant::DisputeForgotten,
    Mutant::GatewayPaidTwice,
    Mutant::RateNotPinned,
    Mutant::ReceiptNotRedelivered,
    Mutant::SilenceCountsAsSettled,
    Mutant::SilenceCountsAsPaid,
];

/// How often the dice are thrown again.
const THROWS: u64 = 4;

pub struct Hunt {
    /// A mutant that so many seeds do not show has escaped.
    pub seeds: u64,
    pub nodes: usize,
    pub threads: usize,
    /// What the honest core fails at in a seed's world, if it does. Asked of each seed once, whatever the mutants.
    honest: BTreeMap<(u64, bool), Option<String>>,
}

/// A mutant that was noticed.
pub struct Caught {
    pub seed: u64,
    /// What the checkers said, first things first.
    pub failures: Vec<String>,
}

impl Hunt {
    pub fn new(seeds: u64, nodes: usize, threads: usize) -> Self {
        Self { seeds, nodes, threads, honest: BTreeMap::new() }
    }

    /// The first seed that shows this mutant; the same whatever runs beside it.
    pub fn hunt(&mut self, mutant: Mutant) -> Option<Caught> {
        let money = OF_MONEY.contains(&mutant);
        let at_once = self.threads.max(1) as u64;
        let mut begin = 0;
        while begin < self.seeds {
            let end = self.seeds.min(begin + at_once);
            select(Some(mutant));
            let failed = self.failing(begin..end, money);
            select(None);
            for (seed, failures) in failed {
                if self.is_honest(seed, money) {
                    return Some(Caught { seed, failures });
                }
            }
            begin = end;
        }
        None
    }

    /// Seeds that showed a defect and were left out, each with what the honest core fails at there.
    pub fn left_out(&self) -> impl Iterator<Item = (u64, &str)> {
        self.honest.iter().filter_map(|((seed, _), failure)| Some((*seed, failure.as_deref()?)))
    }

    fn is_honest(&mut self, seed: u64, money: bool) -> bool {
        if !self.honest.contains_key(&(seed, money)) {
            let failure = self.honest_failure(seed, money);
            self.honest.insert((seed, money), failure);
        }
        self.honest.get(&(seed, money)).is_some_and(Option::is_none)
    }

    fn honest_failure(&self, seed: u64, money: bool) -> Option<String> {
        let (profile, nodes) = self.worlds(money);
        let world = plan(profile, seed, nodes);
        (0..=THROWS).find_map(|throw| {
            let seed = seed ^ throw << 32;
            let failure = run(&world, seed).failures.into_iter().next()?;
            Some(format!("with seed {seed}: {failure}"))
        })
    }

    fn failing(&self, seeds: Range<u64>, money: bool) -> BTreeMap<u64, Vec<String>> {
        let (profile, nodes) = self.worlds(money);
        Search { seeds, profile, nodes, threads: self.threads, until: None }.run(&|_| {}).failures
    }

    fn worlds(&self, money: bool) -> (Profile, usize) {
        match money {
            true => (Profile::Money, usize::from(Profile::Money.nodes())),
            false => (Profile::Everything, self.nodes),
        }
    }
}
