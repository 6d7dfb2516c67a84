//! One operator with many names: each links inward to the victim, says that it is a gateway, and does nothing for anybody.
//!
//! What must hold: they compete for places with each other, so that whoever is honest gets in; they are no more of the
//! victim's peers than their networks allow; whoever was served before goes on being served.

use labman_proto_core::machine::{LinkId, StreamId};
use labman_proto_core::time::Span;

use super::desk::{Desk, Plan, There};
use super::swarm::{Controls, peer_record};

#[derive(Default)]
pub(super) struct SybilSwarm {
    controls: Controls,
}

impl Plan for SybilSwarm {
    fn acts(&mut self, desk: &mut Desk) -> Span {
        if desk.links() == 0 {
            desk.fired();
            desk.dial_mesh();
        }
        for control in self.controls.open(desk) {
            let record = peer_record(desk, desk.aim.me);
            desk.send(control, record);
        }
        Span::from_millis(2_000 + desk.draws.below(6_000))
    }

    fn linked(&mut self, desk: &mut Desk, link: LinkId, there: Option<There>) {
        self.controls.linked(desk, link, there);
    }

    fn opened(&mut self, desk: &mut Desk, stream: StreamId, there: There) {
        self.controls.opened(desk, stream, there);
    }
}
