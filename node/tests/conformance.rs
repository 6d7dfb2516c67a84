//! Each scenario of `scenarios/conformance` runs on both drivers: on real sockets over the loopback, and in the simulator.
//! What must be equal does not depend on timing: who was served what, every receipt's economic fields, every balance.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use labman_node::mesh::{Mesh, Plan, PortmanPlan, ProviderPlan, Runtime, User};
use labman_node::openai::Client;
use labman_proto_core::money::Micros;
use labman_proto_core::rng::Seed;
use labman_proto_core::toy;
use labman_sim::report::{JobOutcome, ReceiptFacts, Report};
use labman_sim::scenario::{self, Scenario};
use labman_sim::workload::{self, Planned};
use serde_json::Value;
use support::{SOON, eventually};

/// What both drivers must agree on.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    outcomes: Vec<JobOutcome>,
    receipts: Vec<ReceiptFacts>,
    balances: BTreeMap<String, i64>,
    /// By provider: claims may be cut differently in time, but they pay the same.
    claimed: BTreeMap<String, i64>,
}

fn scenarios() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/conformance");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut scenarios: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    scenarios.sort();
    scenarios
}

#[tokio::test(flavor = "multi_thread")]
async fn both_drivers_agree_on_every_conformance_scenario() {
    let scenarios = scenarios();
    assert!(!scenarios.is_empty());
    for path in scenarios {
        let scenario = scenario::load(&path).unwrap();
        assert!(
            scenario.one_by_one && scenario.arrivals.is_empty() && scenario.faults.is_empty(),
            "{path:?}"
        );
        let report = labman_sim::run(&scenario, 7);
        assert!(report.passed(), "{path:?}: {:?}", report.failures);
        let real = Real::start(&scenario).await.run(&scenario).await;
        assert_eq!(real, simulated(report), "{path:?}: the loopback (left) and the simulator (right) differ");
    }
}

fn simulated(report: Report) -> Facts {
    let mut claimed = BTreeMap::new();
    for claim in &report.claims {
        assert_eq!(claim.state, "paid");
        *claimed.entry(claim.provider.clone()).or_default() += claim.total.0;
    }
    let outcomes = report.outcomes.into_iter().map(timeless).collect();
    let timeless_receipt = |receipt| ReceiptFacts { issued_at_us: 0, ..receipt };
    let mut receipts: Vec<ReceiptFacts> = report.receipts.into_iter().map(timeless_receipt).collect();
    receipts.sort();
    Facts { outcomes, receipts, balances: report.balances, claimed }
}

/// How bytes were cut into chunks, and when that was and how long it took, is the driver's business. Receipts say who served.
fn timeless(outcome: JobOutcome) -> JobOutcome {
    JobOutcome {
        chunks: 0,
        asked_at_us: None,
        ended_at_us: None,
        provider: None,
        ttft_us: None,
        took_us: 0,
        ..outcome
    }
}

/// A scenario's parties on the loopback.
struct Real {
    mesh: Mesh,
    users: BTreeMap<String, User>,
    _directory: tempfile::TempDir,
}

impl Real {
    async fn start(scenario: &Scenario) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let plan = Plan {
            network: scenario.network.clone(),
            currency: scenario.fep.currency.clone(),
            fees: scenario.fep.fees,
            bond: scenario.fep.bond,
            ..Plan::new(directory.path())
        };
        let plan =
            scenario.gateways.iter().fold(plan, |plan, gateway| plan.with_gateway(&gateway.name, None));
        let plan =
            scenario.providers.iter().fold(plan, |plan, provider| plan.with_provider(planned(provider)));
        let mesh = Mesh::start(plan).await.unwrap();
        let mut users = BTreeMap::new();
        for user in &scenario.users {
            let deposit =
                if user.deposit == Micros::ZERO { "0".to_string() } else { user.deposit.to_string() };
            users.insert(user.name.clone(), mesh.user(&user.name, &deposit).await.unwrap());
        }
        let (_, anybody) = users.first_key_value().expect("a scenario has a user");
        for gateway in 0..mesh.gateways.len() {
            mesh.providers_listed(&mesh.client(gateway, &anybody.api_key), SOON).await.unwrap();
        }
        Self { mesh, users, _directory: directory }
    }

    async fn run(self, scenario: &Scenario) -> Facts {
        let mut outcomes = Vec::new();
        for job in workload::plan(scenario, Seed::from_u64(0), |_| Vec::new()) {
            outcomes.push(self.ask(&job).await);
        }
        let served = outcomes.iter().filter(|outcome| outcome.http_status == 200).count();
        let receipts = eventually("every receipt being paid", async || {
            let receipts = self.receipts().await;
            let paid = receipts.iter().filter(|receipt| receipt.state == "paid").count();
            Ok((paid == served).then_some(receipts))
        })
        .await;
        let ledger = self.mesh.fep_admin().get("/ledger").await.unwrap();
        assert_eq!(ledger["balanced"], true);
        let facts =
            Facts { outcomes, receipts, balances: self.balances(&ledger), claimed: self.claimed().await };
        self.mesh.stop().await;
        facts
    }

    /// One job of the scenario, asked for over HTTP.
    async fn ask(&self, job: &Planned) -> JobOutcome {
        let gateway = self.mesh.gateways.iter().position(|gateway| job.gateway == *gateway.name);
        let own = &self.users[&*job.user].api_key;
        let client = self.mesh.client(gateway.unwrap(), job.api_key.as_deref().unwrap_or(own));
        let asked = JobOutcome { job: job.name.clone(), user: job.user.clone(), ..JobOutcome::default() };
        if job.streaming { streamed(&client, job, asked).await } else { whole(&client, job, asked).await }
    }

    async fn receipts(&self) -> Vec<ReceiptFacts> {
        let mut facts = Vec::new();
        for provider in &self.mesh.providers {
            let answer = provider.admin().get("/receipts?limit=1000").await.unwrap();
            for receipt in answer["receipts"].as_array().unwrap() {
                let count = |name: &str| u32::try_from(receipt["counts"][name].as_u64().unwrap()).unwrap();
                facts.push(ReceiptFacts {
                    provider: provider.name.as_str().into(),
                    gateway: self.node_name(receipt["gateway_node_id"].as_str().unwrap()).into(),
                    slug: text(&receipt["slug"]).into(),
                    input_tokens: count("input"),
                    cached_tokens: count("cached"),
                    output_tokens: count("output"),
                    charge: Micros(receipt["charge"].as_i64().unwrap()),
                    payout: Micros(receipt["payout"].as_i64().unwrap()),
                    currency: text(&receipt["currency"]).parse().unwrap(),
                    state: text(&receipt["state"]).into(),
                    issued_at_us: 0,
                });
            }
        }
        facts.sort();
        facts
    }

    async fn claimed(&self) -> BTreeMap<String, i64> {
        let mut claimed = BTreeMap::new();
        for provider in &self.mesh.providers {
            for claim in provider.claims().await.unwrap() {
                assert_eq!(claim["state"], "paid");
                *claimed.entry(provider.name.clone()).or_default() += claim["total"].as_i64().unwrap();
            }
        }
        claimed
    }

    /// Accounts, with their owners as the scenario calls them.
    fn balances(&self, ledger: &Value) -> BTreeMap<String, i64> {
        let accounts = ledger["accounts"].as_array().unwrap().iter();
        accounts
            .map(|account| {
                let name = account["account"].as_str().unwrap();
                let named = match name.split_once(':') {
                    Some((kind @ ("user" | "held"), id)) => {
                        let user = self.users.values().find(|user| user.id == id).unwrap();
                        format!("{kind}:{}", user.name)
                    }
                    Some((kind @ ("provider" | "gateway" | "bond"), id)) => {
                        format!("{kind}:{}", self.node_name(id))
                    }
                    _ => name.to_string(),
                };
                (named, text(&account["balance"]).parse::<Micros>().unwrap().0)
            })
            .collect()
    }

    fn node_name(&self, id: &str) -> String {
        let provider = self.mesh.providers.iter().find(|provider| provider.node.node_id.to_string() == id);
        let gateway = || self.mesh.gateways.iter().find(|gateway| gateway.node_id.to_string() == id).unwrap();
        provider.map_or_else(|| gateway().name.clone(), |provider| provider.name.clone())
    }
}

fn planned(provider: &scenario::Provider) -> ProviderPlan {
    let portmans = provider.portmans.iter().map(|portman| PortmanPlan {
        runtime: Runtime::Toy(toy::config::Config {
            models: vec![portman.model.clone()],
            context_length: portman.context_length,
            token_every: portman.token_every,
            prompt_token_every: portman.prompt_token_every,
            thinks: portman.thinks,
            ..toy::config::Config::default()
        }),
        slots: portman.slots,
        context_length: portman.context_length,
        price: portman.price,
        least_payout: portman.least_payout,
        ..PortmanPlan::toy(&portman.ep)
    });
    ProviderPlan {
        name: provider.name.clone(),
        tenant: provider.tenant.clone(),
        claim_every: provider.claim_every,
        portmans: portmans.collect(),
    }
}

async fn streamed(client: &Client, job: &Planned, asked: JobOutcome) -> JobOutcome {
    match client.stream_chat(job.body().into_owned(), |_| {}).await {
        Ok(completion) => {
            assert!(completion.done, "{}: a stream without an end", job.name);
            JobOutcome {
                http_status: 200,
                text: completion.text,
                finish_reason: completion.finish_reason.map(Into::into),
                prompt_tokens: completion.usage.as_ref().and_then(|usage| usage["prompt_tokens"].as_u64()),
                completion_tokens: completion
                    .usage
                    .as_ref()
                    .and_then(|usage| usage["completion_tokens"].as_u64()),
                ..asked
            }
        }
        Err(labman_node::openai::ClientError::Refused { status, body }) => refused(status, &body, asked),
        Err(other) => panic!("{}: {other}", job.name),
    }
}

async fn whole(client: &Client, job: &Planned, asked: JobOutcome) -> JobOutcome {
    let answer = client.post_json("/v1/chat/completions", &job.body()).await.unwrap();
    if answer.status != 200 {
        return refused(answer.status, &answer.body, asked);
    }
    let completion = answer.json();
    let choice = &completion["choices"][0];
    JobOutcome {
        http_status: 200,
        text: text(&choice["message"]["content"]),
        finish_reason: choice["finish_reason"].as_str().map(Into::into),
        prompt_tokens: completion["usage"]["prompt_tokens"].as_u64(),
        completion_tokens: completion["usage"]["completion_tokens"].as_u64(),
        ..asked
    }
}

fn refused(status: u16, body: &[u8], asked: JobOutcome) -> JobOutcome {
    let error = serde_json::from_slice::<Value>(body).unwrap()["error"].clone();
    let code = error["code"].as_str().or(error["type"].as_str()).map(Into::into);
    JobOutcome { http_status: status, error_code: code, ..asked }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}
