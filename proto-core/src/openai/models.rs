//! `GET /v1/models`: what is served now, with what it costs.

use alloc::{collections::BTreeMap, vec::Vec};

use serde_json::{Value, json};

use crate::gossip::Served;
use crate::names::{Aliases, Asked, bare, is_slug};
use crate::wire::portal::Offer;

/// A model that somebody serves.
#[derive(Clone, Copy)]
pub(crate) struct Listed<'a> {
    pub(crate) slug: &'a str,
    pub(crate) context_length: u32,
    pub(crate) slots: u32,
    /// `None`: it costs nothing.
    pub(crate) offer: Option<&'a Offer>,
}

impl<'a> From<&'a Served> for Listed<'a> {
    fn from(served: &'a Served) -> Self {
        let offer = &served.offer.content;
        let (slug, context_length) = (offer.slug.as_str(), offer.context_length);
        Self { slug, context_length, slots: served.slots, offer: Some(offer) }
    }
}

/// All slugs, each bare model name as it is served, and the aliases of what is, with price and context of the cheapest provider.
pub(crate) fn list(served: &[Listed<'_>], aliases: &Aliases) -> Value {
    let mut models: BTreeMap<&str, Vec<Listed<'_>>> = BTreeMap::new();
    for one in served {
        models.entry(one.slug).or_default().push(*one);
        models.entry(bare(one.slug)).or_default().push(*one);
    }
    for alias in aliases.keys() {
        models.insert(alias, serving(served, alias, aliases));
    }
    models.retain(|_, served| !served.is_empty());
    let data: Vec<Value> = models.iter().map(|(id, served)| model(id, served)).collect();
    json!({ "object": "list", "data": data })
}

/// What serves a request that asks for it by this name: of a bare one, it may be more than what is offered under it.
pub(crate) fn one(served: &[Listed<'_>], aliases: &Aliases, id: &str) -> Option<Value> {
    let serving = serving(served, id, aliases);
    (!serving.is_empty()).then(|| model(id, &serving))
}

fn serving<'a>(served: &[Listed<'a>], asked: &str, aliases: &Aliases) -> Vec<Listed<'a>> {
    let asked = Asked::of(asked, aliases);
    served.iter().filter(|one| asked.is_served_by(one.slug)).copied().collect()
}

fn model(id: &str, served: &[Listed<'_>]) -> Value {
    let offers = served.iter().filter_map(|one| one.offer);
    let cheapest = offers.min_by_key(|offer| (offer.price.output_per_mtok, offer.price.input_per_mtok));
    let owner = if is_slug(id) { id.split(':').next().unwrap_or("mesh") } else { "mesh" };
    json!({
        "id": id,
        "object": "model",
        "created": 0,
        "owned_by": owner,
        "context_length": served.iter().map(|one| one.context_length).max(),
        "providers": served.len(),
        "slots": served.iter().map(|one| u64::from(one.slots)).sum::<u64>(),
        "pricing": cheapest.map(|offer| json!({
            "currency": offer.payout.currency,
            "input_micros_per_mtok": offer.price.input_per_mtok,
            "cached_micros_per_mtok": offer.price.cached_per_mtok,
            "output_micros_per_mtok": offer.price.output_per_mtok,
            "request_micros": offer.price.per_request,
        })),
    })
}
