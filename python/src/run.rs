//! One run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use labman_sim::oracle::baselines::Baselines;
use labman_sim::report;
use labman_sim::scenario::set::{Document, Set};
use pyo3::prelude::*;

use crate::bad;

/// The report as JSON, and its figures by name.
#[pyfunction]
pub(crate) fn run(
    py: Python<'_>,
    path: PathBuf,
    seed: u64,
    overrides: Vec<(String, String)>,
) -> PyResult<(String, BTreeMap<&'static str, i64>)> {
    let ran = py.detach(|| -> Result<_, String> {
        let sets = sets(&overrides)?;
        let document = Document::read(&path)?;
        let scenario = document.with(&sets)?.scenario;
        let baselines = Baselines::new(&document, &sets, &scenario)?;
        let mut report = labman_sim::run(&scenario, seed);
        baselines.beside(seed, &mut report);
        let figures = report::figures().filter_map(|name| Some((name, report.figure(name)?)));
        Ok((report.to_json().to_string(), figures.collect()))
    });
    ran.map_err(bad)
}

/// The names of all figures that a run may have.
#[pyfunction]
pub(crate) fn figures() -> Vec<&'static str> {
    report::figures().collect()
}

pub(crate) fn sets(overrides: &[(String, String)]) -> Result<Vec<Set>, String> {
    overrides.iter().map(|(path, value)| Set::new(path, value)).collect()
}
