//! Whom this node calls by itself, beside the peers that its operator named: gateways that hear of the same topics, so
//! that each topic's nodes are one mesh, and each provider is known where its models are asked for.
//!
//! Calls are chosen, connections that come are not: so it is calls that are counted. Who surrounds a node with links of
//! its own does not keep it from calling others, in other networks.
//!
//! Those whom a node called may all be one operator's, that owns as many networks as calls are wanted. A node to which none
//! of the peers that its operator named is linked can't know: so a gateway in doubt goes on calling, one after the other, and
//! each that comes takes the place of one that was called before, by chance. Nobody keeps all of its calls.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::{String, ToString},
    vec::Vec,
};
use core::net::SocketAddr;

use super::anchors::Anchors;
use super::reach::{Reach, networks};
use crate::identity::{FepId, NodeId};
use crate::limits::{
    CALL_AGAIN_FIRST, CALL_AGAIN_LAST, DOUBT_EVERY, GATEWAY_CALLS, LOOK_FIRST, LOOK_LAST, PEERS,
    PROVIDER_CALLS,
};
use crate::machine::{LinkId, OpId, Target};
use crate::node::config::Config;
use crate::node::cx::Cx;
use crate::rng::Stream;
use crate::time::{Span, Time, Wake};
use crate::wire::mesh::PeerRecord;
use crate::wire::topic::{Topic, Topics};

pub(crate) struct Caller {
    /// Calls wanted for each topic.
    wanted: usize,
    reach: Reach,
    /// A provider works for these only.
    feps: Option<BTreeSet<FepId>>,
    /// Whom the operator named, where who is called may be doubted.
    named: BTreeSet<NodeId>,
    /// At the last look none of them was linked.
    in_doubt: bool,
    calling: BTreeMap<OpId, (NodeId, SocketAddr)>,
    /// Links that came of calls.
    up: BTreeMap<LinkId, (NodeId, SocketAddr)>,
    /// Who did not answer, or did not admit us.
    failed: BTreeMap<NodeId, Failed>,
    anchors: Anchors,
    /// At the last look there were enough.
    has_enough: bool,
    look_at: Time,
    pause: Span,
    rng: Stream,
}

struct Failed {
    until: Time,
    pause: Span,
}

/// A neighbour, as far as it matters here.
pub(crate) struct Neighbour {
    pub(crate) node_id: NodeId,
    /// We called it, of our own choice.
    pub(crate) chosen: bool,
    pub(crate) interest: Topics,
}

impl Caller {
    pub(crate) fn new(config: &Config, anchors: Anchors, rng: Stream, now: Time) -> Self {
        let is_gateway = config.gateway.is_some();
        let feps = (!is_gateway).then(|| config.feps.iter().map(|fep| fep.fep_id).collect());
        Self {
            wanted: if is_gateway { GATEWAY_CALLS } else { PROVIDER_CALLS },
            reach: config.reach.clone(),
            feps,
            named: config.bootstrap.iter().map(|peer| peer.node_id).filter(|_| is_gateway).collect(),
            in_doubt: false,
            calling: BTreeMap::new(),
            up: BTreeMap::new(),
            failed: BTreeMap::new(),
            anchors,
            has_enough: false,
            look_at: now + LOOK_FIRST,
            pause: LOOK_FIRST,
            rng,
        }
    }

    /// More peers are known than before.
    pub(crate) fn heard_of_peers(&mut self, now: Time) {
        if !self.has_enough {
            self.look_soon(now);
        }
    }

    fn look_soon(&mut self, now: Time) {
        self.pause = LOOK_FIRST;
        self.look_at = self.look_at.min(now + LOOK_FIRST);
    }

    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.look_at <= now
    }

    pub(crate) fn poll_timeout(&self) -> Wake {
        Wake { at: self.look_at, why: "look for somebody to call" }
    }

    /// Calls one of those that cover most of what lacks calls, one a second. Where there is none, it gives the time until
    /// the next look.
    pub(crate) fn look<'a>(
        &mut self,
        cx: &mut Cx<'_>,
        seeks: &Topics,
        neighbours: &[Neighbour],
        callable: impl Iterator<Item = (NodeId, &'a PeerRecord)>,
    ) -> Option<Span> {
        let lacking = self.lacking(seeks, neighbours);
        self.has_enough = lacking.is_nothing();
        let is_named = |one: &Neighbour| self.named.contains(&one.node_id);
        self.in_doubt = !self.named.is_empty() && !neighbours.iter().any(is_named);
        let taken: BTreeSet<(bool, u128)> = self
            .up
            .values()
            .chain(self.calling.values())
            .map(|(_, address)| networks(address.ip())[1])
            .collect();
        if self.has_enough && !self.in_doubt {
            self.pause = LOOK_LAST;
            self.look_at = cx.now.mono + self.pause;
            // Only calls that are not doubted are called again after a restart.
            let admitted = self.up.values().filter(|(node_id, _)| {
                neighbours.iter().any(|one| one.node_id == *node_id && one.chosen && !one.interest.is_none())
            });
            self.anchors.keep(cx, admitted.copied());
            return None;
        }
        if let Some((node_id, address)) = self.next_anchor(neighbours) {
            self.call(cx, node_id, address);
            self.look_at = cx.now.mono + self.pause;
            return None;
        }
        let calls = neighbours.iter().filter(|one| one.chosen).count();
        let mut best: Option<(usize, u64, NodeId, SocketAddr)> = None;
        for (node_id, record) in callable {
            let linked = neighbours.iter().any(|one| one.node_id == node_id);
            let calling = self.is_calling(&node_id);
            let failed = self.failed.get(&node_id).is_some_and(|failed| cx.now.mono < failed.until);
            let works =
                self.feps.as_ref().is_none_or(|feps| record.feps.iter().any(|fep| feps.contains(fep)));
            let covers = lacking.covered_by(&record.interest);
            // Who knows nobody of use asks others, and for that any will do.
            let of_use = covers > 0 || calls < self.wanted || self.has_enough;
            if linked || calling || failed || !works || !of_use {
                continue;
            }
            let addresses = record.addresses.iter();
            let Some(address) = addresses.filter_map(|address| self.reach.dialable(address)).next() else {
                continue;
            };
            // One owner of many keys is called once.
            if taken.contains(&networks(address.ip())[1]) {
                continue;
            }
            let chance = self.rng.next_u64();
            if best.as_ref().is_none_or(|(most, luck, ..)| (covers, chance) > (*most, *luck)) {
                best = Some((covers, chance, node_id, address));
            }
        }
        match best {
            Some((.., node_id, address)) => {
                self.call(cx, node_id, address);
                self.pause = if self.has_enough { DOUBT_EVERY } else { LOOK_FIRST };
            }
            None => {
                self.pause = self.pause.doubled().min(if self.in_doubt { DOUBT_EVERY } else { LOOK_LAST });
            }
        }
        self.look_at = cx.now.mono + self.pause;
        (self.pause > LOOK_FIRST).then_some(self.pause)
    }

    /// Who may still be dialled, by what its operator says now.
    fn next_anchor(&mut self, neighbours: &[Neighbour]) -> Option<(NodeId, SocketAddr)> {
        while let Some((node_id, address)) = self.anchors.poll() {
            let linked = neighbours.iter().any(|one| one.node_id == node_id);
            if !linked && self.reach.dialable(&address.to_string()).is_some() {
                return Some((node_id, address));
            }
        }
        None
    }

    pub(super) fn is_calling(&self, node_id: &NodeId) -> bool {
        self.calling.values().any(|(called, _)| called == node_id)
    }

    fn call(&mut self, cx: &mut Cx<'_>, node_id: NodeId, address: SocketAddr) {
        let op = cx.dial(Target::Mesh { addr: address.to_string(), node_id });
        self.calling.insert(op, (node_id, address));
    }

    /// A link that is to go: in doubt, each that came of a call takes the place of another, but of none in `busy`.
    pub(crate) fn surplus(&mut self, busy: &BTreeSet<LinkId>) -> Option<LinkId> {
        if !self.in_doubt || !self.has_enough || self.up.len() <= self.wanted {
            return None;
        }
        let newest = self.up.keys().next_back().copied();
        let older = self.up.keys().filter(|link| Some(**link) != newest && !busy.contains(link));
        let older: Vec<LinkId> = older.copied().collect();
        older.get(self.rng.below(older.len() as u64) as usize).copied()
    }

    /// True: it was a call of ours.
    pub(crate) fn dialled(&mut self, op: OpId, result: &Result<LinkId, String>, now: Time) -> bool {
        let Some((node_id, address)) = self.calling.remove(&op) else { return false };
        match result {
            Ok(link) => {
                self.up.insert(*link, (node_id, address));
            }
            Err(_) => self.fail(node_id, now),
        }
        true
    }

    /// It was admitted there before or not at all.
    pub(crate) fn link_down(&mut self, link: LinkId, admitted: bool, now: Time) {
        if let Some((node_id, _)) = self.up.remove(&link)
            && !admitted
        {
            self.fail(node_id, now);
        }
        // In doubt one goes for each that comes, at an even pace.
        if !(self.in_doubt && self.has_enough) {
            self.look_soon(now);
        }
    }

    pub(crate) fn admitted(&mut self, node_id: &NodeId) {
        self.failed.remove(node_id);
    }

    fn fail(&mut self, node_id: NodeId, now: Time) {
        if self.failed.len() >= PEERS {
            self.failed.retain(|_, failed| now < failed.until);
        }
        if self.failed.len() < PEERS || self.failed.contains_key(&node_id) {
            let failed = self.failed.entry(node_id).or_insert(Failed { until: now, pause: CALL_AGAIN_FIRST });
            failed.until = now + failed.pause;
            failed.pause = failed.pause.doubled().min(CALL_AGAIN_LAST);
        }
    }

    /// The topics that fewer of those we called hear of than we want.
    fn lacking(&self, seeks: &Topics, neighbours: &[Neighbour]) -> Lacking {
        let called: Vec<&Neighbour> =
            neighbours.iter().filter(|one| one.chosen && !one.interest.is_none()).collect();
        let enough = |covers: &dyn Fn(&Topics) -> bool| {
            called.iter().filter(|one| covers(&one.interest)).count() >= self.wanted
        };
        match seeks {
            Topics::These(topics) if !topics.is_empty() => {
                Lacking::Of(topics.iter().copied().filter(|topic| !enough(&|all| all.cover(topic))).collect())
            }
            // Who hears of all, or does not know yet, is linked to anybody.
            Topics::All | Topics::These(_) => {
                if enough(&|_| true) {
                    Lacking::Of(BTreeSet::new())
                } else {
                    Lacking::Any
                }
            }
        }
    }
}

enum Lacking {
    Any,
    Of(BTreeSet<Topic>),
}

impl Lacking {
    fn is_nothing(&self) -> bool {
        matches!(self, Self::Of(topics) if topics.is_empty())
    }

    fn covered_by(&self, interest: &Topics) -> usize {
        match self {
            Self::Any => usize::from(!interest.is_none()) + usize::from(*interest == Topics::All),
            Self::Of(topics) => topics.iter().filter(|topic| interest.cover(topic)).count(),
        }
    }
}
