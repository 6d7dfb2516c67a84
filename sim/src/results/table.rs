//! A sweep's table as it is written: the same rows and columns as CSV and as Parquet ([`super::sheet`] says which).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema};

use super::parquet::Rows;
use super::{Manifest, Ran};
use crate::report;

pub const CSV: &str = "runs.csv";
pub const PARQUET: &str = "runs.parquet";

/// Before an account's name, where its balance is a figure.
pub const BALANCE: &str = "balance.";
pub const BALANCE_OF_USER: &str = "balance.user:";
pub(super) const LEDGER_BALANCED: &str = "ledger_balanced";

/// Before what was varied, and between that and the figures.
pub(super) const FIRST: [&str; 4] = ["scenario", "variant", "point", "run"];
pub(super) const MIDDLE: [&str; 5] = ["seed", "build", "trace_hash", "passed", "error"];

/// Rows that are turned into columns at a time.
const BATCH: usize = 8_192;

/// Some runs of a plan. Figures are [`report::FIGURES`] and those others that a run has, whether the ledger balanced, and each
/// account's balance in micro-units: an account that a run did not use has 0.
pub struct Table<'a> {
    manifest: &'a Manifest,
    rows: &'a [Ran],
    /// By number in [`report::figures`].
    figures: Vec<(usize, &'static str)>,
    accounts: BTreeSet<&'a str>,
}

/// A column's part in a batch.
enum Cells {
    Texts(Vec<String>),
    /// As they were written; typed where it is known what a column holds.
    Varied(Vec<String>, DataType),
    Numbers(Vec<Option<i64>>),
    Seeds(Vec<u64>),
    Flags(Vec<bool>),
}

impl<'a> Table<'a> {
    /// `rows` in the plan's order.
    #[must_use]
    pub fn new(manifest: &'a Manifest, rows: &'a [Ran]) -> Self {
        let always = |number: usize| number < report::FIGURES.len();
        let has = |number: usize| rows.iter().any(|row| row.figure(number).is_some());
        let figures = report::figures().enumerate().filter(|(number, _)| always(*number) || has(*number));
        Self {
            manifest,
            rows,
            figures: figures.collect(),
            accounts: rows.iter().flat_map(Ran::accounts).collect(),
        }
    }

    pub fn write_csv(&self, to: impl Write) -> io::Result<()> {
        let mut out = csv::Writer::from_writer(to);
        // A closed pipe must be known as one.
        let io = |error: csv::Error| match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => io::Error::other(format!("{other:?}")),
        };
        out.write_record(self.names()).map_err(io)?;
        for rows in self.rows.chunks(BATCH) {
            let columns = self.columns(rows);
            for row in 0..rows.len() {
                out.write_record(columns.iter().map(|column| column.text(row))).map_err(io)?;
            }
        }
        out.flush()
    }

    /// Numbers are 64-bit integers, empty where a run has none. A varied path's column is of integers or floats where all
    /// its values are, else of texts.
    pub(super) fn write_parquet(&self, to: File) -> Result<(), String> {
        let mut out = Rows::new(to, self.schema())?;
        for rows in self.rows.chunks(BATCH) {
            out.add(self.columns(rows).into_iter().map(Cells::array).collect())?;
        }
        out.close()
    }

    /// The same rows and columns, for whoever goes on with them in memory.
    ///
    /// # Errors
    /// None but what the library finds wrong with columns that are all of one length.
    pub fn batch(&self) -> Result<RecordBatch, String> {
        let arrays = self.columns(self.rows).into_iter().map(Cells::array).collect();
        RecordBatch::try_new(Arc::new(self.schema()), arrays).map_err(|error| error.to_string())
    }

    fn schema(&self) -> Schema {
        let field = |(name, cells): (String, &Cells)| {
            Field::new(name, cells.data_type(), matches!(cells, Cells::Numbers(_)))
        };
        let none = self.columns(&[]);
        Schema::new(self.names().into_iter().zip(&none).map(field).collect::<Vec<_>>())
    }

    fn names(&self) -> Vec<String> {
        let first = FIRST.iter().copied().chain(self.manifest.paths.iter().map(String::as_str)).chain(MIDDLE);
        let figures = self.figures.iter().map(|(_, name)| *name).chain([LEDGER_BALANCED]);
        let balances = self.accounts.iter().map(|account| format!("{BALANCE}{account}"));
        first.chain(figures).map(str::to_owned).chain(balances).collect()
    }

    /// In the order of [`names`](Self::names).
    fn columns(&self, rows: &[Ran]) -> Vec<Cells> {
        let texts = |of: &dyn Fn(&Ran) -> String| Cells::Texts(rows.iter().map(of).collect());
        let numbers = |of: &dyn Fn(&Ran) -> Option<i64>| Cells::Numbers(rows.iter().map(of).collect());
        let point = |row: &Ran| self.manifest.points.get(row.point as usize);
        let mut columns = vec![
            texts(&|_| self.manifest.scenario.clone()),
            texts(&|row| point(row).map(|point| point.variant.clone()).unwrap_or_default()),
            numbers(&|row| Some(row.point.into())),
            numbers(&|row| Some(row.run.into())),
        ];
        for at in 0..self.manifest.paths.len() {
            let value = |row: &Ran| point(row).map(|point| point.values[at].clone()).unwrap_or_default();
            columns.push(Cells::Varied(rows.iter().map(value).collect(), self.type_of(at)));
        }
        columns.push(Cells::Seeds(rows.iter().map(|row| row.seed).collect()));
        columns.push(texts(&|_| self.manifest.build.clone()));
        columns.push(texts(&|row| row.trace_hash.clone()));
        columns.push(Cells::Flags(rows.iter().map(|row| row.passed).collect()));
        columns.push(texts(&|row| row.error.clone()));
        columns.extend(self.figures.iter().map(|(number, _)| numbers(&|row| row.figure(*number))));
        columns.push(numbers(&|row| row.ledger_balanced.map(i64::from)));
        columns.extend(self.accounts.iter().map(|account| numbers(&|row| row.balance(account))));
        columns
    }

    /// Of the plan's values of a path, all of which decide, so that a shard's column is of the same type as the whole's.
    fn type_of(&self, path: usize) -> DataType {
        let all = |of: fn(&str) -> bool| self.manifest.points.iter().all(|point| of(&point.values[path]));
        if all(|value| value.parse::<i64>().is_ok()) {
            DataType::Int64
        } else if all(|value| value.parse::<f64>().is_ok_and(f64::is_finite)) {
            DataType::Float64
        } else {
            DataType::Utf8
        }
    }
}

impl Cells {
    fn text(&self, row: usize) -> String {
        match self {
            Self::Texts(all) | Self::Varied(all, _) => all[row].clone(),
            Self::Numbers(all) => all[row].map(|number| number.to_string()).unwrap_or_default(),
            Self::Seeds(all) => all[row].to_string(),
            Self::Flags(all) => all[row].to_string(),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Texts(_) => DataType::Utf8,
            Self::Varied(_, of) => of.clone(),
            Self::Numbers(_) => DataType::Int64,
            Self::Seeds(_) => DataType::UInt64,
            Self::Flags(_) => DataType::Boolean,
        }
    }

    fn array(self) -> ArrayRef {
        match self {
            Self::Texts(all) => Arc::new(StringArray::from(all)),
            // They all parse: that is how the type was found.
            Self::Varied(all, DataType::Int64) => {
                let numbers = all.iter().map(|value| value.parse::<i64>().ok());
                Arc::new(Int64Array::from_iter_values(numbers.map(Option::unwrap_or_default)))
            }
            Self::Varied(all, DataType::Float64) => {
                let numbers = all.iter().map(|value| value.parse::<f64>().ok());
                Arc::new(Float64Array::from_iter_values(numbers.map(Option::unwrap_or_default)))
            }
            Self::Varied(all, _) => Arc::new(StringArray::from(all)),
            Self::Numbers(all) => Arc::new(Int64Array::from(all)),
            Self::Seeds(all) => Arc::new(UInt64Array::from(all)),
            Self::Flags(all) => Arc::new(BooleanArray::from(all)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;
    use crate::results::parquet::Batches;
    use crate::results::{PointOf, Sheet};

    fn manifest() -> Manifest {
        let point = |fee: &str, latency: &str| PointOf {
            values: vec![fee.into(), latency.into()],
            variant: "00ff".into(),
        };
        Manifest {
            scenario: "small".into(),
            build: "1.0".into(),
            paths: vec!["fep.fees.fep_bps".into(), "latency.mesh".into()],
            points: vec![point("0", "{ constant = \"5ms\" }"), point("50", "{ constant = \"9ms\" }")],
            seeds: 1,
            ..Manifest::default()
        }
    }

    /// One that passed, and one that panicked.
    fn rows() -> Vec<Ran> {
        let report = Report {
            trace_hash: "aa".into(),
            ledger_balanced: Some(true),
            balances: [("fep:fees".to_owned(), 7)].into(),
            ..Report::default()
        };
        let panic = "index 3 is out of bounds, \"really\"".to_owned();
        vec![Ran::new(0, 0, 8, &Ok(report)), Ran::new(1, 0, 8, &Err(panic))]
    }

    fn csv(manifest: &Manifest, rows: &[Ran]) -> String {
        let mut text = Vec::new();
        Table::new(manifest, rows).write_csv(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_run_that_panicked_is_a_row_with_its_text_and_without_figures() {
        let text = csv(&manifest(), &rows());
        let sheet = Sheet::read("runs.csv", text.as_bytes()).unwrap();
        let (good, bad) = (&sheet.rows[0], &sheet.rows[1]);
        assert_eq!((good.trace_hash.as_str(), good.passed, good.error.as_str()), ("aa", true, ""));
        assert_eq!((bad.trace_hash.as_str(), bad.passed), ("", false));
        assert_eq!(bad.error, "panic: index 3 is out of bounds, \"really\"");
        assert!(good.figures.iter().all(Option::is_some) && bad.figures.iter().all(Option::is_none));
        let last: Vec<&str> = sheet.figures.iter().rev().take(2).map(String::as_str).collect();
        assert_eq!(last, ["balance.fep:fees", "ledger_balanced"]);
        assert!(!sheet.figures.iter().any(|name| name.starts_with("mesh.")), "it is not watched");
    }

    #[test]
    fn what_was_written_is_read_back_as_it_was() {
        let text = csv(&manifest(), &rows());
        let read = Ran::read("runs.csv", text.as_bytes()).unwrap();
        assert_eq!(csv(&manifest(), &read), text);
        let error = Ran::read("runs.csv", text.replace(",aa,true,", ",aa,yes,").as_bytes()).unwrap_err();
        assert_eq!(error, "runs.csv: line 2: is it as labman-sim sweep wrote it?");
    }

    #[test]
    fn parquet_has_the_same_columns_each_of_the_type_that_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PARQUET);
        let (manifest, rows) = (manifest(), rows());
        Table::new(&manifest, &rows).write_parquet(File::create(&path).unwrap()).unwrap();
        let read = Batches::open(&path).unwrap().rows(|columns| {
            let fee = columns.numbers("fep.fees.fep_bps")?.values().to_vec();
            let latency = columns.texts("latency.mesh")?.value(1).to_owned();
            let nulls = columns.numbers("jobs.total").err();
            Ok(vec![(fee, latency, nulls, columns.names())])
        });
        let (fee, latency, nulls, names) = read.map(Result::unwrap).next().unwrap();
        assert_eq!((fee, latency.as_str()), (vec![0, 50], "{ constant = \"9ms\" }"));
        assert!(nulls.unwrap().ends_with("\"jobs.total\" has 1 empty places"));
        let text = csv(&manifest, &rows);
        assert_eq!(names.join(","), text.lines().next().unwrap());
    }
}
