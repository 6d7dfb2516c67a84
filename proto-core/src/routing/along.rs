//! What is known of each node, or of what it serves, while all are walked in the order of their ids.
//!
//! A gateway may look at a thousand candidates for each request. To go along a map beside them is several times cheaper than to look
//! each up: what comes next stands next in memory.

use alloc::collections::btree_map::{BTreeMap, Iter};
use core::cmp::Ordering;
use core::iter::Peekable;

pub(crate) struct Along<'a, K, V>(Peekable<Iter<'a, K, V>>);

impl<'a, K: Ord, V> Along<'a, K, V> {
    pub(crate) fn new(map: &'a BTreeMap<K, V>) -> Self {
        Self(map.iter().peekable())
    }

    /// Of one that is not before the last one asked for.
    pub(crate) fn at(&mut self, key: &K) -> Option<&'a V> {
        loop {
            let (known, value) = self.0.peek()?;
            match (*known).cmp(key) {
                Ordering::Less => self.0.next(),
                Ordering::Equal => return Some(*value),
                Ordering::Greater => return None,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::NodeId;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn going_along_finds_what_looking_up_finds(
            known in proptest::collection::btree_set(any::<u8>(), 0..40),
            asked in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let id = |number: u8| NodeId([number; 32]);
            let map: BTreeMap<NodeId, u8> = known.iter().map(|number| (id(*number), *number)).collect();
            let mut along = Along::new(&map);
            let in_order: BTreeSet<u8> = asked.into_iter().collect();
            // Each twice: who asks may look again.
            for number in in_order.into_iter().flat_map(|number| [number, number]) {
                prop_assert_eq!(along.at(&id(number)), map.get(&id(number)));
            }
        }
    }
}
