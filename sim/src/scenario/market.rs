//! What runtimes could keep in memory, and what users ask for among many models.

use labman_proto_core::node::config;
use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::values;

/// How a provider decides what it hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hosting {
    #[serde(with = "values::span")]
    pub epoch: Span,
    #[serde(with = "values::span")]
    pub horizon: Span,
    /// Models that are loaded in an epoch at most.
    pub loads: u32,
}

impl Default for Hosting {
    fn default() -> Self {
        let config::Hosting { epoch, horizon, loads } = config::Hosting::default();
        Self { epoch, horizon, loads }
    }
}

impl Hosting {
    pub fn config(&self) -> config::Hosting {
        config::Hosting { epoch: self.epoch, horizon: self.horizon, loads: self.loads }
    }
}

/// The models that a runtime has, all of one size: `<model>-1`, `<model>-2`, ... The first of them are in memory at the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shelf {
    pub count: u32,
    /// Models that fit in memory at once.
    pub room: u32,
    /// How long one takes to load.
    #[serde(with = "values::span")]
    pub load: Span,
}

/// Users ask for one of `<model>-1`, `<model>-2`, ..., the n-th in popularity with a weight of 1 / n^exponent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zipf {
    pub count: u32,
    /// 0: all are as popular.
    #[serde(default = "usual_exponent", skip_serializing_if = "is_usual")]
    pub exponent: f64,
    /// The most popular is that of number 1 and so many more; after the last comes the first again.
    #[serde(default)]
    pub shift: u32,
}

/// Zipf's own.
pub const fn usual_exponent() -> f64 {
    1.0
}

fn is_usual(exponent: &f64) -> bool {
    *exponent == usual_exponent()
}

/// Weights in millionths of the first's.
const FIRST: u64 = 1_000_000;

impl Zipf {
    pub const MOST: u32 = 1_000_000;

    /// # Errors
    ///
    /// What makes no law of it.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=Self::MOST).contains(&self.count) {
            return Err(format!("count must be from 1 to {}", Self::MOST));
        }
        match (0.0..=10.0).contains(&self.exponent) {
            true => Ok(()),
            false => Err("exponent must be from 0 to 10".into()),
        }
    }

    /// By libm, whose power is the same on every machine.
    fn weight(&self, rank: u32) -> u64 {
        let rank = rank.max(1);
        match self.exponent == usual_exponent() {
            true => FIRST / u64::from(rank),
            false => (FIRST as f64 * libm::pow(f64::from(rank), -self.exponent)) as u64,
        }
    }

    /// The part of all requests, in millionths, that is for the so many most popular.
    pub fn top_ppm(&self, many: u32) -> u64 {
        let sum = |many| (1..=many).map(|rank| self.weight(rank)).sum::<u64>();
        sum(many.min(self.count)) * 1_000_000 / sum(self.count).max(1)
    }
}

/// Who is how popular, summed up once for all draws.
pub struct Popularity {
    /// Of each rank, the weights of it and all before it.
    sums: Vec<u64>,
    shift: u32,
}

impl Popularity {
    pub fn of(zipf: &Zipf) -> Self {
        let sum = |sum: &mut u64, rank| {
            *sum += zipf.weight(rank);
            Some(*sum)
        };
        Self { sums: (1..=zipf.count).scan(0, sum).collect(), shift: zipf.shift }
    }

    /// The number of a model.
    pub fn draw(&self, draws: &mut Stream) -> u32 {
        self.number(draws.below(self.total()))
    }

    /// Each model's part of the requests, by its number less one.
    pub fn parts(&self) -> Vec<f64> {
        let mut parts = vec![0.0; self.sums.len()];
        let mut before = 0;
        for (rank, sum) in self.sums.iter().enumerate() {
            parts[self.at(rank)] = (sum - before) as f64 / self.total().max(1) as f64;
            before = *sum;
        }
        parts
    }

    fn total(&self) -> u64 {
        self.sums.last().copied().unwrap_or(0)
    }

    fn number(&self, draw: u64) -> u32 {
        let rank = self.sums.partition_point(|sum| *sum <= draw).min(self.sums.len().saturating_sub(1));
        self.at(rank) as u32 + 1
    }

    fn at(&self, rank: usize) -> usize {
        (rank + self.shift as usize) % self.sums.len().max(1)
    }
}

/// A model of a shelf.
pub fn named(model: &str, number: u32) -> String {
    format!("{model}-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zipf(count: u32, exponent: f64, shift: u32) -> Zipf {
        Zipf { count, exponent, shift }
    }

    #[test]
    fn popularity_falls_with_the_rank_and_moves_with_the_shift() {
        let popularity = Popularity::of(&zipf(4, 1.0, 0));
        assert_eq!(popularity.total(), 1_000_000 + 500_000 + 333_333 + 250_000);
        assert_eq!(
            [0, 999_999, 1_000_000, 1_500_000, 2_083_332].map(|draw| popularity.number(draw)),
            [1, 1, 2, 3, 4]
        );
        let shifted = Popularity::of(&zipf(4, 1.0, 3));
        assert_eq!([0, 1_000_000].map(|draw| shifted.number(draw)), [4, 1]);
        assert!((shifted.parts()[3] - 0.48).abs() < 1e-6, "{:?}", shifted.parts());
        assert_eq!(zipf(4, 1.0, 0).top_ppm(2), 720_000);
        assert_eq!(zipf(4, 1.0, 0).top_ppm(9), 1_000_000);
    }

    #[test]
    fn a_greater_exponent_makes_the_first_more_popular_and_none_makes_all_alike() {
        assert_eq!(zipf(4, 0.0, 0).top_ppm(1), 250_000);
        // 1 / (1 + 1/4 + 1/9 + 1/16).
        assert_eq!(zipf(4, 2.0, 0).top_ppm(1), 702_439);
        assert!(zipf(4, f64::NAN, 0).check().is_err());
        assert!(zipf(0, 1.0, 0).check().is_err());
    }
}
