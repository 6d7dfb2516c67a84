//! Reverse connections: a gateway that knows of a provider, and has no link to it, asks it to call. A provider is behind a
//! NAT as a rule, so there is no other way.
//!
//! An invite goes back the way the provider's record came, one link at a time, and holds what the gateway says of itself, as
//! it signed it. Whoever invites chooses whom a provider calls: so such a link is no call of its own choice (it is not
//! trusted more than one that came), an invite has only one caller however far it goes, each neighbour may pass on few, and
//! the oldest link that came of an invite, and has no work, makes room for the next.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use super::Labnet;
use super::conduct::{Deed, Offence};
use super::pace::Bucket;
use super::reach::Reach;
use crate::gossip::{Gossip, is_timely};
use crate::identity::{FepId, NodeId};
use crate::limits::{INVITE_HOPS, INVITED_LINKS, INVITES, INVITES_OF_ONE};
use crate::machine::{LinkId, OpId, Target};
use crate::node::config::Config;
use crate::node::cx::Cx;
use crate::wire::cbor::{self, Blob};
use crate::wire::envelope::{Kind, SignedFrame};
use crate::wire::mesh::{Invite, PeerRecord};

pub(super) struct Invites {
    reach: Reach,
    /// Whose gateways are called; nobody's by a node that is no provider.
    feps: BTreeSet<FepId>,
    /// What each neighbour passed on, and what was followed.
    passed_on: BTreeMap<LinkId, Bucket>,
    followed: Bucket,
    calling: BTreeMap<OpId, NodeId>,
    /// Links that came of an invite.
    up: BTreeSet<LinkId>,
}

impl Invites {
    pub(super) fn new(config: &Config) -> Self {
        let feps = config.provider.iter().flat_map(|_| &config.feps);
        Self {
            reach: config.reach.clone(),
            feps: feps.map(|fep| fep.fep_id).collect(),
            passed_on: BTreeMap::new(),
            followed: Bucket::default(),
            calling: BTreeMap::new(),
            up: BTreeSet::new(),
        }
    }

    /// Did the link come of an invite?
    pub(super) fn brought(&self, link: LinkId) -> bool {
        self.up.contains(&link)
    }

    pub(super) fn link_down(&mut self, link: LinkId) {
        self.passed_on.remove(&link);
        self.up.remove(&link);
    }

    /// True: it was called because it had invited us.
    pub(super) fn dialled(&mut self, op: OpId, result: &Result<LinkId, String>) -> bool {
        let invited = self.calling.remove(&op).is_some();
        if let (true, Ok(link)) = (invited, result) {
            self.up.insert(*link);
        }
        invited
    }

    /// The oldest of those that are too many, but of none in `busy`.
    pub(super) fn surplus(&self, busy: &BTreeSet<LinkId>) -> Option<LinkId> {
        let newest = self.up.last();
        let idle = |link: &&LinkId| Some(*link) != newest && !busy.contains(*link);
        (self.up.len() > INVITED_LINKS).then(|| self.up.iter().find(idle).copied())?
    }
}

impl Labnet {
    /// Asks a provider to call us. It comes, or it does not: nobody answers.
    pub(crate) fn invite(&mut self, cx: &mut Cx<'_>, gossip: &Gossip, provider: NodeId) {
        let Some(word) = gossip.word_of_ourselves(cx.me.node_id) else { return };
        let gateway = Blob(word.bytes().to_vec());
        self.send_invite(cx, gossip, &Invite { provider, hops: INVITE_HOPS, gateway }, None);
    }

    fn send_invite(&mut self, cx: &mut Cx<'_>, gossip: &Gossip, invite: &Invite, from: Option<LinkId>) {
        let linked = self.link_to(cx.me.node_id, invite.provider);
        match linked.or_else(|| gossip.way_to(&invite.provider)).filter(|link| Some(*link) != from) {
            Some(link) => self.say(cx, link, Kind::Invite, &cbor::encode(invite)),
            None => cx.debug(alloc::format!("no way to invite {}", invite.provider)),
        }
    }

    /// Follows an invite, or passes it on.
    pub(crate) fn invited(
        &mut self,
        cx: &mut Cx<'_>,
        gossip: &Gossip,
        link: LinkId,
        from: NodeId,
        payload: &[u8],
    ) {
        let Ok(invite) = cbor::decode::<Invite>(payload) else {
            return cx.note(from, Deed::Offence(Offence::Malformed));
        };
        let passed_on = self.invites.passed_on.entry(link).or_default();
        if passed_on.ready(INVITES_OF_ONE) > cx.now.mono {
            return;
        }
        passed_on.take(cx.now.mono, INVITES_OF_ONE, 1);
        if invite.provider == cx.me.node_id {
            self.follow(cx, invite);
        } else if let Some(hops) = invite.hops.min(INVITE_HOPS).checked_sub(1) {
            self.send_invite(cx, gossip, &Invite { hops, ..invite }, Some(link));
        }
    }

    fn follow(&mut self, cx: &mut Cx<'_>, invite: Invite) {
        let Some((gateway, record)) = word(cx, invite.gateway.0) else { return };
        let works = record.gateway && record.feps.iter().any(|fep| self.invites.feps.contains(fep));
        let linked = self.links.values().any(|state| state.node_id == gateway && !state.closed);
        let calling = self.invites.calling.values().any(|called| *called == gateway);
        let welcome = self.admission.admits(&gateway) && !self.conduct.bans(cx.now.mono, &gateway, None);
        let address = record.addresses.iter().find_map(|address| self.invites.reach.dialable(address));
        let in_time = self.invites.followed.ready(INVITES) <= cx.now.mono;
        if let Some(addr) = address.filter(|_| works && !linked && !calling && welcome && in_time) {
            self.invites.followed.take(cx.now.mono, INVITES, 1);
            cx.debug(alloc::format!("{gateway} asks to be called"));
            let op = cx.dial(Target::Mesh { addr: alloc::format!("{addr}"), node_id: gateway });
            self.invites.calling.insert(op, gateway);
        }
    }

    /// A call was answered, or not. False: it had nothing to do with an invite.
    pub(super) fn invite_dialled(
        &mut self,
        cx: &mut Cx<'_>,
        op: OpId,
        result: &Result<LinkId, String>,
    ) -> bool {
        if !self.invites.dialled(op, result) {
            return false;
        }
        if let Ok(link) = result
            && let Some(state) = self.links.get_mut(link)
        {
            state.chosen = false;
        }
        if let Some(link) = self.invites.surplus(&cx.owners.with_work()) {
            self.close(cx, link, "its place was needed");
        }
        true
    }
}

/// Who invites, and what it says of itself.
fn word(cx: &Cx<'_>, frame: Vec<u8>) -> Option<(NodeId, PeerRecord)> {
    let frame = SignedFrame::parse(frame).ok()?;
    let header = frame.header();
    if header.kind != Kind::PeerRecord as u16 || header.dest.is_some() || !is_timely(cx.now, header) {
        return None;
    }
    Some((header.sender, cbor::decode(frame.open(cx.me.network).ok()?).ok()?))
}
