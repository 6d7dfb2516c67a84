//! What a model costs in the next epoch: its configured price times a factor, moved by a named strategy within the operator's floor
//! and ceiling.

use super::policy::{Pricing, Strategy};
use crate::economics::Price;
use crate::money::Micros;

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
    /// Slot time that was used, in thousandths.
    pub(crate) utilisation: u32,
    /// The cheapest offer of anybody that is heard of, input and output of a million tokens together, in our currency.
    pub(crate) cheapest: Option<Micros>,
}

/// The next factor, in thousandths of the configured price.
pub(crate) fn next(pricing: Pricing, factor: u32, configured: &Price, seen: Seen) -> u32 {
    let (floor, ceiling) = (pricing.floor, pricing.ceiling.max(pricing.floor));
    let step = (factor / (1_000 / STEP)).max(1);
    let wanted = match pricing.strategy {
        Strategy::Fixed => return AS_CONFIGURED,
        Strategy::Utilisation if seen.utilisation > SCARCE => factor.saturating_add(step),
        Strategy::Utilisation if seen.utilisation < IDLE => factor.saturating_sub(step),
        Strategy::Utilisation => factor,
        Strategy::Undercut => match seen.cheapest.and_then(|cheapest| ratio(cheapest, both(configured))) {
            // It is our own, or as good as that: is there anybody else?
            Some(cheapest) if cheapest >= factor => factor,
            Some(cheapest) => cheapest.saturating_sub((cheapest / (1_000 / BELOW)).max(1)),
            None => factor.saturating_add(step),
        },
    };
    wanted.clamp(floor, ceiling)
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

    fn run(strategy: Strategy, seen: impl Fn(u32) -> Seen) -> u32 {
        let pricing = Pricing { strategy, ..Pricing::default() };
        (0..100).fold(AS_CONFIGURED, |factor, _| next(pricing, factor, &PRICE, seen(factor)))
    }

    #[test]
    fn scarce_slots_become_dearer_and_idle_ones_cheaper_within_bounds() {
        let busy = |utilisation| move |_: u32| Seen { utilisation, cheapest: None };
        assert_eq!(run(Strategy::Utilisation, busy(950)), 2_000);
        assert_eq!(run(Strategy::Utilisation, busy(100)), 500);
        assert_eq!(run(Strategy::Utilisation, busy(650)), AS_CONFIGURED);
        assert_eq!(run(Strategy::Fixed, busy(950)), AS_CONFIGURED);
    }

    #[test]
    fn where_demand_falls_with_the_price_slots_come_to_be_used_as_they_should() {
        // At the configured price all would be taken; at twice that, four tenths.
        let seen = |factor: u32| Seen { utilisation: (1_600 - factor * 6 / 10).min(1_000), cheapest: None };
        let factor = run(Strategy::Utilisation, seen);
        assert!((IDLE..=SCARCE).contains(&seen(factor).utilisation), "{factor}");
    }

    #[test]
    fn who_undercuts_goes_below_the_cheapest_and_not_below_the_floor() {
        let cheapest = |at: i64| move |_: u32| Seen { utilisation: 0, cheapest: Some(Micros(at)) };
        assert_eq!(
            run(Strategy::Undercut, cheapest(1_600_000)),
            792,
            "2.0 together, so 1.6 is 800 thousandths"
        );
        assert_eq!(run(Strategy::Undercut, cheapest(200_000)), 500);
        assert_eq!(run(Strategy::Undercut, |_| Seen::default()), 2_000, "nobody else offers it");
        // Its own offer is the cheapest: it is not undercut.
        let own = |factor: u32| Seen { utilisation: 0, cheapest: Some(both(&at(&PRICE, factor))) };
        assert_eq!(run(Strategy::Undercut, own), AS_CONFIGURED);
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
