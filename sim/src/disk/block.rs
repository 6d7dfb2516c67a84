//! Some rows of a table that follow each other, packed: written once, read whole.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fold::{fold, unfold};
use super::parcel::Parcel;

/// Bytes of rows after which a block ends.
const FULL: usize = 64 * 1024;
/// Blocks that lie open: whoever looks rows up one after the other finds the next in the same block.
const OPEN: usize = 256;

static BLOCKS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The one that was looked at last is in front.
    static LATELY: RefCell<VecDeque<(u64, Arc<Open>)>> = const { RefCell::new(VecDeque::new()) };
}

/// A row, or that it is gone.
pub(super) type Entry<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

#[derive(Debug)]
pub(super) struct Block {
    id: u64,
    pub(super) first: Box<str>,
    pub(super) last: Box<str>,
    /// A hash of each key: who is not among them need not be looked for.
    prints: Box<[u32]>,
    /// Of the rows, before they were packed.
    pub(super) bytes: usize,
    packed: Parcel,
}

/// A block's rows, unpacked.
#[derive(Debug, Default)]
pub(super) struct Open {
    text: Vec<u8>,
    rows: Vec<Place>,
}

/// Where a row's key begins and ends, and its value, if it has one.
#[derive(Clone, Copy, Debug)]
struct Place {
    key: usize,
    value: usize,
    end: usize,
    gone: bool,
}

impl Block {
    /// Packs rows that come in the order of their keys, each key once.
    pub(super) fn of<'a>(rows: impl Iterator<Item = Entry<'a>>) -> Vec<Arc<Self>> {
        let (mut blocks, mut packer) = (Vec::new(), Packer::default());
        for (key, value) in rows {
            packer.add(&key, value.as_deref());
            if packer.text.len() >= FULL {
                blocks.extend(std::mem::take(&mut packer).pack());
            }
        }
        blocks.extend(packer.pack());
        blocks
    }

    /// Hardly ever though it has not.
    pub(super) fn may_have(&self, print: u32) -> bool {
        self.prints.contains(&print)
    }

    /// Unpacks it, to be read from its first row to its last.
    ///
    /// # Panics
    /// If it is not what was packed.
    pub(super) fn open(&self) -> Open {
        let folded = snap::raw::Decoder::new().decompress_vec(&self.packed.open());
        let text = folded.ok().and_then(|folded| unfold(&folded));
        Open::read(text.expect("a block is as it was packed"))
    }

    /// The same for who looks up a row.
    pub(super) fn look(&self) -> Arc<Open> {
        LATELY.with_borrow_mut(|lately| {
            let known = lately.iter().position(|(id, _)| *id == self.id);
            let open = match known.and_then(|at| lately.remove(at)) {
                Some((_, open)) => open,
                None => Arc::new(self.open()),
            };
            lately.push_front((self.id, open.clone()));
            lately.truncate(OPEN);
            open
        })
    }
}

impl Open {
    fn read(text: Vec<u8>) -> Self {
        let number =
            |at: usize| text.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize);
        let (mut rows, mut at) = (Vec::new(), 0);
        while let (Some(key), Some(value)) = (number(at), number(at + 4)) {
            let begin = at + HEAD;
            // A row that is gone has no value, one that is empty has one of no bytes: the number is one more than its length.
            at = begin + key + value.saturating_sub(1);
            rows.push(Place { key: begin, value: begin + key, end: at, gone: value == 0 });
        }
        Self { text, rows }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn key(&self, row: usize) -> &str {
        let place = self.rows[row];
        self.text
            .get(place.key..place.value)
            .and_then(|key| std::str::from_utf8(key).ok())
            .unwrap_or_default()
    }

    pub(super) fn value(&self, row: usize) -> Option<&[u8]> {
        let place = self.rows[row];
        self.text.get(place.value..place.end).filter(|_| !place.gone)
    }

    /// The first row that is not before this key.
    pub(super) fn at_least(&self, key: &str) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle) < key { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// `None`: nothing is said of that key here.
    pub(super) fn find(&self, key: &str) -> Option<Option<&[u8]>> {
        let row = self.at_least(key);
        (row < self.len() && self.key(row) == key).then(|| self.value(row))
    }
}

/// Two lengths.
const HEAD: usize = 8;

#[derive(Default)]
struct Packer {
    text: Vec<u8>,
    prints: Vec<u32>,
    first: Option<Box<str>>,
    last: String,
}

impl Packer {
    fn add(&mut self, key: &str, value: Option<&[u8]>) {
        // Nobody writes rows of four gigabytes.
        let lengths = [key.len() as u32, value.map_or(0, |value| value.len() as u32 + 1)];
        lengths.iter().for_each(|length| self.text.extend_from_slice(&length.to_le_bytes()));
        self.text.extend_from_slice(key.as_bytes());
        self.text.extend_from_slice(value.unwrap_or_default());
        self.prints.push(print(key));
        self.first.get_or_insert_with(|| key.into());
        self.last.clear();
        self.last.push_str(key);
    }

    fn pack(self) -> Option<Arc<Block>> {
        let packed = snap::raw::Encoder::new().compress_vec(&fold(&self.text));
        Some(Arc::new(Block {
            id: BLOCKS.fetch_add(1, Ordering::Relaxed),
            first: self.first?,
            last: self.last.into(),
            prints: self.prints.into(),
            bytes: self.text.len(),
            packed: Parcel::of(packed.expect("rows are far below four gigabytes")),
        }))
    }
}

/// A hash of a key (as Firefox's FxHash, of eight bytes at a time): quick, and nobody gains by two that are the same.
pub(super) fn print(key: &str) -> u32 {
    let mut hash = 0_u64;
    for chunk in key.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word.iter_mut().zip(chunk).for_each(|(to, byte)| *to = *byte);
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: usize, value: Option<usize>) -> Entry<'static> {
        (format!("{number:06}").into(), value.map(|length| vec![b'v'; length].into()))
    }

    #[test]
    fn rows_are_packed_in_blocks_and_found_in_them() {
        let rows = || (0..1_000).map(|number| entry(number, (number % 3 > 0).then_some(number)));
        let blocks = Block::of(rows());
        assert!(blocks.len() > 3 && &*blocks[0].first == "000000");
        assert!(blocks.iter().all(|block| block.first <= block.last && block.bytes < 2 * FULL));
        let mut all: Vec<Entry<'_>> = Vec::new();
        for block in &blocks {
            let open = block.open();
            for row in 0..open.len() {
                let key = open.key(row).to_owned();
                assert!(block.may_have(print(&key)));
                assert_eq!(block.look().find(&key), Some(open.value(row)));
                all.push((key.into(), open.value(row).map(|value| value.to_vec().into())));
            }
        }
        assert_eq!(all, rows().collect::<Vec<Entry<'_>>>());
        assert_eq!(blocks[0].look().find("000000x"), None);
        assert!(Block::of(std::iter::empty()).is_empty());
    }

    #[test]
    fn an_empty_row_is_there_and_one_that_is_gone_is_not() {
        let rows = [entry(1, Some(0)), entry(2, None)].into_iter();
        let open = Block::of(rows)[0].open();
        assert_eq!((open.find("000001"), open.find("000002")), (Some(Some(&[][..])), Some(None)));
    }
}
