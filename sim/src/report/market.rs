//! How well what was asked for was in memory, beside the best that could have been, and what that cost in loading.

use std::fmt::{self, Write as _};

use serde::Serialize;

#[derive(Clone, Debug, Default, Serialize)]
pub struct MarketReport {
    /// Measured requests, and those that were served.
    pub asked: u64,
    pub hits: u64,
    /// Hits of all, in millionths; and what they would be with the most wanted models in memory all the time.
    pub hit_ppm: u64,
    pub optimum_ppm: u64,
    /// Models loaded, by all providers.
    pub loads: u64,
    /// By a provider and virtual hour, in thousandths.
    pub loads_per_hour_milli: u64,
    /// Providers that loaded something in one epoch, in thousandths of all, at the most.
    pub together_permille: u64,
    /// The same after `measure_from`.
    pub measured_together_permille: u64,
    /// What a search from provider to provider would cost by what was hosted after `measure_from`, in millionths of that where all
    /// models are hosted as often. 0: nobody looked, or nobody asks for many models.
    pub search_ppm: u64,
}

/// What `[[expect]]` may name.
pub const FIGURES: &[&str] = &[
    "market.hit_ppm",
    "market.of_optimum_ppm",
    "market.loads",
    "market.loads_per_hour_milli",
    "market.together_permille",
    "market.measured_together_permille",
    "market.search_ppm",
];

impl MarketReport {
    /// Hits, in millionths of what they could be.
    pub fn of_optimum_ppm(&self) -> u64 {
        (self.hit_ppm * 1_000_000).checked_div(self.optimum_ppm).unwrap_or(0)
    }

    pub fn figure(&self, name: &str) -> Option<i64> {
        let figure = match name {
            "market.hit_ppm" => self.hit_ppm,
            "market.of_optimum_ppm" => self.of_optimum_ppm(),
            "market.loads" => self.loads,
            "market.loads_per_hour_milli" => self.loads_per_hour_milli,
            "market.together_permille" => self.together_permille,
            "market.measured_together_permille" => self.measured_together_permille,
            "market.search_ppm" => self.search_ppm,
            _ => return None,
        };
        i64::try_from(figure).ok()
    }

    pub fn summary(&self, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "  market    {:.4} of {} requests found their model in memory; at best {:.4}: {:.1} % of that",
            self.hit_ppm as f64 / 1e6,
            self.asked,
            self.optimum_ppm as f64 / 1e6,
            self.of_optimum_ppm() as f64 / 1e4
        )?;
        writeln!(
            out,
            "  loads     {}, {:.2} by a provider and hour; {:.1} % of the providers in one epoch at most, {:.1} % when measured",
            self.loads,
            self.loads_per_hour_milli as f64 / 1e3,
            self.together_permille as f64 / 10.0,
            self.measured_together_permille as f64 / 10.0
        )
    }
}
