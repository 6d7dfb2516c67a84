//! `GET /v1/models`: what the mesh serves now, with what it costs.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde_json::{Value, json};

use crate::gossip::{Served, View};

/// All slugs, and each bare model name once, with price and context of the cheapest provider. `usable` tells the offers
/// that could be taken now from those that are only heard of.
pub(crate) fn list(view: &View, usable: impl Fn(&crate::identity::NodeId) -> bool) -> Value {
    let data: Vec<Value> = by_id(view, usable).iter().map(|(id, offers)| model(id, offers)).collect();
    json!({ "object": "list", "data": data })
}

pub(crate) fn one(view: &View, id: &str, usable: impl Fn(&crate::identity::NodeId) -> bool) -> Option<Value> {
    by_id(view, usable).get(id).map(|offers| model(id, offers))
}

fn by_id(view: &View, usable: impl Fn(&crate::identity::NodeId) -> bool) -> BTreeMap<String, Vec<&Served>> {
    let mut models: BTreeMap<String, Vec<&Served>> = BTreeMap::new();
    for (_, served) in view.served().filter(|(provider, _)| usable(provider)) {
        let slug = &served.offer.content.slug;
        let bare = slug.splitn(3, ':').nth(2).unwrap_or(slug);
        models.entry(slug.clone()).or_default().push(served);
        models.entry(bare.into()).or_default().push(served);
    }
    models
}

fn model(id: &str, served: &[&Served]) -> Value {
    let offers = || served.iter().map(|one| &one.offer.content);
    let cheapest = offers().min_by_key(|offer| (offer.price.output_per_mtok, offer.price.input_per_mtok));
    let owner = if id.matches(':').count() >= 2 { id.split(':').next().unwrap_or("mesh") } else { "mesh" };
    json!({
        "id": id,
        "object": "model",
        "created": 0,
        "owned_by": owner,
        "context_length": offers().map(|offer| offer.context_length).max(),
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
