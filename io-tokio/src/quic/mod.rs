//! The mesh's transport: QUIC, with node keys as TLS identities.
//!
//! A link is a connection, a stream a bidirectional QUIC stream. Unidirectional streams, datagrams, 0-RTT and session
//! resumption are off.

mod endpoint;
mod gate;
mod link;
mod rpk;
mod stream;

pub(crate) use endpoint::Mesh;
pub(crate) use link::{accept, dial};
