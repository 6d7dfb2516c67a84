//! What goes wrong in a run, when, and for how long. One file a kind: how it is drawn from a seed, what it does when it
//! begins, and what when it is over.
//!
//! To add one: a file here with a struct that implements [`Kind`], and its line in the list below. A scenario then knows
//! it as `inject = { name = { ... } }`, the fuzzer draws it, and `fuzz` fails until it has bitten.

mod clock_freeze;
mod clock_jump;
mod clog;
mod crash;
mod delay;
mod disk_fails;
mod disk_full;
mod disk_lost;
mod disk_slow;
mod key_rotation;
mod leave;
mod loss;
mod narrow_uplink;
mod partition;
mod reconnect;
mod replay;
mod roll_back;
mod stall;
mod torn;

use std::collections::BTreeMap;
use std::fmt;

use labman_proto_core::rng::Stream;
use labman_proto_core::time::{Span, Time};
use serde::{Deserialize, Serialize};

use crate::cast::{FepKeys, Resident};
use crate::host::HostId;
use crate::scenario::{Scenario, values};
use crate::world::World;

pub use clog::Clog;
pub use crash::Crash;
pub use key_rotation::KeyRotation;
pub use replay::Replay;

/// One fault of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(with = "values::span")]
    pub at: Span,
    #[serde(rename = "for", with = "values::span")]
    pub lasting: Span,
    pub inject: Inject,
}

/// For people.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.inject.hosts();
        let of = if hosts.is_empty() { String::new() } else { format!(" of {}", hosts.join(", ")) };
        write!(f, "{}{of} at {}", self.inject.name(), values::write_span(self.at))
    }
}

/// What every kind of fault says of itself.
pub trait Kind: Sized {
    /// One of this kind that could happen on this stage; `None`: none can.
    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self>;
    /// The longest that it lasts when it is drawn.
    const LASTS: Span;
    /// The hosts it names.
    fn hosts(&self) -> Vec<&str>;
    /// Why it could never bite there, as `field: reason`. All its hosts are there.
    fn check(&self, stage: &Stage) -> Result<(), String> {
        let _ = stage;
        Ok(())
    }
    fn begin(&self, site: &mut Site<'_>);
    /// All is to be as if it had never been.
    fn end(&self, site: &mut Site<'_>);
}

/// Who there is, by role and name.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    pub feps: Vec<String>,
    pub gateways: Vec<String>,
    pub providers: Vec<String>,
    pub portmans: Vec<String>,
    pub users: Vec<String>,
}

/// Where and when a fault does its work.
pub struct Site<'a> {
    pub world: &'a mut World<Resident>,
    pub hosts: &'a BTreeMap<String, HostId>,
    /// Whoever holds the admin sockets.
    pub operator: Option<HostId>,
    pub keys: FepKeys,
    /// When the fault will be over.
    pub until: Time,
    /// The same at its begin and at its end.
    pub draws: Stream,
}

impl Site<'_> {
    /// Hosts that were checked to exist when the scenario was read.
    fn host(&self, name: &str) -> Option<HostId> {
        self.hosts.get(name).copied()
    }

    fn each(&mut self, names: &[&str], mut act: impl FnMut(&mut World<Resident>, HostId)) {
        for name in names {
            if let Some(host) = self.host(name) {
                act(self.world, host);
            }
        }
    }
}

impl Stage {
    pub fn of(scenario: &Scenario) -> Self {
        let portmans = scenario.providers.iter().flat_map(|provider| {
            provider.portmans.iter().map(|portman| format!("{}/{}", provider.name, portman.ep))
        });
        Self {
            feps: vec![scenario.fep.name.clone()],
            gateways: scenario.gateways.iter().map(|gateway| gateway.name.clone()).collect(),
            providers: scenario.providers.iter().map(|provider| provider.name.clone()).collect(),
            portmans: portmans.collect(),
            users: scenario.users.iter().map(|user| user.name.clone()).collect(),
        }
    }

    /// Everybody whose machine is a daemon.
    pub fn daemons(&self) -> Vec<&str> {
        let all = [&self.feps, &self.gateways, &self.providers, &self.portmans];
        all.into_iter().flatten().map(String::as_str).collect()
    }

    /// Everybody who has a store.
    pub fn stores(&self) -> Vec<&str> {
        let all = [&self.feps, &self.gateways, &self.providers];
        all.into_iter().flatten().map(String::as_str).collect()
    }

    /// Everybody who is on the mesh.
    pub fn nodes(&self) -> Vec<&str> {
        self.gateways.iter().chain(&self.providers).map(String::as_str).collect()
    }

    /// Everybody who has a way to others across the network.
    pub fn networked(&self) -> Vec<&str> {
        let all = [&self.feps, &self.gateways, &self.providers, &self.users];
        all.into_iter().flatten().map(String::as_str).collect()
    }
}

/// A fault of one host's disk, links or jobs does nothing to a host that has none.
fn among(host: &str, able: &[&str], what: &str) -> Result<(), String> {
    match able.contains(&host) {
        true => Ok(()),
        false => Err(format!("host: {host:?} has no {what}, choose one of {}", able.join(", "))),
    }
}

fn within(field: &str, value: u64, allowed: std::ops::RangeInclusive<u64>) -> Result<(), String> {
    match allowed.contains(&value) {
        true => Ok(()),
        false => Err(format!("{field}: must be from {} to {}, not {value}", allowed.start(), allowed.end())),
    }
}

fn pick(draws: &mut Stream, from: &[&str]) -> Option<String> {
    from.get(draws.below(from.len() as u64) as usize).map(|name| (*name).to_owned())
}

macro_rules! kinds {
    ($($name:ident $kind:ident $text:literal,)*) => {
        /// A fault's kind and its parameters.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Inject {
            $($kind($name::$kind),)*
        }

        /// All kinds, by the name under which they are counted when they bite.
        pub const KINDS: &[&str] = &[$($text,)*];

        impl Inject {
            /// One of that kind (an index of [`KINDS`]), and for how long.
            pub fn draw(kind: usize, stage: &Stage, draws: &mut Stream) -> Option<(Self, Span)> {
                let makers: &[fn(&Stage, &mut Stream) -> Option<(Self, Span)>] = &[$(
                    |stage, draws| $name::$kind::draw(stage, draws).map(|one| (Self::$kind(one), $name::$kind::LASTS)),
                )*];
                let (one, longest) = makers.get(kind)?(stage, draws)?;
                Some((one, Span::from_millis(1 + draws.below(longest.as_millis()))))
            }

            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $text,)*
                }
            }

            pub fn hosts(&self) -> Vec<&str> {
                match self {
                    $(Self::$kind(one) => one.hosts(),)*
                }
            }

            pub fn check(&self, stage: &Stage) -> Result<(), String> {
                match self {
                    $(Self::$kind(one) => one.check(stage),)*
                }
            }

            pub fn begin(&self, site: &mut Site<'_>) {
                match self {
                    $(Self::$kind(one) => one.begin(site),)*
                }
            }

            pub fn end(&self, site: &mut Site<'_>) {
                match self {
                    $(Self::$kind(one) => one.end(site),)*
                }
            }
        }
    };
}

kinds! {
    clock_freeze ClockFreeze "clock-freeze",
    clock_jump ClockJump "clock-jump",
    clog Clog "clog",
    crash Crash "crash",
    delay Delay "delay",
    disk_fails DiskFails "disk-fails",
    disk_full DiskFull "disk-full",
    disk_slow DiskSlow "disk-slow",
    loss Loss "loss",
    narrow_uplink NarrowUplink "narrow-uplink",
    partition Partition "partition",
    reconnect Reconnect "reconnect",
    replay Replay "replay",
    roll_back RollBack "roll-back",
    stall Stall "stall",
    torn Torn "torn",
    // Drawn after all others: those are what they were without them.
    leave Leave "leave",
    disk_lost DiskLost "disk-lost",
    key_rotation KeyRotation "key-rotation",
}
