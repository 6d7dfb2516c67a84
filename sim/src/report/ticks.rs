//! What went on, interval by interval, worked out from what each job came to: it costs a run nothing.
//!
//! A series is one line of [`SERIES`].

use labman_proto_core::time::Span;

use super::prices::{self, Asked};
use super::service::Times;
use super::{Ending, Report};

/// Something that is told of each interval.
pub struct Series {
    pub name: &'static str,
    pub unit: &'static str,
    pub what: &'static str,
    /// `None`: the interval has none, such as a mean of no jobs.
    value: fn(&Interval) -> Option<f64>,
}

const fn series(
    name: &'static str,
    unit: &'static str,
    what: &'static str,
    value: fn(&Interval) -> Option<f64>,
) -> Series {
    Series { name, unit, what, value }
}

pub const SERIES: &[Series] = &[
    series("jobs.asked", "jobs", "asked for in the interval", |it| Some(it.asked as f64)),
    series("jobs.completed", "jobs", "completed in the interval", |it| Some(it.completed as f64)),
    series("jobs.refused", "jobs", "refused in the interval", |it| Some(it.refused as f64)),
    series("jobs.failed", "jobs", "failed in the interval", |it| Some(it.failed as f64)),
    series("jobs.under_way", "jobs", "under way at its end", |it| Some(it.under_way as f64)),
    series("ttft.mean_ms", "ms", "mean TTFT of jobs asked for in it and completed", |it| it.ttft.mean_ms()),
    series("ttft.p95_ms", "ms", "95th percentile of the TTFT of jobs asked for in it and completed", |it| {
        it.ttft.percentile_ms(95)
    }),
    series(
        "sojourn.mean_ms",
        "ms",
        "mean time to the last byte of jobs asked for in it and completed",
        |it| it.sojourn.mean_ms(),
    ),
    series(
        "sojourn.p95_ms",
        "ms",
        "95th percentile of the time to the last byte of jobs asked for in it and completed",
        |it| it.sojourn.percentile_ms(95),
    ),
    series("money.charged", "micro-units", "charged by receipts issued in it", |it| Some(it.charged as f64)),
    series("money.charged_total", "micro-units", "charged up to its end", |it| Some(it.charged_total as f64)),
    series(
        "money.earned",
        "micro-units",
        "what receipts issued in it pay providers in the FEP's currency",
        |it| Some(it.earned as f64),
    ),
    series(
        "market.price_micro",
        "micro-units",
        "asked for a million tokens of output in it, the mean of providers",
        |it| mean(&it.prices, |asked| asked.mean),
    ),
    series(
        "market.price_cheapest_micro",
        "micro-units",
        "asked for a million tokens of output in it by the cheapest provider",
        |it| mean(&it.prices, |asked| asked.cheapest),
    ),
];

/// In whole micro-units; `None` where nobody looked, or prices do not move.
fn mean(looks: &[Asked], of: fn(&Asked) -> i64) -> Option<f64> {
    prices::mean(looks.iter().map(of)).map(|mean| mean as f64)
}

/// A part of the time from the workload's start to the scenario's end; its beginning is in it, its end is not.
#[derive(Default)]
struct Interval {
    asked: u64,
    completed: u64,
    refused: u64,
    failed: u64,
    under_way: i64,
    ttft: Times,
    sojourn: Times,
    charged: i64,
    charged_total: i64,
    earned: i64,
    prices: Vec<Asked>,
}

/// How a series went in a run: when, in seconds since the workload's start, an interval that has a value ended, and that.
pub struct Course {
    pub series: &'static str,
    pub values: Vec<(f64, f64)>,
}

impl Report {
    /// Each series, in intervals of `every` from the workload's start to its end after `duration`; the last may be shorter.
    /// What is later is left out. Values have three decimals at most.
    #[must_use]
    pub fn courses(&self, every: Span, duration: Span) -> Vec<Course> {
        let ends = ends(every, duration);
        let intervals = self.intervals(every, duration, ends.len());
        let course = |series: &Series| {
            let values = ends.iter().zip(&intervals);
            let values = values.filter_map(|(end, it)| Some((*end, (series.value)(it)?)));
            Course { series: series.name, values: values.collect() }
        };
        SERIES.iter().map(course).collect()
    }

    fn intervals(&self, every: Span, duration: Span, many: usize) -> Vec<Interval> {
        // What is later is in none, though the last would have had room for it.
        let number = |at_us: u64| {
            let at = Some(at_us.saturating_mul(1_000)).filter(|at| *at < duration.0);
            at.and_then(|at| usize::try_from(at / every.0.max(1)).ok()).unwrap_or(usize::MAX)
        };
        let mut intervals: Vec<Interval> = std::iter::repeat_with(Interval::default).take(many).collect();
        let (mut ttft, mut sojourn): (Vec<Vec<u64>>, Vec<Vec<u64>>) =
            (vec![vec![]; many], vec![vec![]; many]);
        for job in &self.outcomes {
            let Some(asked) = job.asked_at_us.map(number).filter(|asked| *asked < many) else { continue };
            intervals[asked].asked += 1;
            let ended = job.ended_at_us.map_or(usize::MAX, number);
            intervals[asked].under_way += 1;
            if job.ending() == Ending::Completed {
                ttft[asked].extend(job.ttft_us);
                sojourn[asked].push(job.took_us);
            }
            let Some(interval) = intervals.get_mut(ended) else { continue };
            interval.under_way -= 1;
            match job.ending() {
                Ending::Completed => interval.completed += 1,
                Ending::Refused => interval.refused += 1,
                Ending::Failed => interval.failed += 1,
                Ending::Unasked => {}
            }
        }
        for receipt in &self.receipts {
            if let Some(interval) = intervals.get_mut(number(receipt.issued_at_us)) {
                interval.charged = interval.charged.saturating_add(receipt.charge.0);
                let own = self.is_own(&receipt.currency);
                interval.earned = interval.earned.saturating_add(if own { receipt.payout.0 } else { 0 });
            }
        }
        for asked in self.prices.iter().flat_map(|prices| &prices.course) {
            if let Some(interval) = intervals.get_mut(number(asked.at_us)) {
                interval.prices.push(*asked);
            }
        }
        // So far, what each began and ended.
        let (mut under_way, mut total) = (0_i64, 0_i64);
        for ((interval, ttft), sojourn) in intervals.iter_mut().zip(ttft).zip(sojourn) {
            under_way += interval.under_way;
            total = total.saturating_add(interval.charged);
            (interval.under_way, interval.charged_total) = (under_way, total);
            interval.ttft = Times::new(ttft.into_iter());
            interval.sojourn = Times::new(sojourn.into_iter());
        }
        intervals
    }
}

/// In seconds.
fn ends(every: Span, duration: Span) -> Vec<f64> {
    let every = every.0.max(1);
    let many = duration.0.div_ceil(every);
    (1..=many).map(|number| number.saturating_mul(every).min(duration.0) as f64 / 1e9).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{JobOutcome, ReceiptFacts};
    use labman_proto_core::money::Micros;

    fn job(asked_at_us: u64, took_us: u64, http_status: u16) -> JobOutcome {
        JobOutcome {
            asked_at_us: Some(asked_at_us),
            ended_at_us: Some(asked_at_us + took_us),
            took_us,
            ttft_us: Some(took_us / 2),
            http_status,
            finish_reason: (http_status == 200).then(|| "stop".into()),
            ..JobOutcome::default()
        }
    }

    fn receipt(issued_at_us: u64, charge: i64) -> ReceiptFacts {
        ReceiptFacts {
            provider: "p".into(),
            gateway: "g".into(),
            slug: "s".into(),
            input_tokens: 0,
            cached_tokens: 0,
            output_tokens: 0,
            charge: Micros(charge),
            payout: Micros(charge / 2),
            currency: "XTS".parse().unwrap(),
            state: "paid".into(),
            issued_at_us,
        }
    }

    fn course(report: &Report, series: &str) -> Vec<(f64, f64)> {
        let all = report.courses(Span::from_secs(1), Span::from_millis(2_500));
        all.into_iter().find(|course| course.series == series).expect("there is that series").values
    }

    #[test]
    fn a_job_counts_where_it_was_asked_for_and_where_it_ended() {
        let never = JobOutcome { ended_at_us: None, http_status: 0, ..job(2_100_000, 0, 0) };
        // It ended after the scenario had.
        let late = job(2_400_000, 200_000, 200);
        let outcomes =
            vec![late, job(0, 1_500_000, 200), job(100_000, 50_000, 503), job(999_999, 1, 0), never];
        let report = Report { outcomes, ..Report::default() };
        assert_eq!(course(&report, "jobs.asked"), [(1.0, 3.0), (2.0, 0.0), (2.5, 2.0)]);
        assert_eq!(course(&report, "jobs.completed"), [(1.0, 0.0), (2.0, 1.0), (2.5, 0.0)]);
        assert_eq!(course(&report, "jobs.refused"), [(1.0, 1.0), (2.0, 0.0), (2.5, 0.0)]);
        // It broke off at the very second.
        assert_eq!(course(&report, "jobs.failed"), [(1.0, 0.0), (2.0, 1.0), (2.5, 0.0)]);
        assert_eq!(course(&report, "jobs.under_way"), [(1.0, 2.0), (2.0, 0.0), (2.5, 2.0)]);
    }

    #[test]
    fn times_are_of_the_jobs_that_were_asked_for_then_and_no_jobs_have_none() {
        let outcomes = vec![job(0, 1_500_000, 200), job(1, 500_001, 200), job(2, 9_000, 503)];
        let report = Report { outcomes, ..Report::default() };
        assert_eq!(course(&report, "sojourn.mean_ms"), [(1.0, 1_000.0)]);
        assert_eq!(course(&report, "sojourn.p95_ms"), [(1.0, 1_500.0)]);
        assert_eq!(course(&report, "ttft.mean_ms"), [(1.0, 500.0)]);
    }

    #[test]
    fn money_is_charged_when_the_receipt_is_issued_and_adds_up() {
        let receipts = vec![receipt(10, 7), receipt(2_400_000, 5), receipt(2_600_000, 100)];
        let report = Report { receipts, ..Report::default() };
        assert_eq!(course(&report, "money.charged"), [(1.0, 7.0), (2.0, 0.0), (2.5, 5.0)]);
        assert_eq!(course(&report, "money.charged_total"), [(1.0, 7.0), (2.0, 7.0), (2.5, 12.0)]);
        assert_eq!(course(&report, "money.earned"), [(1.0, 3.0), (2.0, 0.0), (2.5, 2.0)]);
    }

    #[test]
    fn prices_are_what_was_asked_for_when_somebody_looked() {
        let asked = |at_us, mean, cheapest| Asked { at_us, mean, cheapest };
        let course_of = vec![asked(100, 80, 50), asked(900_000, 90, 60), asked(2_000_000, 70, 70)];
        let prices = Some(prices::PriceReport { course: course_of, ..Default::default() });
        let report = Report { prices, ..Report::default() };
        assert_eq!(course(&report, "market.price_micro"), [(1.0, 85.0), (2.5, 70.0)]);
        assert_eq!(course(&report, "market.price_cheapest_micro"), [(1.0, 55.0), (2.5, 70.0)]);
        assert!(course(&Report::default(), "market.price_micro").is_empty());
    }
}
