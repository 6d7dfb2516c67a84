//! The HTTP exchanges under way: their bodies while they come in, and who still waits for an answer.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::http::{Body, RequestHead, Surface, TooLong};
use crate::limits::{PORTAL_BODY, PORTAL_EXCHANGES};
use crate::machine::{Outbox, StreamId};

use super::answer::{Answer, Refused};

#[derive(Default)]
pub(super) struct Exchanges {
    under_way: BTreeMap<StreamId, Exchange>,
}

enum Exchange {
    Reading(Surface, RequestHead, Body),
    Answering,
    /// The caller left while we were at it: still counted, so that leaving early buys nobody more work than staying.
    Left,
}

/// A whole request.
pub(super) struct Call {
    pub(super) surface: Surface,
    pub(super) head: RequestHead,
    pub(super) body: Vec<u8>,
}

impl Call {
    pub(super) fn path(&self) -> &str {
        self.head.path.split('?').next().unwrap_or_default()
    }

    pub(super) fn query(&self) -> &str {
        self.head.path.split_once('?').map_or("", |(_, query)| query)
    }
}

impl Exchanges {
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    pub(super) fn begin(&mut self, stream: StreamId, surface: Surface, head: RequestHead, out: &mut Outbox) {
        if self.under_way.len() >= PORTAL_EXCHANGES {
            return Refused::unavailable("too many calls at once; ask again").answer().send(stream, out);
        }
        self.under_way.insert(stream, Exchange::Reading(surface, head, Body::up_to(PORTAL_BODY)));
    }

    pub(super) fn bytes(&mut self, stream: StreamId, bytes: &[u8], out: &mut Outbox) {
        // Of a call that was answered before its end the rest is not read: no credit is granted for it.
        let Some(Exchange::Reading(_, _, body)) = self.under_way.get_mut(&stream) else { return };
        match body.push(bytes) {
            Ok(()) => out.grant(stream, bytes.len()),
            Err(TooLong) => {
                self.under_way.remove(&stream);
                let message = alloc::format!("a body has at most {PORTAL_BODY} bytes");
                Refused::bad_request(message).answer_with(413).send(stream, out);
            }
        }
    }

    pub(super) fn finished(&mut self, stream: StreamId) -> Option<Call> {
        let exchange = self.under_way.get_mut(&stream)?;
        match core::mem::replace(exchange, Exchange::Answering) {
            Exchange::Reading(surface, head, mut body) => Some(Call { surface, head, body: body.take() }),
            Exchange::Answering => None,
            Exchange::Left => {
                *exchange = Exchange::Left;
                None
            }
        }
    }

    pub(super) fn reset(&mut self, stream: StreamId) {
        match self.under_way.get_mut(&stream) {
            Some(Exchange::Reading(..)) => {
                self.under_way.remove(&stream);
            }
            Some(exchange @ Exchange::Answering) => *exchange = Exchange::Left,
            Some(Exchange::Left) | None => {}
        }
    }

    /// Answers, unless the caller left.
    pub(super) fn answer(&mut self, stream: StreamId, answer: Answer, out: &mut Outbox) {
        match self.under_way.remove(&stream) {
            Some(Exchange::Reading(..) | Exchange::Answering) => answer.send(stream, out),
            Some(Exchange::Left) | None => {}
        }
    }
}
