//! Tells of providers that nobody ever met, more of them than a node may hold: each record by a key made a moment ago.
//!
//! What must hold: what strangers bring has its bounds, and takes the place of what strangers brought: who was known before
//! stays known.

use labman_proto_core::machine::LinkId;
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::{Header, Kind};
use labman_proto_core::wire::mesh::{CapabilityRecord, Hosted};
use labman_proto_core::wire::topic::Topics;

use super::craft;
use super::desk::{Desk, Plan, There};
use super::swarm::{Controls, header};

/// Records that one of them tells as fast as they are heard: a few of them together fill any table.
const AT_FIRST: u32 = 6_000;
const AT_ONCE: u32 = 100;

#[derive(Default)]
pub(super) struct RecordFlooder {
    controls: Controls,
    told: u32,
}

impl Plan for RecordFlooder {
    fn acts(&mut self, desk: &mut Desk) -> Span {
        if desk.links() == 0 {
            desk.dial_mesh();
        }
        let many = if self.told < AT_FIRST { AT_ONCE } else { 1 };
        for control in self.controls.open(desk) {
            for _ in 0..many {
                self.told += 1;
                desk.fired();
                let record = made_up(desk);
                desk.send(control, record);
            }
        }
        if self.told < AT_FIRST { Span::from_millis(100) } else { Span::from_millis(500) }
    }

    fn linked(&mut self, desk: &mut Desk, link: LinkId, there: Option<There>) {
        self.controls.linked(desk, link, there);
    }
}

fn made_up(desk: &mut Desk) -> Vec<u8> {
    let origin = desk.new_key();
    let hosted = vec![Hosted { offer: Blob(b"nobody serves this".to_vec()), slots: 1, queue: 0 }];
    let record = CapabilityRecord { hosted, witnesses: Vec::new(), topics: Topics::All };
    let header = Header { sender: origin.node_id(), ..header(desk, Kind::CapabilityRecord) };
    craft::signed(&origin, header, &cbor::encode(&record))
}
