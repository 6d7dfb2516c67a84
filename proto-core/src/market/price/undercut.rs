//! A little below the cheapest other; back to what the operator asks for where there is none.

use super::{AS_CONFIGURED, Turn, below};

pub(super) fn next(turn: &mut Turn<'_>) -> u32 {
    match turn.cheaper() {
        _ if turn.is_alone() => AS_CONFIGURED,
        Some(theirs) => below(theirs).min(turn.factor),
        // The cheapest is our own.
        None => turn.factor,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::policy::Pricing;
    use super::super::tests::{PRICE, after, run};
    use super::super::{AS_CONFIGURED, Seen, Strategy, at, both};
    use crate::economics::Price;
    use crate::money::Micros;

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
}
