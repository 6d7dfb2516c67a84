//! Which providers may serve a request, in what order to try them, and why.
//!
//! ```text
//!   View --filter.rs: who can't, and why--> candidates --choice.rs: score, then load, by policy.rs--> order, three at most
//!                                                ^                                                       |
//!   measured.rs, breaker.rs: what was seen of them before <----- what became of the attempts ------------+--> trace.rs
//! ```
//!
//! What is absent: loads, which are the gateway's to know; retries, which are its to make.

pub(crate) mod along;
pub(crate) mod breaker;
mod choice;
mod filter;
pub(crate) mod hints;
mod measured;
pub(crate) mod policy;
mod trace;
mod turn;

use alloc::{collections::BTreeMap, vec::Vec};

use breaker::Breakers;
use choice::{Candidate, Place, Wish};
use filter::Removed;
use hints::Hints;
use measured::{Figures, Measured};
use policy::Policy;
use serde_json::Value;
use trace::{Considered, Decision, Decisions};

use crate::gossip::{Served, View};
use crate::identity::NodeId;
use crate::keys::Described;
use crate::limits::{
    ATTEMPTS, EXPLAINED_PROVIDERS, FIRST_CHUNK, HEARD_WITHIN, PATIENCE_INPUT, PATIENCE_LEAST, PATIENCE_TIMES,
};
use crate::names::{Asked, SlugKey};
use crate::openai::request::Output;
use crate::rng::Stream;
use crate::time::{Now, Span, Time};
use crate::wire::ids::RequestId;
use crate::wire::portal::Offer;

/// What a request needs of a provider.
pub(crate) struct Need<'a> {
    pub(crate) model: &'a str,
    /// What that name stands for at this gateway.
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) input_bound: u32,
    pub(crate) output: Output,
    /// The FEP's terms, where they are known.
    pub(crate) fep: Option<&'a Described>,
    /// Offers must be valid for that long.
    pub(crate) job: Span,
    pub(crate) hints: &'a Hints,
    /// Names the conversation; whether some of it was answered before.
    pub(crate) head: u64,
    pub(crate) continues: bool,
    /// The gateway that asks.
    pub(crate) me: NodeId,
}

impl Need<'_> {
    /// The most output to ask of a provider, of all parts together.
    pub(crate) fn max_output_at(&self, offer: &Offer) -> u32 {
        self.output.most(offer.context_length, offer.max_output)
    }
}

/// Why nobody is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoCandidate {
    /// Nobody serves the model.
    Unknown,
    /// Nobody serves it now, but somebody did a moment ago, or may do without our having heard of it yet.
    Awaited,
    /// It is served by somebody who can't be used now: not linked, a currency that is not quoted, offer about to lapse, failing.
    Ineligible,
    /// Only by those that the request does not want, or not at that price.
    Unwanted,
    /// Its context is too short for the prompt.
    TooLong,
    /// All that could are full.
    Full,
}

/// A gateway's own jobs at a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Own {
    /// The provider was asked, and knows of them.
    pub(crate) placed: u32,
    /// It will be, if the FEP agrees. Whoever has a key or not can bring these about: they count for whom to prefer, and not for whom
    /// to ask at all.
    pub(crate) reserved: u32,
}

impl Own {
    pub(crate) const fn all(self) -> u32 {
        self.placed.saturating_add(self.reserved)
    }
}

/// How busy a provider is with one model, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) jobs: u32,
    /// Other gateways send it jobs, too.
    pub(crate) contested: bool,
}

/// What a gateway knows of providers at this moment: asked for in the order of their ids, as the view has them.
pub(crate) struct Seen<'a> {
    pub(crate) view: &'a View,
    pub(crate) linked: &'a mut dyn FnMut(&NodeId) -> bool,
    /// Its own jobs there, by slug.
    pub(crate) own: &'a mut dyn FnMut(&NodeId, SlugKey) -> Own,
    /// All jobs there, as far as is known, where so many are its own.
    pub(crate) load: &'a mut dyn FnMut(&NodeId, SlugKey, u32) -> Load,
}

pub(crate) struct Router {
    since: Time,
    policy: Policy,
    rng: Stream,
    measured: Measured,
    breakers: Breakers,
    decisions: Decisions,
}

impl Router {
    pub(crate) fn new(policy: Policy, rng: Stream, since: Time) -> Self {
        let (measured, breakers) = (Measured::default(), Breakers::default());
        Self { since, policy, rng, measured, breakers, decisions: Decisions::default() }
    }

    /// Whom to try, in order; never nobody.
    pub(crate) fn route(
        &mut self,
        id: RequestId,
        need: &Need<'_>,
        now: Now,
        seen: &mut Seen<'_>,
    ) -> Result<Vec<Served>, NoCandidate> {
        let first = EXPLAINED_PROVIDERS.max(ATTEMPTS);
        let (mut candidates, removed) = self.ordered(need, now, seen, first);
        let eligible = candidates.len();
        candidates.truncate(first);
        let routed = candidates.iter().map(|one| one.served.clone());
        let most = if need.hints.no_fallbacks { 1 } else { ATTEMPTS };
        let routed: Vec<Served> = routed.take(most).collect();
        let why = match nobody(&removed) {
            NoCandidate::Unknown if self.awaits(seen.view, need, now.mono) => NoCandidate::Awaited,
            why => why,
        };
        self.decisions.keep(
            id,
            Decision {
                asked: now.mono,
                at: now.wall,
                model: need.model.into(),
                policy: self.policy.name.clone(),
                eligible,
                considered: candidates.into_iter().map(Considered::from).collect(),
                removed,
                attempts: Vec::new(),
            },
        );
        if routed.is_empty() { Err(why) } else { Ok(routed) }
    }

    /// May somebody be about to serve it, of whom nothing is heard now?
    fn awaits(&self, view: &View, need: &Need<'_>, now: Time) -> bool {
        let has_heard = now - self.since >= HEARD_WITHIN && view.served().next().is_some();
        !has_heard || view.served_lately(now).any(|slug| need.asked.is_served_by(slug))
    }

    /// Of those that are not linked, whom to ask to call, in order.
    pub(crate) fn callable(&mut self, need: &Need<'_>, now: Now, seen: &mut Seen<'_>) -> Vec<NodeId> {
        self.ordered(need, now, seen, usize::MAX).0.into_iter().map(|one| one.provider).collect()
    }

    /// Those that can serve, each once, the first of them in the order in which they are to be tried; and those that can't.
    fn ordered<'a>(
        &mut self,
        need: &Need<'_>,
        now: Now,
        seen: &mut Seen<'a>,
        first: usize,
    ) -> (Vec<Candidate<'a>>, BTreeMap<Removed, (usize, NodeId)>) {
        let mut removed: BTreeMap<Removed, (usize, NodeId)> = BTreeMap::new();
        let (mut candidates, mut figures) = (Vec::new(), self.measured.along(now.mono));
        for (provider, served) in seen.view.serves(need.asked) {
            let figures = figures(&provider, served.key);
            match self.candidate(provider, served, figures, need, now, seen) {
                Ok(candidate) => candidates.push(candidate),
                Err(why) => removed.entry(why).or_insert((0, provider)).0 += 1,
            }
        }
        let wish = Wish {
            sort: need.hints.sort,
            max_output: u64::from(need.output.asked.unwrap_or(u32::MAX)),
            head: need.head,
            continues: need.continues,
        };
        choice::order(&mut candidates, &self.policy, &wish, &mut self.rng, first);
        (candidates, removed)
    }

    fn candidate<'a>(
        &self,
        provider: NodeId,
        served: &'a Served,
        figures: Figures,
        need: &Need<'_>,
        now: Now,
        seen: &mut Seen<'_>,
    ) -> Result<Candidate<'a>, Removed> {
        let own = (seen.own)(&provider, served.key);
        let state = self.breakers.state(&provider, now.mono);
        let linked = (seen.linked)(&provider);
        let charge = filter::charge(need, &provider, served, now.wall, linked, own.placed, state)?;
        let load = (seen.load)(&provider, served.key, own.all());
        let takes_turns = self.policy.turns && load.contested;
        Ok(Candidate {
            provider,
            served,
            charge,
            own: own.all(),
            anothers: takes_turns && {
                let there = seen.view.gateways_of(&provider);
                let free = served.slots.saturating_sub(load.jobs);
                turn::is_anothers(&need.me, &provider, there, free, now.wall)
            },
            load,
            newcomer: self.measured.is_newcomer(&figures),
            figures,
            named: Hints::names(&need.hints.order, &provider, &served.offer.content.slug),
            half_open: state == breaker::State::HalfOpen,
            place: Place::default(),
        })
    }

    /// How long a provider that is not the last to be tried has until its first chunk. Where a job may have to wait for a slot, or
    /// has much to be read first, what is usual tells nothing.
    pub(crate) fn patience(
        &self,
        provider: NodeId,
        slug: &str,
        now: Time,
        waits: bool,
        input_bound: u32,
    ) -> Span {
        if waits || input_bound > PATIENCE_INPUT {
            return FIRST_CHUNK;
        }
        let usual = self.measured.of(provider, slug, now).first_us();
        let usual = usual.map(|usual| Span(usual.saturating_mul(1_000 * PATIENCE_TIMES)));
        usual.unwrap_or(FIRST_CHUNK).clamp(PATIENCE_LEAST, FIRST_CHUNK)
    }

    /// An attempt is made.
    pub(crate) fn asked(&mut self, id: RequestId, provider: NodeId, now: Time) {
        self.decisions.tried(id, provider, now, "asked");
    }

    /// It was to be tried, and its link is gone.
    pub(crate) fn unlinked(&mut self, id: RequestId, provider: NodeId, now: Time) {
        self.decisions.tried(id, provider, now, "not linked any more");
    }

    /// Its first chunk came.
    pub(crate) fn began(&mut self, id: RequestId, provider: NodeId, slug: &str, now: Time, after: Span) {
        self.measured.began(provider, slug, now, after);
        self.decisions.tried(id, provider, now, "first chunk");
    }

    /// Its answer is whole: so many output tokens, the last so long after the first.
    pub(crate) fn ended(
        &mut self,
        id: RequestId,
        provider: NodeId,
        slug: &str,
        now: Time,
        (tokens, took): (u32, Span),
    ) {
        self.breakers.served(&provider);
        self.measured.ended(provider, slug, now, tokens, took);
        self.decisions.tried(id, provider, now, "served");
    }

    /// It did not serve. `its_fault`: it may not serve others either. True: it is left alone for a while.
    pub(crate) fn failed(
        &mut self,
        id: RequestId,
        provider: NodeId,
        slug: &str,
        now: Time,
        (its_fault, what): (bool, &'static str),
    ) -> bool {
        self.decisions.tried(id, provider, now, what);
        if !its_fault {
            return false;
        }
        self.measured.failed(provider, slug, now);
        self.breakers.failed(provider, now)
    }

    /// For people: why a request went where it went. `None`: it is not remembered.
    pub(crate) fn explain(&self, id: RequestId) -> Option<Value> {
        self.decisions.show(id)
    }

    pub(crate) fn policy(&self) -> &str {
        &self.policy.name
    }
}

impl From<Candidate<'_>> for Considered {
    fn from(one: Candidate<'_>) -> Self {
        Self {
            provider: one.provider,
            slug: one.served.offer.content.slug.clone(),
            charge: one.charge,
            score: one.place.score,
            load: one.load.jobs,
            slots: one.served.slots,
            own: one.own,
            first_us: one.figures.first_us(),
            token_us: one.figures.token_us(),
            reliability: one.figures.reliability(),
            newcomer: one.newcomer,
            because: one.place.because,
        }
    }
}

/// The reason nearest to success is the most useful one to tell.
fn nobody(removed: &BTreeMap<Removed, (usize, NodeId)>) -> NoCandidate {
    let why = |removed: &Removed| match removed {
        Removed::Ignored | Removed::NotAmongOnly | Removed::Quantised | Removed::TooDear => {
            NoCandidate::Unwanted
        }
        Removed::Unlinked | Removed::Lapses | Removed::NotQuoted | Removed::Broken => NoCandidate::Ineligible,
        Removed::TooLong => NoCandidate::TooLong,
        Removed::Full => NoCandidate::Full,
    };
    let rank = |why: &NoCandidate| match why {
        NoCandidate::Unknown | NoCandidate::Awaited => 0,
        NoCandidate::Unwanted => 1,
        NoCandidate::Ineligible => 2,
        NoCandidate::TooLong => 3,
        NoCandidate::Full => 4,
    };
    removed.keys().map(why).max_by_key(rank).unwrap_or(NoCandidate::Unknown)
}
