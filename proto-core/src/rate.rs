//! How much of something one may have: token buckets, kept as the time until which all that was taken would have been earned (the
//! "generic cell rate algorithm", ITU-T I.371).

use crate::time::{Span, Time};

/// So much a second, and so much at once.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// What one costs, in nanoseconds.
    each: u64,
    burst: u64,
}

impl Rate {
    /// All of a minute's at once, and then as it is earned.
    pub(crate) fn per_minute(count: u64) -> Self {
        let each = 60_000_000_000 / count.max(1);
        Self { each, burst: each.saturating_mul(count) }
    }

    pub const fn per_second(rate: u64, burst: u64) -> Self {
        let each = 1_000_000_000 / rate;
        Self { each, burst: each * burst }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    /// When all that was taken would have been earned, had it been taken at the rate.
    earned: Time,
}

impl Bucket {
    /// From when on it may be taken from.
    pub(crate) fn ready(&self, rate: Rate) -> Time {
        Time(self.earned.0.saturating_sub(rate.burst))
    }

    /// How much may be taken now.
    pub(crate) fn left(&self, now: Time, rate: Rate) -> u64 {
        rate.burst.saturating_sub((self.earned - now).0).checked_div(rate.each).unwrap_or(u64::MAX)
    }

    /// How long it takes until there is one.
    pub(crate) fn next_in(&self, now: Time, rate: Rate) -> Span {
        Time(self.earned.0.saturating_sub(rate.burst.saturating_sub(rate.each))) - now
    }

    /// How long it takes until it is full, if nothing is taken.
    pub(crate) fn full_in(&self, now: Time) -> Span {
        self.earned - now
    }

    /// It may go into debt, by what is taken at once: frames are not cut.
    pub(crate) fn take(&mut self, now: Time, rate: Rate, count: usize) {
        let cost = rate.each.saturating_mul(count as u64);
        self.earned = self.earned.max(now) + Span::from_nanos(cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate::per_second(100, 10);

    proptest! {
        #[test]
        fn however_it_is_taken_no_more_comes_out_than_rate_and_burst(pauses in prop::collection::vec(0u64..50, 1..400)) {
            let (mut bucket, mut now, mut taken) = (Bucket::default(), Time(5_000_000_000), 0u64);
            let start = now;
            for pause in pauses {
                now = now + Span::from_millis(pause);
                if bucket.ready(RATE) <= now {
                    bucket.take(now, RATE, 1);
                    taken += 1;
                }
            }
            let most = 11 + (now - start).as_millis() / 10;
            prop_assert!(taken <= most, "{taken} of {most}");
        }
    }

    #[test]
    fn who_keeps_to_the_rate_never_waits() {
        let (mut bucket, mut now) = (Bucket::default(), Time(1));
        for _ in 0..10_000 {
            assert!(bucket.ready(RATE) <= now);
            bucket.take(now, RATE, 1);
            now = now + Span::from_millis(10);
        }
    }

    #[test]
    fn a_minutes_worth_is_there_at_once_and_comes_back_within_a_minute() {
        let (mut bucket, rate, now) = (Bucket::default(), Rate::per_minute(90), Time(1));
        assert_eq!(bucket.left(now, rate), 90);
        bucket.take(now, rate, 90);
        assert_eq!((bucket.left(now, rate), bucket.left(now + Span::from_secs(20), rate)), (0, 30));
        assert_eq!(bucket.next_in(now, rate), Span::from_nanos(60_000_000_000 / 90));
        assert_eq!(bucket.left(now + bucket.next_in(now, rate), rate), 1);
        assert_eq!(bucket.left(now + Span::from_secs(60), rate), 90);
    }
}
