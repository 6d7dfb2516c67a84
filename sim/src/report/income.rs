//! Who earned what, and how unevenly.

use std::collections::BTreeMap;

use super::{Ending, ReceiptFacts, Report};

pub const SURPLUS: &str = "money.surplus";

/// What `[[expect]]` may name, and has no value in each scenario.
pub const FIGURES: &[&str] = &[SURPLUS];

/// What a provider did and earned in the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earned {
    /// Jobs that it completed.
    pub jobs: i64,
    /// What its receipts pay it, in micro-units of the FEP's currency.
    pub earned: i64,
}

impl Report {
    /// Each of the scenario's providers, those that did nothing among them.
    #[must_use]
    pub fn incomes(&self) -> BTreeMap<&str, Earned> {
        let mut incomes: BTreeMap<&str, Earned> =
            self.providers.keys().map(|name| (name.as_str(), Earned::default())).collect();
        for job in self.outcomes.iter().filter(|job| job.ending() == Ending::Completed) {
            if let Some(income) = job.provider.as_deref().and_then(|name| incomes.get_mut(name)) {
                income.jobs += 1;
            }
        }
        for receipt in self.receipts.iter().filter(|receipt| self.is_own(&receipt.currency)) {
            if let Some(income) = incomes.get_mut(&*receipt.provider) {
                income.earned = income.earned.saturating_add(receipt.payout.0);
            }
        }
        incomes
    }

    /// What users were charged for a million tokens, prompts and answers together, in micro-units, rounded down; 0 of none.
    pub(super) fn charged_per_mtok(&self) -> i64 {
        let tokens =
            |receipt: &ReceiptFacts| i128::from(receipt.input_tokens) + i128::from(receipt.output_tokens);
        let tokens: i128 = self.receipts.iter().map(tokens).sum();
        let charged: i128 = self.receipts.iter().map(|receipt| i128::from(receipt.charge.0)).sum();
        let each = (charged * 1_000_000).checked_div(tokens).unwrap_or(0);
        i64::try_from(each).unwrap_or(i64::MAX)
    }

    /// What users would have paid for their answers beyond what they were charged, in micro-units. `None`: some would pay any price.
    pub(super) fn surplus(&self) -> Option<i64> {
        let completed = || self.outcomes.iter().filter(|job| job.ending() == Ending::Completed);
        let worth: i64 = completed().map(|job| job.worth).sum::<Option<i64>>()?;
        let charged: i64 = self.receipts.iter().map(|receipt| receipt.charge.0).sum();
        completed().next().map(|_| worth - charged)
    }

    /// Of what honest providers earned, in millionths, rounded down.
    pub(super) fn income_gini_ppm(&self) -> i64 {
        let incomes = self.incomes();
        let honest =
            incomes.iter().filter(|(name, _)| self.providers.get(**name).is_some_and(|of| of.honest));
        gini_ppm(honest.map(|(_, income)| income.earned).collect())
    }
}

/// Gini's coefficient: half the mean difference of any two, over the mean; 0 where all have the same, and 1 - 1/n where one has all.
/// By ranks: sum of (2 i - n - 1) x_i over n sum x, the x in order. What is below zero counts as nothing.
fn gini_ppm(mut all: Vec<i64>) -> i64 {
    all.sort_unstable();
    let many = all.len() as i128;
    let (mut weighted, mut total) = (0_i128, 0_i128);
    for (rank, value) in (1..).zip(all.iter().map(|value| i128::from((*value).max(0)))) {
        weighted += (2 * rank - many - 1) * value;
        total += value;
    }
    let ppm = (weighted * 1_000_000).checked_div(many * total).unwrap_or(0);
    i64::try_from(ppm).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::JobOutcome;
    use crate::report::service::Work;
    use labman_proto_core::money::Micros;

    /// The definition, in floats: `abs(x_i - x_j)` over all pairs, by twice n squared times the mean.
    fn by_the_book(all: &[i64]) -> f64 {
        let all: Vec<f64> = all.iter().map(|value| *value as f64).collect();
        let differences: f64 = all.iter().flat_map(|a| all.iter().map(move |b| (a - b).abs())).sum();
        let many = all.len() as f64;
        differences / (2.0 * many * all.iter().sum::<f64>())
    }

    #[test]
    fn income_s_gini_is_that_of_the_textbook() {
        // By NumPy 2.4.6: np.abs(x[:, None] - x[None, :]).mean() / (2 * x.mean()) is .7595648624568772.
        let uneven = vec![0, 0, 120_000, 3_400_000, 5, 999_999, 12_345_678];
        assert_eq!(gini_ppm(uneven.clone()), 759_564);
        for all in [uneven, vec![3, 5], vec![1, 2, 3, 4], vec![0, 0, 0, 8], vec![7, 7, 7]] {
            assert_eq!(gini_ppm(all.clone()), (by_the_book(&all) * 1e6) as i64, "{all:?}");
        }
        assert_eq!((gini_ppm(vec![]), gini_ppm(vec![0, 0])), (0, 0));
        assert_eq!(gini_ppm(vec![i64::MAX; 3]), 0);
    }

    #[test]
    fn an_income_is_what_receipts_pay_and_cheats_are_left_out_of_the_figure() {
        let work = |honest| Work { honest, kind: 0, jobs: 0 };
        let receipt = |provider: &str, payout, currency: &str| ReceiptFacts {
            provider: provider.into(),
            gateway: "g".into(),
            slug: "s".into(),
            input_tokens: 30,
            cached_tokens: 0,
            output_tokens: 3,
            charge: Micros(99),
            payout: Micros(payout),
            currency: currency.parse().unwrap(),
            state: "paid".into(),
            issued_at_us: 0,
        };
        let job = JobOutcome {
            provider: Some("a".into()),
            http_status: 200,
            finish_reason: Some("stop".into()),
            ..JobOutcome::default()
        };
        let broken = JobOutcome { finish_reason: None, ..job.clone() };
        let report = Report {
            currency: Some("XTS".parse().unwrap()),
            providers: [("a", true), ("b", true), ("cheat", false)]
                .map(|(name, honest)| (name.to_owned(), work(honest)))
                .into(),
            outcomes: vec![job, broken],
            receipts: vec![
                receipt("a", 3, "XTS"),
                receipt("a", 5, "EUR"),
                receipt("b", 1, "XTS"),
                receipt("cheat", 1_000, "XTS"),
            ],
            ..Report::default()
        };
        let incomes = report.incomes();
        assert_eq!(incomes["a"], Earned { jobs: 1, earned: 3 });
        assert_eq!(incomes["cheat"], Earned { jobs: 0, earned: 1_000 });
        assert_eq!(report.figure("income.gini_ppm"), Some(250_000));
        assert_eq!(report.figure("money.charged_per_mtok"), Some(3_000_000), "each 99 for 33 tokens");
        assert_eq!(Report::default().figure("money.charged_per_mtok"), Some(0));
        assert_eq!(report.figure("money.surplus"), None, "it would pay any price");
        let worth = |job: &JobOutcome| JobOutcome { worth: Some(1_000), ..job.clone() };
        let valued = Report { outcomes: report.outcomes.iter().map(worth).collect(), ..report };
        assert_eq!(
            valued.figure("money.surplus"),
            Some(1_000 - 4 * 99),
            "nothing is got of an answer that broke off"
        );
        assert_eq!(Report::default().figure("money.surplus"), None);
    }
}
