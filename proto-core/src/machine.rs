//! The contract between a machine and whatever drives it: a tokio process, a simulator, a test.
//!
//! ```text
//!             Input                        Output
//!   driver ----------> handle()  ...  poll_output() ----------> driver
//!                      handle_timeout() <---- at poll_timeout()
//! ```
//!
//! Rules, which both drivers keep and the simulator checks:
//!
//! - `handle` never fails: a bad peer is an event, not an error. After each call the driver drains `poll_output`, whose
//!   order it keeps, and then arms `poll_timeout`.
//! - **Only bytes cross a link.** A stream carries ordered reliable bytes and has two ends; each end finishes or resets.
//! - **Credit.** Both directions of a stream open with [`STREAM_WINDOW`](crate::limits::STREAM_WINDOW) bytes of read
//!   credit; the driver never delivers more than was granted ([`Output::Grant`]). [`Input::Credit`] tells a machine that
//!   so many bytes of what it sent have left this process; a machine that forwards grants the source only what the sink
//!   has taken, so at most one window is in flight.
//! - **Operations** ([`Output::Start`]) end in exactly one [`Input::Done`]. What depends on a durable write is withheld
//!   by the machine until its `Done`.
//! - After `Finish`/`Finished` or a reset in both directions a stream is gone and its id is never used again. A `Reset`
//!   in or out ends both directions at once. When a link goes down its open streams are reset first
//!   ([`ResetCode::Unreachable`]), then comes `LinkDown`.

use alloc::{collections::VecDeque, string::String, sync::Arc, vec::Vec};
use core::net::SocketAddr;

use crate::http::{RequestHead, ResponseHead, Surface};
use crate::identity::NodeId;
use crate::store::{Keys, Range, Row, StoreError, Write};
use crate::time::{Now, Wake};

/// A mesh connection or a Portman socket. Numbered by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// One stream on a link, or one HTTP exchange. Even: opened by the machine; odd: by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// Under what label a connection's TLS exporter (RFC 8446, section 7.5) gives its binding; the context is empty.
pub const BINDING_LABEL: &[u8] = b"EXPORTER-labman-mesh-1";

/// Who is at the other end of a link, as far as the transport knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A mesh connection. TLS has proven that the peer holds `node_id`'s key.
    Mesh {
        node_id: NodeId,
        /// By us.
        dialled: bool,
        /// What only the two ends of this connection know, and no other connection has: 32 bytes of its TLS exporter,
        /// under [`BINDING_LABEL`]. Equal at both ends.
        binding: [u8; 32],
        /// Where the peer is, as far as the driver knows.
        addr: Option<SocketAddr>,
    },
    /// At a node: a Portman's socket came in, with this token and (if a browser made it) this Origin. Unproven: the node
    /// checks. It carries one stream, which the Portman opens.
    Portman { token: String, origin: Option<String> },
    /// At a Portman: the socket it dialled to its labman is up.
    Labman,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    LinkUp {
        link: LinkId,
        peer: Peer,
    },
    LinkDown {
        link: LinkId,
        reason: DownReason,
    },
    /// The peer opened a stream.
    Opened {
        stream: StreamId,
        link: LinkId,
    },
    /// Somebody asks us over HTTP; the body follows as `Bytes` and `Finished`.
    Request {
        stream: StreamId,
        surface: Surface,
        head: RequestHead,
    },
    /// The answer to an [`Output::Request`]; the body follows. No answer is a `Reset`.
    Response {
        stream: StreamId,
        head: ResponseHead,
    },
    Bytes {
        stream: StreamId,
        bytes: &'a [u8],
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
    /// The process is to end. The machine takes on nothing new, brings what is under way to its end, as far as that is
    /// possible within [`LEAVE`](crate::limits::LEAVE), and says goodbye. Then it [has left](Machine::has_left).
    Leave,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Open {
        stream: StreamId,
        link: LinkId,
    },
    /// Ask `url` (scheme, host, port; the path is in the head) over HTTP; the body follows as `Send` and `Finish`.
    Request {
        stream: StreamId,
        url: String,
        head: RequestHead,
    },
    Response {
        stream: StreamId,
        head: ResponseHead,
    },
    Send {
        stream: StreamId,
        bytes: Vec<u8>,
    },
    Finish {
        stream: StreamId,
    },
    Reset {
        stream: StreamId,
        code: ResetCode,
    },
    Grant {
        stream: StreamId,
        bytes: u32,
    },
    Close {
        link: LinkId,
        reason: &'static str,
    },
    Start(OpId, Op),
    Event(Event),
}

/// A one-shot operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Dial(Target),
    Store(Arc<Vec<Write>>),
    Read(Range),
    Find(Keys),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `host:port`; the connection is refused unless the other end proves to be `node_id`.
    Mesh { addr: String, node_id: NodeId },
    /// A labman's Portman socket, `ws://host:port/`.
    Labman { url: String, token: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// The link's `LinkUp` came just before.
    Dialled(Result<LinkId, String>),
    Stored(Result<(), StoreError>),
    Page(Result<Vec<Row>, StoreError>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// The peer closed it in order, or we did.
    Closed,
    /// Nothing was heard for the idle time-out.
    TimedOut,
    /// The transport failed or the peer broke its rules.
    Failed,
}

/// Why a stream ended early. The numbers travel on the wire (QUIC stream error codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetCode {
    /// Not needed any more: the user left, the job was cancelled.
    Cancelled,
    /// The peer broke the protocol.
    Protocol,
    /// Not admitted, or over a limit.
    Refused,
    /// The other end could not be reached, or died.
    Unreachable,
    /// This end failed.
    Internal,
}

impl ResetCode {
    pub const fn to_u32(self) -> u32 {
        match self {
            Self::Cancelled => 1,
            Self::Protocol => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::Internal => 5,
        }
    }

    /// An unknown number, from a newer peer, counts as [`ResetCode::Internal`].
    pub const fn from_u32(code: u32) -> Self {
        match code {
            1 => Self::Cancelled,
            2 => Self::Protocol,
            3 => Self::Refused,
            4 => Self::Unreachable,
            _ => Self::Internal,
        }
    }
}

/// Something a person may want to know: a line in the log. Never a prompt, a completion or a key, nor another party's
/// words, which may quote one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub level: Level,
    /// Which room speaks: `gateway`, `provider`, `labnet`, ...
    pub room: &'static str,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    /// A person should look; the text says what to do.
    Warn,
    Error,
}

/// What both drivers drive.
pub trait Machine: Send {
    fn handle(&mut self, now: Now, input: Input<'_>);
    /// To be called at or after [`Self::poll_timeout`].
    fn handle_timeout(&mut self, now: Now);
    fn poll_output(&mut self) -> Option<Output>;
    fn poll_timeout(&self) -> Option<Wake>;
    /// Set once the machine can't go on (a write failed): the driver must restart it from its store.
    fn stopped(&self) -> Option<&str>;
    /// Of a machine that was asked to [leave](Input::Leave): nobody loses anything if its process ends now.
    fn has_left(&self) -> bool {
        true
    }
}

/// A machine's ordered outputs, and the ids it gives to what it opens. Every room of a machine writes to the same one.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Output>,
    streams: u64,
    ops: u64,
}

impl Outbox {
    pub fn poll(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Opens a stream on a link.
    pub fn open(&mut self, link: LinkId) -> StreamId {
        let stream = self.next_stream();
        self.queue.push_back(Output::Open { stream, link });
        stream
    }

    /// Asks over HTTP, with a whole body. The answer comes as `Response`, `Bytes`, `Finished`, or as a `Reset`.
    pub fn request(&mut self, url: &str, head: RequestHead, body: Vec<u8>) -> StreamId {
        let stream = self.next_stream();
        self.queue.push_back(Output::Request { stream, url: url.into(), head });
        if !body.is_empty() {
            self.send(stream, body);
        }
        self.finish(stream);
        stream
    }

    pub fn respond(&mut self, stream: StreamId, head: ResponseHead) {
        self.queue.push_back(Output::Response { stream, head });
    }

    /// Answers an HTTP request with a whole JSON body.
    pub fn respond_json<T: serde::Serialize>(&mut self, stream: StreamId, status: u16, body: &T) {
        self.respond_whole(stream, ResponseHead::json(status), serde_json::to_vec(body).unwrap_or_default());
    }

    /// Answers an HTTP request with a whole body.
    pub fn respond_whole(&mut self, stream: StreamId, head: ResponseHead, body: Vec<u8>) {
        let head = head.with("content-length", &alloc::format!("{}", body.len()));
        self.respond(stream, head);
        if !body.is_empty() {
            self.send(stream, body);
        }
        self.finish(stream);
    }

    pub fn send(&mut self, stream: StreamId, bytes: Vec<u8>) {
        self.queue.push_back(Output::Send { stream, bytes });
    }

    pub fn finish(&mut self, stream: StreamId) {
        self.queue.push_back(Output::Finish { stream });
    }

    pub fn reset(&mut self, stream: StreamId, code: ResetCode) {
        self.queue.push_back(Output::Reset { stream, code });
    }

    /// Allows the driver to deliver that many bytes more.
    pub fn grant(&mut self, stream: StreamId, bytes: usize) {
        if let Ok(bytes @ 1..) = u32::try_from(bytes) {
            self.queue.push_back(Output::Grant { stream, bytes });
        }
    }

    pub fn close(&mut self, link: LinkId, reason: &'static str) {
        self.queue.push_back(Output::Close { link, reason });
    }

    pub fn dial(&mut self, target: Target) -> OpId {
        self.start(Op::Dial(target))
    }

    pub fn store(&mut self, batch: Vec<Write>) -> OpId {
        self.store_shared(Arc::new(batch))
    }

    /// For a batch that must be at hand should the store refuse it.
    pub fn store_shared(&mut self, batch: Arc<Vec<Write>>) -> OpId {
        self.start(Op::Store(batch))
    }

    pub fn read(&mut self, range: Range) -> OpId {
        self.start(Op::Read(range))
    }

    pub fn find(&mut self, keys: Keys) -> OpId {
        self.start(Op::Find(keys))
    }

    pub fn event(&mut self, level: Level, room: &'static str, text: impl Into<String>) {
        self.queue.push_back(Output::Event(Event { level, room, text: text.into() }));
    }

    fn start(&mut self, op: Op) -> OpId {
        self.ops += 1;
        self.queue.push_back(Output::Start(OpId(self.ops), op));
        OpId(self.ops)
    }

    pub(crate) fn next_stream(&mut self) -> StreamId {
        self.streams += 2;
        StreamId(self.streams)
    }
}
