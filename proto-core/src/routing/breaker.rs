//! A provider that fails again and again is left alone for a while, also where nobody else is there; then one request tries it.
//!
//! ```text
//!   closed --so many failures in a row--> open --its time is over--> half-open: one request at a time
//!     ^                                    ^                            |         |
//!     +------------- served ---------------|----------------------------+         | failed: twice as long
//!                                          +--------------------------------------+
//! ```

use alloc::collections::BTreeMap;

use crate::identity::NodeId;
use crate::limits::{BREAKER_FAILURES, BREAKER_FIRST, BREAKER_LAST, MEASURED};
use crate::time::{Span, Time};

#[derive(Default)]
pub(crate) struct Breakers {
    /// Of those that failed since they served last.
    of: BTreeMap<NodeId, Breaker>,
}

struct Breaker {
    /// In a row.
    failures: u32,
    open_until: Option<Time>,
    /// How long it was open last.
    span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    /// One request may try.
    HalfOpen,
    Open {
        until: Time,
    },
}

impl Breakers {
    pub(crate) fn state(&self, provider: &NodeId, now: Time) -> State {
        match self.of.get(provider).and_then(|breaker| breaker.open_until) {
            None => State::Closed,
            Some(until) if until > now => State::Open { until },
            Some(_) => State::HalfOpen,
        }
    }

    pub(crate) fn served(&mut self, provider: &NodeId) {
        self.of.remove(provider);
    }

    /// It did not serve, and that was its fault. True: it is left alone from now on.
    pub(crate) fn failed(&mut self, provider: NodeId, now: Time) -> bool {
        if self.of.len() >= MEASURED && !self.of.contains_key(&provider) {
            let first = self.of.iter().min_by_key(|(_, breaker)| breaker.open_until).map(|(id, _)| *id);
            first.map(|first| self.of.remove(&first));
        }
        let fresh = || Breaker { failures: 0, open_until: None, span: Span::default() };
        let breaker = self.of.entry(provider).or_insert_with(fresh);
        breaker.failures = breaker.failures.saturating_add(1);
        // What was asked of it before does not count again.
        if breaker.failures < BREAKER_FAILURES || breaker.open_until.is_some_and(|until| until > now) {
            return false;
        }
        breaker.span = match breaker.span {
            Span(0) => BREAKER_FIRST,
            Span(span) => Span(span.saturating_mul(2)).min(BREAKER_LAST),
        };
        breaker.open_until = Some(now + breaker.span);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_twice_as_long_each_time_and_closes_when_it_serves() {
        let (mut breakers, provider, mut now) = (Breakers::default(), NodeId([1; 32]), Time(0));
        for _ in 1..BREAKER_FAILURES {
            assert!(!breakers.failed(provider, now));
        }
        breakers.served(&provider);
        for _ in 1..BREAKER_FAILURES {
            assert!(!breakers.failed(provider, now));
        }
        let mut span = BREAKER_FIRST;
        for _ in 0..12 {
            assert!(breakers.failed(provider, now));
            assert!(!breakers.failed(provider, now), "while it is open");
            assert_eq!(breakers.state(&provider, now), State::Open { until: now + span });
            now = now + span;
            assert_eq!(breakers.state(&provider, now), State::HalfOpen);
            span = Span(span.0 * 2).min(BREAKER_LAST);
        }
        assert_eq!(span, BREAKER_LAST);
        breakers.served(&provider);
        assert_eq!(breakers.state(&provider, now), State::Closed);
    }
}
