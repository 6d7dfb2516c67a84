//! What an operator decides about a node. Sockets and files are the driver's business and are not here.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::economics::Price;
use crate::identity::{FepId, NodeId};
use crate::money::Micros;
use crate::time::Span;
use crate::wire::portal::PayoutTo;

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
    /// FEPs this node trusts, and where they are.
    pub feps: Vec<Fep>,
    pub gateway: Option<Gateway>,
    pub provider: Option<Provider>,
}

impl Config {
    /// A provider that is nothing else has no use for what other providers say, and nobody relies on it to pass that on.
    pub(crate) fn is_leaf(&self) -> bool {
        self.provider.is_some() && self.gateway.is_none()
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
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provider {
    /// First part of every slug served here. Not unique in the mesh.
    pub tenant: String,
    pub portmans: Vec<Portman>,
    /// How often receipts that await payment are claimed.
    pub claim_every: Span,
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
}
