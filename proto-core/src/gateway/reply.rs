//! How an answer goes to its user: as a stream of events, or put together.

use alloc::{borrow::ToOwned, format, string::String, string::ToString, vec::Vec};

use crate::economics::{Counts, Price};
use crate::http::ResponseHead;
use crate::identity::NodeId;
use crate::machine::StreamId;
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::openai::answer::{Assembly, Frame, Piece, error_event, last_events};
use crate::openai::error::{ApiError, Retry};
use crate::openai::request::ChatRequest;
use crate::time::Wall;
use crate::wire::ids::RequestId;
use crate::wire::portal::Offer;

pub(super) struct Reply {
    id: RequestId,
    frame: Frame,
    mode: Mode,
    ignored: String,
    provider: String,
    slug: String,
    price: String,
    policy: String,
    attempts: usize,
}

enum Mode {
    Stream {
        begun: bool,
        /// Held back until the provider's end proves that the answer is whole: an SDK takes it for the end.
        finish_reason: Option<String>,
    },
    Whole(Assembly),
}

impl Reply {
    pub(super) fn new(request: &ChatRequest, id: RequestId, policy: &str, now: Wall) -> Self {
        let mode = if request.stream {
            Mode::Stream { begun: false, finish_reason: None }
        } else {
            Mode::Whole(Assembly::default())
        };
        let frame = Frame {
            id: format!("chatcmpl-{id}"),
            model: request.model.clone(),
            created_s: now.0 / 1_000,
            include_usage: request.include_usage,
        };
        let ignored = request.ignored.join(", ");
        let (provider, slug, price) = (String::new(), String::new(), String::new());
        Self { id, frame, mode, ignored, provider, slug, price, policy: policy.to_owned(), attempts: 0 }
    }

    pub(super) fn served_by(&mut self, provider: NodeId, offer: &Offer, attempts: usize) {
        let Price { input_per_mtok, cached_per_mtok, output_per_mtok, per_request } = offer.price;
        self.price = format!(
            "input={input_per_mtok} cached={cached_per_mtok} output={output_per_mtok} request={per_request} {}",
            offer.payout.currency
        );
        (self.provider, self.slug, self.attempts) = (provider.to_string(), offer.slug.clone(), attempts);
    }

    /// Takes in a piece; what a stream's user gets of it is appended to `sse`.
    pub(super) fn piece(&mut self, piece: Piece, sse: &mut Vec<u8>) -> Result<(), &'static str> {
        match &mut self.mode {
            Mode::Stream { finish_reason, .. } => {
                let event = piece.event(&self.frame).unwrap_or_default();
                sse.extend(if mutant(Mutant::ChunkTwice) { event.repeat(2) } else { event });
                if let Some(reason) = piece.finish_reason() {
                    *finish_reason = Some(reason.to_owned());
                }
            }
            Mode::Whole(assembly) => assembly.add(piece)?,
        }
        Ok(())
    }

    /// Sends events; the head goes with the first.
    pub(super) fn flush(&mut self, cx: &mut Cx<'_>, user: StreamId, sse: Vec<u8>) {
        if sse.is_empty() {
            return;
        }
        self.begin(cx, user);
        cx.send(user, sse);
    }

    pub(super) fn end(&mut self, cx: &mut Cx<'_>, user: StreamId, counts: &Counts) {
        if let Mode::Whole(assembly) = &mut self.mode {
            let body = core::mem::take(assembly).whole(&self.frame, counts);
            let head = self.head("application/json");
            return cx.respond_whole(user, head, body);
        }
        self.begin(cx, user);
        let reason = match &self.mode {
            Mode::Stream { finish_reason, .. } => finish_reason.as_deref(),
            Mode::Whole(_) => None,
        };
        cx.send(user, last_events(&self.frame, reason, counts));
        cx.finish(user);
    }

    pub(super) fn break_off(
        &mut self,
        cx: &mut Cx<'_>,
        user: StreamId,
        id: RequestId,
        code: &'static str,
        message: &str,
    ) {
        match self.mode {
            Mode::Stream { begun: true, .. } => {
                cx.send(user, error_event(code, message));
                cx.finish(user);
            }
            Mode::Stream { begun: false, .. } | Mode::Whole(_) => {
                error(cx, user, id, &ApiError::new(502, Some(code), message).with_retry(Retry::Default));
            }
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>, user: StreamId) {
        if let Mode::Stream { begun: begun @ false, .. } = &mut self.mode {
            *begun = true;
            let head = self.head("text/event-stream");
            cx.respond(user, head.with("cache-control", "no-cache").with("x-accel-buffering", "no"));
        }
    }

    fn head(&self, content_type: &str) -> ResponseHead {
        let head = cors(ResponseHead::new(200), self.id)
            .with("content-type", content_type)
            .with("x-labman-provider", &self.provider)
            .with("x-labman-model", &header_safe(&self.slug))
            .with("x-labman-price", &self.price)
            .with("x-labman-policy", &self.policy)
            .with("x-labman-attempts", &self.attempts.to_string());
        if self.ignored.is_empty() { head } else { head.with("x-labman-ignored-fields", &self.ignored) }
    }
}

pub(super) fn error(cx: &mut Cx<'_>, user: StreamId, id: RequestId, error: &ApiError) {
    let head = error.head(&format!("req_{id}")).with("access-control-allow-origin", "*");
    cx.respond_whole(user, head, error.body());
}

pub(super) fn json(cx: &mut Cx<'_>, user: StreamId, id: RequestId, value: &serde_json::Value) {
    let head = cors(ResponseHead::new(200), id).with("content-type", "application/json");
    cx.respond_whole(user, head, serde_json::to_vec(value).unwrap_or_default());
}

/// Headers that every answer has, and that a browser's preflight asks for.
pub(super) fn cors(head: ResponseHead, id: RequestId) -> ResponseHead {
    head.with("x-request-id", &format!("req_{id}"))
        .with("access-control-allow-origin", "*")
        .with("access-control-allow-methods", "GET, POST, OPTIONS")
        .with("access-control-allow-headers", "*")
        .with("access-control-expose-headers", "*")
}

/// A provider chose this text: only what may stand in a header is kept.
fn header_safe(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(256).collect()
}
