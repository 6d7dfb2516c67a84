//! Strangers who come in numbers, each with a key of its own: links that say hello and then anything, streams opened and
//! left, garbage, records of origins that nobody ever met.
//!
//! What must hold: strangers are heard like anybody else and no further: garbage costs its stream or link; the tables of
//! links and records have their caps; whoever was served before goes on being served.

use labman_proto_core::identity::NodeId;
use labman_proto_core::machine::{LinkId, StreamId};
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Header, Kind};
use labman_proto_core::wire::mesh::{Features, Hello, PeerRecord};
use labman_proto_core::wire::topic::Topics;

use super::craft;
use super::desk::{Desk, Plan, There};

/// Records of made-up origins that one stranger tells in its life. All but leaves pass them on.
const RECORDS: u32 = 60;
/// Streams that one stranger holds: real drivers allow a peer 128.
const STREAMS: usize = 64;

#[derive(Default)]
pub(super) struct StrangerFlood {
    controls: Vec<(LinkId, StreamId)>,
    told: u32,
}

impl Plan for StrangerFlood {
    fn acts(&mut self, desk: &mut Desk) -> Span {
        self.controls.retain(|(_, control)| desk.may_send(*control));
        if self.controls.is_empty() && desk.links() == 0 {
            desk.dial_mesh();
        }
        if let Some((link, control)) = self.controls.first().copied() {
            if self.told < RECORDS {
                self.told += 1;
                desk.fired();
                let record = made_up_record(desk);
                desk.send(control, record);
            }
            if desk.streams().len() < STREAMS {
                desk.fired();
                self.misuse(desk, link);
            }
            if desk.once_in(40) {
                // Costs the link; the next one comes.
                let garbage: [u8; 64] = desk.draws.bytes();
                desk.send(control, garbage.to_vec());
            }
        }
        Span::from_millis(100 + desk.draws.below(900))
    }

    fn linked(&mut self, desk: &mut Desk, link: LinkId, there: Option<There>) {
        let Some(There { node_id, binding, .. }) = there else { return };
        let (features, software) = (Features(u64::MAX), "\u{202e}stranger".repeat(50));
        let hello = cbor::encode(&Hello { features, software, interest: Topics::All, binding });
        let me = desk.aim.identity.node_id();
        let header = Header { seq: 1, dest: Some(node_id), ..header(desk, Kind::Hello as u16, me) };
        let frame = craft::signed(&desk.aim.identity, header, &hello);
        let control = desk.open(link);
        desk.send(control, frame);
        self.controls.push((link, control));
    }
}

impl StrangerFlood {
    fn misuse(&mut self, desk: &mut Desk, link: LinkId) {
        let stream = desk.open(link);
        let rest = craft::random_cbor(&mut desk.draws);
        match desk.draws.below(6) {
            // Opened, and nothing more.
            0 => {}
            1 => desk.send(stream, rest),
            2 => desk.send(stream, craft::raw(1, 16, &rest)),
            3 => {
                desk.send(stream, craft::light(Kind::Body as u16, &rest));
                desk.finish(stream);
            }
            4 => desk.finish(stream),
            _ => desk.reset(stream),
        }
    }
}

fn header(desk: &Desk, kind: u16, sender: NodeId) -> Header {
    Header {
        kind,
        net_id: desk.aim.network.id,
        sender,
        dest: None,
        incarnation: u64::MAX,
        seq: u64::MAX,
        issued: desk.now.wall,
        ttl_s: 1800,
    }
}

/// A good record by a key that was made a moment ago.
fn made_up_record(desk: &mut Desk) -> Vec<u8> {
    let origin = desk.new_key();
    let record = PeerRecord {
        gateway: desk.once_in(2),
        provider: desk.once_in(2),
        addresses: vec![format!("9.{}.0.7:4433", desk.draws.below(256))],
        public_endpoint: Some("http://nobody.example".into()),
        feps: Vec::new(),
        witnesses: Vec::new(),
        interest: Topics::All,
    };
    craft::signed(&origin, header(desk, Kind::PeerRecord as u16, origin.node_id()), &cbor::encode(&record))
}
