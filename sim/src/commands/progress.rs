//! How far a sweep is, or a single run, on stderr: a bar where that is a terminal, else a JSON line now and then. The only part that
//! looks at a clock.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use labman_proto_core::time::Span;
use serde_json::json;

/// Lines are no closer than this, but for the last.
const EVERY: Duration = Duration::from_secs(1);
/// How often one looks how far a single run is, and after how long that is told where nobody sees a bar: most runs take seconds.
const LOOKS: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    /// `None`: stderr is no terminal.
    bar: Option<ProgressBar>,
    began: Instant,
    told: Instant,
    /// Runs that were there before.
    before: u64,
    done: u64,
    of: u64,
    failed: u64,
}

impl Progress {
    /// Of so many runs, some of which may be there from an earlier time.
    pub(super) fn new(of: u64, (before, failed): (u64, u64)) -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} runs{msg}, {eta} left");
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(of).with_style(style.expect("a good template"));
            bar.with_position(before)
        });
        if let Some(bar) = &bar {
            bar.reset_eta();
        }
        let now = Instant::now();
        Self { bar, began: now, told: now, before, done: before, of, failed }
    }

    /// A run has ended.
    pub(super) fn step(&mut self, passed: bool) {
        self.done += 1;
        self.failed += u64::from(!passed);
        match &self.bar {
            Some(bar) => {
                if self.failed > 0 {
                    bar.set_message(format!(", {} failed", self.failed));
                }
                bar.inc(1);
            }
            None if self.told.elapsed() >= EVERY => self.tell(),
            None => {}
        }
    }

    /// Nothing is to come any more.
    pub(super) fn end(mut self) {
        match self.bar.take() {
            Some(bar) => bar.finish_and_clear(),
            None => self.tell(),
        }
    }

    fn tell(&mut self) {
        self.told = Instant::now();
        let eta_s = eta_s(self.began.elapsed(), self.done - self.before, self.of - self.done);
        let line = json!({ "done": self.done, "of": self.of, "failed": self.failed, "eta_s": eta_s });
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// Does `work`, which tells how much of so much virtual time has passed, in nanoseconds.
pub(super) fn watched<T>(of: Span, work: impl FnOnce(&AtomicU64) -> T) -> T {
    let passed = AtomicU64::new(0);
    let (working, is_done) = mpsc::channel::<()>();
    let seen = &passed;
    thread::scope(|scope| {
        scope.spawn(move || watch(of, seen, &is_done));
        let done = work(seen);
        drop(working);
        done
    })
}

fn watch(of: Span, passed: &AtomicU64, is_done: &mpsc::Receiver<()>) {
    let (began, secs) = (Instant::now(), |span: u64| Span(span).as_millis() / 1_000);
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} s of virtual time, {eta} left");
    let bar = io::stderr()
        .is_terminal()
        .then(|| ProgressBar::new(secs(of.0)).with_style(style.expect("a good template")));
    let mut told = began;
    while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(LOOKS) {
        let passed = passed.load(Ordering::Relaxed).min(of.0);
        match &bar {
            Some(bar) => bar.set_position(secs(passed)),
            None if told.elapsed() >= LONG => {
                told = Instant::now();
                let eta_s = eta_s(began.elapsed(), passed, of.0 - passed);
                let line = json!({ "virtual_s": secs(passed), "of": secs(of.0), "eta_s": eta_s });
                let _ = writeln!(io::stderr(), "{line}");
            }
            None => {}
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

/// If those to come take as long as those that have ended; `None` before the first has.
fn eta_s(took: Duration, ended: u64, to_come: u64) -> Option<u64> {
    let ended = (ended > 0).then_some(ended)?;
    Some((took.as_secs_f64() / ended as f64 * to_come as f64).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_what_was() {
        assert_eq!(eta_s(Duration::from_secs(30), 10, 20), Some(60));
        assert_eq!(eta_s(Duration::from_secs(30), 10, 0), Some(0));
        assert_eq!(eta_s(Duration::from_secs(30), 0, 20), None);
    }
}
