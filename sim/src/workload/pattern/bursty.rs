//! Bursts that come and go at random: a Poisson process whose rate has two states, each left after an exponential time (a
//! Markov-modulated Poisson process; W. Fischer and K. Meier-Hellstern, The MMPP Cookbook, 1993).

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Draws, Pattern, Window};
use crate::scenario::values;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bursty {
    /// How long a burst lasts in the mean, and the time between two.
    #[serde(with = "values::span")]
    pub on: Span,
    #[serde(with = "values::span")]
    pub off: Span,
    /// So many times as many come in a burst as between two; over all times as many come as without bursts.
    pub times: u32,
}

impl Bursty {
    /// The mean time between two that come, in a burst and between two bursts: rates times shares of time sum to one each `every`.
    fn every(&self, every: Span) -> (Span, Span) {
        let (on, off) = (u128::from(self.on.0), u128::from(self.off.0));
        let off_every = u128::from(every.0) * (on * u128::from(self.times) + off) / (on + off).max(1);
        let span = |nanos: u128| Span(u64::try_from(nanos).unwrap_or(u64::MAX).max(1));
        (span(off_every / u128::from(self.times.max(1))), span(off_every))
    }
}

impl Pattern for Bursty {
    fn check(&self) -> Result<(), String> {
        if self.on.0 == 0 || self.off.0 == 0 {
            return Err("bursty: on and off must be above zero".into());
        }
        match (2..=1_000).contains(&self.times) {
            true => Ok(()),
            false => Err("bursty: times must be from 2 to 1000".into()),
        }
    }

    fn moments(&self, window: &Window, draws: &mut Draws) -> Vec<Span> {
        let (in_burst, between) = self.every(window.every);
        let (on, off) = (self.on.0, self.off.0);
        // As if it had gone on for ever: a burst is under way as often as one is at any time.
        let mut bursts = draws.turns.below(on.saturating_add(off)) < on;
        let (mut moments, mut from) = (Vec::new(), window.from);
        while from < window.until {
            let (lasts, every) = if bursts { (self.on, in_burst) } else { (self.off, between) };
            let until = Span(from.0.saturating_add(draws.turns.exponential(lasts).0));
            // The exponential forgets: what would have come after the turn is drawn anew at the new rate.
            let part = Window { from, until: until.min(window.until), every };
            moments.extend(part.poisson(&mut draws.gaps));
            (from, bursts) = (until, !bursts);
        }
        moments
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HOUR, dispersion, draws, parts};
    use super::*;

    #[test]
    fn rates_are_so_many_times_apart_and_make_the_same_in_the_mean() {
        let bursty = Bursty { on: Span::from_secs(10), off: Span::from_secs(50), times: 5 };
        // (10 * 5 r + 50 r) / 60 is one each 100 ms, so r is one each 166.7 ms.
        assert_eq!(bursty.every(Span(300)), (Span(100), Span(500)));
    }

    #[test]
    fn counts_vary_by_far_more_than_chance_alone_would_have_it() {
        let bursty = Bursty { on: Span::from_secs(10), off: Span::from_secs(50), times: 5 };
        let moments = bursty.moments(&HOUR, &mut draws());
        let dispersion = dispersion(&parts(&moments, &HOUR, 360));
        // Over 10 s, in which 100 come: 1 + 100 * (the rate's squared coefficient of variation, .8) * (the part of it that lasts so
        // long, .7), 56.7.
        assert!((20.0..90.0).contains(&dispersion), "{dispersion}");
    }

    #[test]
    fn what_can_not_be_drawn_is_refused() {
        let good = Bursty { on: Span(1), off: Span(1), times: 2 };
        assert_eq!(good.check(), Ok(()));
        assert!(Bursty { on: Span(0), ..good.clone() }.check().is_err());
        assert!(Bursty { times: 1, ..good }.check().is_err());
    }
}
