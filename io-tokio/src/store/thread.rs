//! The store's thread: group commit. Whatever waits when it looks is one transaction, and is answered after its commit.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use labman_proto_core::machine::{Completion, OpId};
use labman_proto_core::store::{Keys, Range, Row, Snapshot, StoreError, Write};
use tokio::sync::{mpsc, oneshot};

use crate::config::StoreConfig;
use crate::error::StartError;
use crate::port::{Happening, Port};
use crate::store::sqlite::{self, Sqlite};

/// Operations in one transaction, and keys looked up in it: what they find is in memory until it is over. Further ones are in the
/// next.
const GROUP: usize = 1024;
const GROUP_KEYS: usize = 4096;

/// The way to the store's thread, which ends when the last of these is gone.
#[derive(Clone)]
pub(crate) struct Store {
    orders: mpsc::UnboundedSender<Order>,
    path: PathBuf,
}

enum Order {
    Do(Operation),
    Snapshot(oneshot::Sender<rusqlite::Result<Snapshot>>),
    Close(oneshot::Sender<()>),
}

struct Operation {
    op: OpId,
    work: Work,
    port: Port,
}

enum Work {
    Write(Arc<Vec<Write>>),
    Read(Range),
    Find(Keys),
}

/// A completion before its commit.
enum Outcome {
    Wrote(Result<(), StoreError>),
    Page(Result<Vec<Row>, StoreError>),
}

impl Store {
    pub(crate) async fn open(config: StoreConfig) -> Result<Self, StartError> {
        let StoreConfig { path, tables } = config;
        let (orders, inbox) = mpsc::unbounded_channel();
        let (opened, open) = oneshot::channel();
        let file = path.clone();
        let spawned =
            thread::Builder::new().name("store".into()).spawn(move || match Sqlite::open(&file, tables) {
                Ok(sqlite) => {
                    let _ = opened.send(Ok(()));
                    work(sqlite, inbox);
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            });
        let failed = |what: String| StartError::Store { path: path.clone(), what };
        spawned.map_err(|error| failed(error.to_string()))?;
        open.await.map_err(|_| failed("its thread panicked".into()))??;
        Ok(Self { orders, path })
    }

    pub(crate) async fn snapshot(&self) -> Result<Snapshot, StartError> {
        let (reply, snapshot) = oneshot::channel();
        // If the thread is gone, so is `reply`.
        let _ = self.orders.send(Order::Snapshot(reply));
        let failed = |what: String| StartError::Store { path: self.path.clone(), what };
        let snapshot = snapshot.await.map_err(|_| failed("its thread has ended".into()))?;
        snapshot.map_err(|error| failed(error.to_string()))
    }

    pub(crate) fn write(&self, op: OpId, batch: Arc<Vec<Write>>, port: Port) {
        self.order(Operation { op, work: Work::Write(batch), port });
    }

    pub(crate) fn read(&self, op: OpId, range: Range, port: Port) {
        self.order(Operation { op, work: Work::Read(range), port });
    }

    pub(crate) fn find(&self, op: OpId, keys: Keys, port: Port) {
        self.order(Operation { op, work: Work::Find(keys), port });
    }

    /// After everything that was asked before.
    pub(crate) async fn close(self) {
        let (reply, closed) = oneshot::channel();
        let _ = self.orders.send(Order::Close(reply));
        let _ = closed.await;
    }

    fn order(&self, operation: Operation) {
        if let Err(mpsc::error::SendError(Order::Do(operation))) = self.orders.send(Order::Do(operation)) {
            let gone = StoreError::Failed("the store's thread has ended".into());
            operation.port.send_soon(Happening::Done(operation.op, operation.work.failed(gone)));
        }
    }
}

fn work(mut sqlite: Sqlite, mut inbox: mpsc::UnboundedReceiver<Order>) {
    while let Some(first) = inbox.blocking_recv() {
        let (mut group, mut keys) = (Vec::new(), 0);
        let mut next = Some(first);
        // What is no operation ends the group, and comes after it.
        while let Some(Order::Do(operation)) = next {
            keys += operation.work.keys();
            group.push(operation);
            let has_room = group.len() < GROUP && keys < GROUP_KEYS;
            next = if has_room { inbox.try_recv().ok() } else { None };
        }
        carry_out(&mut sqlite, group);
        match next {
            Some(Order::Snapshot(reply)) => {
                let _ = reply.send(sqlite.snapshot());
            }
            Some(Order::Close(reply)) => {
                drop(sqlite);
                let _ = reply.send(());
                return;
            }
            Some(Order::Do(_)) | None => {}
        }
    }
}

fn carry_out(sqlite: &mut Sqlite, mut group: Vec<Operation>) {
    if group.is_empty() {
        return;
    }
    let committed = sqlite.commit(|transaction| {
        let outcomes = group.iter_mut().map(|operation| match &mut operation.work {
            Work::Write(batch) => Outcome::Wrote(sqlite::write(transaction, batch)),
            Work::Read(range) => Outcome::Page(sqlite::read(transaction, range)),
            Work::Find(keys) => {
                Outcome::Page(sqlite::find(transaction, keys.table, core::mem::take(&mut keys.keys)))
            }
        });
        outcomes.collect::<Vec<_>>()
    });
    let completions: Vec<_> = match committed {
        Ok(outcomes) => outcomes.into_iter().map(Outcome::into_completion).collect(),
        Err(error) => group.iter().map(|operation| operation.work.failed(error.clone())).collect(),
    };
    for (operation, completion) in group.into_iter().zip(completions) {
        operation.port.send_blocking(Happening::Done(operation.op, completion));
    }
}

impl Work {
    fn keys(&self) -> usize {
        match self {
            Self::Find(keys) => keys.keys.len(),
            Self::Write(_) | Self::Read(_) => 0,
        }
    }

    fn failed(&self, error: StoreError) -> Completion {
        match self {
            Self::Write(_) => Completion::Stored(Err(error)),
            Self::Read(_) | Self::Find(_) => Completion::Page(Err(error)),
        }
    }
}

impl Outcome {
    fn into_completion(self) -> Completion {
        match self {
            Self::Wrote(result) => Completion::Stored(result),
            Self::Page(result) => Completion::Page(result),
        }
    }
}
