//! What providers are owed as the workload ends: their receipts that were not paid. Read from their stores, before anybody who is down is
//! started again: a FEP that has gone would pay then.

use std::collections::BTreeMap;

use super::Run;
use crate::check::ledger::Held;

const PAID: &str = "paid";

impl Run<'_> {
    /// By provider, in micro-units of the FEP's currency.
    pub(super) fn owed(&self) -> BTreeMap<String, i64> {
        let currency = &self.scenario.fep.currency;
        let is_owed = |held: &Held| held.state != PAID && held.currency == *currency;
        let owed = |name: &str| -> i64 {
            let receipts = self.stored_receipts(name).unwrap_or_default();
            receipts.iter().filter(|held| is_owed(held)).map(|held| held.payout.0).sum()
        };
        self.scenario.providers.iter().map(|provider| (provider.name.clone(), owed(&provider.name))).collect()
    }
}
