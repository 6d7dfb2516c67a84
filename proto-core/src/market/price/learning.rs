//! Learning what to ask from what asking earned: a step up or down, and on in that direction as long as more comes in than before.
//!
//! It needs no model of gateways or rivals and heeds nobody's word. It never rests: around the best it goes to and fro, and what
//! came in by chance leads it astray for an epoch.

use super::Turn;

/// How far a price is moved to see what that brings, in thousandths of itself.
const PROBE: u32 = 20;

/// What the last change of a price was, and what was earned before it, in millionths of a micro-unit for each second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) fell: bool,
    pub(super) earned: i64,
}

pub(super) fn next(turn: &mut Turn<'_>) -> u32 {
    let Turn { pricing, factor, seen, .. } = turn;
    let (factor, earned, tried) = (*factor, seen.earned, turn.memory.tried);
    let probe = (factor / (1_000 / PROBE)).max(1);
    // Where there is no way on, the way is back.
    let worse = earned < tried.earned;
    let falls = match tried.fell != worse {
        true => factor > pricing.floor,
        false => factor >= pricing.ceiling,
    };
    if falls { factor.saturating_sub(probe) } else { factor.saturating_add(probe) }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::super::policy::Pricing;
    use super::super::tests::PRICE;
    use super::super::{Memory, Seen, Strategy, next as priced};

    /// The prices asked for in so many epochs, where a price earns what is said.
    fn climbs(pricing: Pricing, from: u32, epochs: usize, earns: impl Fn(u32) -> i64) -> Vec<u32> {
        let (mut factor, mut memory) = (from, Memory::default());
        let mut epoch = || {
            let seen = Seen { earned: earns(factor), ..Seen::default() };
            factor = priced(pricing, factor, &PRICE, seen, &mut memory);
            factor
        };
        (0..epochs).map(|_| epoch()).collect()
    }

    #[test]
    fn it_comes_to_what_earns_most_from_either_side_and_stays_about_there() {
        let pricing =
            Pricing { strategy: Strategy::Learning, floor: 100, ceiling: 4_000, ..Pricing::default() };
        // Of users who would pay up to 2,000 and are spread evenly, half that earns most.
        let earns = |factor: u32| i64::from(factor) * (2_000 - i64::from(factor));
        for from in [300, 1_900] {
            let prices = climbs(pricing, from, 300, earns);
            assert!(
                prices[200..].iter().all(|price| (930..=1_070).contains(price)),
                "{from}: {:?}",
                &prices[200..]
            );
        }
    }

    #[test]
    fn at_a_bound_it_turns_back() {
        let pricing =
            Pricing { strategy: Strategy::Learning, floor: 900, ceiling: 1_100, ..Pricing::default() };
        let prices = climbs(pricing, 1_000, 50, i64::from);
        assert!(prices[10..].iter().all(|price| *price >= 1_050), "{prices:?}");
        let prices = climbs(pricing, 1_000, 50, |factor| -i64::from(factor));
        assert!(prices[10..].iter().all(|price| *price <= 950), "{prices:?}");
    }
}
