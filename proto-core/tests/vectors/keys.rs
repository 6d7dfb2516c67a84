//! The parties of the vectors. A party's secret key is its number, 32 times.

use labman_proto_core::identity::{Identity, NodeId};

pub(crate) const NETWORK: &str = "vectors";
/// A gateway: the receiver of most frames.
pub(crate) const GATEWAY: u8 = 1;
/// A provider: the other end of most links.
pub(crate) const PROVIDER: u8 = 2;
/// A FEP's root, and the key that signs for it.
pub(crate) const FEP: u8 = 3;
pub(crate) const FEP_KEY: u8 = 7;
/// Somebody else.
pub(crate) const OTHER: u8 = 4;
/// Neighbours of whoever receives a record: one brings it, one is told.
pub(crate) const BRINGER: u8 = 5;
pub(crate) const LISTENER: u8 = 6;
/// The first of a crowd, of which nothing else is known.
pub(crate) const CROWD: u8 = 10;

/// Now, where it matters: Unix ms.
pub(crate) const WALL: u64 = 1_800_000_000_000;

pub(crate) fn identity(party: u8) -> Identity {
    Identity::from_secret(&[party; 32])
}

pub(crate) fn node(party: u8) -> NodeId {
    identity(party).node_id()
}

/// Whose id that is.
pub(crate) fn of(id: NodeId) -> Option<Identity> {
    (GATEWAY..=FEP_KEY).map(identity).find(|identity| identity.node_id() == id)
}
