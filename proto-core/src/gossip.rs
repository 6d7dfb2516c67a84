//! What nodes tell everybody: signed records, last writer wins, passed on byte for byte.
//!
//! New records run along a [`tree`] of the links, so that each node gets each about once; what a broken branch lost is
//! announced and asked for. Two nodes that are newly linked, and now and then others, compare [what they
//! hold](records) by a digest, and announce what differs. A record is looked at only if it is newer than the one held,
//! and each is verified once however many neighbours send it.
//!
//! A provider that is nothing else is a *leaf*: it needs to know gateways only, and says so in its Hello. So what a mesh of
//! many providers and few gateways costs at each provider grows with the gateways.

mod records;
mod shares;
mod tree;
mod view;

use alloc::{collections::BTreeSet, vec::Vec};

use minicbor::Encode;
use records::{Record, Records, Standing};
use shares::Bringer;
use tree::Tree;
pub(crate) use view::{Served, View};

use crate::identity::NodeId;
use crate::labnet::conduct::{Deed, Offence};
use crate::limits::{ANNOUNCED, DIGEST_EVERY, RECORD_REFRESH, RECORD_TTL};
use crate::machine::LinkId;
use crate::mutants::{Mutant, mutant};
use crate::node::config::Caps;
use crate::node::cx::Cx;
use crate::rng::Stream;
use crate::time::Wake;
use crate::timers::Timers;
use crate::wire::cbor::{self, BadCbor, Blob};
use crate::wire::envelope::{Kind, SignedFrame};
use crate::wire::mesh::{Announce, CapabilityRecord, Digest, Key, PeerRecord, Prune, Topic, Want};

/// What the name of a record takes in a neighbour's queue, about.
const QUEUED: usize = 64;

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
    /// Nothing is kept that is not for leaves.
    leaf: bool,
    records: Records,
    tree: Tree,
    view: View,
    own: Own,
    refresh: Timers<()>,
    compare: Timers<()>,
    rng: Stream,
}

/// What this node says of itself.
#[derive(Default)]
struct Own {
    peer: Option<PeerRecord>,
    capability: Option<CapabilityRecord>,
    seq: u64,
}

impl Gossip {
    pub(crate) fn new(leaf: bool, caps: &Caps, rng: Stream) -> Self {
        Self {
            leaf,
            records: Records::up_to(caps.records(), caps.records_aside()),
            tree: Tree::default(),
            view: View::default(),
            own: Own::default(),
            refresh: Timers::default(),
            compare: Timers::default(),
            rng,
        }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Says something new of ourselves; nothing happens if it is what we said last.
    pub(crate) fn announce_peer(&mut self, cx: &Cx<'_>, record: PeerRecord) {
        if self.own.peer.as_ref() != Some(&record) {
            self.own.peer = Some(record);
            self.sign(cx, Topic::Peer);
        }
    }

    pub(crate) fn announce_capability(&mut self, cx: &Cx<'_>, record: CapabilityRecord) {
        if self.own.capability.as_ref() != Some(&record) {
            self.view.capability(cx.me.network, cx.me.node_id, &record);
            self.own.capability = Some(record);
            self.sign(cx, Topic::Capability);
        }
    }

    /// A neighbour was admitted. It is sent what we say of ourselves, and all else is compared; with a leaf nothing is: its
    /// few records, and ours of gateways, are sent.
    pub(crate) fn link_up(&mut self, cx: &Cx<'_>, link: LinkId, leaf: bool) -> Vec<Say> {
        self.tree.link_up(link, leaf);
        let all = leaf || self.leaf;
        let sent = self.records.keys().filter(|(key, _)| all || key.origin == cx.me.node_id);
        let sent: Vec<Key> = sent.map(|(key, _)| *key).collect();
        self.tree.owe(link, sent);
        if all {
            return Vec::new();
        }
        if !self.compare.is_set(()) {
            self.compare.set((), cx.now.mono + DIGEST_EVERY, "compare records with a neighbour");
        }
        [self.digest(link)].into()
    }

    pub(crate) fn link_down(&mut self, link: LinkId) {
        self.tree.link_down(link);
    }

    /// No link to that node is left: what it said of itself is what everybody says of others now.
    pub(crate) fn left(&mut self, origin: NodeId) {
        for topic in [Topic::Peer, Topic::Capability] {
            self.records.shares.second_hand(&Key { topic, origin });
        }
    }

    /// Bytes, about, that are kept to tell a neighbour something later.
    pub(crate) fn queued(&self, link: LinkId) -> usize {
        self.tree.queued(link) * QUEUED
    }

    fn forget(&mut self, key: &Key) {
        match key.topic {
            Topic::Peer => self.view.forget_peer(&key.origin),
            Topic::Capability => self.view.forget_capability(&key.origin),
        }
    }

    /// A neighbour that has become due records; they are [`Self::next_for`].
    pub(crate) fn poll_ready(&mut self) -> Option<LinkId> {
        self.tree.poll_ready()
    }

    /// The next record for a neighbour.
    pub(crate) fn next_for(&mut self, link: LinkId) -> Option<&SignedFrame> {
        let leaf = self.tree.is_leaf(link);
        loop {
            let key = self.tree.next_owed(link)?;
            // It may have been forgotten meanwhile.
            if self.records.get(&key).is_some_and(|record| !leaf || record.for_leaves) {
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
        let topic = match Kind::from_u16(frame.header().kind) {
            Some(Kind::PeerRecord) => Topic::Peer,
            Some(Kind::CapabilityRecord) => Topic::Capability,
            _ => return None,
        };
        self.hear(cx, topic, frame, Some(from), by)
    }

    /// A neighbour says something about records.
    pub(crate) fn message(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        from: NodeId,
        kind: Kind,
        payload: &[u8],
    ) {
        let heard = match kind {
            Kind::Announce => cbor::decode(payload).map(|message| self.announced(cx, link, message)),
            Kind::Want => cbor::decode(payload).map(|message| self.wanted(link, message)),
            Kind::Prune => cbor::decode(payload).map(|Prune {}| self.tree.set_branch(link, false)),
            Kind::Digest => cbor::decode(payload).map(|message| self.compared(cx, link, &message)),
            _ => Ok(()),
        };
        if let Err(bad) = heard {
            cx.note(from, Deed::Offence(Offence::Malformed));
            cx.debug(alloc::format!("dropped a malformed message about records: {bad}"));
        }
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> Vec<Say> {
        let mut says = Vec::new();
        while let Some(key) = self.records.expired(cx.now) {
            self.forget(&key);
        }
        if self.refresh.expired(cx.now.mono).is_some() {
            self.renew(cx);
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
        if self.compare.expired(cx.now.mono).is_some() {
            let equals = self.tree.equals();
            let chosen = self.rng.below(equals.len() as u64) as usize;
            if let Some(link) = equals.get(chosen) {
                says.push(self.digest(*link));
                self.compare.set((), cx.now.mono + DIGEST_EVERY, "compare records with a neighbour");
            }
        }
        says
    }

    /// What we said by the wrong time nobody believes, and what we did not believe by it may be right.
    pub(crate) fn clock_was_set(&mut self, cx: &mut Cx<'_>) {
        self.renew(cx);
        for (key, (frame, from)) in self.records.take_untimely() {
            self.hear(cx, key.topic, frame, from, None);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        let wake = Wake::earliest(self.records.poll_timeout(), self.tree.poll_timeout());
        Wake::earliest(Wake::earliest(wake, self.compare.next()), self.refresh.next())
    }

    fn hear(
        &mut self,
        cx: &mut Cx<'_>,
        topic: Topic,
        frame: SignedFrame,
        from: Option<LinkId>,
        by: Option<By>,
    ) -> Option<Say> {
        let passed_on_by = by.map(|by| by.node_id);
        let header = *frame.header();
        let key = Key { topic, origin: header.sender };
        if header.sender == cx.me.node_id {
            return None;
        }
        if self.leaf && !self.is_for_us(&key, &frame) {
            return None;
        }
        let size = frame.bytes().len();
        let bringer = match by {
            Some(By { node_id, stranger: true }) if node_id == header.sender => Bringer::FirstHand,
            Some(By { node_id, stranger: true }) => Bringer::Stranger(node_id),
            Some(By { stranger: false, .. }) | None => Bringer::Trusted,
        };
        let standing = self.records.standing(cx.now, &key, &header, size, from, bringer);
        match standing {
            Standing::Unwanted => return None,
            Standing::Held => {
                if bringer == Bringer::FirstHand {
                    self.records.shares.first_hand(&key);
                }
                if let (true, Some(node_id)) = (mutant(Mutant::HonestBanned), passed_on_by) {
                    cx.note(node_id, Deed::Offence(Offence::PassedOn));
                }
                let link = from.filter(|link| self.tree.prune(*link))?;
                return Some(say(link, Kind::Prune, &Prune {}));
            }
            Standing::News | Standing::Untimely => {}
        }
        let Ok(payload) = frame.open(cx.me.network) else {
            if let Some(node_id) = passed_on_by {
                cx.note(node_id, Deed::Offence(Offence::PassedOn));
            }
            cx.warn(alloc::format!("dropped a record with a bad signature, said to be of {}", header.sender));
            return None;
        };
        let Ok(said) = Said::decode(topic, payload) else {
            // Whoever only passed it on may know more than we do.
            if passed_on_by == Some(header.sender) {
                cx.note(header.sender, Deed::Offence(Offence::Malformed));
            }
            cx.debug(alloc::format!("dropped a malformed record of {}", header.sender));
            return None;
        };
        if standing == Standing::Untimely {
            self.records.put_aside(cx.now, key, frame, from);
            return None;
        }
        let for_leaves = self.is_for_leaves(&key, &said);
        match said {
            Said::Peer(record) => self.view.peer(header.sender, record),
            Said::Capability(record) => self.view.capability(cx.me.network, header.sender, &record),
        }
        let mark = self.records.keep(cx.now, key, Record { frame, for_leaves }, false);
        for gone in self.records.shares.took(key, size, bringer) {
            self.records.give_up(&gone);
            self.forget(&gone);
        }
        self.tree.spread(cx.now.mono, mark, for_leaves, from);
        None
    }

    fn announced(&mut self, cx: &Cx<'_>, link: LinkId, message: Announce) {
        for mark in message.marks {
            if mark.key.origin != cx.me.node_id && self.records.lacks(&mark) {
                self.tree.lacking(cx.now.mono, link, mark);
            }
        }
    }

    fn wanted(&mut self, link: LinkId, message: Want) {
        self.tree.set_branch(link, true);
        let held = message.keys.into_iter().filter(|key| self.records.get(key).is_some());
        let held: BTreeSet<Key> = held.collect();
        self.tree.owe(link, held);
    }

    fn compared(&mut self, cx: &Cx<'_>, link: LinkId, message: &Digest) {
        if !self.tree.hears_digest(cx.now.mono, link) {
            return;
        }
        if let Some(keys) = self.records.differing(&message.buckets.0) {
            self.tree.tell(cx.now.mono, link, keys);
        }
    }

    fn digest(&self, link: LinkId) -> Say {
        say(link, Kind::Digest, &Digest { buckets: Blob(self.records.digest()) })
    }

    /// Signs anew what we say of ourselves.
    fn renew(&mut self, cx: &Cx<'_>) {
        self.sign(cx, Topic::Peer);
        self.sign(cx, Topic::Capability);
    }

    fn sign(&mut self, cx: &Cx<'_>, topic: Topic) {
        let (kind, said) = match topic {
            Topic::Peer => (Kind::PeerRecord, self.own.peer.clone().map(Said::Peer)),
            Topic::Capability => (Kind::CapabilityRecord, self.own.capability.clone().map(Said::Capability)),
        };
        let Some(said) = said else { return };
        self.own.seq += 1;
        let key = Key { topic, origin: cx.me.node_id };
        let frame = cx.me.sign(cx.now, kind, None, self.own.seq, RECORD_TTL, &said.encode());
        let for_leaves = self.is_for_leaves(&key, &said);
        let size = frame.bytes().len();
        let mark = self.records.keep(cx.now, key, Record { frame, for_leaves }, true);
        for gone in self.records.shares.took(key, size, Bringer::Trusted) {
            self.records.give_up(&gone);
            self.forget(&gone);
        }
        if !mutant(Mutant::RecordNotRefreshed) {
            self.refresh.set((), cx.now.mono + RECORD_REFRESH, "sign our records anew");
        }
        self.tree.spread(cx.now.mono, mark, for_leaves, None);
    }

    /// Whether a leaf wants it. Asked in front of the signature: what is not kept would be verified each time it comes.
    fn is_for_us(&self, key: &Key, frame: &SignedFrame) -> bool {
        Said::decode(key.topic, frame.unverified()).is_ok_and(|said| self.is_for_leaves(key, &said))
    }

    /// What a gateway says, and that it is none any more.
    fn is_for_leaves(&self, key: &Key, said: &Said) -> bool {
        matches!(said, Said::Peer(PeerRecord { gateway: true, .. }))
            || self.records.get(key).is_some_and(|held| held.for_leaves)
    }
}

fn say<T: Encode<()>>(link: LinkId, kind: Kind, message: &T) -> Say {
    Say { link, kind, payload: cbor::encode(message) }
}

/// A record's content.
enum Said {
    Peer(PeerRecord),
    Capability(CapabilityRecord),
}

impl Said {
    fn decode(topic: Topic, payload: &[u8]) -> Result<Self, BadCbor> {
        match topic {
            Topic::Peer => cbor::decode(payload).map(Self::Peer),
            Topic::Capability => cbor::decode(payload).map(Self::Capability),
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Peer(record) => cbor::encode(record),
            Self::Capability(record) => cbor::encode(record),
        }
    }
}
