//! What the names of one operator have in common: each greets like a node, says that it is a gateway at its own address,
//! and can say the same of the others, whose keys are the operator's, too.

use std::collections::BTreeMap;

use labman_proto_core::identity::NodeId;
use labman_proto_core::machine::{LinkId, StreamId};
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Header, Kind};
use labman_proto_core::wire::mesh::{Features, Hello, PeerRecord};
use labman_proto_core::wire::topic::Topics;

use super::craft;
use super::desk::{Desk, There};

/// Control streams on which hello was said, with who is at the other end and the number of the last frame.
#[derive(Default)]
pub(super) struct Controls(BTreeMap<StreamId, (NodeId, u64)>);

impl Controls {
    /// Streams on which more can be said.
    pub(super) fn open(&mut self, desk: &Desk) -> Vec<StreamId> {
        self.0.retain(|stream, _| desk.may_send(*stream));
        self.0.keys().copied().collect()
    }

    /// A link came up: on one of its own each opens the control stream.
    pub(super) fn linked(&mut self, desk: &mut Desk, link: LinkId, there: Option<There>) {
        if let Some(there) = there.filter(|there| there.dialled) {
            let control = desk.open(link);
            self.greet(desk, control, there);
        }
    }

    /// The other end opened a stream: on a link of its own, the control stream.
    pub(super) fn opened(&mut self, desk: &mut Desk, stream: StreamId, there: There) {
        if !there.dialled {
            self.greet(desk, stream, there);
        }
    }

    /// Says hello there, and who this is.
    fn greet(&mut self, desk: &mut Desk, stream: StreamId, there: There) {
        let (features, software) = (Features::OURS, "labman 1.0".to_owned());
        let hello = Hello { features, software, interest: Topics::All, binding: there.binding };
        self.0.insert(stream, (there.node_id, 0));
        self.say(desk, stream, Kind::Hello, &cbor::encode(&hello));
        let record = peer_record(desk, desk.aim.me);
        desk.send(stream, record);
    }

    pub(super) fn say(&mut self, desk: &mut Desk, stream: StreamId, kind: Kind, payload: &[u8]) {
        let Some((there, seq)) = self.0.get_mut(&stream) else { return };
        *seq += 1;
        let header = Header { dest: Some(*there), seq: *seq, ttl_s: 0, ..header(desk, kind) };
        let frame = craft::signed(&desk.aim.identity, header, payload);
        desk.send(stream, frame);
    }
}

/// What one of the swarm says of itself, signed a moment ago.
pub(super) fn peer_record(desk: &Desk, member: usize) -> Vec<u8> {
    let Some(member) = desk.aim.swarm.get(member) else { return Vec::new() };
    let record = PeerRecord {
        gateway: true,
        provider: false,
        addresses: vec![member.address.clone()],
        public_endpoint: None,
        feps: vec![desk.aim.fep_id],
        witnesses: Vec::new(),
        interest: Topics::All,
    };
    let identity = (desk.aim.new_key)(&member.secret);
    craft::signed(&identity, header(desk, Kind::PeerRecord), &cbor::encode(&record))
}

/// Of a record: the later it is signed the newer it is.
pub(super) fn header(desk: &Desk, kind: Kind) -> Header {
    Header {
        kind: kind as u16,
        net_id: desk.aim.network.id,
        sender: desk.aim.identity.node_id(),
        dest: None,
        incarnation: 1,
        seq: desk.now.wall.0,
        issued: desk.now.wall,
        ttl_s: 1800,
    }
}
