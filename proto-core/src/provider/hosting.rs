//! Which models this provider's endpoints keep in memory, and at what prices: looked at once an epoch, and done step by step.
//!
//! ```text
//!   gateways' markets --> forecasts --> market/plan.rs --> Draining --no job left--> Unloading --> gone
//!   own jobs --> how often we win          |                                       | room
//!                                          +--> Waiting -------------------------> Loading --> runs
//! ```
//!
//! Of many providers alike a few at a time may change anything: all of them hear the same, and would do the same. Step by step is
//! [`moves`]; what people see of it is [`show`].
//!
//! What is absent: what a model is worth its place is `market/plan.rs`'s to say, what it costs `market/price.rs`'s.

mod desk;
mod moves;
mod show;
mod tokens;

use alloc::{
    collections::BTreeMap,
    collections::BTreeSet,
    string::{String, ToString},
    vec::Vec,
};

pub(super) use desk::Desk;
use moves::Moving;
use serde_json::Value;
use tokens::Tokens;

use super::Provider;
use super::waiting::Where;
use crate::economics::{Counts, Price};
use crate::limits::HOSTING_SOON;
use crate::market::Hearsay;
use crate::market::forecast::Forecast;
use crate::market::plan::{AS_IT_IS, Bounds, Candidate, Line, plan};
use crate::market::policy::{Hosting as Policy, Shelf};
use crate::market::price::{self, Memory, Seen};
use crate::money::Micros;
use crate::node::config;
use crate::node::cx::Cx;
use crate::rng::Stream;
use crate::time::{Span, Time, Wake};
use crate::timers::Timers;

/// Of so many providers alike one changes what it hosts in an epoch, and of fewer one, too.
const TURNS: u64 = 10;
/// A model that could not be loaded is not tried again for so many epochs.
const NOT_AGAIN: u64 = 3;
/// What a job is thought to be like before any was seen.
const USUAL: Counts = Counts { input: 500, cached: 0, output: 200 };
const USUAL_TIME: Span = Span::from_secs(20);

pub(super) struct Hosting {
    policy: Policy,
    rng: Stream,
    /// When it is decided what is hosted.
    due: Timers<()>,
    models: BTreeMap<Where, Model>,
    moving: BTreeMap<Where, Moving>,
    /// What was decided last, by endpoint.
    decided: BTreeMap<String, Vec<Line>>,
    usual: Counts,
    usual_time: Span,
    loads: u64,
    epochs: u64,
    epoch_began: Time,
    /// What runs is offered again, though nothing else has changed.
    reoffer: bool,
}

/// Jobs, in thousandths, that are taken to have come as they should before any did: a few more or less are chance.
const GIVEN: u64 = 20_000;

/// What was seen of a model at an endpoint.
#[derive(Default)]
struct Model {
    /// In this epoch.
    jobs: u32,
    used: Span,
    tokens: Tokens,
    /// Jobs that are asked for on the mesh in an hour.
    wanted: Forecast,
    /// Slots of others.
    elsewhere: u32,
    /// Of the configured price, in thousandths.
    factor: Option<u32>,
    /// What its strategy keeps in mind.
    memory: Memory,
    /// A load or unload came to nothing: nothing is tried before this.
    not_before: Option<Time>,
    /// While it runs: jobs that came, and that should have by our part of the slots, in thousandths; old ones fade.
    came: u64,
    due: u64,
}

impl Model {
    /// Of a thousand jobs that should be ours so many come.
    const fn wins(&self) -> u64 {
        (self.came + GIVEN).saturating_mul(1_000) / (self.due + GIVEN)
    }
}

impl Hosting {
    pub(super) fn new(config: &config::Provider, mut rng: Stream, now: Time) -> Self {
        let policy = config.hosting.clone();
        let mut due = Timers::default();
        let prices = config.portmans.iter().any(|portman| portman.pricing.strategy != Default::default());
        if prices || config.portmans.iter().any(|portman| portman.shelf.is_some()) {
            // Epochs of those that started together are not together.
            due.set((), now + HOSTING_SOON + Span(rng.below(policy.epoch.0)), NEXT);
        }
        Self {
            policy,
            rng,
            due,
            models: BTreeMap::new(),
            moving: BTreeMap::new(),
            decided: BTreeMap::new(),
            usual: USUAL,
            usual_time: USUAL_TIME,
            loads: 0,
            epochs: 0,
            epoch_began: now,
            reoffer: false,
        }
    }

    /// A job left its slot.
    pub(super) fn ran(&mut self, whereto: Where, began: Time, now: Time, counts: Counts) {
        let (took, of_epoch) = (now - began, now - began.max(self.epoch_began));
        let model = self.models.entry(whereto).or_default();
        model.jobs = model.jobs.saturating_add(1);
        model.tokens.add(counts);
        model.used = Span(model.used.0.saturating_add(of_epoch.0));
        self.usual_time = Span(drift(self.usual_time.0, took.0));
        let drift = |old: u32, new: u32| u32::try_from(drift(old.into(), new.into())).unwrap_or(u32::MAX);
        self.usual.input = drift(self.usual.input, counts.input);
        self.usual.output = drift(self.usual.output, counts.output);
    }

    /// What a model costs now.
    pub(super) fn price(&self, portman: &config::Portman, model: &str) -> Price {
        let configured = portman.prices.get(model).unwrap_or(&portman.price);
        let known = self.models.get(&(portman.ep.clone(), model.to_string()));
        price::at(configured, known.and_then(|known| known.factor).unwrap_or(price::first(portman.pricing)))
    }

    pub(super) fn is_due(&self, now: Time) -> bool {
        self.due.next().is_some_and(|wake| wake.at <= now)
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        let until = self.moving.values().filter_map(|step| match step {
            Moving::Loading { until } | Moving::Unloading { until } => Some(*until),
            Moving::Waiting | Moving::Draining => None,
        });
        let late = until.min().map(|at| Wake { at, why: "a model to be loaded or unloaded" });
        Wake::earliest(self.due.next(), late)
    }

    /// An epoch ends: what was seen in it is taken in, and the next is decided. True: the offers have changed.
    pub(super) fn decide(
        &mut self,
        cx: &mut Cx<'_>,
        desk: &Desk<'_>,
        hearsay: &Hearsay,
        collected: u32,
    ) -> bool {
        if self.due.expired(cx.now.mono).is_none() {
            return false;
        }
        // A little sooner or later, so that those who fell together come apart.
        let epoch = self.policy.epoch.0;
        let jitter = Span(epoch / 20 * 19 + self.rng.below(epoch / 10 + 1));
        self.due.set((), cx.now.mono + jitter, NEXT);
        self.epochs += 1;
        self.look_back(desk, hearsay, cx.now.mono);
        let repriced = self.set_prices(desk, hearsay, cx.now.mono - self.epoch_began);
        let mut moved = false;
        let turns = turns(desk, hearsay);
        let may_switch = self.rng.below(turns) == 0;
        for (portman, shelf) in desk.shelves() {
            // What still waits for room is decided anew.
            self.moving.retain(|(ep, _), step| *ep != portman.ep || *step != Moving::Waiting);
            let mut candidates = self.candidates(cx.now.mono, desk, portman, shelf, collected);
            if turns > 1 {
                self.draw_lots(&mut candidates);
            }
            let Policy { loads, horizon, .. } = self.policy;
            let lines = plan(candidates, Bounds { memory: shelf.memory, loads, horizon, may_switch });
            moved |= self.order(cx, &portman.ep, &lines);
            self.decided.insert(portman.ep.clone(), lines);
        }
        for model in self.models.values_mut() {
            (model.jobs, model.used, model.tokens) = (0, Span::default(), Tokens::default());
        }
        self.epoch_began = cx.now.mono;
        repriced || moved
    }

    /// What the epoch was like.
    fn look_back(&mut self, desk: &Desk<'_>, hearsay: &Hearsay, now: Time) {
        let in_use = desk.in_use(self.epoch_began, now);
        let epoch_ms = (now - self.epoch_began).as_millis().max(1);
        let mut there = BTreeSet::new();
        for (portman, model) in desk.models() {
            let whereto = (portman.ep.clone(), model.to_string());
            let seen = hearsay.of(model, |name| desk.serves_first(portman, name) == Some(model));
            let (runs, slots) = (desk.sockets.runs(&portman.ep, model), desk.slots(portman, model));
            let can = capacity(slots, self.usual_time);
            let known = self.models.entry(whereto.clone()).or_default();
            // Nobody's word makes it worth more than a hundred times what we could do.
            known.wanted.add(u64::from(seen.jobs).saturating_mul(1_000).min(can.saturating_mul(100)));
            known.elsewhere = seen.slots.saturating_sub(if runs { slots } else { 0 });
            let used = in_use.get(&whereto).copied().unwrap_or_default();
            known.used = Span(known.used.0.saturating_add(used.0));
            (known.came, known.due) = (known.came / 32 * 31, known.due / 32 * 31);
            if runs {
                known.came = known.came.saturating_add(u64::from(known.jobs).saturating_mul(1_000));
                let due = share(known, slots, self.usual_time).saturating_mul(epoch_ms) / HOUR_MS;
                known.due = known.due.saturating_add(due);
            }
            there.insert(whereto);
        }
        self.models.retain(|whereto, _| there.contains(whereto));
    }

    fn set_prices(&mut self, desk: &Desk<'_>, hearsay: &Hearsay, lasted: Span) -> bool {
        let mut changed = false;
        for (portman, model) in desk.models() {
            if !desk.sockets.runs(&portman.ep, model) {
                continue;
            }
            let each = desk.slots(portman, model);
            let slots = u64::from(each);
            // Against others, and not against oneself under other names.
            let named = hearsay.named(model);
            let ours = desk.slots_named(model);
            let Some(known) = self.models.get_mut(&(portman.ep.clone(), model.to_string())) else { continue };
            let could = lasted.0.saturating_mul(slots).max(1);
            let utilisation = u128::from(known.used.0) * 1_000 / u128::from(could);
            let factor = known.factor.unwrap_or(price::first(portman.pricing));
            let configured = portman.prices.get(model).unwrap_or(&portman.price);
            let brings = |factor| known.tokens.bring(known.jobs, &price::at(configured, factor));
            let profit = brings(factor).saturating_sub(brings(portman.pricing.floor));
            let earned = profit.saturating_mul(1_000) / i128::from(lasted.as_millis().max(1));
            let wanted =
                u64::from(named.jobs).saturating_mul(self.usual_time.as_millis()) / (HOUR_MS / 1_000);
            let seen = Seen {
                lasted,
                utilisation: u32::try_from(utilisation).unwrap_or(1_000).min(1_000),
                cheapest: named.cheapest_in(&portman.payout.currency),
                alone: named.slots <= ours,
                rivals: named.slots.saturating_sub(ours).div_ceil(each.max(1)),
                ours,
                others: named.slots.saturating_sub(ours),
                wanted,
                earned: i64::try_from(earned).unwrap_or(i64::MAX),
            };
            let next = price::next(portman.pricing, factor, configured, seen, &mut known.memory);
            changed |= next != factor;
            known.factor = Some(next);
        }
        changed
    }

    fn candidates(
        &self,
        now: Time,
        desk: &Desk<'_>,
        portman: &config::Portman,
        shelf: &Shelf,
        collected: u32,
    ) -> Vec<Candidate> {
        let known_there = desk.sockets.known(&portman.ep);
        let candidate = |model: &str| {
            let hosted = shelf.models.get(model)?;
            let whereto = (portman.ep.clone(), model.to_string());
            let known = self.models.get(&whereto)?;
            let step = self.moving.get(&whereto);
            let loading = matches!(step, Some(Moving::Loading { .. }));
            let leaving = self.is_leaving(&portman.ep, model);
            let held = loading || desk.sockets.holds(&portman.ep, model);
            let later = known.not_before.is_some_and(|from| from > now);
            let barred = match (hosted.never, leaving, later) {
                (_, true, _) => Some("it is on its way out"),
                (true, ..) if !(held && later) => Some("it is never to be hosted"),
                (.., true) if !held => Some("it could not be loaded, and is tried again later"),
                _ => None,
            };
            let bound = match () {
                () if held && later => Some("it could not be moved, and is tried again later"),
                () if hosted.pin => Some("it is pinned"),
                () if held && !desk.sockets.runs(&portman.ep, model) => Some("it is being loaded"),
                () => None,
            };
            let jobs = share(known, desk.slots(portman, model), self.usual_time).saturating_mul(known.wins())
                / 1_000;
            let worth = jobs.saturating_mul(self.earns(&self.price(portman, model))) / 1_000;
            Some(Candidate {
                model: model.into(),
                memory: hosted.memory,
                load: hosted.load,
                loaded: held && !leaving,
                bound,
                barred,
                worth: worth.saturating_mul(u64::from(collected)) / 1_000,
                luck: AS_IT_IS,
            })
        };
        known_there.filter_map(candidate).collect()
    }

    /// Others look for the same: which of several one loads is left to chance, in proportion to what they are worth (the least
    /// of exponential draws, each over its worth), so that not all load the best.
    fn draw_lots(&mut self, candidates: &mut [Candidate]) {
        for candidate in candidates.iter_mut().filter(|candidate| !candidate.loaded) {
            let drawn = self.rng.exponential(Span(AS_IT_IS * AS_IT_IS)).0;
            candidate.luck = AS_IT_IS * AS_IT_IS * AS_IT_IS / drawn.max(1);
        }
    }

    /// What a usual job pays at a price, in thousandths of a micro-unit.
    fn earns(&self, price: &Price) -> u64 {
        let of = |tokens: u32, per_mtok: Micros| {
            u64::from(tokens).saturating_mul(u64::try_from(per_mtok.0).unwrap_or(0)) / 1_000
        };
        let request = u64::try_from(price.per_request.0).unwrap_or(0).saturating_mul(1_000);
        of(self.usual.input, price.input_per_mtok)
            .saturating_add(of(self.usual.output, price.output_per_mtok))
            .saturating_add(request)
    }
}

const NEXT: &str = "decide what is hosted in the next epoch";

const HOUR_MS: u64 = 3_600_000;

/// Jobs in an hour, in thousandths, that would be this provider's by its part of the slots; not more than they can run.
fn share(known: &Model, slots: u32, usual_time: Span) -> u64 {
    let all = u64::from(known.elsewhere) + u64::from(slots);
    let share = known.wanted.next().saturating_mul(slots.into()) / all.max(1);
    share.min(capacity(slots, usual_time))
}

/// Jobs in an hour, in thousandths, that so many slots can run.
fn capacity(slots: u32, usual_time: Span) -> u64 {
    u64::from(slots).saturating_mul(HOUR_MS * 1_000) / usual_time.as_millis().max(1)
}

/// As many providers of our size as there may be that would change the same, as far as is heard of their slots. Where that tells
/// nothing of our own, they are many.
fn turns(desk: &Desk<'_>, hearsay: &Hearsay) -> u64 {
    let runs = desk.models().filter(|(portman, model)| desk.sockets.runs(&portman.ep, model));
    let heard = runs.filter(|(_, model)| hearsay.named(model).slots > 0);
    let ours: u64 = heard.map(|(portman, model)| u64::from(desk.slots(portman, model))).sum();
    let all: u64 = hearsay.slots();
    all.checked_div(ours).map_or(TURNS, |turns| turns.clamp(1, TURNS))
}

fn drift(old: u64, new: u64) -> u64 {
    old - old / 8 + new / 8
}

impl Provider {
    /// True: it is time to decide what is hosted.
    pub(crate) fn hosting_is_due(&self, now: Time) -> bool {
        self.hosting.is_due(now)
    }

    /// True: the offers have changed.
    pub(crate) fn decide_hosting(&mut self, cx: &mut Cx<'_>, hearsay: &Hearsay) -> bool {
        let collected = self.receipts.collected();
        let desk =
            Desk { config: &self.config, sockets: &self.sockets, waiting: &self.waiting, jobs: &self.jobs };
        let changed = self.hosting.decide(cx, &desk, hearsay, collected);
        self.move_models(cx);
        changed
    }

    /// True: the offers have changed though no Portman said so.
    pub(crate) fn take_reoffer(&mut self) -> bool {
        self.hosting.take_reoffer()
    }

    pub(super) fn move_models(&mut self, cx: &mut Cx<'_>) {
        let desk =
            Desk { config: &self.config, sockets: &self.sockets, waiting: &self.waiting, jobs: &self.jobs };
        for (ep, order) in self.hosting.go_on(cx, &desk) {
            self.sockets.order(cx, &ep, &order);
        }
    }

    /// Models that were loaded, since this node's start.
    pub(crate) fn loads(&self) -> u64 {
        self.hosting.loads
    }

    /// Of each model that runs.
    pub(crate) fn prices(&self) -> Vec<(String, Price)> {
        let portmans = self.config.portmans.iter();
        let models =
            portmans.flat_map(|one| self.sockets.models(&one.ep).iter().map(move |model| (one, model)));
        models.map(|(portman, model)| (model.id.clone(), self.hosting.price(portman, &model.id))).collect()
    }

    /// For people.
    pub(crate) fn hosting_plan(&self, now: Time) -> Value {
        let desk =
            Desk { config: &self.config, sockets: &self.sockets, waiting: &self.waiting, jobs: &self.jobs };
        self.hosting.show(now, &desk)
    }
}
