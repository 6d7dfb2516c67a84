//! What providers asked for while it was measured, and what they earned by it.
//!
//! Prices are those of a million tokens of output, looked at once an epoch at all that is offered, and given in micro-units. Of several
//! offers of a provider the mean counts. What is absent: what users paid, which the receipts say.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PriceReport {
    /// How often it was looked.
    pub looks: u64,
    /// The mean over looks and providers.
    pub mean: i64,
    /// The mean over looks of the lowest.
    pub cheapest: i64,
    /// The lowest and the highest that the providers' mean was at any look.
    pub low: i64,
    pub high: i64,
    /// The mean of the first provider, and of those that have the same to offer.
    pub first: i64,
    /// What each asked in the mean.
    pub providers: BTreeMap<String, i64>,
    /// What a provider earned over the whole run beyond what the work cost it, by the floor of its pricing, in micro-units: the mean
    /// of all, and of those like the first.
    pub profit: i64,
    pub first_profit: i64,
    /// Of the measured jobs, in millionths, those that providers like the first served.
    pub first_share_ppm: i64,
    /// How prices went, before it was measured, too.
    #[serde(skip)]
    pub course: Vec<Asked>,
}

/// What was asked for at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Since the workload's start.
    pub at_us: u64,
    /// Of providers.
    pub mean: i64,
    pub cheapest: i64,
}

/// What `[[expect]]` may name.
pub const FIGURES: &[&str] = &[
    "market.price_micro",
    "market.price_cheapest_micro",
    "market.price_low_micro",
    "market.price_high_micro",
    "market.price_swing_micro",
    "market.price_first_micro",
    "market.profit_micro",
    "market.profit_first_micro",
    "market.share_first_ppm",
];

/// What one provider offered at one look: its number in the scenario, and the mean price.
pub type Offered = (usize, i64);

impl PriceReport {
    /// Of all looks, each with those who offered something; `names` by number.
    pub fn of(looks: &[Vec<Offered>], names: &[String], is_first: impl Fn(usize) -> bool) -> Self {
        let means: Vec<i64> =
            looks.iter().filter_map(|look| mean(look.iter().map(|(_, price)| *price))).collect();
        let lowest = looks.iter().filter_map(|look| look.iter().map(|(_, price)| *price).min());
        let all = || looks.iter().flatten();
        let mut of_each: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        all().for_each(|(provider, price)| of_each.entry(*provider).or_default().push(*price));
        let named =
            |(provider, prices): (usize, Vec<i64>)| Some((names.get(provider)?.clone(), mean(prices)?));
        Self {
            looks: looks.len() as u64,
            mean: mean(means.iter().copied()).unwrap_or(0),
            cheapest: mean(lowest).unwrap_or(0),
            low: means.iter().copied().min().unwrap_or(0),
            high: means.iter().copied().max().unwrap_or(0),
            first: mean(all().filter(|(provider, _)| is_first(*provider)).map(|(_, price)| *price))
                .unwrap_or(0),
            providers: of_each.into_iter().filter_map(named).collect(),
            ..Self::default()
        }
    }

    /// The value of one of [`FIGURES`].
    pub fn figure(&self, name: &str) -> Option<i64> {
        Some(match name {
            "market.price_micro" => self.mean,
            "market.price_cheapest_micro" => self.cheapest,
            "market.price_low_micro" => self.low,
            "market.price_high_micro" => self.high,
            "market.price_swing_micro" => self.high - self.low,
            "market.price_first_micro" => self.first,
            "market.profit_micro" => self.profit,
            "market.profit_first_micro" => self.first_profit,
            "market.share_first_ppm" => self.first_share_ppm,
            _ => return None,
        })
    }

    pub fn summary(&self, out: &mut String) -> fmt::Result {
        let units = |micros: i64| micros as f64 / 1e6;
        writeln!(
            out,
            "  prices    {:.6} for a million tokens of output in the mean, {:.6} the cheapest; between {:.6} and {:.6} in the course of time",
            units(self.mean),
            units(self.cheapest),
            units(self.low),
            units(self.high)
        )?;
        writeln!(
            out,
            "  profits   {:.6} a provider; the first kind asked {:.6}, served {:.4} of the jobs and made {:.6}",
            units(self.profit),
            units(self.first),
            units(self.first_share_ppm),
            units(self.first_profit)
        )
    }
}

/// Rounded towards zero.
pub fn mean(of: impl IntoIterator<Item = i64>) -> Option<i64> {
    let (sum, many) =
        of.into_iter().fold((0_i128, 0_i128), |(sum, many), one| (sum + i128::from(one), many + 1));
    i64::try_from(sum.checked_div(many)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_to_means_lows_and_highs() {
        let looks = vec![vec![(0, 100), (1, 300)], vec![(0, 200), (1, 500)], vec![(1, 100)]];
        let report = PriceReport::of(&looks, &["a", "b"].map(String::from), |provider| provider == 0);
        // Looks come to 200, 350 and 100.
        let figure = |name| report.figure(&format!("market.price_{name}micro")).unwrap();
        let figures = ["", "cheapest_", "low_", "high_", "swing_", "first_"].map(figure);
        assert_eq!(figures, [216, 133, 100, 350, 250, 150]);
        assert_eq!(report.providers, BTreeMap::from([("a".into(), 150), ("b".into(), 300)]));
        assert!(FIGURES.iter().all(|name| report.figure(name).is_some()));
        assert_eq!(report.figure("market.hit_ppm"), None);
    }

    #[test]
    fn where_nobody_looked_there_is_nothing() {
        assert_eq!(PriceReport::of(&[], &[], |_| true), PriceReport::default());
    }
}
