//! A host's two clocks: monotonic since its start, and a wall clock that may be off.

use labman_proto_core::time::{Now, Span, Time, Wall};

/// Wall time at which every scenario starts: 2026-01-01T00:00:00Z.
const EPOCH: Wall = Wall(1_767_225_600_000);

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Time,
    /// How far its wall clock is ahead of the true one, in milliseconds; behind if negative.
    offset_ms: i64,
}

impl Clock {
    pub fn started_at(now: Time, offset_ms: i64) -> Self {
        Self { started: now, offset_ms }
    }

    /// What the host reads off its clocks at the engine's `now`.
    pub fn read(&self, now: Time) -> Now {
        let true_wall = EPOCH + Span(now.0);
        Now {
            mono: Time((now - self.started).0),
            wall: Wall(true_wall.0.saturating_add_signed(self.offset_ms)),
        }
    }

    /// The engine's time at which this host's monotonic clock shows `mono`.
    pub fn engine_time(&self, mono: Time) -> Time {
        self.started + Span(mono.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_host_counts_from_zero_and_keeps_its_skew() {
        let clock = Clock::started_at(Time(5_000_000_000), -1_000);
        let now = clock.read(Time(7_000_000_000));
        assert_eq!(now.mono, Time(2_000_000_000));
        assert_eq!(now.wall, Wall(EPOCH.0 + 6_000));
        assert_eq!(clock.engine_time(now.mono), Time(7_000_000_000));
    }
}
