//! A table's rows in the order of their keys. What was written lately is as it was written; what there is more of is packed into
//! blocks that are never changed: a log-structured merge tree (O'Neil, Cheng, Gawlick and O'Neil, 1996) that lies in memory.
//!
//! ```text
//!   fresh --full--> run, run, run, run, run, run --as many as that of one tier--> a run of the next
//!     ^ looked at first                     ^ then the latest, the oldest last
//! ```
//!
//! What it holds does not depend on what is packed: a row that was replaced or deleted lies in the shadow of what was said of it later.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::block::{Block, Entry, Open, print};

/// Bytes of fresh rows that are packed together: a sixteenth of what is packed, within these.
const LEAST: usize = 32 * 1024;
const MOST: usize = 8 << 20;
/// What a row that is not packed takes besides its text.
const APIECE: usize = 64;
/// Runs of one tier that are merged into one of the next.
const MERGED: usize = 6;

#[derive(Clone, Debug, Default)]
pub(super) struct Sorted {
    /// `None`: it is gone, and something of it is packed.
    fresh: BTreeMap<String, Option<Vec<u8>>>,
    fresh_bytes: usize,
    /// The oldest first.
    runs: Vec<Run>,
}

#[derive(Clone, Debug)]
struct Run {
    tier: u32,
    /// In order, and never empty.
    blocks: Vec<Arc<Block>>,
    /// Of the rows, before they were packed.
    bytes: usize,
}

impl Sorted {
    pub(super) fn get(&self, key: &str) -> Option<Cow<'_, [u8]>> {
        match self.fresh.get(key) {
            Some(value) => value.as_deref().map(Cow::Borrowed),
            None => self.packed(key).map(Cow::Owned),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.fresh.get(key).map_or_else(|| self.packed(key).is_some(), Option::is_some)
    }

    pub(super) fn insert(&mut self, key: String, value: Vec<u8>) {
        self.fresh_bytes += size(&key, Some(&value));
        let length = key.len();
        if let Some(before) = self.fresh.insert(key, Some(value)) {
            self.fresh_bytes -= length + APIECE + before.map_or(0, |value| value.len());
        }
        let packed: usize = self.runs.iter().map(|run| run.bytes).sum();
        if self.fresh_bytes > (packed / 16).clamp(LEAST, MOST) {
            self.pack();
        }
    }

    pub(super) fn remove(&mut self, key: &str) {
        if let Some((key, value)) = self.fresh.remove_entry(key) {
            self.fresh_bytes -= size(&key, value.as_deref());
        }
        let print = print(key);
        if self.runs.iter().any(|run| run.may_have(key, print)) {
            self.fresh_bytes += size(key, None);
            self.fresh.insert(key.to_owned(), None);
        }
    }

    /// All rows from this key on.
    pub(super) fn rows_from(&self, key: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, [u8]>)> {
        self.merged(key).filter_map(|(key, value)| Some((key, value?)))
    }

    /// Is there such a row? Asked of those first that were written last.
    pub(super) fn any(&self, is: impl Fn(&str, &[u8]) -> bool) -> bool {
        let fresh =
            || self.fresh.iter().any(|(key, value)| value.as_ref().is_some_and(|value| is(key, value)));
        // In a run, it may lie in the shadow of a later one.
        let there = |(key, value): Entry<'_>| {
            value.is_some_and(|value| is(&key, &value) && self.get(&key).is_some_and(|now| now == value))
        };
        fresh() || self.runs.iter().rev().any(|run| Packed::of(run, "").any(there))
    }

    fn packed(&self, key: &str) -> Option<Vec<u8>> {
        let print = print(key);
        self.runs.iter().rev().find_map(|run| run.find(key, print)).flatten()
    }

    fn merged<'a>(&'a self, from: &str) -> Merged<'a> {
        let range = (Bound::Included(from), Bound::Unbounded);
        let fresh = self.fresh.range::<str, _>(range);
        let fresh =
            fresh.map(|(key, value)| (Cow::Borrowed(key.as_str()), value.as_deref().map(Cow::Borrowed)));
        let runs = self.runs.iter().rev().map(|run| Box::new(Packed::of(run, from)) as Source<'a>);
        Merged::of(std::iter::once(Box::new(fresh) as Source<'a>).chain(runs))
    }

    fn pack(&mut self) {
        self.fresh_bytes = 0;
        let fresh = std::mem::take(&mut self.fresh).into_iter();
        let mut rows = fresh.map(|(key, value)| (Cow::Owned(key), value.map(Cow::Owned)));
        self.add(0, &mut rows);
        while let Some(last) = self.runs.last() {
            let tier = last.tier;
            let alike = self.runs.iter().rev().take_while(|run| run.tier == tier).count();
            if alike < MERGED {
                break;
            }
            let runs = self.runs.split_off(self.runs.len() - alike);
            let sources = runs.iter().rev().map(|run| Box::new(Packed::of(run, "")) as Source<'_>);
            self.add(tier + 1, &mut Merged::of(sources));
        }
    }

    /// Rows that are later than all that is packed so far.
    fn add(&mut self, tier: u32, rows: &mut dyn Iterator<Item = Entry<'_>>) {
        // Nothing is in the shadow of what the oldest run says is gone.
        let oldest = self.runs.is_empty();
        let blocks = Block::of(rows.filter(|(_, value)| !oldest || value.is_some()));
        let bytes = blocks.iter().map(|block| block.bytes).sum();
        let last = self.runs.last_mut().filter(|run| run.tier == tier);
        match last.and_then(|run| Some((run.gap_for(&blocks)?, run))) {
            Some((at, run)) => {
                run.blocks.splice(at..at, blocks);
                run.bytes += bytes;
            }
            None if blocks.is_empty() => {}
            None => self.runs.push(Run { tier, blocks, bytes }),
        }
    }
}

impl Run {
    /// That has this key, if any has.
    fn block(&self, key: &str) -> Option<&Arc<Block>> {
        let after = self.blocks.partition_point(|block| &*block.first <= key);
        self.blocks.get(after.checked_sub(1)?).filter(|block| key <= &*block.last)
    }

    fn may_have(&self, key: &str, print: u32) -> bool {
        self.block(key).is_some_and(|block| block.may_have(print))
    }

    /// `None`: nothing is said of that key here.
    fn find(&self, key: &str, print: u32) -> Option<Option<Vec<u8>>> {
        let block = self.block(key).filter(|block| block.may_have(print))?;
        block.look().find(key).map(|value| value.map(<[u8]>::to_vec))
    }

    /// Where these stand, if none of its own is among them: rows that come in order, or in the reverse, are never merged.
    fn gap_for(&self, blocks: &[Arc<Block>]) -> Option<usize> {
        let (first, last) = (&blocks.first()?.first, &blocks.last()?.last);
        let at = self.blocks.partition_point(|block| block.first < *first);
        let after = at.checked_sub(1).and_then(|before| self.blocks.get(before));
        let free = after.is_none_or(|block| block.last < *first)
            && self.blocks.get(at).is_none_or(|block| *last < block.first);
        free.then_some(at)
    }
}

/// The rows of a run, one after the other.
struct Packed<'a> {
    blocks: &'a [Arc<Block>],
    open: Open,
    row: usize,
}

impl<'a> Packed<'a> {
    fn of(run: &'a Run, key: &str) -> Self {
        let before = run.blocks.partition_point(|block| &*block.last < key);
        let mut packed = Self { blocks: &run.blocks[before..], open: Open::default(), row: 0 };
        packed.turn();
        packed.row = packed.open.at_least(key);
        packed
    }

    /// To the next block.
    fn turn(&mut self) {
        if let Some((next, rest)) = self.blocks.split_first() {
            (self.blocks, self.open, self.row) = (rest, next.open(), 0);
        }
    }
}

impl<'a> Iterator for Packed<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if self.row >= self.open.len() {
            self.turn();
        }
        let row = Some(self.row).filter(|row| *row < self.open.len())?;
        self.row += 1;
        let value = self.open.value(row).map(|value| Cow::Owned(value.to_vec()));
        Some((Cow::Owned(self.open.key(row).to_owned()), value))
    }
}

type Source<'a> = Box<dyn Iterator<Item = Entry<'a>> + 'a>;

/// Several sources as one: of what more than one of them has, the first one's counts.
struct Merged<'a> {
    sources: Vec<(Source<'a>, Option<Entry<'a>>)>,
}

impl<'a> Merged<'a> {
    fn of(sources: impl Iterator<Item = Source<'a>>) -> Self {
        let begun = |mut source: Source<'a>| {
            let first = source.next();
            (source, first)
        };
        Self { sources: sources.map(begun).collect() }
    }
}

impl<'a> Iterator for Merged<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let mut least: Option<usize> = None;
        for at in 0..self.sources.len() {
            let Some((key, _)) = &self.sources[at].1 else { continue };
            let so_far = least.and_then(|least| self.sources[least].1.as_ref());
            match so_far.map(|(other, _)| key.cmp(other)) {
                None | Some(Ordering::Less) => least = Some(at),
                Some(Ordering::Greater) => {}
                Some(Ordering::Equal) => {
                    let (source, next) = &mut self.sources[at];
                    *next = source.next();
                }
            }
        }
        let (source, next) = &mut self.sources[least?];
        std::mem::replace(next, source.next())
    }
}

fn size(key: &str, value: Option<&[u8]>) -> usize {
    APIECE + key.len() + value.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// So long that some hundreds are packed.
    fn value(number: u32) -> Vec<u8> {
        let digits = blake3::hash(&number.to_le_bytes()).to_hex();
        format!(r#"{{"number":{number},"signed":"{}"}}"#, digits.repeat(10)).into_bytes()
    }

    fn rows(sorted: &Sorted) -> Vec<(String, Vec<u8>)> {
        sorted.rows_from("").map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
    }

    #[test]
    fn rows_in_order_and_in_the_reverse_are_one_run_that_is_never_merged() {
        let keys: [fn(u32) -> String; 2] =
            [|number| format!("{number:06}"), |number| format!("{:06}", 999_999 - number)];
        for key in keys {
            let mut sorted = Sorted::default();
            (0..2_000).for_each(|number| sorted.insert(key(number), value(number)));
            assert_eq!(sorted.runs.iter().map(|run| run.tier).collect::<Vec<_>>(), [0]);
            assert_eq!(rows(&sorted).len(), 2_000);
            assert!((0..2_000).all(|number| sorted.get(&key(number)).as_deref() == Some(&value(number)[..])));
        }
    }

    #[test]
    fn what_is_packed_takes_a_part_of_the_room_and_a_copy_none() {
        let mut sorted = Sorted::default();
        (0..2_000).for_each(|number: u32| {
            sorted.insert(blake3::hash(&number.to_le_bytes()).to_string(), value(number))
        });
        assert!(sorted.runs.iter().any(|run| run.tier > 0) && sorted.runs.len() < 3 * MERGED);
        let copy = sorted.clone();
        let first = |of: &Sorted| Arc::as_ptr(&of.runs[0].blocks[0]);
        assert_eq!(first(&copy), first(&sorted));
    }

    #[test]
    fn where_all_is_gone_nothing_is_kept_of_it() {
        let mut sorted = Sorted::default();
        let key = |number: u32| format!("{:03}{number:06}", number * 7 % 100);
        for number in 0..5_000 {
            sorted.insert(key(number), value(number));
            if number >= 100 {
                sorted.remove(&key(number - 100));
            }
        }
        assert_eq!(rows(&sorted).len(), 100);
        assert!(
            sorted.runs.iter().map(|run| run.bytes).sum::<usize>() < 1_500_000,
            "of nearly four millions"
        );
    }

    #[test]
    fn any_row_is_found_but_none_that_was_replaced_or_deleted() {
        let mut sorted = Sorted::default();
        (0..500).for_each(|number| sorted.insert(format!("{number:06}"), value(number)));
        sorted.insert("000001".into(), b"another".to_vec());
        sorted.remove("000002");
        let is = |number| move |_: &str, row: &[u8]| row == value(number);
        let there = |number| sorted.any(is(number));
        assert_eq!([0, 1, 2, 3, 499].map(there), [true, false, false, true, true]);
        assert!(sorted.any(|key, row| key == "000001" && row == b"another"));
    }

    #[derive(Clone, Debug)]
    enum Deed {
        Insert(u32, u32),
        Remove(u32),
        Pack,
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            6 => (0..60_u32, any::<u32>()).prop_map(|(key, of)| Deed::Insert(key, of)),
            3 => (0..60_u32).prop_map(Deed::Remove),
            1 => Just(Deed::Pack),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_map_whenever_it_packs(deeds in prop::collection::vec(deed(), 0..200), from in 0..60_u32) {
            let (mut sorted, mut map) = (Sorted::default(), BTreeMap::new());
            let key = |number: u32| format!("{number:02}");
            for deed in deeds {
                match deed {
                    Deed::Insert(number, of) => {
                        sorted.insert(key(number), value(of));
                        map.insert(key(number), value(of));
                    }
                    Deed::Remove(number) => {
                        sorted.remove(&key(number));
                        map.remove(&key(number));
                    }
                    Deed::Pack => sorted.pack(),
                }
            }
            prop_assert_eq!(rows(&sorted), map.clone().into_iter().collect::<Vec<_>>());
            for number in 0..60 {
                prop_assert_eq!(sorted.get(&key(number)).map(Cow::into_owned), map.get(&key(number)).cloned());
                prop_assert_eq!(sorted.has(&key(number)), map.contains_key(&key(number)));
            }
            let rest: Vec<String> = sorted.rows_from(&key(from)).map(|(key, _)| key.into_owned()).collect();
            prop_assert_eq!(rest, map.range(key(from)..).map(|(key, _)| key.clone()).collect::<Vec<_>>());
            let bytes = sorted.fresh.iter().map(|(key, value)| size(key, value.as_deref())).sum::<usize>();
            prop_assert_eq!(sorted.fresh_bytes, bytes);
        }
    }
}
