//! One batch at the store at a time; what comes meanwhile goes together in the next.
//!
//! So a failed write is followed by no later one that was computed from it, and a busy portal pays for one disk flush per
//! batch, not per call. A batch that holds a row which is there already fails as a whole: its operations are then written
//! one by one, and only the one at fault is refused.

use alloc::{boxed::Box, collections::VecDeque, string::String, sync::Arc, vec::Vec};

use crate::keys::Keys;
use crate::limits::PORTAL_GROUP;
use crate::machine::{OpId, Outbox, StreamId};
use crate::store::{StoreError, Write};
use crate::wire::ids::AuthId;

use super::answer::Answer;
use super::payouts::Decisions;
use super::transfers::TransferId;

/// One operation's writes, and what follows once they are durable.
pub(super) struct Commit {
    pub(super) batch: Vec<Write>,
    pub(super) then: Then,
    /// For the log, once it is true.
    pub(super) told: String,
}

pub(super) enum Then {
    Answer(StreamId, Answer),
    /// A hold stands: whoever waits for it gets its authorization.
    Opened(AuthId),
    /// A hold, or an attempt of it, is gone: whoever waits for that gets this.
    Resolved(AuthId, Answer),
    Nothing,
    /// A transfer may be sent.
    Scheduled {
        transfer: TransferId,
        answer: Option<(StreamId, Answer)>,
    },
    /// A rail may be asked.
    Sent(TransferId),
    /// A key ring is in force.
    Certified {
        stream: StreamId,
        answer: Answer,
        ring: Box<Keys>,
    },
    /// Claims are decided: whoever waits for them gets that.
    Paid(Decisions),
}

/// What became of a batch. The commits in it come without their writes.
pub(super) enum Written {
    Durable(Arc<Vec<Write>>, Vec<Commit>),
    /// Its rows were not all new.
    Refused(Commit),
    /// To be tried again, one by one.
    Again,
    Failed(String),
}

/// The batch of a group, in which each commit has so many writes.
struct AtStore {
    op: OpId,
    batch: Arc<Vec<Write>>,
    group: Vec<(usize, Commit)>,
}

#[derive(Default)]
pub(super) struct Writer {
    queue: VecDeque<Commit>,
    at_store: Option<AtStore>,
    /// So many of the queue's first are to be written alone.
    alone: usize,
}

impl Writer {
    pub(super) fn push(&mut self, commit: Commit) {
        self.queue.push_back(commit);
    }

    /// Starts the next batch, if none is at the store.
    pub(super) fn start(&mut self, out: &mut Outbox) {
        if self.at_store.is_some() || self.queue.is_empty() {
            return;
        }
        let most = if self.alone > 0 { 1 } else { PORTAL_GROUP };
        self.alone = self.alone.saturating_sub(1);
        let (mut batch, mut group) = (Vec::new(), Vec::new());
        for mut commit in self.queue.drain(..most.min(self.queue.len())) {
            let writes = commit.batch.len();
            batch.append(&mut commit.batch);
            group.push((writes, commit));
        }
        let batch = Arc::new(batch);
        let op = out.store_shared(Arc::clone(&batch));
        self.at_store = Some(AtStore { op, batch, group });
    }

    /// The batch that is at the store.
    pub(super) fn at_store(&self) -> Option<OpId> {
        self.at_store.as_ref().map(|at_store| at_store.op)
    }

    /// `None`: this was no batch of ours.
    pub(super) fn done(&mut self, op: OpId, result: Result<(), StoreError>) -> Option<Written> {
        let AtStore { batch, mut group, .. } = self.at_store.take_if(|at_store| at_store.op == op)?;
        Some(match result {
            Ok(()) => Written::Durable(batch, group.into_iter().map(|(_, commit)| commit).collect()),
            Err(StoreError::Exists) if group.len() > 1 => {
                self.alone = group.len();
                self.put_back(batch, group);
                Written::Again
            }
            Err(StoreError::Exists) => match group.pop() {
                Some((_, commit)) => Written::Refused(commit),
                None => Written::Again,
            },
            Err(StoreError::Failed(why)) => {
                self.put_back(batch, group);
                Written::Failed(why)
            }
        })
    }

    /// To the head of the queue, each with its own writes.
    fn put_back(&mut self, batch: Arc<Vec<Write>>, mut group: Vec<(usize, Commit)>) {
        let mut batch = Arc::unwrap_or_clone(batch).into_iter();
        for (writes, commit) in &mut group {
            commit.batch = batch.by_ref().take(*writes).collect();
        }
        group.into_iter().rev().for_each(|(_, commit)| self.queue.push_front(commit));
    }

    /// Everything that is not durable and never will be.
    pub(super) fn give_up(&mut self) -> VecDeque<Commit> {
        core::mem::take(&mut self.queue)
    }
}
