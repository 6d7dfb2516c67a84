//! `GET /v1/models`: what the mesh serves now, with what it costs.

use alloc::{collections::BTreeMap, vec::Vec};

use serde_json::{Value, json};

use crate::gossip::{Served, View};
use crate::identity::NodeId;
use crate::names::{Aliases, Asked, bare, is_slug};

/// All slugs, each bare model name once, and the aliases of what is served, with price and context of the cheapest provider.
/// `usable` tells the offers that could be taken now from those that are only heard of.
pub(crate) fn list(view: &View, aliases: &Aliases, usable: impl Fn(&NodeId) -> bool) -> Value {
    let models = by_name(view, aliases, usable);
    let data: Vec<Value> = models.iter().map(|(id, offers)| model(id, offers)).collect();
    json!({ "object": "list", "data": data })
}

/// Under any name by which a request may ask for it.
pub(crate) fn one(
    view: &View,
    aliases: &Aliases,
    id: &str,
    usable: impl Fn(&NodeId) -> bool,
) -> Option<Value> {
    let listed = by_name(view, aliases, &usable).get(id).map(|offers| model(id, offers));
    listed.or_else(|| {
        let offers = serving(view, id, aliases, usable);
        (!offers.is_empty()).then(|| model(id, &offers))
    })
}

fn by_name<'a>(
    view: &'a View,
    aliases: &'a Aliases,
    usable: impl Fn(&NodeId) -> bool,
) -> BTreeMap<&'a str, Vec<&'a Served>> {
    let mut models: BTreeMap<&str, Vec<&Served>> = BTreeMap::new();
    for (_, served) in view.served().filter(|(provider, _)| usable(provider)) {
        let slug = served.offer.content.slug.as_str();
        models.entry(slug).or_default().push(served);
        models.entry(bare(slug)).or_default().push(served);
    }
    for alias in aliases.keys() {
        models.insert(alias, serving(view, alias, aliases, &usable));
    }
    models.retain(|_, offers| !offers.is_empty());
    models
}

fn serving<'a>(
    view: &'a View,
    asked: &str,
    aliases: &Aliases,
    usable: impl Fn(&NodeId) -> bool,
) -> Vec<&'a Served> {
    let asked = Asked::of(asked, aliases);
    let serves = |served: &&Served| asked.is_served_by(&served.offer.content.slug);
    let usable = view.served().filter(|(provider, _)| usable(provider)).map(|(_, served)| served);
    usable.filter(serves).collect()
}

fn model(id: &str, served: &[&Served]) -> Value {
    let offers = || served.iter().map(|one| &one.offer.content);
    let cheapest = offers().min_by_key(|offer| (offer.price.output_per_mtok, offer.price.input_per_mtok));
    let owner = if is_slug(id) { id.split(':').next().unwrap_or("mesh") } else { "mesh" };
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
