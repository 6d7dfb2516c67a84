//! What many names of one party get it, and what buying from oneself costs.

use serde::{Deserialize, Serialize};

use super::Law;

/// The part of requests, in millionths, that is first asked of `sybils` of whom nothing is known, beside `honest` that have proved
/// themselves, where so many of a thousand requests would be, were all unknown: e k / (N + k). More names get more of it, and all the
/// names there could be no more than e.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SybilShare {
    pub explore: u32,
    pub sybils: u32,
    pub honest: u32,
}

/// What a ring that buys from itself pays to others for it, in millionths of what it sells itself: the fees, in hundredths of a percent.
/// With a reward of as much for each job that is served it would be even; there is none here, so that it is even without fees only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WashLoss {
    pub fep_bps: u32,
    pub gateway_bps: u32,
    /// Likewise.
    #[serde(default)]
    pub reward_bps: u32,
}

impl Law for SybilShare {
    fn check(&self) -> Result<(), String> {
        match self.explore <= 1_000 && self.sybils > 0 {
            true => Ok(()),
            false => Err("explore must be of a thousand, and sybils above zero".into()),
        }
    }

    fn value(&self) -> f64 {
        let (sybils, honest) = (f64::from(self.sybils), f64::from(self.honest));
        1e3 * f64::from(self.explore) * sybils / (honest + sybils)
    }
}

impl Law for WashLoss {
    fn check(&self) -> Result<(), String> {
        match [self.fep_bps, self.gateway_bps, self.reward_bps].iter().all(|bps| *bps <= 10_000) {
            true => Ok(()),
            false => Err("fep_bps, gateway_bps and reward_bps must be at most 10000".into()),
        }
    }

    fn value(&self) -> f64 {
        1e2 * (f64::from(self.fep_bps) + f64::from(self.gateway_bps) - f64::from(self.reward_bps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_get_more_than_one_and_never_more_than_is_explored() {
        let of = |sybils| SybilShare { explore: 100, sybils, honest: 9 }.value().round();
        assert_eq!([of(1), of(9), of(1_000_000)], [10_000.0, 50_000.0, 99_999.0]);
        assert!(SybilShare { explore: 100, sybils: 0, honest: 9 }.check().is_err());
    }

    #[test]
    fn washing_costs_the_fees_and_is_even_where_it_is_rewarded_with_as_much() {
        let of = |fep_bps, gateway_bps, reward_bps| WashLoss { fep_bps, gateway_bps, reward_bps }.value();
        assert_eq!(of(100, 400, 0), 50_000.0);
        assert_eq!((of(0, 0, 0), of(100, 400, 500)), (0.0, 0.0));
        assert!(of(100, 400, 600) < 0.0, "then it pays");
        assert!(WashLoss { fep_bps: 10_001, gateway_bps: 0, reward_bps: 0 }.check().is_err());
    }
}
