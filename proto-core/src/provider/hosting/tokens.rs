//! What an epoch's jobs of one model came to, and what they would bring at a price.

use crate::economics::{Counts, Price};
use crate::money::Micros;

/// Of all jobs of an epoch.
#[derive(Clone, Copy, Default)]
pub(super) struct Tokens {
    input: u64,
    cached: u64,
    output: u64,
}

impl Tokens {
    pub(super) fn add(&mut self, counts: Counts) {
        self.input = self.input.saturating_add(counts.input.into());
        self.cached = self.cached.saturating_add(counts.cached.into());
        self.output = self.output.saturating_add(counts.output.into());
    }

    /// What so many jobs with these tokens bring at a price, in millionths of a micro-unit.
    pub(super) fn bring(self, jobs: u32, price: &Price) -> i128 {
        let of = |tokens: u64, per_mtok: Micros| i128::from(tokens).saturating_mul(per_mtok.0.into());
        let requests = i128::from(jobs).saturating_mul(price.per_request.0.into()).saturating_mul(1_000_000);
        of(self.input.saturating_sub(self.cached), price.input_per_mtok)
            .saturating_add(of(self.cached, price.cached_per_mtok))
            .saturating_add(of(self.output, price.output_per_mtok))
            .saturating_add(requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_tokens_bring_what_a_million_tokens_cost() {
        let micros = |amount| Micros(amount);
        let price = Price {
            input_per_mtok: micros(200_000),
            cached_per_mtok: micros(50_000),
            output_per_mtok: micros(600_000),
            per_request: micros(7),
        };
        let mut tokens = Tokens::default();
        for _ in 0..10 {
            tokens.add(Counts { input: 100_000, cached: 50_000, output: 100_000 });
        }
        // Half a million fresh, half a million cached, a million out, and ten requests.
        assert_eq!(tokens.bring(10, &price), (100_000 + 25_000 + 600_000 + 70) * 1_000_000);
    }
}
