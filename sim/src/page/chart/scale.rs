//! From values to places, and the round values that an axis names.

use crate::page::number::grouped;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::page) struct Scale {
    from: f64,
    to: f64,
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    /// Values from `from` to `to` go to places from `low` to `high`. Equal ends are put apart, so that there is a middle.
    pub(in crate::page) fn linear((from, to): (f64, f64), (low, high): (f64, f64)) -> Self {
        let (from, to) = match to > from {
            true => (from, to),
            false => {
                let around = if from == 0.0 { 1.0 } else { from.abs() * 0.1 };
                (from - around, from + around)
            }
        };
        Self { from, to, low, high, log: false }
    }

    /// By the logarithm if all values are above zero, span a factor of thirty, and lie more evenly so.
    pub(in crate::page) fn fitting(values: &[f64], places: (f64, f64)) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (from, to) = sorted.first().copied().zip(sorted.last().copied()).unwrap_or_default();
        let linear = Self::linear((from, to), places);
        let by_log = Self { log: true, ..linear };
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let uneven = |scale: &Self| (scale.at(middle) - (scale.low + scale.high) / 2.0).abs();
        let log = from > 0.0 && to / from >= 30.0 && uneven(&by_log) < uneven(&linear);
        if log { by_log } else { linear }
    }

    /// The same with its ends moved outward to the next round values, and to 0 if that is near.
    pub(in crate::page) fn nice((from, to): (f64, f64), places: (f64, f64)) -> Self {
        let near_zero = from > 0.0 && from < 0.5 * to;
        let scale = Self::linear((if near_zero { 0.0 } else { from }, to), places);
        let step = step(scale.to - scale.from, 4);
        let (from, to) = ((scale.from / step).floor() * step, (scale.to / step).ceil() * step);
        Self { from, to, ..scale }
    }

    pub(in crate::page) fn at(&self, value: f64) -> f64 {
        let part = match self.log {
            true => (value / self.from).ln() / (self.to / self.from).ln(),
            false => (value - self.from) / (self.to - self.from),
        };
        self.low + part * (self.high - self.low)
    }

    /// The same, but never beyond the ends.
    pub(in crate::page) fn within(&self, value: f64) -> f64 {
        let (least, most) = (self.low.min(self.high), self.low.max(self.high));
        self.at(value).clamp(least, most)
    }

    pub(in crate::page) fn holds(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }

    pub(in crate::page) fn start(&self) -> f64 {
        self.low
    }

    pub(in crate::page) fn end(&self) -> f64 {
        self.high
    }

    /// About so many round values and how they are written, all with the same number of decimals.
    pub(in crate::page) fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        if self.log {
            let first = self.from.log10().ceil() as i32;
            let powers = (first..).map(|power| 10_f64.powi(power)).take_while(|value| *value <= self.to);
            return powers.map(|value| (value, short(value, 0.0_f64.max(-value.log10()) as usize))).collect();
        }
        let step = step(self.to - self.from, count);
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let first = (self.from / step - 1e-9).ceil();
        let last = (self.to / step + 1e-9).floor();
        let value = |at: f64| (first + at) * step;
        let many = ((last - first).max(0.0) as usize).min(50);
        (0..=many).map(|at| (value(at as f64), short(value(at as f64), decimals))).collect()
    }
}

/// The round number (1, 2 or 5 times a power of ten) that cuts `span` into about so many.
fn step(span: f64, count: usize) -> f64 {
    let rough = span / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let times = match rough / power {
        small if small < 1.5 => 1.0,
        small if small < 3.5 => 2.0,
        large if large < 7.5 => 5.0,
        _ => 10.0,
    };
    times * power
}

/// From ten thousand on in thousands, and so on.
fn short(value: f64, decimals: usize) -> String {
    match value.abs() {
        large if large >= 1e10 => format!("{}G", trimmed(value / 1e9)),
        large if large >= 1e7 => format!("{}M", trimmed(value / 1e6)),
        large if large >= 1e4 => format!("{}k", trimmed(value / 1e3)),
        _ => grouped(value, decimals),
    }
}

fn trimmed(value: f64) -> String {
    grouped(value, if (value - value.round()).abs() < 1e-6 { 0 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(from: f64, to: f64) -> Vec<String> {
        Scale::linear((from, to), (0.0, 100.0)).ticks(5).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn an_axis_names_round_values() {
        assert_eq!(ticks(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(ticks(3.0, 97.0), ["20", "40", "60", "80"]);
        assert_eq!(ticks(-0.02, 0.03), ["\u{2212}0.02", "\u{2212}0.01", "0.00", "0.01", "0.02", "0.03"]);
        assert_eq!(ticks(0.0, 120_000.0), ["0", "20k", "40k", "60k", "80k", "100k", "120k"]);
    }

    #[test]
    fn what_does_not_vary_stands_in_the_middle() {
        assert_eq!(Scale::linear((5.0, 5.0), (0.0, 100.0)).at(5.0), 50.0);
        assert_eq!(Scale::linear((0.0, 0.0), (0.0, 100.0)).at(0.0), 50.0);
        assert!(!ticks(7.0, 7.0).is_empty());
    }

    #[test]
    fn a_wide_range_above_zero_is_drawn_by_its_logarithm() {
        let scale = Scale::fitting(&[100.0, 1.0, 10.0], (0.0, 100.0));
        assert_eq!(scale.at(10.0), 50.0);
        assert_eq!(Scale::fitting(&[0.0, 10.0, 100.0], (0.0, 100.0)).at(10.0), 10.0);
        assert_eq!(Scale::fitting(&[1.0, 41.0, 81.0, 101.0], (0.0, 100.0)).at(51.0), 50.0, "drawn evenly");
        let texts: Vec<String> = scale.ticks(5).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["1", "10", "100"]);
    }

    #[test]
    fn ends_are_round_and_zero_is_shown_when_it_is_near() {
        let scale = Scale::nice((12.0, 96.0), (0.0, 100.0));
        assert_eq!((scale.at(0.0), scale.at(100.0)), (0.0, 100.0));
        let scale = Scale::nice((91.0, 96.0), (0.0, 100.0));
        assert_eq!((scale.at(91.0), scale.at(96.0)), (0.0, 100.0));
    }
}
