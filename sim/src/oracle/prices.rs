//! Prices that sellers come to who answer each other, in micro-units for a million tokens.

use labman_proto_core::money::Micros;
use serde::{Deserialize, Serialize};

use super::Law;
use crate::scenario::values;
use crate::workload::worth::Amount;

/// All go to the cheapest, and anybody could serve all: the price falls until only one can follow it, which is to what it costs the
/// second (J. Bertrand, 1883).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bertrand {
    /// What serving costs each, in any order.
    pub costs: Vec<Amount>,
}

/// Requests are shared out in proportion to prices to the power of minus `exponent` among `sellers` alike, each of whom asks what
/// earns most while the others stay. With x = k (N - 1) / N they meet at c x / (x - 1); where x is not above 1 each price calls for a
/// higher one, up to the ceiling (as in S. Anderson, A. de Palma and J.-F. Thisse, 1992).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareRouting {
    pub sellers: u32,
    pub exponent: u32,
    #[serde(with = "values::amount")]
    pub cost: Micros,
    /// More than that nobody asks.
    #[serde(with = "values::amount")]
    pub ceiling: Micros,
}

/// The part of the requests, in millionths, that the first of these prices gets where they are shared out so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceShare {
    pub prices: Vec<Amount>,
    pub exponent: u32,
}

/// Two sellers without costs, each with room for a part `capacity` of all users, of whom a part 1 - p would pay p times `most`. Where
/// neither gains by asking for more, both ask for what just fills them, 1 - 2 q (F. Edgeworth, 1897; R. Levitan and M. Shubik, 1972).
///
/// That is up to a quarter where users come as they come, whatever they would pay (A. Beckmann's rationing, 1965): who asks for more
/// keeps a part 1 - q / (1 - p) of all who would pay it, of whom a price of a half earns most. Were those served first who would
/// pay most, it would be up to a third.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edgeworth {
    pub capacity: f64,
    #[serde(with = "values::amount")]
    pub most: Micros,
}

/// The mean price in the course of time where each of the two has room for more than a quarter, and for less than a half. There is
/// no pair of prices at which both stay: each goes below the other, from half of `most` on, which earns most of those whom the other has
/// no room for, until that is as much as it earns below the other, where it is full: q p = (1 - q / (1 - p)) / 4. Then it goes up
/// again. If it goes both ways by a part of the price at a time, the mean is the difference of the two ends over the logarithm of their
/// ratio, whatever the parts are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeworthCycle {
    pub capacity: f64,
    #[serde(with = "values::amount")]
    pub most: Micros,
}

fn all_above_zero<'a>(amounts: impl IntoIterator<Item = &'a Amount>) -> bool {
    amounts.into_iter().all(|amount| amount.0 > Micros::ZERO)
}

impl Law for Bertrand {
    fn check(&self) -> Result<(), String> {
        match self.costs.len() >= 2 && all_above_zero(&self.costs) {
            true => Ok(()),
            false => Err("costs must be two or more, each above zero".into()),
        }
    }

    fn value(&self) -> f64 {
        let mut costs: Vec<i64> = self.costs.iter().map(|cost| cost.0.0).collect();
        costs.sort_unstable();
        costs.get(1).copied().unwrap_or_default() as f64
    }
}

impl Law for ShareRouting {
    fn check(&self) -> Result<(), String> {
        match self.sellers >= 2 && self.exponent > 0 && Micros::ZERO < self.cost && self.cost < self.ceiling {
            true => Ok(()),
            false => {
                Err("sellers must be 2 at least, exponent and cost above zero, and ceiling above cost".into())
            }
        }
    }

    fn value(&self) -> f64 {
        let (cost, ceiling, sellers) = (self.cost.0 as f64, self.ceiling.0 as f64, f64::from(self.sellers));
        let x = f64::from(self.exponent) * (sellers - 1.0) / sellers;
        if x > 1.0 { (cost * x / (x - 1.0)).min(ceiling) } else { ceiling }
    }
}

impl Law for PriceShare {
    fn check(&self) -> Result<(), String> {
        match !self.prices.is_empty() && all_above_zero(&self.prices) && self.exponent <= 8 {
            true => Ok(()),
            false => Err("prices must be above zero, and exponent at most 8".into()),
        }
    }

    fn value(&self) -> f64 {
        let weight = |price: &Amount| (price.0.0 as f64).powi(-(self.exponent as i32));
        let all: f64 = self.prices.iter().map(weight).sum();
        self.prices.first().map_or(0.0, |first| weight(first) / all * 1e6)
    }
}

impl Law for Edgeworth {
    fn check(&self) -> Result<(), String> {
        match self.capacity > 0.0 && self.capacity <= 0.25 && self.most > Micros::ZERO {
            true => Ok(()),
            false => Err(
                "capacity must be above 0 and at most 0.25, beyond which prices cycle, and most above zero"
                    .into(),
            ),
        }
    }

    fn value(&self) -> f64 {
        (1.0 - 2.0 * self.capacity) * self.most.0 as f64
    }
}

impl EdgeworthCycle {
    const TOP: f64 = 0.5;

    /// Where it turns, as a part of `most`.
    fn bottom(&self) -> f64 {
        let q = self.capacity;
        let (mut low, mut high) = (0.0, Self::TOP);
        for _ in 0..100 {
            let p = f64::midpoint(low, high);
            let left_over = (1.0 - q / (1.0 - p)) / 4.0;
            if q * p < left_over { low = p } else { high = p }
        }
        low
    }
}

impl Law for EdgeworthCycle {
    fn check(&self) -> Result<(), String> {
        match self.capacity > 0.25 && self.capacity < 0.5 && self.most > Micros::ZERO {
            true => Ok(()),
            false => Err(
                "capacity must be above 0.25, up to which prices stay, and below 0.5, and most above zero"
                    .into(),
            ),
        }
    }

    fn value(&self) -> f64 {
        let bottom = self.bottom();
        (Self::TOP - bottom) / libm::log(Self::TOP / bottom) * self.most.0 as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(micros: &[i64]) -> Vec<Amount> {
        micros.iter().map(|micros| Amount(Micros(*micros))).collect()
    }

    fn sharing(sellers: u32, exponent: u32) -> ShareRouting {
        ShareRouting { sellers, exponent, cost: Micros(1_000_000), ceiling: Micros(9_000_000) }
    }

    #[test]
    fn the_second_lowest_cost_is_the_price() {
        let costs = amounts(&[800_000, 300_000, 500_000]);
        assert_eq!(Bertrand { costs }.value(), 500_000.0);
        assert!(Bertrand { costs: amounts(&[1]) }.check().is_err());
        assert!(Bertrand { costs: amounts(&[1, 0]) }.check().is_err());
    }

    #[test]
    fn five_sellers_ask_for_two_and_two_thirds_of_the_cost_and_two_for_all_they_may() {
        assert!((sharing(5, 2).value() - 2_666_667.0).abs() < 1.0);
        assert!((sharing(10, 2).value() - 2_250_000.0).abs() < 1.0);
        assert_eq!(sharing(2, 2).value(), 9_000_000.0);
        assert!(sharing(1, 2).check().is_err());
    }

    #[test]
    fn who_asks_twice_as_much_gets_a_quarter_of_what_another_gets() {
        let prices = amounts(&[2, 1, 1, 1, 1]);
        assert!((PriceShare { prices, exponent: 2 }.value() - 1e6 / 17.0).abs() < 1e-6);
    }

    #[test]
    fn who_has_little_room_asks_for_what_fills_it() {
        let edgeworth = |capacity| Edgeworth { capacity, most: Micros(1_000_000) };
        assert!((edgeworth(0.2).value() - 600_000.0).abs() < 1e-6);
        assert!(edgeworth(0.4).check().is_err());
    }

    /// .4 p^2 - .65 p + .15 = 0 has the root .2785, and the mean is .2215 / ln (.5 / .2785).
    #[test]
    fn who_has_more_room_goes_from_a_half_to_where_both_ways_earn_as_much() {
        let cycle = |capacity| EdgeworthCycle { capacity, most: Micros(1_000_000) };
        assert!((cycle(0.4).bottom() - 0.2785).abs() < 1e-5, "{}", cycle(0.4).bottom());
        assert!((cycle(0.4).value() - 378_500.0).abs() < 100.0, "{}", cycle(0.4).value());
        assert!(cycle(0.26).bottom() > 0.45, "just above a quarter there is hardly a way to go");
        assert!(cycle(0.2).check().is_err() && cycle(0.5).check().is_err());
    }
}
