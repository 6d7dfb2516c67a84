//! A toy: the built-in runtime, for trying the mesh without a model. It knows some pages about lanterns on a coast and
//! strings their words together; it understands nothing of what it is asked.
//!
//! It is an OpenAI-compatible HTTP server: `GET /v1/models`, `POST /v1/embeddings` ([`embedding`]), and `POST /v1/chat/completions`
//! and `/v1/completions` (of one prompt), streaming or not, with
//! `seed`, `temperature`, `max_tokens` (or `max_completion_tokens`), `stop` and `stream_options.include_usage`. The same
//! request gives the same text everywhere ([`completion`] says which), one token each `token_every` once it has read the
//! prompt and thought, and no faster than its reader takes them.
//!
//! With several models it also does as llama-server's router: `GET /models` says which are loaded, `POST /models/load` and
//! `POST /models/unload` move one ([`memory`]).
//!
//! What is absent: keys (whoever reaches it may ask), token numbers as a prompt (400), more than one choice (400). All else that a
//! request may have is ignored, though a real runtime would honour it: `tools` and `tool_choice` (it never calls one, not even when it
//! must), `response_format` (its text follows no schema), `logprobs`, images, penalties.

mod answer;
mod chain;
mod completion;
pub mod config;
mod embedding;
mod memory;
#[cfg(test)]
mod tests;
mod text;

pub use chain::Chain;
pub use completion::{Completion, FinishReason, TOKENS_PER_MESSAGE, completion};

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::cell::OnceCell;

use serde_json::{Value, json};

use crate::http::{Body, RequestHead, ResponseHead, Surface};
use crate::limits::{self, STREAM_WINDOW};
use crate::machine::{Input, Machine, Outbox, Output, ResetCode, StreamId};
use crate::openai::sse;
use crate::rng::{Seed, Stream};
use crate::time::{Now, Span, Time, Wake};

use answer::{Answer, Kind};
use completion::Request;
use config::Config;
use memory::Memory;

pub struct Toy {
    config: Config,
    memory: Memory,
    ids: Stream,
    seed: Seed,
    thoughts: Stream,
    failures: Stream,
    /// Read when it is first spoken to: many toys never are.
    chain: OnceCell<Chain>,
    jobs: BTreeMap<StreamId, Job>,
    /// On answers that are over.
    worked: Span,
    out: Outbox,
}

enum Job {
    Reading(Body, Purpose),
    Speaking(Speech),
}

#[derive(Clone, Copy)]
enum Endpoint {
    Models,
    Takes(Purpose),
}

/// What a body asks for.
#[derive(Clone, Copy)]
enum Purpose {
    Chat,
    Text,
    Embed,
    Load,
    Unload,
}

struct Speech {
    answer: Answer,
    completion: Completion,
    streams: bool,
    since: Time,
    /// Tokens already said.
    said: usize,
    next_at: Time,
    /// Bytes that were sent and not yet taken.
    in_flight: u64,
}

/// A refusal: status, code, message.
type Refusal = (u16, Option<&'static str>, String);

impl Toy {
    pub fn new(config: Config, seed: Seed, now: Now) -> Self {
        Self {
            memory: Memory::new(&config, now.mono),
            config,
            ids: seed.stream("ids"),
            thoughts: seed.stream("thoughts"),
            failures: seed.stream("failures"),
            seed,
            chain: OnceCell::new(),
            jobs: BTreeMap::new(),
            worked: Span::default(),
            out: Outbox::default(),
        }
    }

    /// How long it thinks for each answer, from the first on, for whoever would know what its queue should come to.
    pub fn thoughts(&self) -> impl Iterator<Item = Span> {
        let (thinks, mut from) = (self.config.thinks, self.seed.stream("thoughts"));
        core::iter::repeat_with(move || thinks.draw(&mut from))
    }

    /// From now on so many of a thousand answers are an error.
    pub fn set_fails(&mut self, permille: u32) {
        self.config.fails = permille;
    }

    /// How long it has worked on answers so far; of several at once, on each.
    pub fn worked(&self, now: Time) -> Span {
        let under_way = self.jobs.values().filter_map(|job| match job {
            Job::Speaking(speech) => Some(now - speech.since),
            Job::Reading(..) => None,
        });
        under_way.fold(self.worked, |all, one| all + one)
    }

    fn asked(&mut self, now: Now, stream: StreamId, surface: Surface, head: &RequestHead) {
        let path = head.path.split('?').next().unwrap_or_default();
        let Some(endpoint) = self.endpoint(surface, path) else {
            return self.refuse(stream, (404, None, format!("there is no {path} here")));
        };
        match (endpoint, head.method.as_str()) {
            (Endpoint::Models, "GET") => {
                let models = answer::models(&self.memory, now.mono, self.config.context_length);
                self.out.respond_json(stream, 200, &models);
            }
            (Endpoint::Takes(_), "POST") if self.jobs.len() >= limits::TOY_JOBS => {
                self.refuse(stream, (503, None, "the toy is busy".into()));
            }
            (Endpoint::Takes(purpose), "POST") => {
                self.jobs.insert(stream, Job::Reading(Body::up_to(limits::HTTP_BODY), purpose));
            }
            (Endpoint::Models | Endpoint::Takes(_), _) => {
                self.refuse(stream, (405, None, format!("{path} does not take {}", head.method)));
            }
        }
    }

    fn endpoint(&self, surface: Surface, path: &str) -> Option<Endpoint> {
        match (surface, path) {
            (Surface::Public, "/v1/models") => Some(Endpoint::Models),
            (Surface::Public, "/v1/chat/completions") => Some(Endpoint::Takes(Purpose::Chat)),
            (Surface::Public, "/v1/completions") => Some(Endpoint::Takes(Purpose::Text)),
            (Surface::Public, "/v1/embeddings") => Some(Endpoint::Takes(Purpose::Embed)),
            (Surface::Public, "/models") if self.memory.moves() => Some(Endpoint::Models),
            (Surface::Public, "/models/load") if self.memory.moves() => Some(Endpoint::Takes(Purpose::Load)),
            (Surface::Public, "/models/unload") if self.memory.moves() => {
                Some(Endpoint::Takes(Purpose::Unload))
            }
            (Surface::Public | Surface::Admin, _) => None,
        }
    }

    fn body(&mut self, stream: StreamId, bytes: &[u8]) {
        let Some(Job::Reading(body, _)) = self.jobs.get_mut(&stream) else { return };
        match body.push(bytes) {
            Ok(()) => self.out.grant(stream, bytes.len()),
            Err(_) => {
                self.jobs.remove(&stream);
                let message = format!("the request exceeds {} bytes", limits::HTTP_BODY);
                self.refuse(stream, (413, None, message));
            }
        }
    }

    fn body_ended(&mut self, now: Now, stream: StreamId) {
        let Some(Job::Reading(body, purpose)) = self.jobs.get_mut(&stream) else { return };
        let (body, purpose) = (body.take(), *purpose);
        match purpose {
            Purpose::Chat => self.chat(now, stream, Kind::Chat, &body),
            Purpose::Text => self.chat(now, stream, Kind::Text, &body),
            Purpose::Embed => {
                self.jobs.remove(&stream);
                let embedded = parse(&body).and_then(|request| {
                    self.memory
                        .check(now.mono, request.get("model").and_then(Value::as_str).unwrap_or_default())?;
                    embedding::embed(&request).map_err(|message| (400, None, message))
                });
                match embedded {
                    Ok(answer) => self.out.respond_json(stream, 200, &answer),
                    Err(refusal) => self.refuse(stream, refusal),
                }
            }
            Purpose::Load | Purpose::Unload => {
                self.jobs.remove(&stream);
                match self.move_model(now, &body, purpose) {
                    Ok(()) => self.out.respond_json(stream, 200, &json!({ "success": true })),
                    Err(refusal) => self.refuse(stream, refusal),
                }
            }
        }
    }

    fn move_model(&mut self, now: Now, body: &[u8], purpose: Purpose) -> Result<(), Refusal> {
        let request = parse(body)?;
        let model = request.get("model").and_then(Value::as_str);
        let model = model.ok_or_else(|| (400, None, String::from("missing field `model`")))?;
        match purpose {
            Purpose::Unload => self.memory.unload(model),
            Purpose::Load | Purpose::Chat | Purpose::Text | Purpose::Embed => {
                self.memory.load(now.mono, model)
            }
        }
    }

    fn chat(&mut self, now: Now, stream: StreamId, kind: Kind, body: &[u8]) {
        match self.begin(now, kind, body) {
            Ok(speech) => {
                if speech.streams {
                    let head = ResponseHead::new(200)
                        .with("content-type", "text/event-stream")
                        .with("cache-control", "no-cache");
                    self.out.respond(stream, head);
                }
                self.jobs.insert(stream, Job::Speaking(speech));
            }
            Err(refusal) => {
                self.jobs.remove(&stream);
                self.refuse(stream, refusal);
            }
        }
    }

    fn begin(&mut self, now: Now, kind: Kind, body: &[u8]) -> Result<Speech, Refusal> {
        let body = match kind {
            Kind::Chat => parse(body)?,
            Kind::Text => as_chat(parse(body)?)?,
        };
        let request = Request::parse(&body).map_err(|message| (400, None, message))?;
        self.memory.check(now.mono, &request.model)?;
        let longest = request.prompt_tokens().saturating_add(request.most());
        if longest > self.config.context_length as usize {
            let message = format!(
                "prompt and answer may come to {longest} tokens, and the model has room for {}",
                self.config.context_length
            );
            return Err((400, Some("context_length_exceeded"), message));
        }
        if self.failures.below(1_000) < u64::from(self.config.fails) {
            return Err((500, None, "the toy fails now and then, as it was told to".into()));
        }
        let mut completion = request.complete(self.chain.get_or_init(Chain::of_the_text));
        if self.config.impostor {
            completion.tokens.reverse();
        }
        let begins = match kind {
            Kind::Chat => "chatcmpl",
            Kind::Text => "cmpl",
        };
        let answer = Answer {
            kind,
            id: format!("{begins}-{}", hex::encode(self.ids.bytes::<12>())),
            created: now.wall.0 / 1000,
            model: request.model.clone(),
            includes_usage: request.streams() && request.includes_usage(),
        };
        let streams = request.streams();
        let says = if streams { self.first_takes() } else { self.whole_takes(&completion) };
        let next_at = now.mono + self.reads_and_thinks(&completion) + says;
        Ok(Speech { answer, completion, streams, since: now.mono, said: 0, next_at, in_flight: 0 })
    }

    /// How long before it begins to speak.
    fn reads_and_thinks(&mut self, completion: &Completion) -> Span {
        let reads = self.config.prompt_token_every.0.saturating_mul(completion.prompt_tokens as u64);
        Span(reads) + self.config.thinks.draw(&mut self.thoughts)
    }

    fn first_takes(&self) -> Span {
        self.config.first_token.unwrap_or(self.config.token_every)
    }

    /// An answer in one piece takes as long as its tokens would.
    fn whole_takes(&self, completion: &Completion) -> Span {
        let Some(others) = completion.tokens.len().checked_sub(1) else { return Span::default() };
        let others = Span(self.config.token_every.0.saturating_mul(others as u64));
        self.first_takes() + others + self.config.ends_after
    }

    /// Says what is due: the next token, the whole answer, or the end. `true`: it was the end.
    fn speak(out: &mut Outbox, stream: StreamId, speech: &mut Speech, config: &Config) -> bool {
        let Speech { answer, completion, .. } = &*speech;
        if !speech.streams {
            out.respond_json(stream, 200, &answer.whole(completion));
            return true;
        }
        let mut events = Vec::new();
        let mut say = |chunk: Value| events.extend(sse::event(&format!("{chunk}")));
        if speech.said == 0
            && let Some(opening) = answer.opening()
        {
            say(opening);
        }
        if let Some(token) = completion.tokens.get(speech.said) {
            say(answer.token(token));
        }
        let left = completion.tokens.len().saturating_sub(speech.said);
        let ends = left == 0 || left == 1 && config.ends_after == Span::default();
        if ends {
            say(answer.finish(completion));
            if answer.includes_usage {
                say(answer.usage(completion));
            }
            events.extend_from_slice(sse::DONE);
        }
        speech.said += 1;
        speech.next_at = speech.next_at + if left == 1 { config.ends_after } else { config.token_every };
        speech.in_flight += events.len() as u64;
        out.send(stream, events);
        if ends {
            out.finish(stream);
        }
        ends
    }

    fn refuse(&mut self, stream: StreamId, (status, code, message): Refusal) {
        self.out.respond_json(stream, status, &answer::error(status, code, &message));
    }
}

/// A prompt is taken for the only message of somebody who is nobody.
fn as_chat(mut body: Value) -> Result<Value, Refusal> {
    let fields = body.as_object_mut();
    if let Some((fields, prompt)) =
        fields.and_then(|fields| fields.remove("prompt").map(|prompt| (fields, prompt)))
    {
        if !prompt.is_string() {
            return Err((
                400,
                None,
                "prompt must be one text: the toy knows words, and no numbers of tokens".into(),
            ));
        }
        fields.insert("messages".into(), json!([{ "role": "prompt", "content": prompt }]));
    }
    Ok(body)
}

fn parse(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| (400, None, format!("the request is no JSON: {error}")))
}

impl Speech {
    /// When it goes on. `None`: it waits for its reader.
    fn due(&self) -> Option<Time> {
        (self.in_flight < u64::from(STREAM_WINDOW)).then_some(self.next_at)
    }

    fn taken(&mut self, now: Time, bytes: u32) {
        let was_waiting = self.due().is_none();
        self.in_flight = self.in_flight.saturating_sub(bytes.into());
        if was_waiting {
            // The time it waited is not made up for.
            self.next_at = self.next_at.max(now);
        }
    }
}

impl Machine for Toy {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Request { stream, surface, head } => self.asked(now, stream, surface, &head),
            Input::Bytes { stream, bytes } => self.body(stream, bytes),
            Input::Finished { stream } => self.body_ended(now, stream),
            Input::Reset { stream, .. } => {
                if let Some(Job::Speaking(speech)) = self.jobs.remove(&stream) {
                    self.worked = self.worked + (now.mono - speech.since);
                }
            }
            Input::Credit { stream, bytes } => {
                if let Some(Job::Speaking(speech)) = self.jobs.get_mut(&stream) {
                    speech.taken(now.mono, bytes);
                }
            }
            Input::LinkUp { link, .. } => self.out.close(link, "the toy speaks HTTP only"),
            Input::Opened { stream, .. } => self.out.reset(stream, ResetCode::Refused),
            // It never asks anything, opens no link, and starts no operation.
            Input::LinkDown { .. } | Input::Response { .. } | Input::Done(..) => {}
            // It only ever answers: what is under way is brought to its end anyway.
            Input::Leave => {}
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        let Self { config, jobs, out, worked, .. } = self;
        jobs.retain(|stream, job| match job {
            Job::Speaking(speech) if speech.due().is_some_and(|at| at <= now.mono) => {
                let is_over = Self::speak(out, *stream, speech, config);
                if is_over {
                    *worked = *worked + (now.mono - speech.since);
                }
                !is_over
            }
            Job::Speaking(_) | Job::Reading(..) => true,
        });
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        let due = self.jobs.values().filter_map(|job| match job {
            Job::Speaking(speech) => speech.due(),
            Job::Reading(..) => None,
        });
        due.min().map(|at| Wake { at, why: "the next token" })
    }

    fn stopped(&self) -> Option<&str> {
        None
    }

    fn has_left(&self) -> bool {
        self.jobs.is_empty()
    }
}
