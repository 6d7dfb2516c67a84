//! How long a portal was up, in all its lives: by that a hold's life is counted, so that an outage expires nothing, and one
//! that restarts all the time still expires what is due.

use crate::limits::UPTIME_EVERY;
use crate::time::Time;

pub(super) struct Uptime {
    /// When this life began, and how long those before it were, as far as they wrote it down, in milliseconds.
    began: Time,
    before_ms: u64,
    /// When it was last written down in this life.
    written: Time,
}

impl Uptime {
    pub(super) const fn new(before_ms: u64, now: Time) -> Self {
        Self { began: now, before_ms, written: now }
    }

    pub(super) fn at_ms(&self, now: Time) -> u64 {
        self.before_ms + (now - self.began).as_millis()
    }

    pub(super) fn written(&mut self, now: Time) {
        self.written = now;
    }

    /// When it is to be written down, if nothing else is before.
    pub(super) fn due(&self) -> Time {
        self.written + UPTIME_EVERY
    }
}
