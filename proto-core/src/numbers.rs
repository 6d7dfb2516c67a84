//! Which of many numbers were seen, held as the runs that they make: receipts are numbered without a gap, so that a
//! million of them are one run.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Numbers {
    /// Each run's first number, and its last. No two touch.
    runs: BTreeMap<u64, u64>,
}

impl Numbers {
    /// False: it was there.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) {
            return false;
        }
        // A run that begins behind this number is gone on with from here; one that ends before it, to here.
        let last = number.checked_add(1).and_then(|next| self.runs.remove(&next)).unwrap_or(number);
        let before = self.runs.range(..number).next_back().map(|(first, last)| (*first, *last));
        let first = match before {
            Some((first, end)) if end.checked_add(1) == Some(number) => first,
            Some(_) | None => number,
        };
        self.runs.insert(first, last);
        true
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.runs.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    /// The last number of the run that goes on behind this one; the number itself, if the next is missing.
    pub(crate) fn known_behind(&self, number: u64) -> u64 {
        let next = number.checked_add(1).unwrap_or(number);
        let run = self.runs.range(..=next).next_back().map(|(_, last)| *last);
        run.filter(|last| *last > number).unwrap_or(number)
    }

    /// Some are there, and one before them is missing, counted from 1.
    pub(crate) fn has_gap(&self) -> bool {
        self.runs.last_key_value().is_some_and(|(_, last)| *last > self.known_behind(0))
    }

    /// Forgets the highest, until there are no more runs than that.
    pub(crate) fn bound(&mut self, runs: usize) {
        while self.runs.len() > runs {
            self.runs.pop_last();
        }
    }

    /// Does it have all that the other has?
    pub(crate) fn contains_all(&self, other: &Self) -> bool {
        let within = |(first, last): (&u64, &u64)| {
            first <= last && self.contains(*first) && (first == last || self.known_behind(*first) >= *last)
        };
        other.runs.iter().all(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn what_has_no_gap_is_one_run_in_whatever_order_it_comes() {
        let mut numbers = Numbers::default();
        for number in [3, 1, 5, 4, 2] {
            assert!(numbers.insert(number));
        }
        assert_eq!(numbers.runs.into_iter().collect::<Vec<_>>(), [(1, 5)]);
    }

    #[test]
    fn beyond_its_bound_the_highest_are_forgotten() {
        let mut numbers = Numbers::default();
        assert!([1, 3, 5, 7].into_iter().all(|number| numbers.insert(number)));
        numbers.bound(2);
        assert_eq!(numbers.runs.into_iter().collect::<Vec<_>>(), [(1, 1), (3, 3)]);
    }

    proptest! {
        #[test]
        fn what_is_missing_is_told_and_what_is_known_behind_a_number(
            all in prop::collection::btree_set(1u64..20, 0..20),
            others in prop::collection::btree_set(1u64..20, 0..20),
        ) {
            let of = |all: &BTreeSet<u64>| {
                let mut numbers = Numbers::default();
                all.iter().for_each(|number| { numbers.insert(*number); });
                numbers
            };
            let numbers = of(&all);
            prop_assert_eq!(numbers.has_gap(), all.iter().zip(1..).any(|(number, next)| *number != next));
            for number in 0..20 {
                let behind = (number + 1..).take_while(|next| all.contains(next)).last();
                prop_assert_eq!(numbers.known_behind(number), behind.unwrap_or(number));
            }
            prop_assert_eq!(numbers.contains_all(&of(&others)), others.is_subset(&all));
        }

        #[test]
        fn it_is_a_set(all in prop::collection::vec(prop_oneof![0u64..40, Just(u64::MAX)], 0..60)) {
            let (mut numbers, mut set) = (Numbers::default(), BTreeSet::new());
            for number in all {
                prop_assert_eq!(numbers.insert(number), set.insert(number));
            }
            for number in (0..41).chain([u64::MAX]) {
                prop_assert_eq!(numbers.contains(number), set.contains(&number));
            }
        }
    }
}
