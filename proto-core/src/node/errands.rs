//! Calls that a provider can't make itself are carried by a gateway that is linked to it, and works with the same FEP.

use alloc::vec::Vec;

use super::{Node, Room};
use crate::gateway::{Gateway, Tell};
use crate::identity::{FepId, NodeId};
use crate::node::cx::Cx;
use crate::provider::Provider;
use crate::time::Now;
use crate::wire::cbor;
use crate::wire::envelope::Kind;

impl Node {
    pub(super) fn run_errands(&mut self, now: Now) {
        for errand in self.provider.as_mut().map(Provider::take_errands).unwrap_or_default() {
            let couriers: Vec<NodeId> = self.couriers(errand.fep_id).collect();
            // Another one each time: one may be dishonest, or not reach it either.
            let at = usize::try_from(errand.number).unwrap_or_default().checked_rem(couriers.len());
            if let Some(to) = at.and_then(|at| couriers.get(at)) {
                self.labnet.tell(&mut cx!(self, now, Labnet), *to, Kind::Errand, &cbor::encode(&errand));
                if let Some(provider) = &mut self.provider {
                    provider.errand_sent(errand.number, *to);
                }
            }
        }
        for Tell { to, kind, payload } in self.gateway.iter_mut().flat_map(Gateway::take_errands_done) {
            self.labnet.tell(&mut cx!(self, now, Labnet), to, kind, &payload);
        }
    }

    fn couriers(&self, fep_id: FepId) -> impl Iterator<Item = NodeId> {
        let view = self.gossip.view();
        self.gossip.neighbours().into_iter().filter(move |node_id| {
            view.peer_of(node_id).is_some_and(|peer| peer.gateway && peer.feps.contains(&fep_id))
        })
    }
}
