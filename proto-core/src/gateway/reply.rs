//! How an answer goes to its user: its head, which says who served it, and its bytes, in whatever manner it was asked for.

mod manner;

use alloc::{borrow::ToOwned, boxed::Box, format, string::String, string::ToString, vec::Vec};

use manner::{Goes, Manner};
pub(super) use manner::{Unfit, VECTOR};

use super::quota::Left;
use crate::economics::{Counts, Price};
use crate::http::{RequestHead, ResponseHead};
use crate::identity::NodeId;
use crate::machine::{ResetCode, StreamId};
use crate::node::cx::Cx;
use crate::openai::answer::Frame;
use crate::openai::error::ApiError;
use crate::openai::head::usual;
use crate::openai::request::Request;
use crate::openai::sse::COMMENT;
use crate::time::Wall;
use crate::wire::ids::RequestId;
use crate::wire::portal::Offer;

pub(super) struct Reply {
    id: RequestId,
    frame: Frame,
    manner: Box<dyn Manner>,
    /// Its head is sent.
    begun: bool,
    ignored: String,
    policy: String,
    served_by: Option<ServedBy>,
    left: Option<Left>,
}

struct ServedBy {
    provider: NodeId,
    slug: String,
    /// `None`: it costs nothing.
    price: Option<String>,
    attempts: usize,
}

impl Reply {
    pub(super) fn new(request: &Request, id: RequestId, policy: &str, left: Option<Left>, now: Wall) -> Self {
        let frame = Frame {
            task: request.task,
            id: format!("{}{id}", request.call.id_begins()),
            model: request.model.clone(),
            created_s: now.0 / 1_000,
            include_usage: request.include_usage,
            answers: request.answers(),
            echo: request.echo.clone(),
        };
        let (manner, ignored) = (manner::of(request), request.ignored.join(", "));
        Self { id, frame, manner, begun: false, ignored, policy: policy.to_owned(), served_by: None, left }
    }

    pub(super) fn served_by(&mut self, provider: NodeId, offer: &Offer, attempts: usize) {
        let Price { input_per_mtok, cached_per_mtok, output_per_mtok, per_request } = offer.price;
        let price = format!(
            "input={input_per_mtok} cached={cached_per_mtok} output={output_per_mtok} request={per_request} {}",
            offer.payout.currency
        );
        self.served_by = Some(ServedBy { provider, slug: offer.slug.clone(), price: Some(price), attempts });
    }

    /// By this node itself, for nothing.
    pub(super) fn served_here(&mut self, me: NodeId, slug: &str, attempts: usize) {
        self.served_by = Some(ServedBy { provider: me, slug: slug.to_owned(), price: None, attempts });
    }

    /// Takes in a chunk; what a user gets of it at once is appended to `out`. Gives the bytes of text in it.
    pub(super) fn chunk(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<usize, Unfit> {
        self.manner.chunk(&self.frame, data, out)
    }

    /// Whether something came of every answer. Of one answer, nothing may be all that there is to say.
    pub(super) fn has_all(&self) -> bool {
        self.manner.has_all(&self.frame)
    }

    /// It is one of events, between which others may stand.
    pub(super) fn is_events(&self) -> bool {
        self.manner.goes() == Goes::Events
    }

    /// Sends what is to be sent at once; the head goes with the first.
    pub(super) fn flush(&mut self, cx: &mut Cx<'_>, user: StreamId, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        self.begin(cx, user);
        cx.send(user, bytes);
    }

    /// Sends what means nothing. A head that goes with it does not say who serves: that may still change.
    pub(super) fn keep_alive(&mut self, cx: &mut Cx<'_>, user: StreamId) {
        if !self.begun {
            let served_by = self.served_by.take();
            self.begin(cx, user);
            self.served_by = served_by;
        }
        cx.send(user, COMMENT.to_vec());
    }

    pub(super) fn end(&mut self, cx: &mut Cx<'_>, user: StreamId, counts: &Counts) {
        let last = self.manner.end(&self.frame, counts);
        if self.manner.goes() == Goes::Whole {
            return cx.respond_whole(user, self.head(), last);
        }
        self.begin(cx, user);
        cx.send(user, last);
        cx.finish(user);
    }

    /// An error answer, or the end of one that has begun.
    pub(super) fn break_off(&mut self, cx: &mut Cx<'_>, user: StreamId, why: &ApiError) {
        if !self.begun {
            return error(cx, user, self.id, self.left.as_ref(), why);
        }
        match self.manner.broken(&self.frame, why) {
            Some(last) => {
                cx.send(user, last);
                cx.finish(user);
            }
            None => cx.reset(user, ResetCode::Cancelled),
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>, user: StreamId) {
        if !core::mem::replace(&mut self.begun, true) {
            cx.respond(user, self.head());
        }
    }

    fn head(&self) -> ResponseHead {
        let head = usual(ResponseHead::new(200), self.id);
        let head = self.left.iter().fold(head, |head, left| left.on(head));
        let head = match self.manner.goes() {
            Goes::Whole | Goes::InPieces => head.with("content-type", "application/json"),
            Goes::Events => head
                .with("content-type", "text/event-stream")
                .with("cache-control", "no-cache")
                .with("x-accel-buffering", "no"),
        };
        let head = head.with("x-labman-policy", &self.policy);
        let head = match &self.served_by {
            Some(by) => {
                let head = head
                    .with("x-labman-provider", &by.provider.to_string())
                    .with("x-labman-model", &header_safe(&by.slug))
                    .with("x-labman-attempts", &by.attempts.to_string());
                by.price.iter().fold(head, |head, price| head.with("x-labman-price", price))
            }
            None => head,
        };
        if self.ignored.is_empty() { head } else { head.with("x-labman-ignored-fields", &self.ignored) }
    }
}

/// An error answer. `left`: of the limits of whose request it is.
pub(super) fn error(cx: &mut Cx<'_>, user: StreamId, id: RequestId, left: Option<&Left>, error: &ApiError) {
    let head = error.on(usual(ResponseHead::json(error.status), id));
    let head = match left {
        Some(left) => left.on(head),
        None => head,
    };
    cx.respond_whole(user, head, error.body());
}

/// What is answered from memory, to whoever asks. Of `HEAD`, all but the body.
pub(super) fn at_once(
    cx: &mut Cx<'_>,
    user: StreamId,
    id: RequestId,
    asked: &RequestHead,
    answer: &Result<serde_json::Value, ApiError>,
) {
    let (head, body) = match answer {
        Ok(value) => (ResponseHead::json(200), serde_json::to_vec(value).unwrap_or_default()),
        Err(error) => (error.on(ResponseHead::json(error.status)), error.body()),
    };
    let head = usual(head, id);
    if asked.method == "HEAD" {
        cx.respond(user, head.with("content-length", &body.len().to_string()));
        return cx.finish(user);
    }
    cx.respond_whole(user, head, body);
}

pub(super) fn preflight(cx: &mut Cx<'_>, user: StreamId, id: RequestId) {
    cx.respond_whole(user, usual(ResponseHead::new(204), id), Vec::new());
}

/// A provider chose this text: only what may stand in a header is kept.
fn header_safe(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(256).collect()
}
