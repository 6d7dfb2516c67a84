//! `providers.parquet`: what each provider did and earned in each run.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringArray};
use arrow_schema::{DataType, Field, Schema};

use super::Kept;
use super::parquet::{Batches, Columns, Rows};

pub const FILE: &str = "providers.parquet";

/// What one provider came to in one run, over the whole of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Income {
    /// In the manifest's points.
    pub point: u32,
    /// The seed's number within the point, from 0.
    pub run: u32,
    /// As the scenario names it.
    pub provider: String,
    /// Jobs that it completed.
    pub jobs: i64,
    /// What its receipts pay it, in micro-units of the FEP's currency; what is paid in others is left out.
    pub earned: i64,
}

/// Writes runs one after the other.
pub(super) struct Writer(Rows);

impl Writer {
    pub(super) fn new(to: File) -> Result<Self, String> {
        let number = |name| Field::new(name, DataType::Int64, false);
        let provider = Field::new("provider", DataType::Utf8, false);
        let fields = vec![number("point"), number("run"), provider, number("jobs"), number("earned")];
        Rows::new(to, Schema::new(fields)).map(Self)
    }

    pub(super) fn add(&mut self, kept: &Kept) -> Result<(), String> {
        let many = kept.incomes().count();
        let same = |number: u32| Int64Array::from_value(number.into(), many);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(same(kept.ran.point)),
            Arc::new(same(kept.ran.run)),
            Arc::new(StringArray::from_iter_values(kept.incomes().map(|(provider, _, _)| provider))),
            Arc::new(Int64Array::from_iter_values(kept.incomes().map(|(_, jobs, _)| jobs))),
            Arc::new(Int64Array::from_iter_values(kept.incomes().map(|(_, _, earned)| earned))),
        ];
        self.0.add(columns)
    }

    pub(super) fn close(self) -> Result<(), String> {
        self.0.close()
    }
}

/// The file's rows, in the plan's order, and by name within a run.
///
/// # Errors
/// If there is no such file, or it is not of this form; the error names it.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Income, String>> + use<>, String> {
    Ok(Batches::open(path)?.rows(incomes))
}

fn incomes(columns: &Columns<'_>) -> Result<Vec<Income>, String> {
    let (provider, jobs, earned) =
        (columns.texts("provider")?, columns.numbers("jobs")?, columns.numbers("earned")?);
    let income = |row| {
        Ok(Income {
            point: columns.place("point", row)?,
            run: columns.place("run", row)?,
            provider: provider.value(row).to_owned(),
            jobs: jobs.value(row),
            earned: earned.value(row),
        })
    };
    (0..columns.rows()).map(income).collect()
}
