//! Which of those that can serve is tried first, and who after it.
//!
//! Everybody has a score: what it costs and how long it takes, beside the cheapest and the quickest, and how often it serves at
//! all. Those near the best are as good as it; among them load decides, of a few that are drawn.

use alloc::vec::Vec;

use super::hints::Sort;
use super::measured::Figures;
use super::policy::Policy;
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
    pub(super) load: u32,
    pub(super) figures: Figures,
    /// It has not proved itself here.
    pub(super) newcomer: bool,
    /// Where the user's `order` names it.
    pub(super) named: Option<usize>,
    /// A breaker lets one request try it.
    pub(super) half_open: bool,
    pub(super) score: u64,
    pub(super) because: &'static str,
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
        u64::from(self.load) * 1_000 / u64::from(self.served.slots.max(1))
    }

    fn has_slot(&self) -> bool {
        self.load < self.served.slots
    }

    /// 0: the first to be looked at. Who sorts by themselves want no other order but that who has a slot goes first.
    fn tier(&self, policy: &Policy, wish: &Wish) -> u8 {
        let late = policy.free_first && !self.has_slot();
        u8::from(self.is_unproved(policy, wish)) + 2 * u8::from(late)
    }

    fn is_unproved(&self, policy: &Policy, wish: &Wish) -> bool {
        policy.explore > 0 && wish.sort.is_none() && (self.newcomer || self.half_open)
    }
}

/// Puts them in the order in which they are to be tried.
pub(super) fn order(candidates: &mut Vec<Candidate<'_>>, policy: &Policy, wish: &Wish, rng: &mut Stream) {
    score(candidates, policy, wish);
    // Equals in an order of their own each time.
    let mut keyed: Vec<_> = candidates.drain(..).map(|one| (rng.next_u64(), one)).collect();
    keyed.sort_by_key(|(random, one)| (one.tier(policy, wish), one.score, one.load_per_mille(), *random));
    candidates.extend(keyed.into_iter().map(|(_, one)| one));
    if wish.sort.is_none() {
        let first =
            explored(candidates, policy, wish, rng).unwrap_or_else(|| drawn(candidates, policy, wish, rng));
        candidates.get_mut(..=first).into_iter().for_each(|head| head.rotate_right(1));
    }
    // Those that the user names go before all others, and a sort is stable.
    candidates.sort_by_key(|one| one.named.unwrap_or(usize::MAX));
    for one in candidates.iter_mut().filter(|one| one.named.is_some()) {
        one.because = "named by the request";
    }
}

fn score(candidates: &mut [Candidate<'_>], policy: &Policy, wish: &Wish) {
    let tokens = wish.max_output.min(USUAL_TOKENS);
    let time = |figures: &Figures| {
        let (first, token) = (figures.first_us(), figures.token_us());
        match wish.sort {
            Some(Sort::Latency) => first,
            Some(Sort::Throughput) => token,
            Some(Sort::Price) | None => {
                Some(first?.saturating_add(token.unwrap_or(0).saturating_mul(tokens)))
            }
        }
    };
    let known: Vec<u64> = candidates.iter().filter_map(|one| time(&one.figures)).collect();
    // Of whom nothing is known the mean is believed.
    let mean = known.iter().sum::<u64>().checked_div(known.len() as u64).unwrap_or(0).max(1);
    let quickest = known.iter().copied().min().unwrap_or(mean).max(1);
    let cheapest = candidates.iter().map(|one| one.charge.0.max(1) as u64).min().unwrap_or(1);
    let (price, duration) = match wish.sort {
        Some(Sort::Price) => (1_000, 0),
        Some(Sort::Throughput | Sort::Latency) => (0, 1_000),
        None => (policy.price, policy.time),
    };
    for one in candidates {
        let cost = ratio(one.charge.0.max(1) as u64, cheapest, price);
        let takes = ratio(time(&one.figures).unwrap_or(mean).max(1), quickest, duration);
        let reliability = match wish.sort {
            Some(_) => 1_000,
            None => u64::from(one.figures.reliability()).max(LEAST_RELIABLE),
        };
        one.score = cost.saturating_add(takes).saturating_mul(1_000) / reliability;
    }
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
    candidates.get_mut(at)?.because = "to see how it serves";
    Some(at)
}

/// Of those that are about as good as the best: the least loaded of a few, or the one that knows the conversation.
fn drawn(candidates: &mut [Candidate<'_>], policy: &Policy, wish: &Wish, rng: &mut Stream) -> usize {
    let Some(best) = candidates.first() else { return 0 };
    let (tier, most) = (best.tier(policy, wish), ratio(best.score, 1_000, policy.band.saturating_add(1_000)));
    let near =
        candidates.iter().take_while(|one| one.tier(policy, wish) == tier && one.score <= most).count();
    let load = |at: usize| candidates.get(at).map_or(u64::MAX, Candidate::load_per_mille);
    let mut pool: Vec<usize> = (0..near).collect();
    let draws = match policy.choices {
        0 => near,
        some => near.min(some as usize),
    };
    let mut taken: Option<usize> = None;
    for draw in 0..draws {
        let other = draw + rng.below((near - draw) as u64) as usize;
        pool.swap(draw, other);
        let at = pool.get(draw).copied().unwrap_or(0);
        if taken.is_none_or(|taken| load(at) < load(taken)) {
            taken = Some(at);
        }
    }
    let taken = taken.unwrap_or(0);
    let (mut at, mut because) = (taken, if near > 1 { "least loaded of those drawn" } else { "the best" });
    if let Some(sticky) = policy.sticky {
        let affine = |one: &Candidate<'_>| mixed(wish.head, one);
        let home = candidates
            .iter()
            .take(near)
            .enumerate()
            .max_by_key(|(_, one)| affine(one))
            .map_or(0, |(at, _)| at);
        let margin = if wish.continues { u64::from(sticky) } else { 0 };
        if near > 1 && load(home) <= load(taken).saturating_add(margin) {
            (at, because) = (home, "its cache may know the conversation");
        }
    }
    if let Some(one) = candidates.get_mut(at) {
        one.because = because;
    }
    at
}

/// Rendezvous hashing: every gateway draws the same provider for a conversation, and as few as can be move when one goes.
fn mixed(head: u64, one: &Candidate<'_>) -> u64 {
    let (id, _) = one.provider.0.split_first_chunk().map_or(([0; 8], &[][..]), |(id, rest)| (*id, rest));
    let mut x = head ^ u64::from_be_bytes(id);
    // SplitMix64's last steps: each bit moves each other.
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
