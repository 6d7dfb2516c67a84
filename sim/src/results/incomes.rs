//! `providers.parquet`: what each provider did and earned in each run.

use std::path::Path;

use super::parquet::{Batches, Columns};

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

/// The file's rows, in the plan's order, and by name within a run.
///
/// # Errors
/// If there is no such file, or it is not of this form; the error names it.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Income, String>>, String> {
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
