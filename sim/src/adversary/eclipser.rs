//! One operator that wants to be all that a victim sees: some of its names link inward and tell the victim of the others, as
//! many as it will hear, and those wait to be called.
//!
//! What must hold: no neighbour and no network has more than its share of the victim's peers, so that some of them stay
//! honest; of one network only one is called; when the victim loses everybody it reaches somebody honest again.

use labman_proto_core::machine::{LinkId, StreamId};
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::Shuffle;
use labman_proto_core::wire::topic::Topics;

use super::desk::{Desk, Plan, There};
use super::swarm::{Controls, peer_record};

/// One in so many links inward. The others do not: who is a neighbour already is not called.
const TELLERS: usize = 4;
/// Peers told at once: as many as are heard.
const TOLD: usize = 8;

#[derive(Default)]
pub(super) struct Eclipser {
    controls: Controls,
}

impl Plan for Eclipser {
    fn acts(&mut self, desk: &mut Desk) -> Span {
        if desk.aim.me.is_multiple_of(TELLERS) && desk.links() == 0 {
            desk.dial_mesh();
        }
        for control in self.controls.open(desk) {
            desk.fired();
            let names = desk.aim.swarm.len() as u64;
            let told = (0..TOLD).map(|_| desk.draws.below(names) as usize).collect::<Vec<_>>();
            let peers = told.into_iter().map(|member| Blob(peer_record(desk, member))).collect();
            let shuffle = Shuffle { peers, answer: false, topics: Topics::All };
            self.controls.say(desk, control, Kind::Shuffle, &cbor::encode(&shuffle));
        }
        Span::from_millis(500 + desk.draws.below(1_500))
    }

    fn linked(&mut self, desk: &mut Desk, link: LinkId, there: Option<There>) {
        self.controls.linked(desk, link, there);
    }

    fn opened(&mut self, desk: &mut Desk, stream: StreamId, there: There) {
        self.controls.opened(desk, stream, there);
    }
}
