//! One link: who is at its other end, how far both have admitted each other, and what is said and heard on its control stream.

use alloc::{string::ToString, vec::Vec};
use core::net::SocketAddr;

use super::Output;
use super::conduct::Offence;
use super::pace::Pace;
use crate::identity::NodeId;
use crate::limits::STUCK_AFTER;
use crate::machine::{LinkId, StreamId};
use crate::node::cx::Cx;
use crate::time::{Span, Time, Wall};
use crate::wire::cbor;
use crate::wire::envelope::{BadFrame, Directed, FrameReader, Kind, SignedFrame};
use crate::wire::mesh::{Features, Hello};
use crate::wire::topic::Topics;

/// Who is at the other end of a new link.
#[derive(Clone, Copy)]
pub(crate) struct Arrived {
    pub(crate) node_id: NodeId,
    pub(crate) dialled: bool,
    pub(crate) binding: [u8; 32],
    pub(crate) addr: Option<SocketAddr>,
}

pub(super) struct Link {
    pub(super) node_id: NodeId,
    pub(super) dialled: bool,
    /// We called it, and nobody but us chose whom to call.
    pub(super) chosen: bool,
    pub(super) addr: Option<SocketAddr>,
    pub(super) since: Time,
    pub(super) pace: Pace,
    /// It waits for its turn among the strangers.
    pub(super) queued: bool,
    /// The connection's: what a hello on it must hold.
    binding: [u8; 32],
    pub(super) admitted: bool,
    /// The peer has heard our hello. A stream that we opened before could overtake it.
    pub(super) ready: bool,
    pub(super) was_admitted: bool,
    /// What it wants to hear of.
    pub(super) interest: Topics,
    /// What both ends can do beyond the version: what may be used.
    pub(super) features: Features,
    /// We closed it: what still comes is not heard.
    pub(super) closed: bool,
    pub(super) control: Option<StreamId>,
    pub(super) reader: FrameReader,
    /// Bytes read since the last grant.
    pub(super) read: usize,
    /// Directed frames on the control stream: those heard, and the number of the last one said.
    heard: Directed,
    seq_out: u64,
    /// Bytes sent on the control stream that the peer has not taken.
    pub(super) backlog: usize,
    /// When it last took any, or there were none.
    pub(super) took: Time,
}

impl Link {
    pub(super) fn new(cx: &Cx<'_>, arrived: Arrived) -> Self {
        let Arrived { node_id, dialled, binding, addr } = arrived;
        Self {
            node_id,
            dialled,
            chosen: dialled,
            addr,
            since: cx.now.mono,
            pace: Pace::default(),
            queued: false,
            binding,
            admitted: false,
            ready: false,
            was_admitted: false,
            interest: Topics::none(),
            features: Features::default(),
            closed: false,
            control: None,
            reader: FrameReader::default(),
            read: 0,
            heard: Directed::new(cx.me.node_id, node_id),
            seq_out: 0,
            backlog: 0,
            took: cx.now.mono,
        }
    }

    /// Job streams may be opened on it.
    pub(super) const fn is_way_in(&self) -> bool {
        self.admitted && self.ready
    }

    /// When the peer signed it, if it is the peer's own word to us.
    pub(super) fn frame(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        frame: SignedFrame,
        our_interest: &Topics,
        outputs: &mut Vec<Output>,
    ) -> Result<Option<Wall>, (Offence, &'static str)> {
        let header = *frame.header();
        let kind = Kind::from_u16(header.kind);
        if let Some(Kind::PeerRecord | Kind::CapabilityRecord | Kind::Departure | Kind::Suspicion) = kind {
            if self.admitted {
                outputs.push(Output::Record { from: link, frame });
            }
            return Ok(None);
        }
        let payload = self.heard.open(cx.me.network, &frame).map_err(|bad| match bad {
            BadFrame::Signature => (Offence::Forged, bad.reason()),
            _ => (Offence::Broken, bad.reason()),
        })?;
        match kind {
            Some(Kind::Hello) => {
                let hello: Hello =
                    cbor::decode(payload).map_err(|_| (Offence::Broken, "a malformed hello"))?;
                if hello.binding != self.binding {
                    return Err((Offence::Broken, "a hello of another connection"));
                }
                if !self.admitted {
                    (self.admitted, self.was_admitted) = (true, true);
                    self.interest = hello.interest;
                    self.features = Features::OURS.common(hello.features);
                    if !self.dialled {
                        self.say_hello(cx, our_interest);
                    }
                    let software = hello.software.chars().take(64).collect::<alloc::string::String>();
                    cx.info(alloc::format!("linked to {} ({software:?})", self.node_id));
                }
            }
            _ if !self.admitted => return Err((Offence::Broken, "a message before hello")),
            Some(kind) => {
                outputs.push(Output::Message { link, from: self.node_id, kind, payload: payload.to_vec() })
            }
            // A kind of a later version: dropped.
            None => cx.debug(alloc::format!("dropped a message of unknown kind {}", header.kind)),
        }
        Ok(Some(header.issued))
    }

    /// It does not read what was said to it.
    pub(super) fn is_stuck(&self, now: Time) -> bool {
        self.backlog > 0 && now - self.took >= STUCK_AFTER
    }

    pub(super) fn say_hello(&mut self, cx: &mut Cx<'_>, interest: &Topics) {
        let software = concat!("labman ", env!("CARGO_PKG_VERSION")).to_string();
        let hello =
            Hello { features: Features::OURS, software, interest: interest.clone(), binding: self.binding };
        let payload = cbor::encode(&hello);
        self.seq_out += 1;
        let frame =
            cx.me.sign(cx.now, Kind::Hello, Some(self.node_id), self.seq_out, Span::default(), &payload);
        self.send(cx, frame.into_bytes());
    }

    pub(super) fn tell(&mut self, cx: &mut Cx<'_>, kind: Kind, payload: &[u8]) {
        self.seq_out += 1;
        let frame = cx.me.sign(cx.now, kind, Some(self.node_id), self.seq_out, Span::default(), payload);
        self.send(cx, frame.bytes().to_vec());
    }

    pub(super) fn send(&mut self, cx: &mut Cx<'_>, bytes: Vec<u8>) {
        let Some(stream) = self.control else { return };
        if self.backlog == 0 {
            self.took = cx.now.mono;
        }
        self.backlog += bytes.len();
        cx.send(stream, bytes);
    }
}
