//! Whose turn it is at a provider with few slots free. Gateways hear of a slot within the second in which others do, and of the others'
//! choices a moment later: were it free to all, several would send a job there, and all but one of these would wait.
//!
//! At each moment one gateway goes first at a provider, of those that it is linked to; all of them know which, by its id, theirs and the
//! clock. The others look elsewhere meanwhile: not for long, as that one may have no users who ask. Where clocks differ by more than a part of
//! a turn two go first, and one of their jobs may wait.

use crate::identity::NodeId;
use crate::limits::TURN;
use crate::time::{Span, Wall};

/// Are there some slots free, but no more than gateways, each of which may send a job there now, and is it not our turn?
pub(super) fn is_anothers(me: &NodeId, provider: &NodeId, there: &[NodeId], free: u32, now: Wall) -> bool {
    (1..=there.len()).contains(&(free as usize)) && !goes_first(me, provider, there, now)
}

/// Whom it does not name, as there are too many or as that one came by itself, draws as if it were: now and then it goes beside who is named.
fn goes_first(me: &NodeId, provider: &NodeId, there: &[NodeId], now: Wall) -> bool {
    // Not of all providers at the same moment.
    let now = Span::from_millis(now.0).0.saturating_add(head(provider) % TURN.0);
    let place = |gateway: &NodeId| (mixed(head(provider) ^ (now / TURN.0), gateway), *gateway);
    there.iter().all(|other| place(other) <= place(me))
}

/// Rendezvous hashing: whoever draws by the same number comes to the same one, and as few as can be move when one goes.
pub(super) fn mixed(by: u64, one: &NodeId) -> u64 {
    let mut x = by ^ head(one);
    // SplitMix64's last steps: each bit moves each other.
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn head(id: &NodeId) -> u64 {
    id.0.first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn node(of: u8, number: u8) -> NodeId {
        NodeId(core::array::from_fn(|at| [of, number].get(at).copied().unwrap_or(9)))
    }

    #[test]
    fn one_gateway_goes_first_at_a_time_and_each_as_often_and_who_is_not_named_beside_it() {
        let gateways: Vec<NodeId> = (0..4).map(|number| node(1, number)).collect();
        let (mut firsts, mut strangers) = ([0; 4], 0);
        for provider in (0..20).map(|number| node(2, number)) {
            for turn in 0..20 {
                let now = Wall(turn * 5_000 + 17);
                let first: Vec<usize> =
                    (0..4).filter(|at| goes_first(&gateways[*at], &provider, &gateways, now)).collect();
                let [first] = first[..] else { panic!("{first:?} go first") };
                firsts[first] += 1;
                strangers += u32::from(goes_first(&node(3, 1), &provider, &gateways, now));
            }
        }
        assert!(firsts.iter().all(|firsts| (70..=130).contains(firsts)), "{firsts:?}");
        assert!((50..=110).contains(&strangers), "{strangers}");
    }

    #[test]
    fn where_all_may_have_one_nobody_waits_for_a_turn() {
        let (gateways, provider) = ([node(1, 0), node(1, 1)], node(2, 0));
        let wait =
            |free| gateways.iter().filter(|me| is_anothers(me, &provider, &gateways, free, Wall(0))).count();
        assert_eq!([wait(3), wait(2), wait(1), wait(0)], [0, 1, 1, 0]);
        // It names nobody, so nobody knows of others.
        assert!(!is_anothers(&gateways[0], &provider, &[], 1, Wall(0)));
    }
}
