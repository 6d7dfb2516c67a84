//! What a sweep varies, as the command line's options of the same names take it.

use std::path::PathBuf;

use labman_sim::sweep::{Dimension, Grid, Zip, latin, list, zipped};
use pyo3::prelude::*;

use crate::bad;

pub(crate) type Varied = Vec<(String, Vec<String>)>;
/// What errors call it, paths, and a value for each of them at each point.
pub(crate) type Listed = (String, Vec<String>, Vec<Vec<String>>);

/// The points of a file.
#[pyfunction]
pub(crate) fn listed(path: PathBuf) -> PyResult<Listed> {
    let Dimension { option, paths, places } = list::read(&path).map_err(bad)?;
    Ok((option.into_owned(), paths, places))
}

/// Those of a Latin hypercube, if there are ranges to draw from.
pub(crate) fn drawn(latin: &Varied, points: Option<u32>, seed: u64) -> Result<Option<Dimension>, String> {
    let range = |(path, bounds): &(String, Vec<String>)| match bounds.as_slice() {
        [low, high] => format!("{path}={low}..{high}").parse::<latin::Range>(),
        _ => Err(format!("{path}: a range has two bounds, write (low, high)")),
    };
    let ranges: Vec<latin::Range> = latin.iter().map(range).collect::<Result<_, String>>()?;
    match (ranges.is_empty(), points) {
        (true, Some(_)) => Err("points: of what is for latin={path: (low, high)} to say".into()),
        (false, None | Some(0)) => Err("latin: points=50 says how many are drawn, one at least".into()),
        (_, points) => latin::hypercube(&ranges, points.unwrap_or(0), seed),
    }
}

/// In the command line's order.
pub(crate) fn dimensions(
    grid: Varied,
    list: Option<Listed>,
    zip: Varied,
    drawn: Option<Dimension>,
) -> Result<Vec<Dimension>, String> {
    if let Some((path, _)) = grid.iter().chain(&zip).find(|(_, values)| values.is_empty()) {
        return Err(format!("{path}: no values to vary it over"));
    }
    let grids = grid.into_iter().map(|(path, values)| Dimension::from(Grid { path, values }));
    let list = list.map(|(option, paths, places)| Dimension { option: option.into(), paths, places });
    let zips: Vec<Zip> = zip.into_iter().map(|(path, values)| Zip { path, values }).collect();
    Ok(grids.chain(list).chain(zipped(&zips)?).chain(drawn).collect())
}
