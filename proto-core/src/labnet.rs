//! Links to other nodes: dialling the ones we want, admitting the ones that come, and the control stream of each.
//!
//! ```text
//!            dialled: open the control stream, say Hello             Hello comes
//!   LinkUp ----------------------------------------------> pending -------------> admitted
//!            accepted: wait for the control stream                    (we answer with ours)
//! ```
//!
//! A connection is not yet an admission: TLS lets the dialler believe that it is connected before the other end has
//! looked at its key. So nothing but Hello is heard on a pending link, and no other stream is taken.

mod admission;
pub(crate) mod conversation;
mod dialler;

use alloc::{collections::BTreeMap, string::ToString, vec::Vec};

pub(crate) use admission::Admission;
use dialler::Dialler;

use crate::identity::NodeId;
use crate::limits::{CONTROL_BACKLOG, CONTROL_FILL, GRANT_AT_LEAST, HELLO_WITHIN, LINKS};
use crate::machine::{Completion, LinkId, OpId, ResetCode, StreamId};
use crate::mutants::{Mutant, mutant};
use crate::node::config;
use crate::node::cx::Cx;
use crate::node::loopback::SELF_LINK;
use crate::rng::Stream;
use crate::time::{Now, Span, Wake};
use crate::timers::Timers;
use crate::wire::cbor;
use crate::wire::envelope::{BadFrame, Directed, Frame, FrameReader, Kind, SignedFrame};
use crate::wire::mesh::{Features, Hello};

pub(crate) enum Output {
    Admitted {
        link: LinkId,
        node_id: NodeId,
        /// It wants to hear of gateways only.
        leaf: bool,
    },
    /// A gossip record, from its origin or passed on. Not verified.
    Record { from: LinkId, frame: SignedFrame },
    /// A message meant for us, verified.
    Message { link: LinkId, from: NodeId, kind: Kind, payload: Vec<u8> },
}

pub(crate) struct Labnet {
    admission: Admission,
    dialler: Dialler,
    links: BTreeMap<LinkId, Link>,
    /// Control streams by id.
    controls: BTreeMap<StreamId, LinkId>,
    hello_due: Timers<LinkId>,
    /// Gateway and provider at once: job streams to ourselves stay inside.
    serves_itself: bool,
    /// We want to hear of gateways only.
    leaf: bool,
}

struct Link {
    node_id: NodeId,
    dialled: bool,
    /// The connection's: what a hello on it must hold.
    binding: [u8; 32],
    admitted: bool,
    /// What both ends can do beyond the version: what may be used.
    features: Features,
    /// It wants to hear of gateways only.
    leaf: bool,
    /// We closed it: what still comes is not heard.
    closed: bool,
    control: Option<StreamId>,
    reader: FrameReader,
    /// Bytes read since the last grant.
    read: usize,
    /// Directed frames on the control stream: those heard, and the number of the last one said.
    heard: Directed,
    seq_out: u64,
    /// Bytes sent on the control stream that the peer has not taken.
    backlog: usize,
}

impl Labnet {
    pub(crate) fn new(config: &config::Config, rng: Stream, now: Now) -> Self {
        Self {
            admission: Admission::new(config),
            dialler: Dialler::new(&config.bootstrap, rng, now.mono),
            links: BTreeMap::new(),
            controls: BTreeMap::new(),
            hello_due: Timers::default(),
            serves_itself: config.gateway.is_some() && config.provider.is_some(),
            leaf: config.is_leaf(),
        }
    }

    pub(crate) fn link_up(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        node_id: NodeId,
        dialled: bool,
        binding: [u8; 32],
    ) {
        if node_id == cx.me.node_id {
            return cx.out.close(link, "a node does not talk to itself over the mesh");
        }
        if !self.admission.admits(&node_id) {
            cx.info(alloc::format!("refused {node_id}: denied, or not on the trust list"));
            return cx.out.close(link, "not admitted");
        }
        if self.links.len() >= LINKS {
            return cx.out.close(link, "too many links");
        }
        let mut state = Link {
            node_id,
            dialled,
            binding,
            admitted: false,
            features: Features::default(),
            leaf: false,
            closed: false,
            control: None,
            reader: FrameReader::default(),
            read: 0,
            heard: Directed::new(cx.me.node_id, node_id),
            seq_out: 0,
            backlog: 0,
        };
        if dialled {
            let stream = cx.open(link);
            state.control = Some(stream);
            self.controls.insert(stream, link);
            state.say_hello(cx, self.leaf);
        }
        self.links.insert(link, state);
        self.hello_due.set(link, cx.now.mono + HELLO_WITHIN, "a peer's hello");
    }

    pub(crate) fn link_down(&mut self, cx: &mut Cx<'_>, link: LinkId) {
        if !mutant(Mutant::NoRedial) {
            self.dialler.link_down(link, cx.now.mono);
        }
        self.hello_due.clear(link);
        let Some(state) = self.links.remove(&link) else { return };
        if let Some(stream) = state.control {
            self.controls.remove(&stream);
        }
        if !self.links.values().any(|other| other.node_id == state.node_id && other.admitted) {
            cx.clocks.lost(&state.node_id);
        }
        if state.admitted {
            cx.info(alloc::format!("lost the link to {}", state.node_id));
        }
    }

    /// The peer opened a stream. The first on a link that it dialled is the control stream; the rest are job streams,
    /// which are the caller's if the link is admitted. True: it is the caller's.
    pub(crate) fn opened(&mut self, cx: &mut Cx<'_>, stream: StreamId, link: LinkId) -> bool {
        let Some(state) = self.links.get_mut(&link) else {
            cx.reset(stream, ResetCode::Refused);
            return false;
        };
        if !state.dialled && !state.closed && state.control.is_none() {
            state.control = Some(stream);
            self.controls.insert(stream, link);
            return false;
        }
        if !state.admitted {
            cx.reset(stream, ResetCode::Refused);
        }
        state.admitted
    }

    pub(crate) fn bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Some(link) = self.controls.get(&stream).copied() else { return outputs };
        let Some(state) = self.links.get_mut(&link).filter(|state| !state.closed) else { return outputs };
        state.read += bytes.len();
        if state.read >= GRANT_AT_LEAST {
            cx.grant(stream, core::mem::take(&mut state.read));
        }
        state.reader.push(bytes);
        loop {
            match state.reader.poll() {
                Ok(None) => return outputs,
                Ok(Some(Frame::Signed(frame))) => {
                    let was_admitted = state.admitted;
                    if let Err(reason) = state.frame(cx, link, frame, self.leaf, &mut outputs) {
                        self.shut(cx, link, reason);
                        return outputs;
                    }
                    if state.admitted && !was_admitted {
                        self.hello_due.clear(link);
                        self.dialler.admitted(link, cx.now.mono);
                        let Link { node_id, leaf, .. } = *state;
                        outputs.push(Output::Admitted { link, node_id, leaf });
                    }
                }
                Ok(Some(Frame::Light { .. })) => {
                    self.shut(cx, link, "an unsigned frame on the control stream");
                    return outputs;
                }
                Err(_) => {
                    self.shut(cx, link, "a malformed frame on the control stream");
                    return outputs;
                }
            }
        }
    }

    /// Our wall clock was set: says hello again on every link, so that nobody takes our old time for our clock's.
    pub(crate) fn greet_again(&mut self, cx: &mut Cx<'_>) {
        for state in self.links.values_mut().filter(|state| state.admitted) {
            state.say_hello(cx, self.leaf);
        }
    }

    /// The peer ended its control stream: the link is of no more use.
    pub(crate) fn ended(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if let Some(link) = self.controls.get(&stream).copied() {
            self.shut(cx, link, "its control stream ended");
        }
    }

    /// The peer took bytes of its control stream. Gives the link.
    pub(crate) fn credit(&mut self, stream: StreamId, bytes: u32) -> Option<LinkId> {
        let link = self.controls.get(&stream).copied()?;
        let state = self.links.get_mut(&link)?;
        state.backlog = state.backlog.saturating_sub(bytes as usize);
        Some(link)
    }

    /// May more be said on the link that could as well be said later?
    pub(crate) fn has_room(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|state| state.admitted && state.backlog < CONTROL_FILL)
    }

    pub(crate) fn done(&mut self, cx: &mut Cx<'_>, op: OpId, completion: Completion) {
        if let Completion::Dialled(result) = completion {
            self.dialler.dialled(cx, op, result);
        }
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        while let Some(link) = self.hello_due.expired(cx.now.mono) {
            self.shut(cx, link, "no hello came");
        }
        self.dialler.handle_timeout(cx);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        Wake::earliest(self.hello_due.next(), self.dialler.poll_timeout())
    }

    /// Sends a signed message to a connected node. False: there is no admitted link to it.
    pub(crate) fn tell(&mut self, cx: &mut Cx<'_>, node_id: NodeId, kind: Kind, payload: &[u8]) -> bool {
        let Some(link) = self.link_to(cx.me.node_id, node_id) else { return false };
        let Some(state) = self.links.get_mut(&link) else { return false };
        state.tell(cx, kind, payload);
        self.shut_if_full(cx, link);
        true
    }

    /// Sends a signed message to one neighbour.
    pub(crate) fn say(&mut self, cx: &mut Cx<'_>, link: LinkId, kind: Kind, payload: &[u8]) {
        if let Some(state) = self.links.get_mut(&link).filter(|state| state.admitted) {
            state.tell(cx, kind, payload);
            self.shut_if_full(cx, link);
        }
    }

    /// Passes a record on, byte for byte.
    pub(crate) fn pass_on(&mut self, cx: &mut Cx<'_>, link: LinkId, frame: &SignedFrame) {
        if let Some(state) = self.links.get_mut(&link).filter(|state| state.admitted) {
            state.send(cx, frame.bytes().to_vec());
            self.shut_if_full(cx, link);
        }
    }

    /// May this node be heard at all, on its own link or through others?
    pub(crate) fn admits(&self, node_id: &NodeId) -> bool {
        self.admission.admits(node_id)
    }

    /// Every link, for people: (node, admitted, dialled by us, what both ends can do).
    pub(crate) fn links(&self) -> impl Iterator<Item = (NodeId, bool, bool, Features)> + '_ {
        self.links.values().map(|state| (state.node_id, state.admitted, state.dialled, state.features))
    }

    pub(crate) fn node_of(&self, link: LinkId) -> Option<NodeId> {
        self.links.get(&link).map(|state| state.node_id)
    }

    /// The link on which to open streams to a node: where both ends dialled at once, both choose the one that the lower
    /// node id dialled, and neither closes the other.
    pub(crate) fn link_to(&self, me: NodeId, node_id: NodeId) -> Option<LinkId> {
        if node_id == me {
            return self.serves_itself.then_some(SELF_LINK);
        }
        let mine = me < node_id;
        let links = self.links.iter().filter(|(_, state)| state.admitted && state.node_id == node_id);
        links.max_by_key(|(link, state)| (state.dialled == mine, **link)).map(|(link, _)| *link)
    }

    fn shut_if_full(&mut self, cx: &mut Cx<'_>, link: LinkId) {
        if self.links.get(&link).is_some_and(|state| state.backlog > CONTROL_BACKLOG) {
            self.shut(cx, link, "it does not read its control stream");
        }
    }

    /// Closes a link, once. Until the driver says that it is down nothing is said or heard on it any more.
    fn shut(&mut self, cx: &mut Cx<'_>, link: LinkId, reason: &'static str) {
        let Some(state) = self.links.get_mut(&link).filter(|state| !state.closed) else { return };
        (state.closed, state.admitted) = (true, false);
        self.hello_due.clear(link);
        cx.warn(alloc::format!("closed the link to {}: {reason}", state.node_id));
        cx.out.close(link, reason);
    }
}

impl Link {
    fn frame(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        frame: SignedFrame,
        we_are_leaf: bool,
        outputs: &mut Vec<Output>,
    ) -> Result<(), &'static str> {
        let header = *frame.header();
        let kind = Kind::from_u16(header.kind);
        if let Some(Kind::PeerRecord | Kind::CapabilityRecord) = kind {
            if self.admitted {
                outputs.push(Output::Record { from: link, frame });
            }
            return Ok(());
        }
        let payload = self.heard.open(cx.me.network, &frame).map_err(BadFrame::reason)?;
        match kind {
            Some(Kind::Hello) => {
                let hello: Hello = cbor::decode(payload).map_err(|_| "a malformed hello")?;
                if hello.binding != self.binding {
                    return Err("a hello of another connection");
                }
                if !self.admitted {
                    (self.admitted, self.leaf) = (true, hello.leaf);
                    self.features = Features::OURS.common(hello.features);
                    if !self.dialled {
                        self.say_hello(cx, we_are_leaf);
                    }
                    let software = hello.software.chars().take(64).collect::<alloc::string::String>();
                    cx.info(alloc::format!("linked to {} ({software:?})", self.node_id));
                }
            }
            _ if !self.admitted => return Err("a message before hello"),
            Some(kind) => {
                outputs.push(Output::Message { link, from: self.node_id, kind, payload: payload.to_vec() })
            }
            // A kind of a later version: dropped.
            None => cx.debug(alloc::format!("dropped a message of unknown kind {}", header.kind)),
        }
        cx.clocks.heard(cx.now, self.node_id, header.issued);
        Ok(())
    }

    fn say_hello(&mut self, cx: &mut Cx<'_>, leaf: bool) {
        let software = concat!("labman ", env!("CARGO_PKG_VERSION")).to_string();
        let hello = Hello { features: Features::OURS, software, leaf, binding: self.binding };
        let payload = cbor::encode(&hello);
        self.seq_out += 1;
        let frame =
            cx.me.sign(cx.now, Kind::Hello, Some(self.node_id), self.seq_out, Span::default(), &payload);
        if let Some(stream) = self.control {
            self.backlog += frame.bytes().len();
            cx.send(stream, frame.bytes().to_vec());
        }
    }

    fn tell(&mut self, cx: &mut Cx<'_>, kind: Kind, payload: &[u8]) {
        self.seq_out += 1;
        let frame = cx.me.sign(cx.now, kind, Some(self.node_id), self.seq_out, Span::default(), payload);
        self.send(cx, frame.bytes().to_vec());
    }

    fn send(&mut self, cx: &mut Cx<'_>, bytes: Vec<u8>) {
        let Some(stream) = self.control else { return };
        self.backlog += bytes.len();
        cx.send(stream, bytes);
    }
}
