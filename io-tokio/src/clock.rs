//! The two clocks a machine is told of.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use labman_proto_core::time::{Now, Time, Wall};
use tokio::time::Instant;

/// Unix time in milliseconds; zero if the computer's clock stands before 1970.
pub fn now_wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// [`Time`] counts from this clock's making.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now { mono: Time(nanos), wall: now_wall() }
    }

    /// `None`: so far away that it never comes.
    pub(crate) fn instant(&self, time: Time) -> Option<Instant> {
        self.start.checked_add(Duration::from_nanos(time.0))
    }
}
