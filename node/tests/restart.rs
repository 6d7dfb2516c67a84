//! Every daemon is a process of its own, is killed as a power cut would, and takes up its data directory again.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use labman_node::admin::Admin;
use labman_node::audit;
use labman_node::daemon::Toy;
use labman_node::init;
use labman_node::mesh::{PortmanPlan, Runtime};
use labman_node::openai::Client;
use labman_proto_core::audit::Report;
use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::EXPOSURE;
use serde_json::{Value, json};
use support::{Process, complete, eventually};

/// Three processes, and what is known of them from their logs.
struct Hosts {
    fep: Process,
    gateway: Process,
    provider: Process,
    fep_id: String,
    gateway_id: String,
    provider_id: String,
    http: String,
}

/// Starts a daemon on what it left in `dir`. Its ports are whatever is free, so its config is written anew.
fn start(binary: &str, dir: &Path, toml: &str) -> Process {
    std::fs::create_dir_all(dir).unwrap();
    let config = dir.join("config.toml");
    let _ = std::fs::remove_file(&config);
    init::write_new(&config, toml).unwrap();
    Process::start(binary, &config)
}

impl Hosts {
    async fn start(dir: &Path, toy: &Toy) -> Self {
        let any = "127.0.0.1:0".to_string();
        let fep_config = init::Fep {
            network: "restart".to_string(),
            data_dir: "data".to_string(),
            listen: any.clone(),
            currency: "XTS".to_string(),
        };
        let mut fep = start(env!("CARGO_BIN_EXE_labman-fep"), &dir.join("fep"), &fep_config.toml());
        let fep_id = fep.says("labman-fep is up: fep ");
        let fep_url = fep.says("nodes call it at ");

        let gateway_config = init::Gateway {
            network: "restart".to_string(),
            data_dir: "data".to_string(),
            mesh_listen: any.clone(),
            address: None,
            http_listen: any.clone(),
            fep_id: fep_id.clone(),
            fep_url: fep_url.clone(),
        };
        let labmand = env!("CARGO_BIN_EXE_labmand");
        let mut gateway = start(labmand, &dir.join("gateway"), &gateway_config.toml());
        let gateway_id = gateway.says("labmand is up: node ");
        let gateway_addr = gateway.says("mesh on ");
        let http = gateway.says("OpenAI API on http://").trim_end_matches("/v1").to_string();

        let provider_config = init::Provider {
            network: "restart".to_string(),
            data_dir: "data".to_string(),
            gateway_id: gateway_id.clone(),
            gateway_addr,
            fep_id: fep_id.clone(),
            fep_url,
            tenant: "host".to_string(),
            ep: "toy".to_string(),
            token: init::fresh_token(),
            portman_listen: any,
            runtime_url: toy.url(),
            currency: "XTS".to_string(),
            payout_address: "test:host".to_string(),
        };
        let toml = provider_config.toml().replace("claim_every = \"30s\"", "claim_every = \"1s\"");
        let mut provider = start(labmand, &dir.join("provider"), &toml);
        let provider_id = provider.says("labmand is up: node ");
        Self { fep, gateway, provider, fep_id, gateway_id, provider_id, http }
    }

    fn client(&self, api_key: &str) -> Client {
        Client::new(self.http.parse().unwrap(), api_key)
    }

    fn kill(&mut self) {
        self.provider.kill();
        self.gateway.kill();
        self.fep.kill();
    }

    fn ids(&self) -> [&str; 3] {
        [&self.fep_id, &self.gateway_id, &self.provider_id]
    }
}

fn admin(dir: &Path, host: &str) -> Admin {
    Admin::at(&dir.join(host).join("data/admin.sock"))
}

async fn slug(client: &Client) -> String {
    eventually("the provider's model being listed", async || {
        Ok(client.models().await?.into_iter().find(|slug| slug.starts_with("host:")))
    })
    .await
}

/// The provider's receipts, once `count` of them are paid.
async fn paid_receipts(dir: &Path, count: usize) -> BTreeSet<String> {
    let provider = admin(dir, "provider");
    eventually("the receipts being paid", async || {
        let answer = provider.get("/receipts?limit=100").await?;
        let all = answer["receipts"].as_array().cloned().unwrap_or_default();
        let paid = all.iter().filter(|receipt| receipt["state"] == "paid");
        let ids: BTreeSet<String> = paid.map(|receipt| receipt["receipt_id"].to_string()).collect();
        Ok((ids.len() == count).then_some(ids))
    })
    .await
}

async fn users(dir: &Path) -> Value {
    admin(dir, "fep").get("/users").await.unwrap()["users"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_that_are_killed_and_started_again_have_lost_nothing() {
    let directory: tempfile::TempDir = tempfile::tempdir().unwrap();
    let dir: PathBuf = directory.path().to_path_buf();
    let Runtime::Toy(config) = PortmanPlan::toy("any").runtime else {
        unreachable!("a toy's plan has a toy")
    };
    let toy = Toy::start("toy", "127.0.0.1:0".parse().unwrap(), config).await.unwrap();

    let mut hosts = Hosts::start(&dir, &toy).await;
    let fep = admin(&dir, "fep");
    fep.post("/gateways", &json!({ "node_id": hosts.gateway_id, "name": "gateway" })).await.unwrap();
    let alice = fep.post("/users", &json!({ "name": "alice" })).await.unwrap()["user"].clone();
    fep.post("/deposits", &json!({ "user": alice, "amount": "1", "reference": "first" })).await.unwrap();
    let key =
        fep.post("/keys", &json!({ "user": alice })).await.unwrap()["api_key"].as_str().unwrap().to_string();

    let client = hosts.client(&key);
    complete(&client, &slug(&client).await, 12).await;
    complete(&client, &slug(&client).await, 12).await;
    let receipts = paid_receipts(&dir, 2).await;
    let (accounts, ids) = (users(&dir).await, hosts.ids().map(str::to_string));

    hosts.kill();
    let data = |host: &str| dir.join(host).join("data");
    for report in [
        audit::fep(&data("fep")),
        audit::provider(&data("provider"), &EXPOSURE.into()),
        audit::between(&data("provider"), &data("fep"), &[data("gateway")]),
    ] {
        assert!(report.as_ref().is_ok_and(Report::holds), "{report:#?}");
    }
    let hosts = Hosts::start(&dir, &toy).await;

    assert_eq!(hosts.ids().map(str::to_string), ids, "keys are kept");
    assert!(ids.iter().all(|id| id.parse::<NodeId>().is_ok()), "{ids:?}");
    assert_eq!(users(&dir).await, accounts, "balances are kept");
    assert_eq!(paid_receipts(&dir, 2).await, receipts, "receipts are kept, and none is paid twice");
    assert_eq!(admin(&dir, "fep").get("/ledger").await.unwrap()["balanced"], true);

    // The same API key buys more, on the same books.
    let client = hosts.client(&key);
    complete(&client, &slug(&client).await, 12).await;
    assert!(paid_receipts(&dir, 3).await.is_superset(&receipts));
    // A deposit that is repeated by its reference is one deposit.
    let before = users(&dir).await;
    let again = json!({ "user": alice, "amount": "1", "reference": "first" });
    admin(&dir, "fep").post("/deposits", &again).await.unwrap();
    assert_eq!(users(&dir).await, before);

    drop(hosts);
    toy.stop().await;
}
