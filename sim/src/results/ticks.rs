//! `ticks.parquet`: what went on over virtual time, in long form. Which series there are, [`crate::report::ticks`] says.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Float64Array, Int64Array};
use arrow_schema::{DataType, Field, Schema};

use super::Kept;
use super::parquet::{Batches, Columns, Rows};

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

/// Writes runs one after the other.
pub(super) struct Writer(Rows);

impl Writer {
    pub(super) fn new(to: File) -> Result<Self, String> {
        let series = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let fields = [
            ("point", DataType::Int64),
            ("run", DataType::Int64),
            ("at_s", DataType::Float64),
            ("series", series),
            ("value", DataType::Float64),
        ];
        let fields: Vec<Field> = fields.into_iter().map(|(name, of)| Field::new(name, of, false)).collect();
        Rows::new(to, Schema::new(fields)).map(Self)
    }

    pub(super) fn add(&mut self, kept: &Kept) -> Result<(), String> {
        let many = kept.ticks().count();
        let same = |number: u32| Int64Array::from_value(number.into(), many);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(same(kept.ran.point)),
            Arc::new(same(kept.ran.run)),
            Arc::new(Float64Array::from_iter_values(kept.ticks().map(|(_, at_s, _)| at_s))),
            Arc::new(kept.ticks().map(|(series, _, _)| series).collect::<DictionaryArray<Int32Type>>()),
            Arc::new(Float64Array::from_iter_values(kept.ticks().map(|(_, _, value)| value))),
        ];
        self.0.add(columns)
    }

    pub(super) fn close(self) -> Result<(), String> {
        self.0.close()
    }
}

/// The file's rows, in the plan's order.
///
/// # Errors
/// If there is no such file, or it is not of this form; the error names it.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Tick, String>> + use<>, String> {
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
