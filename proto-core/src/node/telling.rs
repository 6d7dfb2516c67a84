//! What a node tells its neighbours besides records: how busy it is, what is asked for, whom it invites, what a FEP says of itself.

use alloc::{collections::BTreeMap, string::String};

use super::{Node, Room, descriptors};
use crate::gateway::Gateway;
use crate::identity::NodeId;
use crate::market::Slots;
use crate::market::demand::Asked;
use crate::node::cx::Cx;
use crate::node::feps::News;
use crate::time::Now;
use crate::wire::cbor;
use crate::wire::envelope::Kind;
use crate::wire::mesh::Load;

impl Node {
    /// Tells neighbours what a FEP says of itself now.
    pub(super) fn pass_on_news(&mut self, now: Now, News { fep_id, from }: News) {
        let Some(message) = descriptors::message(&self.feps, fep_id) else { return };
        for node_id in self.gossip.neighbours().into_iter().filter(|node_id| Some(*node_id) != from) {
            self.labnet.tell(&mut cx!(self, now, Labnet), node_id, Kind::FepDescriptor, &message);
        }
    }

    /// Tells all gateways that use us, or one that is new, how busy we are.
    pub(super) fn tell_load(&mut self, now: Now, load: &Load, only: Option<NodeId>) {
        let mut load = load.clone();
        for node_id in
            self.gossip.who_hears_of_us().into_iter().filter(|one| only.is_none_or(|only| only == *one))
        {
            let yours = self.provider.as_ref().map(|provider| provider.jobs_of(node_id)).unwrap_or_default();
            for busy in &mut load.busy {
                // What is told may be a moment older than what is counted.
                busy.yours = yours.get(busy.slug.as_str()).map_or(0, |yours| busy.jobs.min(*yours));
            }
            self.labnet.tell(&mut cx!(self, now, Labnet), node_id, Kind::Load, &cbor::encode(&load));
        }
    }

    pub(super) fn send_invites(&mut self, now: Now) {
        for provider in self.gateway.iter_mut().flat_map(Gateway::take_invites) {
            self.labnet.invite(&mut cx!(self, now, Labnet), &self.gossip, provider);
        }
    }

    /// Lets the provider decide what it hosts, by what is asked for.
    pub(super) fn decide_hosting(&mut self, now: Now) {
        if !self.provider.as_ref().is_some_and(|provider| provider.hosting_is_due(now.mono)) {
            return;
        }
        let (own, slots) = self.asked_here(now);
        let hearsay = self.market.hearsay(&own, &slots);
        if let Some(provider) = &mut self.provider
            && provider.decide_hosting(&mut cx!(self, now, Provider), &hearsay)
        {
            self.capability_changed(now);
        }
    }

    /// What this node's own users asked for, and what it knows of that there is.
    pub(super) fn asked_here(&mut self, now: Now) -> (BTreeMap<String, Asked>, Slots) {
        match &mut self.gateway {
            Some(gateway) => (gateway.demand().of_the_last_hour(now.mono), gateway.slots(self.gossip.view())),
            None => Default::default(),
        }
    }

    /// Tells all neighbours what is asked for here, where that has changed.
    pub(super) fn tell_market(&mut self, now: Now) {
        let Some(gateway) = &mut self.gateway else { return };
        if gateway.demand().take_stirred() {
            self.market.stirred(now.mono);
        }
        let Some(slots) = self.market.is_due(now.mono).then(|| gateway.slots(self.gossip.view())) else {
            return;
        };
        let Some(market) = self.market.poll(now.mono, gateway.demand(), &slots) else { return };
        let payload = cbor::encode(&market);
        for node_id in self.gossip.neighbours() {
            self.labnet.tell(&mut cx!(self, now, Labnet), node_id, Kind::Market, &payload);
        }
    }
}
