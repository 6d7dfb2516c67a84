//! A draw by price: everybody has a chance, the cheaper a greater one.
//!
//! Where all go to the cheapest, each asks a little less than the others until nobody earns anything; where chances fall with a power of
//! the price, it pays to ask for more than the work costs, and who is dear still serves some.

use alloc::vec::Vec;

use super::{Candidate, Policy};
use crate::rng::Stream;

/// The cheapest one's weight.
const ONE: u64 = 1 << 32;

/// Of those in the best tier, one in proportion to its charge to the power of minus the policy's exponent.
pub(super) fn drawn(candidates: &mut [Candidate<'_>], policy: &Policy, rng: &mut Stream) -> Option<usize> {
    let best = candidates.iter().map(|one| one.place.tier).min()?;
    let in_best = candidates.iter().enumerate().filter(|(_, one)| one.place.tier == best);
    let charges: Vec<(usize, u64)> = in_best.map(|(at, one)| (at, one.charge.0.max(1) as u64)).collect();
    let cheapest = charges.iter().map(|(_, charge)| *charge).min()?;
    let weights: Vec<(usize, u64)> =
        charges.into_iter().map(|(at, charge)| (at, weight(charge, cheapest, policy.exponent))).collect();
    let total = weights.iter().map(|(_, weight)| *weight).fold(0, u64::saturating_add);
    let mut draw = rng.below(total);
    for (at, weight) in weights {
        if draw < weight {
            candidates.get_mut(at)?.place.because = "drawn by price";
            return Some(at);
        }
        draw -= weight;
    }
    None
}

/// `(cheapest / charge)^exponent`, in parts of [`ONE`]; never nothing.
fn weight(charge: u64, cheapest: u64, exponent: u32) -> u64 {
    let one = u128::from(ONE);
    let ratio = u128::from(cheapest) * one / u128::from(charge.max(1));
    let power = (0..exponent.min(Policy::MOST_EXPONENT)).fold(one, |power, _| power * ratio / one);
    u64::try_from(power).unwrap_or(ONE).clamp(1, ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_costs_twice_as_much_has_a_quarter_of_the_chance() {
        assert_eq!(weight(50, 50, 2), ONE);
        assert_eq!(weight(100, 50, 2), ONE / 4);
        assert_eq!(weight(100, 50, 1), ONE / 2);
        assert_eq!(weight(100, 50, 8), ONE / 256);
        assert_eq!(weight(u64::MAX, 1, 8), 1, "a chance all the same");
    }
}
