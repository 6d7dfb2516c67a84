//! How fast a peer is heard. Whoever is in debt is read on later; nothing is dropped.

use crate::limits::{LINK_BYTES, LINK_CHECKS, LINK_FRAMES};
use crate::rate::Bucket;
use crate::time::Time;

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
