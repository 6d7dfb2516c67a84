//! What an operator decides about a node. Sockets and files are the driver's business and are not here.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::economics::Price;
use crate::identity::{FepId, NodeId};
pub use crate::labnet::{Reach, Subnet};
use crate::limits::{BODIES_OF_ALL, BODIES_OF_ONE, HTTP_BODY, LINKS, LOAD_EVERY, TOPICS};
pub use crate::market::policy::{Hosted, Hosting, Pricing, Shelf, Strategy};
use crate::money::{Currency, Micros};
pub use crate::names::Aliases;
pub use crate::routing::policy::Policy;
use crate::time::Span;
use crate::wire::portal::PayoutTo;
use crate::wire::topic::{Topic, Topics};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Nodes of other networks are not heard.
    pub network: String,
    /// `ip:port` of this node's mesh listeners as others reach them; empty: it only dials out.
    pub addresses: Vec<String>,
    /// Nodes to stay connected to.
    pub bootstrap: Vec<Bootstrap>,
    /// Where not empty, only these nodes are admitted.
    pub trust: Vec<NodeId>,
    /// Never admitted.
    pub deny: Vec<NodeId>,
    /// Which addresses that strangers name may be dialled.
    pub reach: Reach,
    #[serde(default)]
    pub caps: Caps,
    /// FEPs this node trusts, and where they are.
    pub feps: Vec<Fep>,
    pub gateway: Option<Gateway>,
    /// Its HTTP is for users of its own, whom no FEP keeps: then it has no `gateway`, and needs a `provider`.
    #[serde(default)]
    pub unpaid: Option<Unpaid>,
    pub provider: Option<Provider>,
}

impl Config {
    /// What it wants to hear of. A provider that is nothing else has no use for what others provide, and nobody relies on it
    /// to pass that on.
    pub(crate) fn interest(&self) -> Topics {
        match &self.gateway {
            None => Topics::none(),
            Some(Gateway { families, .. }) if families.is_empty() => Topics::All,
            Some(Gateway { families, .. }) => {
                families.iter().take(TOPICS).map(|family| Topic::of_family(family)).collect()
            }
        }
    }
}

/// What strangers get of a node at most.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Caps {
    /// Mesh links, in both directions.
    pub links: usize,
    /// Of them from one IP address, and from one network (IPv4 /24, IPv6 /48); inbound ones only.
    pub links_per_address: usize,
    pub links_per_network: usize,
    /// Loopback, private and link-local addresses are not counted.
    pub exempt_private: bool,
    /// Bytes that this node holds for others, in all.
    pub memory: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            links: LINKS,
            links_per_address: 16,
            links_per_network: 64,
            exempt_private: true,
            memory: 1 << 30,
        }
    }
}

/// How the memory is shared out. What a part runs into costs somebody who holds much of it, never the process.
impl Caps {
    /// Memory that a link needs at least.
    pub const LEAST_OF_A_LINK: usize = 256 * 1024;

    /// What one peer may make the transport hold: received and not read, sent and not acknowledged.
    pub fn receive_window(&self) -> usize {
        (self.memory / 8 / self.links.max(1)).clamp(64 * 1024, 4 << 20)
    }

    pub fn send_window(&self) -> usize {
        (self.memory / 8 / self.links.max(1)).clamp(32 * 1024, 1 << 20)
    }

    /// Of all control streams: what waits to be read by a peer, and what a peer has sent of a frame.
    pub(crate) fn control(&self) -> usize {
        self.memory / 8
    }

    /// Of all job streams: requests on their way.
    pub(crate) fn bodies(&self) -> usize {
        (self.memory / 16 * 3).min(BODIES_OF_ALL)
    }

    pub(crate) fn bodies_of_one(&self) -> usize {
        (self.bodies() / 2).min(BODIES_OF_ONE)
    }

    pub(crate) fn records(&self) -> usize {
        self.memory / 8
    }

    pub(crate) fn records_aside(&self) -> usize {
        self.memory / 32
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bootstrap {
    pub node_id: NodeId,
    /// `host:port`.
    pub addr: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fep {
    pub fep_id: FepId,
    /// Such as `http://portal.example:8800`.
    pub url: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gateway {
    /// URL of the OpenAI API as users reach it, if it is to be gossiped.
    pub public_endpoint: Option<String>,
    /// The FEP that keeps this gateway's users: one of `feps`.
    pub fep: FepId,
    /// Model families that it serves, such as `qwen`; empty: all.
    pub families: Vec<String>,
    #[serde(default)]
    pub aliases: Aliases,
    #[serde(default)]
    pub routing: Policy,
    #[serde(default)]
    pub key_limits: KeyLimits,
    /// The largest body that a request may have, in bytes.
    #[serde(default = "largest_body")]
    pub body: usize,
}

const fn largest_body() -> usize {
    HTTP_BODY
}

/// Whoever reaches this node's HTTP may use its own Portmans, for nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unpaid {
    pub aliases: Aliases,
    /// Web pages that may use it, as browsers name them (`http://localhost:3000`): without a key, any page that is open here could.
    #[serde(default)]
    pub origins: Vec<String>,
    /// The largest body that a request may have, in bytes.
    pub body: usize,
}

/// What each API key may send to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLimits {
    pub requests_per_minute: u32,
    /// Of prompts and answers together.
    pub tokens_per_minute: u64,
    /// Under way at the same time.
    pub at_once: u32,
}

impl KeyLimits {
    pub const NONE: Self =
        Self { requests_per_minute: u32::MAX, tokens_per_minute: u64::MAX, at_once: u32::MAX };
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self { requests_per_minute: 60_000, tokens_per_minute: 60_000_000, at_once: 1024 }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provider {
    /// First part of every slug served here. Not unique in the mesh.
    pub tenant: String,
    pub portmans: Vec<Portman>,
    /// How often receipts that await payment are claimed.
    pub claim_every: Span,
    /// How long a receipt that its FEP would not pay stays disputed before it is claimed again.
    pub dispute_for: Span,
    pub exposure: Exposure,
    #[serde(default)]
    pub hosting: Hosting,
    /// How often, at most, gateways are told how busy it is.
    #[serde(default = "usual_load_every")]
    pub load_every: Span,
}

const fn usual_load_every() -> Span {
    LOAD_EVERY
}

/// The most that each FEP may owe, in each payout currency by itself: a job that could take it further is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// In units of whatever currency has no limit of its own.
    pub each: Micros,
    pub in_currency: BTreeMap<Currency, Micros>,
}

impl Exposure {
    pub fn of(&self, currency: &Currency) -> Micros {
        self.in_currency.get(currency).copied().unwrap_or(self.each)
    }
}

impl From<Micros> for Exposure {
    fn from(each: Micros) -> Self {
        Self { each, in_currency: BTreeMap::new() }
    }
}

/// One Portman that may attach, and what its work costs and pays.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Portman {
    /// Second part of its models' slugs.
    pub ep: String,
    /// What it must present.
    pub token: String,
    pub price: Price,
    /// For models priced apart from the rest.
    pub prices: BTreeMap<String, Price>,
    pub payout: PayoutTo,
    /// Receipts are claimed once they sum to this much.
    pub least_payout: Micros,
    /// Requests that may wait for a slot of one model; beyond that they are refused, to be tried elsewhere.
    pub queue: u32,
    /// Where this node decides which models its runtime keeps in memory.
    #[serde(default)]
    pub shelf: Option<Shelf>,
    #[serde(default)]
    pub pricing: Pricing,
}
