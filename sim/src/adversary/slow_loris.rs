//! Takes up room and does nothing with it: HTTP requests whose bodies come a byte at a time, mesh links that never say
//! hello or say it a byte at a time, Portman sockets with wrong tokens.
//!
//! What must hold: links without a hello are closed after ten seconds, sockets with a wrong token at once; what is held
//! of a body is what came of it; others are served as before.

use labman_proto_core::http::RequestHead;
use labman_proto_core::machine::{LinkId, StreamId};
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Header, Kind};
use labman_proto_core::wire::mesh::{Features, Hello};
use labman_proto_core::wire::topic::Topics;

use super::craft;
use super::desk::{Desk, Plan, There};

/// Requests held open, and links: what drivers let one address have.
const REQUESTS: usize = 32;
const LINKS: usize = 16;

#[derive(Default)]
pub(super) struct SlowLoris {
    requests: Vec<StreamId>,
    hellos: Vec<(StreamId, Vec<u8>)>,
}

impl Plan for SlowLoris {
    fn acts(&mut self, desk: &mut Desk) -> Span {
        self.requests.retain(|request| desk.may_send(*request));
        self.hellos.retain(|(hello, _)| desk.may_send(*hello));
        for request in &self.requests {
            desk.fired();
            desk.send(*request, vec![b' ']);
        }
        for (hello, rest) in &mut self.hellos {
            if !rest.is_empty() {
                desk.fired();
                desk.send(*hello, vec![rest.remove(0)]);
            }
        }
        if self.requests.len() < REQUESTS {
            let head = RequestHead::new("POST", "/v1/chat/completions")
                .with("authorization", "Bearer sk-slow")
                .with("content-type", "application/json")
                .with("content-length", "100000");
            self.requests.push(desk.ask(head));
        }
        if desk.links() < LINKS {
            match desk.draws.below(3) {
                0 => {
                    let token = format!("wrong-{}", desk.draws.next_u64());
                    desk.dial_labman(token);
                }
                _ => desk.dial_mesh(),
            }
        }
        Span::from_millis(250 + desk.draws.below(750))
    }

    fn linked(&mut self, desk: &mut Desk, link: LinkId, there: Option<There>) {
        // Half of them are silent.
        let Some(There { node_id, binding, .. }) = there.filter(|_| desk.once_in(2)) else { return };
        let hello =
            Hello { features: Features::OURS, software: "loris".into(), interest: Topics::All, binding };
        let header = Header {
            kind: Kind::Hello as u16,
            net_id: desk.aim.network.id,
            sender: desk.aim.identity.node_id(),
            dest: Some(node_id),
            incarnation: 1,
            seq: 1,
            issued: desk.now.wall,
            ttl_s: 0,
        };
        let frame = craft::signed(&desk.aim.identity, header, &cbor::encode(&hello));
        let control = desk.open(link);
        self.hellos.push((control, frame));
    }
}
