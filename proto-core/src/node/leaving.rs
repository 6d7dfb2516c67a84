//! How a node ends in order, when its process is asked to.
//!
//! ```text
//!   Staying --leave--> Finishing --all jobs are over, or LEAVE--> Saying --no link is left, or FAREWELL--> Gone
//!                      takes on nothing new                       its departure, the end of each control stream;
//!                                                                 its neighbours close
//! ```
//!
//! What is absent: receipts and reports that still have to be delivered. They are on the disk, and go out in the next life.

use crate::limits::{FAREWELL, LEAVE};
use crate::time::{Time, Wake};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Leaving {
    #[default]
    Staying,
    Finishing {
        until: Time,
    },
    Saying {
        until: Time,
    },
    Gone,
}

impl Leaving {
    pub(crate) fn begin(&mut self, now: Time) {
        if *self == Self::Staying {
            *self = Self::Finishing { until: now + LEAVE };
        }
    }

    /// True: goodbye is to be said now.
    pub(crate) fn finished(&mut self, now: Time, idle: bool) -> bool {
        match *self {
            Self::Finishing { until } if idle || until <= now => {
                *self = Self::Saying { until: now + FAREWELL };
                true
            }
            _ => false,
        }
    }

    /// Its last word is said: from now on it waits.
    pub(crate) fn has_spoken(&self) -> bool {
        matches!(self, Self::Saying { .. } | Self::Gone)
    }

    pub(crate) fn said(&mut self, now: Time, alone: bool) {
        if let Self::Saying { until } = *self
            && (alone || until <= now)
        {
            *self = Self::Gone;
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        match *self {
            Self::Finishing { until } => Some(Wake { at: until, why: "jobs to end before the node leaves" }),
            Self::Saying { until } => Some(Wake { at: until, why: "its neighbours to hear that it leaves" }),
            Self::Staying | Self::Gone => None,
        }
    }
}
