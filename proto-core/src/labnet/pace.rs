//! How fast a peer is heard: token buckets, kept as the time until which a peer has spent what it gets (the "generic cell
//! rate algorithm", ITU-T I.371). Whoever is in debt is read on later; nothing is dropped.

use crate::limits::{LINK_BYTES, LINK_CHECKS, LINK_FRAMES};
use crate::time::{Span, Time};

/// So much a second, and so much at once.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// What one costs, in nanoseconds.
    each: u64,
    burst: u64,
}

impl Rate {
    pub const fn per_second(rate: u64, burst: u64) -> Self {
        let each = 1_000_000_000 / rate;
        Self { each, burst: each * burst }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// When all that was taken would have been earned, had it been taken at the rate.
    earned: Time,
}

impl Bucket {
    /// From when on it may be taken from.
    pub(super) fn ready(&self, rate: Rate) -> Time {
        Time(self.earned.0.saturating_sub(rate.burst))
    }

    /// It may go into debt, by what is taken at once: frames are not cut.
    pub(super) fn take(&mut self, now: Time, rate: Rate, count: usize) {
        let cost = rate.each.saturating_mul(count as u64);
        self.earned = self.earned.max(now) + Span::from_nanos(cost);
    }
}

/// What one link's control stream has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    frames: Bucket,
    bytes: Bucket,
    checks: Bucket,
}

impl Pace {
    /// From when on it is read.
    pub(super) fn ready(&self) -> Time {
        let ready = self.frames.ready(LINK_FRAMES).max(self.bytes.ready(LINK_BYTES));
        ready.max(self.checks.ready(LINK_CHECKS))
    }

    /// A frame was read. Each counts as a signature to be checked: that a record need not be is known only later.
    pub(super) fn frame(&mut self, now: Time, bytes: usize) {
        self.frames.take(now, LINK_FRAMES, 1);
        self.bytes.take(now, LINK_BYTES, bytes);
        self.checks.take(now, LINK_CHECKS, 1);
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
}
