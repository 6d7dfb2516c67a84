//! How a node ends in order, when its process is asked to.
//!
//! ```text
//!   Staying --leave--> Finishing --all jobs are over, or LEAVE--> Saying --no link is left, or FAREWELL--> Gone
//!                      takes on nothing new                       its departure, the end of each control stream and of
//!                                                                 what it says to its Portmans; they and its neighbours close
//! ```
//!
//! What is absent: receipts and reports that still have to be delivered. They are on the disk, and go out in the next life.

use core::fmt;

use crate::limits::{FAREWELL, LEAVE, LEAVE_TOLD_EVERY};
use crate::time::{Span, Time, Wake};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Leaving {
    #[default]
    Staying,
    Finishing {
        until: Time,
        /// When a person is to hear what it waits for.
        tell: Time,
    },
    Saying {
        until: Time,
    },
    Gone,
}

impl Leaving {
    pub(crate) fn begin(&mut self, now: Time) {
        if *self == Self::Staying {
            *self = Self::Finishing { until: now + LEAVE, tell: now + LEAVE_TOLD_EVERY };
        }
    }

    /// True: goodbye is to be said now.
    pub(crate) fn finished(&mut self, now: Time, idle: bool) -> bool {
        match *self {
            Self::Finishing { until, .. } if idle || until <= now => {
                *self = Self::Saying { until: now + FAREWELL };
                true
            }
            _ => false,
        }
    }

    /// The time that it still has, whenever a person should hear why it takes so long.
    pub(crate) fn lingers(&mut self, now: Time) -> Option<Span> {
        match self {
            Self::Finishing { until, tell } if *tell <= now => {
                *tell = now + LEAVE_TOLD_EVERY;
                Some(*until - now)
            }
            _ => None,
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
            Self::Finishing { until, tell } => {
                Some(Wake { at: until.min(tell), why: "jobs to end before the node leaves" })
            }
            Self::Saying { until } => Some(Wake { at: until, why: "its neighbours to hear that it leaves" }),
            Self::Staying | Self::Gone => None,
        }
    }
}

/// What keeps a node from leaving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnderWay {
    /// Of users here.
    pub(crate) requests: usize,
    /// That run here for gateways, or are about to.
    pub(crate) jobs: usize,
    /// For jobs that ran here.
    pub(crate) receipts: usize,
}

impl UnderWay {
    pub(crate) const fn is_nothing(&self) -> bool {
        self.requests + self.jobs + self.receipts == 0
    }
}

impl fmt::Display for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.requests, "requests of users"),
            (self.jobs, "jobs of gateways"),
            (self.receipts, "receipts"),
        ];
        let some = parts.into_iter().filter(|(count, _)| *count > 0);
        for (index, (count, what)) in some.enumerate() {
            let before = if index == 0 { "" } else { ", " };
            write!(f, "{before}{what}: {count}")?;
        }
        Ok(())
    }
}
