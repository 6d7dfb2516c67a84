//! What runtimes could keep in memory, and what users ask for among many models.

use labman_proto_core::node::config;
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

/// Users ask for one of `<model>-1`, `<model>-2`, ..., the n-th in popularity with a weight of 1 / n.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zipf {
    pub count: u32,
    /// The most popular is that of number 1 and so many more; after the last comes the first again.
    #[serde(default)]
    pub shift: u32,
}

/// Weights in millionths of the first's.
const FIRST: u64 = 1_000_000;

impl Zipf {
    fn weight(rank: u32) -> u64 {
        FIRST / u64::from(rank.max(1))
    }

    pub fn total(&self) -> u64 {
        (1..=self.count).map(Self::weight).sum()
    }

    /// The number of the model that is meant by a draw below [`total`](Self::total).
    pub fn number(&self, mut draw: u64) -> u32 {
        let mut rank = 1;
        while rank < self.count && draw >= Self::weight(rank) {
            draw -= Self::weight(rank);
            rank += 1;
        }
        (rank - 1 + self.shift) % self.count.max(1) + 1
    }

    /// The part of all requests, in millionths, that is for the so many most popular.
    pub fn top_ppm(&self, many: u32) -> u64 {
        let top: u64 = (1..=many.min(self.count)).map(Self::weight).sum();
        top * 1_000_000 / self.total().max(1)
    }
}

/// A model of a shelf.
pub fn named(model: &str, number: u32) -> String {
    format!("{model}-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn popularity_falls_with_the_rank_and_moves_with_the_shift() {
        let zipf = Zipf { count: 4, shift: 0 };
        assert_eq!(zipf.total(), 1_000_000 + 500_000 + 333_333 + 250_000);
        assert_eq!(
            [0, 999_999, 1_000_000, 1_500_000, 2_083_332].map(|draw| zipf.number(draw)),
            [1, 1, 2, 3, 4]
        );
        assert_eq!(Zipf { shift: 3, ..zipf.clone() }.number(0), 4);
        assert_eq!(Zipf { shift: 3, ..zipf.clone() }.number(1_000_000), 1);
        assert_eq!(zipf.top_ppm(2), 720_000);
        assert_eq!(zipf.top_ppm(9), 1_000_000);
    }
}
