//! `GET /v1/models`: what the mesh serves now, with what it costs.

use alloc::{collections::BTreeMap, vec::Vec};

use serde_json::{Value, json};

use crate::gossip::{Served, View};
use crate::identity::NodeId;
use crate::names::{Aliases, Asked, bare, is_slug};

/// All slugs, each bare model name as it is offered, and the aliases of what is served, with price and context of the cheapest provider.
/// `usable` tells the offers that could be taken now from those that are only heard of.
pub(crate) fn list(view: &View, aliases: &Aliases, usable: impl Fn(&NodeId) -> bool) -> Value {
    let models = by_name(view, aliases, usable);
    let data: Vec<Value> = models.iter().map(|(id, offers)| model(id, offers)).collect();
    json!({ "object": "list", "data": data })
}

/// What serves a request that asks for it by this name: of a bare one, it may be more than what is offered under it.
pub(crate) fn one(
    view: &View,
    aliases: &Aliases,
    id: &str,
    usable: impl Fn(&NodeId) -> bool,
) -> Option<Value> {
    let offers = serving(&usable_offers(view, usable), id, aliases);
    (!offers.is_empty()).then(|| model(id, &offers))
}

fn by_name<'a>(
    view: &'a View,
    aliases: &'a Aliases,
    usable: impl Fn(&NodeId) -> bool,
) -> BTreeMap<&'a str, Vec<&'a Served>> {
    let usable = usable_offers(view, usable);
    let mut models: BTreeMap<&str, Vec<&Served>> = BTreeMap::new();
    for served in usable.iter().copied() {
        let slug = served.offer.content.slug.as_str();
        models.entry(slug).or_default().push(served);
        models.entry(bare(slug)).or_default().push(served);
    }
    for alias in aliases.keys() {
        models.insert(alias, serving(&usable, alias, aliases));
    }
    models.retain(|_, offers| !offers.is_empty());
    models
}

fn usable_offers(view: &View, usable: impl Fn(&NodeId) -> bool) -> Vec<&Served> {
    view.served().filter(|(provider, _)| usable(provider)).map(|(_, served)| served).collect()
}

fn serving<'a>(offers: &[&'a Served], asked: &str, aliases: &Aliases) -> Vec<&'a Served> {
    let asked = Asked::of(asked, aliases);
    let serves = |served: &&&Served| asked.is_served_by(&served.offer.content.slug);
    offers.iter().filter(serves).copied().collect()
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
