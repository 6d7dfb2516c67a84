//! Drives a [`Machine`](labman_proto_core::machine::Machine) with real sockets, clocks and disks.
//!
//! ```text
//!   quic  http  portman_ws  store  admin          tasks: they move bytes, and know nothing else
//!     |     |       |         |      |
//!     +-----+-- bounded queue +------+
//!                   |      ^
//!                   v      | outputs, in order
//!                 actor: owns the machine, one call at a time
//!                   ^
//!             supervisor: rebuilds a machine that panicked or stopped, from its store
//! ```
//!
//! What is here: effects, and what belongs to a socket itself (time-outs, sizes, connection counts, peer credentials).
//!
//! What is absent: every decision about the protocol, about money and about policy. Those are the machine's.

mod actor;
mod admin;
pub mod admin_client;
mod clock;
mod config;
mod error;
mod http;
pub mod http_client;
mod journal;
mod keys;
mod port;
mod portman_ws;
mod quic;
mod standin;
mod store;
mod stream;
mod supervisor;

pub use clock::now_wall;
pub use config::{Heartbeat, HttpLimits, IoConfig, MeshConfig, StoreConfig, TlsFiles};
pub use error::{KeyError, StartError, TlsFile};
pub use journal::Journal;
pub use keys::{load_key, load_or_create_key};
pub use portman_ws::{Door, WayIn, door};
pub use store::StoreReader;
pub use supervisor::{Running, start};
pub use zeroize::Zeroizing;
