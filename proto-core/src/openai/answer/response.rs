//! A response: what the model says as items, each told by typed events as it grows, and all of them once more at the end.
//!
//! ```text
//!   created, in_progress | item added, part added, delta*, done, part done, item done | ... | completed, incomplete
//! ```

use alloc::{format, string::String, vec::Vec};

use serde_json::{Map, Value, json};

use super::assembly::weight;
use super::piece::{Choice, Said};
use super::{Frame, Piece};
use crate::economics::Counts;
use crate::limits::ASSEMBLED;
use crate::openai::error::ApiError;

#[derive(Debug)]
pub struct Response {
    /// Whether events are told.
    streams: bool,
    /// What is repeated of the request.
    repeated: Map<String, Value>,
    items: Vec<Item>,
    /// Which item a tool call is, by its number among the calls.
    calls: Vec<usize>,
    finish_reason: Option<String>,
    told: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Item {
    is: Is,
    text: String,
    logprobs: Vec<Value>,
    /// `None`: it may go on.
    state: Option<Ends>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Whole,
    Cut,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Is {
    Thought,
    Text,
    Refusal,
    Call { id: String, name: String },
}

impl Response {
    pub fn new(streams: bool, repeated: Map<String, Value>) -> Self {
        Self {
            streams,
            repeated,
            items: Vec::new(),
            calls: Vec::new(),
            finish_reason: None,
            told: 0,
            bytes: 0,
        }
    }

    /// Events of this piece, for a stream's user.
    ///
    /// # Errors
    ///
    /// It makes no sense.
    pub fn add(&mut self, frame: &Frame, piece: Piece, out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.begin(frame, out);
        for choice in piece.into_choices() {
            self.bytes += choice.text_bytes + weight(&choice.logprobs);
            self.choice(frame, choice, out)?;
        }
        Ok(())
    }

    /// More than can be told whole at the end, several times over.
    pub const fn is_too_much(&self) -> bool {
        self.bytes > ASSEMBLED / 4
    }

    /// The last events, or the response itself.
    pub fn end(&mut self, frame: &Frame, counts: &Counts) -> Vec<u8> {
        let mut out = Vec::new();
        self.begin(frame, &mut out);
        let is_cut = matches!(self.finish_reason.as_deref(), Some("length" | "content_filter"));
        let last = self.items.len().wrapping_sub(1);
        for at in 0..self.items.len() {
            let ends = if is_cut && at == last { Ends::Cut } else { Ends::Whole };
            self.close(frame, at, ends, &mut out);
        }
        let (status, event) = match self.finish_reason.as_deref() {
            Some("length" | "content_filter") => ("incomplete", "response.incomplete"),
            _ => ("completed", "response.completed"),
        };
        let whole = self.object(frame, status, Some(counts));
        if !self.streams {
            return serde_json::to_vec(&whole).unwrap_or_default();
        }
        self.tell(&mut out, event, json!({ "response": whole }));
        out
    }

    /// The events of a stream that breaks. The SDKs know an error by its `error`.
    pub fn broken(&mut self, frame: &Frame, why: &ApiError) -> Vec<u8> {
        let mut out = Vec::new();
        self.begin(frame, &mut out);
        self.items
            .iter_mut()
            .filter(|item| item.state.is_none())
            .for_each(|item| item.state = Some(Ends::Cut));
        let mut whole = self.object(frame, "failed", None);
        whole["error"] = json!({ "code": "server_error", "message": why.message });
        self.tell(&mut out, "response.failed", json!({ "response": whole }));
        let event =
            json!({ "code": why.code, "message": why.message, "param": why.param, "error": why.told() });
        self.tell(&mut out, "error", event);
        out
    }

    fn begin(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        if self.told == 0 && self.streams {
            let begun = self.object(frame, "in_progress", None);
            self.tell(out, "response.created", json!({ "response": begun }));
            self.tell(out, "response.in_progress", json!({ "response": begun }));
        }
    }

    fn choice(&mut self, frame: &Frame, choice: Choice, out: &mut Vec<u8>) -> Result<(), &'static str> {
        if let Said::Delta(delta) = choice.said {
            let tokens =
                choice.logprobs.get("content").and_then(Value::as_array).cloned().unwrap_or_default();
            for (name, is) in [
                ("reasoning_content", Is::Thought),
                ("reasoning", Is::Thought),
                ("content", Is::Text),
                ("refusal", Is::Refusal),
            ] {
                let text = delta.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
                if let Some(text) = text {
                    let at = self.open(frame, is, out);
                    let logprobs = if name == "content" { tokens.as_slice() } else { &[] };
                    self.grow(frame, at, text, logprobs, out);
                }
            }
            for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                self.call(frame, call, out)?;
            }
        }
        self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        Ok(())
    }

    fn call(&mut self, frame: &Frame, call: &Value, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let number = call.get("index").and_then(Value::as_u64).unwrap_or(0) as usize;
        let text = |place: &str| call.pointer(place).and_then(Value::as_str).unwrap_or_default();
        if number > self.calls.len() || number >= 128 {
            return Err("tool calls do not come in order");
        }
        if number == self.calls.len() {
            // A runtime may name none, and its result could not be told whose it is.
            let id = match text("/id") {
                "" => format!("call_{number}"),
                id => id.into(),
            };
            let is = Is::Call { id, name: text("/function/name").into() };
            let at = self.open(frame, is, out);
            self.calls.push(at);
        }
        let at = self.calls.get(number).copied().unwrap_or_default();
        let arguments = text("/function/arguments");
        if !arguments.is_empty() {
            self.grow(frame, at, arguments, &[], out);
        }
        Ok(())
    }

    /// The item that goes on, or a new one. A call is always a new one, and several may go on at once.
    fn open(&mut self, frame: &Frame, is: Is, out: &mut Vec<u8>) -> usize {
        let last = self.items.len().wrapping_sub(1);
        let is_call = matches!(is, Is::Call { .. });
        if self.items.get(last).is_some_and(|item| item.state.is_none() && item.is == is && !is_call) {
            return last;
        }
        if self.items.get(last).is_some_and(|item| !matches!(item.is, Is::Call { .. })) {
            self.close(frame, last, Ends::Whole, out);
        }
        self.bytes += size_of::<Item>();
        let at = self.items.len();
        let item = Item { is, text: String::new(), logprobs: Vec::new(), state: None };
        self.tell_of(out, "response.output_item.added", at, json!({ "item": item.object(frame, at) }));
        if let Some(part) = item.part() {
            let body = json!({ "item_id": item.id(frame, at), "content_index": 0, "part": part });
            self.tell_of(out, "response.content_part.added", at, body);
        }
        self.items.push(item);
        at
    }

    fn grow(&mut self, frame: &Frame, at: usize, text: &str, logprobs: &[Value], out: &mut Vec<u8>) {
        let Some(item) = self.items.get_mut(at) else { return };
        item.text.push_str(text);
        item.logprobs.extend(logprobs.iter().cloned());
        let mut body = json!({ "item_id": item.id(frame, at), "delta": text });
        let event = format!("{}.delta", item.is.event());
        item.is.place(&mut body, logprobs);
        self.tell_of(out, &event, at, body);
    }

    fn close(&mut self, frame: &Frame, at: usize, ends: Ends, out: &mut Vec<u8>) {
        let Some(item) = self.items.get_mut(at).filter(|item| item.state.is_none()) else { return };
        item.state = Some(ends);
        let (id, event) = (item.id(frame, at), item.is.event());
        let mut done = json!({ "item_id": id, item.is.field(): item.text });
        if let Is::Call { name, .. } = &item.is {
            done["name"] = json!(name);
        }
        item.is.place(&mut done, &item.logprobs);
        let (part, object) = (item.part(), item.object(frame, at));
        self.tell_of(out, &format!("{event}.done"), at, done);
        if let Some(part) = part {
            let body = json!({ "item_id": id, "content_index": 0, "part": part });
            self.tell_of(out, "response.content_part.done", at, body);
        }
        self.tell_of(out, "response.output_item.done", at, json!({ "item": object }));
    }

    fn tell_of(&mut self, out: &mut Vec<u8>, event: &str, at: usize, mut body: Value) {
        body["output_index"] = json!(at);
        self.tell(out, event, body);
    }

    fn tell(&mut self, out: &mut Vec<u8>, event: &str, mut body: Value) {
        if !self.streams {
            return;
        }
        body["type"] = json!(event);
        body["sequence_number"] = json!(self.told);
        self.told += 1;
        out.extend(format!("event: {event}\ndata: {body}\n\n").into_bytes());
    }

    fn object(&self, frame: &Frame, status: &str, counts: Option<&Counts>) -> Value {
        let output: Vec<Value> =
            self.items.iter().enumerate().map(|(at, item)| item.object(frame, at)).collect();
        let usage = counts.map(|counts| {
            json!({
                "input_tokens": counts.input, "input_tokens_details": { "cached_tokens": counts.cached, "cache_write_tokens": 0 },
                "output_tokens": counts.output, "output_tokens_details": { "reasoning_tokens": 0 },
                "total_tokens": u64::from(counts.input) + u64::from(counts.output),
            })
        });
        let incomplete = match (status, self.finish_reason.as_deref()) {
            ("incomplete", Some("content_filter")) => json!({ "reason": "content_filter" }),
            ("incomplete", _) => json!({ "reason": "max_output_tokens" }),
            _ => Value::Null,
        };
        let mut object = json!({
            "id": frame.id, "object": "response", "created_at": frame.created_s, "status": status, "background": false,
            "error": null, "incomplete_details": incomplete, "model": frame.model, "output": output,
            "max_tool_calls": null, "previous_response_id": null, "service_tier": "default", "store": false,
            "truncation": "disabled", "usage": usage,
        });
        if let Some(fields) = object.as_object_mut() {
            fields.extend(self.repeated.clone());
        }
        object
    }
}

impl Item {
    fn id(&self, frame: &Frame, at: usize) -> String {
        let kind = match self.is {
            Is::Thought => "rs",
            Is::Text | Is::Refusal => "msg",
            Is::Call { .. } => "fc",
        };
        let request = frame.id.strip_prefix("resp_").unwrap_or(&frame.id);
        format!("{kind}_{request}{at:02}")
    }

    fn object(&self, frame: &Frame, at: usize) -> Value {
        let id = self.id(frame, at);
        let status = match self.state {
            None => "in_progress",
            Some(Ends::Whole) => "completed",
            Some(Ends::Cut) => "incomplete",
        };
        // What is just begun has no part yet.
        let content: Vec<Value> = self.part().filter(|_| self.state.is_some()).into_iter().collect();
        match &self.is {
            Is::Thought => {
                json!({ "id": id, "type": "reasoning", "status": status, "summary": [], "content": content })
            }
            Is::Text | Is::Refusal => {
                json!({ "id": id, "type": "message", "status": status, "role": "assistant", "content": content })
            }
            Is::Call { id: call, name } => json!({
                "id": id, "type": "function_call", "status": status, "call_id": call, "name": name,
                "arguments": self.text,
            }),
        }
    }

    /// What a message consists of. A call has no parts.
    fn part(&self) -> Option<Value> {
        match self.is {
            Is::Thought => Some(json!({ "type": "reasoning_text", "text": self.text })),
            Is::Text => Some(json!({
                "type": "output_text", "text": self.text, "annotations": [], "logprobs": self.logprobs,
            })),
            Is::Refusal => Some(json!({ "type": "refusal", "refusal": self.text })),
            Is::Call { .. } => None,
        }
    }
}

impl Is {
    const fn event(&self) -> &'static str {
        match self {
            Self::Thought => "response.reasoning_text",
            Self::Text => "response.output_text",
            Self::Refusal => "response.refusal",
            Self::Call { .. } => "response.function_call_arguments",
        }
    }

    /// What the whole text is called.
    const fn field(&self) -> &'static str {
        match self {
            Self::Thought | Self::Text => "text",
            Self::Refusal => "refusal",
            Self::Call { .. } => "arguments",
        }
    }

    fn place(&self, body: &mut Value, logprobs: &[Value]) {
        match self {
            Self::Text => (body["content_index"], body["logprobs"]) = (json!(0), json!(logprobs)),
            Self::Thought | Self::Refusal => body["content_index"] = json!(0),
            Self::Call { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::request::Echo;
    use crate::openai::task::Task;

    fn frame() -> Frame {
        Frame {
            task: Task::Chat,
            id: "resp_1".into(),
            model: "m".into(),
            created_s: 1,
            include_usage: false,
            answers: 1,
            echo: Echo::default(),
        }
    }

    fn deltas() -> Vec<Value> {
        let call = |part: Value| json!({ "tool_calls": [part] });
        [
            (json!({ "role": "assistant", "content": "" }), Value::Null),
            (json!({ "reasoning_content": "hm" }), Value::Null),
            (json!({ "content": "Hel" }), Value::Null),
            (json!({ "content": "lo" }), Value::Null),
            (
                call(json!({ "index": 0, "id": "c", "function": { "name": "f", "arguments": "" } })),
                Value::Null,
            ),
            (call(json!({ "index": 0, "function": { "arguments": "{}" } })), Value::Null),
            (json!({}), json!("tool_calls")),
        ]
        .map(
            |(delta, reason)| json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }] }),
        )
        .into()
    }

    fn run(streams: bool, deltas: &[Value]) -> String {
        let mut response = Response::new(streams, Map::new());
        let mut out = Vec::new();
        for delta in deltas {
            let piece = Piece::parse(&frame(), format!("{delta}").as_bytes()).unwrap().unwrap();
            response.add(&frame(), piece, &mut out).unwrap();
        }
        out.extend(response.end(&frame(), &Counts { input: 3, cached: 1, output: 4 }));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn items_come_one_after_another_and_whole_at_the_end() {
        let whole: Value = serde_json::from_str(&run(false, &deltas())).unwrap();
        assert_eq!(whole["status"], "completed");
        assert_eq!(whole["usage"]["total_tokens"], 7);
        let kinds: Vec<&str> =
            whole["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["reasoning", "message", "function_call"]);
        assert_eq!(whole["output"][1]["content"][0]["text"], "Hello");
        assert_eq!(
            (&whole["output"][2]["call_id"], &whole["output"][2]["arguments"]),
            (&json!("c"), &json!("{}"))
        );

        let stream = run(true, &deltas());
        let events: Vec<Value> = stream
            .split("\n\n")
            .filter(|event| !event.is_empty())
            .map(|event| serde_json::from_str(event.split_once("data: ").unwrap().1).unwrap())
            .collect();
        let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        let item = |name: &'static str, deltas: usize, parts: bool| {
            let added = if parts { "response.content_part.added" } else { "" };
            let done = if parts { "response.content_part.done" } else { "" };
            let deltas = core::iter::repeat_n(format!("response.{name}.delta"), deltas);
            ["response.output_item.added".into(), added.into()]
                .into_iter()
                .chain(deltas)
                .chain([format!("response.{name}.done"), done.into(), "response.output_item.done".into()])
                .filter(|kind: &String| !kind.is_empty())
                .collect::<Vec<String>>()
        };
        let expected: Vec<String> = ["response.created".into(), "response.in_progress".into()]
            .into_iter()
            .chain(item("reasoning_text", 1, true))
            .chain(item("output_text", 2, true))
            .chain(item("function_call_arguments", 1, false))
            .chain(["response.completed".into()])
            .collect();
        assert_eq!(kinds, expected);
        let numbers: Vec<Value> = events.iter().map(|event| event["sequence_number"].clone()).collect();
        assert_eq!(numbers, (0..events.len()).map(|at| json!(at)).collect::<Vec<_>>());
        assert_eq!(events.last().unwrap()["response"]["output"], whole["output"]);
    }

    #[test]
    fn an_answer_that_was_cut_short_is_incomplete_and_one_that_breaks_has_failed() {
        let cut =
            json!({ "choices": [{ "index": 0, "delta": { "content": "x" }, "finish_reason": "length" }] });
        let whole: Value = serde_json::from_str(&run(false, &[cut])).unwrap();
        assert_eq!(
            (&whole["status"], &whole["incomplete_details"]["reason"]),
            (&json!("incomplete"), &json!("max_output_tokens"))
        );
        let mut response = Response::new(true, Map::new());
        let why = ApiError::new(502, Some("provider_failed"), "it broke");
        let told = String::from_utf8(response.broken(&frame(), &why)).unwrap();
        assert!(told.contains("event: response.failed") && told.contains(r#""status":"failed""#), "{told}");
        assert!(told.contains("event: error") && told.contains(r#""code":"provider_failed""#), "{told}");
    }
}
