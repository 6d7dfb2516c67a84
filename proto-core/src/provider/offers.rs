//! What this node offers: an offer for each model that runs here, signed, and good for an hour.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use super::hosting::Hosting;
use super::sockets::Sockets;
use crate::limits::{GOSSIP_FRAME, OFFERS, PORTMAN_MODELS, WITNESSES};
use crate::node::config;
use crate::node::cx::Cx;
use crate::time::{Span, Wall};
use crate::wire::envelope::OVERHEAD;
use crate::wire::ids::Hash;
use crate::wire::object::Sealed;
use crate::wire::portal::Offer;

const LIFE: Span = Span::from_secs(60 * 60);
/// An offer is signed anew when less than this is left of its life.
const RENEW_BELOW: Span = Span::from_secs(40 * 60);
/// How often that is looked at.
pub(super) const REFRESH: Span = Span::from_secs(10 * 60);

/// Offers that are remembered at once. While there are more, models that are new are not offered.
const KNOWN: usize = 4 * PORTMAN_MODELS;
/// What one record has for offers, in bytes: with its frame it must not be longer than neighbours accept.
const RECORD_ROOM: usize = GOSSIP_FRAME - OVERHEAD - 16 - WITNESSES * 34 - OFFERS * 9;
/// What an offer's place in the record adds to it, in bytes.
const HOSTED_OVERHEAD: usize = 20;

/// What the model at that endpoint is called on the mesh.
pub(super) fn slug(config: &config::Provider, ep: &str, model: &str) -> String {
    format!("{}:{ep}:{model}", config.tenant)
}

/// All offers that are still good, the latest of each model among them.
#[derive(Default)]
pub(super) struct Offers {
    known: BTreeMap<Hash, Known>,
}

#[derive(Clone)]
pub(super) struct Known {
    pub(super) offer: Sealed<Offer>,
    pub(super) ep: String,
    pub(super) model: String,
    /// Jobs that may wait for a slot.
    pub(super) queue: u32,
}

/// A model as it is announced.
pub(super) struct Offered {
    pub(super) offer: Sealed<Offer>,
    pub(super) slots: u32,
    pub(super) queue: u32,
}

impl Offers {
    /// The offers for what runs now.
    pub(super) fn of(
        &mut self,
        cx: &mut Cx<'_>,
        config: &config::Provider,
        sockets: &Sockets,
        hosting: &Hosting,
    ) -> Vec<Offered> {
        self.known.retain(|_, known| Wall(known.offer.content.valid_until_ms) > cx.now.wall);
        let (mut hosted, mut left_out, mut room) = (Vec::new(), 0, RECORD_ROOM);
        for portman in &config.portmans {
            for model in sockets.models(&portman.ep) {
                if hosting.is_leaving(&portman.ep, &model.id) {
                    continue;
                }
                if hosted.len() == OFFERS {
                    left_out += 1;
                    continue;
                }
                let wanted = Offer {
                    slug: slug(config, &portman.ep, &model.id),
                    context_length: model.context_length,
                    max_output: model.context_length,
                    price: hosting.price(portman, &model.id),
                    payout: portman.payout.clone(),
                    valid_until_ms: (cx.now.wall + LIFE).0,
                };
                let offer = match self.current(cx, &wanted) {
                    Some(offer) => offer,
                    None if self.known.len() >= KNOWN => {
                        left_out += 1;
                        continue;
                    }
                    None => {
                        let offer = cx.me.seal(wanted);
                        let (ep, model) = (portman.ep.clone(), model.id.clone());
                        let known = Known { offer: offer.clone(), ep, model, queue: portman.queue };
                        self.known.insert(Hash(offer.hash), known);
                        offer
                    }
                };
                match room.checked_sub(offer.bytes.0.len() + HOSTED_OVERHEAD) {
                    Some(rest) => {
                        room = rest;
                        hosted.push(Offered { offer, slots: model.slots, queue: portman.queue });
                    }
                    None => left_out += 1,
                }
            }
        }
        if left_out > 0 {
            cx.warn(format!(
                "{} models run here, only {} are announced",
                hosted.len() + left_out,
                hosted.len()
            ));
        }
        hosted
    }

    /// The offer with that hash, if it is ours and still good.
    pub(super) fn get(&self, hash: Hash, now: Wall) -> Option<&Known> {
        self.known.get(&hash).filter(|known| Wall(known.offer.content.valid_until_ms) > now)
    }

    /// One that says the same, with enough life left.
    fn current(&self, cx: &Cx<'_>, wanted: &Offer) -> Option<Sealed<Offer>> {
        let fresh_enough = cx.now.wall + RENEW_BELOW;
        let same = |offer: &Offer| {
            let valid_until_ms = offer.valid_until_ms;
            Wall(valid_until_ms) > fresh_enough && *offer == Offer { valid_until_ms, ..wanted.clone() }
        };
        self.known.values().find(|known| same(&known.offer.content)).map(|known| known.offer.clone())
    }
}
