//! Values taken together: `--zip provider.0.portman.0.slots=2,4 --zip provider.0.count=8,4` makes two points of two paths, and
//! not four.

use std::str::FromStr;

use super::dimension::Dimension;
use super::grid::path_and_values;

/// A path, and the values it takes one after the other; a value may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zip {
    pub path: String,
    pub values: Vec<String>,
}

impl FromStr for Zip {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, values) = path_and_values(text)?;
        Ok(Self { path, values })
    }
}

/// The n-th value of each, for every n. `None` of none.
///
/// # Errors
/// If one has more values than another.
pub fn zipped(zips: &[Zip]) -> Result<Option<Dimension>, String> {
    let Some(first) = zips.first() else { return Ok(None) };
    let many = first.values.len();
    if let Some(other) = zips.iter().find(|other| other.values.len() != many) {
        return Err(format!(
            "--zip {}: {} values, where {} has {many}: each needs as many, for the n-th of all are taken together",
            other.path,
            other.values.len(),
            first.path
        ));
    }
    let place = |at: usize| zips.iter().map(|zip| zip.values[at].clone()).collect();
    Ok(Some(Dimension {
        option: "--zip".into(),
        paths: zips.iter().map(|zip| zip.path.clone()).collect(),
        places: (0..many).map(place).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Result<Option<Dimension>, String> {
        zipped(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn the_nth_values_are_taken_together() {
        let both = of(&["slots=2,4,4", "count=8,4,2"]).unwrap().unwrap();
        assert_eq!(both.paths, ["slots", "count"]);
        assert_eq!(both.places, [["2", "8"], ["4", "4"], ["4", "2"]]);
        assert_eq!(of(&[]), Ok(None));
    }

    #[test]
    fn one_that_has_more_values_than_another_is_refused() {
        let error = of(&["slots=2,4", "count=8"]).unwrap_err();
        assert!(error.starts_with("--zip count: 1 values, where slots has 2"), "{error}");
        assert!("slots=2,,4".parse::<Zip>().unwrap_err().contains("empty value"));
    }
}
