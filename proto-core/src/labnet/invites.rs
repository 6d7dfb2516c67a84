//! Reverse connections: a gateway that knows of a provider, and has no link to it, asks it to call. A provider is behind a
//! NAT as a rule, so there is no other way.
//!
//! The invitation goes back the way the provider's record came, one link at a time; each checks the gateway's signature, so
//! that nobody is asked in another's name. Still, who invites chooses whom a provider calls. So such a link is trusted no more
//! than one that came, an invitation has one call as its effect however far it goes, each neighbour may bring few, a network
//! that does not answer is left alone, and links that came of invitations and have no work make room for the next.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use super::conduct::{Deed, Offence};
use super::reach::Reach;
use super::{Labnet, networks};
use crate::gossip::Gossip;
use crate::identity::{FepId, NodeId};
use crate::limits::{
    CLOCK_SKEW, INVITATION, INVITE_HOPS, INVITED_LINKS, INVITES_FOLLOWED, INVITES_OF_ONE, UNANSWERED,
    UNANSWERED_FOR,
};
use crate::machine::{LinkId, OpId, Target};
use crate::node::config::Config;
use crate::node::cx::Cx;
use crate::rate::Bucket;
use crate::time::Time;
use crate::wire::cbor::{self, Blob};
use crate::wire::envelope::Kind;
use crate::wire::mesh::{Invitation, Invite};
use crate::wire::object::{Sealed, open};

/// The part of an address that has one owner.
type Owner = (bool, u128);

pub(super) struct Invites {
    reach: Reach,
    /// Where we are called, and for whom we are a gateway.
    addresses: Vec<String>,
    gateway_of: Option<FepId>,
    /// Whose gateways a provider calls.
    works_for: BTreeSet<FepId>,
    /// What each neighbour brought, and what was followed.
    brought: BTreeMap<LinkId, Bucket>,
    followed: Bucket,
    calling: BTreeMap<OpId, (NodeId, Owner)>,
    unanswered: BTreeMap<Owner, Time>,
    /// Links that came of an invitation.
    up: BTreeSet<LinkId>,
}

impl Invites {
    pub(super) fn new(config: &Config) -> Self {
        let works_for = config.provider.iter().flat_map(|_| &config.feps);
        Self {
            reach: config.reach.clone(),
            addresses: config.addresses.clone(),
            gateway_of: config.gateway.as_ref().map(|gateway| gateway.fep),
            works_for: works_for.map(|fep| fep.fep_id).collect(),
            brought: BTreeMap::new(),
            followed: Bucket::default(),
            calling: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            up: BTreeSet::new(),
        }
    }

    pub(super) fn link_down(&mut self, link: LinkId) {
        self.brought.remove(&link);
        self.up.remove(&link);
    }

    /// Leaves a network alone for a while; of too many that which has been left alone for longest is no more.
    fn did_not_answer(&mut self, now: Time, owner: Owner) {
        self.unanswered.insert(owner, now + UNANSWERED_FOR);
        if self.unanswered.len() > UNANSWERED
            && let Some(oldest) =
                self.unanswered.iter().min_by_key(|(_, until)| **until).map(|(owner, _)| *owner)
        {
            self.unanswered.remove(&oldest);
        }
    }

    /// Where a gateway is to be called, if it is to be.
    fn target(&self, now: Time, invitation: &Sealed<Invitation>) -> Option<(String, Owner)> {
        let Invitation { addresses, feps, .. } = &invitation.content;
        if !feps.iter().any(|fep| self.works_for.contains(fep)) {
            return None;
        }
        let address = addresses.iter().find_map(|address| self.reach.dialable(address))?;
        let [_, owner, _] = networks(address.ip());
        let left_alone = self.unanswered.get(&owner).is_some_and(|until| now < *until);
        let calling =
            self.calling.values().any(|(node_id, of)| (node_id.0, *of) == (invitation.signer, owner));
        (!left_alone && !calling).then(|| (alloc::format!("{address}"), owner))
    }
}

impl Labnet {
    /// Could we ask that provider to call? Whether it would is not known.
    pub(crate) fn can_invite(&self, me: NodeId, gossip: &Gossip, provider: NodeId) -> bool {
        !self.invites.addresses.is_empty() && self.towards(me, gossip, provider).is_some()
    }

    /// The neighbour by which that provider may be reached.
    fn towards(&self, me: NodeId, gossip: &Gossip, provider: NodeId) -> Option<LinkId> {
        self.link_to(me, provider).or_else(|| gossip.way_to(&provider))
    }

    /// Asks a provider to call us. It comes, or it does not: nobody answers.
    pub(crate) fn invite(&mut self, cx: &mut Cx<'_>, gossip: &Gossip, provider: NodeId) {
        let Some(fep) = self.invites.gateway_of else { return };
        let invitation = cx.me.seal(Invitation {
            provider,
            issued_ms: cx.now.wall.0,
            addresses: self.invites.addresses.clone(),
            feps: [fep].into(),
        });
        if let Some(link) = self.towards(cx.me.node_id, gossip, provider) {
            self.hand_on(cx, link, INVITE_HOPS, invitation.bytes);
        }
    }

    fn hand_on(&mut self, cx: &mut Cx<'_>, link: LinkId, hops: u8, invitation: Blob) {
        // A neighbour that has not read what was said to it is not to lose its link for what others say.
        if self.has_room(link) {
            self.say(cx, link, Kind::Invite, &cbor::encode(&Invite { hops, invitation }));
        }
    }

    /// Follows an invitation, or passes it on.
    pub(crate) fn invited(
        &mut self,
        cx: &mut Cx<'_>,
        gossip: &Gossip,
        link: LinkId,
        from: NodeId,
        payload: &[u8],
    ) {
        let sound =
            cbor::decode::<Invite>(payload).ok().filter(|invite| invite.invitation.0.len() <= INVITATION);
        let opened = sound.and_then(|Invite { hops, invitation }| {
            Some((hops, open::<Invitation>(cx.me.network, None, &invitation.0).ok()?))
        });
        // Whoever passes one on has looked at it first.
        let Some((hops, invitation)) = opened else {
            return cx.note(from, Deed::Offence(Offence::Malformed));
        };
        let brought = self.invites.brought.entry(link).or_default();
        if brought.ready(INVITES_OF_ONE) > cx.now.mono {
            return;
        }
        brought.take(cx.now.mono, INVITES_OF_ONE, 1);
        let provider = invitation.content.provider;
        if provider == cx.me.node_id {
            return self.follow(cx, &invitation);
        }
        let towards = self.towards(cx.me.node_id, gossip, provider).filter(|towards| *towards != link);
        if let (Some(towards), Some(hops)) = (towards, hops.min(INVITE_HOPS).checked_sub(1)) {
            self.hand_on(cx, towards, hops, invitation.bytes);
        }
    }

    fn follow(&mut self, cx: &mut Cx<'_>, invitation: &Sealed<Invitation>) {
        let gateway = NodeId(invitation.signer);
        let timely = cx.now.wall.0.abs_diff(invitation.content.issued_ms) <= CLOCK_SKEW.as_millis();
        let linked = self.links.values().any(|state| state.node_id == gateway && !state.closed);
        let calling =
            self.caller.is_calling(&gateway) || self.invites.followed.ready(INVITES_FOLLOWED) > cx.now.mono;
        let welcome = self.admission.admits(&gateway) && !self.conduct.bans(cx.now.mono, &gateway, None);
        if !timely || linked || calling || !welcome || cx.me.leaves {
            return;
        }
        let Some((addr, owner)) = self.invites.target(cx.now.mono, invitation) else { return };
        self.invites.followed.take(cx.now.mono, INVITES_FOLLOWED, 1);
        cx.debug(alloc::format!("{gateway} asks to be called"));
        let op = cx.dial(Target::Mesh { addr, node_id: gateway });
        self.invites.calling.insert(op, (gateway, owner));
    }

    /// A call was answered, or not. False: it had nothing to do with an invitation.
    pub(super) fn invite_dialled(&mut self, now: Time, op: OpId, result: &Result<LinkId, String>) -> bool {
        let Some((_, owner)) = self.invites.calling.remove(&op) else { return false };
        match result {
            Ok(link) => {
                if let Some(state) = self.links.get_mut(link) {
                    state.chosen = false;
                    self.invites.up.insert(*link);
                }
            }
            Err(_) => self.invites.did_not_answer(now, owner),
        }
        true
    }

    /// Of too many links that came of invitations the oldest goes, of those with whom no job ever came to its receipt first;
    /// none in `busy`, and if all are, the one that has just come.
    pub(crate) fn trim_invited(&mut self, cx: &mut Cx<'_>, busy: &BTreeSet<NodeId>) {
        let up = self.invites.up.iter().filter_map(|link| Some((*link, self.links.get(link)?)));
        let up: Vec<(LinkId, NodeId)> =
            up.filter(|(_, state)| !state.closed).map(|(link, state)| (link, state.node_id)).collect();
        if up.len() > INVITED_LINKS {
            let newest = up.last().map(|(link, _)| *link);
            let idle = up.iter().filter(|(link, node_id)| Some(*link) != newest && !busy.contains(node_id));
            let goes = idle.min_by_key(|(link, node_id)| (self.conduct.is_useful(node_id), *link));
            if let Some(link) = goes.map(|(link, _)| *link).or(newest) {
                self.close(cx, link, "its place was needed");
            }
        }
    }
}
