//! How well it can be known who serves, from trying, and what trying costs at least.

use labman_proto_core::rng::Stream;
use serde::{Deserialize, Serialize};

use super::Law;

/// Of what lies between two bounds, until they are one to the last bit that matters.
const HALVINGS: u32 = 100;

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

/// The part of so many requests, in millionths, that UCB1 gives to the worse of two, of whom so many of a thousand fail: where either
/// may be as good as the other, as far as the attempts with it can tell. Of n requests it gets the k for which the root of 2 ln n / k is as much
/// more than that of 2 ln n / (n - k) as it serves less often (A. Kalvit and A. Zeevi, A Closer Look at the Worst-case Behavior of
/// Multi-armed Bandit Algorithms, 2021): about 2 ln n over that difference's square.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ucb {
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

impl Law for Ucb {
    fn check(&self) -> Result<(), String> {
        match self.better < self.worse && self.worse <= 1_000 && self.requests > 2 {
            true => Ok(()),
            false => Err("better must be below worse, of a thousand, and requests above 2".into()),
        }
    }

    fn value(&self) -> f64 {
        let (n, gap) = (f64::from(self.requests), served(self.better) - served(self.worse));
        let bonus = |tried: f64| (2.0 * n.ln() / tried).sqrt();
        // As long as it may be better by more than the other is, it is tried.
        let (mut enough, mut more) = (n / 2.0, 0.0);
        for _ in 0..HALVINGS {
            let tried = f64::midpoint(enough, more);
            match bonus(tried) - bonus(n - tried) > gap {
                true => more = tried,
                false => enough = tried,
            }
        }
        1e6 * enough / n
    }
}

impl Ucb {
    /// How many of so many requests go to the worse one if the first time it serves as `outcomes[0]` says, and the other as
    /// `outcomes[1]`, and so on; what they do not say is drawn.
    pub fn worse_asked(&self, outcomes: [&[bool]; 2], requests: u64, draws: &mut Stream) -> u64 {
        let permille = [self.worse, self.better];
        let (mut tried, mut did) = ([0_usize; 2], [0_u64; 2]);
        for asked in 0..requests {
            let log = (asked.max(1) as f64).ln();
            let may = |of: usize| match tried[of] {
                0 => f64::INFINITY,
                tried => did[of] as f64 / tried as f64 + (2.0 * log / tried as f64).sqrt(),
            };
            let at = usize::from(may(1) > may(0));
            let drawn = || draws.below(1_000) >= u64::from(permille[at]);
            did[at] += u64::from(outcomes[at].get(tried[at]).copied().unwrap_or_else(drawn));
            tried[at] += 1;
        }
        tried[0] as u64
    }
}

/// Of a coin that falls so with probability p from one that does with q.
fn divergence(p: f64, q: f64) -> f64 {
    p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln()
}

#[cfg(test)]
mod tests {
    use labman_proto_core::rng::Seed;

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

    #[test]
    fn ucb_asks_the_worse_one_as_often_as_it_takes_to_know() {
        let law = Ucb { worse: 200, better: 10, requests: 10_000 };
        // 18.42 / k = (.19 + (18.42 / (10,000 - k)) ^ .5) ^ 2: 337 of them.
        assert!((law.value() / 100.0 - 337.4).abs() < 0.1, "{}", law.value());
        // To be told from each other at all, two that are nearly alike are asked as often.
        let alike = Ucb { worse: 11, better: 10, requests: 100 };
        assert!((0.49..0.5).contains(&(alike.value() / 1e6)));
        assert!(Ucb { worse: 10, ..law.clone() }.check().is_err());
        assert!(Ucb { requests: 2, ..law }.check().is_err());
    }

    #[test]
    fn the_book_s_own_requests_come_to_what_its_formula_says() {
        let law = Ucb { worse: 200, better: 10, requests: 10_000 };
        let mut draws = Seed::from_u64(1).stream("book");
        let of_it: Vec<f64> =
            (0..200).map(|_| law.worse_asked([&[], &[]], 10_000, &mut draws) as f64 * 100.0).collect();
        let mean = of_it.iter().sum::<f64>() / 200.0;
        assert!((mean / law.value() - 1.0).abs() < 0.04, "{mean}");
    }

    #[test]
    fn the_book_goes_by_the_outcomes_it_is_given() {
        let law = Ucb { worse: 500, better: 100, requests: 100 };
        let mut draws = Seed::from_u64(1).stream("book");
        let (always, never) = ([true; 100], [false; 100]);
        let few = law.worse_asked([&never, &always], 100, &mut draws);
        let many = law.worse_asked([&always, &never], 100, &mut draws);
        // (9.21 / 5.4) ^ .5 is 1 more than (9.21 / 94.6) ^ .5: none is asked a seventh time.
        assert_eq!((few, many), (6, 94));
    }
}
