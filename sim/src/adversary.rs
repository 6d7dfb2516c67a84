//! Parties that are dishonest, each by a strategy with a name. One file a strategy: what it does, and what must hold all
//! the same.
//!
//! Two families, and both speak bytes only. A [`Byzantine`] daemon is an honest machine with a strategy on its wires
//! (`strategy = "..."` of a `[fep]`, `[[gateway]]` or `[[provider]]`); it has its own key and can sign lies. A [`Loner`]
//! holds no daemon (`[[adversary]]`): it dials, asks, and sends what it likes.
//!
//! To add one: a file here that implements [`strategy::Strategy`] or [`desk::Plan`], and its line in a list below. A
//! scenario then knows it by name, the fuzzer draws it, and its deeds are counted under that name.
//!
//! What is absent: breaking cryptography, and anything that a real driver would not let pass, such as more streams than a
//! peer may have open.

mod byzantine;
mod craft;
mod defaulting;
mod desk;
mod draw;
mod eclipser;
mod equivocator;
mod forger;
mod frame_fuzzer;
mod good_then_bad;
mod hand;
mod http_fuzzer;
mod lanes;
mod lying_fep;
mod lying_gateway;
mod lying_provider;
mod oversizer;
mod portman_intruder;
mod record_flooder;
mod replayer;
mod resurrecter;
mod slanderer;
mod slow;
mod slow_loris;
mod stranger_flood;
mod strategy;
mod swarm;
mod sybil_swarm;
mod truncator;
mod unknown;

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use crate::scenario::values;

pub use byzantine::Byzantine;
pub use desk::{Aim, Loner, Member};
pub use draw::{Drawn, draw};
pub use hand::{Deeds, Party};

/// An adversary without a daemon, as a scenario has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adversary {
    pub name: String,
    pub strategy: Intruder,
    /// The gateway or FEP that it is after.
    pub target: String,
    /// Hosts it comes as, each with a key of its own; not said: as its strategy needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Networks (/48) in which these are; not said: each in its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<u32>,
    #[serde(default, with = "values::span")]
    pub from: Span,
    /// Then it lets go. Not said: it never does.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "values::maybe_span")]
    pub until: Option<Span>,
}

/// What a daemon is in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Fep,
    Gateway,
    Provider,
}

macro_rules! strategies {
    (
        daemons { $($name:ident $kind:ident $text:literal [$($role:ident)*],)* }
        loners { $($lone_name:ident $lone:ident $lone_text:literal,)* }
    ) => {
        /// How a daemon is dishonest.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Dishonest {
            $($kind,)*
        }

        /// What an adversary without a daemon does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Intruder {
            $($lone,)*
        }

        /// All strategies, by the name under which their deeds are counted.
        pub const KINDS: &[&str] = &[$($text,)* $($lone_text,)*];

        impl Dishonest {
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $text,)*
                }
            }

            /// Whether it does anything in that role.
            pub fn fits(self, role: Role) -> bool {
                match self {
                    $(Self::$kind => [$(Role::$role),*].contains(&role),)*
                }
            }

            fn make(self) -> Box<dyn strategy::Strategy> {
                match self {
                    $(Self::$kind => Box::<$name::$kind>::default(),)*
                }
            }
        }

        impl Intruder {
            pub const ALL: &[Self] = &[$(Self::$lone,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$lone => $lone_text,)*
                }
            }

            fn make(self) -> Box<dyn desk::Plan> {
                match self {
                    $(Self::$lone => Box::<$lone_name::$lone>::default(),)*
                }
            }
        }
    };
}

strategies! {
    daemons {
        defaulting Defaulting "defaulting" [Fep],
        equivocator Equivocator "equivocator" [Gateway Provider],
        forger Forger "forger" [Fep Gateway Provider],
        frame_fuzzer FrameFuzzer "frame-fuzzer" [Fep Gateway Provider],
        good_then_bad GoodThenBad "good-then-bad" [Fep Gateway Provider],
        lying_fep LyingFep "lying-fep" [Fep],
        lying_gateway LyingGateway "lying-gateway" [Gateway],
        lying_provider LyingProvider "lying-provider" [Provider],
        oversizer Oversizer "oversizer" [Fep Gateway Provider],
        replayer Replayer "replayer" [Gateway Provider],
        resurrecter Resurrecter "resurrecter" [Gateway],
        slanderer Slanderer "slanderer" [Gateway],
        slow Slow "slow" [Fep],
        truncator Truncator "truncator" [Fep Gateway Provider],
        unknown Unknown "unknown" [Fep Gateway Provider],
    }
    loners {
        eclipser Eclipser "eclipser",
        http_fuzzer HttpFuzzer "http-fuzzer",
        portman_intruder PortmanIntruder "portman-intruder",
        record_flooder RecordFlooder "record-flooder",
        slow_loris SlowLoris "slow-loris",
        stranger_flood StrangerFlood "stranger-flood",
        sybil_swarm SybilSwarm "sybil-swarm",
    }
}

impl Dishonest {
    /// Whatever it signs is true, and its books are in order: it only lets others wait.
    pub const fn is_truthful(self) -> bool {
        matches!(self, Self::Defaulting | Self::Slow)
    }
}

/// What is done to the mesh itself rather than to jobs and money.
pub const ON_THE_MESH: &[&str] = &["eclipser", "record-flooder", "resurrecter", "slanderer", "sybil-swarm"];

impl Adversary {
    pub fn hosts(&self) -> usize {
        self.count.map_or(self.strategy.hosts(), |count| count as usize).max(1)
    }

    pub fn networks(&self) -> usize {
        self.networks.map_or(self.hosts(), |networks| networks as usize).max(1)
    }
}

impl Intruder {
    const fn hosts(self) -> usize {
        match self {
            Self::Eclipser | Self::SybilSwarm => 40,
            Self::StrangerFlood => 6,
            Self::RecordFlooder => 4,
            Self::HttpFuzzer | Self::PortmanIntruder | Self::SlowLoris => 1,
        }
    }

    /// Whether it can do anything to that role.
    pub fn fits(self, role: Role) -> bool {
        match self {
            Self::SlowLoris => true,
            Self::HttpFuzzer => role != Role::Provider,
            Self::Eclipser | Self::RecordFlooder | Self::StrangerFlood | Self::SybilSwarm => {
                role == Role::Gateway
            }
            Self::PortmanIntruder => role != Role::Fep,
        }
    }
}
