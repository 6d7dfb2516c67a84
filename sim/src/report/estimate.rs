//! How well a run knows a mean: by the means of its parts, one after the other, each so long that it has little to do with the last:
//! five times what jobs take in the mean. A run of fewer than ten such parts does not know.

use std::collections::BTreeMap;

use labman_proto_core::rng::Seed;
use labman_proto_core::time::Span;

use super::{Ending, JobOutcome, Report};
use crate::oracle::beside::Estimate;
use crate::oracle::queue::{Choices, ErlangC, Queue, first_come_first_served, least_loaded};
use crate::oracle::{Formula, Oracle};
use crate::stats;

const PARTS_MOST: u64 = 20;
const PARTS_LEAST: u64 = 10;
/// In times of what jobs take in the mean, and in jobs.
const PART_LASTS: u64 = 5;
const PART_JOBS: usize = 5;
/// Where the book's queue draws, that it is drawn so often makes chance in it small beside that in the run.
const DRAWN_ANEW: u32 = 8;

impl Report {
    /// `None`: it is no mean of jobs' times, nor anything else that the book would have as well of the very same.
    pub(super) fn estimate(&self, oracle: &Oracle) -> Option<Estimate> {
        if let ("routing.reliability_variance_ppm", Formula::EwmaVariance(law)) =
            (oracle.field.as_str(), &oracle.formula)
        {
            let routing = self.routing.as_ref()?;
            let (value, book) = (routing.variance_ppm(), routing.book_variance_ppm(law.weight));
            return Some(Estimate { value, book: Some(book), half_width: None });
        }
        if let ("routing.first_asked_ppm", Formula::Ucb(law)) = (oracle.field.as_str(), &oracle.formula) {
            let routing = self.routing.as_ref()?;
            let mut draws = Seed::from_u64(self.seed).child("book").stream("outcomes");
            let book = routing.book_first_asked_ppm(law, &mut draws);
            return Some(Estimate {
                value: routing.first_asked_ppm as f64,
                book: Some(book),
                half_width: None,
            });
        }
        let took = match oracle.field.as_str() {
            "sojourn.mean_us" => |job: &JobOutcome| Some(job.took_us),
            "ttft.mean_us" => |job: &JobOutcome| job.ttft_us,
            _ => return None,
        };
        if oracle.field == "sojourn.mean_us"
            && let Some((differences, book)) = self.differences(&oracle.formula)
        {
            let Estimate { value, half_width, .. } = of_series(&differences, self.parts());
            return Some(Estimate { value: book + value, book: Some(book), half_width });
        }
        let mut jobs: Vec<(Option<u64>, u64)> =
            self.measured().filter_map(|job| Some((job.asked_at_us, took(job)?))).collect();
        jobs.sort_by_key(|(asked_at_us, _)| *asked_at_us);
        let series: Vec<f64> = jobs.into_iter().map(|(_, us)| us as f64).collect();
        Some(of_series(&series, self.parts()))
    }

    /// Into how many parts it can be cut. 0: it is too short.
    fn parts(&self) -> usize {
        let asked = || self.measured().filter_map(|job| job.asked_at_us);
        let lasted = asked().max().unwrap_or_default() - asked().min().unwrap_or_default();
        let took = self.sojourn().mean_us().unsigned_abs().max(1);
        match lasted / (PART_LASTS * took) {
            0..PARTS_LEAST => 0,
            parts => parts.min(PARTS_MOST) as usize,
        }
    }

    /// By how much longer each measured job took than it would have in the book's queue, and the mean of that, in microseconds. `None`:
    /// the book has none, or it is not known how long each was served.
    fn differences(&self, formula: &Formula) -> Option<(Vec<f64>, f64)> {
        let queued = self.as_in_a_queue()?;
        let (queue, servers) = match formula {
            Formula::ErlangC(ErlangC(queue)) => (queue, f64::from(queue.servers)),
            Formula::Choices(Choices(queue)) => (queue, self.providers.len() as f64),
            _ => return None,
        };
        if !is_of(&queued, queue, servers) {
            return None;
        }
        let streams: Vec<(Span, Span)> = queued.iter().map(|job| (job.comes, job.served)).collect();
        let book: Vec<f64> = match formula {
            Formula::ErlangC(_) => {
                let took = first_come_first_served(queue.servers, streams);
                took.into_iter().map(|span| span.0 as f64 / 1e3).collect()
            }
            _ => {
                let mut draws = Seed::from_u64(self.seed).child("book").stream("choices");
                let servers = self.providers.len();
                let mut sums = vec![0.0; streams.len()];
                for _ in 0..DRAWN_ANEW {
                    let took = least_loaded(servers, queue.servers as usize, &streams, &mut draws);
                    sums.iter_mut().zip(took).for_each(|(sum, span)| *sum += span.0 as f64 / 1e3);
                }
                sums.into_iter().map(|sum| sum / f64::from(DRAWN_ANEW)).collect()
            }
        };
        let measured = || queued.iter().zip(&book).filter(|(job, _)| job.comes >= self.measure_from);
        let differences: Vec<f64> = measured().map(|(job, book)| job.took_us as f64 - book).collect();
        let mean = measured().map(|(_, book)| book).sum::<f64>() / differences.len() as f64;
        (!differences.is_empty()).then_some((differences, mean))
    }

    /// All jobs as they came. `None`: not all were served, or somebody thought for longer than its job took, so that it was
    /// another's thought.
    fn as_in_a_queue(&self) -> Option<Vec<Queued>> {
        let mut jobs: Vec<&JobOutcome> =
            self.outcomes.iter().filter(|job| job.ending() != Ending::Unasked).collect();
        jobs.sort_by_key(|job| job.asked_at_us);
        let mut thoughts: BTreeMap<&str, _> =
            self.thoughts.iter().map(|(provider, all)| (provider.as_str(), all.iter())).collect();
        let queued = |job: &JobOutcome| {
            let served = *thoughts.get_mut(job.provider.as_deref()?)?.next()?;
            let fits = job.ending() == Ending::Completed && served.0 / 1_000 <= job.took_us;
            fits.then_some(Queued { comes: Span(job.asked_at_us? * 1_000), served, took_us: job.took_us })
        };
        jobs.into_iter().map(queued).collect()
    }
}

/// A job as a queue sees it.
struct Queued {
    comes: Span,
    served: Span,
    took_us: u64,
}

/// Do jobs come as often, are they served for as long, and does chance have as much part in either, as the formula has it?
fn is_of(queued: &[Queued], queue: &Queue, servers: f64) -> bool {
    let service = queue.service.0 as f64;
    let served = queued.iter().map(|job| job.served.0 as f64);
    let gaps = queued.windows(2).map(|two| (two[1].comes.0 - two[0].comes.0) as f64);
    are_exponential(served, service) && are_exponential(gaps, service / (queue.load * servers))
}

/// As far as so many can tell: the mean within four times its standard error, and the standard deviation in parts of it within six, as
/// that has a long tail.
fn are_exponential(of: impl Iterator<Item = f64>, expected: f64) -> bool {
    let (mut many, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in of {
        many += 1.0;
        sum += value;
        squares += value * value;
    }
    let mean = sum / many;
    let deviation = (squares / many - mean * mean).max(0.0).sqrt();
    let near = |ratio: f64, errors: f64| (ratio - 1.0).abs() <= errors / f64::sqrt(many);
    many > 0.0 && near(mean / expected, 4.0) && near(deviation / mean, 6.0)
}

fn of_series(series: &[f64], parts: usize) -> Estimate {
    let value = series.iter().sum::<f64>() / series.len().max(1) as f64;
    let part = series.len() / parts.max(1);
    let parts = series.chunks_exact(part.max(1)).take(parts);
    let means: Vec<f64> = parts.map(|part| part.iter().sum::<f64>() / part.len() as f64).collect();
    let interval = stats::estimate(&means).and_then(|estimate| estimate.interval);
    let half_width = interval.filter(|_| part >= PART_JOBS).map(|interval| interval.half_width());
    Estimate { value, book: None, half_width }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::queue::Queue;

    fn oracle(servers: u32, load: f64) -> Oracle {
        let queue = Queue { servers, load, service: Span::from_millis(3) };
        let (field, formula) = ("sojourn.mean_us".into(), Formula::ErlangC(ErlangC(queue)));
        Oracle { field, formula, within_percent: None, half_width_percent: None }
    }

    fn job(asked_at_us: u64, took_us: u64) -> JobOutcome {
        JobOutcome {
            provider: Some("p".into()),
            http_status: 200,
            finish_reason: Some("stop".into()),
            asked_at_us: Some(asked_at_us),
            took_us,
            ..JobOutcome::default()
        }
    }

    /// A job each second millisecond in the mean, which is served for three: two servers have enough to do.
    fn busy(late_us: u64) -> Report {
        let mut draws = Seed::from_u64(1).stream("busy");
        let mut draw = |mean| Span(draws.exponential(Span::from_millis(mean)).0 / 1_000 * 1_000);
        let jobs = (0..1_000).scan(Span(0), |at, _| {
            *at = *at + draw(2);
            Some((*at, draw(3)))
        });
        served_by_two(jobs.collect(), late_us)
    }

    fn served_by_two(jobs: Vec<(Span, Span)>, late_us: u64) -> Report {
        let took = first_come_first_served(2, jobs.iter().copied());
        let outcomes =
            jobs.iter().zip(took).map(|((at, _), took)| job(at.0 / 1_000, took.0 / 1_000 + late_us));
        let thoughts = [("p".into(), jobs.iter().map(|(_, thought)| *thought).collect())].into();
        Report { outcomes: outcomes.collect(), thoughts, ..Report::default() }
    }

    #[test]
    fn jobs_that_take_as_long_as_in_the_book_differ_by_nothing() {
        let same = busy(0).estimate(&oracle(2, 0.75)).unwrap();
        assert_eq!((Some(same.value), same.half_width), (same.book, Some(0.0)));
        let later = busy(7).estimate(&oracle(2, 0.75)).unwrap();
        assert_eq!((later.book, (later.value - same.value).round()), (same.book, 7.0));
    }

    #[test]
    fn where_a_slot_is_lost_the_jobs_differ_from_those_of_the_book() {
        let mut report = busy(0);
        let asked = report.outcomes.iter().map(|job| Span(job.asked_at_us.unwrap() * 1_000));
        let by_one: Vec<u64> = first_come_first_served(1, asked.zip(report.thoughts["p"].iter().copied()))
            .into_iter()
            .map(|span| span.0 / 1_000)
            .collect();
        report.outcomes.iter_mut().zip(by_one).for_each(|(job, took_us)| job.took_us = took_us);
        let Estimate { value, book, .. } = report.estimate(&oracle(2, 0.75)).unwrap();
        assert!(value - book.unwrap() > 50_000.0);
    }

    #[test]
    fn jobs_of_another_queue_than_the_books_are_not_held_beside_it() {
        let from_the_book = |servers, load| busy(0).estimate(&oracle(servers, load)).unwrap().book.is_some();
        assert!(from_the_book(2, 0.75));
        assert!(!from_the_book(2, 0.3) && !from_the_book(5, 0.75), "they come oftener, or less often");
        let mut report = busy(0);
        report.thoughts.values_mut().flatten().for_each(|thought| *thought = Span::from_millis(1));
        assert_eq!(report.estimate(&oracle(2, 0.75)).unwrap().book, None, "they are served for less");
        let by_the_clock: Vec<(Span, Span)> =
            (0..200).map(|number| (Span::from_millis(2 * number), Span::from_millis(3))).collect();
        let regular = served_by_two(by_the_clock, 0).estimate(&oracle(2, 0.75)).unwrap();
        assert_eq!(regular.book, None, "they come, and are served, as regularly as no exponential ones are");
    }

    #[test]
    fn where_a_job_was_not_served_only_what_was_measured_is_told() {
        let mut report = busy(0);
        report.outcomes[0].finish_reason = None;
        let estimate = report.estimate(&oracle(2, 0.75)).unwrap();
        assert!(estimate.book.is_none() && estimate.half_width.is_some(), "{estimate:?}");
    }

    #[test]
    fn a_run_that_is_too_short_does_not_know() {
        let mut report = busy(0);
        report.outcomes.truncate(70);
        assert_eq!(report.estimate(&oracle(2, 0.75)).unwrap().half_width, None);
        report.outcomes.clear();
        assert_eq!(report.estimate(&oracle(2, 0.75)).unwrap().book, None, "nothing was asked");
    }

    #[test]
    fn a_mean_that_drifts_is_not_known_well_and_that_of_a_few_jobs_not_at_all() {
        let half = |jobs: u64| {
            let series: Vec<f64> = (0..jobs).map(|at| at as f64).collect();
            of_series(&series, 20).half_width
        };
        assert!(half(1_000).unwrap() > 100.0);
        assert_eq!(half(99), None);
    }
}
