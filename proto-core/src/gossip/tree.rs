//! Whom a new record is sent to, and who is only told that it is there (Leitão, Pereira, Rodrigues: "Epidemic broadcast
//! trees", 2007).
//!
//! Everybody is sent records at first. Who has one already says so ([`Prune`](crate::wire::mesh::Prune)) and is sent
//! announcements from then on; so what is left is a tree. Who does not get what was announced asks for it
//! ([`Want`](crate::wire::mesh::Want)), and is a branch again. Each topic has a tree of its own, of the nodes that hear of
//! it; those who hear of all topics have one for all. What [`roots`](super::roots) says of a link goes before all that.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

use super::roots::{Edge, Turn};
use crate::identity::NodeId;
use crate::limits::{
    ANNOUNCE_EVERY, ANNOUNCED_AT_ONCE, COMPARED, DIGEST_AT_MOST, HOLDERS, TOPICS, WANT_AFTER, WANT_SOON,
    WANT_WITHIN, WANTED,
};
use crate::machine::LinkId;
use crate::mutants::{Mutant, mutant};
use crate::time::{Time, Wake};
use crate::timers::Timers;
use crate::wire::mesh::{Key, Mark, Version};
use crate::wire::topic::{Topic, Topics};

#[derive(Default)]
pub(super) struct Tree {
    neighbours: BTreeMap<LinkId, Neighbour>,
    /// How many links there are to each node.
    linked: BTreeMap<NodeId, u32>,
    /// Neighbours that are owed something since they were last asked about.
    ready: BTreeSet<LinkId>,
    /// What was announced and has not come.
    missing: BTreeMap<Key, Missing>,
    missing_due: Timers<Key>,
    announce_due: Timers<()>,
}

struct Neighbour {
    node_id: NodeId,
    /// What it wants to hear of.
    interest: Topics,
    /// We called it, of our own choice.
    chosen: bool,
    /// Both of us hear of all topics.
    equal: bool,
    /// Trees on which it is no branch: it is only told what is new.
    told: BTreeSet<Topic>,
    /// Trees on which we asked it to tell us only.
    pruned: BTreeSet<Topic>,
    /// To be sent, as it reads.
    owed: BTreeSet<Key>,
    /// To be announced.
    untold: BTreeSet<Key>,
    /// When it is listened to again that compares what it holds.
    digest_from: Time,
    /// Until when what it announces is taken for what a comparison found.
    compared_until: Time,
    /// Until when what it wants is.
    compares_until: Time,
}

impl Neighbour {
    fn tree(&self, tree: Topic) -> Topic {
        if self.equal { Topic::NONE } else { tree }
    }

    fn branch(&mut self, tree: Topic) {
        let tree = self.tree(tree);
        self.told.remove(&tree);
        self.pruned.remove(&tree);
    }
}

/// Who says that it holds which version, in the order in which they are asked. Not the latest alone: some may lie.
#[derive(Default)]
struct Missing {
    holders: VecDeque<(LinkId, Version)>,
}

impl Tree {
    pub(super) fn link_up(
        &mut self,
        link: LinkId,
        node_id: NodeId,
        chosen: bool,
        ours: &Topics,
        interest: Topics,
    ) {
        let neighbour = Neighbour {
            node_id,
            chosen,
            equal: (ours, &interest) == (&Topics::All, &Topics::All),
            interest,
            told: BTreeSet::new(),
            pruned: BTreeSet::new(),
            owed: BTreeSet::new(),
            untold: BTreeSet::new(),
            digest_from: Time::ZERO,
            compared_until: Time::ZERO,
            compares_until: Time::ZERO,
        };
        self.neighbours.insert(link, neighbour);
        *self.linked.entry(node_id).or_default() += 1;
    }

    pub(super) fn link_down(&mut self, link: LinkId) -> Option<NodeId> {
        self.ready.remove(&link);
        let node_id = self.neighbours.remove(&link)?.node_id;
        if let Some(many) = self.linked.get_mut(&node_id) {
            *many -= 1;
            if *many == 0 {
                self.linked.remove(&node_id);
            }
        }
        Some(node_id)
    }

    pub(super) fn is_linked(&self, node_id: &NodeId) -> bool {
        self.linked.contains_key(node_id)
    }

    pub(super) fn node_of(&self, link: LinkId) -> Option<NodeId> {
        self.neighbours.get(&link).map(|neighbour| neighbour.node_id)
    }

    pub(super) fn neighbours(&self) -> impl Iterator<Item = (LinkId, NodeId, &Topics)> {
        self.neighbours.iter().map(|(link, one)| (*link, one.node_id, &one.interest))
    }

    pub(super) fn is_chosen(&self, link: LinkId) -> bool {
        self.neighbours.get(&link).is_some_and(|neighbour| neighbour.chosen)
    }

    pub(super) fn interest(&self, link: LinkId) -> Option<&Topics> {
        self.neighbours.get(&link).map(|neighbour| &neighbour.interest)
    }

    /// On which tree with that neighbour is what is on that one?
    pub(super) fn with(&self, link: LinkId, tree: Topic) -> Topic {
        self.neighbours.get(&link).map_or(tree, |neighbour| neighbour.tree(tree))
    }

    /// To all neighbours, whatever their interest.
    pub(super) fn owe_all(&mut self, key: Key) {
        for (link, neighbour) in &mut self.neighbours {
            neighbour.owed.insert(key);
            self.ready.insert(*link);
        }
    }

    /// That neighbour is to be sent these records.
    pub(super) fn owe(&mut self, link: LinkId, keys: impl IntoIterator<Item = Key>) {
        if let Some(neighbour) = self.neighbours.get_mut(&link) {
            neighbour.owed.extend(keys);
            self.ready.insert(link);
        }
    }

    /// That neighbour is to be told of these records.
    pub(super) fn tell(&mut self, now: Time, link: LinkId, keys: Vec<Key>) {
        if let Some(neighbour) = self.neighbours.get_mut(&link).filter(|_| !keys.is_empty()) {
            neighbour.untold.extend(keys);
            self.announce_soon(now);
        }
    }

    /// A new record: along the branches at once, to all others in a while.
    pub(super) fn spread(&mut self, now: Time, mark: Mark, topics: &Topics, from: Option<LinkId>) {
        self.came(&mark);
        let (key, tree) = (mark.key, topics.tree());
        let mut untold = false;
        for (link, neighbour) in &mut self.neighbours {
            // Who is suspected is to hear of it: nobody else can refute it.
            let concerns = neighbour.interest.meet(topics) || key.subject == Some(neighbour.node_id);
            if Some(*link) == from || !concerns {
                continue;
            }
            if !neighbour.told.contains(&neighbour.tree(tree)) {
                neighbour.owed.insert(key);
                self.ready.insert(*link);
            } else {
                neighbour.untold.insert(key);
                untold = true;
            }
        }
        if untold {
            self.announce_soon(now);
        }
    }

    /// A new record of ours, where we are no part of its tree: to one of those who are, and all others are told of it. Sent
    /// to several it would meet itself on the tree, and break branches there.
    pub(super) fn inject(&mut self, now: Time, mark: Mark, topics: &Topics) {
        let concerned = self.neighbours.iter_mut().filter(|(_, one)| one.interest.meet(topics));
        let mut told = 0;
        for (index, (link, neighbour)) in concerned.enumerate() {
            if index == 0 {
                neighbour.owed.insert(mark.key);
                self.ready.insert(*link);
            } else {
                neighbour.untold.insert(mark.key);
                told += 1;
            }
        }
        if told > 0 {
            self.announce_soon(now);
        }
    }

    /// It sent what we had. True: it is to be told not to.
    pub(super) fn prune(&mut self, link: LinkId, tree: Topic) -> bool {
        let Some(neighbour) = self.neighbours.get_mut(&link) else { return false };
        let tree = neighbour.tree(tree);
        neighbour.told.insert(tree);
        neighbour.pruned.insert(tree)
    }

    /// It has what we send. A stranger to that topic is not heard, or it would fill our memory with topics.
    pub(super) fn no_branch(&mut self, link: LinkId, tree: Topic) {
        if let Some(neighbour) = self.neighbours.get_mut(&link)
            && (neighbour.interest.cover(&tree) || tree == Topic::NONE)
            && neighbour.told.len() < TOPICS
        {
            neighbour.told.insert(neighbour.tree(tree));
        }
    }

    /// It sent us something new, or wants what we announced. What a comparison found lacking was lost some time ago, and says
    /// nothing of the branches that there are now.
    pub(super) fn branch(&mut self, now: Time, link: LinkId, tree: Topic) {
        let news = |one: &&mut Neighbour| now >= one.compared_until.max(one.compares_until);
        if let Some(neighbour) = self.neighbours.get_mut(&link).filter(news) {
            neighbour.branch(tree);
        }
    }

    /// Both ends agree whether that link is a branch; so neither need say so.
    pub(super) fn turn(&mut self, Turn { link, tree, edge }: Turn) {
        let Some(neighbour) = self.neighbours.get_mut(&link) else { return };
        match edge {
            Edge::Above | Edge::Below => neighbour.branch(tree),
            Edge::Aside => {
                neighbour.told.insert(tree);
                neighbour.pruned.insert(tree);
            }
            Edge::Unknown => {}
        }
    }

    /// It is sent a digest: what differs it announces.
    pub(super) fn compares(&mut self, now: Time, link: LinkId) {
        if let Some(neighbour) = self.neighbours.get_mut(&link) {
            neighbour.compared_until = now + COMPARED;
        }
    }

    /// Whether a digest of that neighbour's is looked at now.
    pub(super) fn hears_digest(&mut self, now: Time, link: LinkId) -> bool {
        let Some(neighbour) = self.neighbours.get_mut(&link).filter(|one| now >= one.digest_from) else {
            return false;
        };
        neighbour.digest_from = now + DIGEST_AT_MOST;
        neighbour.compares_until = now + COMPARED;
        true
    }

    /// A neighbour holds what we lack.
    pub(super) fn lacking(&mut self, now: Time, link: LinkId, mark: Mark) {
        let full = !self.missing.contains_key(&mark.key) && self.missing.len() >= WANTED;
        if full || mutant(Mutant::AnnouncedNotWanted) {
            return;
        }
        let holders = &mut self.missing.entry(mark.key).or_default().holders;
        let has_room = holders.len() < HOLDERS;
        match holders.iter_mut().find(|(holder, _)| *holder == link) {
            Some((_, version)) => *version = mark.version,
            None if has_room => holders.push_back((link, mark.version)),
            None => {}
        }
        if !self.missing_due.is_set(mark.key) {
            let compared = self.neighbours.get(&link).is_some_and(|one| now < one.compared_until);
            let after = if compared { WANT_SOON } else { WANT_AFTER };
            self.missing_due.set(mark.key, now + after, "an announced record has not come");
        }
    }

    /// What is to be asked for now, and of whom.
    pub(super) fn overdue(&mut self, now: Time) -> BTreeMap<LinkId, Vec<Key>> {
        let mut wanted: BTreeMap<LinkId, Vec<Key>> = BTreeMap::new();
        while let Some(key) = self.missing_due.expired(now) {
            let Some(missing) = self.missing.get_mut(&key) else { continue };
            let holder = core::iter::from_fn(|| missing.holders.pop_front())
                .find(|(link, _)| self.neighbours.contains_key(link));
            match holder {
                Some((link, _)) => {
                    wanted.entry(link).or_default().push(key);
                    self.missing_due.set(key, now + WANT_WITHIN, "a record that was asked for has not come");
                }
                // Nobody has it any more, or nobody ever had.
                None => {
                    self.missing.remove(&key);
                }
            }
        }
        wanted
    }

    /// What is to be announced now, and to whom.
    pub(super) fn announcements(&mut self, now: Time) -> Vec<(LinkId, Vec<Key>)> {
        if self.announce_due.expired(now).is_none() {
            return Vec::new();
        }
        let mut told = Vec::new();
        let mut left = false;
        for (link, neighbour) in &mut self.neighbours {
            let keys: Vec<Key> = neighbour.untold.iter().take(ANNOUNCED_AT_ONCE).copied().collect();
            keys.iter().for_each(|key| {
                neighbour.untold.remove(key);
            });
            left |= !neighbour.untold.is_empty();
            told.push((*link, keys));
        }
        if left {
            self.announce_soon(now);
        }
        told
    }

    /// A neighbour that is owed something new.
    pub(super) fn poll_ready(&mut self) -> Option<LinkId> {
        self.ready.pop_first()
    }

    /// The next record that it is owed.
    pub(super) fn next_owed(&mut self, link: LinkId) -> Option<Key> {
        self.neighbours.get_mut(&link)?.owed.pop_first()
    }

    /// Records that a neighbour is yet to be sent or told of.
    pub(super) fn queued(&self, link: LinkId) -> usize {
        self.neighbours.get(&link).map_or(0, |neighbour| neighbour.owed.len() + neighbour.untold.len())
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        Wake::earliest(self.missing_due.next(), self.announce_due.next())
    }

    /// Who holds no later version need not be asked any more.
    fn came(&mut self, mark: &Mark) {
        let Some(missing) = self.missing.get_mut(&mark.key) else { return };
        missing.holders.retain(|(_, version)| *version > mark.version);
        if missing.holders.is_empty() {
            self.missing.remove(&mark.key);
            self.missing_due.clear(mark.key);
        }
    }

    fn announce_soon(&mut self, now: Time) {
        self.announce_due.start((), now + ANNOUNCE_EVERY, "new records are to be announced");
    }
}
