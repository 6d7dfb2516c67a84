//! A scenario: who is in the mesh, what they ask, what the network is like, and what must come out. A TOML file says it;
//! the seed does not change it.
//!
//! Times of jobs and events count from the moment when every gateway has heard of every model.

pub mod doubts;
mod load;
pub mod market;
pub mod problems;
mod sense;
pub mod set;
pub(crate) mod values;

use std::collections::BTreeSet;

use labman_proto_core::economics::{Fees, Price, Rate};
use labman_proto_core::limits::{DISPUTE_TERM, EXPOSURE, LOAD_EVERY, QUOTE_LIFE};
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::node::config::{KeyLimits, Policy, Pricing};
use labman_proto_core::time::Span;
use labman_proto_core::toy::config::Thinks;
use serde::{Deserialize, Serialize};

pub use load::{BadScenario, load, parse};

use crate::adversary::{Adversary, Dishonest, Role};
use crate::churn::Churn;
use crate::faults::{Fault, Inject};
use crate::net::latency::Latency;
use crate::oracle::{Baseline, Oracle};
use crate::workload::audit::Audit;
use crate::workload::pattern;
use crate::workload::trace::Trace;
use crate::workload::worth::Worth;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// The mesh's name: nodes of other networks are not heard.
    #[serde(default = "default_network")]
    pub network: String,
    /// The run ends after this, whatever is still under way.
    #[serde(with = "values::span")]
    pub duration: Span,
    /// Each job starts when the one before it in the file has ended, and `at` is not looked at.
    #[serde(default)]
    pub one_by_one: bool,
    /// The run lasts its whole duration, even if everything has come to rest before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub whole: bool,
    /// Jobs that are asked for before this are left out where the report says how long jobs took and who did them.
    #[serde(default, with = "values::span", skip_serializing_if = "is_no_time")]
    pub measure_from: Span,
    /// How often the checkers look at the ledger.
    #[serde(default = "default_check_every", with = "values::span")]
    pub check_every: Span,
    /// How everybody signs: `ed25519`, or `tag`, which proves nothing and costs nothing.
    #[serde(default)]
    pub scheme: Scheme,
    #[serde(default)]
    pub latency: LatencyTable,
    pub fep: Fep,
    #[serde(rename = "gateway")]
    pub gateways: Vec<Gateway>,
    #[serde(rename = "provider")]
    pub providers: Vec<Provider>,
    #[serde(rename = "user")]
    pub users: Vec<User>,
    #[serde(rename = "job", default)]
    pub jobs: Vec<Job>,
    /// Jobs that come at random.
    #[serde(default)]
    pub arrivals: Vec<Arrivals>,
    #[serde(rename = "fault", default)]
    pub faults: Vec<Fault>,
    /// Providers that come and go at random.
    #[serde(rename = "churn", default, skip_serializing_if = "Vec::is_empty")]
    pub churns: Vec<Churn>,
    #[serde(rename = "adversary", default, skip_serializing_if = "Vec::is_empty")]
    pub adversaries: Vec<Adversary>,
    /// From here on all is well again but for faults that began before and last: every job asked for a while later must be
    /// served. Not said: nothing must be.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "values::maybe_span")]
    pub healed_at: Option<Span>,
    /// How often what goes on is told over time, in a sweep's results; not said: sixty times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticks: Option<Ticks>,
    /// How the mesh is watched, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<Mesh>,
    #[serde(rename = "replay", default, skip_serializing_if = "Vec::is_empty")]
    pub replays: Vec<Replay>,
    #[serde(rename = "expect", default)]
    pub expects: Vec<Expect>,
    #[serde(rename = "oracle", default, skip_serializing_if = "Vec::is_empty")]
    pub oracles: Vec<Oracle>,
    /// Looked at by the command that runs it, which reads the file once more with what they change.
    #[serde(rename = "baseline", default, skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<Baseline>,
    /// What it compares: the same with something changed. As the file has it is the first, `base`.
    #[serde(rename = "variant", default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
}

/// The same scenario with something changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub name: String,
    /// As on the command line: `gateway.0.routing.policy=random`.
    pub set: Vec<String>,
}

/// The shortest interval.
pub(crate) const LEAST_TICK: Span = Span::from_millis(1);

/// How what goes on is told over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticks {
    /// An interval's length.
    #[serde(with = "values::span")]
    pub every: Span,
}

/// Watches how what some providers say of themselves gets around, and what that costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mesh {
    /// So many providers, drawn from the seed.
    pub watch: usize,
    /// Of these model families only; none: of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<String>,
    /// Bytes are counted from here on.
    #[serde(default, with = "values::span")]
    pub from: Span,
    /// How often it is looked at.
    #[serde(default = "default_look_every", with = "values::span")]
    pub every: Span,
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LatencyTable {
    /// Between nodes, one way.
    pub mesh: Latency,
    /// Between users, nodes and the FEP, one way.
    pub http: Latency,
    /// Between a node, its Portmans and their runtimes.
    pub local: Latency,
    /// One write or read of a store.
    pub disk: Latency,
    /// Hosts stand in countries drawn from the seed, and what the network takes between two is what was measured between
    /// their countries; `mesh` and `http` are not looked at.
    pub geography: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    #[default]
    Ed25519,
    Tag,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fep {
    pub name: String,
    #[serde(default = "default_currency")]
    pub currency: Currency,
    #[serde(default, with = "values::Fees")]
    pub fees: Fees,
    /// What each gateway pays in when it is enrolled: it answers with it for attempts that it declares void.
    #[serde(default = "default_bond")]
    pub bond: Micros,
    /// Of each trouble with its rail, how often it befalls it: a transfer is made and nobody hears of it, never heard of, or
    /// fails for good.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rail_faults: u32,
    /// How often gateways' fees are paid out; not said: never, as no gateway has an address.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "values::maybe_span")]
    pub gateways_paid_every: Option<Span>,
    /// How it is dishonest, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Dishonest>,
    /// How late one that is slow answers.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "values::maybe_span")]
    pub late: Option<Span>,
    /// From when on one that defaults pays no claim; not said: from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "values::maybe_span")]
    pub defaults_at: Option<Span>,
    /// What its operator says that other currencies are worth, in the order of time.
    #[serde(default, rename = "quote", skip_serializing_if = "Vec::is_empty")]
    pub quotes: Vec<Quote>,
}

impl Fep {
    /// By so much one is late of whom nothing else is said: half of what it is waited for.
    const LATE: Span = Span::from_millis(2_500);

    pub fn late(&self) -> Span {
        self.late.unwrap_or(Self::LATE)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quote {
    pub currency: Currency,
    /// Such as `"0.92"`: what a unit of the FEP's currency is worth in it.
    #[serde(with = "values::rate")]
    pub rate: Rate,
    #[serde(default, with = "values::span")]
    pub at: Span,
    #[serde(default = "default_valid_for", with = "values::span")]
    pub valid_for: Span,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    pub name: String,
    /// So many alike, named `<name>-1`, `<name>-2`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// It keeps links to so many of the gateways before it, drawn from the seed; not said: to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dials: Option<u32>,
    /// Model families that it serves; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<String>,
    /// It serves so many of `families` only, drawn from the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub families_each: Option<u32>,
    /// How it chooses among providers; not said: as gateways do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Policy>,
    /// What each user may send it; not said: whatever they like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_limits: Option<KeyLimits>,
    /// Places for mesh links, in both directions; not said: as many as a node has by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_links: Option<u32>,
    /// Behind a NAT that lets no mesh dial in.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nat: bool,
    /// How far its wall clock is off, in milliseconds.
    #[serde(default)]
    pub wall_offset_ms: i64,
    /// How it is dishonest, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Dishonest>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    pub name: String,
    /// So many alike, named `<name>-1`, `<name>-2`, ...; their tenants are numbered, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// It keeps links to so many gateways, drawn from the seed; not said: to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dials: Option<u32>,
    pub tenant: String,
    #[serde(default = "default_claim_every", with = "values::span")]
    pub claim_every: Span,
    /// How long a receipt that its FEP would not pay stays disputed.
    #[serde(default = "default_dispute_for", with = "values::span")]
    pub dispute_for: Span,
    /// The most that each FEP may owe.
    #[serde(
        default = "default_exposure",
        with = "values::amount",
        skip_serializing_if = "is_default_exposure"
    )]
    pub exposure: Micros,
    #[serde(default, skip_serializing_if = "is_default")]
    pub hosting: market::Hosting,
    /// How often, at most, it tells gateways how busy it is.
    #[serde(
        default = "default_load_every",
        with = "values::span",
        skip_serializing_if = "is_default_load_every"
    )]
    pub load_every: Span,
    #[serde(default)]
    pub wall_offset_ms: i64,
    /// How it is dishonest, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Dishonest>,
    #[serde(rename = "portman")]
    pub portmans: Vec<Portman>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portman {
    pub ep: String,
    pub model: String,
    #[serde(with = "values::Price")]
    pub price: Price,
    #[serde(default = "default_slots")]
    pub slots: u32,
    /// Requests that may wait for a slot.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub queue: u32,
    /// In tokens.
    #[serde(default = "default_context_length")]
    pub context_length: u32,
    /// The runtime's time from one token to the next.
    #[serde(default = "default_token_every", with = "values::span")]
    pub token_every: Span,
    /// The runtime's time for each token of the prompt, before its answer begins.
    #[serde(default, with = "values::span", skip_serializing_if = "is_no_time")]
    pub prompt_token_every: Span,
    /// The runtime's time for each answer before it begins, besides.
    #[serde(default, with = "values::Thinks", skip_serializing_if = "is_no_thought")]
    pub thinks: Thinks,
    /// The runtime's time before the first token; not said: as before each.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "values::maybe_span")]
    pub first_token: Option<Span>,
    /// The runtime's time from the last token to the answer's end.
    #[serde(default, skip_serializing_if = "is_no_time", with = "values::span")]
    pub ends_after: Span,
    /// Of a thousand answers so many are an error of the runtime's instead.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fails: u32,
    /// It fails more often, or less, from some moment on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<Turn>,
    /// Its runtime is another model than its name says, which nobody can tell but by its text.
    #[serde(default, skip_serializing_if = "is_false")]
    pub impostor: bool,
    /// Receipts are claimed once they sum to this much.
    #[serde(default, with = "values::amount")]
    pub least_payout: Micros,
    /// What its price is in, and its work is paid in; not said: the FEP's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// Its runtime has several models, and its provider decides which of them are in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shelf: Option<market::Shelf>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub pricing: Pricing,
}

/// A step of how often a runtime fails. One that starts again fails as often as at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    #[serde(with = "values::span")]
    pub at: Span,
    /// Of a thousand answers.
    pub fails: u32,
}

impl Portman {
    /// What is in memory at the start.
    pub fn first_models(&self) -> Vec<String> {
        match &self.shelf {
            Some(shelf) => (1..=shelf.room.min(shelf.count)).map(|n| market::named(&self.model, n)).collect(),
            None => vec![self.model.clone()],
        }
    }

    pub fn all_models(&self) -> Vec<String> {
        match &self.shelf {
            Some(shelf) => (1..=shelf.count).map(|n| market::named(&self.model, n)).collect(),
            None => vec![self.model.clone()],
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub name: String,
    /// So many alike, named `<name>-1`, `<name>-2`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    #[serde(default, with = "values::amount")]
    pub deposit: Micros,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    pub name: String,
    pub user: String,
    /// The only gateway, where there is one.
    pub gateway: Option<String>,
    /// `tenant:ep:model`.
    pub model: String,
    pub prompt: String,
    pub max_tokens: Option<u32>,
    /// As in the API: what it wants of providers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<toml::Table>,
    /// The toy has at least so much to say.
    pub min_tokens: Option<u32>,
    #[serde(default = "yes")]
    pub stream: bool,
    pub temperature: Option<f64>,
    pub seed: Option<i64>,
    pub stop: Option<Vec<String>>,
    #[serde(default, with = "values::span")]
    pub at: Span,
    /// An API key in place of the user's own.
    pub api_key: Option<String>,
    /// The user goes away so long after asking.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "values::maybe_span")]
    pub leaves_after: Option<Span>,
    /// The user stays, and reads nothing more so long after asking.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "values::maybe_span")]
    pub stops_reading_after: Option<Span>,
}

/// Jobs like one another that come at random. They are named `<name>-1`, `<name>-2`, ...
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    pub name: String,
    /// A user, or a group of users (`count`): then any of them.
    pub user: String,
    /// Not said: any.
    pub gateway: Option<String>,
    pub model: String,
    /// Said: one of many models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zipf: Option<market::Zipf>,
    pub prompt: String,
    pub max_tokens: Option<u32>,
    /// As in the API: what it wants of providers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<toml::Table>,
    #[serde(default = "yes")]
    pub stream: bool,
    /// What each is worth to its user, if anything is too dear for them: sent as the API's `provider.max_price`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Worth>,
    /// How they check what they are answered, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Mean time between two.
    #[serde(with = "values::span")]
    pub every: Span,
    #[serde(default, with = "values::span")]
    pub from: Span,
    #[serde(with = "values::span")]
    pub until: Span,
    /// How they are spread over time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pattern: pattern::Named,
}

/// Jobs as they came in a real hour. They are named `<name>-1`, `<name>-2`, ...
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    pub name: String,
    /// A user, or a group of users (`count`): then any of them.
    pub user: String,
    pub model: String,
    pub trace: Trace,
    /// So many at once, each shifted by a part of the hour.
    #[serde(default = "one")]
    pub copies: u32,
    /// Of so many tokens one is asked for: a runtime that takes as much longer for each does the same work in fewer steps.
    #[serde(default = "one")]
    pub tokens_by: u32,
    /// What came before that is left out, and this is the start.
    #[serde(default, with = "values::span", skip_serializing_if = "is_no_time")]
    pub from: Span,
    /// What came later is left out.
    #[serde(with = "values::span")]
    pub until: Span,
    /// How long after the workload's start it begins.
    #[serde(default, with = "values::span", skip_serializing_if = "is_no_time")]
    pub after: Span,
}

/// What a figure of the report must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Such as `jobs.completed`.
    pub field: String,
    pub op: Comparison,
    pub value: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    Unequal,
    #[serde(rename = "<")]
    Below,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = ">")]
    Above,
    #[serde(rename = ">=")]
    AtLeast,
}

impl Comparison {
    pub fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Unequal => left != right,
            Self::Below => left < right,
            Self::AtMost => left <= right,
            Self::Above => left > right,
            Self::AtLeast => left >= right,
        }
    }

    pub fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// Ticks in a scenario's duration, where it does not say how often.
const TICKS: u64 = 60;

impl Scenario {
    /// The length of the intervals that what goes on is told in.
    pub fn tick_every(&self) -> Span {
        let even = Span(self.duration.0.div_ceil(TICKS).max(LEAST_TICK.0));
        self.ticks.map_or(even, |ticks| ticks.every)
    }

    /// Whether it looks at one of these figures.
    pub fn names_one_of(&self, figures: &[&str]) -> bool {
        let expects = self.expects.iter().map(|one| &one.field);
        let oracles = self.oracles.iter().map(|one| &one.field);
        let baselines = self.baselines.iter().map(|one| &one.field);
        expects.chain(oracles).chain(baselines).any(|field| figures.contains(&field.as_str()))
    }

    /// As a file that [`load`] reads back.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }

    /// Everybody whom a fault can touch: the FEP, gateways, providers, users, and Portmans as `<provider>/<ep>`.
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        let portmans = self.providers.iter().flat_map(|provider| {
            provider.portmans.iter().map(|portman| format!("{}/{}", provider.name, portman.ep))
        });
        let gateways = self.gateways.iter().map(|gateway| gateway.name.clone());
        let providers = self.providers.iter().map(|provider| provider.name.clone());
        let users = self.users.iter().map(|user| user.name.clone());
        std::iter::once(self.fep.name.clone()).chain(gateways).chain(providers).chain(portmans).chain(users)
    }

    /// The user of that name, or the members of the group of that name.
    pub fn users_of(&self, name: &str) -> impl Iterator<Item = &User> {
        self.users.iter().filter(move |user| is_of(&user.name, name))
    }

    /// The same of providers.
    pub fn providers_of(&self, name: &str) -> impl Iterator<Item = &Provider> {
        self.providers.iter().filter(move |provider| is_of(&provider.name, name))
    }

    /// Whether a host's disk forgets, in the course of the scenario, what it had acknowledged.
    pub fn forgets(&self, host: &str) -> bool {
        self.suffers(host, |inject| matches!(inject, Inject::RollBack(_) | Inject::DiskLost(_)))
    }

    /// Whether a host's wall clock is set, or stands still, in the course of the scenario.
    pub fn loses_time(&self, host: &str) -> bool {
        self.suffers(host, |inject| matches!(inject, Inject::ClockJump(_) | Inject::ClockFreeze(_)))
    }

    fn suffers(&self, host: &str, of_kind: impl Fn(&Inject) -> bool) -> bool {
        self.faults.iter().any(|fault| of_kind(&fault.inject) && fault.inject.hosts().contains(&host))
    }

    /// Everybody who does not do only what the protocol says, but for the further hosts of an adversary.
    pub fn dishonest(&self) -> BTreeSet<String> {
        let gateways = self.gateways.iter().map(|gateway| (&gateway.name, gateway.strategy));
        let providers = self.providers.iter().map(|provider| (&provider.name, provider.strategy));
        let daemons = gateways.chain(providers).chain([(&self.fep.name, self.fep.strategy)]);
        let daemons = daemons.filter(|(_, strategy)| strategy.is_some()).map(|(name, _)| name);
        daemons.chain(self.adversaries.iter().map(|adversary| &adversary.name)).cloned().collect()
    }

    /// Whether what the FEP signs is true, and its books are in order.
    pub fn believes_fep(&self) -> bool {
        self.fep.strategy.is_none_or(Dishonest::is_truthful)
    }

    /// Whether that party does only what the protocol says.
    pub fn is_honest(&self, name: &str) -> bool {
        // By the strategy first: of thousands of names few need comparing.
        let gateway = |one: &Gateway| one.strategy.is_some() && one.name == name;
        let provider = |one: &Provider| one.strategy.is_some() && one.name == name;
        let fep = self.fep.strategy.is_some() && self.fep.name == name;
        let adversary = self.adversaries.iter().any(|adversary| adversary.name == name);
        !(fep || adversary || self.gateways.iter().any(gateway) || self.providers.iter().any(provider))
    }

    /// The same for a host: an adversary may come as several, `<name>.2` and so on.
    pub fn is_honest_host(&self, host: &str) -> bool {
        let of =
            |name: &str| host == name || host.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.is_honest(host) && !self.adversaries.iter().any(|adversary| of(&adversary.name))
    }

    /// What daemon that is; `None`: there is none of that name.
    pub fn role_of(&self, name: &str) -> Option<Role> {
        if self.fep.name == name {
            Some(Role::Fep)
        } else if self.gateways.iter().any(|gateway| gateway.name == name) {
            Some(Role::Gateway)
        } else {
            self.providers.iter().any(|provider| provider.name == name).then_some(Role::Provider)
        }
    }
}

impl Provider {
    /// Its text may not be what its models would say.
    pub fn is_doubted(&self) -> bool {
        self.strategy.is_some() || self.portmans.iter().any(|portman| portman.impostor)
    }

    /// The slugs of what its Portmans serve at the start.
    pub fn slugs(&self) -> impl Iterator<Item = String> {
        self.with_portmans(Portman::first_models).map(|(slug, _)| slug)
    }

    /// All that they could serve.
    pub fn all_slugs(&self) -> impl Iterator<Item = (String, &Portman)> {
        self.with_portmans(Portman::all_models)
    }

    /// What each of its Portmans would call these.
    pub fn with_portmans(
        &self,
        models: fn(&Portman) -> Vec<String>,
    ) -> impl Iterator<Item = (String, &Portman)> {
        self.portmans.iter().flat_map(move |portman| {
            let slug = move |model| (format!("{}:{}:{model}", self.tenant, portman.ep), portman);
            models(portman).into_iter().map(slug)
        })
    }
}

impl Scenario {
    /// The part of what is asked for last, in millionths, that could be in memory if everybody knew what will be asked for.
    /// `None`: nobody asks for many models, or nobody decides what is hosted.
    pub fn best_hits_ppm(&self) -> Option<u64> {
        let zipf = self.arrivals.iter().filter_map(|arrivals| arrivals.zipf.as_ref()).next_back()?;
        let rooms = self.providers.iter().flat_map(|provider| &provider.portmans);
        let rooms: u32 = rooms.filter_map(|portman| portman.shelf.as_ref()).map(|shelf| shelf.room).sum();
        (rooms > 0).then(|| zipf.top_ppm(rooms))
    }
}

impl Default for LatencyTable {
    fn default() -> Self {
        let uniform = |least, most| Latency::Uniform(Span::from_millis(least), Span::from_millis(most));
        Self {
            mesh: uniform(10, 40),
            http: uniform(5, 25),
            local: Latency::Constant(Span::from_nanos(100_000)),
            disk: Latency::Exponential(Span::from_millis(2)),
            geography: false,
        }
    }
}

fn default_network() -> String {
    "sim".into()
}

/// Whether it is of that name, or a member of the group of that name.
fn is_of(member: &str, name: &str) -> bool {
    let number = member.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    member == name || number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

const fn one() -> u32 {
    1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

pub(crate) fn default_bond() -> Micros {
    Micros(100_000_000)
}

/// A quote's longest life.
fn default_valid_for() -> Span {
    QUOTE_LIFE
}

pub(crate) fn default_currency() -> Currency {
    "XTS".parse().expect("XTS is a currency code")
}

const fn default_look_every() -> Span {
    Span::from_millis(100)
}

fn default_check_every() -> Span {
    Span::from_secs(5)
}

const fn default_exposure() -> Micros {
    EXPOSURE
}

fn is_default_exposure(amount: &Micros) -> bool {
    *amount == EXPOSURE
}

const fn default_load_every() -> Span {
    LOAD_EVERY
}

fn is_default_load_every(every: &Span) -> bool {
    *every == LOAD_EVERY
}

const fn default_dispute_for() -> Span {
    DISPUTE_TERM
}

const fn default_claim_every() -> Span {
    Span::from_secs(30)
}

const fn default_slots() -> u32 {
    4
}

const fn default_context_length() -> u32 {
    4096
}

const fn default_token_every() -> Span {
    Span::from_millis(20)
}

fn is_no_time(span: &Span) -> bool {
    span.0 == 0
}

fn is_no_thought(thinks: &Thinks) -> bool {
    *thinks == Thinks::default()
}

/// For `skip_serializing_if`.
fn is_false(flag: &bool) -> bool {
    !flag
}

const fn yes() -> bool {
    true
}
