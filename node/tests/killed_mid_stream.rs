//! A provider dies in the middle of an answer.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use labman_node::admin::Admin;
use labman_node::daemon::Toy;
use labman_node::init;
use labman_node::mesh::{Mesh, Plan, PortmanPlan, Runtime};
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::toy;
use support::{Process, SOON, chat, eventually};

/// How long a user may be left without a word.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// The config of a provider for a mesh of this process, with its Portman embedded.
fn write_config(mesh: &Mesh, toy: &Toy, path: &Path) {
    let gateway = &mesh.gateways[0];
    let config = init::Provider {
        network: "loopback".to_string(),
        data_dir: "data".to_string(),
        gateway_id: gateway.node_id.to_string(),
        gateway_addr: gateway.mesh_addr.unwrap().to_string(),
        fep_id: mesh.fep_id().to_string(),
        fep_url: format!("http://{}", mesh.fep.http_addr.unwrap()),
        tenant: "mortal".to_string(),
        ep: "toy".to_string(),
        token: init::fresh_token(),
        portman_listen: "127.0.0.1:0".to_string(),
        runtime_url: toy.url(),
        currency: "XTS".to_string(),
        payout_address: "test:mortal".to_string(),
    };
    let toml = config.toml().replace("claim_every = \"30s\"", "claim_every = \"1s\"");
    init::write_new(path, &toml).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_is_told_in_time_and_pays_for_what_came_and_the_provider_is_paid_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let mesh = Mesh::start(Plan::new(directory.path()).with_gateway("gateway", None)).await.unwrap();
    let Runtime::Toy(quick) = PortmanPlan::toy("any").runtime else { unreachable!("a toy's plan has a toy") };
    let slow = toy::config::Config { token_every: Span::from_millis(100), ..quick };
    let toy = Toy::start("toy", "127.0.0.1:0".parse().unwrap(), slow).await.unwrap();
    let config = directory.path().join("provider.toml");
    write_config(&mesh, &toy, &config);
    let mut provider = Process::start(env!("CARGO_BIN_EXE_labmand"), &config);

    let user = mesh.user("alice", "1.00").await.unwrap();
    let client = mesh.client(0, &user.api_key);
    let slug = eventually("the provider's model being listed", async || {
        Ok(client.models().await?.into_iter().find(|slug| slug.starts_with("mortal:")))
    })
    .await;

    let (mut pieces, mut killed_at) = (0, None);
    let completion = client
        .stream_chat(chat(&slug, 400), |_| {
            pieces += 1;
            if pieces == 6 {
                provider.kill();
                killed_at = Some(Instant::now());
            }
        })
        .await
        .unwrap();
    let waited = killed_at.expect("the stream got far enough to be cut").elapsed();
    assert!(completion.error.is_some(), "a cut stream ends with an error event: {completion:?}");
    assert!(
        !completion.done && completion.finish_reason.is_none(),
        "and not as if it were whole: {completion:?}"
    );
    assert!(waited < TOLD_WITHIN, "told after {waited:?}");

    // The FEP settles what was delivered, and not a token more.
    let receipt = eventually("the FEP's receipt", async || {
        let answer = mesh.fep_admin().get("/receipts?limit=10").await?;
        Ok(answer["receipts"].as_array().and_then(|receipts| receipts.first()).cloned())
    })
    .await;
    let paid_for = receipt["settled"]["output"].as_u64().unwrap_or_else(|| panic!("no counts: {receipt}"));
    assert!((1..=completion.chunks as u64).contains(&paid_for), "{paid_for} of {}", completion.chunks);

    // The charge is all the user lost: the rest of the hold is theirs again.
    let charge = receipt["charge"].as_i64().unwrap();
    assert_eq!(support::balance(&mesh, "alice").await, Micros(1_000_000 - charge));
    assert_eq!(mesh.fep_admin().get("/ledger").await.unwrap()["balanced"], true);

    // Back on its data directory, the provider gets the receipt it never saw, and claims it.
    let mut provider = Process::start(env!("CARGO_BIN_EXE_labmand"), &config);
    provider.says("labmand is up: node");
    let admin = Admin::at(&directory.path().join("data/admin.sock"));
    let own = eventually("the receipt being paid", async || {
        let answer = admin.get("/receipts?limit=10").await?;
        Ok(answer["receipts"].as_array().and_then(|all| all.iter().find(|r| r["state"] == "paid")).cloned())
    })
    .await;
    assert_eq!(own["receipt_id"], receipt["receipt_id"]);
    assert_eq!(own["payout"], receipt["payout"]);

    drop(provider);
    toy.stop().await;
    tokio::time::timeout(SOON, mesh.stop()).await.expect("the mesh stops in order");
}
