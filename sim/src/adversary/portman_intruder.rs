//! Wants to be a Portman of somebody else's: sockets with wrong tokens, empty ones, endless ones; says hello, claims
//! models, sends chunks for jobs that are not its own, and lines without end.
//!
//! What must hold: without the token nothing that it says is heard, and its socket is closed; the real Portman's socket,
//! models and jobs stay as they are.

use labman_proto_core::machine::LinkId;
use labman_proto_core::time::Span;

use super::desk::{Desk, Plan, There};

const LINKS: usize = 8;

#[derive(Default)]
pub(super) struct PortmanIntruder;

impl Plan for PortmanIntruder {
    fn acts(&mut self, desk: &mut Desk) -> Span {
        if desk.links() < LINKS {
            let token = match desk.draws.below(4) {
                0 => String::new(),
                1 => "t".repeat(1 << 16),
                2 => "\u{0}".into(),
                _ => hex::encode(desk.draws.bytes::<32>()),
            };
            desk.dial_labman(token);
        }
        Span::from_millis(200 + desk.draws.below(800))
    }

    fn linked(&mut self, desk: &mut Desk, link: LinkId, there: Option<There>) {
        if there.is_some() {
            return;
        }
        desk.fired();
        let stream = desk.open(link);
        let line = match desk.draws.below(4) {
            0 => r#"{"type":"hello","models":[{"id":"lantern","context_length":4096,"slots":99}]}"#.into(),
            1 => r#"{"type":"chunk","job":1,"data":"{}","counts":{"input":0,"cached":0,"output":9}}"#.into(),
            2 => "x".repeat(60_000),
            _ => r#"{"type":"failed","job":1,"fault":"busy","message":""}"#.to_owned(),
        };
        desk.send(stream, format!("{line}\n").into_bytes());
    }
}
