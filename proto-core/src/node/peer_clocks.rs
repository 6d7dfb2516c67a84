//! What our peers' clocks say of ours. Signed times are wall time: a node whose wall clock is wrong signs offers that are
//! over, asks for authorizations that nobody grants, and takes such as are no longer good. It cannot know that by itself.
//!
//! Each directed frame says when it was signed, and so what its sender's clock showed a little ago. Kept is the latest
//! of each peer that a link is admitted to, as its distance to our monotonic clock, so that it stays good when our own wall
//! clock is set. A peer can lie: it is one voice, and the middle one counts. Fewer than three are no evidence. Names cost
//! nothing, so that strangers (who called us, and were never of use) have no voice: a crowd of them would stop any node.
//!
//! What is absent: setting the clock. A peer says anew what its clock shows when that was set (`labnet.rs`, `greet_again`).

use alloc::{collections::BTreeMap, vec::Vec};

use crate::identity::NodeId;
use crate::limits::{CLOCK_APART, CLOCK_PEERS};
use crate::time::{Now, Wall};

#[derive(Default)]
pub(crate) struct PeerClocks {
    /// Wall time less our monotonic time, in milliseconds.
    peers: BTreeMap<NodeId, i64>,
    /// The two in the middle, which are one if their number is odd. `None`: they are too few.
    middle: Option<(i64, i64)>,
}

impl PeerClocks {
    /// A frame of an admitted peer that is no stranger, signed then, came now.
    pub(crate) fn heard(&mut self, now: Now, peer: NodeId, issued: Wall) {
        let shows = distance(now, issued);
        if self.peers.insert(peer, shows) != Some(shows) {
            self.weigh();
        }
    }

    /// No link to it is left.
    pub(crate) fn lost(&mut self, peer: &NodeId) {
        if self.peers.remove(peer).is_some() {
            self.weigh();
        }
    }

    /// By how many milliseconds our wall clock is ahead of our peers', where that is too much; behind, if negative.
    pub(crate) fn disagreement(&self, now: Now) -> Option<i64> {
        let (low, high) = self.middle?;
        let ours = distance(now, now.wall);
        // Of two in the middle the one that speaks for us counts.
        let (least, most) = (ours.saturating_sub(high), ours.saturating_sub(low));
        let apart = i64::try_from(CLOCK_APART.as_millis()).unwrap_or(i64::MAX);
        if least > apart {
            Some(least)
        } else if most < -apart {
            Some(most)
        } else {
            None
        }
    }

    pub(crate) fn peers(&self) -> usize {
        self.peers.len()
    }

    fn weigh(&mut self) {
        let mut shows: Vec<i64> = self.peers.values().copied().collect();
        shows.sort_unstable();
        let middle = shows.get(shows.len().saturating_sub(1) / 2).zip(shows.get(shows.len() / 2));
        self.middle = middle.filter(|_| shows.len() >= CLOCK_PEERS).map(|(low, high)| (*low, *high));
    }
}

fn distance(now: Now, wall: Wall) -> i64 {
    let millis = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    millis(wall.0).saturating_sub(millis(now.mono.0 / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Span, Time};

    const WALL: u64 = 1_000_000_000;

    fn at(secs: u64, ahead_ms: i64) -> Now {
        let wall = Wall((WALL + secs * 1_000).saturating_add_signed(ahead_ms));
        Now { mono: Time::ZERO + Span::from_secs(secs), wall }
    }

    /// We are right; what do so many peers who are ahead of us by that say?
    fn disagreement(peers: &[i64]) -> Option<i64> {
        let mut clocks = PeerClocks::default();
        for (number, ahead) in peers.iter().enumerate() {
            clocks.heard(at(5, 0), NodeId([number as u8; 32]), at(5, *ahead).wall);
        }
        clocks.disagreement(at(60, 0))
    }

    #[test]
    fn the_middle_one_counts_and_of_two_the_one_that_speaks_for_us() {
        assert_eq!(disagreement(&[-500_000, -500_000]), None, "two are no evidence");
        assert_eq!(disagreement(&[-500_000, -400_000, 0]), Some(400_000));
        assert_eq!(disagreement(&[-500_000, 10, 20]), None, "one lies");
        assert_eq!(disagreement(&[-500_000, -500_000, 10, 20]), None, "two against two");
        assert_eq!(disagreement(&[-500_000, -400_000, -300_000, 0]), Some(300_000));
        assert_eq!(disagreement(&[130_000, 121_000, 121_000, 500_000]), Some(-121_000));
        assert_eq!(disagreement(&[120_000, 120_000, 120_000]), None, "two minutes are not more than two");
        assert_eq!(disagreement(&[i64::MIN, i64::MAX, 0]), None);
        assert_eq!(disagreement(&[i64::MAX; 3]).map(i64::signum), Some(-1));
    }

    #[test]
    fn what_peers_said_stays_good_when_our_clock_is_set() {
        let mut clocks = PeerClocks::default();
        for number in 0..3 {
            clocks.heard(at(5, 0), NodeId([number; 32]), at(5, 0).wall);
        }
        assert_eq!(clocks.disagreement(at(600, 0)), None);
        assert_eq!(clocks.disagreement(at(600, -180_000)), Some(-180_000));
        assert_eq!(clocks.disagreement(at(700, 0)), None);
        clocks.lost(&NodeId([1; 32]));
        assert_eq!(clocks.disagreement(at(700, -180_000)), None);
    }
}
