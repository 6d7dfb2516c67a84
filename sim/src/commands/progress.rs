//! How far a sweep is, on stderr: a bar where that is a terminal, else a JSON line now and then. The only part that looks at a
//! clock.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

/// Lines are no closer than this, but for the last.
const EVERY: Duration = Duration::from_secs(1);

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
