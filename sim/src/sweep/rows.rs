//! A sweep as a table: one row a run, as CSV, written and read. The columns are
//!
//! ```text
//! scenario, scenario_hash, <a path of the grid> ..., seed, trace_hash, passed, <a figure> ...
//! ```
//!
//! so the grid is what stands between `scenario_hash` and `seed`, and figures are what stands after `passed`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use csv::StringRecord;

use super::Plan;
use crate::Report;
use crate::report::FIGURES;

/// Before an account's name, where its balance is a figure.
pub const BALANCE: &str = "balance.";

/// Before the grid, and between grid and figures.
const FIRST: [&str; 2] = ["scenario", "scenario_hash"];
const MIDDLE: [&str; 3] = ["seed", "trace_hash", "passed"];

/// Larger figures can't be squared and summed.
const LARGEST: f64 = 1e100;

/// What is kept of a run.
pub struct Ran {
    pub point: usize,
    pub seed: u64,
    pub trace_hash: String,
    pub passed: bool,
    /// Those of [`FIGURES`], in that order.
    figures: Vec<i64>,
    ledger_balanced: bool,
    /// The accounts that were used.
    balances: BTreeMap<String, i64>,
}

impl Ran {
    pub fn new(point: usize, report: &Report) -> Self {
        Self {
            point,
            seed: report.seed,
            trace_hash: report.trace_hash.clone(),
            passed: report.passed(),
            figures: FIGURES.iter().map(|name| report.figure(name).unwrap_or_default()).collect(),
            ledger_balanced: report.ledger_balanced == Some(true),
            balances: report.balances.clone(),
        }
    }
}

/// Writes the rows in the order given. Figures are [`FIGURES`], whether the ledger balanced, and each account's balance in
/// micro-units: an account that a run did not use has 0.
pub fn write<'a>(
    plan: &Plan,
    rows: impl Iterator<Item = &'a Ran> + Clone,
    to: impl io::Write,
) -> io::Result<()> {
    let accounts: BTreeSet<&String> = rows.clone().flat_map(|row| row.balances.keys()).collect();
    let mut out = csv::Writer::from_writer(to);
    let header = FIRST.iter().copied().chain(plan.paths.iter().map(String::as_str)).chain(MIDDLE);
    let header = header.chain(FIGURES.iter().copied()).chain(["ledger_balanced"]).map(str::to_owned);
    out.write_record(header.chain(accounts.iter().map(|account| format!("{BALANCE}{account}"))))?;
    for row in rows {
        let point = &plan.points[row.point];
        let named = [point.variant.scenario.name.clone(), point.variant.hash.clone()];
        let run = [row.seed.to_string(), row.trace_hash.clone(), row.passed.to_string()];
        let balances = accounts.iter().map(|account| row.balances.get(*account).copied().unwrap_or(0));
        let figures = row.figures.iter().copied().chain([i64::from(row.ledger_balanced)]).chain(balances);
        let named = named.into_iter().chain(point.values.iter().cloned()).chain(run);
        out.write_record(named.chain(figures.map(|figure| figure.to_string())))?;
    }
    out.flush()
}

/// A sweep's rows as they were read.
#[derive(Clone, Debug)]
pub struct Sheet {
    pub file: String,
    /// The paths of the grid.
    pub grid: Vec<String>,
    pub figures: Vec<String>,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug)]
pub struct Row {
    /// From 1, in the file.
    pub line: u64,
    /// One for each path of the grid.
    pub point: Vec<String>,
    pub seed: u64,
    pub passed: bool,
    /// One for each figure.
    pub figures: Vec<f64>,
}

impl Sheet {
    /// `file` is what errors call it; they name the line.
    pub fn read(file: &str, mut from: impl io::Read) -> Result<Self, String> {
        let mut text = Vec::new();
        from.read_to_end(&mut text).map_err(|error| format!("{file}: {error}"))?;
        let lines = Lines::of(&text);
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let header = reader.headers().map_err(|error| malformed(file, &lines, &error))?.clone();
        let mut known = BTreeSet::new();
        if let Some(twice) = header.iter().find(|column| !known.insert(*column)) {
            return Err(format!("{file}:1: column {twice:?} is there twice"));
        }
        let index = |name: &str| {
            header.iter().position(|column| column == name).ok_or_else(|| {
                format!("{file}:1: there is no column {name:?}; labman-sim sweep writes tables that have it")
            })
        };
        let (grid_from, seed, passed) = (index("scenario_hash")? + 1, index("seed")?, index("passed")?);
        if !(grid_from <= seed && seed < passed) {
            return Err(format!("{file}:1: scenario_hash, seed and passed must be columns in this order"));
        }
        let names = |range: std::ops::Range<usize>| header.iter().take(range.end).skip(range.start);
        let mut sheet = Self {
            file: file.into(),
            grid: names(grid_from..seed).map(str::to_owned).collect(),
            figures: names(passed + 1..header.len()).map(str::to_owned).collect(),
            rows: Vec::new(),
        };
        for record in reader.records() {
            let record = record.map_err(|error| malformed(file, &lines, &error))?;
            let line = record.position().map_or(0, |at| lines.at(at));
            let bad = |column: &str, text: &str, is_no: &str| {
                format!("{file}:{line}: {column}: {text:?} is no {is_no}")
            };
            let field = |at: usize| record.get(at).unwrap_or_default();
            sheet.rows.push(Row {
                line,
                point: (grid_from..seed).map(|at| field(at).to_owned()).collect(),
                seed: field(seed).parse().map_err(|_| bad("seed", field(seed), "seed"))?,
                passed: field(passed).to_lowercase() == "true",
                figures: figures(&header, &record, passed + 1)
                    .map_err(|(column, text)| bad(&column, &text, "number"))?,
            });
        }
        Ok(sheet)
    }
}

/// The numbers from that column on. An error has a column and what stands there.
fn figures(header: &StringRecord, record: &StringRecord, from: usize) -> Result<Vec<f64>, (String, String)> {
    let number = |(name, text): (&str, &str)| {
        let number = text.parse::<f64>().ok().filter(|number| number.abs() <= LARGEST);
        number.ok_or_else(|| (name.to_owned(), text.to_owned()))
    };
    header.iter().zip(record).skip(from).map(number).collect()
}

/// Where the lines of a text end. The reader counts a line where it ends, and begins a record where the one before it
/// ended: before a `\n` that follows `\r`, and before empty lines.
struct Lines<'a> {
    text: &'a [u8],
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a [u8]) -> Self {
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
        Self { text, ends: ends.collect() }
    }

    /// The line, from 1, of what is first at that place or after it.
    fn at(&self, place: &csv::Position) -> u64 {
        let from = usize::try_from(place.byte()).unwrap_or(usize::MAX).min(self.text.len());
        let empty = self.text[from..].iter().take_while(|byte| b"\r\n".contains(byte)).count();
        1 + self.ends.partition_point(|end| *end < from + empty) as u64
    }
}

fn malformed(file: &str, lines: &Lines<'_>, error: &csv::Error) -> String {
    let line = error.position().map_or(1, |at| lines.at(at));
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{file}:{line}: {len} fields, where the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => format!("{file}:{line}: is not UTF-8"),
        csv::ErrorKind::Io(error) => format!("{file}: {error}"),
        _ => format!("{file}:{line}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "scenario,scenario_hash,fep.fees.fep_bps,seed,trace_hash,passed,jobs.total\n\
                        small,00ff,50,1,aa,true,7\n\
                        small,00ff,50,2,bb,false,-8\n";

    #[test]
    fn a_table_is_read_with_its_grid_and_its_figures() {
        let sheet = Sheet::read("a.csv", GOOD.as_bytes()).unwrap();
        assert_eq!((sheet.grid, sheet.figures), (vec!["fep.fees.fep_bps".into()], vec!["jobs.total".into()]));
        let row = &sheet.rows[1];
        assert_eq!((row.line, row.seed, row.passed), (3, 2, false));
        assert_eq!((row.point.clone(), row.figures.clone()), (vec!["50".to_owned()], vec![-8.0]));
    }

    #[test]
    fn an_error_names_file_line_and_column() {
        let error =
            |from: &str, to: &str| Sheet::read("a.csv", GOOD.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error("seed", "seeds").starts_with("a.csv:1: there is no column \"seed\""));
        assert_eq!(error("-8", "eight"), "a.csv:3: jobs.total: \"eight\" is no number");
        assert_eq!(error("-8", "inf"), "a.csv:3: jobs.total: \"inf\" is no number");
        assert_eq!(error("50,2", "50,-2"), "a.csv:3: seed: \"-2\" is no seed");
        assert_eq!(error("-8", "1e101"), "a.csv:3: jobs.total: \"1e101\" is no number");
        assert_eq!(error("jobs.total", "seed"), "a.csv:1: column \"seed\" is there twice");
        let crlf = GOOD.replace('\n', "\r\n").replace("small,00ff,50,2", "\r\nsmall,00ff,50,-2");
        let error_in_crlf = Sheet::read("a.csv", crlf.as_bytes()).unwrap_err();
        assert_eq!(error_in_crlf, "a.csv:4: seed: \"-2\" is no seed");
        assert_eq!(error("true,", ""), "a.csv:2: 6 fields, where the header has 7");
        assert!(Sheet::read("a.csv", "".as_bytes()).unwrap_err().contains("there is no column"));
    }
}
