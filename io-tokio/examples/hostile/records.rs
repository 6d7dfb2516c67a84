//! Records of nobody, signed well: each of an origin of its own, made once and thrown by all flooders.

use std::time::{SystemTime, UNIX_EPOCH};

use labman_proto_core::identity::{Identity, NetId};
use labman_proto_core::time::Wall;
use labman_proto_core::wire::cbor::{Blob, encode};
use labman_proto_core::wire::envelope::{Header, Kind, SignedFrame};
use labman_proto_core::wire::mesh::{CapabilityRecord, Hosted};
use labman_proto_core::wire::topic::Topics;

pub(crate) const COUNT: u64 = 30_000;

pub(crate) struct Records(Vec<Vec<u8>>);

impl Records {
    pub(crate) fn new(net_id: NetId, count: u64) -> Self {
        let record = |number: u64| {
            let mut secret = [0x68; 32];
            secret[..8].copy_from_slice(&number.to_be_bytes());
            let origin = Identity::from_secret(&secret);
            // Every twentieth as long as a record may be.
            let filler = "x".repeat(if number.is_multiple_of(20) { 15 * 1024 } else { 64 });
            let hosted = vec![Hosted { offer: Blob(filler.into_bytes()), slots: 1, queue: 0 }];
            let payload = CapabilityRecord { hosted, witnesses: Vec::new(), topics: Topics::All };
            signed(&origin, net_id, Kind::CapabilityRecord, &encode(&payload))
        };
        Self((0..count).map(record).collect())
    }

    /// Without end, from somewhere else for each.
    pub(crate) fn from(&self, start: u64) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice).cycle().skip((start % COUNT) as usize)
    }
}

/// A record as its origin signs it now.
pub(crate) fn signed(origin: &Identity, net_id: NetId, kind: Kind, payload: &[u8]) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let header = Header {
        kind: kind as u16,
        net_id,
        sender: origin.node_id(),
        dest: None,
        incarnation: 1,
        seq: 1,
        issued: Wall(now),
        ttl_s: 1_800,
    };
    SignedFrame::sign(origin, header, payload).into_bytes()
}
