//! What providers are owed while the workload runs: receipts that were not paid yet. What somebody loses whose FEP is gone for good
//! is what it is owed then; in the mean over all moments, what it is owed in the mean.

use labman_proto_core::store::Table;

use super::Run;
use super::receipts::Kept;

const OPEN: Table = Table::history("receipts_open");

/// In micro-units of the FEP's currency.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owed {
    looks: u64,
    sum: i128,
    /// To one provider, at any look.
    most: i64,
    /// To all together, at the last look.
    last: i64,
}

impl Owed {
    pub fn mean(&self) -> i64 {
        let mean = self.sum.checked_div(i128::from(self.looks)).unwrap_or_default();
        i64::try_from(mean).unwrap_or(i64::MAX)
    }

    pub fn most(&self) -> i64 {
        self.most
    }

    pub fn last(&self) -> i64 {
        self.last
    }
}

impl Run<'_> {
    /// Read from providers' stores: asking them would take time.
    pub(super) fn look_at_owed(&mut self) {
        if self.world.now() < self.started + self.scenario.measure_from {
            return;
        }
        let each: Vec<i64> =
            self.scenario.providers.iter().map(|provider| self.owed_to(&provider.name)).collect();
        let owed = &mut self.owed;
        owed.last = each.iter().sum();
        owed.looks += 1;
        owed.sum += i128::from(owed.last);
        owed.most = each.into_iter().fold(owed.most, i64::max);
    }

    fn owed_to(&self, name: &str) -> i64 {
        let Some(host) = self.hosts.get(name) else { return 0 };
        let rows = self.world.disk(*host).rows(OPEN);
        let receipts = rows.filter_map(|(_, row)| serde_json::from_slice::<Kept>(&row).ok());
        receipts.filter_map(|kept| kept.owes(&self.scenario.fep.currency)).map(|amount| amount.0).sum()
    }
}
