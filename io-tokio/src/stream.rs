//! One stream, between the actor (which speaks for the machine) and the task that moves its bytes.
//!
//! Outwards a queue, which the machine's own credit discipline keeps short. Inwards the [`Leave`]: how many bytes the
//! machine takes, and whether it still wants the stream at all.

use std::task::{Context, Poll};

use bytes::Bytes;
use labman_proto_core::http::ResponseHead;
use labman_proto_core::limits::STREAM_WINDOW;
use labman_proto_core::machine::{ResetCode, StreamId};
use tokio::sync::{mpsc, watch};

use crate::port::{Happening, Port};

pub(crate) enum Out {
    Response(ResponseHead),
    Send(Bytes),
    Finish,
}

struct Leave {
    /// Bytes the machine has taken or will take, from the stream's start.
    granted: u64,
    wanted: Wanted,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Both,
    /// The machine finished and then reset: what it has sent still goes out, what comes in is dropped.
    OnlyOut(ResetCode),
    Neither(ResetCode),
}

/// The actor's end. Dropped once both directions have ended.
pub(crate) struct Handle {
    queue: mpsc::UnboundedSender<Out>,
    leave: watch::Sender<Leave>,
}

/// From the machine to the transport.
pub(crate) struct Outgoing {
    stream: StreamId,
    port: Port,
    queue: mpsc::UnboundedReceiver<Out>,
}

/// From the transport to the machine.
pub(crate) struct Incoming {
    stream: StreamId,
    port: Port,
    leave: watch::Receiver<Leave>,
    delivered: u64,
}

/// Watches for one stream's reset by the machine.
pub(crate) struct Watch(watch::Receiver<Leave>);

/// The machine takes no more bytes of this stream.
pub(crate) struct Unwanted;

pub(crate) fn new(stream: StreamId, port: &Port) -> (Handle, Outgoing, Incoming) {
    let (sender, queue) = mpsc::unbounded_channel();
    let (allow, leave) =
        watch::channel(Leave { granted: u64::from(STREAM_WINDOW), wanted: Wanted::Both });
    (
        Handle { queue: sender, leave: allow },
        Outgoing { stream, port: port.clone(), queue },
        Incoming { stream, port: port.clone(), leave, delivered: 0 },
    )
}

impl Handle {
    /// What a transport that is gone does not take any more is lost, and its reset is on the way.
    pub(crate) fn put(&self, out: Out) {
        let _ = self.queue.send(out);
    }

    pub(crate) fn grant(&self, bytes: u32) {
        self.leave.send_modify(|leave| leave.granted = leave.granted.saturating_add(u64::from(bytes)));
    }

    /// Ends both directions now; what waits in the queue is lost.
    pub(crate) fn abort(self, code: ResetCode) {
        self.leave.send_modify(|leave| leave.wanted = Wanted::Neither(code));
    }

    /// Ends the inward direction; what waits in the queue, with its end, still goes out.
    pub(crate) fn stop_reading(self, code: ResetCode) {
        self.leave.send_modify(|leave| leave.wanted = Wanted::OnlyOut(code));
    }
}

impl Outgoing {
    pub(crate) fn id(&self) -> StreamId {
        self.stream
    }

    /// `None` without an [`Out::Finish`] before it: the stream was reset, or its generation ended.
    pub(crate) async fn next(&mut self) -> Option<Out> {
        self.queue.recv().await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Out>> {
        self.queue.poll_recv(cx)
    }

    /// What is there already.
    pub(crate) fn try_next(&mut self) -> Option<Out> {
        self.queue.try_recv().ok()
    }

    /// The transport has taken that many bytes.
    pub(crate) fn took(&self, bytes: usize) {
        if let Ok(bytes @ 1..) = u32::try_from(bytes) {
            self.port.send_soon(Happening::Credit { stream: self.stream, bytes });
        }
    }

    pub(crate) fn reset_soon(&self, code: ResetCode) {
        self.port.send_soon(Happening::Reset { stream: self.stream, code });
    }
}

impl Incoming {
    /// Waits until the machine takes more bytes, and says how many.
    pub(crate) async fn room(&mut self) -> Result<usize, Unwanted> {
        let delivered = self.delivered;
        let ready = |leave: &Leave| leave.wanted != Wanted::Both || leave.granted > delivered;
        let leave = self.leave.wait_for(ready).await.map_err(|_| Unwanted)?;
        match leave.wanted {
            Wanted::Both => Ok(usize::try_from(leave.granted - delivered).unwrap_or(usize::MAX)),
            Wanted::OnlyOut(_) | Wanted::Neither(_) => Err(Unwanted),
        }
    }

    /// Hands bytes to the machine, waiting for its grants where they are more than it takes now.
    pub(crate) async fn deliver(&mut self, mut bytes: Bytes) -> Result<(), Unwanted> {
        while !bytes.is_empty() {
            let room = self.room().await?;
            let part = bytes.split_to(room.min(bytes.len()));
            self.delivered += part.len() as u64;
            self.port.send(Happening::Bytes { stream: self.stream, bytes: part }).await;
        }
        Ok(())
    }

    pub(crate) async fn respond(&self, head: ResponseHead) {
        self.port.send(Happening::Response { stream: self.stream, head }).await;
    }

    pub(crate) async fn finished(&self) {
        self.port.send(Happening::Finished { stream: self.stream }).await;
    }

    pub(crate) async fn reset(&self, code: ResetCode) {
        self.port.send(Happening::Reset { stream: self.stream, code }).await;
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch(self.leave.clone())
    }
}

impl Watch {
    /// Resolves when the machine takes no more bytes, and says with what code to tell the peer.
    pub(crate) async fn unwanted(&mut self) -> ResetCode {
        match self.0.wait_for(|leave| leave.wanted != Wanted::Both).await.map(|leave| leave.wanted) {
            Ok(Wanted::OnlyOut(code) | Wanted::Neither(code)) => code,
            Ok(Wanted::Both) | Err(_) => ResetCode::Cancelled,
        }
    }

    /// Resolves only if the machine resets both directions.
    pub(crate) async fn aborted(&mut self) -> ResetCode {
        loop {
            let aborted = self.0.wait_for(|leave| matches!(leave.wanted, Wanted::Neither(_))).await;
            match aborted.map(|leave| leave.wanted) {
                Ok(Wanted::Neither(code)) => return code,
                Ok(Wanted::Both | Wanted::OnlyOut(_)) => {}
                // Ended in order: there is nothing left to abort.
                Err(_) => std::future::pending().await,
            }
        }
    }
}
