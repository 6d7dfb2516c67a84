//! A flash crowd: at one time far more come than else, and then no more.

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Draws, Pattern, Window};
use crate::scenario::values;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// When it begins, by the scenario's clock.
    #[serde(with = "values::span")]
    pub from: Span,
    #[serde(rename = "for", with = "values::span")]
    pub lasting: Span,
    /// The mean time between two in it.
    #[serde(with = "values::span")]
    pub every: Span,
}

impl Burst {
    /// Before it, itself, and after it.
    fn parts(&self, window: &Window) -> [Window; 3] {
        let begins = self.from.clamp(window.from, window.until);
        let ends = Span(self.from.0.saturating_add(self.lasting.0)).clamp(window.from, window.until);
        [
            Window { until: begins, ..*window },
            Window { from: begins, until: ends, every: self.every },
            Window { from: ends, ..*window },
        ]
    }
}

impl Pattern for Burst {
    fn check(&self) -> Result<(), String> {
        match self.lasting.0 > 0 && self.every.0 > 0 {
            true => Ok(()),
            false => Err("burst: for and every must be above zero".into()),
        }
    }

    fn moments(&self, window: &Window, draws: &mut Draws) -> Vec<Span> {
        let [before, within, after] = self.parts(window);
        // From another stream, so that whoever comes before and after comes whatever the crowd does.
        let crowd = within.poisson(&mut draws.turns);
        let first = before.poisson(&mut draws.gaps);
        first.into_iter().chain(crowd).chain(after.poisson(&mut draws.gaps)).collect()
    }

    fn expected(&self, window: &Window) -> u64 {
        self.parts(window).iter().map(Window::expected).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HOUR, draws, parts};
    use super::*;

    #[test]
    fn a_crowd_comes_in_its_time_only() {
        let burst =
            Burst { from: Span::from_secs(900), lasting: Span::from_secs(900), every: Span::from_millis(10) };
        let quarters = parts(&burst.moments(&HOUR, &mut draws()), &HOUR, 4);
        for (quarter, expected) in quarters.iter().zip([9_000_u64, 90_000, 9_000, 9_000]) {
            assert!(quarter.abs_diff(expected) < expected / 25, "{quarters:?}");
        }
    }

    #[test]
    fn one_that_reaches_beyond_the_window_is_cut() {
        let burst = Burst {
            from: Span::from_secs(3_000),
            lasting: Span::from_secs(3_600),
            every: Span::from_millis(10),
        };
        assert_eq!(burst.expected(&HOUR), 30_000 + 60_000);
        assert!(Burst { lasting: Span(0), ..burst }.check().is_err());
    }
}
