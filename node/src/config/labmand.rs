//! `labman.toml`: a node, be it gateway, provider or both.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use labman_io_tokio::{HttpLimits, TlsFiles};
use labman_proto_core::identity::{FepId, NodeId};
use labman_proto_core::limits::{DISPUTE_TERM, EXPOSURE, LOAD_EVERY, QUEUE_MOST};
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::names::is_slug;
use labman_proto_core::node::config::{self as node, Subnet};
use labman_proto_core::portman;
use labman_proto_core::time::Span;
use labman_proto_core::wire::portal::PayoutTo;
use labman_proto_core::wire::topic::family;
use serde::Deserialize;
use toml::Spanned;

use super::endpoint::{HttpField, KeyLimitsField, TlsField};
use super::error::Source;
use super::fields::{Amount, Bytes, Every, HostPort, HttpUrl, Listen, PayoutField, PriceField};
use super::hosting::{HostedField, HostingField, PricingField, checked_shelf};
use super::portman::{Runtime, checked_token};
use super::{ConfigError, parse, read};

/// What `labmand` runs with.
#[derive(Clone, Debug)]
pub struct Labmand {
    pub data_dir: PathBuf,
    /// Absent: the node only dials out.
    pub mesh_listen: Option<SocketAddr>,
    /// The OpenAI API, at a gateway.
    pub http_listen: Option<SocketAddr>,
    pub http: HttpLimits,
    pub tls: Option<TlsFiles>,
    /// The Portmans' WebSocket, at a provider.
    pub portman_listen: Option<SocketAddr>,
    pub node: node::Config,
    /// Portmans that run inside `labmand`. Their `labman_url` is filled in once the socket is bound.
    pub embedded: Vec<portman::config::Config>,
    /// From the command line: where the node's journal is kept. An embedded Portman's is beside it.
    pub journal: Option<PathBuf>,
}

const PORTMAN_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8765);
const CLAIM_EVERY: Span = Span::from_secs(30);
/// Of a payout address: what a receipt carries.
const ADDRESS_BYTES: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: String,
    data_dir: PathBuf,
    #[serde(default)]
    trust: Vec<NodeId>,
    #[serde(default)]
    deny: Vec<NodeId>,
    #[serde(default)]
    mesh: MeshField,
    #[serde(default)]
    bootstrap: Vec<BootstrapField>,
    #[serde(default)]
    fep: Vec<FepField>,
    gateway: Option<Spanned<GatewayField>>,
    provider: Option<Spanned<ProviderField>>,
    #[serde(default)]
    portman: Vec<Spanned<PortmanField>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, such as [mesh] with listen = \"0.0.0.0:7700\" in it")]
struct MeshField {
    listen: Option<Listen>,
    addresses: Option<Vec<HostPort>>,
    #[serde(default)]
    permit: Vec<Subnet>,
    max_links: Option<Spanned<NonZeroUsize>>,
    max_links_per_address: Option<NonZeroUsize>,
    max_links_per_network: Option<NonZeroUsize>,
    exempt_private: Option<bool>,
    memory: Option<Spanned<Bytes>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, such as [[bootstrap]] with node_id and addr in it")]
struct BootstrapField {
    node_id: NodeId,
    addr: HostPort,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, such as [[fep]] with id and url in it")]
struct FepField {
    id: FepId,
    url: HttpUrl,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, such as [gateway] with listen = \"0.0.0.0:8080\" in it")]
struct GatewayField {
    listen: Listen,
    /// Whoever reaches it uses this node's own Portmans, for nothing.
    #[serde(default)]
    unpaid: bool,
    /// Web pages that may.
    #[serde(default)]
    origins: Vec<Spanned<String>>,
    public_endpoint: Option<Spanned<String>>,
    fep: Option<Spanned<FepId>>,
    connections_per_address: Option<NonZeroUsize>,
    #[serde(default)]
    http: HttpField,
    tls: Option<TlsField>,
    key_limits: Option<Spanned<KeyLimitsField>>,
    #[serde(default)]
    families: Vec<Spanned<String>>,
    #[serde(default)]
    aliases: BTreeMap<String, Spanned<AliasField>>,
    routing: Option<Spanned<node::Policy>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, such as [provider] with tenant = \"alice\" in it")]
struct ProviderField {
    tenant: Spanned<String>,
    claim_every: Option<Every>,
    dispute_for: Option<Every>,
    exposure: Option<Spanned<Amount>>,
    #[serde(default)]
    exposure_in: BTreeMap<Currency, Spanned<Amount>>,
    portman_listen: Option<Listen>,
    #[serde(default)]
    hosting: HostingField,
    load_every: Option<Every>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table, such as [[portman]] with ep, token, payout and price in it"
)]
struct PortmanField {
    ep: Spanned<String>,
    token: Spanned<String>,
    embedded: Option<Spanned<bool>>,
    runtime: Option<Spanned<Runtime>>,
    /// Who works for FEPs says what it costs, and where it is paid.
    payout: Option<Spanned<PayoutField>>,
    least_payout: Option<Amount>,
    queue: Option<Spanned<u32>>,
    price: Option<PriceField>,
    #[serde(default)]
    prices: BTreeMap<String, PriceField>,
    memory: Option<Spanned<Bytes>>,
    #[serde(default)]
    models: BTreeMap<String, Spanned<HostedField>>,
    pricing: Option<PricingField>,
}

impl Labmand {
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let (file, source) = read::<File>(path)?;
        file.checked(&source)
    }

    /// The file's text; `path` is what errors call it, and what its paths are relative to.
    pub fn parse(path: &Path, text: String) -> Result<Self, ConfigError> {
        let (file, source) = parse::<File>(path, text)?;
        file.checked(&source)
    }

    /// Only where the data is: what finds a key or an admin socket need not wait for the rest to be filled in.
    pub fn read_data_dir(path: &Path) -> Result<PathBuf, ConfigError> {
        #[derive(Deserialize)]
        struct DataDirOnly {
            data_dir: PathBuf,
        }
        let (file, source) = read::<DataDirOnly>(path)?;
        Ok(source.resolve(&file.data_dir))
    }
}

impl File {
    fn checked(self, source: &Source) -> Result<Labmand, ConfigError> {
        if self.gateway.is_none() && self.provider.is_none() {
            let message = "this node has no role; add a [gateway] table, a [provider] table, or both";
            return Err(source.fault(None, message));
        }
        if let (None, Some(portman)) = (&self.provider, self.portman.first()) {
            let message = "a Portman works for a provider; add a [provider] table with its tenant";
            return Err(source.fault(Some(portman.span()), message));
        }
        let provider = self.provider.as_ref().map(|provider| self.provider(provider, source)).transpose()?;
        let (provider, embedded) = provider.map_or((None, Vec::new()), |(p, embedded)| (Some(p), embedded));
        let portman_listen = self
            .provider
            .as_ref()
            .map(|provider| provider.get_ref().portman_listen.map_or(PORTMAN_LISTEN, |listen| listen.0));
        let (unpaid, gateway): (Vec<_>, Vec<_>) =
            self.gateway.iter().partition(|gateway| gateway.get_ref().unpaid);
        let gateway = gateway.first().map(|gateway| self.gateway(gateway, source)).transpose()?;
        let unpaid = unpaid.first().map(|gateway| self.unpaid(gateway, source)).transpose()?;
        let endpoint = self.gateway.as_ref().map(Spanned::get_ref);
        let http = endpoint.map(|endpoint| endpoint.http.limits(endpoint.connections_per_address, source));
        let tls =
            endpoint.and_then(|endpoint| endpoint.tls.as_ref()).map(|tls| tls.files(source)).transpose()?;
        let caps = self.mesh.caps(source)?;
        let addresses = self.mesh.addresses.as_deref().unwrap_or_default();
        Ok(Labmand {
            data_dir: source.resolve(&self.data_dir),
            mesh_listen: self.mesh.listen.map(|listen| listen.0),
            http_listen: self.gateway.as_ref().map(|gateway| gateway.get_ref().listen.0),
            http: http.transpose()?.unwrap_or_default(),
            tls,
            portman_listen,
            node: node::Config {
                network: self.network,
                addresses: addresses.iter().map(|addr| addr.0.clone()).collect(),
                bootstrap: self.bootstrap.into_iter().map(BootstrapField::checked).collect(),
                trust: self.trust,
                deny: self.deny,
                reach: node::Reach { permit: self.mesh.permit, own: Vec::new() },
                caps,
                feps: self
                    .fep
                    .iter()
                    .map(|fep| node::Fep { fep_id: fep.id, url: fep.url.0.clone() })
                    .collect(),
                gateway,
                unpaid,
                provider,
            },
            embedded,
            journal: None,
        })
    }

    fn gateway(
        &self,
        gateway: &Spanned<GatewayField>,
        source: &Source,
    ) -> Result<node::Gateway, ConfigError> {
        let field = gateway.get_ref();
        if let Some(origin) = field.origins.first() {
            let message =
                "web pages need an API key here, as anybody does, so they need not be named; leave this out";
            return Err(source.fault(Some(origin.span()), message));
        }
        let fep = match (&field.fep, self.fep.as_slice()) {
            (Some(named), feps) if feps.iter().any(|fep| fep.id == *named.get_ref()) => *named.get_ref(),
            (Some(named), _) => {
                let message = "no [[fep]] has this id; add one with it and the FEP's url";
                return Err(source.fault(Some(named.span()), message));
            }
            (None, [only]) => only.id,
            (None, []) => {
                let message = "a gateway needs a FEP that keeps its users; add a [[fep]] with its id \
                               (`labman-fep id` prints it) and url";
                return Err(source.fault(Some(gateway.span()), message));
            }
            (None, _) => {
                let message = "there are several [[fep]]; add fep = \"ID\" to say which one keeps the users";
                return Err(source.fault(Some(gateway.span()), message));
            }
        };
        let public_endpoint =
            field.public_endpoint.as_ref().map(|url| checked_public_url(url, source)).transpose()?;
        let families = field.families.iter().map(|name| checked_family(name, source));
        let families: Vec<String> = families.collect::<Result<_, _>>()?;
        let aliases = field.aliases(&families, source)?;
        let routing = field.routing.as_ref().map(|routing| routing.get_ref().clone()).unwrap_or_default();
        let (body, key_limits) = (field.http.body(source)?, field.limits());
        Ok(node::Gateway { public_endpoint, fep, families, aliases, routing, body, key_limits })
    }

    fn unpaid(&self, gateway: &Spanned<GatewayField>, source: &Source) -> Result<node::Unpaid, ConfigError> {
        if self.provider.is_none() {
            let message =
                "unpaid = true is for this node's own Portmans; add a [provider] table and a [[portman]]";
            return Err(source.fault(Some(gateway.span()), message));
        }
        let field = gateway.get_ref();
        let of_the_mesh = [
            field.fep.as_ref().map(Spanned::span),
            field.public_endpoint.as_ref().map(Spanned::span),
            field.routing.as_ref().map(Spanned::span),
            field.families.first().map(Spanned::span),
            field.key_limits.as_ref().map(Spanned::span),
        ];
        if let Some(span) = of_the_mesh.into_iter().flatten().next() {
            let message = "with unpaid = true this node's HTTP serves its own Portmans only, and no FEP's users; leave this \
                           out, or unpaid";
            return Err(source.fault(Some(span), message));
        }
        let origins = field.origins.iter().map(|origin| checked_origin(origin, source));
        Ok(node::Unpaid {
            aliases: field.aliases(&[], source)?,
            origins: origins.collect::<Result<_, _>>()?,
            body: field.http.body(source)?,
        })
    }

    fn provider(
        &self,
        provider: &Spanned<ProviderField>,
        source: &Source,
    ) -> Result<(node::Provider, Vec<portman::config::Config>), ConfigError> {
        let field = provider.get_ref();
        if self.portman.is_empty() {
            let message = "a provider needs something that runs models; add a [[portman]]";
            return Err(source.fault(Some(provider.span()), message));
        }
        let serves_itself = self.gateway.as_ref().is_some_and(|gateway| gateway.get_ref().unpaid);
        if self.fep.is_empty() && !serves_itself {
            let message =
                "a provider works only for FEPs it trusts to pay; add a [[fep]] with its id and url";
            return Err(source.fault(Some(provider.span()), message));
        }
        let tenant = checked_slug_part(&field.tenant, source)?;
        let mut portmans: Vec<node::Portman> = Vec::new();
        let mut embedded = Vec::new();
        for portman in self.portman.iter().map(Spanned::get_ref) {
            let checked = portman.checked(!self.fep.is_empty(), source)?;
            if portmans.iter().any(|other| other.ep == checked.ep || other.token == checked.token) {
                let message = "another [[portman]] has the same ep or token; each needs its own of both";
                return Err(source.fault(Some(portman.ep.span()), message));
            }
            embedded.extend(portman.embedded(source)?);
            portmans.push(checked);
        }
        let claim_every = field.claim_every.map_or(CLAIM_EVERY, |every| every.0);
        let dispute_for = field.dispute_for.map_or(DISPUTE_TERM, |term| term.0);
        if let Some(none) = field
            .exposure
            .iter()
            .chain(field.exposure_in.values())
            .find(|most| most.get_ref().0 == Micros::ZERO)
        {
            let message = "must be above zero: with nothing that a FEP may owe, no work can be taken";
            return Err(source.fault(Some(none.span()), message));
        }
        let in_currency =
            field.exposure_in.iter().map(|(currency, most)| (currency.clone(), most.get_ref().0));
        let exposure = node::Exposure {
            each: field.exposure.as_ref().map_or(EXPOSURE, |amount| amount.get_ref().0),
            in_currency: in_currency.collect(),
        };
        let hosting = field.hosting.checked(source)?;
        let load_every = field.load_every.map_or(LOAD_EVERY, |every| every.0);
        let provider =
            node::Provider { tenant, portmans, claim_every, dispute_for, exposure, hosting, load_every };
        Ok((provider, embedded))
    }
}

impl GatewayField {
    fn limits(&self) -> node::KeyLimits {
        self.key_limits.as_ref().map(|limits| limits.get_ref().limits()).unwrap_or_default()
    }

    fn aliases(&self, families: &[String], source: &Source) -> Result<node::Aliases, ConfigError> {
        let aliases = self.aliases.iter().map(|(name, of)| checked_alias(name, of, source));
        let aliases: node::Aliases = aliases.collect::<Result<_, _>>()?;
        for (alias, of) in &self.aliases {
            for name in aliases.get(alias).into_iter().flatten().filter(|name| *name != alias) {
                checked_target(name, of, &aliases, families, source)?;
            }
        }
        Ok(aliases)
    }
}

/// One name or slug, or several of which any will do.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a model's name, or a list of names")]
enum AliasField {
    One(String),
    Several(Vec<String>),
}

fn checked_alias(
    name: &str,
    of: &Spanned<AliasField>,
    source: &Source,
) -> Result<(String, Vec<String>), ConfigError> {
    let names = match of.get_ref() {
        AliasField::One(name) => [name.clone()].to_vec(),
        AliasField::Several(names) => names.clone(),
    };
    if is_slug(name) {
        let message =
            format!("{name:?} is a slug, which names one provider's model; write the alias without colons");
        return Err(source.fault(Some(of.span()), &message));
    }
    if name.is_empty() || names.is_empty() || names.iter().any(String::is_empty) {
        let message = "an alias stands for one model or a list of them, such as \"fast\" = \"qwen2.5:7b\"";
        return Err(source.fault(Some(of.span()), message));
    }
    Ok((name.into(), names))
}

/// What no request would come to by its alias is a mistake.
fn checked_target(
    name: &str,
    of: &Spanned<AliasField>,
    aliases: &node::Aliases,
    families: &[String],
    source: &Source,
) -> Result<(), ConfigError> {
    if aliases.contains_key(name) {
        let message = format!("{name:?} is an alias itself; write the models that it stands for");
        return Err(source.fault(Some(of.span()), &message));
    }
    let of_family = family(name);
    if !families.is_empty() && !families.contains(&of_family) {
        let message =
            format!("{name:?} is of no family that this gateway serves; add {of_family:?} to families");
        return Err(source.fault(Some(of.span()), &message));
    }
    Ok(())
}

/// A family is what its models' names begin with: another name would match none.
fn checked_family(name: &Spanned<String>, source: &Source) -> Result<String, ConfigError> {
    let family = family(name.get_ref());
    if family == *name.get_ref() && !family.is_empty() {
        return Ok(family);
    }
    let hint = if family.is_empty() { "qwen" } else { &family };
    let message = format!("a model family is the letters its models' names begin with, such as \"{hint}\"");
    Err(source.fault(Some(name.span()), &message))
}

impl MeshField {
    fn caps(&self, source: &Source) -> Result<node::Caps, ConfigError> {
        let default = node::Caps::default();
        let or = |field: Option<NonZeroUsize>, default| field.map_or(default, NonZeroUsize::get);
        let links = or(self.max_links.as_ref().map(|links| *links.get_ref()), default.links);
        let memory = self.memory.as_ref().map_or(default.memory, |memory| memory.get_ref().0);
        let least = links.saturating_mul(node::Caps::LEAST_OF_A_LINK);
        if memory < least {
            let place = self.memory.as_ref().map(Spanned::span);
            let place = place.or_else(|| self.max_links.as_ref().map(Spanned::span));
            let mib = least.div_ceil(1 << 20);
            let message = format!(
                "{links} links need at least {mib} MiB, 256 KiB each; write memory = \"{mib} MiB\", or a smaller max_links"
            );
            return Err(source.fault(place, &message));
        }
        Ok(node::Caps {
            links,
            links_per_address: or(self.max_links_per_address, default.links_per_address),
            links_per_network: or(self.max_links_per_network, default.links_per_network),
            exempt_private: self.exempt_private.unwrap_or(default.exempt_private),
            memory,
        })
    }
}

impl BootstrapField {
    fn checked(self) -> node::Bootstrap {
        node::Bootstrap { node_id: self.node_id, addr: self.addr.0 }
    }
}

impl PortmanField {
    fn checked(&self, is_paid: bool, source: &Source) -> Result<node::Portman, ConfigError> {
        let (payout, price) = match (&self.payout, &self.price) {
            (Some(payout), Some(price)) => (checked_payout(payout, source)?, price.price()),
            (None, _) if is_paid => {
                let message = "this Portman works for FEPs; add payout = { currency = \"...\", address = \"...\" }, where its earnings go";
                return Err(source.fault(Some(self.ep.span()), message));
            }
            (_, None) if is_paid => {
                let message = "this Portman works for FEPs; add price = { input_per_mtok = \"0.50\", output_per_mtok = \"2.00\" }";
                return Err(source.fault(Some(self.ep.span()), message));
            }
            // Nothing is offered to anybody: there is no FEP.
            (payout, price) => (
                payout.as_ref().map_or(Ok(unpaid()), |payout| checked_payout(payout, source))?,
                price.as_ref().map(PriceField::price).unwrap_or_default(),
            ),
        };
        Ok(node::Portman {
            ep: checked_slug_part(&self.ep, source)?,
            token: checked_token(&self.token, source)?,
            price,
            prices: self.prices.iter().map(|(model, price)| (model.clone(), price.price())).collect(),
            payout,
            least_payout: self.least_payout.map_or(Micros(1), |amount| amount.0),
            queue: self.queue(source)?,
            shelf: checked_shelf(self.memory.as_ref(), &self.models, source)?,
            pricing: self
                .pricing
                .as_ref()
                .map_or(Ok(node::Pricing::default()), |pricing| pricing.checked(source))?,
        })
    }

    fn queue(&self, source: &Source) -> Result<u32, ConfigError> {
        match &self.queue {
            Some(queue) if *queue.get_ref() > QUEUE_MOST => {
                let message = format!("at most {QUEUE_MOST} requests may wait");
                Err(source.fault(Some(queue.span()), &message))
            }
            Some(queue) => Ok(*queue.get_ref()),
            None => Ok(0),
        }
    }

    /// The Portman to run inside this process, if it is to be.
    fn embedded(&self, source: &Source) -> Result<Option<portman::config::Config>, ConfigError> {
        match (self.embedded.as_ref().filter(|embedded| *embedded.get_ref()), &self.runtime) {
            (Some(_), Some(runtime)) => {
                let token = checked_token(&self.token, source)?;
                runtime.get_ref().portman(String::new(), token, source).map(Some)
            }
            (Some(embedded), None) => {
                let message = "an embedded Portman needs its runtime; add runtime = { url = \"http://...\" }";
                Err(source.fault(Some(embedded.span()), message))
            }
            (None, Some(runtime)) => {
                let message = "this Portman runs by itself and has its runtime in its own portman.toml; \
                               remove this, or set embedded = true";
                Err(source.fault(Some(runtime.span()), message))
            }
            (None, None) => Ok(None),
        }
    }
}

/// As a browser writes it: no path behind it.
fn checked_origin(origin: &Spanned<String>, source: &Source) -> Result<String, ConfigError> {
    let text = origin.get_ref();
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    if host.is_some_and(|host| !host.is_empty() && !host.contains('/')) {
        return Ok(text.clone());
    }
    let message = format!(
        "{text:?} is not what a browser calls a page's origin; write http://HOST:PORT, without a path"
    );
    Err(source.fault(Some(origin.span()), &message))
}

fn checked_payout(field: &Spanned<PayoutField>, source: &Source) -> Result<PayoutTo, ConfigError> {
    let payout = field.get_ref().payout_to();
    if payout.address.is_empty() || payout.address.len() > ADDRESS_BYTES {
        let message = "a payout address has 1 to 128 bytes; write where the earnings of this Portman go";
        return Err(source.fault(Some(field.span()), message));
    }
    Ok(payout)
}

fn unpaid() -> PayoutTo {
    PayoutTo { currency: Currency::none(), address: String::new() }
}

/// Users may reach a gateway through a proxy that speaks TLS.
fn checked_public_url(url: &Spanned<String>, source: &Source) -> Result<String, ConfigError> {
    let text = url.get_ref();
    let fits = text.starts_with("https://") || text.starts_with("http://");
    let wrong = || {
        let message = format!(
            "{text:?} is not a URL; write https://host or http://host:port, as users reach this gateway"
        );
        source.fault(Some(url.span()), &message)
    };
    fits.then(|| text.clone()).ok_or_else(wrong)
}

/// Tenants and eps are parts of a slug, between its colons.
fn checked_slug_part(part: &Spanned<String>, source: &Source) -> Result<String, ConfigError> {
    let text = part.get_ref();
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    let wrong = || {
        let message = format!(
            "{text:?} can't be part of a model's name; write 1 to 64 letters, digits, '-', '_' or '.'"
        );
        source.fault(Some(part.span()), &message)
    };
    fits.then(|| text.clone()).ok_or_else(wrong)
}
