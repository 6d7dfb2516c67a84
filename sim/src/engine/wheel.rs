//! A bucketed timing wheel: a priority queue for events most of which lie within the next two seconds.
//!
//! ```text
//!   time --->   bucket: 131 us                       16,384 of them: 2.1 s
//!              | current |  |  |..|  |  |  ..........................  |  |   beyond
//!                sorted    unsorted lists, one a bucket, and a bit that    a heap
//!                          says whether there is anything in it
//! ```
//!
//! Scheduling puts an event in front of a list. A bucket is sorted when its time comes, which is cheap: it holds the
//! few events of 131 microseconds. What is scheduled into the bucket that is running goes into a small heap beside it,
//! so that a burst at one instant costs `n log n` and not `n^2`. What lies beyond the wheel waits in a heap, and moves
//! into the wheel as that turns.
//!
//! What is absent: removal. See [`Alarm`](super::Alarm).

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use labman_proto_core::time::Time;

use super::occupancy::Occupancy;
use super::pool::{List, Pool, Slot};

/// A bucket's width, as a power of two of nanoseconds.
const WIDTH: u32 = 17;
const BUCKETS: usize = 1 << 14;

pub(super) struct Wheel<E> {
    pool: Pool<E>,
    /// Which bucket runs, counted from the beginning of time.
    turn: u64,
    /// What it held when it began, last event first.
    current: Vec<Entry>,
    /// What was scheduled into it since.
    late: BinaryHeap<Reverse<Entry>>,
    /// The buckets of the turns that follow, each at its turn modulo their number.
    buckets: Box<[List]>,
    occupied: Occupancy<BUCKETS>,
    beyond: BinaryHeap<Reverse<Beyond>>,
}

/// An event of the current bucket.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    key: u64,
    seq: u64,
    slot: Slot,
}

/// An event of a later turn of the wheel than it has buckets for. Ordered by turn alone: its bucket will sort it.
struct Beyond {
    turn: u64,
    slot: Slot,
}

/// Time within the bucket, then the tie.
fn key(at: Time, tie: u32) -> u64 {
    (at.0 & ((1 << WIDTH) - 1)) << 32 | u64::from(tie)
}

fn index(turn: u64) -> usize {
    turn as usize % BUCKETS
}

impl<E> Default for Wheel<E> {
    fn default() -> Self {
        Self {
            pool: Pool::default(),
            turn: 0,
            current: Vec::new(),
            late: BinaryHeap::new(),
            buckets: vec![List::EMPTY; BUCKETS].into(),
            occupied: Occupancy::default(),
            beyond: BinaryHeap::new(),
        }
    }
}

impl<E> Wheel<E> {
    /// Adds an event. `at` is not before what was popped last.
    pub(super) fn push(&mut self, at: Time, tie: u32, seq: u64, event: E) {
        let (turn, key) = (at.0 >> WIDTH, key(at, tie));
        debug_assert!(turn >= self.turn, "an event in the past");
        let slot = self.pool.insert(key, seq, event);
        if turn <= self.turn {
            self.late.push(Reverse(Entry { key, seq, slot }));
        } else {
            self.place(turn, slot);
        }
    }

    /// The next event in the order `(time, tie, seq)`, and its time.
    pub(super) fn pop(&mut self) -> Option<(Time, E)> {
        let entry = match self.next_entry() {
            Some(entry) => entry,
            None => {
                self.advance()?;
                self.current.pop()?
            }
        };
        let at = Time(self.turn << WIDTH | entry.key >> 32);
        Some((at, self.pool.remove(entry.slot)?))
    }

    fn next_entry(&mut self) -> Option<Entry> {
        let Some(Reverse(late)) = self.late.peek() else { return self.current.pop() };
        if self.current.last().is_some_and(|entry| entry < late) {
            return self.current.pop();
        }
        self.late.pop().map(|Reverse(entry)| entry)
    }

    fn place(&mut self, turn: u64, slot: Slot) {
        if turn - self.turn >= BUCKETS as u64 {
            return self.beyond.push(Reverse(Beyond { turn, slot }));
        }
        let index = index(turn);
        let list = &mut self.buckets[index];
        if list.is_empty() {
            self.occupied.set(index);
        }
        self.pool.link(list, slot);
    }

    /// Turns to the next bucket that holds anything and sorts it. `None`: there is none.
    fn advance(&mut self) -> Option<()> {
        self.turn = match self.occupied.next(index(self.turn)) {
            // The current bucket itself is never occupied, so the distance says which turn this is.
            Some(next) => self.turn + ((next + BUCKETS - index(self.turn)) % BUCKETS) as u64,
            None => self.beyond.peek()?.0.turn,
        };
        while let Some(Reverse(first)) = self.beyond.peek()
            && first.turn - self.turn < BUCKETS as u64
        {
            let (turn, slot) = (first.turn, first.slot);
            self.beyond.pop();
            self.place(turn, slot);
        }
        let index = index(self.turn);
        self.occupied.clear(index);
        let mut list = std::mem::replace(&mut self.buckets[index], List::EMPTY);
        while let Some((slot, key, seq)) = self.pool.take_first(&mut list) {
            self.current.push(Entry { key, seq, slot });
        }
        self.current.sort_unstable_by(|a, b| b.cmp(a));
        Some(())
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key).then(self.seq.cmp(&other.seq))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Beyond {
    fn cmp(&self, other: &Self) -> Ordering {
        self.turn.cmp(&other.turn)
    }
}

impl PartialOrd for Beyond {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Beyond {
    fn eq(&self, other: &Self) -> bool {
        self.turn == other.turn
    }
}

impl Eq for Beyond {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPAN: u64 = (BUCKETS as u64) << WIDTH;

    #[derive(Clone, Debug)]
    enum Do {
        Push(u64, u32),
        Pop,
    }

    /// How far ahead: the same instant, the same bucket, near ones, the wheel's edge, far, as far as time goes.
    fn ahead() -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(0),
            0..4u64,
            0..1u64 << WIDTH,
            0..20u64 << WIDTH,
            0..SPAN,
            SPAN - (2 << WIDTH)..SPAN + (2 << WIDTH),
            0..10 * SPAN,
            any::<u64>(),
            Just(u64::MAX),
        ]
    }

    fn steps() -> impl Strategy<Value = Vec<Do>> {
        // Few ties, so that the sequence must decide, too.
        let push = (ahead(), 0..3u32).prop_map(|(ahead, tie)| Do::Push(ahead, tie));
        prop::collection::vec(prop_oneof![3 => push, 2 => Just(Do::Pop)], 0..300)
    }

    proptest! {
        #[test]
        fn the_wheel_pops_in_the_order_of_a_heap(steps in steps()) {
            let (mut wheel, mut heap) = (Wheel::default(), BinaryHeap::new());
            let (mut now, mut seq) = (0u64, 0);
            let pops = steps.len();
            for step in steps.into_iter().chain(std::iter::repeat_n(Do::Pop, pops + 1)) {
                match step {
                    Do::Push(ahead, tie) => {
                        seq += 1;
                        let at = now.saturating_add(ahead);
                        wheel.push(Time(at), tie, seq, seq);
                        heap.push(Reverse((at, tie, seq)));
                    }
                    Do::Pop => {
                        let expected = heap.pop().map(|Reverse((at, _, seq))| (Time(at), seq));
                        prop_assert_eq!(wheel.pop(), expected);
                        now = expected.map_or(now, |(at, _)| at.0);
                    }
                }
            }
            prop_assert_eq!(wheel.pop(), None);
        }
    }

    #[test]
    fn a_burst_at_one_instant_runs_in_order_and_its_places_are_used_again() {
        let mut wheel = Wheel::default();
        for round in 0..3 {
            let at = Time(round * 2 * SPAN);
            (0..1_000).for_each(|n| wheel.push(at, 0, n, n));
            let popped: Vec<u64> = std::iter::from_fn(|| wheel.pop()).map(|(_, n)| n).collect();
            assert!(popped.is_sorted() && popped.len() == 1_000);
            assert_eq!(wheel.pool.places(), 1_000);
        }
    }
}
