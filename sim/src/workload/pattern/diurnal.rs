//! Days and nights: the rate goes up and down as a sine, by thinning (P. Lewis and G. Shedler, 1979). It begins in the mean, rising.

use core::f64::consts::TAU;

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Draws, Pattern, Window};
use crate::scenario::values;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diurnal {
    /// A day.
    #[serde(with = "values::span")]
    pub period: Span,
    /// By what part of the mean it rises and falls, up to 1: then nobody comes at the lowest.
    pub depth: f64,
}

/// A chance of one, as a draw.
const SURE: u64 = 1 << 32;

impl Pattern for Diurnal {
    fn check(&self) -> Result<(), String> {
        if self.period.0 == 0 {
            return Err("diurnal: period must be above zero".into());
        }
        match self.depth > 0.0 && self.depth <= 1.0 {
            true => Ok(()),
            false => Err("diurnal: depth must be above 0 and at most 1".into()),
        }
    }

    fn moments(&self, window: &Window, draws: &mut Draws) -> Vec<Span> {
        // As many as come at the highest, of whom so many come as there are at that moment.
        let every = Span(((window.every.0 as f64 / (1.0 + self.depth)) as u64).max(1));
        let mut most = Window { every, ..*window }.poisson(&mut draws.gaps);
        most.retain(|at| draws.turns.below(SURE) < self.chance(Span(at.0 - window.from.0)));
        most
    }
}

impl Diurnal {
    /// That one of those at the highest comes, in parts of [`SURE`]. By libm, whose sine is the same on every machine.
    fn chance(&self, since: Span) -> u64 {
        let part = (since.0 % self.period.0) as f64 / self.period.0 as f64;
        let rate = 1.0 + self.depth * libm::sin(TAU * part);
        (rate / (1.0 + self.depth) * SURE as f64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HOUR, draws, parts};
    use super::*;

    #[test]
    fn more_come_by_day_than_by_night_as_the_sine_has_it() {
        let diurnal = Diurnal { period: Span::from_secs(3_600), depth: 0.5 };
        let quarters = parts(&diurnal.moments(&HOUR, &mut draws()), &HOUR, 4);
        // The mean of the sine over its first half is 2 / pi: 9,000 (1 + .5 * .6366), and 9,000 (1 - .5 * .6366).
        for (quarter, expected) in quarters.iter().zip([11_865_u64, 11_865, 6_135, 6_135]) {
            assert!(quarter.abs_diff(expected) < 350, "{quarters:?}");
        }
    }

    #[test]
    fn what_can_not_be_drawn_is_refused() {
        let good = Diurnal { period: Span(1), depth: 1.0 };
        assert_eq!(good.check(), Ok(()));
        assert!(Diurnal { period: Span(0), ..good.clone() }.check().is_err());
        for depth in [0.0, 1.1, f64::NAN] {
            assert!(Diurnal { depth, ..good.clone() }.check().is_err());
        }
    }
}
