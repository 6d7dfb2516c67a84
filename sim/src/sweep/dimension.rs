//! What varies together: the points of a sweep are every combination of one place from each dimension.

use std::borrow::Cow;
use std::collections::BTreeSet;

/// Paths into the scenario, and the values that they take together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// As on the command line, such as `--grid` or `--list points.csv`: for errors.
    pub option: Cow<'static, str>,
    pub paths: Vec<String>,
    /// Each has a value for each of the paths.
    pub places: Vec<Vec<String>>,
}

impl Dimension {
    /// # Errors
    /// If a path is there twice, or two places are the same: their runs would be.
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { option, paths, places } = self;
        let mut known = BTreeSet::new();
        if let Some(path) = paths.iter().find(|path| !known.insert(*path)) {
            return Err(format!("{option} {path}: named twice"));
        }
        let mut known = BTreeSet::new();
        match places.iter().find(|place| !known.insert(*place)) {
            None => Ok(()),
            Some(twice) => {
                let named: Vec<String> =
                    paths.iter().zip(twice).map(|(path, value)| format!("{path}={value}")).collect();
                Err(format!("{option}: {} is there twice, leave one out", named.join(" with ")))
            }
        }
    }
}

/// Every combination of one place from each, the first dimension varying slowest. Of none, a single place without values.
pub(super) fn product(dimensions: &[Dimension]) -> Vec<Vec<String>> {
    let mut places: Vec<Vec<String>> = vec![Vec::new()];
    for dimension in dimensions {
        places = places
            .iter()
            .flat_map(|place| dimension.places.iter().map(move |more| [place.as_slice(), more].concat()))
            .collect();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimension(paths: &[&str], places: &[&[&str]]) -> Dimension {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Dimension {
            option: "--zip".into(),
            paths: owned(paths),
            places: places.iter().map(|place| owned(place)).collect(),
        }
    }

    #[test]
    fn values_of_one_dimension_stay_together_in_every_combination() {
        let all = [dimension(&["a"], &[&["1"], &["2"]]), dimension(&["b", "c"], &[&["x", "y"], &["z", "w"]])];
        let places: Vec<String> = product(&all).iter().map(|place| place.join(" ")).collect();
        assert_eq!(places, ["1 x y", "1 z w", "2 x y", "2 z w"]);
        assert_eq!(product(&[]), [Vec::<String>::new()]);
    }

    #[test]
    fn two_places_that_are_the_same_are_refused() {
        let twice = dimension(&["b", "c"], &[&["1", "2"], &["1", "3"], &["1", "2"]]);
        assert_eq!(twice.check(), Err("--zip: b=1 with c=2 is there twice, leave one out".into()));
        assert_eq!(dimension(&["b", "b"], &[]).check(), Err("--zip b: named twice".into()));
        assert_eq!(dimension(&["b", "c"], &[&["1", "2"], &["2", "1"]]).check(), Ok(()));
    }
}
