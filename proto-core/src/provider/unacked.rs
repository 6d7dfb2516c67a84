//! Gateways that let a provider read a prompt and then acknowledge nothing: what that costs is bounded for each.

use alloc::collections::{BTreeMap, VecDeque};

use crate::identity::NodeId;
use crate::limits::UNACKED_INPUT_FORGIVEN;
use crate::time::Time;

/// Input of jobs that ended before any acknowledgement, in tokens, by gateway. It is forgotten after a while, and as far as
/// other jobs come to their receipts: users leave, also those of honest gateways.
#[derive(Default)]
pub(super) struct Unacked {
    lost: BTreeMap<NodeId, VecDeque<(Time, u32)>>,
}

impl Unacked {
    pub(super) fn lost(&mut self, gateway: NodeId, input: u32, now: Time) {
        self.forget(now);
        self.lost.entry(gateway).or_default().push_back((now, input));
    }

    /// A job of that gateway came to its receipt.
    pub(super) fn made_good(&mut self, gateway: &NodeId, mut input: u32) {
        let Some(lost) = self.lost.get_mut(gateway) else { return };
        while let Some((_, oldest)) = lost.front_mut() {
            if *oldest > input {
                *oldest -= input;
                return;
            }
            input -= *oldest;
            lost.pop_front();
        }
        self.lost.remove(gateway);
    }

    pub(super) fn of(&self, gateway: &NodeId, now: Time) -> u64 {
        let lost = self.lost.get(gateway).into_iter().flatten();
        let counted = lost.filter(|(at, _)| now - *at < UNACKED_INPUT_FORGIVEN);
        counted.map(|(_, input)| u64::from(*input)).sum()
    }

    fn forget(&mut self, now: Time) {
        self.lost.retain(|_, lost| {
            lost.retain(|(at, _)| now - *at < UNACKED_INPUT_FORGIVEN);
            !lost.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn what_was_lost_is_forgotten_by_time_and_by_what_is_paid() {
        let (one, other) = (NodeId([1; 32]), NodeId([2; 32]));
        let mut unacked = Unacked::default();
        let begin = Time::ZERO + Span::from_secs(1);
        unacked.lost(one, 100, begin);
        unacked.lost(one, 50, begin + Span::from_secs(1));
        unacked.lost(other, 7, begin);
        assert_eq!((unacked.of(&one, begin), unacked.of(&other, begin)), (150, 7));
        unacked.made_good(&one, 30);
        assert_eq!(unacked.of(&one, begin), 120);
        unacked.made_good(&one, 90);
        assert_eq!((unacked.of(&one, begin), unacked.of(&other, begin)), (30, 7));
        assert_eq!(unacked.of(&one, begin + UNACKED_INPUT_FORGIVEN), 30);
        assert_eq!(unacked.of(&one, begin + UNACKED_INPUT_FORGIVEN + Span::from_secs(1)), 0);
        unacked.made_good(&other, u32::MAX);
        assert_eq!(unacked.of(&other, begin), 0);
    }
}
