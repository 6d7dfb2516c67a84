//! Where pending events lie: in one slab, each in the list of its bucket, so that neither scheduling nor running one
//! allocates once a simulation has reached its size.

/// A place in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u32);

/// A list of places, threaded through the pool: a bucket's events, or the places that are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List(u32);

const END: u32 = u32::MAX;

impl List {
    pub(super) const EMPTY: Self = Self(END);

    pub(super) fn is_empty(self) -> bool {
        self.0 == END
    }
}

pub(super) struct Pool<E> {
    pending: Vec<Pending<E>>,
    free: List,
}

struct Pending<E> {
    /// What the wheel sorts by; the pool only keeps it.
    key: u64,
    seq: u64,
    next: u32,
    event: Option<E>,
}

impl<E> Default for Pool<E> {
    fn default() -> Self {
        Self { pending: Vec::new(), free: List::EMPTY }
    }
}

impl<E> Pool<E> {
    pub(super) fn insert(&mut self, key: u64, seq: u64, event: E) -> Slot {
        let pending = Pending { key, seq, next: END, event: Some(event) };
        let free = self.free.0;
        if let Some(place) = self.pending.get_mut(free as usize) {
            self.free = List(place.next);
            *place = pending;
            return Slot(free);
        }
        let slot = u32::try_from(self.pending.len()).ok().filter(|slot| *slot != END);
        self.pending.push(pending);
        Slot(slot.expect("fewer than four billion events are pending"))
    }

    /// Takes the event out; its place is free then.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<E> {
        let pending = &mut self.pending[slot.0 as usize];
        let event = pending.event.take();
        pending.next = self.free.0;
        self.free = List(slot.0);
        event
    }

    /// Puts a place in front of a list.
    pub(super) fn link(&mut self, list: &mut List, slot: Slot) {
        self.pending[slot.0 as usize].next = list.0;
        *list = List(slot.0);
    }

    /// The first place of a list, with its key and sequence; the list then begins with the one behind it.
    pub(super) fn take_first(&self, list: &mut List) -> Option<(Slot, u64, u64)> {
        let first = Slot(list.0);
        let Pending { key, seq, next, .. } = self.pending.get(list.0 as usize)?;
        *list = List(*next);
        Some((first, *key, *seq))
    }

    /// The most events that were ever pending at once.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.pending.len()
    }
}
