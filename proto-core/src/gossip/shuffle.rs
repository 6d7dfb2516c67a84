//! Peers: a neighbour is told of some that this node knows, itself among them, and tells of some in return; of those first that
//! hear of what the other seeks.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{By, Due, Gossip, Say, pick, say};
use crate::identity::NodeId;
use crate::limits::{
    CONTROL_FRAME, PROVIDER_SHUFFLE_EVERY, SHUFFLE_EVERY, SHUFFLE_SOON, SHUFFLED, SOUGHT, TOPICS,
};
use crate::machine::LinkId;
use crate::node::cx::Cx;
use crate::time::Span;
use crate::wire::cbor::Blob;
use crate::wire::envelope::{Kind, OVERHEAD, SignedFrame};
use crate::wire::mesh::{About, Key, Shuffle};
use crate::wire::topic::{Topic, Topics};

/// Bytes for records in a shuffle, each with the head of its CBOR item: what is left beside all topics that may be sought.
const SHUFFLE_ROOM: usize = CONTROL_FRAME - OVERHEAD - 16 - TOPICS * 9;
const ITEM_HEAD: usize = 3;

impl Gossip {
    /// Those that are known are not enough: a neighbour is asked for others, not sooner than that.
    pub(crate) fn ask_for_peers(&mut self, cx: &Cx<'_>, after: Span) {
        let at = cx.now.mono + after.max(SHUFFLE_SOON).min(SHUFFLE_EVERY);
        if self.due.at(Due::Shuffle).is_none_or(|due| at < due) {
            self.due.set(Due::Shuffle, at, "ask a neighbour for peers");
        }
    }

    /// The topics for which we look for neighbours: what we hear of, or what we serve.
    pub(crate) fn seeks(&self) -> Topics {
        if self.interest.is_none() { self.own.topics() } else { self.interest.clone() }
    }

    pub(super) fn shuffle_with_one(&mut self, cx: &Cx<'_>) -> Option<Say> {
        let gateways = self.tree.neighbours().filter(|(_, _, interest)| !interest.is_none());
        let link = pick(&mut self.rng, gateways).map(|(link, _, _)| link)?;
        let slowest = if self.interest.is_none() { PROVIDER_SHUFFLE_EVERY } else { SHUFFLE_EVERY };
        self.shuffle_pause = self.shuffle_pause.doubled().min(slowest);
        self.due.set(Due::Shuffle, cx.now.mono + self.shuffle_pause, "exchange peers with a neighbour");
        self.shuffle(cx, link, true, &self.seeks())
    }

    /// What to ask neighbours for: gateways that hear of what we seek, or of what those who asked us did not get.
    fn asks(&self, cx: &Cx<'_>) -> Topics {
        let sought = Topics::These(self.sought.topics(cx.now.mono));
        match self.seeks() {
            seeks if sought.is_none() => seeks,
            // Any will do for us.
            Topics::All => sought,
            seeks @ Topics::These(_) => seeks.with(&sought),
        }
    }

    /// Is there somebody, other than that one, who hears of a topic?
    fn knows_of(&self, topic: &Topic, other_than: Option<NodeId>) -> bool {
        let linked = self.tree.neighbours().map(|(_, node_id, _)| node_id);
        let mut known = self.peers.iter().chain(linked).filter(|one| Some(*one) != other_than);
        known.any(|one| {
            let record = self.view.peer_of(&one);
            record.is_some_and(|record| record.gateway && record.interest.cover(topic))
        })
    }

    fn seek_for(&mut self, cx: &Cx<'_>, asker: LinkId, topics: &Topics) {
        let Topics::These(topics) = topics else { return };
        let there = self.tree.node_of(asker);
        let lacking = topics.iter().filter(|topic| !self.knows_of(topic, there));
        let lacking: BTreeSet<Topic> = lacking.take(SOUGHT).copied().collect();
        if !lacking.is_empty() {
            self.sought.ask(cx.now.mono, asker, lacking);
            self.ask_for_peers(cx, SHUFFLE_SOON);
        }
    }

    /// Tells those who asked for somebody in vain, if we know of one now.
    fn tell_seekers(&mut self, cx: &Cx<'_>) -> Vec<Say> {
        let mut sought = core::mem::take(&mut self.sought);
        let found = sought.found(cx.now.mono, |topic| self.knows_of(topic, None));
        self.sought = sought;
        found.into_iter().filter_map(|(link, topics)| self.shuffle(cx, link, false, &topics)).collect()
    }

    /// Tells a neighbour of ourselves and some others, of those first that hear of these topics.
    pub(super) fn shuffle(
        &mut self,
        cx: &Cx<'_>,
        link: LinkId,
        answer: bool,
        topics: &Topics,
    ) -> Option<Say> {
        let there = self.tree.node_of(link)?;
        let linked = self.tree.neighbours().map(|(_, node_id, _)| node_id);
        // The best so far, the worst of them last.
        let mut chosen: Vec<(bool, u64, NodeId)> = Vec::with_capacity(SHUFFLED);
        for node_id in self.peers.iter().chain(linked).filter(|one| *one != there) {
            let Some(record) = self.view.peer_of(&node_id) else { continue };
            if !record.gateway || record.addresses.is_empty() {
                continue;
            }
            let one = (!record.interest.meet(topics), self.rng.next_u64(), node_id);
            let at = chosen.partition_point(|other| *other < one);
            if at < SHUFFLED - 1 && !chosen.iter().any(|(.., other)| *other == node_id) {
                chosen.truncate(SHUFFLED - 2);
                chosen.insert(at, one);
            }
        }
        let told = [cx.me.node_id].into_iter().chain(chosen.into_iter().map(|(.., node_id)| node_id));
        let records = told.filter_map(|node_id| self.records.get(&Key::peer(node_id)));
        // Records may be so long that not all go into a frame. Who sent a longer one would be cut off for it.
        let mut room = SHUFFLE_ROOM;
        let fitting = records.map(|record| record.frame.bytes()).filter(|bytes| {
            let left = room.checked_sub(bytes.len() + ITEM_HEAD);
            room = left.unwrap_or(room);
            left.is_some()
        });
        let peers: Vec<Blob> = fitting.map(|bytes| Blob(bytes.to_vec())).collect();
        Some(say(link, Kind::Shuffle, &Shuffle { peers, answer, topics: self.asks(cx) }))
    }

    pub(super) fn shuffled(&mut self, cx: &mut Cx<'_>, link: LinkId, by: By, message: Shuffle) -> Vec<Say> {
        let from = self.shuffle_from.entry(link).or_insert(cx.now.mono);
        if cx.now.mono < *from {
            return Vec::new();
        }
        *from = cx.now.mono + if message.answer { SHUFFLE_SOON } else { Span::default() };
        for blob in message.peers.into_iter().take(SHUFFLED) {
            let Ok(frame) = SignedFrame::parse(blob.0) else { continue };
            if About::of(frame.header().kind) == Some(About::Peer) {
                self.hear(cx, About::Peer, frame, Some(link), Some(by));
            }
        }
        if !message.answer {
            return self.tell_seekers(cx);
        }
        // A provider is asked by nobody who could not ask its gateways.
        if !self.interest.is_none() {
            self.seek_for(cx, link, &message.topics);
        }
        self.shuffle(cx, link, false, &message.topics).into_iter().collect()
    }
}
