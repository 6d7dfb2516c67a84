//! How far runs are, on stderr: a bar where that is a terminal, else a JSON line now and then. The only part that looks at a clock.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use labman_proto_core::time::Span;
use labman_sim::run::Passed;
use serde_json::{Value, json};

/// How often one looks how far they are.
const LOOKS: Duration = Duration::from_millis(200);
/// Lines are no closer than this where runs have ended, but for the last, and than this where none has.
const EVERY: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    /// Of the runs that are to be done now.
    pub(super) passed: Passed,
    what: What,
    ended: AtomicU64,
    failed: AtomicU64,
}

enum What {
    /// One, of so much virtual time.
    Run(Span),
    /// So many, of which some were there before.
    Sweep { of: u64, before: u64 },
}

impl Progress {
    pub(super) fn of_run(duration: Span) -> Self {
        Self::new(What::Run(duration), 0, 0)
    }

    /// Of so many runs, some of which may be there from an earlier time.
    pub(super) fn of_sweep(of: u64, (before, failed): (u64, u64)) -> Self {
        Self::new(What::Sweep { of, before }, before, failed)
    }

    fn new(what: What, ended: u64, failed: u64) -> Self {
        Self { passed: Passed::default(), what, ended: ended.into(), failed: failed.into() }
    }

    /// A run of the sweep has ended.
    pub(super) fn step(&self, passed: bool) {
        self.failed.fetch_add(u64::from(!passed), Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Does `work`, which tells of its runs on the way.
    pub(super) fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        let (working, is_done) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || self.tell_until(&is_done));
            let done = work();
            drop(working);
            done
        })
    }

    fn tell_until(&self, is_done: &mpsc::Receiver<()>) {
        let began = Instant::now();
        let style = ProgressStyle::with_template("{wide_bar} {msg}").expect("a good template");
        let bar = io::stderr().is_terminal().then(|| ProgressBar::new(self.to_come(0)).with_style(style));
        let (mut told, mut ended) = (began, self.ended.load(Ordering::Relaxed));
        while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(LOOKS) {
            if let Some(bar) = &bar {
                bar.set_position(self.passed.so_far());
                bar.set_message(match self.looks_at_books() {
                    true => self.message(),
                    false => format!("{}, {:#} left", self.message(), HumanDuration(bar.eta())),
                });
                continue;
            }
            let now = self.ended.load(Ordering::Relaxed);
            if told.elapsed() >= if now > ended { EVERY } else { LONG } {
                (told, ended) = (Instant::now(), now);
                self.tell(began);
            }
        }
        match bar {
            Some(bar) => bar.finish_and_clear(),
            // Most single runs take seconds: what they come to is enough.
            None if matches!(self.what, What::Sweep { .. }) => self.tell(began),
            None => {}
        }
    }

    /// What is left when so much has passed, as that is counted.
    fn to_come(&self, passed: u64) -> u64 {
        let runs = match self.what {
            What::Run(_) => 1,
            What::Sweep { of, before } => of.saturating_sub(before),
        };
        runs.saturating_mul(Passed::RUN).saturating_sub(passed)
    }

    /// All virtual time has passed, and the last books are looked at: that may take minutes, and nobody knows how many.
    fn looks_at_books(&self) -> bool {
        let ended = match self.what {
            What::Run(_) => false,
            What::Sweep { of, .. } => self.ended.load(Ordering::Relaxed) >= of,
        };
        !ended && self.to_come(self.passed.so_far()) == 0
    }

    fn message(&self) -> String {
        let (ended, failed) = (self.ended.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        let so_far = match self.what {
            What::Run(of) => {
                format!("{} of {} s of virtual time", self.virtual_s(of), of.as_millis() / 1_000)
            }
            What::Sweep { of, .. } if failed > 0 => format!("{ended}/{of} runs, {failed} failed"),
            What::Sweep { of, .. } => format!("{ended}/{of} runs"),
        };
        if self.looks_at_books() { so_far + "; looking at the books" } else { so_far }
    }

    fn tell(&self, began: Instant) {
        let passed = self.passed.so_far();
        let left = eta_s(began.elapsed(), passed, self.to_come(passed));
        let eta_s = left.filter(|_| !self.looks_at_books());
        let line: Value = match self.what {
            What::Run(of) => {
                json!({ "virtual_s": self.virtual_s(of), "of": of.as_millis() / 1_000, "eta_s": eta_s })
            }
            What::Sweep { of, .. } => {
                let (done, failed) =
                    (self.ended.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
                json!({ "done": done, "of": of, "failed": failed, "eta_s": eta_s })
            }
        };
        let _ = writeln!(io::stderr(), "{line}");
    }

    fn virtual_s(&self, of: Span) -> u64 {
        of.as_millis() / 1_000 * self.passed.so_far() / Passed::RUN
    }
}

/// If what is to come takes as long as what has passed; `None` before anything has, but if nothing is to come.
fn eta_s(took: Duration, passed: u64, to_come: u64) -> Option<u64> {
    if to_come == 0 {
        return Some(0);
    }
    let passed = (passed > 0).then_some(passed)?;
    Some((took.as_secs_f64() / passed as f64 * to_come as f64).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_what_was() {
        assert_eq!(eta_s(Duration::from_secs(30), 10, 20), Some(60));
        assert_eq!(eta_s(Duration::from_secs(30), 10, 0), Some(0));
        assert_eq!(eta_s(Duration::from_secs(30), 0, 20), None);
        assert_eq!(eta_s(Duration::from_secs(30), 0, 0), Some(0));
    }

    #[test]
    fn what_was_there_before_is_not_to_come() {
        let progress = Progress::of_sweep(10, (4, 1));
        progress.step(false);
        assert_eq!(progress.message(), "5/10 runs, 2 failed");
        assert_eq!(progress.to_come(Passed::RUN), 5 * Passed::RUN);
    }

    #[test]
    fn nobody_knows_how_long_the_last_look_takes() {
        let progress = Progress::of_sweep(1, (0, 0));
        progress.passed.begin().is_at(Span::from_secs(2), Span::from_secs(2));
        assert!(progress.looks_at_books());
        assert_eq!(progress.message(), "0/1 runs; looking at the books");
        progress.step(true);
        assert!(!progress.looks_at_books());
    }

    #[test]
    fn a_run_is_as_far_as_its_virtual_time() {
        let progress = Progress::of_run(Span::from_secs(60));
        let part = progress.passed.begin();
        part.is_at(Span::from_secs(15), Span::from_secs(60));
        assert_eq!(progress.message(), "15 of 60 s of virtual time");
    }
}
