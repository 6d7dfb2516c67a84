//! A whole mesh under one roof whose power goes: FEP, gateway and provider lose at once what each had not synced, and their
//! books must hold all the same, each alone and all together.

use std::path::Path;
use std::time::Duration;

use labman_node::admin::Admin;
use labman_node::audit;
use labman_node::mesh::{Mesh, Plan, ProviderPlan, Seen, until};
use labman_power::{Event, Platters, Recording, Survives, What};
use labman_proto_core::limits::EXPOSURE;
use labman_proto_core::rng::Seed;

const SOON: Duration = Duration::from_secs(60);
const JOBS: usize = 4;

/// Works until some jobs are served, receipted, claimed and paid: the stores as they were before, and all that changed them.
async fn work(dir: &Path) -> (Platters, Vec<Event>) {
    let plan = Plan::new(dir).with_gateway("gateway", None).with_provider(ProviderPlan::toy("provider"));
    let mesh = Mesh::start(plan).await.unwrap();
    let user = mesh.user("alice", "1.00").await.unwrap();
    let client = mesh.client(0, &user.api_key);
    let slug = mesh.providers_listed(&client, SOON).await.unwrap().remove(0);
    let recording = Recording::begin(dir).unwrap();
    for number in 0..JOBS {
        let messages = [serde_json::json!({ "role": "user", "content": format!("Lantern {number}?") })];
        let ask = serde_json::json!({ "model": slug, "messages": messages, "max_tokens": 6 });
        let completion = client.stream_chat(ask, |_| {}).await.unwrap();
        assert!(completion.done && completion.error.is_none(), "{completion:?}");
    }
    let provider = Admin::at(&dir.join("provider/admin.sock"));
    let paid = until("the receipts being paid", SOON, async || {
        let answer = provider.get("/receipts?limit=100").await?;
        let receipts = answer["receipts"].as_array().cloned().unwrap_or_default();
        let paid = receipts.iter().filter(|receipt| receipt["state"] == "paid").count();
        Ok(if paid == JOBS { Seen::Done(()) } else { Seen::Not(format!("{paid} are")) })
    });
    paid.await.unwrap();
    let before = Platters::new(recording.before.clone());
    // What follows is the stores being closed.
    let events = recording.end();
    mesh.stop().await;
    (before, events)
}

/// All audits of what is left.
fn judge(image: &Path) {
    let (fep, provider) = (image.join("fep"), image.join("provider"));
    let mut report = audit::fep(&fep).unwrap();
    report.join(audit::provider(&provider, &EXPOSURE.into()).unwrap());
    report.join(audit::between(&provider, &fep, &[image.join("gateway")]).unwrap());
    assert!(report.holds(), "{:#?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_is_the_last_everybody_s_books_hold_and_nothing_acknowledged_is_lost() {
    Recording::prepare();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("mesh");
    let (mut platters, events) = work(&root).await;

    let mut chance = Seed::from_u64(1).stream("cuts");
    let image = dir.path().join("image");
    let mut cuts = 0;
    for event in &events {
        platters.advance(event);
        let mut cut = |survives: Survives<'_>| {
            let _ = std::fs::remove_dir_all(&image);
            platters.leave(&root, &image, survives).unwrap();
            for file in ["fep/keys.ring", "provider/node.key"] {
                std::fs::copy(root.join(file), image.join(file)).unwrap();
            }
            judge(&image);
            cuts += 1;
        };
        // What is unsynced is lost alike whichever write comes next: only a sync changes what is left.
        if matches!(event.what, What::Sync) {
            cut(Survives::Nothing);
        }
        if !platters.is_synced() {
            cut(Survives::Some(&mut chance));
        }
    }
    println!("{} events, {cuts} cuts", events.len());
    assert!(cuts > 50 * JOBS, "{cuts}");
}
