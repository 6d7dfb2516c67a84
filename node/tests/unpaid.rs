//! A node for its own users, as `labmand init --unpaid` makes it: real sockets, no key, nobody else.

mod support;

use labman_node::admin::Admin;
use labman_node::init;
use labman_node::openai::Client;
use labman_proto_core::time::Span;
use serde_json::json;
use support::{Process, chat, eventually, slow_toy};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_for_its_own_users_serves_whoever_comes_and_ends_what_it_has_begun() {
    let directory = tempfile::tempdir().unwrap();
    let toy = slow_toy(Span::from_millis(20)).await;
    let config = init::Unpaid {
        network: "labman".to_string(),
        data_dir: directory.path().join("data").display().to_string(),
        http_listen: "127.0.0.1:0".to_string(),
        tenant: "home".to_string(),
        ep: "gpu".to_string(),
        token: init::fresh_token(),
        portman_listen: "127.0.0.1:0".to_string(),
        runtime_url: toy.url(),
    };
    let path = directory.path().join("labman.toml");
    // One slot: whoever comes second waits.
    std::fs::write(&path, config.toml().replace("slots = 4", "slots = 1")).unwrap();
    let mut node = Process::start(env!("CARGO_BIN_EXE_labmand"), &path);
    let address = node.says("OpenAI API on http://");
    let client = Client::new(address.trim_end_matches("/v1").parse().unwrap(), "any key, or none");
    let listed = async || Ok(client.models().await?.into_iter().find(|slug| slug.starts_with("home:gpu:")));
    let slug = eventually("the toy's model being listed", listed).await;

    let ask = |tokens| {
        let (client, slug) = (client.clone(), slug.clone());
        tokio::spawn(async move { client.stream_chat(chat(&slug, tokens), |_| {}).await })
    };
    let (first, second) = (ask(50), ask(50));
    let operator = Admin::at(&directory.path().join("data/admin.sock"));
    let both = async || {
        let status = operator.get("/status?brief").await?;
        Ok((status["jobs"]["unpaid"] == 2).then_some(()))
    };
    eventually("both being asked for", both).await;
    node.terminate();
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    for answer in [&first, &second] {
        assert!(answer.done && answer.error.is_none(), "the answer is whole: {answer:?}");
        assert_eq!(answer.usage.as_ref().unwrap()["completion_tokens"], json!(answer.chunks));
    }
    assert_eq!(node.ends(), Some(0));
    toy.stop().await;
}
