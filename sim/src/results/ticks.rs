//! `ticks.parquet`: what went on over virtual time, in long form.

use std::path::Path;

use super::parquet::{Batches, Columns};

pub const FILE: &str = "ticks.parquet";

/// One value of one series in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// In the manifest's points.
    pub point: u32,
    /// The seed's number within the point, from 0.
    pub run: u32,
    /// The end of the interval it is about, in seconds since the start of the workload.
    pub at_s: f64,
    pub series: String,
    pub value: f64,
}

/// The file's rows, in the plan's order.
///
/// # Errors
/// If there is no such file, or it is not of this form; the error names it.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Tick, String>>, String> {
    Ok(Batches::open(path)?.rows(ticks))
}

fn ticks(columns: &Columns<'_>) -> Result<Vec<Tick>, String> {
    let (at_s, series, value) = (columns.floats("at_s")?, columns.texts("series")?, columns.floats("value")?);
    let tick = |row| {
        Ok(Tick {
            point: columns.place("point", row)?,
            run: columns.place("run", row)?,
            at_s: at_s.value(row),
            series: series.value(row).to_owned(),
            value: value.value(row),
        })
    };
    (0..columns.rows()).map(tick).collect()
}
