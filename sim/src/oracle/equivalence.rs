//! What many seeds say together of an oracle: it holds by equivalence if the mean is near enough to what theory says, and known
//! well enough to say so.
//!
//! A test of whether the interval has the expected value would fail one time in twenty, and would be the stricter the longer
//! one runs: a difference of a thousandth that nobody cares for is found at last.

use serde::Serialize;

use super::beside::{Beside, Bounds};
use crate::stats;

/// How far the mean may be from a formula, and half of its interval's width at most, in percent of what the formula says.
pub const WITHIN_PERCENT: f64 = 2.0;
pub const HALF_WIDTH_PERCENT: f64 = 1.0;

/// One oracle over all seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    pub field: String,
    /// The formula's name, or the baseline's.
    pub by: String,
    pub seeds: usize,
    /// Of a baseline: its mean.
    pub expected: f64,
    pub mean: f64,
    /// As the runs came to, in the mean, and what the very same jobs would have come to in the book's queue, where that is known: then
    /// `mean` is `expected` times by how much the two differ.
    pub measured: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub book: Option<f64>,
    /// Where the true mean is, nineteen times in twenty; of a baseline: from what came beside it, pair by pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    pub off_percent: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_width_percent: Option<f64>,
    pub bounds: Bounds,
    /// `None`: it is told only.
    pub holds: Option<bool>,
    /// What does not hold, and what can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Judged {
    /// `None` of no runs. They must be of one oracle; `bounds` stand in place of the runs' own.
    pub fn of(runs: &[&Beside], bounds: Option<Bounds>) -> Option<Self> {
        let first = *runs.first()?;
        let bounds = bounds.filter(|_| first.bounds != Bounds::default()).unwrap_or(first.bounds);
        let mean =
            |of: fn(&Beside) -> f64| stats::estimate(&runs.iter().map(|run| of(run)).collect::<Vec<_>>());
        let expected = mean(|run| run.expected)?.mean;
        // Common random numbers: what a run and its baseline share is not counted.
        let off = mean(|run| run.estimate - run.expected)?;
        let percent = |part: f64| if expected == 0.0 { 0.0 } else { part / expected.abs() * 100.0 };
        let off_percent = percent(off.mean);
        let half_width_percent = off.interval.map(|interval| percent(interval.half_width()).abs());
        let why = bounds.too_far(off_percent).map(|bound| format!("{bound:+.1} % at the furthest"));
        let why = why.or_else(|| unknown(half_width_percent, bounds.half_width?));
        Some(Self {
            field: first.field.clone(),
            by: first.by.clone(),
            seeds: runs.len(),
            expected,
            mean: expected + off.mean,
            measured: mean(|run| run.measured as f64)?.mean,
            book: first.book.and(mean(|run| run.book.unwrap_or_default())).map(|book| book.mean),
            interval: off.interval.map(|interval| [expected + interval.low, expected + interval.high]),
            off_percent,
            half_width_percent,
            bounds,
            holds: (bounds != Bounds::default()).then_some(why.is_none()),
            why,
        })
    }

    /// What holds a mean over many seeds to a formula; a baseline keeps its own.
    pub fn equivalence() -> Bounds {
        Bounds {
            at_least: Some(-WITHIN_PERCENT),
            at_most: Some(WITHIN_PERCENT),
            half_width: Some(HALF_WIDTH_PERCENT),
        }
    }
}

fn unknown(half_width_percent: Option<f64>, most: f64) -> Option<String> {
    match half_width_percent {
        Some(half) if half <= most => None,
        Some(_) => Some(format!("must be known to ±{most:.1} %: more --seeds tell more")),
        None => Some("one run does not tell how well it is known: more --seeds do".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::beside::Estimate;

    fn runs(estimates: &[f64], bounds: Bounds) -> Vec<Beside> {
        let estimate = |value: &f64| Some(Estimate { value: *value, book: None, half_width: None });
        let one = |value| Beside::new(("x", "the book".into()), 100.0, 0, estimate(value), bounds);
        estimates.iter().map(one).collect()
    }

    fn judged(estimates: &[f64], bounds: Bounds) -> Judged {
        let runs = runs(estimates, bounds);
        Judged::of(&runs.iter().collect::<Vec<_>>(), Some(Judged::equivalence())).unwrap()
    }

    fn held() -> Bounds {
        Bounds { at_most: Some(9.0), ..Bounds::default() }
    }

    #[test]
    fn a_mean_that_is_near_and_well_known_holds_whatever_single_runs_came_to() {
        let near: Vec<f64> = (0..30).map(|n| 101.0 + f64::from(n % 3) - 1.0).collect();
        let found = judged(&near, held());
        assert_eq!((found.holds, found.seeds, found.mean), (Some(true), 30, 101.0));
        assert!(found.half_width_percent.unwrap() < 1.0 && found.interval.unwrap()[0] > 100.0);
        assert_eq!(found.why, None);
    }

    #[test]
    fn what_does_not_hold_says_why() {
        let wild: Vec<f64> = (0..30).map(|n| 100.0 + f64::from(n % 3) * 10.0 - 10.0).collect();
        let cases: [(&[f64], &str); 3] = [
            (&[103.0; 30], "+2.0 % at the furthest"),
            (&wild, "must be known to ±1.0 %: more --seeds tell more"),
            (&[100.0], "one run does not tell how well it is known: more --seeds do"),
        ];
        for (estimates, why) in cases {
            let found = judged(estimates, held());
            assert_eq!((found.holds, found.why.as_deref()), (Some(false), Some(why)));
        }
    }

    #[test]
    fn what_is_told_only_is_not_judged() {
        assert_eq!(judged(&[500.0; 3], Bounds::default()).holds, None);
        assert!(Judged::of(&[], None).is_none());
    }

    #[test]
    fn beside_a_baseline_what_both_share_cancels() {
        let bounds = Bounds { at_most: Some(50.0), ..Bounds::default() };
        let pair =
            |base: f64| Beside::new(("x", "all known".into()), base, (base * 1.4) as i64, None, bounds);
        let runs = [pair(100.0), pair(1_000.0), pair(10_000.0)];
        let found = Judged::of(&runs.iter().collect::<Vec<_>>(), None).unwrap();
        assert_eq!((found.holds, found.off_percent.round()), (Some(true), 40.0));
    }
}
