//! The streams of a dishonest daemon: what is known of each, and a gate that keeps the driver's contract for it.
//!
//! A strategy may cut a stream that its daemon goes on using. What the daemon then says on it is dropped here: lies go
//! over the wire, not through the contract.

use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::STREAM_WINDOW;
use labman_proto_core::machine::{LinkId, StreamId};
use labman_proto_core::wire::envelope::FrameReader;

/// What a stream is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Control {
        link: LinkId,
        peer: NodeId,
    },
    Job {
        link: LinkId,
        peer: NodeId,
        /// This daemon opened it: it is the job's gateway.
        ours: bool,
    },
    /// HTTP, or a Portman's socket.
    Other,
}

impl Way {
    pub(super) fn link(&self) -> Option<LinkId> {
        match self {
            Self::Control { link, .. } | Self::Job { link, .. } => Some(*link),
            Self::Other => None,
        }
    }

    pub(super) fn peer(&self) -> Option<NodeId> {
        match self {
            Self::Control { peer, .. } | Self::Job { peer, .. } => Some(*peer),
            Self::Other => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) way: Way,
    /// A strategy opened it, or answers it: the daemon does not know of it.
    pub(super) secret: bool,
    pub(super) may_send: bool,
    pub(super) heard_last: bool,
    /// The highest number of a directed frame that went out.
    pub(super) seq_out: u64,
    pub(super) said: FrameReader,
    pub(super) heard: FrameReader,
    /// What came is no sequence of frames any more: the daemon gets it as it comes.
    pub(super) raw: bool,
    /// Heard, and not handed to the daemon yet: it has granted `window` bytes.
    pub(super) inbox: Vec<u8>,
    pub(super) window: usize,
    /// The end of what was heard waits behind the inbox.
    pub(super) end_waits: bool,
    /// Bytes of the daemon's own whose departure it was not told of.
    pub(super) uncredited: usize,
}

impl Lane {
    /// Takes in what is no frame: it goes on as it is, if the daemon knows of the stream.
    pub(super) fn hear_raw(&mut self, bytes: &[u8]) {
        if !self.secret {
            self.inbox.extend_from_slice(bytes);
        }
    }

    pub(super) fn new(way: Way, secret: bool) -> Self {
        Self {
            way,
            secret,
            may_send: true,
            heard_last: false,
            seq_out: 0,
            said: FrameReader::default(),
            heard: FrameReader::default(),
            raw: false,
            inbox: Vec::new(),
            window: STREAM_WINDOW as usize,
            end_waits: false,
            uncredited: 0,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        !self.may_send && self.heard_last
    }

    /// What the daemon may be handed now.
    pub(super) fn take_inbox(&mut self) -> Vec<u8> {
        let length = self.inbox.len().min(self.window);
        self.window -= length;
        let rest = self.inbox.split_off(length);
        std::mem::replace(&mut self.inbox, rest)
    }
}

/// Names for streams that a strategy opens: even, and far from those its daemon gives.
pub(super) fn secret_stream(number: u64) -> StreamId {
    StreamId((1 << 40) + 2 * number)
}
