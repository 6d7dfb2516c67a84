//! Whatever a user sends, they get a clear error in OpenAI's shape, and nobody loses anything.

mod support;

use labman_node::mesh::{Mesh, ProviderPlan};
use labman_node::openai::Answer;
use serde_json::Value;
use support::{Rig, chat, complete, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The error of an answer that must have this status: all four keys, always.
fn error(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    assert!(answer.header("x-request-id").is_some(), "{:?}", answer.headers);
    let error = answer.json()["error"].clone();
    let mut keys: Vec<&str> = error.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["code", "message", "param", "type"]);
    error
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_clear_and_cost_nothing() {
    let rig = Rig::with_providers([ProviderPlan::toy("provider-1")]).await;
    let before = rig.balance("alice").await;

    let stranger = rig.mesh.client(0, "sk-nobody");
    let refused = error(&stranger.post_json(CHAT, &chat(rig.model(), 8)).await.unwrap(), 401);
    assert_eq!(refused["code"], "invalid_api_key");

    // A gateway that has just begun has not heard of all that is served.
    let refused = eventually("an answer about a model that is none", async || {
        let answer = rig.client.post_json(CHAT, &chat("no-such-model", 8)).await.unwrap();
        Ok((answer.status != 503).then(|| error(&answer, 404)))
    });
    let refused = refused.await;
    assert_eq!(refused["code"], "model_not_found");
    assert!(refused["message"].as_str().unwrap().contains("no-such-model"));

    let malformed = b"{\"model\": \"x\",\n \"messages\": [}".to_vec();
    let refused = error(&rig.client.post(CHAT, malformed).await.unwrap(), 400);
    assert!(refused["message"].as_str().unwrap().contains("line 2"), "{refused}");

    let mut huge = chat(rig.model(), 8);
    huge["user"] = Value::String("x".repeat(4 << 20));
    error(&rig.client.post_json(CHAT, &huge).await.unwrap(), 413);

    error(&rig.client.get("/v1/no-such-route").await.unwrap(), 404);

    assert_eq!(rig.balance("alice").await, before, "no refusal costs anything");
    complete(&rig.client, rig.model(), 8).await;
    rig.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_money_is_told_so_and_gets_no_work() {
    let rig = Rig::with_providers([ProviderPlan::toy("provider-1")]).await;
    let poor = rig.mesh.user("bob", "0").await.unwrap();
    let answer = rig.mesh.client(0, &poor.api_key).post_json(CHAT, &chat(rig.model(), 8)).await.unwrap();
    assert_eq!(error(&answer, 429)["code"], "insufficient_quota");
    assert_eq!(answer.header("x-should-retry"), Some("false"), "SDKs would ask twice more");
    let status = rig.mesh.providers[0].admin().get("/status").await.unwrap();
    assert_eq!(status["jobs"]["unsettled"], 0, "{status}");
    rig.mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_fep_is_down_users_get_503_and_nobody_works_for_free() {
    let rig = Rig::with_providers([ProviderPlan::toy("provider-1")]).await;
    let (client, model) = (rig.client.clone(), rig.model().to_string());
    let Mesh { fep, gateways, providers } = rig.mesh;
    fep.stop().await;

    let answer = client.post_json(CHAT, &chat(&model, 8)).await.unwrap();
    assert_eq!(error(&answer, 503)["code"], "fep_unavailable");
    assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
    let status = providers[0].admin().get("/status").await.unwrap();
    assert_eq!(status["jobs"]["provider"], 0, "{status}");
    assert_eq!(status["jobs"]["unsettled"], 0, "{status}");
    for gateway in gateways {
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_no_body_and_its_connection_goes_on() {
    let rig = Rig::with_providers([ProviderPlan::toy("provider-1")]).await;
    let mut stream = TcpStream::connect(rig.mesh.gateways[0].http_addr.unwrap()).await.unwrap();
    let ask = "HEAD /v1/models HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    let (head, rest) = answers.split_once("\r\n\r\n").unwrap();
    let (whole, body) = rest.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && whole.starts_with("HTTP/1.1 200"), "{answers}");
    let length = format!("content-length: {}", body.len());
    assert!(head.to_lowercase().contains(&length) && whole.to_lowercase().contains(&length), "{answers}");
    rig.mesh.stop().await;
}
