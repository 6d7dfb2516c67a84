//! The price that earns most where gateways share requests out in proportion to prices to the power of minus `k`.
//!
//! With `n` rivals at a price `q`, who asks `p` gets the part `s(p) = 1 / (1 + n (p/q)^k)` and earns `(p - c) s(p)` of each request. That
//! rises with `p` as long as
//!
//! ```text
//!   p (1 + n w) > (p - c) n k w,    where w = (p/q)^k
//! ```
//!
//! and falls from there on. Where all answer each other so, with N of them and x = k (N - 1) / N, they meet at c x / (x - 1); where x is
//! not above 1, nowhere: each price calls for a higher one (S. Anderson, A. de Palma and J.-F. Thisse, Discrete Choice Theory of
//! Product Differentiation, 1992, for demand of this form).

use super::super::policy::Pricing;
use super::{AS_CONFIGURED, Turn};

/// Fixed point: so many make one.
const ONE: u128 = 1 << 24;
/// Beyond it nobody would come.
const MOST: u128 = 1 << 60;

pub(super) fn next(turn: &mut Turn<'_>) -> u32 {
    if turn.is_alone() {
        return AS_CONFIGURED;
    }
    // Where ours is the cheapest it is the only one that is heard of; those next to it are thought to be as cheap.
    let theirs = turn.cheapest().unwrap_or(turn.factor).min(turn.factor).max(1);
    best(theirs, turn.seen.rivals, turn.pricing)
}

/// Between floor, which is what it costs, and ceiling.
fn best(theirs: u32, rivals: u32, pricing: Pricing) -> u32 {
    let (mut low, mut high) = (pricing.floor, pricing.ceiling.max(pricing.floor));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        // From the price below it, it was right to come here.
        if rises(middle - 1, theirs, rivals, pricing) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// Would somebody who asks this earn more by asking for more?
fn rises(price: u32, theirs: u32, rivals: u32, pricing: Pricing) -> bool {
    let k = pricing.elasticity.clamp(1, Pricing::MOST_ELASTIC);
    let ratio = u128::from(price) * ONE / u128::from(theirs.max(1));
    let w = (0..k).fold(ONE, |w, _| (w * ratio / ONE).min(MOST));
    let others = u128::from(rivals.max(1)) * w;
    let gain = u128::from(price.saturating_sub(pricing.floor));
    u128::from(price) * (ONE + others) > gain * others * u128::from(k)
}

#[cfg(test)]
mod tests {
    use super::super::super::policy::Strategy;
    use super::*;

    fn pricing(floor: u32, elasticity: u32) -> Pricing {
        Pricing {
            strategy: Strategy::BestResponse,
            floor,
            ceiling: 100_000,
            elasticity,
            ..Pricing::default()
        }
    }

    /// What is earned of each request, as the formula in the module's text has it.
    fn earns(price: u32, theirs: u32, rivals: u32, pricing: Pricing) -> f64 {
        let w: f64 = (0..pricing.elasticity).map(|_| f64::from(price) / f64::from(theirs)).product();
        (f64::from(price) - f64::from(pricing.floor)) / (1.0 + f64::from(rivals) * w)
    }

    #[test]
    fn nothing_near_earns_more() {
        for (theirs, rivals, elasticity) in
            [(1_000, 4, 2), (900, 1, 2), (5_000, 9, 3), (600, 2, 8), (777, 3, 1)]
        {
            let pricing = pricing(500, elasticity);
            let best = best(theirs, rivals, pricing);
            let at = |price| earns(price, theirs, rivals, pricing);
            for other in [best / 2, best - 2, best + 2, best * 2] {
                assert!(
                    other > pricing.ceiling || at(best) >= at(other),
                    "{best} or {other}, {rivals} at {theirs}"
                );
            }
        }
    }

    #[test]
    fn who_answer_each_other_meet_where_the_books_say_and_two_nowhere() {
        let meet =
            |rivals, elasticity| (0..500).fold(500, |price, _| best(price, rivals, pricing(500, elasticity)));
        // c x / (x - 1): 2.667 c for five, 2.25 c for ten; with k = 3, 1.7142 c for five.
        assert!(meet(4, 2).abs_diff(1_333) <= 2, "{}", meet(4, 2));
        assert!(meet(9, 2).abs_diff(1_125) <= 2, "{}", meet(9, 2));
        assert!(meet(4, 3).abs_diff(857) <= 2, "{}", meet(4, 3));
        assert_eq!(meet(1, 2), 100_000, "with k = 2 two drive each other up to the ceiling");
    }

    #[test]
    fn the_widest_of_figures_are_borne() {
        for price in [0, 1, u32::MAX] {
            let widest = Pricing { floor: 0, ceiling: u32::MAX, ..pricing(0, u32::MAX) };
            let best = best(price, u32::MAX, widest);
            assert!(best == widest.floor || rises(best - 1, price, u32::MAX, widest), "{price}: {best}");
        }
    }
}
