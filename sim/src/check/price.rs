//! What a job costs, worked out a second time from economics.md (I8): a checker that asked the core's own formula would
//! agree with whatever it says.

use labman_proto_core::economics::{Counts, Fees, Price};
use labman_proto_core::money::Micros;
use labman_proto_core::node::config::{Pricing, Strategy};

/// What a provider may ask for a model: its configured price, or where that follows the market, so many thousandths of it.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    pub price: Price,
    pub least: u32,
    pub most: u32,
}

impl Prices {
    pub const fn fixed(price: Price) -> Self {
        Self { price, least: 1_000, most: 1_000 }
    }

    pub const fn of(price: Price, pricing: Pricing) -> Self {
        match pricing.strategy {
            Strategy::Fixed => Self::fixed(price),
            _ => Self { price, least: pricing.floor, most: pricing.ceiling },
        }
    }

    /// Could it be that a job at this price came to `says`? Charges rise with the price, so that it is found by halving.
    pub fn comes_to(
        &self,
        owed: impl Fn(&Price) -> Option<(Micros, Micros)>,
        says: (Micros, Micros),
    ) -> bool {
        let bill = |factor| owed(&at(&self.price, factor));
        let (mut low, mut high) = (self.least, self.most);
        while low < high {
            let middle = low + (high - low) / 2;
            match bill(middle).is_some_and(|(charge, _)| charge < says.0) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let mut as_dear =
            (low..=self.most).map_while(|factor| bill(factor).filter(|(charge, _)| *charge == says.0));
        as_dear.any(|bill| bill == says)
    }
}

/// So many thousandths of a price, rounded down, and what costs something never costs nothing.
pub fn at(price: &Price, factor: u32) -> Price {
    let part = |micros: Micros| {
        let part = i128::from(micros.0) * i128::from(factor) / 1_000;
        Micros(i64::try_from(part).unwrap_or(i64::MAX).max(i64::from(micros.0 > 0)))
    };
    Price {
        input_per_mtok: part(price.input_per_mtok),
        cached_per_mtok: part(price.cached_per_mtok),
        output_per_mtok: part(price.output_per_mtok),
        per_request: part(price.per_request),
    }
}

/// Charge and payout, in micro-units: the charge is rounded up, the payout down. `None`: no such price, or beyond all
/// bounds.
///
/// The rate is units of the payout currency over units of the billing currency.
pub fn owed(
    price: &Price,
    fees: &Fees,
    (units, over): (u64, u64),
    counts: &Counts,
) -> Option<(Micros, Micros)> {
    // In micro-units times 10^10: millionths of a token's price, and basis points.
    const WHOLE: i128 = 10_000_000_000;
    let fresh = i128::from(counts.input) - i128::from(counts.cached);
    let base = fresh * i128::from(price.input_per_mtok.0)
        + i128::from(counts.cached) * i128::from(price.cached_per_mtok.0)
        + i128::from(counts.output) * i128::from(price.output_per_mtok.0)
        + 1_000_000 * i128::from(price.per_request.0);
    let with_fees = base * (10_000 + i128::from(fees.fep_bps) + i128::from(fees.gateway_bps));
    let (dues, whole) = (with_fees.checked_mul(i128::from(over))?, WHOLE.checked_mul(i128::from(units))?);
    let up = dues.checked_div(whole)? + i128::from(dues.checked_rem(whole)? > 0);
    let micros = |amount: i128| i64::try_from(amount).ok().map(Micros);
    Some((micros(up)?, micros(base / 1_000_000)?)).filter(|_| base >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_that_moves_comes_to_any_of_its_prices_and_no_other() {
        let price = Price { output_per_mtok: Micros(100_000_000), ..Price::default() };
        let counts = Counts { input: 0, cached: 0, output: 50 };
        let (fees, micros) = (Fees::default(), |amount| (Micros(amount), Micros(amount)));
        let owed = |price: &Price| owed(price, &fees, (1, 1), &counts);
        let moves = Prices::of(price, Pricing { strategy: Strategy::Undercut, ..Pricing::default() });
        for (says, could_be) in
            [(2_500, true), (6_670, true), (10_000, true), (2_495, false), (6_671, false), (10_005, false)]
        {
            assert_eq!(moves.comes_to(owed, micros(says)), could_be, "{says}");
        }
        assert!(!moves.comes_to(owed, (Micros(6_670), Micros(6_665))));
        assert!(Prices::fixed(price).comes_to(owed, micros(5_000)));
        assert!(!Prices::fixed(price).comes_to(owed, micros(6_670)));
    }

    #[test]
    fn the_example_that_is_worked_by_hand_in_economics_md_comes_out() {
        let price =
            Price { input_per_mtok: Micros(500_000), output_per_mtok: Micros(2_000_000), ..Price::default() };
        let fees = Fees { fep_bps: 100, gateway_bps: 200 };
        let counts = Counts { input: 11, cached: 0, output: 58 };
        assert_eq!(owed(&price, &fees, (1, 1), &counts), Some((Micros(126), Micros(121))));
        assert_eq!(owed(&price, &fees, (23, 25), &counts), Some((Micros(137), Micros(121))));
        let whole = Counts { input: 0, cached: 0, output: 500_000 };
        assert_eq!(
            owed(&price, &Fees::default(), (1, 1), &whole),
            Some((Micros(1_000_000), Micros(1_000_000)))
        );
    }
}
