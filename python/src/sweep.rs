//! Sweeps: a plan, its runs, and their rows.

use std::num::NonZero;

use labman_sim::crew;
use labman_sim::results::{Ran, Table};
use labman_sim::run::Passed;
use labman_sim::scenario::set::Document;
use labman_sim::sweep::{Ended, Plan as Planned, Shard};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::bad;
use crate::design::{Listed, Varied, dimensions, drawn};
use crate::rows::Rows;
use crate::run::sets;

/// What is to be run. Made from the scenario's text, so that another machine can make the same.
#[pyclass(frozen, module = "labman_sim._native")]
pub(crate) struct Plan(Planned);

#[pymethods]
impl Plan {
    /// `name` is what errors call the scenario.
    #[new]
    #[expect(clippy::too_many_arguments, reason = "Python names them")]
    fn new(
        name: String,
        text: String,
        seeds: u64,
        first_seed: u64,
        grid: Varied,
        list: Option<Listed>,
        zip: Varied,
        latin: Varied,
        points: Option<u32>,
        design_seed: u64,
        overrides: Vec<(String, String)>,
    ) -> PyResult<Self> {
        let end = first_seed.checked_add(seeds).filter(|_| seeds > 0);
        let end =
            end.ok_or_else(|| bad(format!("seeds={seeds}: one at least, and none beyond {}", u64::MAX)))?;
        let drawn = drawn(&latin, points, design_seed).map_err(bad)?;
        let dimensions = dimensions(grid, list, zip, drawn).map_err(bad)?;
        let document = Document::new(name, text).map_err(bad)?;
        let always = sets(&overrides).map_err(bad)?;
        Planned::new(&document, &always, &dimensions, first_seed..end).map(Self).map_err(bad)
    }

    fn __len__(&self) -> usize {
        self.0.runs()
    }

    /// Runs the plan, or the k-th shard of n, and gives what is kept of each run, to be given to [`Self::rows`]. `progress` is called
    /// on this thread; what it raises ends the runs, as a signal does.
    fn run(
        &self,
        py: Python<'_>,
        jobs: Option<NonZero<usize>>,
        shard: Option<(usize, usize)>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Vec<u8>> {
        let shard = shard.map(|(k, n)| format!("{k}/{n}").parse::<Shard>()).transpose().map_err(bad)?;
        let which: Vec<usize> =
            (0..self.0.runs()).filter(|index| shard.is_none_or(|shard| shard.has(*index))).collect();
        let keep = |Ended { point, run, seed, report, .. }| Ran::new(point, run, seed, &report);
        let mut kept = Vec::with_capacity(which.len());
        let of = which.len();
        py.detach(|| {
            self.0.run(jobs.unwrap_or_else(crew::cores), &which, &Passed::default(), keep, |ran| {
                kept.push(ran);
                Python::attach(|py| {
                    py.check_signals()?;
                    progress.as_ref().map_or(Ok(()), |told| told.call1(py, (kept.len(), of)).map(drop))
                })
            })
        })?;
        serde_json::to_vec(&kept).map_err(|error| bad(error.to_string()))
    }

    /// A row a run, in the plan's order, of what [`Self::run`] kept, wherever it ran.
    fn rows(&self, py: Python<'_>, parts: Vec<Vec<u8>>) -> PyResult<Rows> {
        py.detach(|| {
            let mut all: Vec<Ran> = Vec::new();
            for part in parts {
                let part: Vec<Ran> = serde_json::from_slice(&part).map_err(|error| error.to_string())?;
                all.extend(part);
            }
            all.sort_by_key(|ran| (ran.point, ran.run));
            if all.windows(2).any(|two| (two[0].point, two[0].run) == (two[1].point, two[1].run)) {
                return Err("a run is there twice: give each shard once".into());
            }
            Table::new(&self.0.manifest(), &all).batch().map(Rows)
        })
        .map_err(PyValueError::new_err::<String>)
    }
}
