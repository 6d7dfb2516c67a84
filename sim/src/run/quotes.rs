//! The FEP's operator quotes other currencies as the scenario says, and again until the FEP has heard it.

use labman_proto_core::time::Span;
use serde_json::json;

use super::{Due, Run};

/// How soon a quote is tried again that the FEP did not take.
const AGAIN: Span = Span::from_secs(5);

impl Run<'_> {
    /// Those that hold from the beginning.
    pub(super) fn quote_first(&mut self) -> Result<(), String> {
        for index in 0..self.scenario.fep.quotes.len() {
            if self.scenario.fep.quotes[index].at == Span::default() {
                self.quote(index)?;
            }
        }
        Ok(())
    }

    pub(super) fn schedule_quotes(&mut self) {
        for (index, quote) in self.scenario.fep.quotes.iter().enumerate() {
            if quote.at > Span::default() {
                self.schedule(self.started + quote.at, Due::Quote(index));
            }
        }
    }

    pub(super) fn quotes_due(&mut self) {
        for index in std::mem::take(&mut self.to_quote) {
            // A later one stands.
            let currency = &self.scenario.fep.quotes[index].currency;
            if self.quoted.get(currency).is_some_and(|last| *last > index) {
                continue;
            }
            if self.quote(index).is_err() {
                self.schedule(self.world.now() + AGAIN, Due::Quote(index));
            }
        }
    }

    fn quote(&mut self, index: usize) -> Result<(), String> {
        let quote = &self.scenario.fep.quotes[index];
        let valid_for_s = quote.valid_for.as_millis() / 1_000;
        let (currency, rate) = (quote.currency.clone(), quote.rate.to_string());
        let body = json!({ "currency": currency, "rate": rate, "valid_for_s": valid_for_s });
        self.ask(&self.scenario.fep.name, "POST", "/fx", Some(&body))?;
        self.quoted.insert(currency, index);
        Ok(())
    }
}
