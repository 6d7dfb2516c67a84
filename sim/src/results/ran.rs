//! What is kept of a run for the table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::table::{BALANCE, CSV, LEDGER_BALANCED};
use crate::report::{self, Report};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// In the plan's points.
    pub point: u32,
    /// The seed's number within the point, from 0.
    pub run: u32,
    pub seed: u64,
    /// Empty of a run that panicked.
    pub trace_hash: String,
    pub passed: bool,
    /// What was wrong first, or what the simulator said as it panicked; empty where nothing was.
    pub error: String,
    /// Those of [`report::figures`], in that order.
    pub(super) figures: Vec<Option<i64>>,
    /// `None`: the ledger was not read, for the run did not get so far.
    pub(super) ledger_balanced: Option<bool>,
    /// The accounts that were used. `None`: it panicked.
    pub(super) balances: Option<BTreeMap<String, i64>>,
}

impl Ran {
    /// `Err`: the simulator panicked, and said this.
    #[must_use]
    pub fn new(point: u32, run: u32, seed: u64, report: &Result<Report, String>) -> Self {
        let ran = Self {
            point,
            run,
            seed,
            trace_hash: String::new(),
            passed: false,
            error: String::new(),
            figures: Vec::new(),
            ledger_balanced: None,
            balances: None,
        };
        match report {
            Ok(report) => Self {
                trace_hash: report.trace_hash.clone(),
                passed: report.passed(),
                error: report.failures.first().cloned().unwrap_or_default(),
                figures: report::figures().map(|name| report.figure(name)).collect(),
                ledger_balanced: report.ledger_balanced,
                balances: Some(report.balances.clone()),
                ..ran
            },
            Err(panic) => Self { error: format!("panic: {panic}"), ..ran },
        }
    }

    /// Those of a results directory that this build wrote.
    ///
    /// # Errors
    /// If it is none; the error names the file.
    pub fn of_folder(dir: &Path) -> Result<Vec<Self>, String> {
        let path = dir.join(CSV);
        let named = path.display().to_string();
        let file = File::open(&path).map_err(|error| format!("{named}: {error}"))?;
        Self::read(&named, file)
    }

    /// Those of a table that this build wrote; `file` is what errors call it.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn read(file: &str, from: impl io::Read) -> Result<Vec<Self>, String> {
        let wrong = |what: &str| format!("{file}: {what}: is it as labman-sim sweep wrote it?");
        let mut reader = csv::Reader::from_reader(from);
        let columns: Vec<String> = match reader.headers() {
            Ok(header) => header.iter().map(str::to_owned).collect(),
            Err(error) => return Err(wrong(&error.to_string())),
        };
        let read = |record: Result<csv::StringRecord, csv::Error>| {
            let record = record.map_err(|error| wrong(&error.to_string()))?;
            let cells: BTreeMap<&str, &str> = columns.iter().map(String::as_str).zip(&record).collect();
            Self::of(&cells)
                .ok_or_else(|| wrong(&format!("line {}", record.position().map_or(0, csv::Position::line))))
        };
        reader.records().map(read).collect()
    }

    fn of(cells: &BTreeMap<&str, &str>) -> Option<Self> {
        let text = |name| cells.get(name).map(|text| (*text).to_owned());
        let number = |name| cells.get(name).and_then(|text| text.parse::<i64>().ok());
        let figures: Vec<Option<i64>> = report::figures().map(number).collect();
        // Of one that panicked every figure is empty.
        let ended = figures.iter().any(Option::is_some);
        let balances = cells
            .iter()
            .filter_map(|(name, text)| Some((name.strip_prefix(BALANCE)?.to_owned(), text.parse().ok()?)));
        Some(Self {
            point: cells.get("point")?.parse().ok()?,
            run: cells.get("run")?.parse().ok()?,
            seed: cells.get("seed")?.parse().ok()?,
            trace_hash: text("trace_hash")?,
            passed: cells.get("passed")?.parse().ok()?,
            error: text("error")?,
            ledger_balanced: number(LEDGER_BALANCED).map(|number| number == 1),
            balances: ended.then(|| balances.collect()),
            figures,
        })
    }

    /// By its number in [`report::figures`].
    pub(super) fn figure(&self, number: usize) -> Option<i64> {
        self.figures.get(number).copied().flatten()
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.balances.iter().flat_map(|balances| balances.keys().map(String::as_str))
    }

    pub(super) fn balance(&self, account: &str) -> Option<i64> {
        self.balances.as_ref().map(|balances| balances.get(account).copied().unwrap_or(0))
    }
}
