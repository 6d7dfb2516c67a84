//! What calls need out of history: a few reads at the store at a time, the others in the order in which they came.
//!
//! A store does one thing after the other, and an authorization waits until its hold is written there. When two thousand providers
//! claimed in one minute, it read for twelve seconds, no hold was written meanwhile, and users were turned away. Where 540 jobs came in a
//! second that lasted for half an hour: reports that were not answered in time are made again, and looked up.
//!
//! What is absent: a bound of those that wait, which are calls under way ([`PORTAL_EXCHANGES`](crate::limits::PORTAL_EXCHANGES)).

use alloc::collections::{BTreeMap, VecDeque};

use crate::limits::PORTAL_READS;
use crate::machine::{OpId, Outbox, StreamId};
use crate::store::{Keys, Range};

use super::look::Look;

pub(super) enum Wanted {
    Range(Range),
    Keys(Keys),
}

#[derive(Default)]
pub(super) struct Reading {
    at_store: BTreeMap<OpId, (StreamId, Look)>,
    waiting: VecDeque<(StreamId, Wanted, Look)>,
}

impl Reading {
    /// What goes on with a call that has been read for before goes first: else all that wait would be begun, and none ended.
    pub(super) fn push(&mut self, stream: StreamId, wanted: Wanted, look: Look) {
        match look.goes_on() {
            true => self.waiting.push_front((stream, wanted, look)),
            false => self.waiting.push_back((stream, wanted, look)),
        }
    }

    pub(super) fn start(&mut self, out: &mut Outbox) {
        while self.at_store.len() < PORTAL_READS
            && let Some((stream, wanted, look)) = self.waiting.pop_front()
        {
            let op = match wanted {
                Wanted::Range(range) => out.read(range),
                Wanted::Keys(keys) => out.find(keys),
            };
            self.at_store.insert(op, (stream, look));
        }
    }

    /// `None`: this was no read of ours.
    pub(super) fn done(&mut self, op: OpId) -> Option<(StreamId, Look)> {
        self.at_store.remove(&op)
    }
}
