//! What a task that moves bytes holds: the way into the actor, ids to give out, and the lifetime of its generation.
//!
//! A generation is one life of a machine. It ends by dropping the [`Scope`]'s owner: every task of it, and so every
//! socket and stream, is gone with it, and a new machine never hears of an old one's streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use labman_proto_core::http::{RequestHead, ResponseHead, Surface};
use labman_proto_core::machine::{Completion, DownReason, LinkId, OpId, Peer, ResetCode, StreamId};
use tokio::sync::{mpsc, watch};

use crate::stream::{Handle, Incoming, Outgoing};

/// An [`Input`](labman_proto_core::machine::Input) that owns its bytes, with the actor's end of what it announces.
pub(crate) enum Happening {
    LinkUp {
        link: LinkId,
        peer: Peer,
        commands: mpsc::UnboundedSender<LinkCommand>,
    },
    /// A dial that ended well: link up and completion in one, so that nothing comes between them.
    Dialled {
        op: OpId,
        link: LinkId,
        peer: Peer,
        commands: mpsc::UnboundedSender<LinkCommand>,
    },
    LinkDown {
        link: LinkId,
        reason: DownReason,
    },
    Opened {
        stream: StreamId,
        link: LinkId,
        handle: Handle,
    },
    Request {
        stream: StreamId,
        surface: Surface,
        head: RequestHead,
        handle: Handle,
    },
    Response {
        stream: StreamId,
        head: ResponseHead,
    },
    Bytes {
        stream: StreamId,
        bytes: Bytes,
    },
    Finished {
        stream: StreamId,
    },
    Reset {
        stream: StreamId,
        code: ResetCode,
    },
    Credit {
        stream: StreamId,
        bytes: u32,
    },
    Done(OpId, Completion),
    Leave,
}

/// What the actor asks of a link's task.
pub(crate) enum LinkCommand {
    Open(Outgoing, Incoming),
    Close(&'static str),
}

#[derive(Clone)]
pub(crate) struct Port {
    inputs: mpsc::Sender<Happening>,
    scope: Scope,
    ids: Arc<Ids>,
}

/// Runs tasks that end with their generation.
#[derive(Clone)]
pub(crate) struct Scope {
    alive: watch::Receiver<()>,
}

#[derive(Default)]
struct Ids {
    links: AtomicU64,
    streams: AtomicU64,
}

impl Port {
    pub(crate) fn new(inputs: mpsc::Sender<Happening>, alive: watch::Receiver<()>) -> Self {
        Self { inputs, scope: Scope { alive }, ids: Arc::default() }
    }

    /// Waits while the machine is behind. When its generation has ended, the caller is about to be dropped.
    pub(crate) async fn send(&self, happening: Happening) {
        let _ = self.inputs.send(happening).await;
    }

    /// From places that can't wait, for what needs no order: credit, and resets.
    pub(crate) fn send_soon(&self, happening: Happening) {
        if let Err(mpsc::error::TrySendError::Full(happening)) = self.inputs.try_send(happening) {
            let inputs = self.inputs.clone();
            self.spawn(async move {
                let _ = inputs.send(happening).await;
            });
        }
    }

    /// From a thread of its own.
    pub(crate) fn send_blocking(&self, happening: Happening) {
        let _ = self.inputs.blocking_send(happening);
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut alive = self.scope.alive.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = alive.changed() => {}
                () = task => {}
            }
        });
    }

    pub(crate) fn next_link(&self) -> LinkId {
        LinkId(self.ids.links.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Odd: the machine's own are even.
    pub(crate) fn next_stream(&self) -> StreamId {
        StreamId(self.ids.streams.fetch_add(2, Ordering::Relaxed) + 1)
    }
}
