//! The best of what each may be (UCB1; P. Auer, N. Cesa-Bianchi and P. Fischer, Finite-time Analysis of the Multiarmed Bandit Problem,
//! 2002).
//!
//! Whoever was tried seldom may serve more often than it seems: by the root of 2 ln n / k, where k of n attempts were its. So the worse
//! ones are tried ever less often, and never not at all: what that costs grows as the logarithm of n.

use super::{Candidate, LEAST_RELIABLE, Policy};

const MILLION: u64 = 1_000_000;
/// The natural logarithm of 2, in parts of 2^32.
const LN_2: u128 = 2_977_044_472;

/// Of those in the best tier, the one whose score is the least if it serves as often as it may. What was never tried comes first; of
/// equals, the one that chance has put first.
pub(super) fn best(candidates: &mut [Candidate<'_>], policy: &Policy) -> Option<usize> {
    let best = candidates.iter().map(|one| one.place.tier).min()?;
    let in_best = || candidates.iter().enumerate().filter(|(_, one)| one.place.tier == best);
    let attempts: u64 = in_best().map(|(_, one)| u64::from(one.figures.attempts().0)).sum();
    let score = |one: &Candidate<'_>| {
        let may =
            may_serve_ppm(one.figures.attempts(), attempts, policy.confidence)?.max(LEAST_RELIABLE * 1_000);
        Some(u128::from(one.place.at_best) * u128::from(MILLION) * u128::from(MILLION) / u128::from(may))
    };
    // Nothing is less than any score: whoever was never tried.
    let (at, tried) = in_best()
        .min_by_key(|(_, one)| (score(one), one.place.draw))
        .map(|(at, one)| (at, one.figures.attempts().0 > 0))?;
    candidates.get_mut(at)?.place.because = if tried { "the best it may be" } else { "not tried yet" };
    Some(at)
}

/// How often, of a million attempts, it may serve that was tried so often and did so often, as far as so many attempts of all can tell.
/// Above a million, where little is known. `None`: nothing is.
fn may_serve_ppm((tried, served): (u32, u32), attempts: u64, confidence: u32) -> Option<u64> {
    let (tried, served) = (u64::from(tried), u64::from(served));
    let mean = (served * MILLION).checked_div(tried)?;
    // 2 ln n / k in parts of a million's square.
    let spread = (2 * ln_millionths(attempts) * MILLION / tried).isqrt();
    Some(mean + spread * u64::from(confidence) / 1_000)
}

/// The natural logarithm, in millionths; of 0 as of 1.
fn ln_millionths(of: u64) -> u64 {
    let of = of.max(1);
    let whole = of.ilog2();
    // From 1 to 2, in parts of 2^32; squared, it passes 2 where the logarithm's next binary digit is 1.
    let mut rest = (u128::from(of) << 32) >> whole;
    let mut log = u128::from(whole) << 32;
    for digit in (0..32).rev() {
        rest = (rest * rest) >> 32;
        if rest >> 33 > 0 {
            rest >>= 1;
            log |= 1 << digit;
        }
    }
    let natural = (log * LN_2) >> 32;
    u64::try_from((natural * u128::from(MILLION)) >> 32).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_tried_seldom_may_be_better_than_it_seems() {
        // ln 100 = 4.605: the root of 9.210 / 10 is .9597, and of 9.210 / 90, .3199.
        assert_eq!(may_serve_ppm((10, 5), 100, 1_000), Some(500_000 + 959_705));
        assert_eq!(may_serve_ppm((90, 81), 100, 1_000), Some(900_000 + 319_901));
        assert_eq!(may_serve_ppm((90, 81), 100, 0), Some(900_000));
        assert_eq!(
            may_serve_ppm((1, 1), 1, 1_000),
            Some(1_000_000),
            "one attempt alone tells nothing of others"
        );
        assert_eq!(may_serve_ppm((0, 0), 100, 1_000), None);
    }

    #[test]
    fn a_logarithm_is_right_to_the_last_millionth() {
        for (of, millionths) in
            [(0, 0), (1, 0), (2, 693_147), (3, 1_098_612), (100, 4_605_170), (10_000, 9_210_340)]
        {
            assert!(ln_millionths(of).abs_diff(millionths) <= 1, "{of}: {}", ln_millionths(of));
        }
        assert_eq!(ln_millionths(u64::MAX) / 1_000, 44_361);
    }
}
