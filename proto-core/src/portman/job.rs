//! One job: requests at the runtime, a part after another, whose chunks go to the labman no faster than it gives credit.
//!
//! ```text
//!     +----------------------------the next part----------------------------+
//!     v                                                                     |
//!   Asked ----200----> Streaming, or Whole ----[DONE], an end------------> Over
//!     |                                    ----a failure, silence----------> ^
//!     +---another----> Refused -----------------end of its body--------------+
//! ```
//!
//! Chunks beyond the credit wait here; while they do, the runtime may send only what fits in one stream window with
//! them, so a user who does not read stops the runtime. A chunk that alone exceeds [`PORTMAN_CHUNK`] ends the job: a
//! labman that refills one window could never take it.

use alloc::{collections::VecDeque, format, string::String, vec::Vec};

use serde_json::{Map, Value, json};

use super::meter::Meter;
use super::runtime::{self, Heard, Runtime};
use crate::economics::Counts;
use crate::http::Body;
use crate::limits::{self, PORTMAN_CHUNK, STREAM_WINDOW};
use crate::machine::{Outbox, ResetCode, StreamId};
use crate::openai::answer::vectors;
use crate::openai::sse;
use crate::openai::task::{Part, Task};
use crate::time::{Time, Wake};
use crate::wire::portman::{Fault, FromPortman, JobId};

pub(super) struct Job {
    model: String,
    task: Task,
    body: Map<String, Value>,
    parts: u32,
    /// The part that runs, and the number of its first answer.
    part: u32,
    first: u32,
    exchange: StreamId,
    phase: Phase,
    meter: Meter,
    waiting: VecDeque<Waiting>,
    /// Bytes of data in `waiting`.
    waiting_bytes: u64,
    /// Bytes of data that the labman still takes.
    credit: u64,
    /// Bytes of the runtime's answer that came, and that may come, since its beginning.
    received: u64,
    granted: u64,
    /// Since when the runtime has been silent for no reason of ours.
    silent_since: Time,
}

enum Phase {
    Asked,
    Refused {
        status: u16,
        body: Body,
    },
    Streaming(sse::Reader),
    /// One object, of which a chunk is made for each embedding.
    Whole(Body),
    /// The part before is done.
    Next,
    /// The exchange is over; `None` once the labman was told how.
    Over(Option<End>),
}

enum End {
    Done,
    Failed(Fault, String),
}

struct Waiting {
    data: String,
    counts: Counts,
}

impl Job {
    /// Asks the runtime for the first part of a request.
    pub(super) fn start(
        model: &str,
        (task, body): (Task, Map<String, Value>),
        credit: u32,
        now: Time,
        runtime: &Runtime,
        out: &mut Outbox,
    ) -> Option<Self> {
        let part = task.part(&body, 0)?;
        let exchange = ask(runtime, task, model, &part, out);
        Some(Self {
            model: model.into(),
            task,
            parts: task.parts(&body),
            body,
            part: 0,
            first: part.first,
            exchange,
            phase: Phase::Asked,
            meter: Meter::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            credit: credit.into(),
            received: 0,
            granted: STREAM_WINDOW.into(),
            silent_since: now,
        })
    }

    /// Goes on with the next part, once all of the part before is told: by another exchange.
    pub(super) fn go_on(&mut self, now: Time, runtime: &Runtime, out: &mut Outbox) -> bool {
        if !matches!(self.phase, Phase::Next) || !self.waiting.is_empty() {
            return false;
        }
        let Some(part) = self.task.part(&self.body, self.part + 1) else { return false };
        self.meter.next(part.reads_anew);
        self.exchange = ask(runtime, self.task, &self.model, &part, out);
        (self.part, self.first, self.phase) = (self.part + 1, part.first, Phase::Asked);
        (self.received, self.granted, self.silent_since) = (0, STREAM_WINDOW.into(), now);
        true
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn exchange(&self) -> StreamId {
        self.exchange
    }

    /// The labman knows how the job ended.
    pub(super) fn is_told(&self) -> bool {
        matches!(self.phase, Phase::Over(None))
    }

    pub(super) fn add_credit(&mut self, bytes: u32) {
        self.credit = self.credit.saturating_add(bytes.into());
    }

    pub(super) fn handle(&mut self, now: Time, heard: Heard<'_>, out: &mut Outbox) {
        self.silent_since = now;
        match heard {
            Heard::Head { status } => self.answered(status),
            Heard::Bytes(bytes) => self.received(bytes, out),
            Heard::Finished => self.ended(),
            Heard::Reset => self.broke(),
        }
    }

    /// What the labman's credit allows to be said, and lets the runtime go on by as much.
    pub(super) fn advance(&mut self, now: Time, job: JobId, out: &mut Outbox) -> Vec<FromPortman> {
        let was_waiting = !self.waiting.is_empty();
        let mut said = Vec::new();
        while let Some(chunk) = self.waiting.pop_front_if(|chunk| chunk.data.len() as u64 <= self.credit) {
            let bytes = chunk.data.len() as u64;
            self.credit -= bytes;
            self.waiting_bytes -= bytes;
            said.push(FromPortman::Chunk { job, data: chunk.data, counts: chunk.counts });
        }
        if was_waiting && self.waiting.is_empty() {
            self.silent_since = now;
        }
        match &mut self.phase {
            Phase::Over(end) if self.waiting.is_empty() => said.extend(end.take().map(|end| match end {
                End::Done => FromPortman::Done { job, counts: self.meter.counts() },
                End::Failed(fault, message) => FromPortman::Failed { job, fault, message },
            })),
            Phase::Over(_) | Phase::Next => {}
            Phase::Asked | Phase::Refused { .. } | Phase::Streaming(_) | Phase::Whole(_) => self.grant(out),
        }
        said
    }

    /// Stops the runtime, if it still works for this job.
    pub(super) fn hang_up(&mut self, out: &mut Outbox) {
        if !matches!(self.phase, Phase::Over(_) | Phase::Next) {
            out.reset(self.exchange, ResetCode::Cancelled);
        }
        self.phase = Phase::Over(None);
    }

    pub(super) fn handle_timeout(&mut self, out: &mut Outbox) {
        self.fail(format!("the runtime sent nothing for {} s", limits::NEXT_CHUNK.as_millis() / 1000), out);
    }

    /// A runtime has to keep talking, except while the labman takes nothing.
    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        let (patience, why) = match self.phase {
            Phase::Asked | Phase::Refused { .. } => (limits::FIRST_CHUNK, "the runtime must answer"),
            Phase::Streaming(_) | Phase::Whole(_) => (limits::NEXT_CHUNK, "the runtime must go on"),
            Phase::Over(_) | Phase::Next => return None,
        };
        self.waiting.is_empty().then(|| Wake { at: self.silent_since + patience, why })
    }

    fn answered(&mut self, status: u16) {
        if let Phase::Asked = self.phase {
            self.phase = match status {
                200 if self.task.streams() => Phase::Streaming(sse::Reader::default()),
                200 => Phase::Whole(Body::up_to(limits::EMBEDDED_ANSWER)),
                status => Phase::Refused { status, body: Body::up_to(limits::HTTP_ANSWER) },
            };
        }
    }

    fn ended(&mut self) {
        let end = match &mut self.phase {
            Phase::Asked => End::failed("the runtime did not answer"),
            Phase::Refused { status, body } => refused(self.task, *status, body),
            Phase::Streaming(_) if self.meter.has_finished() => End::Done,
            Phase::Streaming(_) => End::unfinished(),
            Phase::Whole(body) => {
                let body = body.take();
                match self.whole(&body) {
                    Ok(()) => End::Done,
                    Err(what) => End::failed(what),
                }
            }
            Phase::Over(_) | Phase::Next => return,
        };
        self.phase = self.after(end);
    }

    /// What follows a part's end.
    fn after(&self, end: End) -> Phase {
        match end {
            End::Done if self.part + 1 < self.parts => Phase::Next,
            end => Phase::Over(Some(end)),
        }
    }

    /// A chunk for each embedding, all with the counts that the runtime gives for all.
    fn whole(&mut self, body: &[u8]) -> Result<(), &'static str> {
        let answer =
            serde_json::from_slice(body).map_err(|_| "the runtime sent an answer that is no JSON")?;
        let texts = self.task.part(&self.body, self.part).map_or(1, |part| self.task.answers(&part.body));
        let chunks = vectors::chunks(&answer, self.first, texts as usize)?;
        self.meter.read_usage(&answer);
        for data in chunks {
            self.meter.vector();
            self.push(data).map_err(|_| "the runtime sent a vector of too many dimensions")?;
        }
        Ok(())
    }

    fn broke(&mut self) {
        self.phase = Phase::Over(Some(match &mut self.phase {
            Phase::Asked => End::failed("the runtime can't be reached"),
            Phase::Refused { status, body } => refused(self.task, *status, body),
            // Even with a finish_reason seen: what the final counts would be, the runtime never said.
            Phase::Streaming(_) | Phase::Whole(_) => End::failed("the runtime broke its stream off"),
            Phase::Over(_) | Phase::Next => return,
        }));
    }

    fn received(&mut self, bytes: &[u8], out: &mut Outbox) {
        self.received += bytes.len() as u64;
        match &mut self.phase {
            Phase::Refused { status, body } => {
                if body.push(bytes).is_err() {
                    let end = refused(self.task, *status, body);
                    self.break_off(end, out);
                }
            }
            Phase::Streaming(reader) => match reader.push(bytes) {
                Ok(events) => self.read(events, out),
                Err(malformed) => self.fail(format!("the runtime sent {malformed}"), out),
            },
            Phase::Whole(body) => {
                if body.push(bytes).is_err() {
                    self.fail("the runtime sent too long an answer".into(), out);
                }
            }
            Phase::Asked | Phase::Over(_) | Phase::Next => {}
        }
    }

    fn read(&mut self, events: Vec<sse::Event>, out: &mut Outbox) {
        for event in events {
            let data = match event {
                sse::Event::Data(data) => data,
                sse::Event::Done if self.meter.has_finished() => return self.break_off(End::Done, out),
                sse::Event::Done => return self.break_off(End::unfinished(), out),
            };
            if let Err(end) = self.queue(data) {
                return self.break_off(end, out);
            }
        }
    }

    fn queue(&mut self, data: String) -> Result<(), End> {
        let mut chunk: Value = serde_json::from_str(&data)
            .map_err(|_| End::failed("the runtime sent a chunk that is no JSON"))?;
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            let complaint = runtime::complaint(&chunk);
            let failed = || End::failed("the runtime failed");
            return Err(complaint.map_or_else(failed, |(fault, message)| End::Failed(fault, message)));
        }
        self.meter.read(&chunk);
        // A runtime counts the answers of each part anew, from 0 or as it likes. A part has one.
        let choices = chunk.get_mut("choices").and_then(Value::as_array_mut);
        let as_it_should_be = choices.as_ref().is_none_or(|choices| {
            choices.len() <= 1
                && choices.iter().all(|choice| {
                    choice.get("index").map_or(self.first == 0, |index| *index == json!(self.first))
                })
        });
        if as_it_should_be {
            // A JSON string holds no raw line break, so one in an event of several lines is mere white space.
            return self.push(data.replace('\n', " ")).map_err(|what| End::failed(&what));
        }
        if let Some(choices) = choices {
            choices.truncate(1);
            let fields = choices.iter_mut().filter_map(Value::as_object_mut);
            fields.for_each(|choice| drop(choice.insert("index".into(), self.first.into())));
        }
        self.push(format!("{chunk}")).map_err(|what| End::failed(&what))
    }

    fn push(&mut self, data: String) -> Result<(), String> {
        if data.len() > PORTMAN_CHUNK as usize {
            return Err(format!("the runtime sent a chunk of more than {PORTMAN_CHUNK} bytes"));
        }
        self.waiting_bytes += data.len() as u64;
        self.waiting.push_back(Waiting { data, counts: self.meter.counts() });
        Ok(())
    }

    /// Keeps what waits here and what may still come within one window together.
    fn grant(&mut self, out: &mut Outbox) {
        let room = u64::from(STREAM_WINDOW).saturating_sub(self.waiting_bytes);
        let more = (self.received + room).saturating_sub(self.granted);
        out.grant(self.exchange, more as usize);
        self.granted += more;
    }

    fn fail(&mut self, message: String, out: &mut Outbox) {
        self.break_off(End::Failed(Fault::RuntimeFailed, message), out);
    }

    /// Ends the exchange, which the runtime has not ended.
    fn break_off(&mut self, end: End, out: &mut Outbox) {
        let after = self.after(end);
        self.hang_up(out);
        self.phase = after;
    }
}

impl End {
    fn failed(message: &str) -> Self {
        Self::Failed(Fault::RuntimeFailed, message.into())
    }

    fn unfinished() -> Self {
        Self::failed("the runtime ended its stream without finishing")
    }
}

fn ask(runtime: &Runtime, task: Task, model: &str, part: &Part, out: &mut Outbox) -> StreamId {
    let mut body = part.body.clone();
    body.insert("model".into(), model.into());
    if task.streams() {
        body.insert("stream".into(), true.into());
        body.insert("stream_options".into(), json!({ "include_usage": true }));
    }
    runtime.ask(task, &Value::Object(body), out)
}

fn refused(task: Task, status: u16, body: &mut Body) -> End {
    let (fault, message) = runtime::refusal(task, status, &body.take());
    End::Failed(fault, message)
}
