//! What a room of the node may touch while it handles an input: time, its own name in signatures, and the outbox. Rooms
//! open and end streams and operations through it, so that the node knows whose answer an input is.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use crate::http::{RequestHead, ResponseHead};
use crate::identity::{Identity, Network, NodeId};
use crate::labnet::conduct::Deed;
use crate::machine::{Level, LinkId, OpId, Outbox, ResetCode, StreamId, Target};
use crate::node::config::Caps;
use crate::node::feps::Feps;
use crate::node::loopback::{Arrival, Loopback, SELF_LINK};
use crate::node::peer_clocks::PeerClocks;
use crate::store::{Keys, Range, Write};
use crate::time::{Now, Span, Time};
use crate::wire::envelope::{Header, Kind, OVERHEAD, SignedFrame};
use crate::wire::object::{Object, Sealed, seal};

/// Who an input belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    Node,
    Labnet,
    Gateway,
    Unpaid,
    Provider,
    Descriptors,
    Admin,
}

impl Room {
    const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Labnet => "labnet",
            Self::Gateway => "gateway",
            Self::Unpaid => "unpaid",
            Self::Provider => "provider",
            Self::Descriptors => "descriptors",
            Self::Admin => "admin",
        }
    }
}

/// This node in this life.
pub(crate) struct Me {
    pub(crate) identity: Identity,
    pub(crate) node_id: NodeId,
    pub(crate) network: Network,
    pub(crate) incarnation: u64,
    pub(crate) caps: Caps,
    /// Asked to leave.
    pub(crate) leaves: bool,
}

impl Me {
    pub(crate) fn sign(
        &self,
        now: Now,
        kind: Kind,
        dest: Option<NodeId>,
        seq: u64,
        ttl: Span,
        payload: &[u8],
    ) -> SignedFrame {
        debug_assert!(OVERHEAD + payload.len() <= kind.cap(), "{kind:?} of {} bytes", payload.len());
        let header = Header {
            kind: kind as u16,
            net_id: self.network.id,
            sender: self.node_id,
            dest,
            incarnation: self.incarnation,
            seq,
            issued: now.wall,
            ttl_s: (ttl.as_millis() / 1_000) as u32,
        };
        SignedFrame::sign(&self.identity, header, payload)
    }

    pub(crate) fn seal<T: Object>(&self, content: T) -> Sealed<T> {
        seal(&self.identity, self.network.id, content)
    }
}

struct StreamState {
    room: Room,
    link: Option<LinkId>,
    in_done: bool,
    out_done: bool,
}

/// Which room each open stream and operation belongs to.
#[derive(Default)]
pub(crate) struct Owners {
    streams: BTreeMap<StreamId, StreamState>,
    ops: BTreeMap<OpId, Room>,
    pub(crate) loopback: Loopback,
    /// What peers did that is to be held for or against them.
    noted: Vec<(NodeId, Deed)>,
}

impl Owners {
    pub(crate) fn adopt(&mut self, stream: StreamId, room: Room, link: Option<LinkId>) {
        self.streams.insert(stream, StreamState { room, link, in_done: false, out_done: false });
    }

    pub(crate) fn room(&self, stream: StreamId) -> Option<Room> {
        self.streams.get(&stream).map(|state| state.room)
    }

    pub(crate) fn take_op(&mut self, op: OpId) -> Option<Room> {
        self.ops.remove(&op)
    }

    pub(crate) fn read_finished(&mut self, stream: StreamId) {
        self.end(stream, |state| state.in_done = true);
    }

    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    pub(crate) fn on_link(&self, link: LinkId) -> Vec<StreamId> {
        self.streams.iter().filter(|(_, state)| state.link == Some(link)).map(|(stream, _)| *stream).collect()
    }

    /// Links on which we have opened a job stream.
    pub(crate) fn with_work(&self) -> BTreeSet<LinkId> {
        let ours = self.streams.iter().filter(|(_, state)| state.room == Room::Gateway);
        ours.filter_map(|(_, state)| state.link).collect()
    }

    pub(crate) fn take_noted(&mut self) -> Vec<(NodeId, Deed)> {
        core::mem::take(&mut self.noted)
    }

    fn end(&mut self, stream: StreamId, mark: impl FnOnce(&mut StreamState)) {
        if let Some(state) = self.streams.get_mut(&stream) {
            mark(state);
            if state.in_done && state.out_done {
                self.streams.remove(&stream);
                self.loopback.forget(stream);
            }
        }
    }
}

pub(crate) struct Cx<'a> {
    pub(crate) now: Now,
    pub(crate) me: &'a Me,
    pub(crate) room: Room,
    pub(crate) out: &'a mut Outbox,
    pub(crate) owners: &'a mut Owners,
    pub(crate) feps: &'a mut Feps,
    pub(crate) clocks: &'a mut PeerClocks,
}

impl Cx<'_> {
    /// Our peers' clocks say so: nothing may be signed that money depends on, and no work taken.
    pub(crate) fn clock_is_wrong(&self) -> bool {
        self.clocks.disagreement(self.now).is_some()
    }

    pub(crate) fn open(&mut self, link: LinkId) -> StreamId {
        let stream = if link == SELF_LINK {
            let (near, far) = (self.out.next_stream(), self.out.next_stream());
            self.owners.loopback.open(near, far);
            near
        } else {
            self.out.open(link)
        };
        self.owners.adopt(stream, self.room, Some(link));
        stream
    }

    /// Asks over HTTP with a whole body.
    pub(crate) fn request(&mut self, url: &str, head: RequestHead, body: Vec<u8>) -> StreamId {
        let stream = self.out.request(url, head, body);
        self.owners.adopt(stream, self.room, None);
        self.owners.end(stream, |state| state.out_done = true);
        stream
    }

    pub(crate) fn respond(&mut self, stream: StreamId, head: ResponseHead) {
        self.out.respond(stream, head);
    }

    pub(crate) fn respond_whole(&mut self, stream: StreamId, head: ResponseHead, body: Vec<u8>) {
        self.out.respond_whole(stream, head, body);
        self.owners.end(stream, |state| state.out_done = true);
    }

    pub(crate) fn send(&mut self, stream: StreamId, bytes: Vec<u8>) {
        if let Some(Arrival::Bytes(bytes)) = self.owners.loopback.pass(stream, Arrival::Bytes(bytes)) {
            self.out.send(stream, bytes);
        }
    }

    pub(crate) fn grant(&mut self, stream: StreamId, bytes: usize) {
        let Ok(granted @ 1..) = u32::try_from(bytes) else { return };
        if self.owners.loopback.pass(stream, Arrival::Credit(granted)).is_some() {
            self.out.grant(stream, bytes);
        }
    }

    pub(crate) fn finish(&mut self, stream: StreamId) {
        if self.owners.loopback.pass(stream, Arrival::Finished).is_some() {
            self.out.finish(stream);
        }
        self.owners.end(stream, |state| state.out_done = true);
    }

    /// Ends both directions at once; nothing if the stream is gone already.
    pub(crate) fn reset(&mut self, stream: StreamId, code: ResetCode) {
        if self.owners.streams.remove(&stream).is_some()
            && self.owners.loopback.pass(stream, Arrival::Reset).is_some()
        {
            self.out.reset(stream, code);
        }
    }

    pub(crate) fn store(&mut self, batch: Vec<Write>) -> OpId {
        let op = self.out.store(batch);
        self.owners.ops.insert(op, self.room);
        op
    }

    pub(crate) fn read(&mut self, range: Range) -> OpId {
        let op = self.out.read(range);
        self.owners.ops.insert(op, self.room);
        op
    }

    pub(crate) fn find(&mut self, keys: Keys) -> OpId {
        let op = self.out.find(keys);
        self.owners.ops.insert(op, self.room);
        op
    }

    pub(crate) fn dial(&mut self, target: Target) -> OpId {
        let op = self.out.dial(target);
        self.owners.ops.insert(op, self.room);
        op
    }

    /// A call to the FEP there ended: did it answer?
    pub(crate) fn fep_called(&mut self, url: &str, called: Time, answered: bool) {
        if let Some((level, text)) = self.feps.called(self.now, url, called, answered) {
            self.out.event(level, self.room.name(), text);
        }
    }

    /// A peer did what is to be held for or against it: nothing is done about it before this input is over.
    pub(crate) fn note(&mut self, node_id: NodeId, deed: Deed) {
        self.owners.noted.push((node_id, deed));
    }

    pub(crate) fn info(&mut self, text: impl Into<String>) {
        self.out.event(Level::Info, self.room.name(), text);
    }

    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.out.event(Level::Warn, self.room.name(), text);
    }

    pub(crate) fn debug(&mut self, text: impl Into<String>) {
        self.out.event(Level::Debug, self.room.name(), text);
    }
}
