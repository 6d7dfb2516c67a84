//! Cheats among users who check: how soon they are caught, what custom it costs them, and from what rate of checks on it does not pay.

use serde::{Deserialize, Serialize};

use super::Law;

/// How often, in millionths, a cheat is caught within so many answers of which so many of a thousand are checked: 1 - (1 - q)^n.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caught {
    pub permille: u32,
    pub within: u32,
}

/// The part of all requests, in millionths, that a cheat serves whose share would be `share` (of a thousand), where so many of a
/// thousand answers are checked and whoever is caught gets none of the next `shuns` requests: s / (1 + q s n), as it serves for
/// 1 / (q s) requests and then stands aside for n (renewal).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditedShare {
    pub permille: u32,
    pub share: u32,
    pub shuns: u32,
}

impl Law for Caught {
    fn check(&self) -> Result<(), String> {
        match self.permille <= 1_000 && self.within > 0 {
            true => Ok(()),
            false => Err("permille must be of a thousand, and within above zero".into()),
        }
    }

    fn value(&self) -> f64 {
        1e6 * (1.0 - (1.0 - f64::from(self.permille) / 1e3).powf(self.within.into()))
    }
}

impl Law for AuditedShare {
    fn check(&self) -> Result<(), String> {
        match self.permille <= 1_000 && self.share <= 1_000 {
            true => Ok(()),
            false => Err("permille and share must be of a thousand".into()),
        }
    }

    fn value(&self) -> f64 {
        let (rate, share) = (f64::from(self.permille) / 1e3, f64::from(self.share) / 1e3);
        1e6 * share / (1.0 + rate * share * f64::from(self.shuns))
    }
}

/// The rate of checks from which on it does not pay to cheat for a gain g by which one risks a penalty F (G. Becker, Crime and
/// Punishment, 1968): (1 - q) g = q F, so g / (g + F). A cheat that keeps what it got until it is caught loses g + F by that: all that it
/// would have earned of those who turn away.
pub fn deterred_from(gain: f64, penalty: f64) -> f64 {
    gain / (gain + penalty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_is_checked_and_the_longer_the_sooner_a_cheat_is_caught() {
        let of = |permille, within| Caught { permille, within }.value().round();
        assert_eq!([of(500, 1), of(500, 4), of(200, 12)], [500_000.0, 937_500.0, 931_281.0]);
        assert_eq!([of(0, 9), of(1_000, 1)], [0.0, 1_000_000.0]);
        assert!(Caught { permille: 1, within: 0 }.check().is_err());
    }

    #[test]
    fn custom_is_lost_by_what_is_checked_and_how_long_it_is_held_against_one() {
        let of = |permille, shuns| AuditedShare { permille, share: 500, shuns }.value().round();
        assert_eq!([of(200, 6), of(500, 6), of(100, 6)], [312_500.0, 200_000.0, 384_615.0]);
        assert_eq!([of(0, 6), of(900, 0)], [500_000.0; 2], "nobody looks, or nobody minds");
        assert!(AuditedShare { permille: 1, share: 1_001, shuns: 1 }.check().is_err());
    }

    #[test]
    fn from_the_deterring_rate_on_a_cheat_earns_less_than_the_honest() {
        // Honest work leaves half of the price, and cheating three tenths more; half of six requests are lost by being caught.
        let (margin, gain, lost) = (0.5, 0.3, 0.5 * 6.0 * 0.5);
        let from = deterred_from(gain, lost - gain);
        assert!((from - 0.2).abs() < 1e-9);
        let earns = |permille| {
            let share = AuditedShare { permille, share: 500, shuns: 6 }.value() / 1e6;
            share * (margin + gain) / (0.5 * margin)
        };
        assert!((earns(200) - 1.0).abs() < 1e-9);
        assert!(earns(100) > 1.2 && earns(500) < 0.65, "{} {}", earns(100), earns(500));
    }
}
