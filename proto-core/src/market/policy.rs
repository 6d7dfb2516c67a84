//! What an operator lets a provider decide about the models it keeps in memory, and about their prices.

use alloc::{collections::BTreeMap, string::String};

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// How what is hosted is decided, at every endpoint whose memory is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hosting {
    /// Time from one decision to the next.
    pub epoch: Span,
    /// For how long a model that is loaded is thought to go on earning as it begins: what loading costs is weighed against it.
    pub horizon: Span,
    /// Models loaded in an epoch at most, at each endpoint.
    pub loads: u32,
}

impl Default for Hosting {
    fn default() -> Self {
        Self { epoch: Span::from_secs(10 * 60), horizon: Span::from_secs(6 * 60 * 60), loads: 2 }
    }
}

/// The memory of an endpoint, and what its models take of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// Bytes that all models that run there may take together.
    pub memory: u64,
    /// Models that are not named here stay as they are.
    pub models: BTreeMap<String, Hosted>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosted {
    /// Bytes.
    pub memory: u64,
    /// How long it takes until it is ready.
    pub load: Span,
    /// Requests it runs at once; not said: as its Portman is configured.
    pub slots: Option<u32>,
    pub pin: bool,
    /// Not in memory.
    pub never: bool,
}

/// How prices follow the market, between a floor and a ceiling: both in thousandths of the configured price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pricing {
    pub strategy: Strategy,
    pub floor: u32,
    pub ceiling: u32,
}

impl Default for Pricing {
    fn default() -> Self {
        Self { strategy: Strategy::Fixed, floor: 500, ceiling: 2_000 }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// As configured.
    #[default]
    Fixed,
    /// Dearer while most slots are taken, cheaper while most are free.
    Utilisation,
    /// A hundredth below the cheapest other offer that is heard of.
    Undercut,
}
