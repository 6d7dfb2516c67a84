//! Which of many numbers were seen, held as the runs that they make: receipts are numbered without a gap, so that a
//! million of them are one run.

use alloc::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
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

    proptest! {
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
