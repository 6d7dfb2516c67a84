//! What an operator lets a provider decide about the models it keeps in memory, and about their prices.

use alloc::{collections::BTreeMap, string::String};

use serde::{Deserialize, Serialize};

pub use super::price::Strategy;
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
    /// What serving costs the operator: below it nothing is earned.
    pub floor: u32,
    pub ceiling: u32,
    /// Of [`Strategy::BestResponse`]: gateways share requests out in proportion to prices to the power of minus this, from 1 to
    /// [`MOST_ELASTIC`](Self::MOST_ELASTIC).
    #[serde(default = "usual_elasticity", skip_serializing_if = "is_usual")]
    pub elasticity: u32,
    /// Of [`Strategy::Capacity`]: what users would pay at most, in thousandths of the configured price. They are thought to be spread
    /// evenly below it.
    #[serde(default = "usual_most", skip_serializing_if = "is_usual_most")]
    pub most: u32,
}

impl Pricing {
    /// Beyond it the cheapest has nearly all.
    pub const MOST_ELASTIC: u32 = 8;
}

impl Default for Pricing {
    fn default() -> Self {
        Self {
            strategy: Strategy::Fixed,
            floor: 500,
            ceiling: 2_000,
            elasticity: usual_elasticity(),
            most: usual_most(),
        }
    }
}

/// As routers do that draw by the inverse square of prices.
const fn usual_elasticity() -> u32 {
    2
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_usual(elasticity: &u32) -> bool {
    *elasticity == usual_elasticity()
}

/// As the usual ceiling.
const fn usual_most() -> u32 {
    2_000
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_usual_most(most: &u32) -> bool {
    *most == usual_most()
}
