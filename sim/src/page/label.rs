//! What points and paths are called: short where that is clear.

use crate::results::Manifest;

/// Of a value in a drawing.
const WIDE: usize = 24;

pub(super) struct Labels {
    /// The end of each path that no other path has.
    pub paths: Vec<String>,
    /// `fep_bps = 50, slots = 4`, or by more than two paths `point 7 (50, 4, balanced)`; what a study without varied paths has
    /// as its only point is `all runs`.
    pub points: Vec<String>,
    /// The values alone, for drawings.
    pub values: Vec<String>,
}

impl Labels {
    pub(super) fn new(manifest: &Manifest) -> Self {
        let paths: Vec<String> = manifest.paths.iter().map(|path| short(path, &manifest.paths)).collect();
        let mut points: Vec<String> = Vec::new();
        let mut values: Vec<String> = Vec::new();
        for point in &manifest.points {
            let plain: Vec<String> = point.values.iter().map(|value| clipped(&bare(value), WIDE)).collect();
            let named = paths.iter().zip(&point.values).map(|(path, value)| format!("{path} = {value}"));
            points.push(match paths.len() {
                0..=2 => named.collect::<Vec<_>>().join(", "),
                _ => format!("point {} ({})", points.len(), plain.join(", ")),
            });
            values.push(plain.join(", "));
        }
        if points.is_empty() {
            (points, values) = (vec![String::new()], vec![String::new()]);
        }
        for name in points.iter_mut().chain(&mut values).filter(|name| name.is_empty()) {
            *name = "all runs".into();
        }
        Self { paths, points, values }
    }
}

/// At most so many characters.
pub(super) fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// Without TOML's quotes.
fn bare(value: &str) -> String {
    value.trim().trim_matches('"').to_owned()
}

fn short(path: &str, all: &[String]) -> String {
    let starts = path.match_indices('.').map(|(at, _)| at + 1).collect::<Vec<_>>();
    let ends = |end: &&str| {
        let same = |other: &&String| other.as_str() == *end || other.ends_with(&format!(".{end}"));
        let says_what = *end != "name" && !end.starts_with(|first: char| first.is_ascii_digit());
        says_what && all.iter().filter(same).count() == 1
    };
    starts.iter().rev().map(|at| &path[*at..]).find(ends).unwrap_or(path).to_owned()
}

/// Values as numbers, if they all are numbers, times (in seconds) or texts that differ in one such place only, such as
/// `{ constant = "20ms" }`.
pub(super) fn as_numbers(values: &[&str]) -> Option<Vec<f64>> {
    let parts: Vec<Vec<Part>> = values.iter().map(|value| parts(&bare(value))).collect();
    let first = parts.first()?;
    let alike = |other: &Vec<Part>| {
        let same =
            |(one, other): (&Part, &Part)| std::mem::discriminant(one) == std::mem::discriminant(other);
        let texts = |(one, other): (&Part, &Part)| !matches!(one, Part::Text(_)) || one == other;
        other.len() == first.len() && first.iter().zip(other).all(|pair| same(pair) && texts(pair))
    };
    if !parts.iter().all(alike) {
        return None;
    }
    let varies = |at: &usize| parts.iter().any(|other| other[*at] != first[*at]);
    let mut varying = (0..first.len()).filter(varies);
    let place = varying.next().or_else(|| (0..first.len()).find(|at| first[*at].value().is_some()))?;
    if varying.next().is_some() {
        return None;
    }
    parts.iter().map(|of_value| of_value[place].value()).collect()
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Number(f64),
    Seconds(f64),
}

impl Part {
    fn value(&self) -> Option<f64> {
        match self {
            Self::Text(_) => None,
            Self::Number(value) | Self::Seconds(value) => Some(*value),
        }
    }
}

fn parts(value: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = value;
    while let Some(next) = rest.chars().next() {
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        if digits.starts_with(|next: char| next.is_ascii_digit()) {
            let signs = rest.len() - digits.len();
            let end = digits.find(|next: char| !(next.is_ascii_digit() || "._".contains(next)));
            let (number, after) = rest.split_at(end.map_or(rest.len(), |end| end + signs));
            let unit = after.find(|next: char| !next.is_ascii_alphabetic()).unwrap_or(after.len());
            let seconds = match &after[..unit] {
                "ns" => Some(1e-9),
                "us" => Some(1e-6),
                "ms" => Some(1e-3),
                "s" => Some(1.0),
                "m" => Some(60.0),
                "h" => Some(3600.0),
                _ => None,
            };
            match (number.replace('_', "").parse::<f64>(), seconds) {
                (Ok(number), Some(seconds)) => {
                    parts.push(Part::Seconds(number * seconds));
                    rest = &after[unit..];
                }
                (Ok(number), None) => {
                    parts.push(Part::Number(number));
                    rest = after;
                }
                (Err(_), _) => {
                    parts.push(Part::Text(number.into()));
                    rest = after;
                }
            }
        } else {
            // A letter that a digit follows belongs to a name: `box-1`.
            let end = rest[next.len_utf8()..].find(|after: char| after.is_ascii_digit() || after == '-');
            let (text, after) = rest.split_at(end.map_or(rest.len(), |end| end + next.len_utf8()));
            parts.push(Part::Text(text.into()));
            rest = after;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_called_by_the_end_that_no_other_has() {
        let paths = ["fep.fees.fep_bps", "provider.0.count", "gateway.0.count", "duration", "variant.name"];
        let paths = paths.map(String::from);
        let called = paths.each_ref().map(|path| short(path, &paths));
        assert_eq!(called, ["fep_bps", "provider.0.count", "gateway.0.count", "duration", "variant.name"]);
    }

    #[test]
    fn values_are_numbers_where_they_differ_in_one_number() {
        assert_eq!(as_numbers(&["0", "50", "1_000"]), Some(vec![0.0, 50.0, 1000.0]));
        assert_eq!(as_numbers(&["-1.5", "2"]), Some(vec![-1.5, 2.0]));
        assert_eq!(as_numbers(&["500ms", "\"2m\""]), Some(vec![0.5, 120.0]));
        let tables = ["{ constant = \"20ms\" }", "{ constant = \"1s\" }"];
        assert_eq!(as_numbers(&tables), Some(vec![0.02, 1.0]));
        assert_eq!(as_numbers(&["20ms", "3"]), None);
        assert_eq!(as_numbers(&["balanced", "two-choices"]), None);
        assert_eq!(
            as_numbers(&["{ uniform = [\"1ms\", \"2ms\"] }", "{ uniform = [\"2ms\", \"3ms\"] }"]),
            None
        );
        assert_eq!(as_numbers(&["true", "false"]), None);
        assert_eq!(as_numbers(&["7"]), Some(vec![7.0]));
    }
}
