//! What a run came to: who was served, what was paid, and whether everything held.
//!
//! Everything is named as in the scenario and sorted, so that two runs of one scenario can be compared whatever the order
//! in which things happened.

pub mod audits;
mod crowd;
pub mod definitions;
mod estimate;
pub mod income;
pub mod market;
pub mod mesh;
pub mod prices;
pub mod routing;
pub mod service;
pub mod ticks;
pub mod waits;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::time::Span;
use serde::Serialize;
use serde_json::{Value, json};

use crate::marks::Marks;
use crate::name::Name;
use crate::oracle::Oracle;
use crate::oracle::beside::Beside;
use crate::run::owed::Owed;
use crate::scenario::Expect;
use audits::AuditReport;
use market::MarketReport;
use mesh::MeshReport;
use prices::PriceReport;
use routing::RoutingReport;
use service::Work;

/// So many jobs that were not served are listed in the summary.
const TOLD: usize = 20;

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub scenario: String,
    pub seed: u64,
    pub trace_hash: String,
    /// Since the start of the workload: jobs that were asked for before are not measured.
    pub measure_from: Span,
    /// In the scenario's order; jobs that came at random after those of the list.
    pub outcomes: Vec<JobOutcome>,
    /// What each provider did of the measured jobs.
    pub providers: BTreeMap<String, Work>,
    /// That all providers have together.
    pub slots: i64,
    /// Of their time, in millionths, what runtimes worked. `None`: it was not measured.
    pub busy_ppm: Option<i64>,
    pub receipts: Vec<ReceiptFacts>,
    /// Every account of the FEP's ledger, in micro-units.
    pub balances: BTreeMap<String, i64>,
    pub currency: Option<Currency>,
    pub claims: Vec<ClaimFacts>,
    /// What providers were owed while the workload ran.
    pub owed: Owed,
    /// `None`: it was not read, for the run did not get so far.
    pub ledger_balanced: Option<bool>,
    /// All jobs had ended, and all money had come to rest, before the duration was over.
    pub settled: bool,
    /// How long the runtime of each provider that has one would think for its answers, one after the other.
    pub thoughts: BTreeMap<String, Vec<Span>>,
    /// What theory says, beside what came of it.
    pub oracles: Vec<Beside>,
    /// What the checkers found, and expectations that were not met. Empty: the run passed.
    pub failures: Vec<String>,
    /// Jobs among honest gateways and providers only, and those for models that dishonest providers serve, too.
    pub goodput: Served,
    pub beside_cheats: Served,
    pub virtual_time: Span,
    pub events: u64,
    /// How the mesh did, where that was watched.
    pub mesh: Option<MeshReport>,
    /// How what is hosted followed what was asked for, where anybody decided that.
    pub market: Option<MarketReport>,
    /// What was asked for it, where prices moved or the scenario wants to know.
    pub prices: Option<PriceReport>,
    /// Whom gateways asked, where the scenario wants to know.
    pub routing: Option<RoutingReport>,
    /// Whom users caught, where any of them check what they are answered.
    pub audits: Option<AuditReport>,
    /// Faults that bit, and what else happened.
    pub marks: Marks,
    /// Faults whose moment did not come before the run was over.
    pub faults_not_begun: Vec<String>,
    /// What the machines logged, where that was asked for.
    pub log: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JobOutcome {
    pub job: Name,
    pub user: Name,
    /// The run was over before it was asked for.
    pub unasked: bool,
    /// Since the start of the workload, in microseconds.
    pub asked_at_us: Option<u64>,
    /// Likewise; `None`: it was never answered.
    pub ended_at_us: Option<u64>,
    /// Who served it, as its gateway says.
    pub provider: Option<Name>,
    /// 0: there was no answer.
    pub http_status: u16,
    pub text: String,
    pub finish_reason: Option<Name>,
    pub error_code: Option<Name>,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    pub chunks: u64,
    /// From asking to the first text, in microseconds.
    pub ttft_us: Option<u64>,
    /// From asking to the end, in microseconds.
    pub took_us: u64,
    /// What its user would have paid for the answer, in micro-units. `None`: any price.
    pub worth: Option<i64>,
}

/// Of the jobs that came to an end, those that were served as they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Served {
    pub asked: u64,
    pub well: u64,
}

impl Served {
    pub fn count(&mut self, well: bool) {
        self.asked += 1;
        self.well += u64::from(well);
    }

    fn permille(self) -> i64 {
        let permille = (self.well * 1_000).checked_div(self.asked);
        permille.and_then(|permille| i64::try_from(permille).ok()).unwrap_or_default()
    }
}

/// A receipt's economic fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ReceiptFacts {
    pub provider: Name,
    pub gateway: Name,
    pub slug: Name,
    pub input_tokens: u32,
    pub cached_tokens: u32,
    pub output_tokens: u32,
    pub charge: Micros,
    pub payout: Micros,
    /// That the payout is in.
    pub currency: Currency,
    /// At the provider: `unclaimed`, `in_claim`, `paid`.
    pub state: Name,
    /// Since the start of the workload, by the FEP's clock, in microseconds.
    pub issued_at_us: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ClaimFacts {
    pub provider: String,
    pub state: String,
    pub receipts: u64,
    pub total: Micros,
    pub currency: Currency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Served to its natural end.
    Completed,
    /// Answered with an error before any text.
    Refused,
    /// No answer, or one that broke off.
    Failed,
    /// Nobody asked for it before the run was over.
    Unasked,
}

/// What `[[expect]]` may name. Money is in micro-units.
pub const FIGURES: &[&str] = &[
    "jobs.total",
    "jobs.completed",
    "jobs.refused",
    "jobs.failed",
    "jobs.goodput_permille",
    "jobs.beside_cheats_permille",
    "jobs.fairness_ppm",
    "jobs.served_ppm",
    "jobs.little_ppm",
    "jobs.waiting_most",
    "jobs.cleared_ms",
    "jobs.status_400",
    "jobs.status_401",
    "jobs.status_404",
    "jobs.status_429",
    "jobs.status_503",
    "tokens.input",
    "tokens.output",
    "receipts.total",
    "receipts.paid",
    "claims.total",
    "claims.paid",
    "money.charged",
    "money.charged_per_mtok",
    "money.earned",
    "money.fees_ppm",
    "money.claimed",
    "money.owed",
    "money.owed_mean",
    "money.owed_most",
    "slots.busy_ppm",
    "income.gini_ppm",
    "ttft.p50_ms",
    "ttft.p95_ms",
    "ttft.p99_us",
    "ttft.mean_us",
    "ttft.count",
    "sojourn.p99_us",
    "sojourn.mean_us",
    "sojourn.count",
    "settled",
    "events",
    "virtual_seconds",
];

/// All that a report can have: [`FIGURES`], then those of what is watched only in some scenarios.
pub fn figures() -> impl Iterator<Item = &'static str> {
    let of_some =
        [income::FIGURES, mesh::FIGURES, market::FIGURES, prices::FIGURES, routing::FIGURES, audits::FIGURES];
    FIGURES.iter().chain(of_some.into_iter().flatten()).copied()
}

impl JobOutcome {
    pub fn ending(&self) -> Ending {
        match self.http_status {
            _ if self.unasked => Ending::Unasked,
            200 if self.error_code.is_none() && self.finish_reason.is_some() => Ending::Completed,
            0 | 200 => Ending::Failed,
            _ => Ending::Refused,
        }
    }
}

impl Report {
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// The value of one of [`FIGURES`].
    pub fn figure(&self, name: &str) -> Option<i64> {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let ended = |ending| count(self.outcomes.iter().filter(|job| job.ending() == ending).count());
        let receipts = |of: fn(&ReceiptFacts) -> i64| self.receipts.iter().map(of).sum();
        let paid_claims = || self.claims.iter().filter(|claim| claim.state == "paid");
        let status = |status| count(self.outcomes.iter().filter(|job| job.http_status == status).count());
        Some(match name {
            "jobs.total" => count(self.outcomes.len()),
            "jobs.completed" => ended(Ending::Completed),
            "jobs.refused" => ended(Ending::Refused),
            "jobs.failed" => ended(Ending::Failed),
            "jobs.goodput_permille" => self.goodput.permille(),
            "jobs.beside_cheats_permille" => self.beside_cheats.permille(),
            "jobs.fairness_ppm" => self.fairness_ppm(),
            "jobs.served_ppm" => self.served_ppm(),
            "jobs.little_ppm" => self.little_ppm(),
            "jobs.waiting_most" => self.crowd().most,
            "jobs.cleared_ms" => i64::try_from(self.crowd().cleared_us / 1_000).unwrap_or(i64::MAX),
            "jobs.status_400" => status(400),
            "jobs.status_401" => status(401),
            "jobs.status_404" => status(404),
            "jobs.status_429" => status(429),
            "jobs.status_503" => status(503),
            "tokens.input" => receipts(|receipt| i64::from(receipt.input_tokens)),
            "tokens.output" => receipts(|receipt| i64::from(receipt.output_tokens)),
            "receipts.total" => count(self.receipts.len()),
            "receipts.paid" => count(self.receipts.iter().filter(|receipt| receipt.state == "paid").count()),
            "claims.total" => count(self.claims.len()),
            "claims.paid" => count(paid_claims().count()),
            "money.charged" => receipts(|receipt| receipt.charge.0),
            "money.charged_per_mtok" => self.charged_per_mtok(),
            "money.earned" => {
                let own = self.receipts.iter().filter(|receipt| self.is_own(&receipt.currency));
                own.map(|receipt| receipt.payout.0).sum()
            }
            "money.fees_ppm" => {
                let own = || self.receipts.iter().filter(|receipt| self.is_own(&receipt.currency));
                let earned: i64 = own().map(|receipt| receipt.payout.0).sum();
                let charged: i64 = own().map(|receipt| receipt.charge.0).sum();
                (charged - earned).saturating_mul(1_000_000).checked_div(earned).unwrap_or(0)
            }
            "money.claimed" => {
                paid_claims().filter(|claim| self.is_own(&claim.currency)).map(|claim| claim.total.0).sum()
            }
            "money.owed" => self.owed.last(),
            "money.owed_mean" => self.owed.mean(),
            "money.owed_most" => self.owed.most(),
            "slots.busy_ppm" => self.busy_ppm.unwrap_or(0),
            "income.gini_ppm" => self.income_gini_ppm(),
            "ttft.p50_ms" => self.ttft().percentile_us(50) / 1_000,
            "ttft.p95_ms" => self.ttft().percentile_us(95) / 1_000,
            "ttft.p99_us" => self.ttft().percentile_us(99),
            "ttft.mean_us" => self.ttft().mean_us(),
            "ttft.count" => self.ttft().count(),
            "sojourn.p99_us" => self.sojourn().percentile_us(99),
            "sojourn.mean_us" => self.sojourn().mean_us(),
            "sojourn.count" => self.sojourn().count(),
            "settled" => i64::from(self.settled),
            "events" => i64::try_from(self.events).unwrap_or(i64::MAX),
            "virtual_seconds" => i64::try_from(self.virtual_time.as_millis() / 1_000).unwrap_or(i64::MAX),
            _ => {
                let market = || self.market.as_ref().and_then(|market| market.figure(name));
                let prices = || self.prices.as_ref().and_then(|prices| prices.figure(name));
                let routing = || self.routing.as_ref().and_then(|routing| routing.figure(name));
                let mesh = self.mesh.as_ref().and_then(|mesh| mesh.figure(name));
                let audits = || self.audits.as_ref().and_then(|audits| audits.figure(name));
                let known = mesh.or_else(market).or_else(prices).or_else(routing).or_else(audits);
                return known.or_else(|| (name == income::SURPLUS).then(|| self.surplus()).flatten());
            }
        })
    }

    /// Notes the expectations that the figures do not meet.
    pub fn expect(&mut self, expects: &[Expect]) {
        for Expect { field, op, value } in expects {
            match self.figure(field) {
                Some(figure) if op.holds(figure, *value) => {}
                Some(figure) => {
                    let wanted = format!("{field} {} {value}", op.sign());
                    self.failures.push(format!("expected {wanted}, found {figure}"));
                }
                None => self.failures.push(format!("there is no figure {field:?}")),
            }
        }
    }

    /// Notes what theory says of the figures, and which are too far off.
    pub fn compare(&mut self, oracles: &[Oracle]) {
        for oracle in oracles {
            let Some(figure) = self.figure(&oracle.field) else { continue };
            self.set_beside(oracle.beside(figure, self.estimate(oracle)));
        }
    }

    pub fn set_beside(&mut self, beside: Beside) {
        self.failures.extend(beside.failure());
        self.oracles.push(beside);
    }

    /// One line for machines.
    pub fn to_json(&self) -> Value {
        let figure = |name: &str| self.figure(name).unwrap_or_default();
        json!({
            "scenario": self.scenario,
            "seed": self.seed,
            "trace_hash": self.trace_hash,
            "jobs": {
                "total": figure("jobs.total"),
                "completed": figure("jobs.completed"),
                "refused": figure("jobs.refused"),
                "failed": figure("jobs.failed"),
                "unasked": self.unasked(),
                "fairness": self.fairness(),
            },
            "providers": self.work(),
            "outcomes": self.outcomes,
            "receipts": self.receipts,
            "claims": self.claims,
            "balances": self.balances,
            "ledger_balanced": self.ledger_balanced,
            "settled": self.settled,
            "failures": self.failures,
            "ttft_ms": self.ttft().to_json(),
            "sojourn_ms": self.sojourn().to_json(),
            "virtual_seconds": self.virtual_time.as_millis() as f64 / 1e3,
            "events": self.events,
            "mesh": self.mesh,
            "market": self.market,
            "prices": self.prices,
            "routing": self.routing,
            "audits": self.audits,
            "oracles": self.oracles,
            "faults": self.marks.faults,
            "faults_not_begun": self.faults_not_begun,
            "sometimes": self.marks.sometimes,
        })
    }

    fn unasked(&self) -> i64 {
        let unasked = self.outcomes.iter().filter(|job| job.ending() == Ending::Unasked).count();
        i64::try_from(unasked).unwrap_or(i64::MAX)
    }

    /// Amounts in other currencies can't be summed with the FEP's own.
    fn is_own(&self, currency: &Currency) -> bool {
        self.currency.as_ref().is_none_or(|own| own == currency)
    }

    fn summary(&self, out: &mut String) -> fmt::Result {
        let figure = |name: &str| self.figure(name).unwrap_or_default();
        let money = |name: &str| Micros(figure(name));
        let currency = self.currency.as_ref().map_or("", Currency::as_str);
        writeln!(
            out,
            "{}, seed {}: {}",
            self.scenario,
            self.seed,
            if self.passed() { "passed" } else { "FAILED" }
        )?;
        if let Some(why) = self.failures.first().filter(|_| self.ledger_balanced.is_none()) {
            writeln!(out, "  FAILURE: {why}")?;
        }
        writeln!(out)?;
        let unasked = match self.unasked() {
            0 => String::new(),
            unasked => format!("; {unasked} never asked for"),
        };
        writeln!(
            out,
            "  jobs      {} asked: {} completed, {} refused, {} failed{unasked}",
            figure("jobs.total") - self.unasked(),
            figure("jobs.completed"),
            figure("jobs.refused"),
            figure("jobs.failed")
        )?;
        if self.beside_cheats.asked > 0 {
            let Served { asked, well } = self.goodput;
            writeln!(
                out,
                "  goodput   {well} of {asked} jobs among the honest; {} of {} for what the dishonest serve, too",
                self.beside_cheats.well, self.beside_cheats.asked
            )?;
        }
        writeln!(out, "  tokens    {} in, {} out", figure("tokens.input"), figure("tokens.output"))?;
        writeln!(
            out,
            "  receipts  {}: users were charged {} {currency}, providers earned {}",
            figure("receipts.total"),
            money("money.charged"),
            money("money.earned")
        )?;
        writeln!(
            out,
            "  claims    {} of {} paid, together {} {currency}",
            figure("claims.paid"),
            figure("claims.total"),
            money("money.claimed")
        )?;
        writeln!(
            out,
            "  work      for {:.1} % of the slots' time; a million tokens cost {} {currency}; Gini of incomes {:.3}",
            figure("slots.busy_ppm") as f64 / 1e4,
            money("money.charged_per_mtok"),
            figure("income.gini_ppm") as f64 / 1e6
        )?;
        let balanced = match self.ledger_balanced {
            Some(true) => "balanced",
            Some(false) => "NOT BALANCED",
            None => "not read",
        };
        let settled = if self.settled { "everything settled" } else { "not everything settled" };
        writeln!(out, "  ledger    {balanced}, {settled}")?;
        writeln!(
            out,
            "  TTFT      p50 {} ms, p95 {} ms, p99 {} ms; to the end: mean {} ms, p99 {} ms",
            figure("ttft.p50_ms"),
            figure("ttft.p95_ms"),
            figure("ttft.p99_us") / 1_000,
            figure("sojourn.mean_us") / 1_000,
            figure("sojourn.p99_us") / 1_000
        )?;
        writeln!(
            out,
            "  run       {} events in {}.{:03} s of virtual time, trace {}",
            self.events,
            self.virtual_time.as_millis() / 1_000,
            self.virtual_time.as_millis() % 1_000,
            self.trace_hash
        )?;
        if let Some(mesh) = &self.mesh {
            mesh.summary(out)?;
        }
        if let Some(market) = &self.market {
            market.summary(out)?;
        }
        if let Some(prices) = &self.prices {
            prices.summary(out)?;
        }
        if let Some(routing) = &self.routing {
            routing.summary(out)?;
        }
        if let Some(audits) = &self.audits {
            audits.summary(out)?;
        }
        for oracle in &self.oracles {
            oracle.summary(out)?;
        }
        for (title, counts) in [("faults bit", &self.marks.faults), ("sometimes", &self.marks.sometimes)] {
            let counts: Vec<String> = counts.iter().map(|(what, times)| format!("{what} {times}")).collect();
            if !counts.is_empty() {
                writeln!(out, "  {title:<10}{}", counts.join(", "))?;
            }
        }
        for fault in &self.faults_not_begun {
            writeln!(out, "  fault {fault} never began: the run was over")?;
        }
        let told = |job: &&JobOutcome| !matches!(job.ending(), Ending::Completed | Ending::Unasked);
        for job in self.outcomes.iter().filter(told).take(TOLD) {
            let code = job.error_code.as_deref().unwrap_or("no code");
            writeln!(out, "  job {} of {}: HTTP {} {code}", job.job, job.user, job.http_status)?;
        }
        let untold = self.outcomes.iter().filter(told).count().saturating_sub(TOLD);
        if untold > 0 {
            writeln!(out, "  and {untold} more jobs: --json has all")?;
        }
        for failure in self.failures.iter().skip(usize::from(self.ledger_balanced.is_none())) {
            writeln!(out, "  FAILURE: {failure}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    /// One page for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut page = String::new();
        self.summary(&mut page)?;
        f.write_str(&page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Comparison;

    fn served(ttft_us: u64) -> JobOutcome {
        let finish_reason = Some("stop".into());
        let (asked_at_us, ttft_us) = (Some(0), Some(ttft_us));
        JobOutcome { http_status: 200, finish_reason, asked_at_us, ttft_us, ..JobOutcome::default() }
    }

    #[test]
    fn every_figure_that_may_be_expected_has_a_value() {
        let report = Report::default();
        assert!(FIGURES.iter().all(|name| report.figure(name).is_some()));
        assert_eq!(report.figure("jobs"), None);
    }

    #[test]
    fn an_expectation_that_is_not_met_fails_the_run() {
        let mut report =
            Report { outcomes: (1..=20).map(|n| served(n * 1_000)).collect(), ..Report::default() };
        let expect = |field: &str, op, value| Expect { field: field.into(), op, value };
        report.expect(&[
            expect("jobs.completed", Comparison::Equal, 20),
            expect("ttft.p50_ms", Comparison::Equal, 10),
            expect("ttft.p95_ms", Comparison::Equal, 19),
        ]);
        assert_eq!(report.failures, Vec::<String>::new());
        report.expect(&[expect("jobs.failed", Comparison::AtLeast, 1)]);
        assert_eq!(report.failures, ["expected jobs.failed >= 1, found 0"]);
    }

    #[test]
    fn a_stream_that_broke_off_is_not_completed() {
        assert_eq!(served(1).ending(), Ending::Completed);
        assert_eq!(JobOutcome { finish_reason: None, ..served(1) }.ending(), Ending::Failed);
        assert_eq!(
            JobOutcome { error_code: Some("no_provider".into()), ..served(1) }.ending(),
            Ending::Failed
        );
        assert_eq!(JobOutcome { http_status: 401, ..JobOutcome::default() }.ending(), Ending::Refused);
    }
    #[test]
    fn what_was_never_read_asked_or_begun_is_said_to_be_so() {
        let unasked = JobOutcome { unasked: true, ..JobOutcome::default() };
        let report = Report {
            outcomes: vec![served(1), unasked],
            failures: vec!["could not be set up: x".into(), "y".into()],
            faults_not_begun: vec!["crash of harbour at 5m".into()],
            ..Report::default()
        };
        let page = report.to_string();
        let jobs = "1 asked: 1 completed, 0 refused, 0 failed; 1 never asked for";
        let fault = "crash of harbour at 5m never began";
        let order = ["could not be set up", jobs, "not read", fault, "FAILURE: y"];
        let places: Vec<usize> = order.iter().map(|part| page.find(part).expect(part)).collect();
        assert!(places.is_sorted() && page.matches("set up").count() == 1, "{page}");
        assert_eq!(report.to_json()["ledger_balanced"], Value::Null);
    }
}
