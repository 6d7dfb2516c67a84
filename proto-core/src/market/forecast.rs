//! What the next epoch will ask for, by what the last ones did: a running level and its trend (Holt's double exponential
//! smoothing), in thousandths.

/// What of a new observation counts: half for the level, a fifth for the trend.
const LEVEL: i64 = 500;
const TREND: i64 = 200;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forecast {
    level: i64,
    trend: i64,
    seen: u32,
}

impl Forecast {
    /// Observed in the epoch that ends, in thousandths. The first is taken as it is.
    pub(crate) fn add(&mut self, observed: u64) {
        let observed = i64::try_from(observed).unwrap_or(i64::MAX / 4_000).min(i64::MAX / 4_000);
        let before = self.level;
        self.level = match self.seen {
            0 => observed,
            _ => mix(LEVEL, observed, before + self.trend),
        };
        if self.seen > 0 {
            // One epoch that was out of all proportion is not held against the next twenty.
            let most = self.level / 2;
            self.trend = mix(TREND, self.level - before, self.trend).clamp(-most, most);
        }
        self.seen = self.seen.saturating_add(1);
    }

    /// For the next epoch, in thousandths. Never below nothing.
    pub(crate) fn next(&self) -> u64 {
        u64::try_from(self.level + self.trend).unwrap_or(0)
    }
}

fn mix(weight: i64, new: i64, old: i64) -> i64 {
    (weight * new + (1_000 - weight) * old) / 1_000
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn after(observed: impl IntoIterator<Item = u64>) -> Forecast {
        let mut forecast = Forecast::default();
        observed.into_iter().for_each(|one| forecast.add(one));
        forecast
    }

    #[test]
    fn what_stays_the_same_is_expected_to() {
        assert_eq!(after([7_000; 20]).next(), 7_000);
        assert_eq!(after([7_000]).next(), 7_000);
    }

    #[test]
    fn a_trend_is_carried_on_and_never_below_nothing() {
        let rising = after((1..=40).map(|n| n * 1_000));
        assert!((40_500..=41_500).contains(&rising.next()), "{rising:?}");
        let falling = after((0..=10).rev().map(|n| n * 1_000));
        assert!(falling.next() <= 1_000, "{falling:?}");
    }

    #[test]
    fn one_epoch_out_of_all_proportion_is_forgotten_soon() {
        let mut forecast = after([100_000; 5]);
        forecast.add(36_000_000);
        let next: Vec<u64> = (0..10)
            .map(|_| {
                forecast.add(100_000);
                forecast.next()
            })
            .collect();
        assert!(next.iter().all(|next| *next >= 25_000), "{next:?}");
        assert!(*next.last().unwrap() < 200_000, "{next:?}");
    }

    #[test]
    fn numbers_from_outside_do_not_overflow() {
        assert!(after([u64::MAX, 0, u64::MAX, u64::MAX]).next() > 0);
    }
}
