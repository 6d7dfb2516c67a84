//! Notices that the wall clock was set, or stood still: it and the monotonic clock no longer go together. What was signed
//! by the wrong time is then believed by nobody, and what was signed for the right time may have been thrown away.
//!
//! What is absent: whether the clock is right. That takes the peers' clocks: `peer_clocks.rs`.

use crate::limits::{CLOCK_LOOK, CLOCK_STEP};
use crate::time::{Now, Time, Wake};

pub(super) struct Clock {
    /// Wall time less monotonic time, in milliseconds.
    ahead: u64,
    /// A node that nothing happens to looks all the same.
    look_at: Time,
}

impl Clock {
    pub(super) fn new(now: Now) -> Self {
        Self { ahead: ahead(now), look_at: now.mono + CLOCK_LOOK }
    }

    /// Whether it was set since it was last looked at, by how much in milliseconds.
    pub(super) fn step(&mut self, now: Now) -> Option<i64> {
        if now.mono >= self.look_at {
            self.look_at = now.mono + CLOCK_LOOK;
        }
        let step = ahead(now).wrapping_sub(self.ahead).cast_signed();
        if step.unsigned_abs() < CLOCK_STEP.as_millis() {
            return None;
        }
        self.ahead = ahead(now);
        Some(step)
    }

    pub(super) fn poll_timeout(&self) -> Wake {
        Wake { at: self.look_at, why: "look at the wall clock" }
    }
}

fn ahead(now: Now) -> u64 {
    now.wall.0.wrapping_sub(now.mono.0 / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Span, Wall};

    fn at(secs: u64, wall_secs: u64) -> Now {
        Now { mono: Time::ZERO + Span::from_secs(secs), wall: Wall(wall_secs * 1_000) }
    }

    #[test]
    fn a_clock_that_was_set_or_stood_still_is_noticed_once() {
        let mut clock = Clock::new(at(0, 1_000));
        assert_eq!(clock.step(at(500, 1_500)), None, "time only passed");
        assert_eq!(clock.step(at(510, 5_110)), Some(3_600_000));
        assert_eq!(clock.step(at(520, 5_120)), None);
        assert_eq!(clock.step(at(530, 1_530)), Some(-3_600_000));
        assert_eq!(clock.step(at(560, 1_530)), None, "it stands still, not for long");
        assert_eq!(clock.step(at(590, 1_530)), Some(-60_000));
    }
}
