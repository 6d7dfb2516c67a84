//! Who brought the records that are held, and who makes room when there is none.
//!
//! A key costs nothing, so whoever wants to fill a table can: itself, or through honest neighbours that pass on what is news.
//! So what neighbours bring of others competes. At the bound the stranger who brought most loses its newest; where none
//! brought more than one, the friend who brought most does. Who brings less than others is heard, and who was known before
//! stays known. What a neighbour says of itself is not given up.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::identity::NodeId;
use crate::limits::RECORDS;
use crate::mutants::{Mutant, mutant};
use crate::wire::mesh::Key;

/// Whom a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bringer {
    Ourselves,
    /// A neighbour, of itself.
    FirstHand,
    /// Whoever we dialled or worked with, of somebody else.
    Friend(NodeId),
    /// A stranger, of somebody else.
    Stranger(NodeId),
}

#[derive(Default)]
pub(super) struct Shares {
    /// Bytes that may be held.
    most: usize,
    bytes: usize,
    held: BTreeMap<Key, Held>,
    /// What each brought, the newest last.
    shares: BTreeMap<Share, BTreeSet<(u64, Key)>>,
    /// The same by kind and number: friends, then strangers.
    largest: BTreeSet<(bool, usize, NodeId)>,
    /// Counts the records that were ever kept.
    count: u64,
}

struct Held {
    size: usize,
    /// When it was first kept, by count.
    since: u64,
    /// For whose share it may be given up.
    share: Option<Share>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Share {
    stranger: bool,
    of: NodeId,
}

impl Bringer {
    const fn share(self) -> Option<Share> {
        match self {
            Self::Ourselves | Self::FirstHand => None,
            Self::Friend(of) => Some(Share { stranger: false, of }),
            Self::Stranger(of) => Some(Share { stranger: true, of }),
        }
    }
}

impl Shares {
    pub(super) fn up_to(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Whether a record would be kept.
    pub(super) fn has_room(&self, key: &Key, size: usize, by: Bringer) -> bool {
        let before = self.held.get(key).map(|held| held.size);
        let count = self.held.len() + usize::from(before.is_none());
        let bytes = self.bytes - before.unwrap_or_default() + size;
        if before.is_some_and(|before| size <= before) || (count <= RECORDS && bytes <= self.most) {
            return true;
        }
        let Some((loser, has)) = self.loser() else { return false };
        let Some(share) = by.share() else { return true };
        // Not for its own, or of one that has hardly more: it would lose as much as it gains.
        let is_less = has > 1 + self.shares.get(&share).map_or(0, BTreeSet::len);
        match (share.stranger, loser.stranger) {
            (false, true) => true,
            (true, false) => false,
            (true, true) | (false, false) => is_less,
        }
    }

    /// Whose turn it is to lose a record, and how many it has.
    fn loser(&self) -> Option<(Share, usize)> {
        let named = |(stranger, has, of): (bool, usize, NodeId)| (Share { stranger, of }, has);
        let friend = self.largest.range(..(true, 0, NodeId([0; 32]))).next_back().copied().map(named);
        let stranger = self.largest.last().copied().map(named).filter(|(share, _)| share.stranger);
        match (stranger, friend) {
            (stranger, _) if mutant(Mutant::FriendsNotContested) => stranger,
            (Some((_, ..=1)) | None, Some(friend)) => Some(friend),
            (stranger, _) => stranger,
        }
    }

    /// A record is kept. Gives those that make room for it.
    pub(super) fn took(&mut self, key: Key, size: usize, by: Bringer) -> Vec<Key> {
        self.count += 1;
        let since = self.held.get(&key).map_or(self.count, |held| held.since);
        self.dropped(&key);
        let share = by.share();
        self.held.insert(key, Held { size, since, share });
        self.bytes += size;
        if let Some(share) = share {
            self.change(share, |keys| {
                keys.insert((since, key));
            });
        }
        let mut gone = Vec::new();
        while self.held.len() > RECORDS || self.bytes > self.most {
            let newest = self.loser().and_then(|(share, _)| self.shares.get(&share)?.last().copied());
            let Some((_, one)) = newest else { break };
            self.dropped(&one);
            gone.push(one);
        }
        gone
    }

    /// A record is held no more.
    pub(super) fn dropped(&mut self, key: &Key) {
        let Some(Held { size, since, share }) = self.held.remove(key) else { return };
        self.bytes -= size;
        if let Some(share) = share {
            self.change(share, |keys| {
                keys.remove(&(since, *key));
            });
        }
    }

    /// Its origin is a neighbour and says so itself: it is not given up for others.
    pub(super) fn first_hand(&mut self, key: &Key) {
        if let Some(held) = self.held.get_mut(key)
            && let Some(share) = held.share.take()
        {
            let since = held.since;
            self.change(share, |keys| {
                keys.remove(&(since, *key));
            });
        }
    }

    /// Its origin is a neighbour no more.
    pub(super) fn second_hand(&mut self, key: &Key) {
        if let Some(held) = self.held.get_mut(key).filter(|held| held.share.is_none()) {
            let (since, share) = (held.since, Share { stranger: true, of: key.origin });
            held.share = Some(share);
            self.change(share, |keys| {
                keys.insert((since, *key));
            });
        }
    }

    fn change(&mut self, share: Share, change: impl FnOnce(&mut BTreeSet<(u64, Key)>)) {
        let keys = self.shares.entry(share).or_default();
        self.largest.remove(&(share.stranger, keys.len(), share.of));
        change(keys);
        if keys.is_empty() {
            self.shares.remove(&share);
        } else {
            self.largest.insert((share.stranger, keys.len(), share.of));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 100;

    fn key(of: u8, number: u64) -> Key {
        let mut id = [of; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        Key::capability(NodeId(id))
    }

    fn who(number: u8) -> NodeId {
        NodeId([number; 32])
    }

    /// Room for a hundred records.
    fn full_of(stranger: u8) -> Shares {
        let mut shares = Shares::up_to(100 * SIZE);
        for number in 0..100 {
            assert!(shares.has_room(&key(0, number), SIZE, Bringer::Stranger(who(stranger))));
            assert_eq!(shares.took(key(0, number), SIZE, Bringer::Stranger(who(stranger))), []);
        }
        shares
    }

    #[test]
    fn a_table_that_one_stranger_filled_has_room_for_others_and_not_for_it() {
        let mut shares = full_of(1);
        assert!(!shares.has_room(&key(9, 1), SIZE, Bringer::Stranger(who(1))));
        for number in 0..50 {
            assert!(shares.has_room(&key(9, number), SIZE, Bringer::Stranger(who(2))), "{number}");
            assert_eq!(shares.took(key(9, number), SIZE, Bringer::Stranger(who(2))).len(), 1);
        }
        assert!(!shares.has_room(&key(9, 99), SIZE, Bringer::Stranger(who(2))), "both have half");
        assert_eq!((shares.held.len(), shares.bytes), (100, 100 * SIZE));
    }

    #[test]
    fn who_says_it_of_itself_is_heard_and_not_given_up() {
        let mut shares = full_of(1);
        for number in 0..60 {
            let by = if number % 2 == 0 { Bringer::FirstHand } else { Bringer::Ourselves };
            assert!(shares.has_room(&key(250, number), SIZE, by));
            shares.took(key(250, number), SIZE, by);
        }
        for other in 2..200 {
            for number in 0..50 {
                let (key, by) = (key(other, number), Bringer::Stranger(who(other)));
                if shares.has_room(&key, SIZE, by) {
                    let gone = shares.took(key, SIZE, by);
                    assert!(gone.iter().all(|gone| gone.origin.0[31] != 250), "{gone:?}");
                }
            }
        }
        assert!((0..60).all(|number| shares.held.contains_key(&key(250, number))));
    }

    #[test]
    fn what_a_neighbour_said_of_itself_may_go_once_it_is_none() {
        let mut shares = Shares::up_to(2 * SIZE);
        shares.took(key(1, 1), SIZE, Bringer::FirstHand);
        shares.took(key(2, 2), SIZE, Bringer::FirstHand);
        assert!(!shares.has_room(&key(3, 3), SIZE, Bringer::FirstHand));
        shares.second_hand(&key(1, 1));
        assert!(shares.has_room(&key(3, 3), SIZE, Bringer::FirstHand));
        shares.first_hand(&key(1, 1));
        assert!(!shares.has_room(&key(3, 3), SIZE, Bringer::FirstHand));
        shares.second_hand(&key(1, 1));
        assert_eq!(shares.took(key(3, 3), SIZE, Bringer::FirstHand), [key(1, 1)]);
    }

    #[test]
    fn a_record_that_grows_is_kept_where_it_fits() {
        let mut shares = Shares::up_to(3 * SIZE);
        shares.took(key(1, 1), SIZE, Bringer::FirstHand);
        shares.took(key(2, 2), SIZE, Bringer::FirstHand);
        assert!(shares.has_room(&key(1, 1), 2 * SIZE, Bringer::FirstHand));
        assert!(!shares.has_room(&key(1, 1), 2 * SIZE + 1, Bringer::FirstHand));
        assert!(shares.has_room(&key(1, 1), 1, Bringer::Stranger(who(7))));
    }

    #[test]
    fn a_flood_through_a_friend_keeps_no_other_out_and_drives_out_nobody_who_was_there() {
        let mut shares = Shares::up_to(100 * SIZE);
        let friend = |number| Bringer::Friend(who(number));
        for number in 0..10 {
            // Of keys that sort behind the flood's.
            shares.took(key(9, 1 << 60 | number), SIZE, friend(1));
        }
        for number in 0..90 {
            shares.took(key(0, number), SIZE, friend(1));
        }
        assert!(!shares.has_room(&key(0, 99), SIZE, friend(1)), "the flood has what there is");
        for number in 0..40 {
            let other = if number % 2 == 0 { friend(2) } else { Bringer::FirstHand };
            assert!(shares.has_room(&key(7, number), SIZE, other), "{number}");
            assert_eq!(shares.took(key(7, number), SIZE, other), [key(0, 89 - number)], "the newest goes");
        }
        assert!(
            !shares.has_room(&key(8, 1), SIZE, Bringer::Stranger(who(3))),
            "friends are not given up for strangers"
        );
    }
}
