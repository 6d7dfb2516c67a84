//! Means with confidence intervals, the paired t test, quantiles and Gini's coefficient, for figures of whole runs.
//!
//! Student's t distribution is `statrs`'s: kept, small without its default features (no linear algebra, no randomness), and
//! within 1e-12 of SciPy for up to a thousand degrees of freedom. What is absent: corrections for looking at many figures
//! (at 95 %, one in twenty that did not change looks as if it had), and any part in a run. Floats begin where runs end.

pub mod rank;

use statrs::distribution::{ContinuousCDF, StudentsT};

/// How often an interval made this way holds the true value.
pub const CONFIDENCE: f64 = 0.95;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    #[must_use]
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// A sample, and what it says about the mean of what it was drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub mean: f64,
    /// Sample standard deviation (n - 1); `None` for a single value, as is the interval.
    pub deviation: Option<f64>,
    pub interval: Option<Interval>,
}

/// What pairs say about the difference within a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    pub estimate: Estimate,
    /// Two-sided, of the paired t test: how often chance alone would give as large a t. `None` for a single pair. Where
    /// every pair differs by the same, 0; where none differs, 1.
    pub p: Option<f64>,
}

impl Difference {
    /// Both of each pair are the same.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.estimate.mean == 0.0 && self.estimate.deviation.is_none_or(|deviation| deviation == 0.0)
    }
}

/// `None` of no values.
pub fn estimate(sample: &[f64]) -> Option<Estimate> {
    let mean = mean(sample)?;
    let deviation = deviation(sample, mean);
    let interval = deviation.map(|deviation| {
        let half = t_quantile(0.5 + CONFIDENCE / 2.0, degrees(sample)) * standard_error(deviation, sample);
        Interval { low: mean - half, high: mean + half }
    });
    Some(Estimate { mean, deviation, interval })
}

/// Of `after - before`, pair by pair. `None` of no pairs.
pub fn difference(pairs: &[(f64, f64)]) -> Option<Difference> {
    let differences: Vec<f64> = pairs.iter().map(|(before, after)| after - before).collect();
    let estimate = estimate(&differences)?;
    let p = estimate.deviation.map(|deviation| {
        if deviation == 0.0 {
            return if estimate.mean == 0.0 { 1.0 } else { 0.0 };
        }
        let t = estimate.mean / standard_error(deviation, &differences);
        t_two_sided(t, degrees(&differences))
    });
    Some(Difference { estimate, p })
}

/// The value that a part `q` of the sample, from 0 to 1, is at or below: by linear interpolation between the two values next to
/// `q (n - 1)` in order, NumPy's default and R's type 7 (Hyndman and Fan, "Sample quantiles in statistical packages", 1996).
/// `None` of no values, and where `q` is no such part.
pub fn quantile(sample: &[f64], q: f64) -> Option<f64> {
    quantiles(sample, &[q]).map(|of| of[0])
}

/// Several at once, which sorts once.
pub fn quantiles(sample: &[f64], qs: &[f64]) -> Option<Vec<f64>> {
    if sample.is_empty() || !qs.iter().all(|q| (0.0..=1.0).contains(q)) {
        return None;
    }
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |q: &f64| {
        let place = q * degrees(sample);
        let (below, part) = (place.floor(), place.fract());
        let low = sorted[below as usize];
        // Of equal values it is exactly that value.
        let high = sorted.get(below as usize + 1).copied().unwrap_or(low);
        low + (high - low) * part
    };
    Some(qs.iter().map(at).collect())
}

/// Gini's coefficient of amounts that are not below zero: half the mean difference of any two of them, the same with itself
/// among them, over their mean. 0 where all are the same, 1 - 1/n where one has all. `None` of no values, of nothing at all,
/// and where one is below zero.
pub fn gini(sample: &[f64]) -> Option<f64> {
    let total: f64 = sample.iter().sum();
    if total <= 0.0 || sample.iter().any(|value| *value < 0.0) {
        return None;
    }
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let many = sample.len() as f64;
    let ranks =
        sorted.iter().enumerate().map(|(rank, value)| (2.0 * (rank as f64 + 1.0) - many - 1.0) * value);
    Some(ranks.sum::<f64>() / (many * total))
}

/// Values are taken relative to the first: large ones that differ a little keep their digits, and equal ones are exactly
/// their mean.
fn mean(sample: &[f64]) -> Option<f64> {
    let first = *sample.first()?;
    let sum: f64 = sample.iter().map(|value| value - first).sum();
    Some(first + sum / sample.len() as f64)
}

/// In a second pass over the values, with what the first one's rounding left taken out: Chan, Golub and LeVeque,
/// "Algorithms for computing the sample variance" (1983), equation 1.7.
fn deviation(sample: &[f64], mean: f64) -> Option<f64> {
    if sample.len() < 2 {
        return None;
    }
    let squares: f64 = sample.iter().map(|value| (value - mean).powi(2)).sum();
    let rest: f64 = sample.iter().map(|value| value - mean).sum();
    let variance = (squares - rest * rest / sample.len() as f64) / degrees(sample);
    Some(variance.max(0.0).sqrt())
}

fn degrees(sample: &[f64]) -> f64 {
    sample.len() as f64 - 1.0
}

fn standard_error(deviation: f64, sample: &[f64]) -> f64 {
    deviation / (sample.len() as f64).sqrt()
}

/// The value that a t variable with so many degrees of freedom (at least 1) stays below with that probability.
fn t_quantile(probability: f64, degrees: f64) -> f64 {
    student(degrees).inverse_cdf(probability)
}

/// How likely a t variable is to be at least that far from 0.
fn t_two_sided(t: f64, degrees: f64) -> f64 {
    // The upper tail rather than 1 - cdf, which has no digits left far out.
    (2.0 * student(degrees).sf(t.abs())).min(1.0)
}

fn student(degrees: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, degrees).expect("degrees of freedom are above zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    // The numbers below are from NumPy 2.4.6 and SciPy 1.17.1.

    const TWO: [f64; 2] = [3.0, 5.0];
    /// Small differences on a large number.
    const OFFSET: [f64; 6] = [1e9 + 0.25, 1e9 + 0.5, 1e9 + 0.125, 1e9 + 0.75, 1e9 + 0.375, 1e9 + 0.0625];

    fn thirty() -> Vec<f64> {
        (0..30_u32).map(|i| f64::from((i * i * 7 + 3 * i) % 101) + 0.25 * f64::from(i)).collect()
    }

    fn near(found: f64, wanted: f64) {
        let error = (found - wanted).abs() / wanted.abs().max(f64::MIN_POSITIVE);
        assert!(error < 1e-12, "{found:e} is not {wanted:e}");
    }

    /// `a.mean(), a.std(ddof=1), stats.t.interval(.95, n - 1, loc=a.mean(), scale=stats.sem(a))`
    #[test]
    fn a_mean_and_its_interval_are_those_of_scipy() {
        let holds = |sample: &[f64], mean, deviation, low, high| {
            let found = estimate(sample).unwrap();
            near(found.mean, mean);
            near(found.deviation.unwrap(), deviation);
            near(found.interval.unwrap().low, low);
            near(found.interval.unwrap().high, high);
        };
        holds(&TWO, 4.0, std::f64::consts::SQRT_2, -8.706204736174694, 16.706204736174694);
        holds(&thirty(), 43.49166666666667, 28.92614580132549, 32.690466311692184, 54.29286702164115);
        holds(&OFFSET, 1000000000.34375, 0.2554102092712819, 1000000000.0757134, 1000000000.6117866);
    }

    /// `r = stats.ttest_rel(b, a); (b - a).mean(), r.pvalue, r.confidence_interval(.95)`
    #[test]
    fn a_paired_difference_is_that_of_scipy() {
        let holds = |before: &[f64], after: &[f64], mean, p, low, high| {
            let pairs: Vec<_> = before.iter().copied().zip(after.iter().copied()).collect();
            let found = difference(&pairs).unwrap();
            near(found.estimate.mean, mean);
            near(found.p.unwrap(), p);
            near(found.estimate.interval.unwrap().low, low);
            near(found.estimate.interval.unwrap().high, high);
        };
        holds(&TWO, &[2.0, 7.0], 0.5, 0.7951672353008665, -18.55930710426204, 19.55930710426204);
        let more = |(i, value)| value + 1.5 + (f64::from((i * 5) % 7) - 3.0) * 0.8;
        let after: Vec<f64> = (0..).zip(thirty()).map(more).collect();
        holds(
            &thirty(),
            &after,
            1.4733333333333336,
            3.750350952677034e-05,
            0.8532221952102363,
            2.093444471456431,
        );
        let after = [1e9 + 0.5, 1e9 + 0.625, 1e9 + 0.25, 1e9 + 0.8125, 1e9 + 0.5, 1e9 + 0.25];
        holds(
            &OFFSET,
            &after,
            0.14583333333333334,
            0.0026426054420447963,
            0.07809255406277216,
            0.21357411260389453,
        );
    }

    /// `stats.t.ppf(p, df)` and `2 * stats.t.sf(t, df)`
    #[test]
    fn students_distribution_is_that_of_scipy() {
        near(t_quantile(0.975, 1.0), 12.706204736174694);
        near(t_quantile(0.975, 2.0), 4.302652729749462);
        near(t_quantile(0.975, 29.0), 2.045229642132703);
        near(t_quantile(0.995, 29.0), 2.756385903670605);
        near(t_quantile(0.975, 999.0), 1.9623414611334493);
        near(t_quantile(0.75, 4.0), 0.7406970841126829);
        near(t_two_sided(0.0, 5.0), 1.0);
        near(t_two_sided(2.5, 1.0), 0.24223788318168682);
        near(t_two_sided(-1.3, 7.0), 0.23476783539237725);
        near(t_two_sided(12.0, 4.0), 0.000276428548502973);
        near(t_two_sided(40.0, 60.0), 5.755480486627385e-45);
    }

    /// `np.quantile(a, q)`
    #[test]
    fn quantiles_are_those_of_numpy() {
        let qs = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0];
        let holds = |sample: &[f64], wanted: [f64; 7]| {
            let found = quantiles(sample, &qs).unwrap();
            assert!(
                found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-12),
                "{found:?}"
            );
        };
        holds(&thirty(), [0.0, 5.4125000000000005, 24.0, 37.0, 69.5, 90.8, 104.5]);
        holds(&[5.0, 3.0], [3.0, 3.1, 3.5, 4.0, 4.5, 4.9, 5.0]);
        near(quantile(&[3.0, 1.0, 5.0, 2.0, 4.0], 0.33).unwrap(), 2.3200000000000003);
        assert_eq!(quantile(&[0.1; 7], 0.3), Some(0.1));
        assert_eq!((quantile(&[], 0.5), quantile(&TWO, 1.1), quantile(&TWO, f64::NAN)), (None, None, None));
    }

    /// `np.abs(a[:, None] - a[None, :]).mean() / (2 * a.mean())`
    #[test]
    fn gini_is_half_the_relative_mean_difference() {
        near(gini(&thirty()).unwrap(), 0.3696429711949927);
        near(
            gini(&[0.0, 0.0, 120_000.0, 3_400_000.0, 5.0, 999_999.0, 12_345_678.0]).unwrap(),
            0.7595648624568772,
        );
        assert_eq!([gini(&[5.0, 3.0]), gini(&[4.0, 2.0, 1.0, 3.0])], [Some(0.125), Some(0.25)]);
        assert_eq!([gini(&[0.0, 0.0, 8.0, 0.0]), gini(&[7.0; 3])], [Some(0.75), Some(0.0)]);
        assert_eq!([gini(&[]), gini(&[0.0, 0.0]), gini(&[1.0, -1.0, 3.0])], [None; 3]);
    }

    #[test]
    fn a_single_value_has_a_mean_and_no_interval() {
        assert_eq!(estimate(&[]), None);
        assert_eq!(estimate(&[0.1]), Some(Estimate { mean: 0.1, deviation: None, interval: None }));
        assert_eq!(difference(&[(1.0, 2.0)]).unwrap().p, None);
    }

    #[test]
    fn equal_values_do_not_vary_at_all() {
        let found = estimate(&[0.1; 7]).unwrap();
        assert_eq!((found.mean, found.deviation), (0.1, Some(0.0)));
        assert_eq!(difference(&[(1.0, 1.0), (2.0, 2.0)]).unwrap().p, Some(1.0));
        assert_eq!(difference(&[(1.0, 2.0), (2.0, 3.0)]).unwrap().p, Some(0.0));
    }
}
