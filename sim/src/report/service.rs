//! How the measured jobs were served: how long their users waited, and how evenly providers shared the work.
//!
//! A job is measured if it was completed, and asked for at or after the scenario's `measure_from`: what a mesh does while
//! it fills up is left out. What is absent: how well the means are known (`estimate.rs`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Ending, JobOutcome, Report};

/// What a provider did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    pub honest: bool,
    /// Those with the same number have the same to offer, at the same price.
    pub kind: usize,
    /// Measured jobs that it served.
    pub jobs: u64,
}

/// Some jobs' times in microseconds, the shortest first.
#[derive(Default)]
pub(super) struct Times(Vec<u64>);

impl Report {
    pub(super) fn measured(&self) -> impl Iterator<Item = &JobOutcome> {
        let from_us = self.measure_from.0 / 1_000;
        let measured = move |job: &&JobOutcome| job.asked_at_us.is_some_and(|at_us| at_us >= from_us);
        self.outcomes.iter().filter(measured).filter(|job| job.ending() == Ending::Completed)
    }

    /// Of all that were asked for since measuring began: how many there are, and how many were served.
    pub fn measured_hits(&self) -> (u64, u64) {
        let from_us = self.measure_from.0 / 1_000;
        let asked = self.outcomes.iter().filter(|job| job.asked_at_us.is_some_and(|at_us| at_us >= from_us));
        (asked.count() as u64, self.measured().count() as u64)
    }

    /// Measured requests that were served, in millionths; 0 of none.
    pub(super) fn served_ppm(&self) -> i64 {
        let (asked, served) = self.measured_hits();
        (served * 1_000_000).checked_div(asked).and_then(|ppm| i64::try_from(ppm).ok()).unwrap_or_default()
    }

    /// Little's law: how many jobs were under way in the mean, in millionths of how many came a second times how long they
    /// took. From `measure_from` to when the last was asked for; those that were under way at its ends make it a little more or
    /// less than a million.
    pub(super) fn little_ppm(&self) -> i64 {
        let ended = |job: &&JobOutcome| job.ending() == Ending::Completed;
        let spans =
            self.outcomes.iter().filter(ended).filter_map(|job| Some((job.asked_at_us?, job.took_us)));
        let (from, until) = (self.measure_from.0 / 1_000, spans.clone().map(|(at, _)| at).max().unwrap_or(0));
        let within = |(at, took): (u64, u64)| (at + took).min(until).saturating_sub(at.max(from));
        let under_way: u64 = spans.clone().map(within).sum();
        // How many came a second, times how long they took in the mean, times the window: what they took together.
        let took: u64 = spans.filter(|(at, _)| *at >= from).map(|(_, took)| took).sum();
        let ppm = (u128::from(under_way) * 1_000_000).checked_div(u128::from(took));
        ppm.and_then(|ppm| i64::try_from(ppm).ok()).unwrap_or_default()
    }

    /// From asking to the first text.
    pub(super) fn ttft(&self) -> Times {
        Times::new(self.measured().filter_map(|job| job.ttft_us))
    }

    /// From asking to the last byte.
    pub(super) fn sojourn(&self) -> Times {
        Times::new(self.measured().map(|job| job.took_us))
    }

    /// Counts what each of these providers did of the jobs that are there.
    pub fn count_work(&mut self, idle: impl Iterator<Item = (String, Work)>) {
        let mut work: BTreeMap<String, Work> = idle.collect();
        for provider in self.measured().filter_map(|job| job.provider.as_ref()) {
            if let Some(work) = work.get_mut(&**provider) {
                work.jobs += 1;
            }
        }
        self.providers = work;
    }

    pub(super) fn work(&self) -> BTreeMap<&str, u64> {
        self.providers.iter().map(|(name, work)| (name.as_str(), work.jobs)).collect()
    }

    pub(super) fn fairness(&self) -> f64 {
        let (part, whole) = self.jain();
        part as f64 / whole as f64
    }

    /// Rounded down.
    pub(super) fn fairness_ppm(&self) -> i64 {
        let (part, whole) = self.jain();
        i64::try_from(part.saturating_mul(1_000_000) / whole).unwrap_or(i64::MAX)
    }

    /// The lowest of those among honest providers of a kind.
    fn jain(&self) -> (u128, u128) {
        let mut kinds: BTreeMap<usize, Vec<u128>> = BTreeMap::new();
        for work in self.providers.values().filter(|work| work.honest) {
            kinds.entry(work.kind).or_default().push(u128::from(work.jobs));
        }
        let of_kinds = kinds.into_values().map(|jobs| jain(&jobs));
        of_kinds.min_by(|(a, all_a), (b, all_b)| (a * all_b).cmp(&(b * all_a))).unwrap_or((1, 1))
    }
}

/// Jain's index (Jain, Chiu and Hawe, DEC-TR-301, 1984) as a fraction: (sum x)^2 to n sum x^2, which is 1 where all have done
/// the same, and 1 / n where one has done all.
fn jain(jobs: &[u128]) -> (u128, u128) {
    let (sum, squares) = (jobs.iter().sum::<u128>(), jobs.iter().map(|jobs| jobs * jobs).sum::<u128>());
    if squares == 0 { (1, 1) } else { (sum * sum, jobs.len() as u128 * squares) }
}

impl Times {
    pub(super) fn new(us: impl Iterator<Item = u64>) -> Self {
        let mut us: Vec<u64> = us.collect();
        us.sort_unstable();
        Self(us)
    }

    pub(super) fn count(&self) -> i64 {
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }

    /// Rounded down; 0 of none.
    pub(super) fn mean_us(&self) -> i64 {
        let mean = self.sum_us().checked_div(self.0.len() as u128).unwrap_or_default();
        i64::try_from(mean).unwrap_or(i64::MAX)
    }

    /// By nearest rank; 0 of none.
    pub(super) fn percentile_us(&self, percent: usize) -> i64 {
        self.rank(percent, 100)
    }

    /// The same; of 0 the shortest.
    pub(super) fn permille_us(&self, permille: u32) -> i64 {
        self.rank(permille as usize, 1_000)
    }

    fn rank(&self, part: usize, whole: usize) -> i64 {
        let rank = (self.0.len() * part).div_ceil(whole).max(1);
        self.0.get(rank - 1).map_or(0, |us| i64::try_from(*us).unwrap_or(i64::MAX))
    }

    /// To the microsecond; `None` of none.
    pub(super) fn mean_ms(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.mean_us() as f64 / 1e3)
    }

    /// By nearest rank; `None` of none.
    pub(super) fn percentile_ms(&self, percent: usize) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.percentile_us(percent) as f64 / 1e3)
    }

    /// In milliseconds.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "count": self.count(),
            "mean": self.sum_us() as f64 / (1_000 * self.0.len().max(1)) as f64,
            "p50": self.percentile_us(50) / 1_000,
            "p95": self.percentile_us(95) / 1_000,
            "p99": self.percentile_us(99) as f64 / 1e3,
        })
    }

    fn sum_us(&self) -> u128 {
        self.0.iter().copied().map(u128::from).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::time::Span;

    fn served(asked_at_us: u64, took_us: u64, provider: &str) -> JobOutcome {
        JobOutcome {
            http_status: 200,
            finish_reason: Some("stop".into()),
            asked_at_us: Some(asked_at_us),
            provider: Some(provider.into()),
            ttft_us: Some(took_us / 2),
            took_us,
            ..JobOutcome::default()
        }
    }

    fn report(measure_from: Span, outcomes: Vec<JobOutcome>) -> Report {
        let mut report = Report { measure_from, outcomes, ..Report::default() };
        let names = ["a", "b", "cheat", "dear"].map(String::from);
        let idle = |name: &String| {
            let (honest, kind) = (name != "cheat", usize::from(name == "dear"));
            (name.clone(), Work { honest, kind, jobs: 0 })
        };
        report.count_work(names.iter().map(idle));
        report
    }

    #[test]
    fn what_was_asked_for_too_early_or_not_completed_is_not_measured() {
        let broken = JobOutcome { finish_reason: None, ..served(5_000, 900_000, "a") };
        let early = served(1_999, 900_000, "b");
        let outcomes = vec![early, broken, served(2_000, 3_000, "a"), served(3_000, 6_001, "a")];
        let report = report(Span::from_millis(2), outcomes);
        let figures = ["sojourn.count", "sojourn.mean_us", "sojourn.p99_us", "ttft.mean_us", "ttft.p50_ms"];
        assert_eq!(figures.map(|name| report.figure(name)), [2, 4_500, 6_001, 2_250, 1].map(Some));
        let json = report.to_json();
        assert_eq!(
            json["sojourn_ms"].to_string(),
            r#"{"count":2,"mean":4.5005,"p50":3,"p95":6,"p99":6.001}"#
        );
        assert_eq!(json["providers"].to_string(), r#"{"a":2,"b":0,"cheat":0,"dear":0}"#);
    }

    #[test]
    fn the_99th_of_a_hundred_is_not_the_last() {
        let report = report(Span::default(), (1..=100).map(|us| served(0, us, "a")).collect());
        assert_eq!(report.figure("sojourn.p99_us"), Some(99));
        assert_eq!(report.figure("sojourn.mean_us"), Some(50));
    }

    #[test]
    fn work_is_fair_where_all_honest_providers_do_the_same() {
        let shared = |a: usize, b: usize, cheat: usize| {
            let by = |name, jobs| std::iter::repeat_n(served(0, 1, name), jobs);
            report(Span::default(), by("a", a).chain(by("b", b)).chain(by("cheat", cheat)).collect())
        };
        for (a, b, cheat, ppm) in
            [(0, 0, 5, 1_000_000), (4, 4, 9, 1_000_000), (3, 1, 0, 800_000), (1, 0, 0, 500_000)]
        {
            let report = shared(a, b, cheat);
            assert_eq!(report.figure("jobs.fairness_ppm"), Some(ppm), "{a}, {b}, {cheat}");
            assert_eq!(report.to_json()["jobs"]["fairness"], ppm as f64 / 1e6);
        }
    }
}
