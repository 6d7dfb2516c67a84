//! A whole mesh in one process, on the loopback, over the real parts: QUIC between nodes, WebSocket to the Portmans,
//! HTTP to the FEP, the gateways and the runtimes, SQLite in a directory for each part.
//!
//! ```text
//!   D/fep        D/gateway-1            D/provider-1      (none)        (none)
//!   Fep  <-HTTP- Labmand (gateway) <-QUIC- Labmand <-WebSocket- Portman -HTTP-> Toy, or a runtime of yours
//! ```
//!
//! Every port is bound to what is free, except where a plan names one. A directory used again is taken up where it was
//! left: keys, balances, receipts.

mod plan;

use std::path::Path;
use std::time::Duration;

use labman_proto_core::identity::{FepId, NodeId};
use labman_proto_core::money::Micros;
use serde_json::{Value, json};

pub use plan::{GatewayPlan, Plan, PortmanPlan, ProviderPlan, Runtime};

use crate::admin::{Admin, AdminError};
use crate::daemon::{DataDir, Failure, Fep, Labmand, Portman, Toy};
use crate::openai::{Client, ClientError};

/// The parts of a running mesh, in the order of its plan.
pub struct Mesh {
    pub fep: Fep,
    pub gateways: Vec<Labmand>,
    pub providers: Vec<Provider>,
}

/// One provider's node, its Portmans and, where they are built-in ones, their runtimes.
pub struct Provider {
    pub name: String,
    pub node: Labmand,
    tenant: String,
    /// What the slugs begin with that each of its Portmans serves.
    prefixes: Vec<String>,
    portmans: Vec<Portman>,
    toys: Vec<Toy>,
}

/// A user who can send requests.
#[derive(Clone, Debug)]
pub struct User {
    pub id: String,
    pub name: String,
    pub api_key: String,
}

#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    #[error(transparent)]
    Daemon(#[from] Failure),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{waited_for} did not happen within {within:?}; last seen: {seen}")]
    TooLate { waited_for: String, within: Duration, seen: String },
}

impl Mesh {
    /// Starts every part and enrols the gateways at the FEP. Providers may still be connecting: see
    /// [`Self::providers_listed`].
    pub async fn start(plan: Plan) -> Result<Self, MeshError> {
        let fep = Fep::start("fep", plan.fep()).await?;
        let mut gateways = Vec::new();
        for index in 0..plan.gateways.len() {
            let config = plan.gateway(index, &fep);
            enrol(&fep, &config.data_dir, plan.bond).await?;
            gateways.push(Labmand::start(&plan.gateways[index].name, config).await?);
        }
        let mut providers = Vec::new();
        for provider in &plan.providers {
            providers.push(Provider::start(&plan, provider, &fep, &gateways).await?);
        }
        Ok(Self { fep, gateways, providers })
    }

    pub fn fep_id(&self) -> FepId {
        self.fep.fep_id
    }

    pub fn fep_admin(&self) -> Admin {
        Admin::at(&self.fep.admin)
    }

    /// An OpenAI client of one gateway.
    pub fn client(&self, gateway: usize, api_key: &str) -> Client {
        let addr = self.gateways[gateway].http_addr.expect("a gateway of a plan serves HTTP");
        Client::new(addr, api_key)
    }

    /// An account with a deposit and a fresh API key. One of that name that is there already gets both.
    pub async fn user(&self, name: &str, deposit: &str) -> Result<User, MeshError> {
        let admin = self.fep_admin();
        let users = admin.get("/users").await?;
        let known = users["users"].as_array().into_iter().flatten().find(|user| user["name"] == name);
        let user = match known {
            Some(known) => known["user"].clone(),
            None => admin.post("/users", &json!({ "name": name })).await?["user"].clone(),
        };
        if deposit != "0" {
            let reference = format!("test deposit {}", crate::init::fresh_token());
            let deposit = json!({ "user": user, "amount": deposit, "reference": reference });
            admin.post("/deposits", &deposit).await?;
        }
        let key = admin.post("/keys", &json!({ "user": user })).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        Ok(User { id: text(&user), name: name.to_string(), api_key: text(&key["api_key"]) })
    }

    /// Waits until a gateway lists a model of every provider's every Portman; the models' slugs.
    pub async fn providers_listed(
        &self,
        client: &Client,
        within: Duration,
    ) -> Result<Vec<String>, MeshError> {
        until("every provider's model being listed at the gateway", within, async || {
            let mut slugs = client.models().await?;
            // Each model is also listed by its bare name.
            slugs.retain(|slug| self.providers.iter().any(|provider| provider.serves(slug)));
            let mut prefixes = self.providers.iter().flat_map(|provider| &provider.prefixes);
            let all = prefixes.all(|prefix| slugs.iter().any(|slug| slug.starts_with(prefix)));
            Ok(if all { Seen::Done(slugs) } else { Seen::Not(format!("{slugs:?}")) })
        })
        .await
    }

    /// Waits until the provider that served a request has its receipt, paid or not. `None`: nobody has within the time.
    pub async fn receipt(&self, request_id: &str, within: Duration) -> Result<(NodeId, Value), MeshError> {
        until(&format!("the receipt of {request_id} reaching its provider"), within, async || {
            for provider in &self.providers {
                if let Some(receipt) = provider.receipt(request_id).await? {
                    return Ok(Seen::Done((provider.node.node_id, receipt)));
                }
            }
            Ok(Seen::Not("no receipt yet".to_string()))
        })
        .await
    }

    pub fn provider(&self, node_id: NodeId) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.node.node_id == node_id)
    }

    /// In the order in which a request goes: who has asked for something goes before whoever is to answer it.
    pub async fn stop(self) {
        for gateway in self.gateways {
            gateway.stop().await;
        }
        for provider in self.providers {
            provider.node.stop().await;
            for portman in provider.portmans {
                portman.stop().await;
            }
            for toy in provider.toys {
                toy.stop().await;
            }
        }
        self.fep.stop().await;
    }
}

impl Provider {
    async fn start(
        plan: &Plan,
        provider: &ProviderPlan,
        fep: &Fep,
        gateways: &[Labmand],
    ) -> Result<Self, MeshError> {
        let node = Labmand::start(&provider.name, plan.provider(provider, fep, gateways)).await?;
        let (mut portmans, mut toys) = (Vec::new(), Vec::new());
        for portman in &provider.portmans {
            let name = format!("{}/{}", provider.name, portman.ep);
            let (url, key) = match &portman.runtime {
                Runtime::Toy(config) => {
                    let toy = Toy::start(&format!("{name}/runtime"), plan::LOOPBACK, config.clone()).await?;
                    let url = toy.url();
                    toys.push(toy);
                    (url, None)
                }
                Runtime::At { url, key } => (url.clone(), key.clone()),
            };
            let journal = plan.journal(&format!("{}.{}", provider.name, portman.ep));
            portmans.push(
                Portman::start(&name, portman.config(&node, url, key), journal.as_deref(), None).await?,
            );
        }
        let tenant = provider.tenant.clone();
        let prefixes = provider.portmans.iter().map(|portman| format!("{tenant}:{}:", portman.ep)).collect();
        Ok(Self { name: provider.name.clone(), node, tenant, prefixes, portmans, toys })
    }

    pub fn admin(&self) -> Admin {
        Admin::at(&self.node.admin)
    }

    /// Whether a slug is of this provider's tenant.
    pub fn serves(&self, slug: &str) -> bool {
        slug.split_once(':').is_some_and(|(tenant, _)| tenant == self.tenant)
    }

    /// The receipt of a request (as `x-request-id` names it) that was served here.
    pub async fn receipt(&self, request_id: &str) -> Result<Option<Value>, AdminError> {
        let request_id = request_id.strip_prefix("req_").unwrap_or(request_id);
        let answer = self.admin().get("/receipts?limit=100").await?;
        let receipts = answer["receipts"].as_array().cloned().unwrap_or_default();
        Ok(receipts.into_iter().find(|receipt| receipt["request_id"] == request_id))
    }

    pub async fn claims(&self) -> Result<Vec<Value>, AdminError> {
        let answer = self.admin().get("/claims?limit=100").await?;
        Ok(answer["claims"].as_array().cloned().unwrap_or_default())
    }
}

/// What one look found.
pub enum Seen<T> {
    Done(T),
    /// Not yet; what was seen instead, for the error if it never comes.
    Not(String),
}

/// Looks again and again until `look` is done, a bounded time long.
pub async fn until<T>(
    waited_for: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Seen<T>, MeshError>,
) -> Result<T, MeshError> {
    /// Short against what a person notices, long against what a look costs.
    const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
    let deadline = tokio::time::Instant::now() + within;
    loop {
        match look().await? {
            Seen::Done(found) => return Ok(found),
            Seen::Not(seen) if tokio::time::Instant::now() >= deadline => {
                return Err(MeshError::TooLate { waited_for: waited_for.to_string(), within, seen });
            }
            Seen::Not(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
}

/// A gateway's calls are heard once its FEP's operator has enrolled its node id. Its bond is what it answers with for further
/// attempts.
async fn enrol(fep: &Fep, gateway_dir: &Path, bond: Micros) -> Result<(), MeshError> {
    let node_id = DataDir::open(gateway_dir)?.identity()?.node_id().to_string();
    let admin = Admin::at(&fep.admin);
    admin.post("/gateways", &json!({ "node_id": node_id, "name": "gateway of this process" })).await?;
    if bond > Micros::ZERO {
        let reference = format!("first bond of {node_id}");
        let paid = json!({ "gateway": node_id, "amount": bond.to_string(), "reference": reference });
        admin.post("/bonds", &paid).await?;
    }
    Ok(())
}
