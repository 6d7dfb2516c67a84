//! Whom gateways asked, and how often they took them to serve: by what they say themselves of each request.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

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
}

/// What `[[expect]]` may name.
pub const FIGURES: &[&str] =
    &["routing.first_asked_ppm", "routing.reliability_ppm", "routing.reliability_variance_ppm"];

impl RoutingReport {
    /// In the order of time.
    pub fn of(tries: Vec<Try>, is_first_kind: impl Fn(&str) -> bool) -> Self {
        let asked = tries.iter().filter(|one| one.is_first).count() as u64;
        let first = tries.iter().filter(|one| one.is_first && is_first_kind(&one.provider)).count() as u64;
        let ppm = (first * 1_000_000).checked_div(asked).unwrap_or(0);
        let many = tries.len() as u64;
        let thought: u64 = tries.iter().map(|one| u64::from(one.thought)).sum();
        let mut series: BTreeMap<(String, String), Vec<(u32, bool)>> = BTreeMap::new();
        for one in tries {
            series.entry((one.gateway, one.provider)).or_default().push((one.thought, one.served));
        }
        let found = Self { series: series.into_values().collect(), ..Self::default() };
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
    fn where_nobody_was_asked_there_is_nothing() {
        assert_eq!(RoutingReport::of(Vec::new(), |_| true), RoutingReport::default());
    }
}
