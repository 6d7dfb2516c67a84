//! What a mesh is made of, and each part's config.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use labman_io_tokio::HttpLimits;
use labman_proto_core::economics::{Fees, Price};
use labman_proto_core::limits::{DISPUTE_TERM, EXPOSURE, GATEWAYS_PAID_EVERY, HTTP_BODY, LOAD_EVERY};
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::node::config as node;
use labman_proto_core::time::Span;
use labman_proto_core::wire::portal::PayoutTo;
use labman_proto_core::{portal, portman, toy};

use crate::config;
use crate::daemon::{Fep, Labmand};

/// Any free port of the loopback.
pub(super) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[derive(Clone, Debug)]
pub struct Plan {
    /// Each part's data lives in a directory of its name under this one.
    pub dir: PathBuf,
    pub network: String,
    pub currency: Currency,
    pub fees: Fees,
    /// What each gateway pays in when it is enrolled.
    pub bond: Micros,
    pub gateways: Vec<GatewayPlan>,
    pub providers: Vec<ProviderPlan>,
    /// A directory in which every part keeps its journal: `fep`, `gateway-1`, `provider-1`, `provider-1.toy`.
    pub journals: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct GatewayPlan {
    pub name: String,
    /// Of the OpenAI API.
    pub http_listen: SocketAddr,
}

#[derive(Clone, Debug)]
pub struct ProviderPlan {
    /// Of its directory.
    pub name: String,
    /// First part of its models' slugs.
    pub tenant: String,
    pub claim_every: Span,
    pub portmans: Vec<PortmanPlan>,
}

#[derive(Clone, Debug)]
pub struct PortmanPlan {
    pub ep: String,
    /// What it presents.
    pub token: String,
    pub runtime: Runtime,
    pub slots: u32,
    /// In tokens.
    pub context_length: u32,
    pub price: Price,
    pub least_payout: Micros,
}

#[derive(Clone, Debug)]
pub enum Runtime {
    /// The built-in one, started with the provider.
    Toy(toy::config::Config),
    /// One that runs already.
    At { url: String, key: Option<String> },
}

impl Plan {
    /// A FEP that takes one and two percent, bonds of a hundred units, and nobody yet.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
            network: "loopback".to_string(),
            currency: "XTS".parse().expect("XTS is a currency code"),
            fees: Fees { fep_bps: 100, gateway_bps: 200 },
            bond: Micros(100_000_000),
            gateways: Vec::new(),
            providers: Vec::new(),
            journals: None,
        }
    }

    pub(super) fn journal(&self, part: &str) -> Option<PathBuf> {
        self.journals.as_ref().map(|dir| dir.join(part))
    }

    pub fn with_gateway(mut self, name: &str, http_listen: Option<SocketAddr>) -> Self {
        let http_listen = http_listen.unwrap_or(LOOPBACK);
        self.gateways.push(GatewayPlan { name: name.to_string(), http_listen });
        self
    }

    pub fn with_provider(mut self, provider: ProviderPlan) -> Self {
        self.providers.push(provider);
        self
    }

    pub(super) fn fep(&self) -> config::fep::Fep {
        config::fep::Fep {
            data_dir: self.dir.join("fep"),
            listen: LOOPBACK,
            portal: portal::config::Config {
                network: self.network.clone(),
                currency: self.currency.clone(),
                fees: self.fees,
                rails: portal::config::Rails::default(),
                gateways_paid_every: GATEWAYS_PAID_EVERY,
            },
            journal: self.journal("fep"),
        }
    }

    pub(super) fn gateway(&self, index: usize, fep: &Fep) -> config::labmand::Labmand {
        let gateway = &self.gateways[index];
        config::labmand::Labmand {
            data_dir: self.dir.join(&gateway.name),
            mesh_listen: Some(LOOPBACK),
            http_listen: Some(gateway.http_listen),
            http: HttpLimits::default(),
            tls: None,
            portman_listen: None,
            node: node::Config {
                gateway: Some(node::Gateway {
                    public_endpoint: None,
                    fep: fep.fep_id,
                    families: Vec::new(),
                    aliases: node::Aliases::new(),
                    routing: node::Policy::default(),
                    body: HTTP_BODY,
                    key_limits: node::KeyLimits::default(),
                }),
                ..self.node(fep)
            },
            embedded: Vec::new(),
            journal: self.journal(&gateway.name),
        }
    }

    pub(super) fn provider(
        &self,
        provider: &ProviderPlan,
        fep: &Fep,
        gateways: &[Labmand],
    ) -> config::labmand::Labmand {
        let bootstrap = gateways.iter().filter_map(|gateway| {
            let addr = gateway.mesh_addr?.to_string();
            Some(node::Bootstrap { node_id: gateway.node_id, addr })
        });
        let attachment = |portman: &PortmanPlan| node::Portman {
            ep: portman.ep.clone(),
            token: portman.token.clone(),
            price: portman.price,
            prices: Default::default(),
            payout: PayoutTo { currency: self.currency.clone(), address: format!("test:{}", provider.name) },
            least_payout: portman.least_payout,
            queue: 0,
            shelf: None,
            pricing: node::Pricing::default(),
        };
        config::labmand::Labmand {
            data_dir: self.dir.join(&provider.name),
            mesh_listen: None,
            http_listen: None,
            http: HttpLimits::default(),
            tls: None,
            portman_listen: Some(LOOPBACK),
            node: node::Config {
                bootstrap: bootstrap.collect(),
                provider: Some(node::Provider {
                    tenant: provider.tenant.clone(),
                    portmans: provider.portmans.iter().map(attachment).collect(),
                    claim_every: provider.claim_every,
                    dispute_for: DISPUTE_TERM,
                    exposure: EXPOSURE.into(),
                    hosting: node::Hosting::default(),
                    load_every: LOAD_EVERY,
                }),
                ..self.node(fep)
            },
            embedded: Vec::new(),
            journal: self.journal(&provider.name),
        }
    }

    /// What all nodes of this mesh have in common.
    fn node(&self, fep: &Fep) -> node::Config {
        let url = fep.http_addr.map(|addr| format!("http://{addr}")).unwrap_or_default();
        node::Config {
            network: self.network.clone(),
            addresses: Vec::new(),
            bootstrap: Vec::new(),
            trust: Vec::new(),
            deny: Vec::new(),
            reach: node::Reach::default(),
            caps: node::Caps::default(),
            feps: vec![node::Fep { fep_id: fep.fep_id, url }],
            gateway: None,
            unpaid: None,
            provider: None,
        }
    }
}

impl ProviderPlan {
    /// One Portman with the built-in runtime, claimed for as soon as there is anything to claim.
    pub fn toy(name: &str) -> Self {
        Self {
            name: name.to_string(),
            tenant: name.to_string(),
            claim_every: Span::from_secs(1),
            portmans: vec![PortmanPlan::toy("toy")],
        }
    }
}

/// What the built-in runtime takes for a token, and what that costs of the usual price, in percent: no two of three alike, so
/// that there is something to choose.
const PACES: [(Span, i64); 3] =
    [(Span::from_millis(20), 100), (Span::from_millis(40), 50), (Span::from_millis(10), 200)];

impl PortmanPlan {
    /// The built-in runtime, the first at a pace that eyes can follow, the next cheaper and slower, or dearer and quicker.
    pub fn nth_toy(ep: &str, number: usize) -> Self {
        let (token_every, percent) = PACES[number % PACES.len()];
        let toy = Self::toy(ep);
        let part = |amount: Micros| Micros(amount.0 * percent / 100);
        let price = Price {
            input_per_mtok: part(toy.price.input_per_mtok),
            cached_per_mtok: part(toy.price.cached_per_mtok),
            output_per_mtok: part(toy.price.output_per_mtok),
            per_request: part(toy.price.per_request),
        };
        let runtime = match toy.runtime {
            Runtime::Toy(config) => Runtime::Toy(toy::config::Config { token_every, ..config }),
            other => other,
        };
        Self { runtime, price, ..toy }
    }

    /// The built-in runtime at a pace that eyes can follow.
    pub fn toy(ep: &str) -> Self {
        Self {
            ep: ep.to_string(),
            token: crate::init::fresh_token(),
            runtime: Runtime::Toy(toy::config::Config::default()),
            slots: 4,
            context_length: 4096,
            price: Price {
                input_per_mtok: Micros(500_000),
                cached_per_mtok: Micros(100_000),
                output_per_mtok: Micros(2_000_000),
                per_request: Micros::ZERO,
            },
            least_payout: Micros(1),
        }
    }

    pub(super) fn config(
        &self,
        node: &Labmand,
        runtime_url: String,
        key: Option<String>,
    ) -> portman::config::Config {
        let addr = node.portman_addr.expect("a provider of a plan listens for its Portmans");
        portman::config::Config {
            labman_url: format!("ws://{addr}/"),
            token: self.token.clone(),
            runtime_url,
            runtime_key: key,
            slots: self.slots,
            context_length: self.context_length,
        }
    }
}
