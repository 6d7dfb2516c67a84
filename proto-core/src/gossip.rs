//! What nodes tell others: signed records, last writer wins, passed on byte for byte.
//!
//! Capability records run along a [`tree`] of the links between those who hear of their topics, so that each gets each
//! about once; what a broken branch lost is announced and asked for. Two nodes that are newly linked, and now and then
//! others, compare [what they hold](records) by a digest, and announce what differs. A record is looked at only if it is
//! newer than the one held, and each is verified once however many neighbours send it.
//!
//! Peer records go to neighbours, and in [small samples](peers) from one to the next. Departures and suspicions run along
//! the trees, and [end](deaths) what was said by the dead.
//!
//! Along short ways: [`roots`] says which links are branches.
//!
//! A provider that is nothing else hears of no topic: what others provide is not its business.

mod bygone;
mod deaths;
mod detector;
mod own;
mod peers;
mod records;
mod roots;
mod said;
mod shares;
mod shuffle;
mod sought;
mod titles;
mod tree;
mod view;

use alloc::{collections::BTreeMap, collections::BTreeSet, vec::Vec};

use deaths::Deaths;
use minicbor::Encode;
use own::Own;
use peers::{Peers, Place};
use records::{Records, Standing};
use roots::{Edge, Roots, Turn, shared};
use said::Said;
use shares::Bringer;
use sought::Sought;
use tree::Tree;
pub(crate) use view::{Served, View};

use crate::identity::NodeId;
use crate::labnet::Reach;
use crate::labnet::conduct::{Deed, Offence};
use crate::limits::{
    ANNOUNCED, DIGEST_EVERY, PEERS, PROVIDER_PEERS, RECORD_REFRESH, SHUFFLE_SOON, SIGN_AT_MOST,
    SUSPECT_AFTER, SUSPECT_JITTER,
};
use crate::machine::LinkId;
use crate::mutants::{Mutant, mutant};
use crate::node::config::Caps;
use crate::node::cx::Cx;
use crate::rng::Stream;
use crate::time::{Span, Time, Wake};
use crate::timers::Timers;
use crate::wire::cbor::{self, Blob};
use crate::wire::envelope::{Kind, SignedFrame};
use crate::wire::mesh::{
    About, Announce, CapabilityRecord, Digest, Distances, Key, Mark, PeerRecord, Prune, Suspicion, Version,
    Want,
};
use crate::wire::topic::{Topic, Topics};

/// What the name of a record takes in a neighbour's queue, about: nodes of a B-tree are half empty.
const QUEUED: usize = 128;

/// The neighbour that a record came from.
#[derive(Clone, Copy)]
pub(crate) struct By {
    pub(crate) node_id: NodeId,
    /// Neither dialled by us nor worked with.
    pub(crate) stranger: bool,
}

/// Something to be said to one neighbour.
pub(crate) struct Say {
    pub(crate) link: LinkId,
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Gossip {
    /// What we want to hear of.
    interest: Topics,
    reach: Reach,
    records: Records,
    tree: Tree,
    roots: Roots,
    peers: Peers,
    deaths: Deaths,
    view: View,
    own: Own,
    due: Timers<Due>,
    /// Nodes that we miss, and when we say so.
    missed: Timers<NodeId>,
    /// Who said that we are dead: no witnesses of ours.
    slanderers: Timers<NodeId>,
    /// From when on a neighbour is answered that asks for peers.
    shuffle_from: BTreeMap<LinkId, Time>,
    /// There are peers that were not there when it was last asked.
    more_peers: bool,
    /// The incarnation of a life of ours after this one.
    outlived_by: Option<u64>,
    shuffle_pause: Span,
    sought: Sought,
    rng: Stream,
}

/// What is to be done now and then, or soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Refresh(About),
    Compare,
    Shuffle,
    Sign(About),
}

/// How long who said that we are dead is no witness of ours.
const SLANDER: Span = Span::from_secs(10 * 60);

impl Gossip {
    pub(crate) fn new(interest: Topics, reach: Reach, caps: &Caps, rng: Stream) -> Self {
        Self {
            reach,
            records: Records::up_to(caps.records(), caps.records_aside()),
            tree: Tree::default(),
            roots: Roots::default(),
            peers: Peers::new(if interest.is_none() { PROVIDER_PEERS } else { PEERS }),
            deaths: Deaths::default(),
            view: View::default(),
            interest,
            own: Own::default(),
            due: Timers::default(),
            missed: Timers::default(),
            slanderers: Timers::default(),
            shuffle_from: BTreeMap::new(),
            more_peers: false,
            outlived_by: None,
            shuffle_pause: SHUFFLE_SOON,
            sought: Sought::default(),
            rng,
        }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Peers that may be called: (node, what it says of itself). None of them is linked by necessity.
    pub(crate) fn callable(&self) -> impl Iterator<Item = (NodeId, &PeerRecord)> {
        self.peers.iter().filter_map(|node_id| Some((node_id, self.view.peer_of(&node_id)?)))
    }

    pub(crate) fn sample(&self) -> impl Iterator<Item = NodeId> {
        self.peers.iter()
    }

    /// The incarnation of a later life of ours, if one was heard of.
    pub(crate) fn take_outlived_by(&mut self) -> Option<u64> {
        self.outlived_by.take()
    }

    /// Have peers been learned of since this was last asked?
    pub(crate) fn take_more_peers(&mut self) -> bool {
        core::mem::take(&mut self.more_peers)
    }

    pub(crate) fn neighbours(&self) -> BTreeSet<NodeId> {
        self.tree.neighbours().map(|(_, node_id, _)| node_id).collect()
    }

    /// Neighbours that want to hear of what we serve.
    pub(crate) fn who_hears_of_us(&self) -> BTreeSet<NodeId> {
        let topics = self.own.topics();
        let neighbours = self.tree.neighbours().filter(|(_, _, interest)| interest.meet(&topics));
        neighbours.map(|(_, node_id, _)| node_id).collect()
    }

    /// The version of the capability record that is held of a node.
    pub(crate) fn version_of(&self, node_id: NodeId) -> Option<Version> {
        self.records.mark(&Key::capability(node_id)).map(|mark| mark.version)
    }

    /// The neighbour that told us first of what that provider serves: the way back to it. Where that is gone, one that hears
    /// of the same knows another.
    pub(crate) fn way_to(&self, provider: &NodeId) -> Option<LinkId> {
        let record = self.records.get(&Key::capability(*provider))?;
        let first = record.from.filter(|link| self.tree.node_of(*link).is_some());
        let hears =
            |(link, _, interest): (LinkId, NodeId, &Topics)| interest.meet(&record.topics).then_some(link);
        first.or_else(|| self.tree.neighbours().find_map(hears))
    }

    /// Proofs that are held of nodes that say different things to different nodes.
    pub(crate) fn equivocations(&self) -> usize {
        self.records.equivocations().len()
    }

    /// Says something new of ourselves; nothing happens if it is what we said last.
    pub(crate) fn announce_peer(&mut self, cx: &Cx<'_>, mut record: PeerRecord) {
        record.interest = self.interest.clone();
        if self.own.set_peer(record) {
            self.sign_soon(cx, About::Peer);
        }
    }

    pub(crate) fn announce_capability(&mut self, cx: &Cx<'_>, record: CapabilityRecord) {
        // Others than before are of use to us.
        self.more_peers |= self.interest.is_none() && self.own.topics() != record.topics;
        if self.own.set_capability(record.clone()) {
            self.view.capability(cx.me.network, cx.now.mono, cx.me.node_id, &record);
            self.sign_soon(cx, About::Capability);
        }
    }

    /// A neighbour was admitted. It is sent what we say of ourselves, and all else that concerns both is compared.
    pub(crate) fn link_up(
        &mut self,
        cx: &Cx<'_>,
        link: LinkId,
        node_id: NodeId,
        interest: Topics,
        chosen: bool,
    ) -> Vec<Say> {
        let mut says = Vec::new();
        let serves = self.records.get(&Key::capability(cx.me.node_id));
        let serves = serves.is_some_and(|own| interest.meet(&own.topics));
        let equal = self.interest.meet(&interest);
        if equal {
            says.push(say(link, Kind::Digest, &Digest { buckets: Blob(self.records.digest(&interest)) }));
            self.due_within(cx, Due::Compare, DIGEST_EVERY);
        }
        self.roots.link_up(cx.now.mono, cx.me.node_id, link, shared(&self.interest, &interest));
        self.tree.link_up(link, node_id, chosen, &self.interest, interest);
        if equal {
            self.tree.compares(cx.now.mono, link);
        }
        self.tree.owe(link, [Key::peer(cx.me.node_id)]);
        if serves {
            self.tree.owe(link, [Key::capability(cx.me.node_id)]);
        }
        self.missed.clear(node_id);
        if chosen {
            says.extend(self.shuffle(cx, link, true, &self.seeks()));
            self.due_within(cx, Due::Shuffle, self.shuffle_pause);
        }
        self.witnesses_changed(cx);
        says
    }

    pub(crate) fn link_down(&mut self, cx: &Cx<'_>, link: LinkId) {
        self.shuffle_from.remove(&link);
        self.sought.link_down(link);
        let turns = self.roots.link_down(cx.now.mono, cx.me.node_id, link);
        self.turn(turns);
        let Some(node_id) = self.tree.link_down(link) else { return };
        if self.tree.is_linked(&node_id) {
            return;
        }
        self.witnesses_changed(cx);
        if self.view.is_witness(&cx.me.node_id, node_id) {
            let after = SUSPECT_AFTER + Span(self.rng.below(SUSPECT_JITTER.0));
            self.missed.set(node_id, cx.now.mono + after, "a node is missed");
        }
    }

    /// No link to that node is left: what it said of itself is what everybody says of others now.
    pub(crate) fn left(&mut self, origin: NodeId) {
        for key in [Key::peer(origin), Key::capability(origin)] {
            self.records.shares.second_hand(&key);
        }
    }

    /// Bytes, about, that are kept to tell a neighbour something later.
    pub(crate) fn queued(&self, link: LinkId) -> usize {
        self.tree.queued(link) * QUEUED
    }

    /// A neighbour that has become due records; they are [`Self::next_for`].
    pub(crate) fn poll_ready(&mut self) -> Option<LinkId> {
        self.tree.poll_ready()
    }

    /// The next record for a neighbour.
    pub(crate) fn next_for(&mut self, link: LinkId) -> Option<&SignedFrame> {
        loop {
            let key = self.tree.next_owed(link)?;
            // It may have been forgotten meanwhile.
            if self.records.get(&key).is_some() {
                return self.records.get(&key).map(|record| &record.frame);
            }
        }
    }

    /// A record came, by that neighbour.
    pub(crate) fn record(
        &mut self,
        cx: &mut Cx<'_>,
        from: LinkId,
        by: Option<By>,
        frame: SignedFrame,
    ) -> Option<Say> {
        let about = About::of(frame.header().kind)?;
        self.hear(cx, about, frame, Some(from), by)
    }

    /// A neighbour says something about records.
    pub(crate) fn message(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        by: By,
        kind: Kind,
        payload: &[u8],
    ) -> Vec<Say> {
        let heard = match kind {
            Kind::Announce => cbor::decode(payload).map(|message| self.announced(cx, link, message)),
            Kind::Want => cbor::decode(payload).map(|message| self.wanted(cx, link, message)),
            Kind::Prune => cbor::decode(payload).map(|Prune { topic }| self.pruned(link, topic)),
            Kind::Digest => cbor::decode(payload).map(|message| self.compared(cx, link, &message)),
            Kind::Distances => cbor::decode(payload).map(|Distances { trees }| {
                let turns = self.roots.heard(cx.now.mono, cx.me.node_id, link, trees);
                self.turn(turns);
            }),
            Kind::Shuffle => match cbor::decode(payload) {
                Ok(message) => return self.shuffled(cx, link, by, message),
                Err(bad) => Err(bad),
            },
            _ => Ok(()),
        };
        if let Err(bad) = heard {
            cx.note(by.node_id, Deed::Offence(Offence::Malformed));
            cx.debug(alloc::format!("dropped a malformed message about records: {bad}"));
        }
        Vec::new()
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> Vec<Say> {
        let mut says = Vec::new();
        while let Some(key) = self.records.expired(cx.now) {
            self.forgot(cx, key);
        }
        self.deaths.handle_timeout(cx.now.mono);
        while self.slanderers.expired(cx.now.mono).is_some() {
            self.witnesses_changed(cx);
        }
        while let Some(node_id) = self.missed.expired(cx.now.mono) {
            self.suspect(cx, node_id);
        }
        for (link, keys) in self.tree.overdue(cx.now.mono) {
            for keys in keys.chunks(ANNOUNCED) {
                says.push(say(link, Kind::Want, &Want { keys: keys.to_vec() }));
            }
        }
        for (link, keys) in self.tree.announcements(cx.now.mono) {
            let marks: Vec<_> = keys.iter().filter_map(|key| self.records.mark(key)).collect();
            for marks in marks.chunks(ANNOUNCED) {
                says.push(say(link, Kind::Announce, &Announce { marks: marks.to_vec() }));
            }
        }
        for (link, trees) in self.roots.tidings(cx.now.mono) {
            for trees in trees.chunks(ANNOUNCED) {
                says.push(say(link, Kind::Distances, &Distances { trees: trees.to_vec() }));
            }
        }
        while let Some(due) = self.due.expired(cx.now.mono) {
            match due {
                Due::Refresh(about) => self.sign(cx, about),
                Due::Sign(about) => self.sign(cx, about),
                Due::Compare => says.extend(self.compare(cx)),
                Due::Shuffle => says.extend(self.shuffle_with_one(cx)),
            }
        }
        says
    }

    /// What we said by the wrong time nobody believes, and what we did not believe by it may be right.
    pub(crate) fn clock_was_set(&mut self, cx: &mut Cx<'_>) {
        self.renew(cx);
        for (key, (frame, from)) in self.records.take_untimely() {
            self.hear(cx, key.about, frame, from, None);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        let wake = Wake::earliest(self.records.poll_timeout(), self.tree.poll_timeout());
        let wake = Wake::earliest(wake, self.roots.poll_timeout());
        let wake = Wake::earliest(wake, self.deaths.poll_timeout());
        let wake = Wake::earliest(wake, self.missed.next());
        Wake::earliest(Wake::earliest(wake, self.slanderers.next()), self.due.next())
    }

    fn hear(
        &mut self,
        cx: &mut Cx<'_>,
        about: About,
        frame: SignedFrame,
        from: Option<LinkId>,
        by: Option<By>,
    ) -> Option<Say> {
        let passed_on_by = by.map(|by| by.node_id);
        let origin = frame.header().sender;
        if origin == cx.me.node_id {
            self.hear_of_ourselves(cx, &frame);
            return None;
        }
        let key = Key { about, origin, subject: Said::subject(about, frame.unverified()) };
        let bringer = match by {
            // Whoever brings it: what a neighbour says of itself it says to us, too.
            Some(_) if self.tree.is_linked(&origin) => Bringer::FirstHand,
            Some(By { node_id, stranger: true }) => Bringer::Stranger(node_id),
            Some(By { node_id, stranger: false }) => Bringer::Friend(node_id),
            // It was put aside, and whoever brought it may be gone.
            None => Bringer::Friend(origin),
        };
        let standing = self.records.standing(cx.now, &key, &frame, from, bringer);
        match standing {
            Standing::Unwanted => {
                self.tell_of_its_later_life(&key, &frame, from, by);
                return None;
            }
            Standing::Held => {
                if bringer == Bringer::FirstHand {
                    self.records.shares.first_hand(&key);
                }
                if let (true, Some(node_id)) = (mutant(Mutant::HonestBanned), passed_on_by) {
                    cx.note(node_id, Deed::Offence(Offence::PassedOn));
                }
                return self.held(&key, from?);
            }
            Standing::News | Standing::Untimely | Standing::Other => {}
        }
        // In front of the signature: what is not kept would be verified each time it comes.
        let Ok(said) = Said::decode(about, frame.unverified()) else {
            // Whoever only passed it on may know more than we do.
            if passed_on_by == Some(origin) {
                cx.note(origin, Deed::Offence(Offence::Malformed));
            }
            cx.debug(alloc::format!("dropped a malformed record of {origin}"));
            return None;
        };
        let version = records::version(frame.header());
        if !self.concerns_us(cx, &key, &said) {
            return None;
        }
        if self.is_dead(&key, version, &said) {
            // Who brings it has not heard.
            if let Some(link) = from {
                let obituary = self.deaths.suspicions_of(origin).into_iter().chain([Key::departure(origin)]);
                self.tree.owe(link, obituary);
            }
            return None;
        }
        if frame.open(cx.me.network).is_err() {
            if let Some(node_id) = passed_on_by {
                cx.note(node_id, Deed::Offence(Offence::PassedOn));
            }
            cx.warn(alloc::format!("dropped a record with a bad signature, said to be of {origin}"));
            return None;
        }
        match standing {
            Standing::Untimely => self.records.put_aside(cx.now, key, frame, from),
            Standing::Other => {
                cx.warn(alloc::format!("{origin} says different things to different nodes: kept as a proof"));
                self.records.equivocated(&key, frame);
            }
            _ => self.learn(cx, key, said, frame, from, bringer),
        }
        None
    }

    /// A record in our name, of a life after this one: disk and clock were both set back. All that we say would be old to
    /// everybody, so that we go on after that life.
    fn hear_of_ourselves(&mut self, cx: &Cx<'_>, frame: &SignedFrame) {
        let later = frame.header().incarnation;
        if later > cx.me.incarnation && frame.open(cx.me.network).is_ok() {
            self.outlived_by = Some(later);
        }
    }

    /// Who brings a record of itself that is older than one of a later life of its own does not know of that life.
    fn tell_of_its_later_life(&mut self, key: &Key, old: &SignedFrame, from: Option<LinkId>, by: Option<By>) {
        let held = self.records.mark(key).map(|mark| mark.version.incarnation);
        if held.is_some_and(|held| held > old.header().incarnation)
            && let (Some(link), Some(By { node_id, .. })) = (from, by)
            && node_id == key.origin
        {
            self.tree.owe(link, [*key]);
        }
    }

    /// What we hold came again: on a tree, one way is enough.
    fn held(&mut self, key: &Key, link: LinkId) -> Option<Say> {
        if key.about == About::Peer {
            return None;
        }
        let record = self.records.get(key)?;
        let (topic, first) = (record.topics.tree(), record.from);
        let edge = |link| self.roots.edge(link, self.tree.with(link, topic));
        let needless = match edge(link) {
            Edge::Unknown | Edge::Aside => link,
            // It comes by the root's way: then the other is not needed.
            Edge::Above => first.filter(|first| !edge(*first).is_branch())?,
            Edge::Below => return None,
        };
        self.tree.prune(needless, topic).then(|| say(needless, Kind::Prune, &Prune { topic }))
    }

    /// It has what we send. Where we are below it, it did not know that yet.
    fn pruned(&mut self, link: LinkId, topic: Topic) {
        if self.roots.edge(link, self.tree.with(link, topic)) != Edge::Above {
            self.tree.no_branch(link, topic);
        }
    }

    fn turn(&mut self, turns: Vec<Turn>) {
        turns.into_iter().for_each(|turn| self.tree.turn(turn));
    }

    fn concerns_us(&self, cx: &Cx<'_>, key: &Key, said: &Said) -> bool {
        let held = self.records.get(key).is_some();
        match said {
            Said::Peer(record) => {
                held || self.tree.is_linked(&key.origin)
                    || (record.gateway && self.callable_at(record).is_some())
            }
            Said::Capability(record) => held || self.interest.meet(&record.topics),
            Said::Departure(departure) => {
                held || self.interest.meet(&departure.topics) || self.view.knows(&key.origin)
            }
            Said::Suspicion(suspicion) => {
                let (signer, subject) = (&key.origin, &suspicion.subject);
                let concerns = self.interest.meet(&suspicion.topics) || self.view.knows(subject);
                *subject == cx.me.node_id || held || (concerns && self.deaths.has_room(signer))
            }
        }
    }

    fn is_dead(&self, key: &Key, version: Version, said: &Said) -> bool {
        let witnesses = match said {
            Said::Peer(record) => &record.witnesses,
            Said::Capability(record) => &record.witnesses,
            Said::Departure(_) | Said::Suspicion(_) => return false,
        };
        let alive = self.tree.is_linked(&key.origin);
        self.deaths.is_buried(&key.origin, version)
            || (!alive && self.deaths.is_missed(&key.origin, version, witnesses))
    }

    /// Keeps a record that is new and verified.
    fn learn(
        &mut self,
        cx: &mut Cx<'_>,
        key: Key,
        said: Said,
        frame: SignedFrame,
        from: Option<LinkId>,
        by: Bringer,
    ) {
        let origin = key.origin;
        let topics = match said {
            Said::Peer(record) => {
                if self.place(&record, origin, from) {
                    self.keep(cx, key, frame, Topics::none(), by);
                    self.view.peer(origin, record);
                    if self.tree.is_linked(&origin) {
                        self.witnesses_changed(cx);
                    }
                }
                return;
            }
            Said::Capability(record) => {
                self.view.capability(cx.me.network, cx.now.mono, origin, &record);
                let before = self.records.get(&key).map(|held| held.topics.clone());
                // Who heard of what it served is to hear that it does so no more.
                record.topics.with(&before.unwrap_or_else(Topics::none))
            }
            Said::Departure(departure) => {
                self.bury(cx, origin, records::version(frame.header()));
                departure.topics
            }
            Said::Suspicion(Suspicion { subject, version, .. }) if subject == cx.me.node_id => {
                return self.refute(cx, origin, version);
            }
            Said::Suspicion(Suspicion { subject, version, topics }) => {
                self.deaths.suspect(origin, subject, version);
                topics
            }
        };
        if let Some(link) = from {
            self.tree.branch(cx.now.mono, link, topics.tree());
        }
        let mark = self.keep(cx, key, frame, topics.clone(), by);
        if let Some(link) = from {
            self.records.came_by(&key, link);
        }
        self.tree.spread(cx.now.mono, mark, &topics, from);
        if let Some(subject) = key.subject {
            self.judge(cx, subject);
        }
    }

    /// Keeps a record, in the place of others if need be. What we say of ourselves does not lapse.
    fn keep(&mut self, cx: &Cx<'_>, key: Key, frame: SignedFrame, topics: Topics, by: Bringer) -> Mark {
        let size = records::weight(&frame);
        let own = key.origin == cx.me.node_id && key.about != About::Suspicion;
        let mark = self.records.keep(cx.now, key, frame, topics, own);
        for gone in self.records.shares.took(key, size, by) {
            self.records.forget(&gone);
            self.forgot(cx, gone);
        }
        mark
    }

    /// Is a peer kept? A neighbour always.
    fn place(&mut self, record: &PeerRecord, origin: NodeId, from: Option<LinkId>) -> bool {
        let teller = from.and_then(|link| self.tree.node_of(link));
        if let (true, Some(ip), Some(teller)) = (record.gateway, self.callable_at(record), teller)
            && let Place::Kept { instead_of } = self.peers.place(origin, ip, teller, &mut self.rng)
        {
            let seeks = self.seeks();
            let of_use = seeks.is_none() || record.interest.meet(&seeks);
            self.more_peers |= of_use && self.records.get(&Key::peer(origin)).is_none();
            if let Some(other) = instead_of.filter(|other| !self.tree.is_linked(other)) {
                self.records.forget(&Key::peer(other));
                self.view.forget_peer(&other);
            }
            return true;
        }
        self.tree.is_linked(&origin) || self.records.get(&Key::peer(origin)).is_some()
    }

    fn callable_at(&self, record: &PeerRecord) -> Option<core::net::IpAddr> {
        record.addresses.iter().find_map(|address| self.reach.dialable(address)).map(|address| address.ip())
    }

    fn announced(&mut self, cx: &Cx<'_>, link: LinkId, message: Announce) {
        for mark in message.marks {
            let Key { about, origin, .. } = mark.key;
            let ours = origin == cx.me.node_id && mark.version.incarnation <= cx.me.incarnation;
            if ours || about == About::Peer || !self.records.lacks(&mark) {
                continue;
            }
            if about == About::Capability && self.deaths.is_buried(&origin, mark.version) {
                let obituary = self.deaths.suspicions_of(origin).into_iter().chain([Key::departure(origin)]);
                self.tree.owe(link, obituary);
            } else {
                self.tree.lacking(cx.now.mono, link, mark);
            }
        }
    }

    fn wanted(&mut self, cx: &Cx<'_>, link: LinkId, message: Want) {
        let mut owed = BTreeSet::new();
        for key in message.keys {
            if let Some(record) = self.records.get(&key) {
                self.tree.branch(cx.now.mono, link, record.topics.tree());
                owed.insert(key);
            }
        }
        self.tree.owe(link, owed);
    }

    fn compared(&mut self, cx: &Cx<'_>, link: LinkId, message: &Digest) {
        if !self.tree.hears_digest(cx.now.mono, link) {
            return;
        }
        let Some(interest) = self.tree.interest(link) else { return };
        if let Some(keys) = self.records.differing(interest, &message.buckets.0) {
            self.tree.tell(cx.now.mono, link, keys);
        }
    }

    /// Compares what we hold with one of those who hold the like.
    fn compare(&mut self, cx: &Cx<'_>) -> Option<Say> {
        let equals = self.tree.neighbours().filter(|(_, _, interest)| self.interest.meet(interest));
        let (link, _, interest) = pick(&mut self.rng, equals)?;
        let digest = Digest { buckets: Blob(self.records.digest(interest)) };
        self.due.set(Due::Compare, cx.now.mono + DIGEST_EVERY, "compare records with a neighbour");
        let said = say(link, Kind::Digest, &digest);
        self.tree.compares(cx.now.mono, link);
        Some(said)
    }

    /// Our witnesses are gateways that we are linked to; who is one stays one.
    fn witnesses_changed(&mut self, cx: &Cx<'_>) {
        // Whoever invites a provider is not to be its witness for that. (A gateway's links come as a rule.)
        let any = !self.interest.is_none();
        let neighbours = self.tree.neighbours().filter(|(link, ..)| any || self.tree.is_chosen(*link));
        let gateways = neighbours.map(|(_, node_id, _)| node_id).filter(|node_id| {
            self.view.peer_of(node_id).is_some_and(|record| record.gateway)
                && !self.slanderers.is_set(*node_id)
        });
        let gateways: BTreeSet<NodeId> = gateways.collect();
        if self.own.set_witnesses(&gateways) {
            for about in [About::Peer, About::Capability] {
                self.due_within(cx, Due::Sign(about), SIGN_AT_MOST);
            }
        }
    }

    fn due_within(&mut self, cx: &Cx<'_>, due: Due, after: Span) {
        let why = match due {
            Due::Refresh(_) => "sign our record anew",
            Due::Compare => "compare records with a neighbour",
            Due::Shuffle => "exchange peers with a neighbour",
            Due::Sign(_) => "sign what changed of us",
        };
        if !self.due.is_set(due) {
            self.due.set(due, cx.now.mono + after, why);
        }
    }

    /// Signs at once what changed, unless that was done a moment ago.
    fn sign_soon(&mut self, cx: &Cx<'_>, about: About) {
        let from = self.own.sign_from(about);
        if cx.now.mono >= from {
            self.sign(cx, about);
        } else {
            self.due_within(cx, Due::Sign(about), from - cx.now.mono);
        }
    }

    /// Says goodbye: the last that we say of ourselves.
    pub(crate) fn depart(&mut self, cx: &Cx<'_>) {
        self.sign(cx, About::Departure);
        self.own.fall_silent();
    }

    /// Signs anew what we say of ourselves.
    pub(crate) fn renew(&mut self, cx: &Cx<'_>) {
        self.sign(cx, About::Peer);
        self.sign(cx, About::Capability);
    }

    fn sign(&mut self, cx: &Cx<'_>, about: About) {
        let before = self.records.get(&Key::capability(cx.me.node_id)).map(|held| held.topics.clone());
        let Some((frame, said)) = self.own.sign(cx, about) else { return };
        if !mutant(Mutant::RecordNotRefreshed) {
            self.due.set(Due::Refresh(about), cx.now.mono + RECORD_REFRESH, "sign our record anew");
        }
        self.due.clear(Due::Sign(about));
        let key = Key { about, origin: cx.me.node_id, subject: None };
        let topics = match &said {
            // Who heard of what we served is to hear that we do so no more.
            Said::Capability(record) => record.topics.clone().with(&before.unwrap_or_else(Topics::none)),
            Said::Peer(_) | Said::Departure(_) | Said::Suspicion(_) => Topics::none(),
        };
        let mark = self.keep(cx, key, frame, topics.clone(), Bringer::Ourselves);
        match about {
            About::Capability if self.interest.is_none() => self.tree.inject(cx.now.mono, mark, &topics),
            About::Capability => self.tree.spread(cx.now.mono, mark, &topics, None),
            About::Peer | About::Departure | About::Suspicion => self.tree.owe_all(key),
        }
    }

    /// Signs what we say of somebody else. It lives as long as any record, and is not renewed.
    fn say_of_others(&mut self, cx: &Cx<'_>, key: Key, said: &Said) {
        let frame = self.own.sign_said(cx, said);
        let topics = said.concerns();
        let mark = self.keep(cx, key, frame, topics.clone(), Bringer::Ourselves);
        self.tree.spread(cx.now.mono, mark, &topics, None);
    }

    /// A record is not held any more.
    fn forgot(&mut self, cx: &Cx<'_>, Key { about, origin, subject }: Key) {
        match (about, subject) {
            (About::Peer, _) => {
                self.peers.forget(&origin);
                self.view.forget_peer(&origin);
            }
            (About::Capability, _) => self.view.forget_capability(cx.now.mono, &origin),
            (About::Suspicion, Some(subject)) => self.deaths.suspicion_expired(origin, subject),
            (About::Departure | About::Suspicion, _) => {}
        }
    }
}

/// One of them, by chance.
fn pick<T>(rng: &mut Stream, all: impl Iterator<Item = T>) -> Option<T> {
    let mut all: Vec<T> = all.collect();
    let chosen = rng.below(all.len() as u64) as usize;
    (chosen < all.len()).then(|| all.swap_remove(chosen))
}

fn say<T: Encode<()>>(link: LinkId, kind: Kind, message: &T) -> Say {
    Say { link, kind, payload: cbor::encode(message) }
}
