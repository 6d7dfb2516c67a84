//! A machine whose behaviour is a closure, and what a test needs to watch it.
#![allow(dead_code, unreachable_pub)]

use std::time::Duration;

use labman_io_tokio::{IoConfig, Running};
use labman_proto_core::http::{RequestHead, ResponseHead};
use labman_proto_core::machine::{
    Completion, DownReason, Input, LinkId, Machine, Outbox, Output, Peer, ResetCode, StreamId,
};
use labman_proto_core::time::{Now, Wake};
use tokio::sync::mpsc;

/// Far beyond what any test needs; only a broken one waits that long.
const PATIENCE: Duration = Duration::from_secs(30);

type React = Box<dyn FnMut(Input<'_>, &mut Outbox) -> Result<(), String> + Send>;

pub struct Script {
    out: Outbox,
    react: React,
    stopped: Option<String>,
    /// How many links must go, or streams end, until it has left.
    stays_for: usize,
}

impl Script {
    pub fn new(mut react: impl FnMut(Input<'_>, &mut Outbox) + Send + 'static) -> Self {
        Self::that_may_stop(move |input, out| {
            react(input, out);
            Ok(())
        })
    }

    /// Stops with the closure's error.
    pub fn that_may_stop(
        react: impl FnMut(Input<'_>, &mut Outbox) -> Result<(), String> + Send + 'static,
    ) -> Self {
        Self { out: Outbox::default(), react: Box::new(react), stopped: None, stays_for: 0 }
    }

    /// Stops at once.
    pub fn that_has_stopped(why: &str) -> Self {
        Self { stopped: Some(why.into()), ..Self::new(|_, _| {}) }
    }

    /// Has left only when so many links have gone, or streams ended.
    pub fn staying_for(self, ends: usize) -> Self {
        Self { stays_for: ends, ..self }
    }

    /// Says something before its first input.
    pub fn saying(mut self, say: impl FnOnce(&mut Outbox)) -> Self {
        say(&mut self.out);
        self
    }
}

impl Machine for Script {
    fn handle(&mut self, _now: Now, input: Input<'_>) {
        if matches!(input, Input::LinkDown { .. } | Input::Finished { .. }) {
            self.stays_for = self.stays_for.saturating_sub(1);
        }
        self.stopped = (self.react)(input, &mut self.out).err();
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        None
    }

    fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    fn has_left(&self) -> bool {
        self.stays_for == 0
    }
}

/// An input that owns its bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    LinkUp(LinkId, Peer),
    LinkDown(LinkId, DownReason),
    Opened(StreamId),
    Request(StreamId, RequestHead),
    Response(StreamId, ResponseHead),
    Bytes(StreamId, Vec<u8>),
    Finished(StreamId),
    Reset(StreamId, ResetCode),
    Credit(StreamId, u32),
    Done(Completion),
    Leave,
}

impl From<Input<'_>> for Seen {
    fn from(input: Input<'_>) -> Self {
        match input {
            Input::LinkUp { link, peer } => Self::LinkUp(link, peer),
            Input::LinkDown { link, reason } => Self::LinkDown(link, reason),
            Input::Opened { stream, .. } => Self::Opened(stream),
            Input::Request { stream, head, .. } => Self::Request(stream, head),
            Input::Response { stream, head } => Self::Response(stream, head),
            Input::Bytes { stream, bytes } => Self::Bytes(stream, bytes.to_vec()),
            Input::Finished { stream } => Self::Finished(stream),
            Input::Reset { stream, code } => Self::Reset(stream, code),
            Input::Credit { stream, bytes } => Self::Credit(stream, bytes),
            Input::Done(_, completion) => Self::Done(completion),
            Input::Leave => Self::Leave,
        }
    }
}

/// What a machine has seen, in order.
pub struct Witness {
    seen: mpsc::UnboundedReceiver<Seen>,
}

#[derive(Clone)]
pub struct Notes(mpsc::UnboundedSender<Seen>);

pub fn witness() -> (Notes, Witness) {
    let (sender, seen) = mpsc::unbounded_channel();
    (Notes(sender), Witness { seen })
}

impl Notes {
    pub fn note(&self, input: &Input<'_>) {
        let _ = self.0.send(input.clone().into());
    }
}

impl Witness {
    pub async fn next(&mut self) -> Seen {
        let next = within(self.seen.recv()).await;
        next.expect("the machine is gone")
    }

    /// Skips what does not match.
    pub async fn until<T>(&mut self, mut find: impl FnMut(Seen) -> Option<T>) -> T {
        loop {
            if let Some(found) = find(self.next().await) {
                return found;
            }
        }
    }

    /// A whole stream's bytes, to its end.
    pub async fn body(&mut self, of: StreamId) -> Vec<u8> {
        let mut body = Vec::new();
        self.until(|seen| match seen {
            Seen::Bytes(stream, bytes) if stream == of => {
                body.extend_from_slice(&bytes);
                None
            }
            Seen::Finished(stream) if stream == of => Some(()),
            Seen::Reset(stream, code) if stream == of => panic!("reset with {code:?}"),
            _ => None,
        })
        .await;
        body
    }

    pub async fn request(&mut self) -> (StreamId, RequestHead) {
        self.until(|seen| match seen {
            Seen::Request(stream, head) => Some((stream, head)),
            _ => None,
        })
        .await
    }

    pub async fn reset(&mut self) -> ResetCode {
        self.until(|seen| match seen {
            Seen::Reset(_, code) => Some(code),
            _ => None,
        })
        .await
    }

    /// Ends when the machine does.
    pub fn has_seen(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}

pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("nothing happened for too long")
}

/// Runs one scripted machine, which must start.
pub async fn run(io: IoConfig, script: Script) -> Running {
    let mut script = Some(script);
    labman_io_tokio::start(io, move |_, _, _| Ok(script.take().expect("this test's machine lives once")))
        .await
        .expect("starts")
}

pub fn tcp() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
    let address = listener.local_addr().expect("bound").to_string();
    (listener, address)
}
