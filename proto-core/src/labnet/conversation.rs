//! A job stream as both of its ends see it: signed frames, each checked against the link's other end, and light ones.

use alloc::vec::Vec;

use crate::identity::NodeId;
use crate::labnet::conduct::{Deed, Offence};
use crate::machine::StreamId;
use crate::node::cx::Cx;
use crate::time::Span;
use crate::wire::envelope::{BadFrame, Directed, Frame, FrameReader, Kind, LIGHT_OVERHEAD, light};

pub(crate) struct Conversation {
    pub(crate) stream: StreamId,
    pub(crate) peer: NodeId,
    reader: FrameReader,
    directed: Directed,
    seq_out: u64,
    passed_over: usize,
}

pub(crate) struct Heard {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
}

impl Conversation {
    pub(crate) fn new(us: NodeId, stream: StreamId, peer: NodeId) -> Self {
        let directed = Directed::new(us, peer);
        Self { stream, peer, reader: FrameReader::default(), directed, seq_out: 0, passed_over: 0 }
    }

    /// Says something signed. Gives how many bytes it takes on the stream.
    pub(crate) fn say(&mut self, cx: &mut Cx<'_>, kind: Kind, payload: &[u8]) -> usize {
        self.seq_out += 1;
        let frame = cx.me.sign(cx.now, kind, Some(self.peer), self.seq_out, Span::default(), payload);
        let bytes = frame.into_bytes();
        let len = bytes.len();
        cx.send(self.stream, bytes);
        len
    }

    /// Says something light. Gives how many bytes it takes on the stream.
    pub(crate) fn say_light(&mut self, cx: &mut Cx<'_>, kind: Kind, payload: &[u8]) -> usize {
        let bytes = light(kind, payload);
        let len = bytes.len();
        cx.send(self.stream, bytes);
        len
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.reader.push(bytes);
    }

    /// Bytes of the frame that is not whole yet.
    pub(crate) fn buffered(&self) -> usize {
        self.reader.buffered()
    }

    /// Bytes of frames that were passed over since this was last asked.
    pub(crate) fn take_passed_over(&mut self) -> usize {
        core::mem::take(&mut self.passed_over)
    }

    /// The next whole frame of a kind that this version knows; others are passed over.
    pub(crate) fn poll(&mut self, cx: &mut Cx<'_>) -> Result<Option<Heard>, &'static str> {
        loop {
            let Some(frame) = self.reader.poll().map_err(|_| "a malformed frame")? else { return Ok(None) };
            let (kind, payload, size) = match frame {
                Frame::Light { kind, payload } => {
                    let size = payload.len() + LIGHT_OVERHEAD;
                    (kind, payload, size)
                }
                Frame::Signed(frame) => {
                    let payload = self.directed.open(cx.me.network, &frame).map_err(|bad| {
                        if bad == BadFrame::Signature {
                            cx.note(self.peer, Deed::Offence(Offence::Forged));
                        }
                        bad.reason()
                    })?;
                    (frame.header().kind, payload.to_vec(), frame.bytes().len())
                }
            };
            if let Some(kind) = Kind::from_u16(kind) {
                return Ok(Some(Heard { kind, payload }));
            }
            self.passed_over += size;
        }
    }
}
