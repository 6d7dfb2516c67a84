//! A provider dies in the middle of an answer.

mod support;

use std::time::{Duration, Instant};

use labman_node::admin::Admin;
use labman_node::mesh::{Mesh, Plan};
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use support::{Process, SOON, chat, eventually};

/// How long a user may be left without a word.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn the_user_is_told_in_time_and_pays_for_what_came_and_the_provider_is_paid_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let mesh = Mesh::start(Plan::new(directory.path()).with_gateway("gateway", None)).await.unwrap();
    let toy = support::slow_toy(Span::from_millis(100)).await;
    let config = directory.path().join("provider.toml");
    support::write_config(&mesh, &toy, &config);
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

    // The gateway has said what it took. Back on its data directory, the provider says that it has forgotten.
    let mut provider = Process::start(env!("CARGO_BIN_EXE_labmand"), &config);
    provider.says("labmand is up: node");
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

    // It gets the receipt it never saw, and claims it.
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
