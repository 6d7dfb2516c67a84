//! How far runs are, for whoever waits for them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use labman_proto_core::time::Span;

/// How much of some runs is done. Whoever runs them and whoever looks share it.
#[derive(Debug, Default)]
pub struct Passed(AtomicU64);

/// One of the runs. Once it is dropped it is done, however it ended.
#[derive(Debug)]
pub struct Part<'a> {
    whole: &'a Passed,
    told: Cell<u64>,
}

impl Passed {
    /// What a run counts.
    pub const RUN: u64 = 1_000_000;

    pub fn begin(&self) -> Part<'_> {
        Part { whole: self, told: Cell::new(0) }
    }

    /// In [`RUN`](Self::RUN)s.
    pub fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Part<'_> {
    /// So much of its virtual time has passed.
    pub fn is_at(&self, passed: Span, of: Span) {
        // At each event: a division of wide whole numbers would show.
        let part = passed.0 as f64 / of.0.max(1) as f64 * Passed::RUN as f64;
        self.tell((part as u64).min(Passed::RUN));
    }

    fn tell(&self, now: u64) {
        let more = now.saturating_sub(self.told.get());
        if more > 0 {
            self.told.set(now);
            self.whole.0.fetch_add(more, Ordering::Relaxed);
        }
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        self.tell(Passed::RUN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_runs_add_up_and_a_run_that_ended_counts_as_a_whole() {
        let passed = Passed::default();
        let (one, other) = (passed.begin(), passed.begin());
        one.is_at(Span::from_secs(1), Span::from_secs(4));
        other.is_at(Span::from_secs(3), Span::from_secs(4));
        assert_eq!(passed.so_far(), Passed::RUN);
        other.is_at(Span::from_secs(5), Span::from_secs(4));
        assert_eq!(passed.so_far(), Passed::RUN + Passed::RUN / 4);
        drop(one);
        drop(other);
        assert_eq!(passed.so_far(), 2 * Passed::RUN);
    }
}
