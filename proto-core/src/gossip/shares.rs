//! Who brought the records that are held, and who makes room when there is none.
//!
//! A key costs nothing, so whoever wants to fill a table can. What strangers bring competes with what other strangers
//! brought: at the bound, the one who brought most loses one. What a neighbour says of itself, and what those bring whom
//! this node dialled or worked with, is not given up for it.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::identity::NodeId;
use crate::limits::RECORDS;
use crate::wire::mesh::Key;

/// Whom a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bringer {
    /// Ourselves, or whoever we dialled or worked with.
    Trusted,
    /// A stranger, of itself.
    FirstHand,
    /// A stranger, of somebody else.
    Stranger(NodeId),
}

#[derive(Default)]
pub(super) struct Shares {
    /// Bytes that may be held.
    most: usize,
    bytes: usize,
    /// Every record that is held: its size, and for whose share it may be given up.
    held: BTreeMap<Key, (usize, Option<NodeId>)>,
    shares: BTreeMap<NodeId, BTreeSet<Key>>,
    /// The same by size.
    largest: BTreeSet<(usize, NodeId)>,
}

impl Shares {
    pub(super) fn up_to(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Whether a record would be kept.
    pub(super) fn has_room(&self, key: &Key, size: usize, by: Bringer) -> bool {
        let before = self.held.get(key).map(|(size, _)| *size);
        let count = self.held.len() + usize::from(before.is_none());
        let bytes = self.bytes - before.unwrap_or_default() + size;
        if before.is_some_and(|before| size <= before) || (count <= RECORDS && bytes <= self.most) {
            return true;
        }
        let largest = self.largest.last().map_or(0, |(count, _)| *count);
        match by {
            Bringer::Trusted | Bringer::FirstHand => largest > 0,
            // Not for its own: it would lose as much as it gains.
            Bringer::Stranger(node_id) => largest > 1 + self.shares.get(&node_id).map_or(0, BTreeSet::len),
        }
    }

    /// A record is kept. Gives those that make room for it.
    pub(super) fn took(&mut self, key: Key, size: usize, by: Bringer) -> Vec<Key> {
        self.dropped(&key);
        let share = match by {
            Bringer::Trusted | Bringer::FirstHand => None,
            Bringer::Stranger(node_id) => Some(node_id),
        };
        self.held.insert(key, (size, share));
        self.bytes += size;
        if let Some(node_id) = share {
            self.change(node_id, |keys| {
                keys.insert(key);
            });
        }
        let mut gone = Vec::new();
        while self.held.len() > RECORDS || self.bytes > self.most {
            let largest = self.largest.last().and_then(|(_, node_id)| self.shares.get(node_id));
            let Some(one) = largest.and_then(|keys| keys.last()).copied() else { break };
            self.dropped(&one);
            gone.push(one);
        }
        gone
    }

    /// A record is held no more.
    pub(super) fn dropped(&mut self, key: &Key) {
        let Some((size, share)) = self.held.remove(key) else { return };
        self.bytes -= size;
        if let Some(node_id) = share {
            self.change(node_id, |keys| {
                keys.remove(key);
            });
        }
    }

    /// Its origin is a neighbour and says so itself: it is not given up for strangers.
    pub(super) fn first_hand(&mut self, key: &Key) {
        if let Some((_, share)) = self.held.get_mut(key)
            && let Some(node_id) = share.take()
        {
            self.change(node_id, |keys| {
                keys.remove(key);
            });
        }
    }

    /// Its origin is a neighbour no more.
    pub(super) fn second_hand(&mut self, key: &Key) {
        if let Some((_, share @ None)) = self.held.get_mut(key) {
            *share = Some(key.origin);
            self.change(key.origin, |keys| {
                keys.insert(*key);
            });
        }
    }

    fn change(&mut self, node_id: NodeId, change: impl FnOnce(&mut BTreeSet<Key>)) {
        let keys = self.shares.entry(node_id).or_default();
        self.largest.remove(&(keys.len(), node_id));
        change(keys);
        if keys.is_empty() {
            self.shares.remove(&node_id);
        } else {
            self.largest.insert((keys.len(), node_id));
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
    fn who_says_it_of_itself_or_is_trusted_is_heard_and_not_given_up() {
        let mut shares = full_of(1);
        for number in 0..60 {
            let by = if number % 2 == 0 { Bringer::FirstHand } else { Bringer::Trusted };
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
        shares.took(key(1, 1), SIZE, Bringer::Trusted);
        shares.took(key(2, 2), SIZE, Bringer::Trusted);
        assert!(shares.has_room(&key(1, 1), 2 * SIZE, Bringer::Trusted));
        assert!(!shares.has_room(&key(1, 1), 2 * SIZE + 1, Bringer::Trusted));
        assert!(shares.has_room(&key(1, 1), 1, Bringer::Stranger(who(7))));
    }
}
