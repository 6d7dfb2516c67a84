//! The manners in which an answer is given: as events, put together, as a response's items, as a list of vectors.

use alloc::{borrow::ToOwned, collections::BTreeMap, string::String, vec::Vec};

use crate::economics::Counts;
use crate::mutants::{Mutant, mutant};
use crate::openai::answer::response::Response;
use crate::openai::answer::vectors::{Embedding, LIST_BEGIN, list_end};
use crate::openai::answer::{Assembly, Frame, Piece, last_events};
use crate::openai::error::ApiError;
use crate::openai::request::{Request, Vectors};
use crate::openai::task::{Call, Task};

/// Bytes of text that a vector counts as: it is a token.
pub(in crate::gateway) const VECTOR: usize = 1;

/// Why a chunk can't be passed on.
pub(in crate::gateway) enum Unfit {
    /// A provider must not send it.
    Provider(&'static str),
    /// It is not what the user asked for, and nobody's mistake.
    User(ApiError),
}

impl From<&'static str> for Unfit {
    fn from(what: &'static str) -> Self {
        Self::Provider(what)
    }
}

/// As what an answer's bytes reach its user.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    /// At its end, with its length.
    Whole,
    Events,
    /// One JSON document, in pieces.
    InPieces,
}

pub(super) trait Manner: Send {
    fn goes(&self) -> Goes;

    /// Takes in a chunk; what a user gets of it at once is appended to `out`. Gives the bytes of text in it.
    fn chunk(&mut self, frame: &Frame, data: &[u8], out: &mut Vec<u8>) -> Result<usize, Unfit>;

    /// Whether something came of every answer. Of one answer, nothing may be all that there is to say.
    fn has_all(&self, frame: &Frame) -> bool;

    /// What is still to be sent.
    fn end(&mut self, frame: &Frame, counts: &Counts) -> Vec<u8>;

    /// The same where it breaks, once it has begun. `None`: it can't be said so that nobody takes it for whole.
    fn broken(&mut self, frame: &Frame, why: &ApiError) -> Option<Vec<u8>>;
}

pub(super) fn of(request: &Request) -> alloc::boxed::Box<dyn Manner> {
    use alloc::boxed::Box;
    match request.task {
        _ if request.call == Call::Response => {
            let response = Response::new(request.stream, request.repeated.clone());
            Box::new(AsResponse { streams: request.stream, response })
        }
        Task::Embedding => Box::new(List { vectors: request.vectors, next: 0, dimensions: 0 }),
        Task::Chat | Task::Completion if request.stream => Box::new(Stream { answers: BTreeMap::new() }),
        Task::Chat | Task::Completion => Box::new(Whole(Assembly::default())),
    }
}

/// A stream of chunks.
struct Stream {
    /// Of those answers of which something was sent: why they are over, where they are. That is held back until the
    /// provider's end proves that all is whole: an SDK takes it for the end.
    answers: BTreeMap<u32, Option<String>>,
}

impl Manner for Stream {
    fn goes(&self) -> Goes {
        Goes::Events
    }

    fn chunk(&mut self, frame: &Frame, data: &[u8], out: &mut Vec<u8>) -> Result<usize, Unfit> {
        let Some(piece) = Piece::parse(frame, data)? else { return Ok(0) };
        let answers = &mut self.answers;
        let begins = |answer| {
            let begins = !answers.contains_key(&answer);
            answers.entry(answer).or_default();
            begins
        };
        let event = piece.events(frame, begins);
        out.extend(if mutant(Mutant::ChunkTwice) { event.repeat(2) } else { event });
        for (answer, reason) in piece.finish_reasons() {
            self.answers.insert(answer, Some(reason.to_owned()));
        }
        Ok(piece.text_bytes)
    }

    fn has_all(&self, frame: &Frame) -> bool {
        frame.answers == 1 || self.answers.len() == frame.answers as usize
    }

    fn end(&mut self, frame: &Frame, counts: &Counts) -> Vec<u8> {
        let over = self.answers.iter().filter_map(|(answer, reason)| Some((*answer, reason.as_deref()?)));
        last_events(frame, over, counts)
    }

    fn broken(&mut self, _: &Frame, why: &ApiError) -> Option<Vec<u8>> {
        Some(why.event())
    }
}

/// Put together.
struct Whole(Assembly);

impl Manner for Whole {
    fn goes(&self) -> Goes {
        Goes::Whole
    }

    fn chunk(&mut self, frame: &Frame, data: &[u8], _: &mut Vec<u8>) -> Result<usize, Unfit> {
        let Some(piece) = Piece::parse(frame, data)? else { return Ok(0) };
        let text_bytes = piece.text_bytes;
        self.0.add(frame, piece)?;
        if self.0.is_too_much() {
            return Err(too_long("The answer is too long to be put together: ask for a stream."));
        }
        Ok(text_bytes)
    }

    fn has_all(&self, frame: &Frame) -> bool {
        frame.answers == 1 || self.0.has_all(frame)
    }

    fn end(&mut self, frame: &Frame, counts: &Counts) -> Vec<u8> {
        core::mem::take(&mut self.0).whole(frame, counts)
    }

    fn broken(&mut self, _: &Frame, _: &ApiError) -> Option<Vec<u8>> {
        None
    }
}

/// A response, as its events or whole.
struct AsResponse {
    streams: bool,
    response: Response,
}

impl Manner for AsResponse {
    fn goes(&self) -> Goes {
        if self.streams { Goes::Events } else { Goes::Whole }
    }

    fn chunk(&mut self, frame: &Frame, data: &[u8], out: &mut Vec<u8>) -> Result<usize, Unfit> {
        let Some(piece) = Piece::parse(frame, data)? else { return Ok(0) };
        let text_bytes = piece.text_bytes;
        self.response.add(frame, piece, out)?;
        if self.response.is_too_much() {
            return Err(too_long("The answer is too long to be repeated at its end: ask for a chat."));
        }
        Ok(text_bytes)
    }

    fn has_all(&self, _: &Frame) -> bool {
        true
    }

    fn end(&mut self, frame: &Frame, counts: &Counts) -> Vec<u8> {
        self.response.end(frame, counts)
    }

    fn broken(&mut self, frame: &Frame, why: &ApiError) -> Option<Vec<u8>> {
        Some(self.response.broken(frame, why))
    }
}

/// Vectors, sent as they come.
struct List {
    vectors: Vectors,
    next: u32,
    /// Of the first.
    dimensions: usize,
}

impl Manner for List {
    fn goes(&self) -> Goes {
        Goes::InPieces
    }

    fn chunk(&mut self, frame: &Frame, data: &[u8], out: &mut Vec<u8>) -> Result<usize, Unfit> {
        let embedding = Embedding::parse(data)?;
        if embedding.number != self.next || self.next >= frame.answers {
            return Err(Unfit::Provider("embeddings do not come in order"));
        }
        if self.next > 0 && embedding.dimensions() != self.dimensions {
            return Err(Unfit::Provider("embeddings of one list have different dimensions"));
        }
        self.dimensions = embedding.dimensions();
        let entry = embedding.entry(self.vectors).map_err(Unfit::User)?;
        out.extend_from_slice(if self.next == 0 { LIST_BEGIN } else { b"," });
        out.extend(entry);
        self.next += 1;
        Ok(VECTOR)
    }

    fn has_all(&self, frame: &Frame) -> bool {
        self.next == frame.answers
    }

    fn end(&mut self, frame: &Frame, counts: &Counts) -> Vec<u8> {
        list_end(frame, counts)
    }

    /// Half a list is no JSON; cut off, nobody takes it for one.
    fn broken(&mut self, _: &Frame, _: &ApiError) -> Option<Vec<u8>> {
        None
    }
}

fn too_long(message: &str) -> Unfit {
    Unfit::User(ApiError::new(502, Some("answer_too_long"), message))
}
