//! A host's two clocks: monotonic since its start, and a wall clock that may be off, jump, or stand still.

use labman_proto_core::time::{Now, Span, Time, Wall};

/// Wall time at which every scenario starts: 2026-01-01T00:00:00Z.
const EPOCH: Wall = Wall(1_767_225_600_000);

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Time,
    /// How far its wall clock is ahead of the true one, in milliseconds; behind if negative.
    offset_ms: i64,
    /// What the wall clock shows while it stands still.
    frozen: Option<Wall>,
}

impl Clock {
    pub fn started_at(now: Time, offset_ms: i64) -> Self {
        Self { started: now, offset_ms, frozen: None }
    }

    /// The host starts anew: monotonic time counts from zero, and the wall clock is as wrong as before.
    pub fn restart(&mut self, now: Time) {
        self.started = now;
    }

    /// What the host reads off its clocks at the engine's `now`.
    pub fn read(&self, now: Time) -> Now {
        Now { mono: Time((now - self.started).0), wall: self.frozen.unwrap_or_else(|| self.wall(now)) }
    }

    /// The engine's time at which this host's monotonic clock shows `mono`.
    pub fn engine_time(&self, mono: Time) -> Time {
        self.started + Span(mono.0)
    }

    /// Sets the wall clock by that much, forward or back.
    pub fn jump(&mut self, millis: i64) {
        self.offset_ms = self.offset_ms.saturating_add(millis);
    }

    /// The wall clock stands still from now on.
    pub fn freeze(&mut self, now: Time) {
        self.frozen = Some(self.wall(now));
    }

    /// It goes on, with the time it would have shown all along.
    pub fn thaw(&mut self) {
        self.frozen = None;
    }

    fn wall(&self, now: Time) -> Wall {
        let true_wall = EPOCH + Span(now.0);
        Wall(true_wall.0.saturating_add_signed(self.offset_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_host_counts_from_zero_and_keeps_its_skew() {
        let mut clock = Clock::started_at(Time(1), -1_000);
        clock.restart(Time(5_000_000_000));
        let now = clock.read(Time(7_000_000_000));
        assert_eq!(now.mono, Time(2_000_000_000));
        assert_eq!(now.wall, Wall(EPOCH.0 + 6_000));
        assert_eq!(clock.engine_time(now.mono), Time(7_000_000_000));
    }

    #[test]
    fn a_frozen_wall_clock_stands_still_and_then_goes_on_as_if_it_had_not() {
        let mut clock = Clock::started_at(Time(0), 0);
        clock.freeze(Time(1_000_000_000));
        assert_eq!(clock.read(Time(9_000_000_000)).wall, Wall(EPOCH.0 + 1_000));
        assert_eq!(clock.read(Time(9_000_000_000)).mono, Time(9_000_000_000), "monotonic time never stops");
        clock.thaw();
        clock.jump(-500);
        assert_eq!(clock.read(Time(9_000_000_000)).wall, Wall(EPOCH.0 + 8_500));
    }
}
