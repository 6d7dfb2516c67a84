//! Keeps the first record that it heard of each node, when that had no witnesses yet, and tells it again and again: of those
//! that have died since, too.
//!
//! What must hold: an old record of a node that lives is no news, and one of a node that was found dead is none, whatever
//! it says: who is gone stays gone until it says something new itself.

use std::collections::BTreeMap;

use labman_proto_core::identity::NodeId;
use labman_proto_core::machine::StreamId;
use labman_proto_core::wire::envelope::Kind;

use super::craft::Said;
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::Strategy;

/// Records told at a time.
const AT_ONCE: usize = 8;

#[derive(Default)]
pub(super) struct Resurrecter {
    /// As they came.
    first: BTreeMap<NodeId, Vec<u8>>,
}

impl Strategy for Resurrecter {
    fn hears(&mut self, _: &mut Hand, _: StreamId, _: &Way, said: &Said) -> bool {
        if let Some(header) = said.header.filter(|_| said.kind == Kind::CapabilityRecord as u16) {
            self.first.entry(header.sender).or_insert_with(|| said.bytes.clone());
        }
        true
    }

    fn wakes(&mut self, hand: &mut Hand) {
        let first: Vec<Vec<u8>> = self.first.values().cloned().collect();
        for _ in 0..AT_ONCE {
            let Some(record) = hand.pick(&first) else { return };
            for (control, _) in hand.controls() {
                hand.fired();
                hand.send(control, record.clone());
            }
        }
    }
}
