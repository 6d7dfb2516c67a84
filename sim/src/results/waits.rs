//! `waits.parquet`: how long the measured jobs of each run waited, in long form.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array};
use arrow_schema::{DataType, Field, Schema};

use super::Kept;
use super::parquet::{Batches, Columns, Rows};

pub const FILE: &str = "waits.parquet";

/// How long some of a run's jobs waited at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// In the manifest's points.
    pub point: u32,
    /// The seed's number within the point, from 0.
    pub run: u32,
    /// For what: `ttft`, the first text, or `sojourn`, the last byte.
    pub until: String,
    /// Of a thousand jobs so many waited no longer; 0: who waited least.
    pub permille: u32,
    pub us: i64,
}

/// Writes runs one after the other.
pub(super) struct Writer(Rows);

impl Writer {
    pub(super) fn new(to: File) -> Result<Self, String> {
        let until = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let number = |name| Field::new(name, DataType::Int64, false);
        let until = Field::new("until", until, false);
        let fields = vec![number("point"), number("run"), until, number("permille"), number("us")];
        Rows::new(to, Schema::new(fields)).map(Self)
    }

    pub(super) fn add(&mut self, kept: &Kept) -> Result<(), String> {
        let many = kept.waits().count();
        let same = |number: u32| Int64Array::from_value(number.into(), many);
        let permille = kept.waits().map(|(_, permille, _)| permille.into());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(same(kept.ran.point)),
            Arc::new(same(kept.ran.run)),
            Arc::new(kept.waits().map(|(until, _, _)| until).collect::<DictionaryArray<Int32Type>>()),
            Arc::new(Int64Array::from_iter_values(permille)),
            Arc::new(Int64Array::from_iter_values(kept.waits().map(|(_, _, us)| us))),
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
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Wait, String>> + use<>, String> {
    Ok(Batches::open(path)?.rows(waits))
}

fn waits(columns: &Columns<'_>) -> Result<Vec<Wait>, String> {
    let (until, us) = (columns.texts("until")?, columns.numbers("us")?);
    let wait = |row| {
        Ok(Wait {
            point: columns.place("point", row)?,
            run: columns.place("run", row)?,
            until: until.value(row).to_owned(),
            permille: columns.place("permille", row)?,
            us: us.value(row),
        })
    };
    (0..columns.rows()).map(wait).collect()
}
