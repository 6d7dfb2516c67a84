//! Puts the chunks of answers together, for a request that did not ask for a stream.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use serde_json::{Map, Value, json};

use super::piece::{Choice, Said};
use super::{Frame, Piece, usage};
use crate::economics::Counts;
use crate::limits::ASSEMBLED;
use crate::openai::task::Task;

#[derive(Debug, Default)]
pub struct Assembly {
    answers: BTreeMap<u32, Answer>,
    /// Of all that was collected.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Answer {
    /// A completion's text.
    text: String,
    /// A message's, by their fields.
    texts: Map<String, Value>,
    tool_calls: Vec<Value>,
    logprobs: Logprobs,
    finish_reason: Option<String>,
}

/// Lists by their names, each token's figures in the order of the tokens.
type Logprobs = BTreeMap<String, Vec<Value>>;

impl Assembly {
    /// Something of every answer is there.
    pub fn has_all(&self, frame: &Frame) -> bool {
        self.answers.len() == frame.answers as usize
    }

    /// More than a user who asked for no stream can be given.
    pub const fn is_too_much(&self) -> bool {
        self.bytes > ASSEMBLED
    }

    /// # Errors
    ///
    /// It makes no sense.
    pub fn add(&mut self, frame: &Frame, piece: Piece) -> Result<(), &'static str> {
        for choice in piece.into_choices() {
            self.bytes += choice.text_bytes;
            let bytes = self.answers.entry(choice.answer).or_default().add(frame, choice)?;
            self.bytes += bytes;
        }
        Ok(())
    }

    pub fn whole(mut self, frame: &Frame, counts: &Counts) -> Vec<u8> {
        let mut choices = Vec::new();
        for at in 0..frame.answers {
            let answer = self.answers.remove(&at).unwrap_or_default();
            choices.push(match frame.task {
                Task::Chat => answer.chat(at),
                Task::Completion | Task::Embedding => answer.completion(at, frame.echo.of(at)),
            });
        }
        let mut answer = json!({
            "id": frame.id, "created": frame.created_s, "model": frame.model,
            "choices": choices, "usage": usage(counts),
        });
        let (object, tier) = match frame.task {
            Task::Chat => ("chat.completion", Some(Value::Null)),
            Task::Completion | Task::Embedding => ("text_completion", None),
        };
        if let Some(fields) = answer.as_object_mut() {
            fields.insert("object".into(), object.into());
            fields.extend(tier.map(|tier| ("service_tier".into(), tier)));
        }
        serde_json::to_vec(&answer).unwrap_or_default()
    }
}

impl Answer {
    /// Gives the bytes that this takes beside its text.
    fn add(&mut self, frame: &Frame, choice: Choice) -> Result<usize, &'static str> {
        let mut bytes = 0;
        match choice.said {
            Said::Text(text) => self.text.push_str(&text),
            Said::Delta(delta) => {
                for (name, value) in delta {
                    match (name.as_str(), value) {
                        ("tool_calls", Value::Array(calls)) => {
                            for call in calls {
                                bytes += self.tool_call(&call)?;
                            }
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
            }
        }
        for name in logprob_lists(frame.task) {
            if let Some(Value::Array(tokens)) = choice.logprobs.get(*name) {
                bytes += tokens.iter().map(weight).sum::<usize>();
                self.logprobs.entry((*name).into()).or_default().extend(tokens.iter().cloned());
            }
        }
        self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        Ok(bytes)
    }

    fn completion(self, at: u32, echo: &str) -> Value {
        let logprobs = if self.logprobs.is_empty() { Value::Null } else { json!(self.logprobs) };
        json!({
            "index": at, "text": format!("{echo}{}", self.text), "logprobs": logprobs,
            "finish_reason": self.finish_reason.as_deref().unwrap_or("stop"),
        })
    }

    fn chat(mut self, at: u32) -> Value {
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
            for (number, call) in self.tool_calls.iter_mut().filter_map(Value::as_object_mut).enumerate() {
                call.remove("index");
                // A runtime may name none, and its result could not be told whose it is.
                if call.get("id").and_then(Value::as_str).is_none_or(str::is_empty) {
                    call.insert("id".into(), json!(format!("call_{at}_{number}")));
                }
            }
            message.insert("tool_calls".into(), Value::Array(self.tool_calls));
        } else if message.get("content").is_some_and(Value::is_null) {
            message.insert("content".into(), json!(""));
        }
        let logprobs = match (self.logprobs.remove("content"), self.logprobs.remove("refusal")) {
            (None, None) => Value::Null,
            (content, refusal) => json!({ "content": content, "refusal": refusal }),
        };
        json!({
            "index": at, "message": message, "logprobs": logprobs,
            "finish_reason": self.finish_reason.as_deref().unwrap_or("stop"),
        })
    }

    /// A call comes in parts: id and name first, then its arguments piece by piece. Gives the bytes beside its text.
    fn tool_call(&mut self, part: &Value) -> Result<usize, &'static str> {
        let mut bytes = 0;
        let index = part.get("index").and_then(Value::as_u64).unwrap_or(0) as usize;
        if index > self.tool_calls.len() || index >= 128 {
            return Err("tool calls do not come in order");
        }
        if index == self.tool_calls.len() {
            let empty = json!({ "index": index, "id": "", "type": "function", "function": { "name": "", "arguments": "" } });
            self.tool_calls.push(empty);
        }
        let Some(call) = self.tool_calls.get_mut(index) else { return Ok(0) };
        for name in ["id", "type"] {
            if let (Some(text), Some(slot)) = (part.get(name).and_then(Value::as_str), call.get_mut(name)) {
                bytes += text.len();
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
        Ok(bytes)
    }
}

/// The lists in a choice's `logprobs`.
const fn logprob_lists(task: Task) -> &'static [&'static str] {
    match task {
        Task::Chat => &["content", "refusal"],
        Task::Completion | Task::Embedding => &["tokens", "token_logprobs", "top_logprobs", "text_offset"],
    }
}

/// What a value takes in memory, about.
pub(super) fn weight(value: &Value) -> usize {
    let inside: usize = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + weight(value)).sum(),
    };
    size_of::<Value>() + inside
}
