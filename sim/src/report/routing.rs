//! Whom gateways asked, and how often they took them to serve: by what they say themselves of each request.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use labman_proto_core::rng::Stream;
use serde::Serialize;

use crate::oracle::bandit::Ucb;

/// One attempt, at the moment when it was decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    pub gateway: String,
    pub provider: String,
    /// Of its request.
    pub is_first: bool,
    /// Of a thousand attempts so many were thought to serve there.
    pub thought: u32,
    pub served: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RoutingReport {
    /// Attempts, and requests that were asked of anybody.
    pub tries: u64,
    pub asked: u64,
    /// Of the requests, in millionths, those that were first asked of the first provider, and of those who offer the same.
    pub first_asked_ppm: i64,
    /// Of what was thought, attempt by attempt, the mean, and the variance around the mean of each gateway and provider.
    pub reliability_ppm: i64,
    pub reliability_variance_ppm: i64,
    /// Of each gateway and provider: what was thought, and whether it served then.
    #[serde(skip)]
    series: Vec<Vec<(u32, bool)>>,
    /// Of each request's first attempt: whether it was of the first kind, and whether it served.
    #[serde(skip)]
    firsts: Vec<(bool, bool)>,
}

/// What `[[expect]]` may name.
pub const FIGURES: &[&str] =
    &["routing.first_asked_ppm", "routing.reliability_ppm", "routing.reliability_variance_ppm"];

impl RoutingReport {
    /// In the order of time.
    pub fn of(tries: Vec<Try>, is_first_kind: impl Fn(&str) -> bool) -> Self {
        let of_first = tries.iter().filter(|one| one.is_first);
        let firsts: Vec<(bool, bool)> =
            of_first.map(|one| (is_first_kind(&one.provider), one.served)).collect();
        let asked = firsts.len() as u64;
        let first = firsts.iter().filter(|(is_first_kind, _)| *is_first_kind).count() as u64;
        let ppm = (first * 1_000_000).checked_div(asked).unwrap_or(0);
        let many = tries.len() as u64;
        let thought: u64 = tries.iter().map(|one| u64::from(one.thought)).sum();
        let mut series: BTreeMap<(String, String), Vec<(u32, bool)>> = BTreeMap::new();
        for one in tries {
            series.entry((one.gateway, one.provider)).or_default().push((one.thought, one.served));
        }
        let found = Self { series: series.into_values().collect(), firsts, ..Self::default() };
        Self {
            tries: many,
            asked,
            first_asked_ppm: i64::try_from(ppm).unwrap_or(i64::MAX),
            reliability_ppm: i64::try_from((thought * 1_000).checked_div(many).unwrap_or(0))
                .unwrap_or(i64::MAX),
            reliability_variance_ppm: found.variance_ppm() as i64,
            ..found
        }
    }

    /// To be a millionth of one, a variance is one of thousandths.
    pub(super) fn variance_ppm(&self) -> f64 {
        variance(self.series.iter().map(|one| one.iter().map(|(thought, _)| f64::from(*thought)).collect()))
    }

    /// What the variance would be if the very same attempts had moved the book's mean, in which each new one counts one part of so
    /// many, and nothing is rounded.
    pub(super) fn book_variance_ppm(&self, weight: u32) -> f64 {
        let book = |one: &Vec<(u32, bool)>| {
            let mut mean = one.first().map_or(0.0, |(thought, _)| f64::from(*thought));
            let step = |(_, served): &(u32, bool)| {
                let sample = if *served { 1_000.0 } else { 0.0 };
                let before = mean;
                mean += (sample - mean) / f64::from(weight.max(1));
                before
            };
            one.iter().map(step).collect()
        };
        variance(self.series.iter().map(book))
    }

    /// What part of the requests would go to the first kind, in millionths, if the book's UCB1 chose, each kind were one provider, and
    /// its first attempts went as they did here.
    pub(super) fn book_first_asked_ppm(&self, law: &Ucb, draws: &mut Stream) -> f64 {
        let of = |kind: bool| -> Vec<bool> {
            self.firsts.iter().filter(|(is_first, _)| *is_first == kind).map(|(_, served)| *served).collect()
        };
        let asked = law.worse_asked([&of(true), &of(false)], self.asked, draws);
        1e6 * asked as f64 / self.asked.max(1) as f64
    }

    /// The value of one of [`FIGURES`].
    pub fn figure(&self, name: &str) -> Option<i64> {
        Some(match name {
            "routing.first_asked_ppm" => self.first_asked_ppm,
            "routing.reliability_ppm" => self.reliability_ppm,
            "routing.reliability_variance_ppm" => self.reliability_variance_ppm,
            _ => return None,
        })
    }

    pub fn summary(&self, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "  routing   {} attempts, thought to serve {:.4} of the time, with a variance of {:.6}; {:.4} of {} requests went to the first kind first",
            self.tries,
            self.reliability_ppm as f64 / 1e6,
            self.reliability_variance_ppm as f64 / 1e6,
            self.first_asked_ppm as f64 / 1e6,
            self.asked
        )
    }
}

/// Of all series together, each around its own mean.
fn variance(series: impl Iterator<Item = Vec<f64>>) -> f64 {
    let (mut squares, mut many) = (0.0, 0_usize);
    for one in series {
        let mean = one.iter().sum::<f64>() / one.len() as f64;
        squares += one.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        many += one.len();
    }
    squares / many.max(1) as f64
}

#[cfg(test)]
mod tests {
    use labman_proto_core::rng::Seed;

    use super::*;

    fn asked(provider: &str, is_first: bool, thought: u32, served: bool) -> Try {
        Try { gateway: "g".into(), provider: provider.into(), is_first, thought, served }
    }

    #[test]
    fn tries_come_to_a_mean_a_variance_around_each_s_own_and_the_part_of_the_first() {
        let tries = vec![
            asked("a", true, 1_000, false),
            asked("b", false, 700, true),
            asked("a", true, 800, true),
            asked("b", true, 700, true),
        ];
        let report = RoutingReport::of(tries, |name| name == "a");
        let figure = |name: &str| report.figure(&format!("routing.{name}_ppm")).unwrap();
        assert_eq!((report.tries, report.asked), (4, 3));
        assert_eq!(figure("first_asked"), 666_666);
        assert_eq!(figure("reliability"), 800_000);
        // a: 100 squared twice, b: nothing, of four.
        assert_eq!(figure("reliability_variance"), 5_000);
        assert!(FIGURES.iter().all(|name| report.figure(name).is_some()));
        assert_eq!(report.figure("routing.none"), None);
    }

    #[test]
    fn the_book_moves_by_an_eighth_of_what_each_attempt_differs() {
        let tries =
            vec![asked("a", true, 800, false), asked("a", true, 700, true), asked("a", true, 737, true)];
        let report = RoutingReport::of(tries, |_| true);
        // 800, 700, 737.5.
        let mean = 2_237.5 / 3.0;
        let squares: f64 = [800.0, 700.0, 737.5].iter().map(|value: &f64| (value - mean).powi(2)).sum();
        assert!((report.book_variance_ppm(8) - squares / 3.0).abs() < 1e-9);
    }

    #[test]
    fn requests_that_went_as_in_the_book_come_to_as_much_there() {
        let law = Ucb { worse: 500, better: 100, requests: 4 };
        // After one each, served and failed, the book stays with who served: 1 + (2 ln 2) ^ .5, and 1 + (ln 3 / 1) ^ .5 of two.
        let as_in_the_book = [("a", false), ("b", true), ("b", true), ("b", true)];
        let tries = as_in_the_book.map(|(name, served)| asked(name, true, 1_000, served));
        let report = RoutingReport::of(tries.into(), |name| name == "a");
        let mut draws = Seed::from_u64(1).stream("book");
        assert_eq!(report.first_asked_ppm, 250_000);
        assert_eq!(report.book_first_asked_ppm(&law, &mut draws), 250_000.0);
    }

    #[test]
    fn where_nobody_was_asked_there_is_nothing() {
        assert_eq!(RoutingReport::of(Vec::new(), |_| true), RoutingReport::default());
    }
}
