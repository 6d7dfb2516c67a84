//! What a job costs, worked out a second time from economics.md (I8): a checker that asked the core's own formula would
//! agree with whatever it says.

use labman_proto_core::economics::{Counts, Fees, Price};
use labman_proto_core::money::Micros;

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
