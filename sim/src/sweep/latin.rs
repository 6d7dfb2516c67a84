//! A Latin hypercube: of so many points each path has one value in each of as many equal parts of its range, and which goes
//! with which is drawn (McKay, Beckman and Conover, "A comparison of three methods for selecting values of input variables",
//! Technometrics 21, 1979). A few points say more of many paths than a grid could.
//!
//! Values are whole steps: of 1, of a unit of time, or of a decimal place. So they are drawn with integers alone, and are the
//! same on every machine.

use std::str::FromStr;

use labman_proto_core::rng::{Seed, Stream};

use super::MOST_RUNS;
use super::dimension::Dimension;
use crate::scenario::values::UNITS;

/// Decimal places of a value that is no whole number, at the least: as many as an amount of money has.
const DECIMALS: usize = 6;

/// A path, and the bounds of its values, both of them included: `slots=1..16`, `price=0.2..0.6`, `every="200ms..2s"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    path: String,
    /// In steps.
    low: i128,
    high: i128,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    One,
    /// One at that decimal place.
    Decimal(usize),
    /// The shorter of the bounds' units.
    Time(&'static str),
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, bounds) = text.split_once('=').ok_or("write path=low..high")?;
        let path = path.trim().to_owned();
        let (low, high) = bounds.split_once("..").ok_or_else(|| format!("{path}: write path=low..high"))?;
        let (low, high) = (low.trim(), high.trim());
        let (step, low_steps, high_steps) = whole(low, high)
            .or_else(|| times(low, high))
            .or_else(|| decimals(low, high))
            .ok_or_else(|| {
                format!("{path}: {low} and {high} are not both whole numbers, decimals such as 0.25, or times such as 250ms")
            })?;
        if low_steps >= high_steps {
            return Err(format!("{path}: {low} must be below {high}"));
        }
        match high_steps.checked_sub(low_steps).is_some_and(|steps| steps < i128::from(u64::MAX)) {
            true => Ok(Self { path, low: low_steps, high: high_steps, step }),
            false => {
                Err(format!("{path}: {low} to {high} has more steps than can be drawn from: fewer decimals"))
            }
        }
    }
}

fn whole(low: &str, high: &str) -> Option<(Step, i128, i128)> {
    let number = |text: &str| text.parse::<i64>().ok().map(i128::from);
    Some((Step::One, number(low)?, number(high)?))
}

fn times(low: &str, high: &str) -> Option<(Step, i128, i128)> {
    let time = |text: &str| {
        let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
        let (name, nanos) = UNITS.iter().copied().find(|(name, _)| *name == unit.trim())?;
        let nanos = i128::from(nanos);
        Some((i128::from(number.parse::<u32>().ok()?) * nanos, name, nanos))
    };
    let ((low, low_unit, low_nanos), (high, high_unit, high_nanos)) = (time(low)?, time(high)?);
    let (unit, nanos) = if low_nanos < high_nanos { (low_unit, low_nanos) } else { (high_unit, high_nanos) };
    Some((Step::Time(unit), low / nanos, high / nanos))
}

fn decimals(low: &str, high: &str) -> Option<(Step, i128, i128)> {
    let places = |text: &str| text.split_once('.').map_or(0, |(_, places)| places.len());
    let many = places(low).max(places(high)).max(DECIMALS);
    let steps = |text: &str| {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{part:0<many$}");
        let plain = all.len() <= 30 && all.bytes().all(|byte| byte.is_ascii_digit()) && !whole.is_empty();
        plain.then(|| all.parse::<i128>().ok()).flatten().map(|steps| sign * steps)
    };
    Some((Step::Decimal(many), steps(low)?, steps(high)?))
}

impl Step {
    fn text(self, steps: i128) -> String {
        match self {
            Self::One => steps.to_string(),
            Self::Time(unit) => format!("{steps}{unit}"),
            Self::Decimal(places) => {
                let digits = format!("{:0>1$}", steps.unsigned_abs(), places + 1);
                let (whole, part) = digits.split_at(digits.len() - places);
                let part = part.trim_end_matches('0');
                let sign = if steps < 0 { "-" } else { "" };
                format!("{sign}{whole}.{}", if part.is_empty() { "0" } else { part })
            }
        }
    }
}

impl Range {
    /// One value in each of so many equal parts of the range, the parts in an order that is drawn.
    fn draw(&self, points: u32, draws: &mut Stream) -> Vec<String> {
        let width = self.high - self.low + 1;
        let parts = i128::from(points);
        let mut values: Vec<String> = (0..parts)
            .map(|part| {
                let (from, to) = (width * part / parts, width * (part + 1) / parts);
                // Where a range has fewer steps than there are points, some parts share one.
                let within = i128::from(draws.below(u64::try_from(to - from).unwrap_or(u64::MAX)));
                self.step.text(self.low + from + within)
            })
            .collect();
        // Fisher and Yates.
        for last in (1..values.len()).rev() {
            let other = draws.below(last as u64 + 1);
            values.swap(last, usize::try_from(other).unwrap_or(last));
        }
        values
    }
}

/// So many points in all of these ranges. `None` of no ranges. Each path is drawn from a stream of its own: one more changes no
/// other's values.
///
/// # Errors
/// If a range has so few values that points would be the same.
pub fn hypercube(ranges: &[Range], points: u32, seed: u64) -> Result<Option<Dimension>, String> {
    if ranges.is_empty() {
        return Ok(None);
    }
    if u64::from(points) > MOST_RUNS {
        return Err(format!("--points {points}: at most {MOST_RUNS}, of which each is a run at least"));
    }
    let seed = Seed::from_u64(seed).child("latin hypercube");
    let columns: Vec<Vec<String>> =
        ranges.iter().map(|range| range.draw(points, &mut seed.stream(&range.path))).collect();
    let place = |at: usize| columns.iter().map(|column| column[at].clone()).collect();
    let dimension = Dimension {
        option: "--latin".into(),
        paths: ranges.iter().map(|range| range.path.clone()).collect(),
        places: (0..points as usize).map(place).collect(),
    };
    match dimension.check() {
        Ok(()) => Ok(Some(dimension)),
        Err(why) => Err(format!("{why}: fewer --points, or wider ranges")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(range: &str, points: u32, seed: u64) -> Vec<String> {
        let cube = hypercube(&[range.parse().unwrap()], points, seed).unwrap().unwrap();
        cube.places.into_iter().flatten().collect()
    }

    #[test]
    fn each_of_as_many_equal_parts_of_the_range_has_one_value() {
        let mut tens: Vec<i64> = drawn("x=0..99", 10, 1).iter().map(|value| value.parse().unwrap()).collect();
        assert!(!tens.is_sorted(), "{tens:?}");
        tens.sort_unstable();
        let parts: Vec<i64> = tens.iter().map(|value| value / 10).collect();
        assert_eq!(parts, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn all_values_come_where_there_are_as_many_points() {
        let mut all = drawn("x=-2..2", 5, 7);
        all.sort();
        assert_eq!(all, ["-1", "-2", "0", "1", "2"]);
    }

    #[test]
    fn values_are_written_as_their_bounds_are() {
        for value in drawn("x=-0.5..1", 8, 1) {
            let number: f64 = value.parse().unwrap();
            assert!((-0.5..=1.0).contains(&number) && value.contains('.') && value.len() <= 9, "{value}");
        }
        for value in drawn("x=250ms..2s", 8, 1) {
            let millis: u32 = value.strip_suffix("ms").unwrap().parse().unwrap();
            assert!((250..=2_000).contains(&millis), "{value}");
        }
        let text = |places, steps| Step::Decimal(places).text(steps);
        assert_eq!([text(2, -5), text(2, 150), text(2, 200)], ["-0.05", "1.5", "2.0"]);
    }

    #[test]
    fn one_more_path_changes_no_other_s_values_and_another_seed_does() {
        let ranges: Vec<Range> = ["x=0..999", "y=0..999"].map(|range| range.parse().unwrap()).into();
        let both = hypercube(&ranges, 6, 1).unwrap().unwrap();
        let x: Vec<String> = both.places.iter().map(|place| place[0].clone()).collect();
        assert_eq!(x, drawn("x=0..999", 6, 1));
        assert_ne!(x, drawn("x=0..999", 6, 2));
        assert!(both.places.iter().any(|place| place[0] != place[1]));
    }

    #[test]
    fn bounds_that_are_none_and_points_that_would_be_the_same_are_refused() {
        let error = |text: &str| text.parse::<Range>().unwrap_err();
        assert!(error("x=1").contains("low..high"));
        assert!(error("x=1..2s").contains("x: 1 and 2s are not both"));
        assert!(error("x=1e-3..2").contains("are not both"));
        assert_eq!(error("x=2..2"), "x: 2 must be below 2");
        assert_eq!(error("x=2s..250ms"), "x: 2s must be below 250ms");
        let same = hypercube(&["x=0..1".parse().unwrap()], 3, 1).unwrap_err();
        assert!(
            same.starts_with("--latin: x=") && same.ends_with("fewer --points, or wider ranges"),
            "{same}"
        );
    }
}
