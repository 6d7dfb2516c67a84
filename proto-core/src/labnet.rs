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
mod anchors;
mod caller;
pub(crate) mod conduct;
pub(crate) mod conversation;
mod dialler;
mod ends;
mod invites;
mod link;
mod pace;
mod reach;
mod slots;

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::ToString,
    vec::Vec,
};
use core::net::SocketAddr;

pub(crate) use admission::Admission;
use anchors::Anchors;
use caller::{Caller, Neighbour};
use conduct::{Conduct, Deed, Offence, Prefix, Verdict};
use dialler::Dialler;
use ends::Ends;
use invites::Invites;
pub(crate) use link::Arrived;
use link::Link;
pub(crate) use reach::networks;
pub use reach::{Reach, Subnet};
use slots::{Held, Room};

use crate::gossip::Gossip;
use crate::identity::NodeId;
use crate::limits::{
    CONTROL_BACKLOG, CONTROL_FILL, GRANT_AT_LEAST, HELLO_WITHIN, STRANGERS_CHECKS, STRANGERS_EVERY,
    STRANGERS_TURN, WEIGH_EVERY,
};
use crate::machine::{Completion, LinkId, OpId, ResetCode, StreamId};
use crate::mutants::{Mutant, mutant};
use crate::node::config;
use crate::node::cx::Cx;
use crate::node::loopback::SELF_LINK;
use crate::rate::Bucket;
use crate::rng::{Seed, Stream};
use crate::store::{BadRow, Snapshot};
use crate::time::{Now, Span, Time, Wake};
use crate::timers::Timers;
use crate::wire::envelope::{Frame, FrameReader, Kind, SignedFrame};
use crate::wire::mesh::Features;
use crate::wire::topic::Topics;

pub(crate) enum Output {
    Admitted {
        link: LinkId,
        node_id: NodeId,
        /// What it wants to hear of.
        interest: Topics,
        /// We called it, of our own choice.
        chosen: bool,
    },
    /// It has admitted us, too: streams may be opened to it.
    Ready { node_id: NodeId },
    /// A gossip record, from its origin or passed on. Not verified.
    Record { from: LinkId, frame: SignedFrame },
    /// A message meant for us, verified.
    Message { link: LinkId, from: NodeId, kind: Kind, payload: Vec<u8> },
}

pub(crate) use anchors::TABLE as ANCHORS;

pub(crate) struct Labnet {
    admission: Admission,
    dialler: Dialler,
    caller: Caller,
    invites: Invites,
    links: BTreeMap<LinkId, Link>,
    /// The same by who is at their other end.
    ends: Ends,
    /// Control streams by id.
    controls: BTreeMap<StreamId, LinkId>,
    hello_due: Timers<LinkId>,
    /// Gateway and provider at once: job streams to ourselves stay inside.
    serves_itself: bool,
    /// What we want to hear of.
    interest: Topics,
    caps: config::Caps,
    conduct: Conduct,
    rng: Stream,
    /// Links that said more than their share: read on when they are due.
    paused: Timers<LinkId>,
    /// What strangers together have cost, and those who wait for their turn.
    strangers: Bucket,
    waiting: VecDeque<LinkId>,
    turns: Timers<()>,
    /// Bytes that were said or came since it was last counted what all links hold.
    unweighed: usize,
}

impl Labnet {
    pub(crate) fn new(
        config: &config::Config,
        seed: &Seed,
        snapshot: &Snapshot,
        now: Now,
    ) -> Result<Self, BadRow> {
        let anchors = Anchors::new(snapshot)?;
        Ok(Self {
            admission: Admission::new(config),
            dialler: Dialler::new(&config.bootstrap, seed.stream("labnet"), now.mono),
            caller: Caller::new(config, anchors, seed.stream("labnet calls"), now.mono),
            invites: Invites::new(config),
            links: BTreeMap::new(),
            ends: Ends::default(),
            controls: BTreeMap::new(),
            hello_due: Timers::default(),
            serves_itself: config.gateway.is_some() && config.provider.is_some(),
            interest: config.interest(),
            caps: config.caps,
            conduct: Conduct::default(),
            rng: seed.stream("labnet slots"),
            paused: Timers::default(),
            strangers: Bucket::default(),
            waiting: VecDeque::new(),
            turns: Timers::default(),
            unweighed: 0,
        })
    }

    pub(crate) fn link_up(&mut self, cx: &mut Cx<'_>, link: LinkId, arrived: Arrived) {
        let Arrived { node_id, dialled, addr, .. } = arrived;
        if node_id == cx.me.node_id {
            return cx.out.close(link, "a node does not talk to itself over the mesh");
        }
        if !self.admission.admits(&node_id) {
            cx.info(alloc::format!("refused {node_id}: denied, or not on the trust list"));
            return cx.out.close(link, "not admitted");
        }
        let network = self.network(addr).filter(|_| !dialled);
        if self.conduct.bans(cx.now.mono, &node_id, network) {
            cx.debug(alloc::format!("refused {node_id}: it is banned"));
            return cx.out.close(link, "banned for what it did");
        }
        if let Err(reason) = self.make_room(cx, dialled, addr) {
            cx.debug(alloc::format!("refused {node_id}: {reason}"));
            return cx.out.close(link, reason);
        }
        let mut state = Link::new(cx, arrived);
        if dialled {
            let stream = cx.open(link);
            state.control = Some(stream);
            self.controls.insert(stream, link);
            state.say_hello(cx, &self.interest);
        }
        self.ends.link_up(node_id, link);
        self.links.insert(link, state);
        self.hello_due.set(link, cx.now.mono + HELLO_WITHIN, "a peer's hello");
    }

    pub(crate) fn link_down(&mut self, cx: &mut Cx<'_>, link: LinkId) {
        if !mutant(Mutant::NoRedial) {
            self.dialler.link_down(link, cx.now.mono);
        }
        self.hello_due.clear(link);
        self.paused.clear(link);
        self.invites.link_down(link);
        let Some(state) = self.links.remove(&link) else { return };
        if state.is_way_in() {
            self.ends.way_in_gone(state.node_id);
        }
        self.ends.link_down(state.node_id, link);
        self.caller.link_down(link, state.was_admitted, cx.now.mono);
        if let Some(stream) = state.control {
            self.controls.remove(&stream);
        }
        if !self.links_to(state.node_id).any(|(_, other)| other.admitted) {
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
        state.reader.push(bytes);
        self.read(cx, link, usize::MAX, &mut outputs);
        self.unweighed += bytes.len();
        outputs
    }

    /// Hears what a peer has said, as far as it may be heard now. While it may not, it is granted nothing: then its own
    /// driver holds back the rest.
    fn read(&mut self, cx: &mut Cx<'_>, link: LinkId, most: usize, outputs: &mut Vec<Output>) {
        for turn in 0.. {
            let Some(state) = self.links.get_mut(&link).filter(|state| !state.closed) else { return };
            let due = state.pace.ready();
            if due > cx.now.mono {
                self.paused.set(link, due, "a peer that said more than its share is read on");
                return;
            }
            let stranger = state.admitted && !state.chosen && !self.conduct.is_useful(&state.node_id);
            let busy = self.strangers.ready(STRANGERS_CHECKS) > cx.now.mono || state.queued;
            if stranger && (busy || turn >= most) && state.reader.buffered() > 0 {
                if !core::mem::replace(&mut state.queued, true) {
                    self.waiting.push_back(link);
                }
                let due = self.strangers.ready(STRANGERS_CHECKS).max(cx.now.mono) + STRANGERS_EVERY;
                self.turns.start((), due, "strangers are read on");
                return;
            }
            match state.reader.poll() {
                Ok(None) => {
                    if state.read >= GRANT_AT_LEAST
                        && let Some(stream) = state.control
                    {
                        cx.grant(stream, core::mem::take(&mut state.read));
                    }
                    return;
                }
                Ok(Some(Frame::Signed(frame))) => {
                    state.pace.frame(cx.now.mono, frame.bytes().len());
                    if stranger {
                        self.strangers.take(cx.now.mono, STRANGERS_CHECKS, 1);
                    }
                    let was_admitted = state.admitted;
                    match state.frame(cx, link, frame, &self.interest, outputs) {
                        Ok(Some(issued)) if state.chosen || self.conduct.is_useful(&state.node_id) => {
                            cx.clocks.heard(cx.now, state.node_id, issued);
                        }
                        Ok(_) => {}
                        Err((offence, reason)) => {
                            self.offended(cx, link, offence);
                            return self.shut(cx, link, reason);
                        }
                    }
                    if state.admitted && !was_admitted {
                        self.hello_due.clear(link);
                        self.dialler.admitted(link, cx.now.mono);
                        self.caller.admitted(&state.node_id);
                        let (node_id, interest) = (state.node_id, state.interest.clone());
                        outputs.push(Output::Admitted { link, node_id, interest, chosen: state.chosen });
                    }
                    // Who answers our hello has heard it; who called us says nothing behind its own before it has ours.
                    if state.admitted && !state.ready && (state.dialled || was_admitted) {
                        state.ready = true;
                        self.ends.way_in_came(state.node_id);
                        outputs.push(Output::Ready { node_id: state.node_id });
                    }
                }
                Ok(Some(Frame::Light { .. })) => {
                    self.offended(cx, link, Offence::Broken);
                    return self.shut(cx, link, "an unsigned frame on the control stream");
                }
                Err(_) => {
                    self.offended(cx, link, Offence::Broken);
                    return self.shut(cx, link, "a malformed frame on the control stream");
                }
            }
        }
    }

    /// Our wall clock was set: says hello again on every link, so that nobody takes our old time for our clock's.
    pub(crate) fn greet_again(&mut self, cx: &mut Cx<'_>) {
        for state in self.links.values_mut().filter(|state| state.admitted) {
            state.say_hello(cx, &self.interest);
        }
    }

    /// What a peer did, as the rooms noted it.
    pub(crate) fn noted(&mut self, cx: &mut Cx<'_>, node_id: NodeId, deed: Deed) {
        match deed {
            Deed::Worked => self.conduct.worked(cx.now.mono, node_id),
            Deed::Offence(offence) => {
                let open = self.links_to(node_id).find(|(_, state)| !state.closed);
                if let Some(link) = open.map(|(link, _)| link) {
                    self.offended(cx, link, offence);
                }
            }
        }
    }

    /// Holds an offence against whoever is at the other end of a link.
    fn offended(&mut self, cx: &mut Cx<'_>, link: LinkId, offence: Offence) {
        let Some(state) = self.links.get(&link) else { return };
        let (node_id, network) = (state.node_id, self.network(state.addr).filter(|_| !state.dialled));
        match self.conduct.offended(cx.now.mono, node_id, network, offence) {
            Verdict::Noted => {}
            Verdict::Close => self.shut(cx, link, "it broke the protocol too often"),
            Verdict::Ban => {
                cx.warn(alloc::format!("banned {node_id} for a while: it broke the protocol too often"));
                let theirs: Vec<LinkId> = self.links_to(node_id).map(|(link, _)| link).collect();
                for link in theirs {
                    self.shut(cx, link, "banned for what it did");
                }
            }
        }
    }

    /// The part of an address whose owner answers for it.
    fn network(&self, addr: Option<SocketAddr>) -> Option<Prefix> {
        slots::counted(&self.caps, addr).map(Prefix::of)
    }

    /// A place for one more link, if there is one or can be made.
    fn make_room(
        &mut self,
        cx: &mut Cx<'_>,
        dialled: bool,
        addr: Option<SocketAddr>,
    ) -> Result<(), &'static str> {
        let busy = cx.owners.with_work();
        let held = self.links.iter().filter(|(_, state)| !state.closed).map(|(link, state)| Held {
            link: *link,
            inbound: !state.chosen,
            addr: state.addr,
            admitted: state.admitted,
            since: state.since,
            useful: busy.contains(link) || self.conduct.is_useful(&state.node_id),
        });
        let held: Vec<Held> = held.collect();
        match slots::room(&self.caps, cx.now.mono, &held, !dialled, addr, &mut self.rng) {
            Room::Free => Ok(()),
            Room::InPlaceOf(link) => {
                self.shut(cx, link, "its place was needed");
                Ok(())
            }
            Room::None(reason) => Err(reason),
        }
    }

    /// The peer ended its control stream: the link is of no more use.
    pub(crate) fn ended(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if let Some(link) = self.controls.get(&stream).copied() {
            self.close(cx, link, "its control stream ended");
        }
    }

    /// The peer took bytes of its control stream. Gives the link.
    pub(crate) fn credit(&mut self, now: Time, stream: StreamId, bytes: u32) -> Option<LinkId> {
        let link = self.controls.get(&stream).copied()?;
        let state = self.links.get_mut(&link)?;
        state.backlog = state.backlog.saturating_sub(bytes as usize);
        state.took = now;
        Some(link)
    }

    /// What may wait on each link so that all together hold no more than they may.
    fn fill(&self) -> usize {
        (self.caps.control() / self.caps.links.max(1)).clamp(GRANT_AT_LEAST, CONTROL_FILL)
    }

    /// May more be said on the link that could as well be said later?
    pub(crate) fn has_room(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|state| state.admitted && state.backlog < self.fill())
    }

    pub(crate) fn done(&mut self, cx: &mut Cx<'_>, op: OpId, completion: Completion) {
        let Completion::Dialled(result) = completion else { return };
        // Whom we called may have been refused when it answered: then it is no link.
        let result = result.and_then(|link| match self.links.contains_key(&link) {
            true => Ok(link),
            false => Err("it is not admitted here".to_string()),
        });
        if !self.invite_dialled(cx.now.mono, op, &result) && !self.caller.dialled(op, &result, cx.now.mono) {
            self.dialler.dialled(cx, op, result);
        }
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> Vec<Output> {
        while let Some(link) = self.hello_due.expired(cx.now.mono) {
            self.shut(cx, link, "no hello came");
        }
        self.dialler.handle_timeout(cx);
        let mut outputs = Vec::new();
        while let Some(link) = self.paused.expired(cx.now.mono) {
            self.read(cx, link, usize::MAX, &mut outputs);
        }
        if self.turns.expired(cx.now.mono).is_some() {
            self.take_turns(cx, &mut outputs);
        }
        outputs
    }

    /// Strangers are read on, a few frames of each, for as long as all of them together may be.
    fn take_turns(&mut self, cx: &mut Cx<'_>, outputs: &mut Vec<Output>) {
        for _ in 0..self.waiting.len() {
            if self.strangers.ready(STRANGERS_CHECKS) > cx.now.mono {
                break;
            }
            let Some(link) = self.waiting.pop_front() else { break };
            if let Some(state) = self.links.get_mut(&link) {
                state.queued = false;
            }
            self.read(cx, link, STRANGERS_TURN, outputs);
        }
        if !self.waiting.is_empty() && !self.turns.is_set(()) {
            let due = self.strangers.ready(STRANGERS_CHECKS).max(cx.now.mono) + STRANGERS_EVERY;
            self.turns.set((), due, "strangers are read on");
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        let wake = Wake::earliest(self.hello_due.next(), self.dialler.poll_timeout());
        let wake = Wake::earliest(wake, Some(self.caller.poll_timeout()));
        Wake::earliest(wake, Wake::earliest(self.paused.next(), self.turns.next()))
    }

    /// Calls somebody, if we have too few links and it is time. Where nobody is known to be called, it gives the time
    /// until we look again: others should be known by then.
    pub(crate) fn look_around(&mut self, cx: &mut Cx<'_>, gossip: &Gossip) -> Option<Span> {
        if !self.caller.is_due(cx.now.mono) {
            return None;
        }
        let links = self.links.values().filter(|state| !state.closed);
        let neighbours: Vec<Neighbour> = links
            .map(|Link { node_id, chosen, interest, .. }| Neighbour {
                node_id: *node_id,
                chosen: *chosen,
                interest: interest.clone(),
            })
            .collect();
        let admission = &self.admission;
        let callable = gossip.callable().filter(|(node_id, _)| admission.admits(node_id));
        let pause = self.caller.look(cx, &gossip.seeks(), &neighbours, callable);
        if let Some(link) = self.caller.surplus(&cx.owners.with_work()) {
            self.shut(cx, link, "another is tried in its place");
        }
        pause
    }

    pub(crate) fn heard_of_peers(&mut self, now: Time) {
        self.caller.heard_of_peers(now);
    }

    /// Sends a signed message to a connected node. False: there is no admitted link to it.
    pub(crate) fn tell(&mut self, cx: &mut Cx<'_>, node_id: NodeId, kind: Kind, payload: &[u8]) -> bool {
        let Some(link) = self.link_to(cx.me.node_id, node_id) else { return false };
        let Some(state) = self.links.get_mut(&link) else { return false };
        state.tell(cx, kind, payload);
        self.shut_if_full(cx, link, payload.len());
        true
    }

    /// Sends a signed message to one neighbour.
    pub(crate) fn say(&mut self, cx: &mut Cx<'_>, link: LinkId, kind: Kind, payload: &[u8]) {
        if let Some(state) = self.links.get_mut(&link).filter(|state| state.admitted) {
            state.tell(cx, kind, payload);
            self.shut_if_full(cx, link, payload.len());
        }
    }

    /// Passes a record on, byte for byte.
    pub(crate) fn pass_on(&mut self, cx: &mut Cx<'_>, link: LinkId, frame: &SignedFrame) {
        if let Some(state) = self.links.get_mut(&link).filter(|state| state.admitted) {
            state.send(cx, frame.bytes().to_vec());
            self.shut_if_full(cx, link, frame.bytes().len());
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

    /// How many nodes and networks are banned now.
    pub(crate) fn banned(&self, now: Time) -> (usize, usize) {
        self.conduct.banned(now)
    }

    pub(crate) fn node_of(&self, link: LinkId) -> Option<NodeId> {
        self.links.get(&link).map(|state| state.node_id)
    }

    /// The link to speak to a node on: where both ends dialled at once, both choose the one that the lower node id dialled, and
    /// neither closes the other.
    pub(crate) fn link_to(&self, me: NodeId, node_id: NodeId) -> Option<LinkId> {
        self.best_to(me, node_id, |state| state.admitted)
    }

    /// The link to open streams to a node on.
    pub(crate) fn way_in(&self, me: NodeId, node_id: NodeId) -> Option<LinkId> {
        self.best_to(me, node_id, Link::is_way_in)
    }

    /// Whether there is one, of one node after the other.
    pub(crate) fn ways_in(&self, me: NodeId) -> impl FnMut(&NodeId) -> bool {
        let mut is_way_in = self.ends.ways_in();
        move |node_id| match *node_id == me {
            true => self.serves_itself,
            false => is_way_in(node_id),
        }
    }

    fn best_to(&self, me: NodeId, node_id: NodeId, fits: impl Fn(&Link) -> bool) -> Option<LinkId> {
        if node_id == me {
            return self.serves_itself.then_some(SELF_LINK);
        }
        let mine = me < node_id;
        let links = self.links_to(node_id).filter(|(_, state)| fits(state));
        links.max_by_key(|(link, state)| (state.dialled == mine, *link)).map(|(link, _)| link)
    }

    /// In the order in which they came.
    fn links_to(&self, node_id: NodeId) -> impl Iterator<Item = (LinkId, &Link)> {
        self.ends.of(&node_id).iter().filter_map(|link| Some((*link, self.links.get(link)?)))
    }

    fn shut_if_full(&mut self, cx: &mut Cx<'_>, link: LinkId, said: usize) {
        self.unweighed += said;
        let most = CONTROL_BACKLOG.min(self.caps.control() / 4);
        if self.links.get(&link).is_some_and(|state| state.backlog > most) {
            self.shut(cx, link, "it does not read its control stream");
        }
    }

    pub(crate) fn is_to_be_weighed(&self) -> bool {
        self.unweighed >= WEIGH_EVERY
    }

    /// Counts what is kept for all control streams, and (`queued`) to be said on them later. Where that is more than it may
    /// be, whoever has most of it has to go: strangers first, and of them those that have not read for a while. One that
    /// has just come is owed much, and takes it.
    pub(crate) fn weigh(&mut self, cx: &mut Cx<'_>, queued: impl Fn(LinkId) -> usize) {
        self.unweighed = 0;
        let weight = |link: &LinkId, state: &Link| match state.closed {
            true => 0,
            false => state.backlog + state.reader.held() + queued(*link),
        };
        let mut all: usize = self.links.iter().map(|(link, state)| weight(link, state)).sum();
        while all > self.caps.control() {
            let open = self.links.iter().filter(|(_, state)| !state.closed);
            let rank = |(link, state): &(&LinkId, &Link)| {
                (self.is_stranger(**link), state.is_stuck(cx.now.mono), weight(link, state))
            };
            let Some((link, state)) = open.max_by_key(rank) else { return };
            all = all.saturating_sub(weight(link, state));
            let link = *link;
            self.shut(cx, link, "the memory it holds was needed");
        }
    }

    /// Neither called by our own choice, nor ever of use.
    pub(crate) fn is_stranger(&self, link: LinkId) -> bool {
        self.links.get(&link).is_none_or(|state| !state.chosen && !self.conduct.is_useful(&state.node_id))
    }

    /// Ends every control stream, after all that was said on it: whoever has read that closes the link.
    pub(crate) fn leave(&mut self, cx: &mut Cx<'_>) {
        let open: Vec<LinkId> =
            self.links.iter().filter(|(_, state)| !state.closed).map(|(link, _)| *link).collect();
        for link in open {
            match self.links.get(&link).filter(|state| state.admitted).and_then(|state| state.control) {
                Some(stream) => {
                    self.silence(link);
                    cx.finish(stream);
                }
                None => self.close(cx, link, "this node leaves"),
            }
        }
    }

    /// No link is left.
    pub(crate) fn is_alone(&self) -> bool {
        self.links.is_empty()
    }

    /// Closes a link for what its peer did.
    fn shut(&mut self, cx: &mut Cx<'_>, link: LinkId, reason: &'static str) {
        if let Some(state) = self.links.get(&link).filter(|state| !state.closed) {
            cx.warn(alloc::format!("closed the link to {}: {reason}", state.node_id));
            self.close(cx, link, reason);
        }
    }

    fn close(&mut self, cx: &mut Cx<'_>, link: LinkId, reason: &'static str) {
        if self.silence(link) {
            cx.out.close(link, reason);
        }
    }

    /// Until the driver says that it is down nothing is said or heard on a link any more. False: it was so already.
    fn silence(&mut self, link: LinkId) -> bool {
        let Some(state) = self.links.get_mut(&link).filter(|state| !state.closed) else { return false };
        let (was_way_in, node_id) = (state.is_way_in(), state.node_id);
        (state.closed, state.admitted) = (true, false);
        // What waited for it is of no use any more.
        (state.reader, state.backlog) = (FrameReader::default(), 0);
        self.hello_due.clear(link);
        self.paused.clear(link);
        if was_way_in {
            self.ends.way_in_gone(node_id);
        }
        true
    }
}
