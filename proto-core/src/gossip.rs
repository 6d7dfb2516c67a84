//! What nodes tell everybody: signed records, last writer wins, passed on byte for byte.
//!
//! In its simplest honest form: on connecting, all records that are held, as fast as the neighbour reads them; and each
//! that is new, to every other neighbour. A record is looked at only if it is newer than the one held, so a flood dies out by itself, and each is
//! verified once however many neighbours send it.
//!
//! A provider that is nothing else is a *leaf*: it needs to know gateways only, and says so in its Hello. So what a mesh of
//! many providers and few gateways costs at each provider grows with the gateways.

mod view;

use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::Bound;

pub(crate) use view::{Served, View};

use crate::identity::NodeId;
use crate::limits::{RECORD_REFRESH, RECORD_TTL, RECORDS, UNTIMELY};
use crate::machine::LinkId;
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::time::{Now, Span, Wake};
use crate::timers::Timers;
use crate::wire::cbor::{self, BadCbor};
use crate::wire::envelope::{Header, Kind, SignedFrame};
use crate::wire::mesh::{CapabilityRecord, PeerRecord};

/// A record signed further ahead of our clock than this is not believed.
const CLOCK_TOLERANCE: Span = Span::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Peer,
    Capability,
}

pub(crate) enum Output {
    /// Pass this record on to all admitted neighbours that want it but the one it came from.
    Spread { record: Record, but: Option<LinkId> },
}

/// A record as it is passed on.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) frame: SignedFrame,
    /// Leaves want it too: it speaks of a gateway, or of what was one.
    pub(crate) for_leaves: bool,
}

#[derive(Default)]
pub(crate) struct Gossip {
    /// Nothing is kept that is not for leaves.
    leaf: bool,
    records: BTreeMap<(Topic, NodeId), Record>,
    /// New neighbours that are still being told all records, and which each was told last.
    introductions: BTreeMap<LinkId, Option<(Topic, NodeId)>>,
    expiry: Timers<(Topic, NodeId)>,
    /// Records that our clock speaks against. It may be ours that is wrong: they are looked at again when it is set.
    untimely: BTreeMap<(Topic, NodeId), SignedFrame>,
    untimely_expiry: Timers<(Topic, NodeId)>,
    view: View,
    own: Own,
    refresh: Timers<()>,
}

/// What this node says of itself.
#[derive(Default)]
struct Own {
    peer: Option<PeerRecord>,
    capability: Option<CapabilityRecord>,
    seq: u64,
}

impl Gossip {
    pub(crate) fn new(leaf: bool) -> Self {
        Self { leaf, ..Self::default() }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Says something new of ourselves; nothing happens if it is what we said last.
    pub(crate) fn announce_peer(&mut self, cx: &mut Cx<'_>, record: PeerRecord) -> Vec<Output> {
        if self.own.peer.as_ref() == Some(&record) {
            return Vec::new();
        }
        self.own.peer = Some(record);
        self.sign(cx, Topic::Peer)
    }

    pub(crate) fn announce_capability(&mut self, cx: &mut Cx<'_>, record: CapabilityRecord) -> Vec<Output> {
        if self.own.capability.as_ref() == Some(&record) {
            return Vec::new();
        }
        self.view.capability(cx.me.network, cx.me.node_id, &record);
        self.own.capability = Some(record);
        self.sign(cx, Topic::Capability)
    }

    /// A new neighbour should know all that is held: see [`Self::next_for`].
    pub(crate) fn introduce(&mut self, link: LinkId) {
        self.introductions.insert(link, None);
    }

    /// The next record for a new neighbour; `None` once it was told all.
    pub(crate) fn next_for(&mut self, link: LinkId) -> Option<&Record> {
        let told = self.introductions.get_mut(&link)?;
        let after = told.map_or(Bound::Unbounded, Bound::Excluded);
        let Some((key, record)) = self.records.range((after, Bound::Unbounded)).next() else {
            self.introductions.remove(&link);
            return None;
        };
        *told = Some(*key);
        Some(record)
    }

    pub(crate) fn link_down(&mut self, link: LinkId) {
        self.introductions.remove(&link);
    }

    pub(crate) fn handle(&mut self, cx: &mut Cx<'_>, from: LinkId, frame: SignedFrame) -> Vec<Output> {
        let topic = match Kind::from_u16(frame.header().kind) {
            Some(Kind::PeerRecord) => Topic::Peer,
            Some(Kind::CapabilityRecord) => Topic::Capability,
            _ => return Vec::new(),
        };
        self.hear(cx, topic, frame, Some(from))
    }

    fn hear(
        &mut self,
        cx: &mut Cx<'_>,
        topic: Topic,
        frame: SignedFrame,
        from: Option<LinkId>,
    ) -> Vec<Output> {
        let header = *frame.header();
        let timely = is_timely(cx.now, &header);
        if header.sender == cx.me.node_id || !self.is_news(topic, &header, timely) {
            return Vec::new();
        }
        let Ok(payload) = frame.open(cx.me.network) else {
            cx.warn(alloc::format!("dropped a record with a bad signature, said to be of {}", header.sender));
            return Vec::new();
        };
        if !timely {
            self.put_aside(cx, (topic, header.sender), frame);
            return Vec::new();
        }
        let Ok(said) = Said::decode(topic, payload) else {
            cx.debug(alloc::format!("dropped a malformed record of {}", header.sender));
            return Vec::new();
        };
        let for_leaves = self.is_for_leaves((topic, header.sender), &said);
        if self.leaf && !for_leaves {
            return Vec::new();
        }
        match said {
            Said::Peer(record) => self.view.peer(header.sender, record),
            Said::Capability(record) => self.view.capability(cx.me.network, header.sender, &record),
        }
        let record = Record { frame, for_leaves };
        self.keep(cx, topic, record.clone());
        [Output::Spread { record, but: from }].into()
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some((topic, node_id)) = self.expiry.expired(cx.now.mono) {
            self.records.remove(&(topic, node_id));
            match topic {
                Topic::Peer => self.view.forget_peer(&node_id),
                Topic::Capability => self.view.forget_capability(&node_id),
            }
        }
        while let Some(key) = self.untimely_expiry.expired(cx.now.mono) {
            self.untimely.remove(&key);
        }
        if self.refresh.expired(cx.now.mono).is_some() {
            outputs.extend(self.renew(cx));
        }
        outputs
    }

    /// What we said by the wrong time nobody believes, and what we did not believe by it may be right.
    pub(crate) fn clock_was_set(&mut self, cx: &mut Cx<'_>) -> Vec<Output> {
        let mut outputs = self.renew(cx);
        for ((topic, _), frame) in core::mem::take(&mut self.untimely) {
            outputs.extend(self.hear(cx, topic, frame, None));
        }
        outputs
    }

    /// Signs anew what we say of ourselves.
    fn renew(&mut self, cx: &mut Cx<'_>) -> Vec<Output> {
        [Topic::Peer, Topic::Capability].into_iter().flat_map(|topic| self.sign(cx, topic)).collect()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        let wake = Wake::earliest(self.expiry.next(), self.untimely_expiry.next());
        Wake::earliest(wake, self.refresh.next())
    }

    fn sign(&mut self, cx: &mut Cx<'_>, topic: Topic) -> Vec<Output> {
        let (kind, said) = match topic {
            Topic::Peer => (Kind::PeerRecord, self.own.peer.clone().map(Said::Peer)),
            Topic::Capability => (Kind::CapabilityRecord, self.own.capability.clone().map(Said::Capability)),
        };
        let Some(said) = said else { return Vec::new() };
        self.own.seq += 1;
        let key = (topic, cx.me.node_id);
        let frame = cx.me.sign(cx.now, kind, None, self.own.seq, RECORD_TTL, &said.encode());
        let record = Record { frame, for_leaves: self.is_for_leaves(key, &said) };
        self.records.insert(key, record.clone());
        if !mutant(Mutant::RecordNotRefreshed) {
            self.refresh.set((), cx.now.mono + RECORD_REFRESH, "sign our records anew");
        }
        [Output::Spread { record, but: None }].into()
    }

    /// What a gateway says, and that it is none any more.
    fn is_for_leaves(&self, key: (Topic, NodeId), said: &Said) -> bool {
        matches!(said, Said::Peer(PeerRecord { gateway: true, .. }))
            || self.records.get(&key).is_some_and(|held| held.for_leaves)
    }

    /// Looked at before the signature is: newer than what is held or put aside, and with room for it.
    fn is_news(&self, topic: Topic, header: &Header, timely: bool) -> bool {
        let key = (topic, header.sender);
        let life = |header: &Header| {
            if mutant(Mutant::SequenceOverIncarnation) { 0 } else { header.incarnation }
        };
        let newer = |held: &Header| (life(header), header.seq) > (life(held), held.seq);
        let held = self.records.get(&key).map(|held| held.frame.header());
        let aside = self.untimely.get(&key).map(SignedFrame::header);
        let sane = header.ttl_s > 0
            && Span::from_secs(u64::from(header.ttl_s)) <= RECORD_TTL
            && header.dest.is_none();
        let wanted = if timely {
            held.is_some() || self.records.len() < RECORDS
        } else {
            aside.map_or(self.untimely.len() < UNTIMELY, newer)
        };
        sane && held.is_none_or(newer) && wanted
    }

    fn put_aside(&mut self, cx: &Cx<'_>, key: (Topic, NodeId), frame: SignedFrame) {
        if !self.untimely_expiry.is_set(key) {
            self.untimely_expiry.set(key, cx.now.mono + RECORD_TTL, "an untimely gossip record is forgotten");
        }
        self.untimely.insert(key, frame);
    }

    fn keep(&mut self, cx: &Cx<'_>, topic: Topic, record: Record) {
        let header = record.frame.header();
        let left = Span::from_millis(header.expires().0.saturating_sub(cx.now.wall.0));
        let key = (topic, header.sender);
        // Never longer than the life of a record, whatever the clocks say.
        self.expiry.set(key, cx.now.mono + left.min(RECORD_TTL), "a gossip record expires");
        self.records.insert(key, record);
    }
}

/// Alive, and not of a clock far ahead.
fn is_timely(now: Now, header: &Header) -> bool {
    now.wall < header.expires() && header.issued <= now.wall + CLOCK_TOLERANCE
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
