//! A sweep's table as it was read: `runs.csv`, or what `labman-sim sweep` wrote without a directory. The columns are
//!
//! ```text
//! scenario, variant, point, run, <a varied path> ..., seed, build, trace_hash, passed, error, <a figure> ...
//! ```
//!
//! so what was varied stands between `run` and `seed`, and figures are what stands after `error`. A figure that a run does
//! not have is empty.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use csv::StringRecord;

use super::journal::{Journal, NOT_OVER};
use super::table::{CSV, FIRST, MIDDLE};

/// Larger figures can't be squared and summed.
const LARGEST: f64 = 1e100;

/// A sweep's rows as they were read.
#[derive(Clone, Debug)]
pub struct Sheet {
    pub file: String,
    /// The paths that were varied.
    pub grid: Vec<String>,
    pub figures: Vec<String>,
    pub rows: Vec<Row>,
    /// The program that ran the first of them; empty of none.
    pub build: String,
}

#[derive(Clone, Debug)]
pub struct Row {
    /// From 1, in the file.
    pub line: u64,
    /// In the manifest's points.
    pub point: u32,
    /// The seed's number within the point, from 0.
    pub run: u32,
    /// The hash of the scenario with the point's values.
    pub variant: String,
    /// One for each path of the grid.
    pub values: Vec<String>,
    pub seed: u64,
    /// Empty of a run that panicked.
    pub trace_hash: String,
    pub passed: bool,
    /// What was wrong first, or what the simulator said as it panicked; empty where nothing was.
    pub error: String,
    /// One for each figure; `None`: the run panicked, or its scenario has no such figure.
    pub figures: Vec<Option<f64>>,
}

impl Sheet {
    /// Reads a table, or that of a results directory.
    ///
    /// # Errors
    /// As [`read`](Self::read), and if there is no such file.
    pub fn open(path: &Path) -> Result<Self, String> {
        let dir = path;
        let path = if dir.is_dir() { &dir.join(CSV) } else { path };
        let file = path.display().to_string();
        let from = File::open(path).map_err(|error| match Journal::is_in(dir) {
            true => format!("{}: {NOT_OVER}", dir.display()),
            false => format!("{file}: {error}; labman-sim sweep --out makes such a table"),
        })?;
        Self::read(&file, from)
    }

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
        for name in FIRST.iter().chain(&MIDDLE) {
            index(name)?;
        }
        let (point, run, variant, seed) = (index("point")?, index("run")?, index("variant")?, index("seed")?);
        let build = index("build")?;
        let (passed, error, trace_hash) = (index("passed")?, index("error")?, index("trace_hash")?);
        if !(run < seed && seed < error) {
            return Err(format!("{file}:1: run, seed and error must be columns in this order"));
        }
        let grid_from = run + 1;
        let names = |range: std::ops::Range<usize>| header.iter().take(range.end).skip(range.start);
        let mut sheet = Self {
            file: file.into(),
            grid: names(grid_from..seed).map(str::to_owned).collect(),
            figures: names(error + 1..header.len()).map(str::to_owned).collect(),
            rows: Vec::new(),
            build: String::new(),
        };
        for record in reader.records() {
            let record = record.map_err(|error| malformed(file, &lines, &error))?;
            let line = record.position().map_or(0, |at| lines.at(at));
            let bad = |column: &str, text: &str, is_no: &str| {
                format!("{file}:{line}: {column}: {text:?} is no {is_no}")
            };
            let field = |at: usize| record.get(at).unwrap_or_default();
            if sheet.rows.is_empty() {
                sheet.build = field(build).to_owned();
            }
            let place = |name, at| field(at).parse().map_err(|_| bad(name, field(at), "whole number"));
            sheet.rows.push(Row {
                line,
                point: place("point", point)?,
                run: place("run", run)?,
                variant: field(variant).to_owned(),
                values: (grid_from..seed).map(|at| field(at).to_owned()).collect(),
                seed: field(seed).parse().map_err(|_| bad("seed", field(seed), "seed"))?,
                trace_hash: field(trace_hash).to_owned(),
                passed: field(passed).to_lowercase() == "true",
                error: field(error).to_owned(),
                figures: figures(&header, &record, error + 1)
                    .map_err(|(column, text)| bad(&column, &text, "number"))?,
            });
        }
        Ok(sheet)
    }
}

/// The numbers from that column on. An error has a column and what stands there.
fn figures(
    header: &StringRecord,
    record: &StringRecord,
    from: usize,
) -> Result<Vec<Option<f64>>, (String, String)> {
    let number = |(name, text): (&str, &str)| {
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse::<f64>().ok().filter(|number| number.abs() <= LARGEST);
        number.map(Some).ok_or_else(|| (name.to_owned(), text.to_owned()))
    };
    header.iter().zip(record).skip(from).map(number).collect()
}

/// Where the lines of a text end. The reader counts a line where it ends, and begins a record where the one before it
/// ended: before a `\n` that follows `\r`, and before empty lines.
pub(crate) struct Lines<'a> {
    text: &'a [u8],
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(text: &'a [u8]) -> Self {
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
        Self { text, ends: ends.collect() }
    }

    /// The line, from 1, of what is first at that place or after it.
    pub(crate) fn at(&self, place: &csv::Position) -> u64 {
        let from = usize::try_from(place.byte()).unwrap_or(usize::MAX).min(self.text.len());
        let empty = self.text[from..].iter().take_while(|byte| b"\r\n".contains(byte)).count();
        1 + self.ends.partition_point(|end| *end < from + empty) as u64
    }
}

pub(crate) fn malformed(file: &str, lines: &Lines<'_>, error: &csv::Error) -> String {
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

    const GOOD: &str = "scenario,variant,point,run,fep.fees.fep_bps,seed,build,trace_hash,passed,error,jobs.total\n\
                        small,00ff,0,0,50,1,v,aa,true,,7\n\
                        small,00ff,0,1,50,2,v,bb,false,too few,-8\n";

    #[test]
    fn a_table_is_read_with_its_grid_and_its_figures() {
        let sheet = Sheet::read("a.csv", GOOD.as_bytes()).unwrap();
        assert_eq!((sheet.grid, sheet.figures), (vec!["fep.fees.fep_bps".into()], vec!["jobs.total".into()]));
        let row = &sheet.rows[1];
        assert_eq!((row.line, row.point, row.run, row.seed), (3, 0, 1, 2));
        assert_eq!((row.passed, row.error.as_str(), row.trace_hash.as_str()), (false, "too few", "bb"));
        assert_eq!((row.values.clone(), row.figures.clone()), (vec!["50".to_owned()], vec![Some(-8.0)]));
    }

    #[test]
    fn a_run_that_panicked_has_a_row_and_no_figures() {
        let panicked = GOOD.replace(",bb,false,too few,-8", ",,false,index out of bounds,");
        let sheet = Sheet::read("a.csv", panicked.as_bytes()).unwrap();
        assert_eq!((sheet.rows[1].error.as_str(), sheet.rows[1].figures[0]), ("index out of bounds", None));
    }

    #[test]
    fn an_error_names_file_line_and_column() {
        let error =
            |from: &str, to: &str| Sheet::read("a.csv", GOOD.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error("seed", "seeds").starts_with("a.csv:1: there is no column \"seed\""));
        assert_eq!(error("-8", "eight"), "a.csv:3: jobs.total: \"eight\" is no number");
        assert_eq!(error("-8", "inf"), "a.csv:3: jobs.total: \"inf\" is no number");
        assert_eq!(error("50,2", "50,-2"), "a.csv:3: seed: \"-2\" is no seed");
        assert_eq!(error("0,1,50", "0,x,50"), "a.csv:3: run: \"x\" is no whole number");
        assert_eq!(error("-8", "1e101"), "a.csv:3: jobs.total: \"1e101\" is no number");
        assert_eq!(error("jobs.total", "seed"), "a.csv:1: column \"seed\" is there twice");
        let crlf = GOOD.replace('\n', "\r\n").replace("small,00ff,0,1,50,2", "\r\nsmall,00ff,0,1,50,-2");
        let error_in_crlf = Sheet::read("a.csv", crlf.as_bytes()).unwrap_err();
        assert_eq!(error_in_crlf, "a.csv:4: seed: \"-2\" is no seed");
        assert_eq!(error("true,", ""), "a.csv:2: 10 fields, where the header has 11");
        assert!(Sheet::read("a.csv", "".as_bytes()).unwrap_err().contains("there is no column"));
    }
}
