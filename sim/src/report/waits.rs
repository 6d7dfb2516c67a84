//! How long each of the measured jobs waited, from who waited least to who waited most.

use super::Report;
use super::service::Times;

/// Of the jobs, in thousandths: each hundredth, and what is rare.
fn permilles() -> impl Iterator<Item = u32> {
    (0..100).map(|percent| percent * 10).chain([995, 999, 1_000])
}

/// What was waited for, and by how many of a thousand no longer than so many microseconds.
pub type Waits = (&'static str, Vec<(u32, i64)>);

impl Report {
    /// Until the first text, and until the last byte; nothing where no job was measured.
    #[must_use]
    pub fn waits(&self) -> Vec<Waits> {
        let of =
            |times: Times| permilles().map(move |permille| (permille, times.permille_us(permille))).collect();
        let all = [("ttft", self.ttft()), ("sojourn", self.sojourn())];
        all.into_iter()
            .filter(|(_, times)| times.count() > 0)
            .map(|(until, times)| (until, of(times)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::report::JobOutcome;

    use super::*;

    #[test]
    fn each_part_of_the_jobs_has_waited_no_longer_than_is_told() {
        let job = |ms: u64| JobOutcome {
            http_status: 200,
            finish_reason: Some("stop".into()),
            asked_at_us: Some(0),
            ttft_us: Some(ms),
            took_us: 10 * ms,
            ..JobOutcome::default()
        };
        let report = Report { outcomes: (1..=200).rev().map(job).collect(), ..Report::default() };
        let waits = report.waits();
        let at = |of: usize, permille: u32| {
            let (_, waits) = &waits[of];
            waits.iter().find(|(at, _)| *at == permille).map(|(_, us)| *us)
        };
        assert_eq!(waits.iter().map(|(until, _)| *until).collect::<Vec<_>>(), ["ttft", "sojourn"]);
        assert_eq!(
            [0, 10, 500, 990, 995, 1_000].map(|permille| at(0, permille)),
            [1, 2, 100, 198, 199, 200].map(Some)
        );
        assert_eq!(at(1, 500), Some(1_000));
        assert_eq!(Report::default().waits(), []);
    }
}
