//! What a figure is measured in, by its name, and how its numbers are written: in the unit that suits their size, with as many
//! digits as they have a meaning for.

use super::number::grouped;
use crate::stats::Interval;

/// What the number in a table stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    Count,
    /// So many seconds for each one.
    Time {
        seconds: f64,
    },
    /// Micro-units of the study's currency.
    Money,
    /// A part of a whole, that is so many.
    Share {
        whole: f64,
    },
    /// From 0 to 1, of which so many make one: an index that is no part of anything.
    Index {
        whole: f64,
    },
    Bytes,
    /// 0 or 1.
    Flag,
}

/// A unit as it is shown: numbers are multiplied first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub factor: f64,
    /// Empty: a plain number.
    pub suffix: String,
}

/// How the numbers of one figure are written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Format {
    pub shown: Shown,
    pub decimals: usize,
}

impl Unit {
    /// By the name's end, or what it begins with: the names of figures and series say what they are in.
    pub(super) fn of(name: &str) -> Self {
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        let ends = |end: &str| name.ends_with(end);
        if has(&["fairness_ppm", "gini_ppm"]) {
            Self::Index { whole: 1e6 }
        } else if ends("_ppm") {
            Self::Share { whole: 1e6 }
        } else if ends("_permille") {
            Self::Share { whole: 1e3 }
        } else if ends("_us") {
            Self::Time { seconds: 1e-6 }
        } else if ends("_ms") {
            Self::Time { seconds: 1e-3 }
        } else if ends("_seconds") || ends("_s") {
            Self::Time { seconds: 1.0 }
        } else if ends("_milli") {
            Self::Index { whole: 1e3 }
        } else if ends("_bytes") {
            Self::Bytes
        } else if ends("_micro") || has(&["money.", "balance.", "charged", "earned"]) {
            Self::Money
        } else if matches!(name, "settled" | "ledger_balanced") {
            Self::Flag
        } else {
            Self::Count
        }
    }

    /// For numbers of which the largest is so large.
    pub(super) fn shown(self, largest: f64, currency: &str) -> Shown {
        let (factor, suffix) = match self {
            Self::Count | Self::Flag => (1.0, ""),
            Self::Time { seconds } => match seconds * largest.abs() {
                long if long >= 4.0 * 3600.0 => (seconds / 3600.0, "h"),
                long if long >= 240.0 => (seconds / 60.0, "min"),
                long if long >= 1.0 => (seconds, "s"),
                long if long >= 1e-3 || long == 0.0 => (seconds * 1e3, "ms"),
                _ => (seconds * 1e6, "µs"),
            },
            Self::Money => (1e-6, currency),
            Self::Share { whole } => (100.0 / whole, "%"),
            Self::Index { whole } => (1.0 / whole, ""),
            Self::Bytes => match largest.abs() {
                large if large >= 1e7 => (1e-6, "MB"),
                large if large >= 1e4 => (1e-3, "kB"),
                _ => (1.0, "B"),
            },
        };
        Shown { factor, suffix: suffix.into() }
    }

    fn is_whole(self) -> bool {
        matches!(self, Self::Count | Self::Flag)
    }
}

impl Format {
    /// `largest` is the largest of the numbers, `known` how well they are known, such as half an interval's width; 0 if they
    /// don't vary. Two digits of what is uncertain are shown.
    pub(super) fn new(unit: Unit, largest: f64, known: f64, currency: &str) -> Self {
        let shown = unit.shown(largest, currency);
        let decimals = match (known * shown.factor).abs() {
            exact if exact < 1e-12 && unit.is_whole() && largest.fract() == 0.0 => 0,
            exact if exact < 1e-12 && largest == 0.0 => 0,
            exact if exact < 1e-12 => digits(largest * shown.factor / 100.0),
            uncertain => digits(uncertain),
        };
        Self { shown, decimals }
    }

    /// Without its unit.
    pub(super) fn number(&self, value: f64) -> String {
        if value == 0.0 {
            return "0".into();
        }
        grouped(value * self.shown.factor, self.decimals)
    }

    pub(super) fn full(&self, value: f64) -> String {
        self.with_unit(self.number(value))
    }

    /// Of a difference that is known so well: half its interval's width. Of one that is known exactly, four digits. Parts of a whole
    /// differ by percentage points.
    pub(super) fn of_difference(&self, difference: f64, known: f64) -> Self {
        let mut format = self.clone();
        let shown = difference * self.shown.factor;
        if known > 0.0 {
            format.decimals = digits(known * self.shown.factor);
        } else if shown.fract() != 0.0 {
            format.decimals = digits(shown / 100.0);
        }
        if format.shown.suffix == "%" {
            format.shown.suffix = "pp".into();
        }
        format
    }

    /// With its sign, for differences.
    pub(super) fn signed(&self, value: f64) -> String {
        let number = self.number(value);
        if value > 0.0 && number.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
            return format!("+{number}");
        }
        number
    }

    pub(super) fn signed_full(&self, value: f64) -> String {
        self.with_unit(self.signed(value))
    }

    pub(super) fn interval(&self, Interval { low, high }: Interval) -> String {
        format!("{} to {}", self.number(low), self.number(high))
    }

    fn with_unit(&self, number: String) -> String {
        match self.shown.suffix.as_str() {
            "" => number,
            // A space that no line ends at.
            suffix => format!("{number}\u{a0}{suffix}"),
        }
    }
}

/// Decimals that show two digits of so much.
fn digits(of: f64) -> usize {
    (1.0 - of.abs().log10().floor()).clamp(0.0, 6.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, value: f64, known: f64) -> String {
        Format::new(Unit::of(name), value, known, "XTS").full(value)
    }

    #[test]
    fn numbers_come_in_the_unit_that_suits_their_size() {
        assert_eq!(text("sojourn.mean_us", 1_668_730.0, 17_000.0), "1.669\u{a0}s");
        assert_eq!(text("ttft.p50_ms", 35.0, 1.2), "35.0\u{a0}ms");
        assert_eq!(text("ttft.p99_us", 420.0, 3.0), "420.0\u{a0}µs");
        assert_eq!(text("virtual_seconds", 10_860.0, 0.0), "181.0\u{a0}min");
        assert_eq!(text("market.price_micro", 79_480_000.0, 120_000.0), "79.48\u{a0}XTS");
        assert_eq!(text("money.charged", 12_345_678_900.0, 1_300_000.0), "12,345.7\u{a0}XTS");
        assert_eq!(text("jobs.goodput_permille", 987.0, 4.0), "98.70\u{a0}%");
        assert_eq!(text("income.gini_ppm", 312_000.0, 11_000.0), "0.312");
        assert_eq!(text("mesh.record_bytes", 12_340.0, 500.0), "12.34\u{a0}kB");
        assert_eq!(text("jobs.total", 19_366.0, 0.0), "19,366");
        assert_eq!(text("settled", 1.0, 0.0), "1");
    }

    #[test]
    fn a_difference_has_its_sign_unless_it_rounds_to_nothing() {
        let format = Format::new(Unit::of("jobs.completed"), 400.0, 20.0, "XTS");
        assert_eq!([12.4, -3.0, 0.1, 0.0].map(|value| format.signed(value)), ["+12", "\u{2212}3", "0", "0"]);
    }

    #[test]
    fn a_difference_has_the_digits_that_its_own_interval_gives_a_meaning_to() {
        let charged = Format::new(Unit::of("money.charged"), 2e6, 1e5, "XTS");
        assert_eq!(charged.signed_full(1_234.0), "0.00\u{a0}XTS");
        assert_eq!(charged.of_difference(1_234.0, 50.0).signed_full(1_234.0), "+0.001234\u{a0}XTS");
        let share = Format::new(Unit::of("slots.busy_ppm"), 4e5, 2e4, "XTS");
        assert_eq!(share.of_difference(10_000.0, 1e3).signed_full(10_000.0), "+1.00\u{a0}pp");
        assert_eq!(charged.of_difference(1_234.0, 0.0).signed_full(1_234.0), "+0.001234\u{a0}XTS");
        let jobs = Format::new(Unit::of("jobs.failed"), 4_000.0, 0.0, "XTS");
        assert_eq!(jobs.of_difference(3.0, 0.0).signed_full(3.0), "+3");
    }
}
