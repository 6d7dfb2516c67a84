//! What is asked for on the mesh and what there is of it, as far as this node hears: by it, providers see what would earn.
//!
//! ```text
//!   users --> gateway: demand.rs, by model --+
//!                                            +--> Market --> neighbours, as they are: `heard` here
//!   what neighbours' own users asked for, ---+
//!   summed; slots, and how many are taken
//! ```
//!
//! A gateway tells its neighbours, and nobody passes it on: what a neighbour hears of is the sum of a neighbourhood, so that
//! the cost is that of a node's links, however large the mesh. Only those are heard that this node chose or dealt with:
//! a crowd of strangers could want anything.
//!
//! - [`hearsay`]: what a provider makes of what it is told;
//! - [`forecast`]: what the next epoch will ask for;
//! - [`plan`]: what an endpoint keeps in memory by that, and why;
//! - [`price`]: what it then costs;
//! - [`policy`]: what an operator lets a provider decide.
//!
//! What is absent: when a model is loaded and unloaded, which is `provider/hosting.rs`.

pub(crate) mod demand;
pub(crate) mod forecast;
mod hearsay;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod price;

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

use demand::Demand;
pub(crate) use hearsay::Hearsay;
use serde_json::{Value, json};

use crate::gossip::View;
use crate::identity::NodeId;
use crate::limits::{MARKET_CURRENCIES, MARKET_EVERY, MARKET_MODELS, MARKET_SOON, PORTMAN_MODEL_ID};
use crate::money::{Currency, Micros};
use crate::names::{SlugKey, bare};
use crate::time::{Time, Wake};
use crate::timers::Timers;
use crate::wire::mesh::{Cheapest, Market, Wanted};

#[derive(Default)]
pub(crate) struct MarketRoom {
    /// What neighbours said last, by model.
    heard: BTreeMap<NodeId, BTreeMap<String, Wanted>>,
    told: Market,
    due: Timers<()>,
}

impl MarketRoom {
    /// A neighbour that is no stranger said so. It replaces what it said before.
    pub(crate) fn heard(&mut self, from: NodeId, market: Market) {
        let wanted = market.wanted.into_iter().take(MARKET_MODELS);
        let wanted = wanted.filter(|one| one.model.len() <= PORTMAN_MODEL_ID);
        self.heard.insert(from, wanted.map(|one| (one.model.clone(), one)).collect());
    }

    pub(crate) fn left(&mut self, node_id: &NodeId) {
        self.heard.remove(node_id);
    }

    /// Somebody asked for something.
    pub(crate) fn stirred(&mut self, now: Time) {
        self.due.start((), now + MARKET_SOON, "tell neighbours what is asked for");
    }

    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.due.next().is_some_and(|wake| wake.at <= now)
    }

    /// What is to be told to all neighbours now, if it is much different from what was told last.
    pub(crate) fn poll(&mut self, now: Time, demand: &mut Demand, slots: &Slots) -> Option<Market> {
        self.due.expired(now)?;
        let market = self.view(demand.of_the_last_hour(now), slots);
        if !demand.is_empty() {
            // What was asked for an hour ago counts no more: that is news, too.
            self.due.set((), now + MARKET_EVERY, "tell neighbours what is asked for");
        }
        let differs = is_far(&self.told, &market);
        if differs {
            self.told = market.clone();
        }
        differs.then_some(market)
    }

    /// What a new neighbour has missed.
    pub(crate) fn latest(&self) -> Option<&Market> {
        Some(&self.told).filter(|market| !market.wanted.is_empty())
    }

    /// The market as this node sees it, the most wanted first: with its own demand, if it has users.
    pub(crate) fn view(&self, own: BTreeMap<String, demand::Asked>, slots: &Slots) -> Market {
        let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
        let mut of = |model: &str, add: &dyn Fn(&mut Wanted)| {
            let one = wanted
                .entry(model.to_string())
                .or_insert_with(|| Wanted { model: model.to_string(), ..Wanted::default() });
            add(one);
        };
        for (model, asked) in &own {
            of(model, &|one| (one.jobs, one.unserved) = (asked.jobs, asked.unserved));
        }
        for said in self.heard.values().flat_map(BTreeMap::values) {
            of(&said.model, &|one| {
                one.around = one.around.saturating_add(said.jobs).saturating_add(said.unserved);
            });
        }
        for (model, known) in &slots.0 {
            of(model, &|one| {
                (one.slots, one.taken) = (known.slots, known.taken);
                one.cheapest = known.cheapest().take(MARKET_CURRENCIES).collect();
            });
        }
        let mut wanted: Vec<Wanted> = wanted.into_values().filter(Wanted::is_wanted).collect();
        wanted.sort_by_key(|one| core::cmp::Reverse(one.all()));
        wanted.truncate(MARKET_MODELS);
        Market { wanted }
    }

    /// What neighbours say, and this node itself if it has users or hears of providers.
    pub(crate) fn hearsay(&self, own: &BTreeMap<String, demand::Asked>, slots: &Slots) -> Hearsay {
        let ours =
            self.view(own.clone(), slots).wanted.into_iter().map(|one| (one.model.clone(), one)).collect();
        let ours = [ours].into_iter().filter(|_| !own.is_empty() || !slots.0.is_empty());
        Hearsay::of_all(self.heard.values().cloned().chain(ours))
    }

    /// For people. `widest`: the most that any one neighbour hears of in its neighbourhood.
    pub(crate) fn show(&self, own: BTreeMap<String, demand::Asked>, slots: &Slots) -> Value {
        let models = self.view(own, slots).wanted.into_iter().map(|one| {
            let said = self.heard.values().filter_map(|said| said.get(&one.model));
            let widest = said.map(Wanted::all).max().unwrap_or(0);
            let Wanted { model, jobs, unserved, around, slots, taken, cheapest } = one;
            let cheapest = cheapest.iter().map(|one| json!({ "currency": one.currency, "price": one.price }));
            json!({
                "model": model, "jobs": jobs, "unserved": unserved, "around": around, "widest": widest,
                "slots": slots, "taken": taken, "cheapest": cheapest.collect::<Vec<_>>(),
            })
        });
        json!({ "models": models.collect::<Vec<_>>(), "neighbours": self.heard.len() })
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        self.due.next()
    }
}

/// What there is of each model, at all providers that are known.
#[derive(Default)]
pub(crate) struct Slots(BTreeMap<String, Supply>);

#[derive(Default)]
struct Supply {
    slots: u32,
    taken: u32,
    cheapest: BTreeMap<Currency, Micros>,
}

impl Supply {
    fn cheapest(&self) -> impl Iterator<Item = Cheapest> {
        self.cheapest.iter().map(|(currency, price)| Cheapest { currency: currency.clone(), price: *price })
    }
}

impl Slots {
    pub(crate) fn known(view: &View, taken: impl Fn(&NodeId, SlugKey) -> u32) -> Self {
        let mut slots: BTreeMap<String, Supply> = BTreeMap::new();
        for (provider, served) in view.served() {
            let offer = &served.offer.content;
            let of = slots.entry(bare(&offer.slug).to_string()).or_default();
            of.slots = of.slots.saturating_add(served.slots);
            of.taken = of.taken.saturating_add(taken(&provider, served.key).min(served.slots));
            let price = price::both(&offer.price);
            let cheapest = of.cheapest.entry(offer.payout.currency.clone()).or_insert(price);
            *cheapest = price.min(*cheapest);
        }
        Self(slots)
    }
}

/// Would anybody decide otherwise? A quarter more or less of something, or something new.
fn is_far(told: &Market, now: &Market) -> bool {
    let far = |a: u32, b: u32| a.abs_diff(b).saturating_mul(4) > a.max(b);
    let of = |market: &Market, model: &str| market.wanted.iter().find(|one| one.model == model).cloned();
    let models = told.wanted.iter().chain(&now.wanted).map(|one| &one.model);
    models.into_iter().any(|model| match (of(told, model), of(now, model)) {
        (Some(a), Some(b)) => {
            far(a.jobs, b.jobs)
                || far(a.unserved, b.unserved)
                || far(a.around, b.around)
                || far(a.slots, b.slots)
                || far(a.taken, b.taken)
                || a.cheapest != b.cheapest
        }
        (None, None) => false,
        (Some(_), None) | (None, Some(_)) => true,
    })
}
