//! A record's content.

use alloc::vec::Vec;

use crate::identity::NodeId;
use crate::wire::cbor::{self, BadCbor};
use crate::wire::envelope::Kind;
use crate::wire::mesh::{About, CapabilityRecord, Departure, PeerRecord, Suspicion};
use crate::wire::topic::Topics;

pub(super) enum Said {
    Peer(PeerRecord),
    Capability(CapabilityRecord),
    Departure(Departure),
    Suspicion(Suspicion),
}

impl About {
    /// What a frame of that kind says of its origin, if it is a record.
    pub(super) const fn of(kind: u16) -> Option<Self> {
        match Kind::from_u16(kind) {
            Some(Kind::PeerRecord) => Some(Self::Peer),
            Some(Kind::CapabilityRecord) => Some(Self::Capability),
            Some(Kind::Departure) => Some(Self::Departure),
            Some(Kind::Suspicion) => Some(Self::Suspicion),
            _ => None,
        }
    }

    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Peer => Kind::PeerRecord,
            Self::Capability => Kind::CapabilityRecord,
            Self::Departure => Kind::Departure,
            Self::Suspicion => Kind::Suspicion,
        }
    }
}

impl Said {
    pub(super) fn decode(about: About, payload: &[u8]) -> Result<Self, BadCbor> {
        match about {
            About::Peer => cbor::decode(payload).map(Self::Peer),
            About::Capability => cbor::decode(payload).map(Self::Capability),
            About::Departure => cbor::decode(payload).map(Self::Departure),
            About::Suspicion => cbor::decode(payload).map(Self::Suspicion),
        }
    }

    /// Of whom a record speaks that does not speak of its origin.
    pub(super) fn subject(about: About, payload: &[u8]) -> Option<NodeId> {
        match about {
            About::Suspicion => cbor::decode::<Suspicion>(payload).ok().map(|suspicion| suspicion.subject),
            About::Peer | About::Capability | About::Departure => None,
        }
    }

    pub(super) const fn about(&self) -> About {
        match self {
            Self::Peer(_) => About::Peer,
            Self::Capability(_) => About::Capability,
            Self::Departure(_) => About::Departure,
            Self::Suspicion(_) => About::Suspicion,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Peer(record) => cbor::encode(record),
            Self::Capability(record) => cbor::encode(record),
            Self::Departure(departure) => cbor::encode(departure),
            Self::Suspicion(suspicion) => cbor::encode(suspicion),
        }
    }

    /// Whom it concerns.
    pub(super) fn concerns(&self) -> Topics {
        match self {
            Self::Peer(_) => Topics::none(),
            Self::Capability(CapabilityRecord { topics, .. })
            | Self::Departure(Departure { topics })
            | Self::Suspicion(Suspicion { topics, .. }) => topics.clone(),
        }
    }
}
