//! Answers in OpenAI's shape, built from a provider's chunks: field by field, because a provider is not believed.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Map, Value, json};

use crate::economics::Counts;
use crate::limits::ASSEMBLED;

/// Where the text of a delta stands: what a model says is one of these, or in a tool call. (`reasoning_content` and
/// `reasoning` are not OpenAI's; runtimes differ in which they use.)
pub const TEXT_FIELDS: [&str; 4] = ["content", "reasoning_content", "reasoning", "refusal"];

/// Bytes of what a model says in a delta: content, reasoning, refusal, tool names and arguments.
pub fn text_bytes(delta: &Value) -> usize {
    let text = |text: Option<&Value>| text.and_then(Value::as_str).map_or(0, str::len);
    let calls = delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let in_calls =
        calls.map(|call| text(call.pointer("/function/name")) + text(call.pointer("/function/arguments")));
    TEXT_FIELDS.iter().map(|field| text(delta.get(field))).sum::<usize>() + in_calls.sum::<usize>()
}

/// What all chunks of one answer share.
#[derive(Clone, Debug)]
pub struct Frame {
    /// `chatcmpl-...`
    pub id: String,
    pub model: String,
    pub created_s: u64,
    pub include_usage: bool,
}

/// A provider's chunk, checked: the parts that are passed on.
#[derive(Debug)]
pub struct Piece {
    delta: Map<String, Value>,
    logprobs: Value,
    finish_reason: Option<String>,
    /// [`text_bytes`] of the delta.
    pub text_bytes: usize,
}

impl Piece {
    /// `None`: nothing for the user is in it, such as in a chunk of usage only.
    pub fn parse(data: &[u8]) -> Result<Option<Self>, &'static str> {
        let chunk: Value = serde_json::from_slice(data).map_err(|_| "a chunk is not JSON")?;
        let Some(choice) = chunk.get("choices").and_then(Value::as_array).and_then(|list| list.first())
        else {
            return Ok(None);
        };
        let text_bytes = choice.get("delta").map_or(0, text_bytes);
        let mut delta = Map::new();
        if choice.get("delta").and_then(|delta| delta.get("role")).is_some() {
            delta.insert("role".into(), json!("assistant"));
        }
        for name in TEXT_FIELDS {
            match choice.get("delta").and_then(|delta| delta.get(name)) {
                Some(Value::String(text)) => {
                    delta.insert(name.into(), json!(text));
                }
                Some(Value::Null) if name == "content" => {
                    delta.insert(name.into(), Value::Null);
                }
                _ => {}
            }
        }
        if let Some(calls) =
            choice.get("delta").and_then(|delta| delta.get("tool_calls")).and_then(Value::as_array)
        {
            let calls: Vec<Value> = calls.iter().map(tool_call).collect();
            delta.insert("tool_calls".into(), Value::Array(calls));
        }
        let finish_reason = match choice.get("finish_reason") {
            Some(Value::String(reason)) => Some(reason.chars().take(32).collect()),
            _ => None,
        };
        let logprobs = choice.get("logprobs").filter(|l| l.is_object()).cloned().unwrap_or(Value::Null);
        Ok(Some(Self { delta, logprobs, finish_reason, text_bytes }))
    }

    /// One `data:` event.
    /// The event for a stream's user, without the reason why the answer is over: that is said by [`last_events`]. `None`:
    /// nothing is left then.
    pub fn event(&self, frame: &Frame) -> Option<Vec<u8>> {
        if self.delta.is_empty() && self.logprobs.is_null() && self.finish_reason.is_some() {
            return None;
        }
        Some(choice_event(frame, json!(self.delta), &self.logprobs, None))
    }

    pub fn finish_reason(&self) -> Option<&str> {
        self.finish_reason.as_deref()
    }
}

fn choice_event(frame: &Frame, delta: Value, logprobs: &Value, finish_reason: Option<&str>) -> Vec<u8> {
    let choice = json!({
        "index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason,
    });
    event(frame, json!([choice]), Value::Null)
}

fn tool_call(call: &Value) -> Value {
    let mut out = Map::new();
    out.insert("index".into(), json!(call.get("index").and_then(Value::as_u64).unwrap_or(0)));
    for name in ["id", "type"] {
        if let Some(text) = call.get(name).and_then(Value::as_str) {
            out.insert(name.into(), json!(text));
        }
    }
    let mut function = Map::new();
    for name in ["name", "arguments"] {
        if let Some(text) = call.get("function").and_then(|f| f.get(name)).and_then(Value::as_str) {
            function.insert(name.into(), json!(text));
        }
    }
    if !function.is_empty() {
        out.insert("function".into(), Value::Object(function));
    }
    Value::Object(out)
}

fn event(frame: &Frame, choices: Value, usage: Value) -> Vec<u8> {
    let mut chunk = json!({
        "id": frame.id, "object": "chat.completion.chunk", "created": frame.created_s, "model": frame.model,
        "system_fingerprint": null, "choices": choices,
    });
    if frame.include_usage
        && let Some(fields) = chunk.as_object_mut()
    {
        fields.insert("usage".into(), usage);
    }
    format!("data: {chunk}\n\n").into_bytes()
}

/// The events that end a stream in order: why the answer is over, the usage where it was asked for, and the end.
pub fn last_events(frame: &Frame, finish_reason: Option<&str>, counts: &Counts) -> Vec<u8> {
    let mut bytes = match finish_reason {
        Some(reason) => choice_event(frame, json!({}), &Value::Null, Some(reason)),
        None => Vec::new(),
    };
    if frame.include_usage {
        bytes.extend(event(frame, json!([]), usage(counts)));
    }
    bytes.extend_from_slice(b"data: [DONE]\n\n");
    bytes
}

/// The event that ends a stream early. Without it the SDKs take a cut stream for a whole one.
pub fn error_event(code: &str, message: &str) -> Vec<u8> {
    let error =
        json!({ "error": { "message": message, "type": "server_error", "param": null, "code": code } });
    format!("data: {error}\n\n").into_bytes()
}

fn usage(counts: &Counts) -> Value {
    json!({
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": u64::from(counts.input) + u64::from(counts.output),
        "prompt_tokens_details": { "cached_tokens": counts.cached, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

/// Puts the chunks of one answer together, for a request that did not ask for a stream.
#[derive(Debug, Default)]
pub struct Assembly {
    texts: Map<String, Value>,
    tool_calls: Vec<Value>,
    logprobs: Vec<Value>,
    finish_reason: Option<String>,
    /// Of all that was collected.
    bytes: usize,
}

impl Assembly {
    pub fn add(&mut self, piece: Piece) -> Result<(), &'static str> {
        self.bytes += piece.text_bytes;
        if self.bytes > ASSEMBLED {
            return Err("the answer is too long to be put together: ask for a stream");
        }
        for (name, value) in piece.delta {
            match (name.as_str(), value) {
                ("tool_calls", Value::Array(calls)) => {
                    calls.into_iter().try_for_each(|call| self.tool_call(call))?
                }
                (_, Value::String(text)) => match self.texts.get_mut(&name) {
                    Some(Value::String(so_far)) if name != "role" => so_far.push_str(&text),
                    _ => {
                        self.texts.insert(name, Value::String(text));
                    }
                },
                _ => {}
            }
        }
        if let Some(Value::Array(tokens)) = piece.logprobs.get("content") {
            self.bytes += tokens.iter().map(weight).sum::<usize>();
            self.logprobs.extend(tokens.iter().cloned());
        }
        self.finish_reason = piece.finish_reason.or(self.finish_reason.take());
        Ok(())
    }

    pub fn whole(mut self, frame: &Frame, counts: &Counts) -> Vec<u8> {
        let mut message = Map::new();
        message.insert("role".into(), json!("assistant"));
        message.insert("content".into(), self.texts.remove("content").unwrap_or(Value::Null));
        message.insert("refusal".into(), self.texts.remove("refusal").unwrap_or(Value::Null));
        message.insert("annotations".into(), json!([]));
        for name in ["reasoning_content", "reasoning"] {
            if let Some(reasoning) = self.texts.remove(name) {
                message.insert(name.into(), reasoning);
            }
        }
        if !self.tool_calls.is_empty() {
            for call in self.tool_calls.iter_mut().filter_map(Value::as_object_mut) {
                call.remove("index");
            }
            message.insert("tool_calls".into(), Value::Array(self.tool_calls));
        } else if message.get("content").is_some_and(Value::is_null) {
            message.insert("content".into(), json!(""));
        }
        let logprobs = match self.logprobs.is_empty() {
            true => Value::Null,
            false => json!({ "content": self.logprobs, "refusal": null }),
        };
        let answer = json!({
            "id": frame.id, "object": "chat.completion", "created": frame.created_s, "model": frame.model,
            "system_fingerprint": null, "service_tier": null,
            "choices": [{
                "index": 0, "message": message, "logprobs": logprobs,
                "finish_reason": self.finish_reason.as_deref().unwrap_or("stop"),
            }],
            "usage": usage(counts),
        });
        serde_json::to_vec(&answer).unwrap_or_default()
    }

    /// A call comes in parts: id and name first, then its arguments piece by piece.
    fn tool_call(&mut self, part: Value) -> Result<(), &'static str> {
        let index = part.get("index").and_then(Value::as_u64).unwrap_or(0) as usize;
        if index > self.tool_calls.len() || index >= 128 {
            return Err("tool calls do not come in order");
        }
        if index == self.tool_calls.len() {
            let empty = json!({ "index": index, "id": "", "type": "function", "function": { "name": "", "arguments": "" } });
            self.tool_calls.push(empty);
        }
        let Some(call) = self.tool_calls.get_mut(index) else { return Ok(()) };
        for name in ["id", "type"] {
            if let (Some(text), Some(slot)) = (part.get(name).and_then(Value::as_str), call.get_mut(name)) {
                self.bytes += text.len();
                *slot = json!(text);
            }
        }
        for name in ["name", "arguments"] {
            let text = part.get("function").and_then(|f| f.get(name)).and_then(Value::as_str);
            let slot = call.get_mut("function").and_then(|f| f.get_mut(name));
            if let (Some(text), Some(Value::String(so_far))) = (text, slot) {
                so_far.push_str(text);
            }
        }
        Ok(())
    }
}

/// What a value takes in memory, about.
fn weight(value: &Value) -> usize {
    let inside: usize = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + weight(value)).sum(),
    };
    size_of::<Value>() + inside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame { id: "chatcmpl-1".into(), model: "m".into(), created_s: 1, include_usage: true }
    }

    fn piece(json: &str) -> Piece {
        Piece::parse(json.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn what_a_provider_adds_of_its_own_is_left_out() {
        let piece = piece(
            r#"{"id": "evil", "model": "evil", "x": 1, "timings": {},
            "choices": [{"index": 7, "delta": {"content": "hi", "evil": 1}, "finish_reason": null}]}"#,
        );
        let event = String::from_utf8(piece.event(&frame()).unwrap()).unwrap();
        assert!(!event.contains("evil") && !event.contains("timings") && event.contains(r#""content":"hi""#));
        assert!(event.contains(r#""usage":null"#));
        assert_eq!(piece.text_bytes, 2);
    }

    #[test]
    fn the_chunks_of_an_answer_come_together() {
        let mut whole = Assembly::default();
        for json in [
            r#"{"choices": [{"delta": {"role": "assistant", "content": null}}]}"#,
            r#"{"choices": [{"delta": {"content": "Hel"}}]}"#,
            r#"{"choices": [{"delta": {"content": "lo"}}]}"#,
            r#"{"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c", "type": "function",
                "function": {"name": "f", "arguments": ""}}]}}]}"#,
            r#"{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{\"a\""}}]}}]}"#,
            r#"{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}}]}"#,
            r#"{"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}"#,
        ] {
            whole.add(piece(json)).unwrap();
        }
        let counts = Counts { input: 3, cached: 1, output: 2 };
        let answer: Value = serde_json::from_slice(&whole.whole(&frame(), &counts)).unwrap();
        let choice = &answer["choices"][0];
        assert_eq!(choice["message"]["content"], "Hello");
        assert_eq!(
            choice["message"]["tool_calls"][0]["function"],
            json!({"name": "f", "arguments": "{\"a\":1}"})
        );
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert_eq!(answer["usage"]["total_tokens"], 5);
    }
}
