//! How well it can be known who serves, from trying, and what trying costs at least.

use serde::{Deserialize, Serialize};

use super::Law;

/// The variance, in millionths, of a running mean of attempts of which so many of a thousand fail, each by itself: with p that serve
/// and each new one counting a = 1/`weight`, p (1 - p) a / (2 - a) (S. Roberts, Control Chart Tests Based on Geometric Moving Averages,
/// 1959).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EwmaVariance {
    pub fails: u32,
    pub weight: u32,
}

/// The least part of so many requests, in millionths, that goes to the worse of two, of whom so many of a thousand fail, for whoever
/// does not know which it is and is not wrong about it for ever: ln n / KL(p, p') requests, where KL is Kullback and Leibler's divergence
/// of who serves with probability p from who does with p' (T. Lai and H. Robbins, Asymptotically Efficient Adaptive Allocation Rules, 1985).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaiRobbins {
    pub worse: u32,
    pub better: u32,
    pub requests: u32,
}

fn served(fails: u32) -> f64 {
    1.0 - f64::from(fails) / 1e3
}

impl Law for EwmaVariance {
    fn check(&self) -> Result<(), String> {
        match self.fails <= 1_000 && self.weight > 0 {
            true => Ok(()),
            false => Err("fails must be of a thousand, and weight above zero".into()),
        }
    }

    fn value(&self) -> f64 {
        let (p, a) = (served(self.fails), 1.0 / f64::from(self.weight));
        1e6 * p * (1.0 - p) * a / (2.0 - a)
    }
}

impl Law for LaiRobbins {
    fn check(&self) -> Result<(), String> {
        match 0 < self.better && self.better < self.worse && self.worse < 1_000 && self.requests > 1 {
            true => Ok(()),
            false => {
                Err("better must be above 0, worse above it and below 1000, and requests above 1".into())
            }
        }
    }

    fn value(&self) -> f64 {
        let (n, worse, better) = (f64::from(self.requests), served(self.worse), served(self.better));
        1e6 * n.ln() / (divergence(worse, better) * n)
    }
}

/// Of a coin that falls so with probability p from one that does with q.
fn divergence(p: f64, q: f64) -> f64 {
    p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_that_forgets_sooner_varies_more() {
        // D. Montgomery, Introduction to Statistical Quality Control: a / (2 - a) is .0526 at .1, a third at a half.
        let of = |weight| EwmaVariance { fails: 500, weight }.value() / 250_000.0;
        assert!((of(10) - 0.0526).abs() < 1e-4 && (of(2) - 1.0 / 3.0).abs() < 1e-9);
        assert!((of(8) - 1.0 / 15.0).abs() < 1e-9);
        assert!(EwmaVariance { fails: 1_001, weight: 8 }.check().is_err());
        assert!(EwmaVariance { fails: 1, weight: 0 }.check().is_err());
    }

    #[test]
    fn whoever_is_hard_to_tell_from_the_better_is_tried_more_often() {
        // KL(.5, .6) = .5 ln(.5 / .6) + .5 ln(.5 / .4) = .0204.
        assert!((divergence(0.5, 0.6) - 0.0204).abs() < 1e-4);
        assert_eq!(divergence(0.3, 0.3), 0.0);
        let law = LaiRobbins { worse: 500, better: 400, requests: 1_000 };
        // 6.908 / .0204 requests of a thousand.
        assert!((law.value() / 1e6 - 0.3384).abs() < 1e-3, "{}", law.value());
        assert!(LaiRobbins { worse: 400, ..law.clone() }.check().is_err());
        assert!(LaiRobbins { better: 0, ..law }.check().is_err());
    }
}
