//! Who is in a world: the machines that may stand on its hosts, and how a scenario's parties are made of them.

mod keys;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use labman_proto_core::identity::{FepId, Identity, Network, NodeId};
use labman_proto_core::limits::GATEWAYS_PAID_EVERY;
use labman_proto_core::machine::{Input, Machine, Output};
use labman_proto_core::money::Micros;
use labman_proto_core::node::{self, Node};
use labman_proto_core::portal::{self, Portal};
use labman_proto_core::portman::{self, Portman};
use labman_proto_core::rng::Seed;
use labman_proto_core::time::{Now, Span, Wake};
use labman_proto_core::toy::{self, Toy};
use labman_proto_core::wire::portal::PayoutTo;

use crate::adversary::{Adversary, Aim, Byzantine, Deeds, Dishonest, Loner, Member, Party};
use crate::host::{Address, Build, Spec};
use crate::name::Name;
use crate::net::geography::Place;
use crate::operator::Operator;
use crate::scenario::{self, Scenario, Scheme};
use crate::tag;
use crate::users::User;

pub use keys::FepKeys;

/// One machine of any kind. A match, not a pointer to a trait: runners ask users and operators what they know.
pub enum Resident {
    Node(Box<Node>),
    Portal(Box<Portal>),
    Portman(Box<Portman>),
    Toy(Box<Toy>),
    User(User),
    Operator(Operator),
    /// A node or portal that is dishonest.
    Byzantine(Box<Byzantine>),
    /// An adversary without a daemon.
    Loner(Box<Loner>),
}

macro_rules! each {
    ($resident:expr, $machine:ident => $call:expr) => {
        match $resident {
            Resident::Node($machine) => $call,
            Resident::Portal($machine) => $call,
            Resident::Portman($machine) => $call,
            Resident::Toy($machine) => $call,
            Resident::User($machine) => $call,
            Resident::Operator($machine) => $call,
            Resident::Byzantine($machine) => $call,
            Resident::Loner($machine) => $call,
        }
    };
}

impl Machine for Resident {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        each!(self, machine => machine.handle(now, input));
    }

    fn handle_timeout(&mut self, now: Now) {
        each!(self, machine => machine.handle_timeout(now));
    }

    fn poll_output(&mut self) -> Option<Output> {
        each!(self, machine => machine.poll_output())
    }

    fn poll_timeout(&self) -> Option<Wake> {
        each!(self, machine => machine.poll_timeout())
    }

    fn stopped(&self) -> Option<&str> {
        each!(self, machine => machine.stopped())
    }

    fn has_left(&self) -> bool {
        each!(self, machine => machine.has_left())
    }
}

/// Makes a scenario's hosts, with keys and tokens that follow from the seed.
pub struct Cast<'a> {
    pub scenario: &'a Scenario,
    pub seed: Seed,
}

impl Cast<'_> {
    pub fn fep_keys(&self) -> FepKeys {
        let (name, network) = (self.scenario.fep.name.clone(), self.scenario.network.clone());
        FepKeys { seed: self.seed, name, network, new_key: self.new_key() }
    }

    pub fn fep_id(&self) -> FepId {
        self.fep_keys().fep_id()
    }

    /// The network as everybody here sees it.
    pub fn network(&self) -> Network {
        self.fep_keys().network()
    }

    pub fn node_id(&self, name: &str) -> NodeId {
        self.identity_of(name)().node_id()
    }

    fn secret_of(&self, name: &str) -> [u8; 32] {
        self.seed.child("identity").child(name).0
    }

    /// Makes that party's identity, once for each of its lives.
    fn identity_of(&self, name: &str) -> impl Fn() -> Identity + Send + use<> {
        let secret = self.secret_of(name);
        let scheme = self.scenario.scheme;
        move || match scheme {
            Scheme::Ed25519 => Identity::from_secret(&secret),
            Scheme::Tag => tag::identity(&secret),
        }
    }

    pub fn operator(&self) -> Spec<Resident> {
        let build: Build<_> = Box::new(|_, _, _| Ok(Resident::Operator(Operator::default())));
        self.host("operator".into(), Vec::new(), build)
    }

    pub fn fep(&self) -> Spec<Resident> {
        let fep = &self.scenario.fep;
        let config = portal::config::Config {
            network: self.scenario.network.clone(),
            currency: fep.currency.clone(),
            fees: fep.fees,
            rails: self.rails(),
            gateways_paid_every: fep.gateways_paid_every.unwrap_or(GATEWAYS_PAID_EVERY),
        };
        let keys = self.fep_keys();
        let corrupt = self.corrupt(&fep.name, fep.strategy);
        let build: Build<_> = Box::new(move |draws, snapshot, now| {
            let portal = Portal::new(config.clone(), keys.signers(), draws, snapshot, now);
            let portal = portal.map_err(|bad| bad.to_string())?;
            Ok(corrupt(Resident::Portal(Box::new(portal)), &draws, now))
        });
        let name = &fep.name;
        self.host(name.clone(), vec![Address::Http(name.clone()), Address::Admin(name.clone())], build)
    }

    /// One in the FEP's currency, and one in each that it quotes.
    fn rails(&self) -> portal::config::Rails {
        let mut rails = portal::config::Rails::default();
        let quoted: BTreeSet<_> = self.scenario.fep.quotes.iter().map(|quote| &quote.currency).collect();
        let further = quoted.into_iter().map(|currency| portal::config::RailTerms {
            rail: portal::config::RailName::Test,
            currency: Some(currency.clone()),
            least_payout: Micros::ZERO,
        });
        rails.0.extend(further);
        rails
    }

    pub fn gateway(&self, gateway: &scenario::Gateway) -> Spec<Resident> {
        let name = &gateway.name;
        let before = self.scenario.gateways.iter().take_while(|other| other.name != *name);
        let families = self.families(gateway);
        let role = node::config::Gateway {
            public_endpoint: Some(format!("http://{name}")),
            fep: self.fep_id(),
            families,
            aliases: Default::default(),
            routing: gateway.routing.clone().unwrap_or_default(),
            key_limits: gateway.key_limits.unwrap_or(node::config::KeyLimits::NONE),
            body: labman_proto_core::limits::HTTP_BODY,
        };
        let config = node::config::Config {
            addresses: vec![mesh_address(name)],
            bootstrap: self.some(before, gateway.dials, name),
            gateway: Some(role),
            ..self.node_config()
        };
        let config = match gateway.max_links {
            Some(links) => node::config::Config {
                caps: node::config::Caps { links: links as usize, ..config.caps },
                ..config
            },
            None => config,
        };
        let node = self.node(name, gateway.wall_offset_ms, gateway.strategy, config);
        Spec { reachable: !gateway.nat, ..node }
    }

    pub fn provider(&self, provider: &scenario::Provider) -> Spec<Resident> {
        let name = &provider.name;
        let role = node::config::Provider {
            tenant: provider.tenant.clone(),
            portmans: provider.portmans.iter().map(|portman| self.attachment(provider, portman)).collect(),
            claim_every: provider.claim_every,
            dispute_for: provider.dispute_for,
            exposure: provider.exposure.into(),
            hosting: provider.hosting.config(),
            load_every: provider.load_every,
        };
        let gateways = self.scenario.gateways.iter();
        let config = node::config::Config {
            bootstrap: self.some(gateways, provider.dials, name),
            provider: Some(role),
            ..self.node_config()
        };
        self.node(name, provider.wall_offset_ms, provider.strategy, config)
    }

    /// Gateways and providers by what they are called on the mesh.
    pub fn nodes(&self) -> BTreeMap<NodeId, Name> {
        let gateways = self.scenario.gateways.iter().map(|gateway| &gateway.name);
        let providers = self.scenario.providers.iter().map(|provider| &provider.name);
        gateways.chain(providers).map(|name| (self.node_id(name), Name::from(name.as_str()))).collect()
    }

    pub fn portman(&self, provider: &scenario::Provider, portman: &scenario::Portman) -> Spec<Resident> {
        let config = portman::config::Config {
            labman_url: format!("ws://{}/", provider.name),
            token: self.token(provider, portman),
            runtime_url: format!("http://{}/v1", runtime_name(provider, portman)),
            runtime_key: None,
            slots: portman.slots,
            context_length: portman.context_length,
        };
        let build: Build<_> = Box::new(move |draws, _, now| {
            Ok(Resident::Portman(Box::new(Portman::new(config.clone(), draws, now))))
        });
        self.host(portman_name(provider, portman), Vec::new(), build)
    }

    pub fn runtime(&self, provider: &scenario::Provider, portman: &scenario::Portman) -> Spec<Resident> {
        let config = toy::config::Config {
            models: portman.all_models(),
            loaded: if portman.shelf.is_some() { portman.first_models() } else { Vec::new() },
            room: portman.shelf.as_ref().map_or(usize::MAX, |shelf| shelf.room as usize),
            load_takes: portman.shelf.as_ref().map_or(Span::default(), |shelf| shelf.load),
            context_length: portman.context_length,
            token_every: portman.token_every,
            prompt_token_every: portman.prompt_token_every,
            thinks: portman.thinks,
            first_token: portman.first_token,
            ends_after: portman.ends_after,
            fails: portman.fails,
            impostor: portman.impostor,
        };
        let build: Build<_> =
            Box::new(move |draws, _, now| Ok(Resident::Toy(Box::new(Toy::new(config.clone(), draws, now)))));
        let name = runtime_name(provider, portman);
        Spec { local: true, ..self.host(name.clone(), vec![Address::Http(name)], build) }
    }

    pub fn user(&self, user: &scenario::User) -> Spec<Resident> {
        let build: Build<_> = Box::new(|_, _, _| Ok(Resident::User(User::default())));
        self.host(user.name.clone(), Vec::new(), build)
    }

    /// The hosts as which an adversary without a daemon comes.
    pub fn adversary(&self, adversary: &Adversary) -> Vec<Spec<Resident>> {
        let names = (1..=adversary.hosts()).map(|number| match number {
            1 => adversary.name.clone(),
            _ => format!("{}.{number}", adversary.name),
        });
        let names: Vec<String> = names.collect();
        let member = |(number, name): (usize, &String)| Member {
            secret: self.secret_of(name),
            address: swarm_address(&adversary.name, number, adversary.networks()),
        };
        let swarm: Arc<[Member]> = names.iter().enumerate().map(member).collect();
        names.into_iter().enumerate().map(|(me, name)| self.loner(adversary, name, &swarm, me)).collect()
    }

    fn loner(&self, adversary: &Adversary, name: String, swarm: &Arc<[Member]>, me: usize) -> Spec<Resident> {
        let identity = self.identity_of(&name);
        let (kind, target, new_key) = (adversary.strategy, adversary.target.clone(), self.new_key());
        let target_id = (target != self.scenario.fep.name).then(|| self.node_id(&target));
        let network = self.scenario.network.clone();
        let (node_id, fep_id, swarm) = (Some(self.node_id(&name)), self.fep_id(), swarm.clone());
        let address = swarm[me].address.clone();
        let from = address.parse().ok();
        let build: Build<_> = Box::new(move |draws, _, now| {
            let identity = identity();
            let network = identity.network(&network);
            let (target, swarm) = (target.clone(), swarm.clone());
            let aim = Aim { target, node_id: target_id, identity, network, fep_id, new_key, swarm, me };
            Ok(Resident::Loner(Box::new(Loner::new(kind, aim, &draws, now))))
        });
        Spec { node_id, from, ..self.host(name, vec![Address::Mesh(address)], build) }
    }

    /// Puts a strategy on a daemon's wires, in each of its lives; without one it stays as it is.
    fn corrupt(
        &self,
        name: &str,
        strategy: Option<Dishonest>,
    ) -> impl Fn(Resident, &Seed, Now) -> Resident + Send + use<> {
        let (identity, new_key, fep_id) = (self.identity_of(name), self.new_key(), self.fep_id());
        let fep = (name == self.scenario.fep.name).then(|| self.fep_keys());
        let fep_url = format!("http://{}", self.scenario.fep.name);
        let (network, deeds) = (self.scenario.network.clone(), Arc::new(Deeds::default()));
        let late = self.scenario.fep.late();
        move |daemon, draws, now| {
            let Some(kind) = strategy else { return daemon };
            // A FEP's root is not at hand.
            let identity = fep.as_ref().map_or_else(&identity, |keys| keys.signing(1));
            let stolen = fep.as_ref().map(FepKeys::stolen);
            let network = identity.network(&network);
            let (fep_url, deeds) = (fep_url.clone(), deeds.clone());
            let party = Party { identity, stolen, network, fep_id, fep_url, new_key, late, deeds };
            Resident::Byzantine(Box::new(Byzantine::new(kind, daemon, party, draws, now)))
        }
    }

    fn new_key(&self) -> fn(&[u8; 32]) -> Identity {
        match self.scenario.scheme {
            Scheme::Ed25519 => Identity::from_secret,
            Scheme::Tag => tag::identity,
        }
    }

    fn node(
        &self,
        name: &str,
        wall_offset_ms: i64,
        strategy: Option<Dishonest>,
        config: node::config::Config,
    ) -> Spec<Resident> {
        let identity = self.identity_of(name);
        let corrupt = self.corrupt(name, strategy);
        let build: Build<_> = Box::new(move |draws, snapshot, now| {
            let node = Node::new(config.clone(), identity(), draws, snapshot, now);
            let node = node.map_err(|bad| bad.to_string())?;
            Ok(corrupt(Resident::Node(Box::new(node)), &draws, now))
        });
        let addresses = vec![
            Address::Mesh(mesh_address(name)),
            Address::Http(name.into()),
            Address::Labman(name.into()),
            Address::Admin(name.into()),
        ];
        let (node_id, from) = (Some(self.node_id(name)), mesh_address(name).parse().ok());
        Spec { node_id, from, wall_offset_ms, ..self.host(name.into(), addresses, build) }
    }

    fn node_config(&self) -> node::config::Config {
        let fep =
            node::config::Fep { fep_id: self.fep_id(), url: format!("http://{}", self.scenario.fep.name) };
        node::config::Config {
            network: self.scenario.network.clone(),
            addresses: Vec::new(),
            bootstrap: Vec::new(),
            trust: Vec::new(),
            deny: Vec::new(),
            caps: node::config::Caps::default(),
            feps: vec![fep],
            reach: node::config::Reach::default(),
            gateway: None,
            unpaid: None,
            provider: None,
        }
    }

    fn attachment(
        &self,
        provider: &scenario::Provider,
        portman: &scenario::Portman,
    ) -> node::config::Portman {
        let currency = portman.currency.as_ref().unwrap_or(&self.scenario.fep.currency).clone();
        let address = format!("sim:{}", portman_name(provider, portman));
        node::config::Portman {
            ep: portman.ep.clone(),
            token: self.token(provider, portman),
            price: portman.price,
            prices: BTreeMap::new(),
            payout: PayoutTo { currency, address },
            least_payout: portman.least_payout,
            queue: portman.queue,
            shelf: portman.shelf.as_ref().map(|shelf| shelf_of(portman, shelf)),
            pricing: portman.pricing,
        }
    }

    /// Where a provider is paid, and what it wants at least there.
    pub fn least_payouts(&self, provider: &scenario::Provider) -> BTreeMap<String, Micros> {
        let attachments = provider.portmans.iter().map(|portman| self.attachment(provider, portman));
        attachments.map(|portman| (portman.payout.address, portman.least_payout)).collect()
    }

    fn token(&self, provider: &scenario::Provider, portman: &scenario::Portman) -> String {
        let token = self.seed.child("token").child(&portman_name(provider, portman)).0;
        hex::encode(token)
    }

    /// So many of these gateways, drawn for that node.
    fn some<'g>(
        &self,
        gateways: impl Iterator<Item = &'g scenario::Gateway>,
        most: Option<u32>,
        name: &str,
    ) -> Vec<node::config::Bootstrap> {
        let mut left: Vec<&scenario::Gateway> = gateways.collect();
        let mut draws = self.seed.child("dials").stream(name);
        while most.is_some_and(|most| left.len() > most as usize) {
            left.swap_remove(draws.below(left.len() as u64) as usize);
        }
        left.into_iter().map(|gateway| self.bootstrap(&gateway.name)).collect()
    }

    /// The model families that a gateway serves; none: all.
    pub fn families(&self, gateway: &scenario::Gateway) -> Vec<String> {
        let mut left = gateway.families.clone();
        let mut draws = self.seed.child("families").stream(&gateway.name);
        while gateway.families_each.is_some_and(|most| left.len() > most as usize) {
            left.swap_remove(draws.below(left.len() as u64) as usize);
        }
        left
    }

    fn bootstrap(&self, gateway: &str) -> node::config::Bootstrap {
        node::config::Bootstrap { node_id: self.node_id(gateway), addr: mesh_address(gateway) }
    }

    fn host(&self, name: String, addresses: Vec<Address>, build: Build<Resident>) -> Spec<Resident> {
        let place = (self.scenario.latency.geography)
            .then(|| Place::draw(&mut self.seed.child("place").stream(&name)));
        let lawless = !self.scenario.is_honest_host(&name);
        Spec {
            name,
            addresses,
            node_id: None,
            from: None,
            local: false,
            reachable: true,
            place,
            wall_offset_ms: 0,
            lawless,
            disk: self.scenario.latency.disk,
            build,
        }
    }
}

/// Also what a scenario's events call it.
pub fn portman_name(provider: &scenario::Provider, portman: &scenario::Portman) -> String {
    format!("{}/{}", provider.name, portman.ep)
}

pub fn runtime_name(provider: &scenario::Provider, portman: &scenario::Portman) -> String {
    format!("{}.{}.runtime", provider.name, portman.ep)
}

/// A public address that is its own, each in a network of its own.
pub fn mesh_address(name: &str) -> String {
    at_port(mesh_number(name))
}

/// The address of one of a swarm, in one of so many networks (/48) that its operator owns.
fn swarm_address(operator: &str, number: usize, networks: usize) -> String {
    // One that comes alone is in a network of its own, as anybody is.
    let network = mesh_number(&format!("{operator}/{}", number % networks.max(1)));
    at_port((network >> 80 << 80) | (number as u128 + 1))
}

fn mesh_number(name: &str) -> u128 {
    let hash = blake3::derive_key("labman sim address", name.as_bytes());
    (0x26 << 120) | (u128::from_be_bytes(*hash.first_chunk().expect("32 bytes")) >> 8)
}

fn at_port(number: u128) -> String {
    format!("[{}]:4433", std::net::Ipv6Addr::from(number))
}

/// Models of a gibibyte each, as many as have room.
fn shelf_of(portman: &scenario::Portman, shelf: &scenario::market::Shelf) -> node::config::Shelf {
    const GIB: u64 = 1 << 30;
    let hosted =
        node::config::Hosted { memory: GIB, load: shelf.load, slots: None, pin: false, never: false };
    node::config::Shelf {
        memory: GIB * u64::from(shelf.room),
        models: portman.all_models().into_iter().map(|model| (model, hosted.clone())).collect(),
    }
}
