//! What a model costs in the next epoch: its configured price times a factor, moved by a named strategy within the operator's floor
//! and ceiling.
//!
//! - [`response`]: what earns most where requests are shared out by price;
//! - [`capacity`]: what earns most where all go to the cheapest that has a slot;
//! - [`climb`]: what earned more the last time.

mod capacity;
mod climb;
mod response;

use capacity::Crowd;
use climb::Tried;

use super::policy::{Pricing, Strategy};
use crate::economics::Price;
use crate::money::Micros;
use crate::time::Span;

/// Utilisation, in thousandths, above which slots are scarce, and below which they are not.
const SCARCE: u32 = 800;
const IDLE: u32 = 500;
/// How far a price moves in an epoch, in thousandths of itself: so little that what follows is seen before the next step.
const STEP: u32 = 50;
/// How far below the cheapest other an undercutter goes.
const BELOW: u32 = 10;

pub(crate) const AS_CONFIGURED: u32 = 1_000;

/// What an epoch was like for one model.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// How long it lasted.
    pub(crate) lasted: Span,
    /// Slot time that was used, in thousandths.
    pub(crate) utilisation: u32,
    /// The cheapest offer that is heard of, our own among them: input and output of a million tokens together, in our currency.
    pub(crate) cheapest: Option<Micros>,
    /// Nobody else is heard to offer it.
    pub(crate) alone: bool,
    /// Others of our size, as far as is heard of their slots.
    pub(crate) rivals: u32,
    /// Slots of our own, of what is offered by that name, and of all others.
    pub(crate) ours: u32,
    pub(crate) others: u32,
    /// Slots, in thousandths, that would be taken all the time if all were served who are heard to have asked in the last hour.
    pub(crate) wanted: u64,
    /// What came in beyond what it cost, in millionths of a micro-unit for each second.
    pub(crate) earned: i64,
}

/// What a strategy keeps in mind from one epoch to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    tried: Tried,
    crowd: Crowd,
}

/// The factor to begin with.
pub(crate) fn first(pricing: Pricing) -> u32 {
    match pricing.strategy {
        Strategy::Fixed => AS_CONFIGURED,
        Strategy::Utilisation
        | Strategy::Undercut
        | Strategy::BestResponse
        | Strategy::Capacity
        | Strategy::Learning => bounded(pricing, AS_CONFIGURED),
    }
}

/// The next factor, in thousandths of the configured price. It moves by a step at most, whoever says whatever.
pub(crate) fn next(
    pricing: Pricing,
    factor: u32,
    configured: &Price,
    seen: Seen,
    memory: &mut Memory,
) -> u32 {
    let step = (factor / (1_000 / STEP)).max(1);
    let (up, down) = (factor.saturating_add(step), factor.saturating_sub(step));
    let wanted = match pricing.strategy {
        Strategy::Fixed => return AS_CONFIGURED,
        Strategy::Utilisation if seen.utilisation > SCARCE => up,
        Strategy::Utilisation if seen.utilisation < IDLE => down,
        Strategy::Utilisation => factor,
        // Back to what the operator asks for.
        Strategy::Undercut | Strategy::BestResponse if seen.alone || seen.cheapest.is_none() => AS_CONFIGURED,
        Strategy::Undercut => {
            match seen.cheapest.filter(|cheapest| *cheapest < both(&at(configured, factor))) {
                Some(cheapest) => below(ratio(cheapest, both(configured)).unwrap_or(factor)).min(factor),
                // It is our own.
                None => factor,
            }
        }
        Strategy::BestResponse => {
            let theirs = seen.cheapest.and_then(|cheapest| ratio(cheapest, both(configured)));
            // Where ours is the cheapest it is the only one that is heard of; those next to it are thought to be as cheap.
            let theirs = theirs.unwrap_or(factor).min(factor).max(1);
            response::best(theirs, seen.rivals, pricing)
        }
        Strategy::Capacity => {
            let others = seen.cheapest.filter(|cheapest| *cheapest < both(&at(configured, factor)));
            let theirs = others.and_then(|cheapest| ratio(cheapest, both(configured)));
            let theirs = theirs.unwrap_or(factor).min(factor);
            capacity::next(pricing, theirs, (down, factor, up), &seen, &mut memory.crowd)
        }
        Strategy::Learning => climb::next(pricing, factor, seen.earned, memory.tried),
    };
    let next = bounded(pricing, wanted.clamp(down, up));
    memory.tried = Tried { fell: next < factor, earned: seen.earned };
    next
}

/// As little less as is seen as less: gateways take what differs by a thousandth for the same.
fn below(theirs: u32) -> u32 {
    theirs.saturating_sub((theirs / (1_000 / BELOW)).max(1))
}

fn bounded(pricing: Pricing, factor: u32) -> u32 {
    factor.clamp(pricing.floor, pricing.ceiling.max(pricing.floor))
}

/// Input and output of a million tokens.
pub(crate) fn both(price: &Price) -> Micros {
    price.input_per_mtok.checked_add(price.output_per_mtok).unwrap_or(price.output_per_mtok)
}

/// In thousandths. `None`: there is nothing to compare with.
fn ratio(one: Micros, of: Micros) -> Option<u32> {
    let ratio = i128::from(one.0) * 1_000 / i128::from(of.0).max(1);
    if of.0 <= 0 { None } else { u32::try_from(ratio).ok() }
}

/// A price at that factor. What has a price keeps one.
pub(crate) fn at(price: &Price, factor: u32) -> Price {
    let scaled = |micros: Micros| {
        let scaled = i128::from(micros.0) * i128::from(factor) / 1_000;
        let scaled = i64::try_from(scaled).unwrap_or(i64::MAX);
        Micros(if micros.0 > 0 { scaled.max(1) } else { scaled })
    };
    Price {
        input_per_mtok: scaled(price.input_per_mtok),
        cached_per_mtok: scaled(price.cached_per_mtok),
        output_per_mtok: scaled(price.output_per_mtok),
        per_request: scaled(price.per_request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price = Price {
        input_per_mtok: Micros(500_000),
        cached_per_mtok: Micros(100_000),
        output_per_mtok: Micros(1_500_000),
        per_request: Micros(1),
    };

    /// Of strategies that keep nothing in mind.
    fn after(pricing: Pricing, factor: u32, configured: &Price, seen: Seen) -> u32 {
        next(pricing, factor, configured, seen, &mut Memory::default())
    }

    fn run(strategy: Strategy, seen: impl Fn(u32) -> Seen) -> u32 {
        let pricing = Pricing { strategy, ..Pricing::default() };
        (0..100).fold(AS_CONFIGURED, |factor, _| after(pricing, factor, &PRICE, seen(factor)))
    }

    #[test]
    fn scarce_slots_become_dearer_and_idle_ones_cheaper_within_bounds() {
        let busy = |utilisation| move |_: u32| Seen { utilisation, ..Seen::default() };
        assert_eq!(run(Strategy::Utilisation, busy(950)), 2_000);
        assert_eq!(run(Strategy::Utilisation, busy(100)), 500);
        assert_eq!(run(Strategy::Utilisation, busy(650)), AS_CONFIGURED);
        assert_eq!(run(Strategy::Fixed, busy(950)), AS_CONFIGURED);
    }

    #[test]
    fn where_demand_falls_with_the_price_slots_come_to_be_used_as_they_should() {
        // At the configured price all would be taken; at twice that, four tenths.
        let seen =
            |factor: u32| Seen { utilisation: (1_600 - factor * 6 / 10).min(1_000), ..Seen::default() };
        let factor = run(Strategy::Utilisation, seen);
        assert!((IDLE..=SCARCE).contains(&seen(factor).utilisation), "{factor}");
    }

    #[test]
    fn who_undercuts_goes_below_the_cheapest_step_by_step_and_not_below_the_floor() {
        // Who is below is cheapest itself, and is told so.
        let rival = |at_rival: i64| {
            move |factor: u32| {
                let cheapest = both(&at(&PRICE, factor)).min(Micros(at_rival));
                Seen { cheapest: Some(cheapest), ..Seen::default() }
            }
        };
        assert_eq!(run(Strategy::Undercut, rival(1_600_000)), 792, "2.0 together, so 1.6 is 800 thousandths");
        assert_eq!(run(Strategy::Undercut, rival(200_000)), 500);
        assert_eq!(run(Strategy::Undercut, rival(3_000_000)), AS_CONFIGURED, "its own is the cheapest");
        let pricing = Pricing { strategy: Strategy::Undercut, ..Pricing::default() };
        assert_eq!(after(pricing, 1_000, &PRICE, rival(1)(1_000)), 950, "a lie moves it by a step");
        let alone = Seen { alone: true, cheapest: Some(Micros(1_000_000)), ..Seen::default() };
        assert_eq!(after(pricing, 500, &PRICE, alone), 525, "its rival has gone");
        assert_eq!(after(pricing, 990, &PRICE, alone), AS_CONFIGURED);
    }

    #[test]
    fn a_price_with_crooked_figures_does_not_undercut_itself() {
        let crooked = Price { input_per_mtok: Micros(123_400), output_per_mtok: Micros(456_700), ..PRICE };
        let pricing = Pricing { strategy: Strategy::Undercut, ..Pricing::default() };
        for factor in 500..1_000 {
            let own = Seen { cheapest: Some(both(&at(&crooked, factor))), ..Seen::default() };
            assert_eq!(after(pricing, factor, &crooked, own), factor);
        }
    }

    #[test]
    fn a_price_begins_within_its_bounds() {
        let dear = Pricing { strategy: Strategy::Utilisation, floor: 1_500, ..Pricing::default() };
        assert_eq!(first(dear), 1_500);
        assert_eq!(first(Pricing::default()), AS_CONFIGURED);
    }

    #[test]
    fn a_price_scales_in_all_its_parts_and_never_to_nothing() {
        let half = at(&PRICE, 500);
        assert_eq!((half.input_per_mtok, half.output_per_mtok), (Micros(250_000), Micros(750_000)));
        assert_eq!(half.per_request, Micros(1));
        assert_eq!(at(&PRICE, AS_CONFIGURED), PRICE);
        assert_eq!(at(&Price::default(), 500), Price::default());
    }
}
