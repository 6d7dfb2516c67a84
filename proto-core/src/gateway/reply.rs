//! How an answer goes to its user: as a stream of events, or put together.

use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, string::ToString, vec::Vec};

use crate::economics::{Counts, Price};
use crate::http::ResponseHead;
use crate::identity::NodeId;
use crate::machine::{ResetCode, StreamId};
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::openai::answer::response::Response;
use crate::openai::answer::vectors::{Embedding, LIST_BEGIN, list_end};
use crate::openai::answer::{Assembly, Frame, Piece, error_event, last_events};
use crate::openai::error::ApiError;
use crate::openai::request::{Request, Vectors};
use crate::openai::task::{Call, Task};
use crate::time::Wall;
use crate::wire::ids::RequestId;
use crate::wire::portal::Offer;

/// Bytes of text that a vector counts as: it is a token.
pub(super) const VECTOR: usize = 1;

/// Why a chunk can't be passed on.
pub(super) enum Unfit {
    /// A provider must not send it.
    Provider(&'static str),
    /// It is not what the user asked for, and nobody's mistake.
    User(ApiError),
}

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
        /// Of those answers of which something was sent: why they are over, where they are. That is held back until the
        /// provider's end proves that all is whole: an SDK takes it for the end.
        answers: BTreeMap<u32, Option<String>>,
    },
    Whole(Assembly),
    Response {
        begun: bool,
        streams: bool,
        response: Response,
    },
    /// Vectors, sent as they come.
    List {
        begun: bool,
        vectors: Vectors,
        next: u32,
        /// Of the first.
        dimensions: usize,
    },
}

impl Reply {
    pub(super) fn new(request: &Request, id: RequestId, policy: &str, now: Wall) -> Self {
        let mode = match request.task {
            _ if request.call == Call::Response => {
                let (streams, response) =
                    (request.stream, Response::new(request.stream, request.repeated.clone()));
                Mode::Response { begun: false, streams, response }
            }
            Task::Embedding => Mode::List { begun: false, vectors: request.vectors, next: 0, dimensions: 0 },
            Task::Chat | Task::Completion if request.stream => {
                Mode::Stream { begun: false, answers: BTreeMap::new() }
            }
            Task::Chat | Task::Completion => Mode::Whole(Assembly::default()),
        };
        let frame = Frame {
            task: request.task,
            id: format!("{}{id}", request.call.id_begins()),
            model: request.model.clone(),
            created_s: now.0 / 1_000,
            include_usage: request.include_usage,
            answers: request.answers(),
            echo: request.echo.clone(),
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

    /// Takes in a chunk; what a user gets of it at once is appended to `out`. Gives the bytes of text in it.
    pub(super) fn chunk(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<usize, Unfit> {
        let of_provider = |what| Unfit::Provider(what);
        if let Mode::List { vectors, next, dimensions, .. } = &mut self.mode {
            let embedding = Embedding::parse(data).map_err(of_provider)?;
            if embedding.number != *next || *next >= self.frame.answers {
                return Err(Unfit::Provider("embeddings do not come in order"));
            }
            if *next > 0 && embedding.dimensions() != *dimensions {
                return Err(Unfit::Provider("embeddings of one list have different dimensions"));
            }
            *dimensions = embedding.dimensions();
            let entry = embedding.entry(*vectors).map_err(Unfit::User)?;
            out.extend_from_slice(if *next == 0 { LIST_BEGIN } else { b"," });
            out.extend(entry);
            *next += 1;
            return Ok(VECTOR);
        }
        let Some(piece) = Piece::parse(&self.frame, data).map_err(of_provider)? else { return Ok(0) };
        let text_bytes = piece.text_bytes;
        match &mut self.mode {
            Mode::Stream { answers, .. } => {
                let begins = |answer| {
                    let begins = !answers.contains_key(&answer);
                    answers.entry(answer).or_default();
                    begins
                };
                let event = piece.events(&self.frame, begins);
                out.extend(if mutant(Mutant::ChunkTwice) { event.repeat(2) } else { event });
                for (answer, reason) in piece.finish_reasons() {
                    answers.insert(answer, Some(reason.to_owned()));
                }
            }
            Mode::Whole(assembly) => {
                assembly.add(&self.frame, piece).map_err(of_provider)?;
                if assembly.is_too_much() {
                    let message = "The answer is too long to be put together: ask for a stream.";
                    return Err(Unfit::User(ApiError::new(502, Some("answer_too_long"), message)));
                }
            }
            Mode::Response { response, .. } => {
                response.add(&self.frame, piece, out).map_err(of_provider)?;
                if response.is_too_much() {
                    let message = "The answer is too long to be repeated at its end: ask for a chat.";
                    return Err(Unfit::User(ApiError::new(502, Some("answer_too_long"), message)));
                }
            }
            Mode::List { .. } => {}
        }
        Ok(text_bytes)
    }

    /// Whether something came of every answer. Of one answer, nothing may be all that there is to say.
    pub(super) fn has_all(&self) -> bool {
        let answers = self.frame.answers;
        match &self.mode {
            Mode::List { next, .. } => *next == answers,
            Mode::Stream { answers: begun, .. } => answers == 1 || begun.len() == answers as usize,
            Mode::Whole(assembly) => answers == 1 || assembly.has_all(&self.frame),
            Mode::Response { .. } => true,
        }
    }

    /// Sends what is to be sent at once; the head goes with the first.
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
        if let Mode::Response { streams: false, response, .. } = &mut self.mode {
            let body = response.end(&self.frame, counts);
            return cx.respond_whole(user, self.head("application/json"), body);
        }
        self.begin(cx, user);
        let last = match &mut self.mode {
            Mode::Stream { answers, .. } => {
                let over = answers.iter().filter_map(|(answer, reason)| Some((*answer, reason.as_deref()?)));
                last_events(&self.frame, over, counts)
            }
            Mode::Response { response, .. } => response.end(&self.frame, counts),
            Mode::List { .. } => list_end(&self.frame, counts),
            Mode::Whole(_) => Vec::new(),
        };
        cx.send(user, last);
        cx.finish(user);
    }

    pub(super) fn break_off(&mut self, cx: &mut Cx<'_>, user: StreamId, id: RequestId, why: &ApiError) {
        match &mut self.mode {
            Mode::Response { begun: true, response, .. } => {
                cx.send(user, response.broken(&self.frame, why));
                cx.finish(user);
            }
            Mode::Stream { begun: true, .. } => {
                cx.send(user, error_event(why.code.unwrap_or("server_error"), &why.message));
                cx.finish(user);
            }
            // Half a list is no JSON; cut off, nobody takes it for one.
            Mode::List { begun: true, .. } => cx.reset(user, ResetCode::Cancelled),
            Mode::Stream { .. } | Mode::Whole(_) | Mode::Response { .. } | Mode::List { .. } => {
                error(cx, user, id, why);
            }
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>, user: StreamId) {
        let is_list = matches!(self.mode, Mode::List { .. });
        if let Mode::Stream { begun: begun @ false, .. }
        | Mode::Response { begun: begun @ false, .. }
        | Mode::List { begun: begun @ false, .. } = &mut self.mode
        {
            *begun = true;
            let head = match is_list {
                true => self.head("application/json"),
                false => self
                    .head("text/event-stream")
                    .with("cache-control", "no-cache")
                    .with("x-accel-buffering", "no"),
            };
            cx.respond(user, head);
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
