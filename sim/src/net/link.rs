//! A link between two machines (a mesh connection or a Portman's socket), and which distribution its latency has.

use std::collections::BTreeSet;

use labman_proto_core::machine::{LinkId, Peer};
use labman_proto_core::time::{Span, Time};

use super::latency::Latency;
use super::stream::StreamKey;
use super::table::Key;
use crate::host::HostId;

/// A mesh connection whose other end died is noticed by its idle time-out.
pub const MESH_IDLE: Span = Span::from_secs(15);
/// A dial nobody answers is given up.
pub const DIAL_TIMEOUT: Span = Span::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkKey(pub u64);

impl LinkKey {
    /// What both ends of a mesh connection know of it, in place of its TLS exporter.
    pub fn binding(self) -> [u8; 32] {
        blake3::derive_key("labman sim 1 link binding", &self.0.to_le_bytes())
    }
}

impl Key for LinkKey {
    fn number(self) -> u64 {
        self.0
    }
}

/// What kind of way something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Between nodes.
    Mesh,
    /// HTTP between users, nodes and FEPs.
    Http,
    /// Inside one home: Portman sockets, runtimes.
    Local,
    /// An operator's Unix socket.
    Admin,
}

impl Route {
    /// Whether what goes this way crosses the network, with all that may go wrong on it.
    pub const fn crosses(self) -> bool {
        match self {
            Self::Mesh | Self::Http => true,
            Self::Local | Self::Admin => false,
        }
    }
}

/// The network's distributions, one a route.
#[derive(Clone, Copy, Debug)]
pub struct Latencies {
    pub mesh: Latency,
    pub http: Latency,
    pub local: Latency,
}

impl Latencies {
    pub fn of(&self, route: Route) -> Latency {
        match route {
            Route::Mesh => self.mesh,
            Route::Http => self.http,
            Route::Local => self.local,
            Route::Admin => Latency::Constant(Span::from_nanos(20_000)),
        }
    }
}

#[derive(Debug)]
pub struct Link {
    pub route: Route,
    pub ends: [LinkEnd; 2],
    pub streams: BTreeSet<StreamKey>,
}

#[derive(Debug)]
pub struct LinkEnd {
    pub host: HostId,
    pub id: LinkId,
    /// Who the machine at this end sees at the other.
    pub peer: Peer,
    pub state: LinkState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// The machine hears of the link at this time.
    Coming(Time),
    Up(Time),
    Down,
}

impl LinkEnd {
    /// Nothing may reach this end before it heard of its link.
    pub fn hears_from(&self) -> Time {
        match self.state {
            LinkState::Coming(at) | LinkState::Up(at) => at + Span::from_nanos(1),
            LinkState::Down => Time::ZERO,
        }
    }

    pub fn is_down(&self) -> bool {
        self.state == LinkState::Down
    }
}
