//! A user: an HTTP client of gateways, as an OpenAI SDK is one. It posts chat completions, reads the answers as they
//! come, and notes what it was served.
//!
//! It is a machine like the others, so that its requests cross the same streams with the same credit. When it asks is the
//! workload's decision, not its own.

use std::collections::BTreeMap;

use labman_proto_core::http::{Body, Lines, RequestHead};
use labman_proto_core::identity::NodeId;
use labman_proto_core::limits;
use labman_proto_core::machine::{Input, Machine, Outbox, Output, ResetCode, StreamId};
use labman_proto_core::time::{Now, Span, Time, Wake};
use serde::Deserialize;
use serde_json::Value;

/// What a user asks for, once.
#[derive(Clone, Debug)]
pub struct Ask {
    pub job: usize,
    /// URL of the gateway.
    pub url: String,
    pub api_key: String,
    pub body: Value,
    pub streaming: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// 0: there was no answer at all.
    pub status: u16,
    /// The answer's `x-request-id`, without its `req_`.
    pub request_id: Option<String>,
    /// Who served it, as its gateway says.
    pub provider: Option<NodeId>,
    pub text: String,
    pub finish_reason: Option<String>,
    /// `error.code` of a refusal, or of an error inside a stream; where that is null, `error.type`.
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    /// Events of a stream that carried text.
    pub chunks: u64,
    /// The connection broke: an SDK raises that to its caller.
    pub broken: bool,
    /// The stream said `[DONE]`.
    pub done: bool,
    /// What came after `[DONE]`, or could not be read.
    pub garbage: Option<String>,
    /// Up to the first text.
    pub first_text_after: Option<Span>,
    pub took: Span,
}

#[derive(Default)]
pub struct User {
    out: Outbox,
    asked: BTreeMap<StreamId, Pending>,
    answered: Vec<(usize, Answer)>,
    commands: Vec<Ask>,
    now: Time,
}

struct Pending {
    job: usize,
    since: Option<Time>,
    reader: Reader,
    reads: bool,
    answer: Answer,
}

enum Reader {
    Whole(Body),
    Events(Lines),
}

impl User {
    pub fn ask(&mut self, ask: Ask, now: Now) {
        self.now = now.mono;
        self.commands.push(ask);
        self.send_all();
    }

    /// Goes away from a job that has not ended, as an SDK does whose caller gave up.
    pub fn leave(&mut self, job: usize, now: Now) {
        if let Some(stream) = self.asking(job) {
            self.out.reset(stream, ResetCode::Cancelled);
            self.end(stream, now.mono, false);
        }
    }

    /// Stays, and reads nothing more.
    pub fn stop_reading(&mut self, job: usize) {
        let pending = self.asking(job).and_then(|stream| self.asked.get_mut(&stream));
        if let Some(pending) = pending {
            pending.reads = false;
        }
    }

    fn asking(&self, job: usize) -> Option<StreamId> {
        self.asked.iter().find(|(_, pending)| pending.job == job).map(|(stream, _)| *stream)
    }

    /// Jobs that have ended since this was last called.
    pub fn take_answers(&mut self) -> Vec<(usize, Answer)> {
        std::mem::take(&mut self.answered)
    }

    fn send_all(&mut self) {
        for ask in std::mem::take(&mut self.commands) {
            let head = RequestHead::new("POST", "/v1/chat/completions")
                .with("content-type", "application/json")
                .with("authorization", &format!("Bearer {}", ask.api_key));
            let body = ask.body.to_string().into_bytes();
            let head = head.with("content-length", &body.len().to_string());
            let stream = self.out.request(&ask.url, head, body);
            let reader = if ask.streaming {
                Reader::Events(Lines::up_to(limits::LINE))
            } else {
                Reader::Whole(Body::up_to(limits::HTTP_BODY))
            };
            let pending = Pending {
                job: ask.job,
                since: Some(self.now),
                reader,
                reads: true,
                answer: Answer::default(),
            };
            self.asked.insert(stream, pending);
        }
    }

    fn end(&mut self, stream: StreamId, now: Time, complete: bool) {
        let Some(mut pending) = self.asked.remove(&stream) else { return };
        if let (Reader::Whole(body), true) = (&mut pending.reader, complete) {
            let body = body.take();
            pending.answer.read_whole(&body);
            if !pending.answer.text.is_empty() {
                pending.first_text(now);
            }
        }
        pending.answer.broken = !complete;
        pending.answer.took = pending.since.map(|since| now - since).unwrap_or_default();
        self.answered.push((pending.job, pending.answer));
    }
}

impl Pending {
    fn read(&mut self, bytes: &[u8], now: Time) {
        match &mut self.reader {
            Reader::Whole(body) => {
                if body.push(bytes).is_err() {
                    self.answer.spoilt("an answer beyond all bounds");
                }
            }
            Reader::Events(lines) => match lines.push(bytes) {
                Err(_) => self.answer.spoilt("a line beyond all bounds"),
                Ok(lines) => {
                    for line in lines {
                        self.answer.read_line(&line);
                    }
                    if !self.answer.text.is_empty() {
                        self.first_text(now);
                    }
                }
            },
        }
    }

    fn first_text(&mut self, now: Time) {
        let since = self.since.unwrap_or(now);
        self.answer.first_text_after.get_or_insert(now - since);
    }
}

impl Answer {
    /// One line of server-sent events.
    fn read_line(&mut self, line: &[u8]) {
        if line.is_empty() || line.starts_with(b":") {
            return;
        }
        if self.done {
            return self.spoilt("something after [DONE]");
        }
        let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) else {
            return self.spoilt(&format!("a line that is no event: {}", String::from_utf8_lossy(line)));
        };
        if data == b"[DONE]" {
            self.done = true;
            return;
        }
        match serde_json::from_slice::<Document>(data) {
            Ok(document) => self.take(document),
            Err(error) => self.spoilt(&format!("an event that is no chunk: {error}")),
        }
    }

    fn read_whole(&mut self, body: &[u8]) {
        match serde_json::from_slice::<Document>(body) {
            Ok(document) => self.take(document),
            Err(error) => self.spoilt(&format!("an answer that is no JSON: {error}")),
        }
    }

    fn take(&mut self, document: Document) {
        if let Some(error) = document.error {
            self.error_code = error.code.or(error.kind);
            self.error_message = error.message;
        }
        if let Some(usage) = document.usage {
            self.prompt_tokens = Some(usage.prompt_tokens);
            self.completion_tokens = Some(usage.completion_tokens);
        }
        for choice in document.choices {
            if let Some(text) = choice.delta.or(choice.message).and_then(|part| part.content)
                && !text.is_empty()
            {
                self.text.push_str(&text);
                self.chunks += 1;
            }
            self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        }
    }

    fn spoilt(&mut self, what: &str) {
        self.garbage.get_or_insert_with(|| what.to_owned());
    }
}

/// The parts of a chunk, a completion or an error that a user looks at.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<ErrorBody>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Part>,
    message: Option<Part>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Part {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
}

impl Machine for User {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.now = now.mono;
        match input {
            Input::Response { stream, head } => {
                if let Some(pending) = self.asked.get_mut(&stream) {
                    pending.answer.status = head.status;
                    let id = head.header("x-request-id").and_then(|id| id.strip_prefix("req_"));
                    pending.answer.request_id = id.map(str::to_owned);
                    let provider = head.header("x-labman-provider");
                    pending.answer.provider = provider.and_then(|provider| provider.parse().ok());
                    // A refusal of a streaming request is one JSON document.
                    if !head.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
                    {
                        pending.reader = Reader::Whole(Body::up_to(limits::HTTP_BODY));
                    }
                }
            }
            Input::Bytes { stream, bytes } => {
                if let Some(pending) = self.asked.get_mut(&stream) {
                    pending.read(bytes, now.mono);
                    if pending.reads {
                        self.out.grant(stream, bytes.len());
                    }
                }
            }
            Input::Finished { stream } => self.end(stream, now.mono, true),
            Input::Reset { stream, .. } => self.end(stream, now.mono, false),
            // Its requests are small, and nobody calls a user.
            Input::Credit { .. }
            | Input::Leave
            | Input::LinkUp { .. }
            | Input::LinkDown { .. }
            | Input::Opened { .. }
            | Input::Request { .. }
            | Input::Done(..) => {}
        }
    }

    fn handle_timeout(&mut self, _: Now) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        None
    }

    fn stopped(&self) -> Option<&str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::http::ResponseHead;

    fn at(millis: u64) -> Now {
        Now { mono: Time::ZERO + Span::from_millis(millis), ..Now::default() }
    }

    fn asked(streaming: bool) -> (User, StreamId) {
        let mut user = User::default();
        let body = serde_json::json!({});
        user.ask(Ask { job: 3, url: "http://g".into(), api_key: "k".into(), body, streaming }, at(100));
        let Some(Output::Request { stream, .. }) = user.poll_output() else { panic!("no request") };
        (user, stream)
    }

    fn events(stream: StreamId, user: &mut User, events: &str) {
        let head = ResponseHead::new(200).with("content-type", "text/event-stream; charset=utf-8");
        user.handle(at(150), Input::Response { stream, head });
        // Byte by byte: nothing may hang on where the network cuts.
        for byte in events.as_bytes() {
            user.handle(at(160), Input::Bytes { stream, bytes: &[*byte] });
        }
        user.handle(at(200), Input::Finished { stream });
    }

    #[test]
    fn a_stream_is_read_as_it_comes() {
        let (mut user, stream) = asked(true);
        events(
            stream,
            &mut user,
            concat!(
                ": keepalive\n\n",
                "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
                "data: {\"choices\":[{\"delta\":{\"content\":\"one \"}}]}\n\n",
                "data: {\"choices\":[{\"delta\":{\"content\":\"two\"},\"finish_reason\":null}]}\r\n\r\n",
                "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
                "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n",
                "data: [DONE]\n\n",
            ),
        );
        let answer = Answer {
            status: 200,
            text: "one two".into(),
            finish_reason: Some("stop".into()),
            prompt_tokens: Some(5),
            completion_tokens: Some(2),
            chunks: 2,
            done: true,
            first_text_after: Some(Span::from_millis(60)),
            took: Span::from_millis(100),
            ..Answer::default()
        };
        assert_eq!(user.take_answers(), [(3, answer)]);
    }

    #[test]
    fn what_follows_done_is_noticed() {
        let (mut user, stream) = asked(true);
        events(stream, &mut user, "data: [DONE]\n\ndata: {\"choices\":[]}\n\n");
        let answers = user.take_answers();
        assert_eq!(answers[0].1.garbage.as_deref(), Some("something after [DONE]"));
    }

    #[test]
    fn a_refusal_of_a_streaming_request_is_one_document() {
        let (mut user, stream) = asked(true);
        user.handle(at(150), Input::Response { stream, head: ResponseHead::json(401) });
        let bytes = br#"{"error":{"message":"m","type":"t","param":null,"code":"invalid_api_key"}}"#;
        user.handle(at(150), Input::Bytes { stream, bytes });
        user.handle(at(150), Input::Finished { stream });
        let answer = &user.take_answers()[0].1;
        assert_eq!((answer.status, answer.error_code.as_deref()), (401, Some("invalid_api_key")));
    }

    #[test]
    fn no_answer_has_no_status() {
        let (mut user, stream) = asked(false);
        let code = labman_proto_core::machine::ResetCode::Unreachable;
        user.handle(at(150), Input::Reset { stream, code });
        let answer = &user.take_answers()[0].1;
        assert_eq!((answer.status, answer.broken), (0, true));
    }
}
