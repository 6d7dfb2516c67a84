//! Points that somebody chose, in a file: `--list points.csv`, with paths as its header and a point a row.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::dimension::Dimension;
use crate::results::sheet::{Lines, malformed};

/// # Errors
/// If the file is no such table; the error names the line.
pub fn read(path: &Path) -> Result<Dimension, String> {
    let file = path.display().to_string();
    let from = File::open(path).map_err(|error| format!("--list {file}: {error}"))?;
    parse(&file, from)
}

fn parse(file: &str, mut from: impl Read) -> Result<Dimension, String> {
    let bad = |line: u64, what: &str| format!("--list {file}:{line}: {what}");
    let mut text = Vec::new();
    from.read_to_end(&mut text).map_err(|error| format!("--list {file}: {error}"))?;
    let lines = Lines::of(&text);
    // Rows of another length are told of below, with what to do.
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_slice());
    let header = reader.headers().map_err(|error| bad(1, &error.to_string()))?.clone();
    if header.is_empty() || header.iter().any(str::is_empty) {
        return Err(bad(1, "the first line names a path for each column, such as fep.fees.fep_bps"));
    }
    let mut places = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| format!("--list {}", malformed(file, &lines, &error)))?;
        let line = record.position().map_or(0, |at| lines.at(at));
        if record.len() != header.len() {
            return Err(bad(
                line,
                &format!("{} values, where there are {} paths", record.len(), header.len()),
            ));
        }
        if let Some(at) = record.iter().position(str::is_empty) {
            return Err(bad(line, &format!("{} has no value", &header[at])));
        }
        places.push(record.iter().map(str::to_owned).collect());
    }
    match places.is_empty() {
        true => Err(bad(1, "there is no point: each further line is one")),
        false => {
            let option = format!("--list {file}").into();
            Ok(Dimension { option, paths: header.iter().map(str::to_owned).collect(), places })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse("points.csv", text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_point_is_a_row_and_its_values_may_be_any_of_toml_s() {
        let text =
            "fep.fees.fep_bps, latency.mesh\n0,\"{ constant = \"\"5ms\"\" }\"\n50, { constant = \"1s\" }\n";
        let list = parse("points.csv", text.as_bytes()).unwrap();
        assert_eq!(list.paths, ["fep.fees.fep_bps", "latency.mesh"]);
        assert_eq!(list.places, [["0", "{ constant = \"5ms\" }"], ["50", "{ constant = \"1s\" }"]]);
    }

    #[test]
    fn an_error_names_the_line() {
        assert_eq!(error("a,b\n1,2\n3\n"), "--list points.csv:3: 1 values, where there are 2 paths");
        assert_eq!(error("a,b\n1,\n"), "--list points.csv:2: b has no value");
        assert!(error("a\r\n1\r\n\r\n\r\n2,3\r\n").starts_with("--list points.csv:5: "));
        let no_text = parse("points.csv", b"a\n1\n\xff\n".as_slice()).unwrap_err();
        assert_eq!(no_text, "--list points.csv:3: is not UTF-8");
        assert!(error("a,b\n").starts_with("--list points.csv:1: there is no point"));
        assert!(error("").starts_with("--list points.csv:1: the first line names a path"));
    }
}
