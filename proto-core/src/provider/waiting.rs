//! Jobs that are paid for and wait for a slot of their model, first come first served.

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::{String, ToString},
};

use crate::machine::StreamId;

/// An endpoint, and a model there.
pub(super) type Where = (String, String);

#[derive(Default)]
pub(super) struct Waiting {
    /// None of them is empty.
    queues: BTreeMap<Where, VecDeque<StreamId>>,
}

impl Waiting {
    pub(super) fn len(&self, ep: &str, model: &str) -> usize {
        self.queues.get(&(ep.to_string(), model.to_string())).map_or(0, VecDeque::len)
    }

    pub(super) fn push(&mut self, whereto: Where, stream: StreamId) {
        self.queues.entry(whereto).or_default().push_back(stream);
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = &Where> {
        self.queues.keys()
    }

    pub(super) fn first(&self, whereto: &Where) -> Option<StreamId> {
        self.queues.get(whereto)?.front().copied()
    }

    /// True: it waited.
    pub(super) fn remove(&mut self, whereto: &Where, stream: StreamId) -> bool {
        let Some(queue) = self.queues.get_mut(whereto) else { return false };
        let before = queue.len();
        queue.retain(|waits| *waits != stream);
        let waited = queue.len() < before;
        if queue.is_empty() {
            self.queues.remove(whereto);
        }
        waited
    }
}
