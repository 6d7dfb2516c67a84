//! What somebody is owed between two claims.

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::Law;
use crate::scenario::values;

/// What `providers` are owed together at a moment drawn by chance, in micro-units: each earns `payout` so often in the mean, a Poisson
/// process, and claims all of it every period; no more than `cap` each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unclaimed {
    pub providers: u32,
    /// In micro-units, as `cap`.
    pub payout: i64,
    #[serde(with = "values::span")]
    pub every: Span,
    #[serde(with = "values::span")]
    pub claims: Span,
    pub cap: i64,
}

impl Law for Unclaimed {
    fn check(&self) -> Result<(), String> {
        match self.providers > 0 && self.payout > 0 && self.every.0 > 0 && self.cap >= 0 {
            true => Ok(()),
            false => Err("providers, payout and every must be above zero, and cap not below".into()),
        }
    }

    fn value(&self) -> f64 {
        let jobs = self.claims.0 as f64 / self.every.0 as f64;
        unclaimed(self.payout as f64, jobs, self.cap as f64) * f64::from(self.providers)
    }
}

/// In payouts' units, in the mean over a claim period that begins with nothing owed: of `jobs` in a whole period, a Poisson
/// process, each is worth `payout`; what would be more than `cap` is not taken on.
fn unclaimed(payout: f64, jobs: f64, cap: f64) -> f64 {
    /// Moments of the period that are looked at.
    const MOMENTS: u32 = 1_000;
    let most = (cap / payout).floor();
    let mean = |moment: u32| payout * capped(jobs * (f64::from(moment) + 0.5) / f64::from(MOMENTS), most);
    (0..MOMENTS).map(mean).sum::<f64>() / f64::from(MOMENTS)
}

/// Mean of a Poisson variable, or `most` where that is less: the sum over k from 1 to `most` of how likely at least k are.
fn capped(mean: f64, most: f64) -> f64 {
    // So many that chance is nothing beside them, and e^-mean no float.
    if mean > 500.0 {
        return mean.min(most);
    }
    // So far above the mean nothing comes any more.
    let reach = (mean + 12.0 * mean.sqrt() + 20.0).min(most) as u32;
    let (mut sum, mut below, mut exactly) = (0.0, 0.0, (-mean).exp());
    for k in 1..=reach {
        below += exactly;
        sum += 1.0 - below;
        exactly *= mean / f64::from(k);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_cap_half_a_period_s_work_is_owed_and_with_one_never_more() {
        assert!((unclaimed(2.0, 100.0, 1e9) - 100.0).abs() < 0.01);
        assert!((unclaimed(2.0, 1_000.0, 20.0) - 20.0).abs() < 0.3, "nearly always at the cap");
        assert!((capped(3.0, 1e9) - 3.0).abs() < 1e-9);
        // P(X >= 1) + P(X >= 2) of a Poisson variable with mean 1.
        assert!((capped(1.0, 2.0) - (2.0 - 3.0 * (-1.0_f64).exp())).abs() < 1e-12);
    }
}
