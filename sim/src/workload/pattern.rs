//! When users ask: how a scenario's `[[arrivals]]` are spread over time. One file a pattern.
//!
//! To add one: a file here with a struct that implements [`Pattern`], and its line in the list below. A scenario then knows it as
//! `pattern = { name = { ... } }`.
//!
//! What is absent: who asks, for what and at what price, which `workload.rs` draws from streams of their own, so that a change of
//! pattern changes nobody's wishes.

mod burst;
mod bursty;
mod diurnal;
mod poisson;
mod timetable;

use labman_proto_core::rng::{Seed, Stream};
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

pub use burst::Burst;
pub use bursty::Bursty;
pub use diurnal::Diurnal;
pub use poisson::Poisson;
pub use timetable::Timetable;

/// What every pattern says of itself.
pub trait Pattern {
    /// What in it makes no sense, as `key: reason`.
    ///
    /// # Errors
    ///
    /// If it says nothing that could be drawn.
    fn check(&self) -> Result<(), String>;
    /// When they come, in the order of time.
    fn moments(&self, window: &Window, draws: &mut Draws) -> Vec<Span>;
    /// About how many will come.
    fn expected(&self, window: &Window) -> u64 {
        window.expected()
    }
}

/// Between `from` and `until`, one each `every` in the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: Span,
    pub until: Span,
    pub every: Span,
}

/// What a pattern draws from.
pub struct Draws {
    /// From one to the next.
    pub gaps: Stream,
    /// All else: which of too many come, when it changes how many do, who comes besides.
    pub turns: Stream,
}

/// The list.
macro_rules! patterns {
    ($($name:ident),* $(,)?) => {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Named {
            $($name($name),)*
        }

        impl Named {
            pub fn as_pattern(&self) -> &dyn Pattern {
                match self {
                    $(Self::$name(pattern) => pattern,)*
                }
            }
        }
    };
}

patterns! { Poisson, Bursty, Diurnal, Burst, Timetable }

impl Default for Named {
    fn default() -> Self {
        Self::Poisson(Poisson {})
    }
}

impl Window {
    pub(super) fn expected(&self) -> u64 {
        (self.until.0.saturating_sub(self.from.0)) / self.every.0.max(1)
    }

    /// A Poisson process: independent of each other, as of many users who know nothing of each other.
    fn poisson(&self, gaps: &mut Stream) -> Vec<Span> {
        let mut at = self.from;
        let next = || {
            at = Span(at.0.saturating_add(gaps.exponential(self.every).0));
            (at < self.until).then_some(at)
        };
        std::iter::from_fn(next).collect()
    }
}

impl Draws {
    /// Those of the arrivals of that name.
    pub fn of(seed: Seed, name: &str) -> Self {
        Self { gaps: seed.child("arrivals").stream(name), turns: seed.child("turns").stream(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const HOUR: Window =
        Window { from: Span::from_secs(0), until: Span::from_secs(3_600), every: Span::from_millis(100) };

    pub(super) fn draws() -> Draws {
        Draws::of(Seed::from_u64(3), "chat")
    }

    /// How many come in each of so many equal parts.
    pub(super) fn parts(moments: &[Span], window: &Window, parts: u64) -> Vec<u64> {
        let part = (window.until.0 - window.from.0) / parts;
        let mut counts = vec![0; parts as usize];
        for at in moments {
            counts[((at.0 - window.from.0) / part) as usize] += 1;
        }
        counts
    }

    /// Variance over mean of the counts: 1 of a Poisson process.
    pub(super) fn dispersion(counts: &[u64]) -> f64 {
        let many = counts.len() as f64;
        let mean = counts.iter().sum::<u64>() as f64 / many;
        let squares: f64 = counts.iter().map(|count| (*count as f64 - mean).powi(2)).sum();
        squares / (many - 1.0) / mean
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct File {
        pattern: Named,
    }

    #[test]
    fn every_pattern_brings_about_as_many_as_it_says_in_order_and_within_its_window() {
        let window = Window { from: Span::from_secs(600), ..HOUR };
        for text in [
            "poisson = {}",
            "bursty = { on = \"10s\", off = \"50s\", times = 5 }",
            "diurnal = { period = \"10m\", depth = 0.8 }",
            "burst = { from = \"20m\", for = \"60s\", every = \"10ms\" }",
            "timetable = { period = \"10m\", many = 100 }",
        ] {
            let file: File = toml::from_str(&format!("pattern = {{ {text} }}")).unwrap();
            let pattern = file.pattern.as_pattern();
            assert_eq!(pattern.check(), Ok(()), "{text}");
            let moments = pattern.moments(&window, &mut draws());
            let (many, expected) = (moments.len() as u64, pattern.expected(&window));
            assert!(many.abs_diff(expected) < expected / 5, "{text}: {many}, expected {expected}");
            assert!(
                moments.is_sorted() && moments[0] >= window.from && *moments.last().unwrap() < window.until
            );
            assert_eq!(toml::from_str::<File>(&toml::to_string(&file).unwrap()).unwrap(), file, "{text}");
        }
    }

    #[test]
    fn whoever_comes_by_chance_alone_is_neither_crowded_nor_spaced_out() {
        let moments = Poisson {}.moments(&HOUR, &mut draws());
        let dispersion = dispersion(&parts(&moments, &HOUR, 360));
        assert!((0.8..1.2).contains(&dispersion), "{dispersion}");
    }
}
