//! Which of a wheel's buckets hold anything: a bit each, and a bit for each word of those that is not zero, so that the
//! next one is found in a few steps however empty the wheel is.

const WORD: usize = u64::BITS as usize;

pub(super) struct Occupancy<const BUCKETS: usize> {
    words: Box<[u64]>,
    summary: Box<[u64]>,
}

impl<const BUCKETS: usize> Default for Occupancy<BUCKETS> {
    fn default() -> Self {
        const { assert!(BUCKETS.is_multiple_of(WORD * WORD)) };
        Self { words: vec![0; BUCKETS / WORD].into(), summary: vec![0; BUCKETS / WORD / WORD].into() }
    }
}

impl<const BUCKETS: usize> Occupancy<BUCKETS> {
    pub(super) fn set(&mut self, bucket: usize) {
        let word = bucket / WORD;
        self.words[word] |= 1 << (bucket % WORD);
        self.summary[word / WORD] |= 1 << (word % WORD);
    }

    pub(super) fn clear(&mut self, bucket: usize) {
        let word = bucket / WORD;
        self.words[word] &= !(1 << (bucket % WORD));
        if self.words[word] == 0 {
            self.summary[word / WORD] &= !(1 << (word % WORD));
        }
    }

    /// The first occupied bucket from `start` on, going round to the ones before it.
    pub(super) fn next(&self, start: usize) -> Option<usize> {
        self.at_or_after(start).or_else(|| self.at_or_after(0))
    }

    fn at_or_after(&self, bucket: usize) -> Option<usize> {
        let word = bucket / WORD;
        let here = self.words[word] & (u64::MAX << (bucket % WORD));
        if here != 0 {
            return Some(word * WORD + here.trailing_zeros() as usize);
        }
        let after = first_from(&self.summary, word + 1)?;
        Some(after * WORD + self.words[after].trailing_zeros() as usize)
    }
}

/// The first bit that is set, from that one on.
fn first_from(words: &[u64], bit: usize) -> Option<usize> {
    let (first, rest) = words.get(bit / WORD..)?.split_first()?;
    let here = first & (u64::MAX << (bit % WORD));
    if here != 0 {
        return Some(bit / WORD * WORD + here.trailing_zeros() as usize);
    }
    let skipped = rest.iter().position(|word| *word != 0)?;
    Some((bit / WORD + 1 + skipped) * WORD + rest[skipped].trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUCKETS: usize = 8192;

    proptest! {
        #[test]
        fn the_next_bucket_is_the_one_a_search_finds(
            occupied in prop::collection::btree_set(0..BUCKETS, 0..8),
            emptied in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
            start in 0..BUCKETS,
        ) {
            let mut occupied = occupied;
            let mut bits = Occupancy::<BUCKETS>::default();
            occupied.iter().for_each(|bucket| bits.set(*bucket));
            for which in emptied {
                let Some(bucket) = occupied.iter().nth(which.index(8)).copied() else { continue };
                occupied.remove(&bucket);
                bits.clear(bucket);
            }
            let expected = occupied.range(start..).next().or_else(|| occupied.first());
            prop_assert_eq!(bits.next(start), expected.copied());
        }
    }
}
