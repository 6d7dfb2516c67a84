//! Which of those that can serve is tried first, and who after it.
//!
//! Everybody has a score: what it costs and how long it takes, beside the cheapest and the quickest, and how often it serves at
//! all. Those near the best are as good as it; among them load decides, of a few that are drawn. All of it takes a time that grows as
//! their number: there may be thousands.
//!
//! [`proportional`] draws by price instead, and [`ucb`] takes the best of what each may be.

mod proportional;
mod ucb;

use alloc::vec::Vec;

use super::Load;
use super::hints::Sort;
use super::measured::Figures;
use super::policy::Policy;
use super::turn;
use crate::gossip::Served;
use crate::identity::NodeId;
use crate::money::Micros;
use crate::rng::Stream;

/// Output tokens that an answer is thought to have, where its user sets no lower bound.
const USUAL_TOKENS: u64 = 256;
/// As if it served so often, of a thousand, though it never did: a score must not be without bounds.
const LEAST_RELIABLE: u64 = 50;

/// Somebody who can serve.
pub(super) struct Candidate<'a> {
    pub(super) provider: NodeId,
    pub(super) served: &'a Served,
    pub(super) charge: Micros,
    pub(super) own: u32,
    pub(super) load: Load,
    /// Few slots are free, others use them, and now it is another gateway's turn.
    pub(super) anothers: bool,
    pub(super) figures: Figures,
    /// It has not proved itself here.
    pub(super) newcomer: bool,
    /// Where the user's `order` names it.
    pub(super) named: Option<usize>,
    /// A breaker lets one request try it.
    pub(super) half_open: bool,
    pub(super) place: Place,
}

/// Where it stands among the others.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// 0: the first to be looked at. Who sorts by themselves want no other order but that who has a slot goes first.
    tier: u8,
    pub(super) score: u64,
    /// The score of one that always serves.
    at_best: u64,
    /// By chance, among equals.
    draw: u64,
    /// The policy has chosen it.
    chosen: bool,
    pub(super) because: &'static str,
}

impl Default for Place {
    fn default() -> Self {
        Self { tier: 0, score: 0, at_best: 0, draw: 0, chosen: false, because: "next best" }
    }
}

/// What of a request matters for the choice.
pub(super) struct Wish {
    pub(super) sort: Option<Sort>,
    pub(super) max_output: u64,
    /// Of the conversation, and whether some of it was answered before.
    pub(super) head: u64,
    pub(super) continues: bool,
}

impl Candidate<'_> {
    /// Jobs, in thousandths of the slots.
    fn load_per_mille(&self) -> u64 {
        u64::from(self.load.jobs) * 1_000 / u64::from(self.served.slots.max(1))
    }

    fn has_slot(&self) -> bool {
        self.load.jobs < self.served.slots
    }

    /// The least is tried first: whom the user names, whom the policy chose, and then the best.
    fn rank(&self) -> impl Ord + use<> {
        let named = self.named.unwrap_or(usize::MAX);
        (named, !self.place.chosen, self.place.tier, self.place.score, self.load_per_mille(), self.place.draw)
    }

    fn is_unproved(&self, policy: &Policy, wish: &Wish) -> bool {
        policy.explore > 0 && wish.sort.is_none() && (self.newcomer || self.half_open)
    }
}

/// Keeps one of each provider's, which stand together, and puts the first so many in the order in which they are to be tried. The
/// others, of whom there may be thousands, follow as they come.
pub(super) fn order(
    candidates: &mut Vec<Candidate<'_>>,
    policy: &Policy,
    wish: &Wish,
    rng: &mut Stream,
    first: usize,
) {
    score(candidates, policy, wish);
    for one in candidates.iter_mut() {
        let late = policy.free_first && !one.has_slot();
        one.place.tier = u8::from(one.is_unproved(policy, wish)) + 2 * u8::from(late);
        // Equals in an order of their own each time.
        one.place.draw = rng.next_u64();
    }
    candidates.dedup_by(|other, kept| {
        let same = other.provider == kept.provider;
        if same && other.rank() < kept.rank() {
            core::mem::swap(other, kept);
        }
        same
    });
    if wish.sort.is_none() {
        let at =
            explored(candidates, policy, wish, rng).or_else(|| match (policy.exponent, policy.confidence) {
                (0, 0) => drawn(candidates, policy, wish, rng),
                (0, _) => ucb::best(candidates, policy),
                _ => proportional::drawn(candidates, policy, rng),
            });
        if let Some(one) = at.and_then(|at| candidates.get_mut(at)) {
            one.place.chosen = true;
        }
    }
    for one in candidates.iter_mut().filter(|one| one.named.is_some()) {
        one.place.because = "named by the request";
    }
    if let Some(last) = first.checked_sub(1).filter(|last| *last < candidates.len()) {
        candidates.select_nth_unstable_by_key(last, Candidate::rank);
    }
    let first = candidates.len().min(first);
    if let Some(first) = candidates.get_mut(..first) {
        first.sort_unstable_by_key(Candidate::rank);
    }
}

fn score(candidates: &mut [Candidate<'_>], policy: &Policy, wish: &Wish) {
    let tokens = wish.max_output.min(USUAL_TOKENS);
    let (weighs_first, weighs_tokens) = match wish.sort {
        Some(Sort::Latency) => (1, 0),
        Some(Sort::Throughput) => (0, 1),
        Some(Sort::Price) | None => (1, tokens),
    };
    // Of what is not known of somebody, the mean is believed.
    let usual_first = mean(candidates.iter().filter_map(|one| one.figures.first_us()));
    let usual_token = mean(candidates.iter().filter_map(|one| one.figures.token_us()));
    let time = |figures: &Figures| {
        let first = figures.first_us().unwrap_or(usual_first).saturating_mul(weighs_first);
        let all = figures.token_us().unwrap_or(usual_token).saturating_mul(weighs_tokens);
        first.saturating_add(all).max(1)
    };
    let quickest = candidates.iter().map(|one| time(&one.figures)).min().unwrap_or(1);
    let cheapest = candidates.iter().map(|one| one.charge.0.max(1) as u64).min().unwrap_or(1);
    let (price, duration) = match wish.sort {
        Some(Sort::Price) => (1_000, 0),
        Some(Sort::Throughput | Sort::Latency) => (0, 1_000),
        None => (policy.price, policy.time),
    };
    for one in candidates {
        let cost = ratio(one.charge.0.max(1) as u64, cheapest, price);
        let takes = ratio(time(&one.figures), quickest, duration);
        let reliability = match wish.sort {
            Some(_) => 1_000,
            None => u64::from(one.figures.reliability()).max(LEAST_RELIABLE),
        };
        one.place.at_best = cost.saturating_add(takes);
        one.place.score = one.place.at_best.saturating_mul(1_000) / reliability;
    }
}

fn mean(known: impl Iterator<Item = u64>) -> u64 {
    let (sum, count) = known.fold((0u64, 0), |(sum, count), one| (sum.saturating_add(one), count + 1));
    sum.checked_div(count).unwrap_or(0)
}

fn ratio(of: u64, to: u64, weight: u32) -> u64 {
    u64::try_from(u128::from(of) * u128::from(weight) / u128::from(to)).unwrap_or(u64::MAX >> 16)
}

/// Now and then a newcomer has its chance, and one that failed: they get few requests so, however many they are.
fn explored(
    candidates: &mut [Candidate<'_>],
    policy: &Policy,
    wish: &Wish,
    rng: &mut Stream,
) -> Option<usize> {
    let unproved = |one: &Candidate<'_>| one.is_unproved(policy, wish) && one.has_slot();
    let (some, all) = (candidates.iter().filter(|one| unproved(one)).count() as u64, candidates.len() as u64);
    // Where all are new nobody is to be protected.
    if some == 0 || some == all || rng.below(1_000 * all) >= u64::from(policy.explore) * some {
        return None;
    }
    let nth = rng.below(some) as usize;
    let at = candidates.iter().enumerate().filter(|(_, one)| unproved(one)).nth(nth)?.0;
    candidates.get_mut(at)?.place.because = "to see how it serves";
    Some(at)
}

/// Of those that are about as good as the best: the least loaded of a few, or the one that knows the conversation.
fn drawn(candidates: &mut [Candidate<'_>], policy: &Policy, wish: &Wish, rng: &mut Stream) -> Option<usize> {
    let best = candidates.iter().map(|one| one.place.tier).min()?;
    let mut near: Vec<usize> = (0..candidates.len()).collect();
    near.retain(|at| candidates.get(*at).is_some_and(|one| one.place.tier == best));
    let score = |at: usize| candidates.get(at).map_or(u64::MAX, |one| one.place.score);
    let as_good = |of: &[usize]| {
        let best = of.iter().map(|at| score(*at)).min().unwrap_or(u64::MAX);
        let most = ratio(best, 1_000, policy.band.saturating_add(1_000));
        move |at: &usize| score(*at) <= most
    };
    let mut home = None;
    if policy.sticky.is_some() {
        let is_as_good = as_good(&near);
        let affine = |at: &usize| candidates.get(*at).map(|one| turn::mixed(wish.head, &one.provider));
        let all: Vec<usize> = near.iter().copied().filter(is_as_good).collect();
        home = all.iter().copied().max_by_key(affine).filter(|_| all.len() > 1);
    }
    let anothers = |at: &usize| candidates.get(*at).is_some_and(|one| one.anothers);
    let mut left: Vec<usize> = near.iter().copied().filter(anothers).collect();
    // Where it is nowhere our turn none is left to anybody.
    if left.len() == near.len() {
        left.clear();
    }
    near.retain(|at| left.binary_search(at).is_err());
    let all = as_good(&near);
    near.retain(all);
    let load = |at: usize| candidates.get(at).map_or(u64::MAX, Candidate::load_per_mille);
    let several = near.len() > 1;
    let draws = match policy.choices {
        0 => near.len(),
        some => near.len().min(some as usize),
    };
    let mut taken: Option<usize> = None;
    for draw in 0..draws {
        let other = draw + rng.below((near.len() - draw) as u64) as usize;
        near.swap(draw, other);
        let at = near.get(draw).copied()?;
        if taken.is_none_or(|taken| load(at) < load(taken)) {
            taken = Some(at);
        }
    }
    let mut at = taken?;
    let mut because = if several { "least loaded of those drawn" } else { "the best" };
    let margin = if wish.continues { u64::from(policy.sticky.unwrap_or(0)) } else { 0 };
    // Of a conversation that begins its cache knows nothing yet: that one waits for its turn as any other.
    let is_open = |home: &usize| wish.continues || left.binary_search(home).is_err();
    let is_near = |home: &usize| load(*home) <= load(at).saturating_add(margin);
    if let Some(home) = home.filter(|home| is_near(home) && is_open(home)) {
        (at, because) = (home, "its cache may know the conversation");
    }
    for at in left {
        candidates.get_mut(at)?.place.because = "its slots were left to another gateway";
    }
    candidates.get_mut(at)?.place.because = because;
    Some(at)
}
