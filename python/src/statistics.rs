//! The simulator's statistics, for figures of a frame.

use labman_sim::stats::{self, Interval};
use pyo3::prelude::*;

use crate::bad;

type Known = (f64, Option<f64>, Option<f64>, Option<f64>);

fn of_none() -> PyErr {
    bad("no values: of nothing there is nothing to say".into())
}

fn ends(interval: Option<Interval>) -> (Option<f64>, Option<f64>) {
    (interval.map(|interval| interval.low), interval.map(|interval| interval.high))
}

/// Mean, sample standard deviation, and the interval's ends.
#[pyfunction]
pub(crate) fn estimate(values: Vec<f64>) -> PyResult<Known> {
    let found = stats::estimate(&values).ok_or_else(of_none)?;
    let (low, high) = ends(found.interval);
    Ok((found.mean, found.deviation, low, high))
}

/// The same of `after - before`, and the p of the paired t test.
#[pyfunction]
pub(crate) fn difference(before: Vec<f64>, after: Vec<f64>) -> PyResult<(Known, Option<f64>)> {
    if before.len() != after.len() {
        let (before, after) = (before.len(), after.len());
        return Err(bad(format!("{before} values before and {after} after: they must be pairs")));
    }
    let pairs: Vec<(f64, f64)> = before.into_iter().zip(after).collect();
    let found = stats::difference(&pairs).ok_or_else(of_none)?;
    let (low, high) = ends(found.estimate.interval);
    Ok(((found.estimate.mean, found.estimate.deviation, low, high), found.p))
}

#[pyfunction]
pub(crate) fn quantile(values: Vec<f64>, q: f64) -> PyResult<f64> {
    if !(0.0..=1.0).contains(&q) {
        return Err(bad(format!("q={q}: a quantile is between 0 and 1")));
    }
    stats::quantile(&values, q).ok_or_else(of_none)
}

#[pyfunction]
pub(crate) fn gini(values: Vec<f64>) -> PyResult<f64> {
    stats::gini(&values).ok_or_else(of_none)
}
