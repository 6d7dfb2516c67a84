//! What a job costs and pays: a function of counted tokens, the offer, the fees and the rate, computable by everyone (I8).

pub mod merkle;
mod rate;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::money::Micros;
use crate::mutants::{Mutant, mutant};

pub use rate::{BadRate, Rate};

const PER_MTOK: u128 = 1_000_000;
const BPS: u128 = 10_000;

/// Tokens of a job. `cached` is the part of `input` that the runtime had cached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Counts {
    #[n(0)]
    pub input: u32,
    #[n(1)]
    pub cached: u32,
    #[n(2)]
    pub output: u32,
}

impl Counts {
    /// Each count no larger than in `other`, and no more cached than there is input.
    pub fn bounded_by(self, input: u32, output: u32) -> Self {
        let input = self.input.min(input);
        Self { input, cached: self.cached.min(input), output: self.output.min(output) }
    }
}

/// Micro-units of the payout currency per million tokens, and per request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Price {
    #[n(0)]
    pub input_per_mtok: Micros,
    /// For input tokens that the runtime had cached.
    #[n(1)]
    pub cached_per_mtok: Micros,
    #[n(2)]
    pub output_per_mtok: Micros,
    #[n(3)]
    pub per_request: Micros,
}

/// On top of what the provider gets, in basis points (hundredths of a percent).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Fees {
    #[n(0)]
    pub fep_bps: u32,
    #[n(1)]
    pub gateway_bps: u32,
}

/// Where a job's charge goes: `charge = exchanged + fep_fee + gateway_fee + rounding`. All but the payout in the billing
/// currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// What the user pays: rounded up.
    pub charge: Micros,
    /// What the provider gets, in its payout currency: rounded down.
    pub payout: Micros,
    /// What the payout is worth at the rate: rounded up. In one currency it is the payout.
    pub exchanged: Micros,
    pub fep_fee: Micros,
    pub gateway_fee: Micros,
    /// What the roundings leave, to an account of its own. Never negative.
    pub rounding: Micros,
}

/// `None`: a negative price, or a sum beyond all bounds.
pub fn bill(price: &Price, fees: &Fees, rate: Rate, counts: &Counts) -> Option<Bill> {
    let of = |micros: Micros, count: u128| u128::try_from(micros.0).ok()?.checked_mul(count);
    let fresh = counts.input.checked_sub(counts.cached)?;
    // Millionths of a micro-unit of the payout currency.
    let base = of(price.input_per_mtok, u128::from(fresh))?
        .checked_add(of(price.cached_per_mtok, u128::from(counts.cached))?)?
        .checked_add(of(price.output_per_mtok, u128::from(counts.output))?)?
        .checked_add(of(price.per_request, PER_MTOK)?)?;
    let (fep_bps, gateway_bps) = (u128::from(fees.fep_bps), u128::from(fees.gateway_bps));
    // Over so many, in the billing currency.
    let (base_in_billing, over) = rate.in_billing(base)?;
    let over = over.checked_mul(PER_MTOK * BPS)?;
    let part = |bps: u128| base_in_billing.checked_mul(bps)?.checked_div(over);
    let dues = base_in_billing.checked_mul(BPS + fep_bps + gateway_bps)?;
    let charge =
        if mutant(Mutant::ChargeRoundedDown) { dues.checked_div(over)? } else { dues.div_ceil(over) };
    let payout = base / PER_MTOK;
    let (worth, of) = rate.in_billing(payout)?;
    let (exchanged, fep_fee, gateway_fee) = (worth.div_ceil(of), part(fep_bps)?, part(gateway_bps)?);
    let rounding = charge.checked_sub(exchanged)?.checked_sub(fep_fee)?.checked_sub(gateway_fee)?;
    let micros = |n: u128| i64::try_from(n).ok().map(Micros);
    Some(Bill {
        charge: micros(charge)?,
        payout: micros(payout)?,
        exchanged: micros(exchanged)?,
        fep_fee: micros(fep_fee)?,
        gateway_fee: micros(gateway_fee)?,
        rounding: micros(rounding)?,
    })
}

/// The dearest that a job within these bounds can become.
pub fn dearest(price: &Price, fees: &Fees, rate: Rate, input: u32, output: u32) -> Option<Bill> {
    // A cached token may be priced above a fresh one: then all input counts as cached.
    let cached = if price.cached_per_mtok > price.input_per_mtok { input } else { 0 };
    bill(price, fees, rate, &Counts { input, cached, output })
}

/// What a payout is worth in the billing currency: what of a charge is exchanged for it.
pub(crate) fn worth(payout: Micros, rate: Rate) -> Option<Micros> {
    let (worth, over) = rate.in_billing(u128::try_from(payout.0).ok()?)?;
    i64::try_from(worth.div_ceil(over)).ok().map(Micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn price() -> impl Strategy<Value = Price> {
        (0i64..1 << 40, 0i64..1 << 40, 0i64..1 << 40, 0i64..1 << 40).prop_map(|(i, c, o, r)| Price {
            input_per_mtok: Micros(i),
            cached_per_mtok: Micros(c),
            output_per_mtok: Micros(o),
            per_request: Micros(r),
        })
    }

    fn counts() -> impl Strategy<Value = Counts> {
        (0u32..1 << 20, 0u32..1 << 20, 0u32..1 << 20).prop_map(|(a, b, output)| Counts {
            input: a.max(b),
            cached: a.min(b),
            output,
        })
    }

    /// Of currencies that are worth alike, and of such as are worth much more or less.
    fn rate() -> impl Strategy<Value = Rate> {
        let number = || prop_oneof![1u64..1_000, 1u64..=1_000_000_000_000];
        (number(), number()).prop_map(|(payout, billing)| Rate::new(payout, billing).unwrap())
    }

    #[test]
    fn the_user_pays_a_whole_micro_more_and_the_provider_gets_one_less() {
        let price = Price { output_per_mtok: Micros(500_000), ..Price::default() };
        let fees = Fees { fep_bps: 100, gateway_bps: 400 };
        let bill = bill(&price, &fees, Rate::ONE, &Counts { input: 0, cached: 0, output: 3 }).unwrap();
        // 1.5 micros of base, 5 % fees: 1.575.
        assert_eq!((bill.charge, bill.payout), (Micros(2), Micros(1)));
        assert_eq!(bill.rounding, Micros(1));
    }

    /// Of the paragraph in economics.md that begins so: its numbers, in their order.
    fn figures(beginning: &str) -> Vec<f64> {
        let text = include_str!("../../economics.md");
        let from = text.find(beginning).expect("the example is there");
        let example = &text[from..];
        let end = example.find("\n\n**The dearest").or_else(|| example.find("\n\n## ")).unwrap();
        let number = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
        let words = example[..end].split(|c: char| !number(c)).map(|word| word.trim_matches(['.', ',']));
        words.filter_map(|word| word.replace(',', "").parse().ok()).collect()
    }

    /// Micro-units per million tokens, of units per million tokens.
    fn per_mtok(units: f64) -> Micros {
        Micros((units * 1e6).round() as i64)
    }

    /// The last number of a line of an example's table is what comes out.
    fn result(beginning: &str, line: &str) -> Micros {
        let text = include_str!("../../economics.md");
        let (_, example) = text.split_once(beginning).expect("the example is there");
        let (_, rest) = example.split_once(&alloc::format!("\n| {line} |")).expect(line);
        let (_, bold) = rest.split_once("**").expect(line);
        Micros(bold.split_once("**").expect(line).0.parse().expect(line))
    }

    #[test]
    fn the_examples_that_economics_md_works_by_hand_come_out() {
        let example = "**By hand.** 0.50 XTS";
        let said = figures(example);
        let [input, output, fep_bps, gateway_bps, tokens_in, tokens_out, ..] = said[..] else { panic!() };
        let price =
            Price { input_per_mtok: per_mtok(input), output_per_mtok: per_mtok(output), ..Price::default() };
        let fees = Fees { fep_bps: fep_bps as u32, gateway_bps: gateway_bps as u32 };
        let counts = Counts { input: tokens_in as u32, cached: 0, output: tokens_out as u32 };
        let job = bill(&price, &fees, Rate::ONE, &counts).unwrap();
        let said = ["charge", "payout", "FEP's fee", "gateway's fee", "rounding"];
        let said = said.map(|line| result(example, line));
        assert_eq!([job.charge, job.payout, job.fep_fee, job.gateway_fee, job.rounding], said);

        let said = figures("**By hand.** `[{");
        assert!(said.starts_with(&[35.0, 35.0, 64.0, 64.0, 163.0, 8.0]), "{said:?}");
        let most = dearest(&price, &fees, Rate::ONE, 163, 8).unwrap();
        let small = bill(&price, &fees, Rate::ONE, &Counts { input: 4, cached: 0, output: 8 }).unwrap();
        for (what, amount) in [
            ("the hold", most.charge),
            ("the charge", small.charge),
            ("the payout", small.payout),
            ("the rounding", small.rounding),
            ("what returns", Micros(most.charge.0 - small.charge.0)),
        ] {
            assert!(said.contains(&(amount.0 as f64)), "{what} is {amount:?}: {said:?}");
        }

        let example = "**By hand.** The same job";
        let [_, _, quote, payout, billing, ..] = figures(example)[..] else { panic!() };
        let rate: Rate = alloc::format!("{quote}").parse().unwrap();
        assert_eq!(<(u64, u64)>::from(rate), (payout as u64, billing as u64));
        let job = bill(&price, &fees, rate, &counts).unwrap();
        let said = ["charge", "payout", "exchanged", "FEP's fee", "gateway's fee", "rounding"];
        let said = said.map(|line| result(example, line));
        let worked = [job.charge, job.payout, job.exchanged, job.fep_fee, job.gateway_fee, job.rounding];
        assert_eq!(worked, said);
    }

    proptest! {
        #[test]
        fn every_micro_of_the_charge_goes_somewhere(
            price in price(), counts in counts(), fep_bps in 0u32..5_000, gateway_bps in 0u32..5_000,
        ) {
            let bill = bill(&price, &Fees { fep_bps, gateway_bps }, Rate::ONE, &counts).unwrap();
            let parts = [bill.payout, bill.fep_fee, bill.gateway_fee, bill.rounding];
            prop_assert!(parts.iter().all(|part| part.0 >= 0));
            prop_assert_eq!(parts.iter().map(|part| part.0).sum::<i64>(), bill.charge.0);
            prop_assert!(bill.rounding.0 <= 3);
            prop_assert_eq!(bill.exchanged, bill.payout);
        }

        #[test]
        fn at_any_rate_every_micro_of_the_charge_goes_somewhere_and_the_payout_s_worth_is_covered(
            price in price(), counts in counts(), rate in rate(), fep_bps in 0u32..5_000, gateway_bps in 0u32..5_000,
        ) {
            let Some(bill) = bill(&price, &Fees { fep_bps, gateway_bps }, rate, &counts) else { return Ok(()) };
            let parts = [bill.exchanged, bill.fep_fee, bill.gateway_fee, bill.rounding];
            prop_assert!(parts.iter().all(|part| part.0 >= 0));
            prop_assert_eq!(parts.iter().map(|part| i128::from(part.0)).sum::<i128>(), i128::from(bill.charge.0));
            let (payout, billing) = rate.into();
            let worth = i128::from(bill.payout.0) * i128::from(billing);
            let kept = i128::from(bill.exchanged.0) * i128::from(payout);
            prop_assert!(worth <= kept && kept - worth < i128::from(payout));
            // Three roundings of the billing currency, and one of the payout's.
            let most = 3 + billing.div_ceil(payout);
            prop_assert!(i128::from(bill.rounding.0) <= i128::from(most));
        }

        #[test]
        fn no_job_within_its_bounds_costs_more_than_the_dearest_at_any_rate(
            price in price(), counts in counts(), rate in rate(),
        ) {
            let fees = Fees { fep_bps: 200, gateway_bps: 300 };
            let Some(most) = dearest(&price, &fees, rate, counts.input, counts.output) else { return Ok(()) };
            let bill = bill(&price, &fees, rate, &counts).unwrap();
            prop_assert!(bill.charge <= most.charge && bill.payout <= most.payout);
        }
    }
}
