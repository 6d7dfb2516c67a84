//! What users would pay at most: demand that falls with the price, as the gateway's own API has it.

use labman_proto_core::money::Micros;
use labman_proto_core::rng::Stream;
use serde::{Deserialize, Serialize};

use crate::scenario::values;

/// For a million tokens of output, fees included. Who would pay less than any provider asks is refused, and goes away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Worth {
    Constant(Amount),
    /// Evenly between two: where they are 0 and 1, the part of users who would pay a price p is 1 - p.
    Uniform([Amount; 2]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(#[serde(with = "values::amount")] pub Micros);

impl Worth {
    /// # Errors
    ///
    /// If it is below zero, or falls.
    pub fn check(&self) -> Result<(), String> {
        let (least, most) = self.bounds();
        match 0 <= least && least <= most {
            true => Ok(()),
            false => Err("values: must not be below zero, and the first not above the second".into()),
        }
    }

    fn bounds(&self) -> (i64, i64) {
        match self {
            Self::Constant(Amount(amount)) => (amount.0, amount.0),
            Self::Uniform([Amount(least), Amount(most)]) => (least.0, most.0),
        }
    }

    /// One draw for each request, whichever it is.
    pub fn draw(&self, draws: &mut Stream) -> Micros {
        let (least, most) = self.bounds();
        let above = draws.below((most - least).unsigned_abs().saturating_add(1));
        Micros(least.saturating_add_unsigned(above))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::rng::Seed;

    #[derive(Deserialize)]
    struct File {
        values: Worth,
    }

    fn read(text: &str) -> Worth {
        toml::from_str::<File>(&format!("values = {text}")).unwrap().values
    }

    #[test]
    fn as_many_would_pay_a_price_as_are_worth_more() {
        let worth = read("{ uniform = [\"0\", \"1\"] }");
        let mut draws = Seed::from_u64(1).stream("values");
        let pay = (0..10_000).filter(|_| worth.draw(&mut draws) >= Micros(600_000)).count();
        assert!(pay.abs_diff(4_000) < 150, "{pay}");
    }

    #[test]
    fn where_all_would_pay_the_same_each_does() {
        let mut draws = Seed::from_u64(1).stream("values");
        assert_eq!(read("{ constant = \"0.5\" }").draw(&mut draws), Micros(500_000));
    }

    #[test]
    fn what_falls_or_is_below_zero_is_refused() {
        assert!(read("{ uniform = [\"2\", \"1\"] }").check().is_err());
        assert!(read("{ constant = \"-1\" }").check().is_err());
        assert_eq!(read("{ uniform = [\"1\", \"1\"] }").check(), Ok(()));
    }
}
