//! What the stories of these tests are told with: a mesh in a temporary directory, and daemons as real processes.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test binary is a crate of its own, and tells its story with a part of this"
)]

mod process;

use std::path::Path;
use std::time::Duration;

use labman_node::daemon::Toy;
use labman_node::init;
use labman_node::mesh::{Mesh, MeshError, Plan, PortmanPlan, ProviderPlan, Runtime, User, until};
use labman_node::openai::{Client, Completion};
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::toy;
use serde_json::{Value, json};

pub use labman_node::mesh::Seen;
pub use process::Process;

/// What a loaded machine may need for what takes a fraction of a second.
pub const SOON: Duration = Duration::from_secs(20);

/// One FEP, one gateway, some providers, and a user with money.
pub struct Rig {
    pub mesh: Mesh,
    pub user: User,
    pub client: Client,
    pub slugs: Vec<String>,
    _directory: tempfile::TempDir,
}

impl Rig {
    pub async fn with_providers(providers: impl IntoIterator<Item = ProviderPlan>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let plan = Plan::new(directory.path()).with_gateway("gateway", None);
        let plan = providers.into_iter().fold(plan, Plan::with_provider);
        let mesh = Mesh::start(plan).await.unwrap();
        let user = mesh.user("alice", "1.00").await.unwrap();
        let client = mesh.client(0, &user.api_key);
        let slugs = mesh.providers_listed(&client, SOON).await.unwrap();
        Self { mesh, user, client, slugs, _directory: directory }
    }

    pub fn model(&self) -> &str {
        &self.slugs[0]
    }

    pub async fn balance(&self, user: &str) -> Micros {
        balance(&self.mesh, user).await
    }
}

pub async fn balance(mesh: &Mesh, user: &str) -> Micros {
    let users = mesh.fep_admin().get("/users").await.unwrap();
    let found = users["users"].as_array().unwrap().iter().find(|found| found["name"] == user);
    let balance = found.unwrap_or_else(|| panic!("no user {user} in {users}"))["balance"].clone();
    balance.as_str().unwrap().parse().unwrap()
}

pub fn chat(model: &str, max_tokens: u32) -> Value {
    json!({
        "model": model,
        "messages": [{ "role": "user", "content": "Tell me about the lanterns on the coast." }],
        "max_tokens": max_tokens,
        "seed": 5,
    })
}

pub async fn complete(client: &Client, model: &str, max_tokens: u32) -> Completion {
    let completion = client.stream_chat(chat(model, max_tokens), |_| {}).await.unwrap();
    assert!(completion.done && completion.error.is_none(), "{completion:?}");
    completion
}

/// Looks until `look` finds something.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>, MeshError>) -> T {
    let found = until(what, SOON, async || {
        Ok(match look().await? {
            Some(found) => Seen::Done(found),
            None => Seen::Not("nothing yet".to_string()),
        })
    });
    found.await.unwrap()
}

/// A provider for a mesh of this process, with its Portman embedded, that claims every second.
pub fn write_config(mesh: &Mesh, toy: &Toy, path: &Path) {
    let toml = mortal(mesh, toy).toml().replace("claim_every = \"30s\"", "claim_every = \"1s\"");
    init::write_new(path, &toml).unwrap();
}

/// What such a provider is told by `init`.
pub fn mortal(mesh: &Mesh, toy: &Toy) -> init::Provider {
    let gateway = &mesh.gateways[0];
    init::Provider {
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
    }
}

/// The built-in runtime, at that pace.
pub async fn slow_toy(token_every: Span) -> Toy {
    let Runtime::Toy(quick) = PortmanPlan::toy("any").runtime else { unreachable!("a toy's plan has a toy") };
    let slow = toy::config::Config { token_every, ..quick };
    Toy::start("toy", "127.0.0.1:0".parse().unwrap(), slow).await.unwrap()
}
