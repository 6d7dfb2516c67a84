//! A provider's chunk, checked: the parts that are passed on.

use alloc::{string::String, vec::Vec};

use serde_json::{Map, Value, json};

use super::{Frame, TEXT_FIELDS, delta_bytes};
use crate::openai::task::Task;

#[derive(Debug)]
pub struct Piece {
    choices: Vec<Choice>,
    /// Of what is passed on of all choices.
    pub text_bytes: usize,
}

/// How one of the answers goes on.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) answer: u32,
    pub(super) said: Said,
    pub(super) logprobs: Value,
    pub(super) finish_reason: Option<String>,
    pub(super) text_bytes: usize,
}

#[derive(Debug)]
pub(super) enum Said {
    Delta(Map<String, Value>),
    Text(String),
}

impl Piece {
    /// `None`: nothing for the user is in it, such as in a chunk of usage only.
    ///
    /// # Errors
    ///
    /// What a provider must not send.
    pub fn parse(frame: &Frame, data: &[u8]) -> Result<Option<Self>, &'static str> {
        let chunk: Value = serde_json::from_slice(data).map_err(|_| "a chunk is not JSON")?;
        let choices = chunk.get("choices").and_then(Value::as_array).into_iter().flatten();
        let mut parsed: Vec<Choice> = Vec::new();
        for choice in choices {
            let choice = Choice::parse(frame, choice)?;
            if parsed.iter().any(|other| other.answer == choice.answer) {
                return Err("a chunk goes on with an answer twice");
            }
            parsed.push(choice);
        }
        let choices = parsed;
        let text_bytes = choices.iter().map(|choice| choice.text_bytes).sum();
        Ok((!choices.is_empty()).then_some(Self { choices, text_bytes }))
    }

    /// The events for a stream's user, without the reasons why answers are over: those are said by [`super::last_events`].
    /// `begins`: is it the first of that answer?
    pub fn events(&self, frame: &Frame, mut begins: impl FnMut(u32) -> bool) -> Vec<u8> {
        self.choices.iter().flat_map(|choice| choice.event(frame, begins(choice.answer))).collect()
    }

    /// Why answers are over, of those that are.
    pub fn finish_reasons(&self) -> impl Iterator<Item = (u32, &str)> {
        self.choices.iter().filter_map(|choice| Some((choice.answer, choice.finish_reason.as_deref()?)))
    }

    pub(super) fn into_choices(self) -> Vec<Choice> {
        self.choices
    }
}

impl Choice {
    fn parse(frame: &Frame, choice: &Value) -> Result<Self, &'static str> {
        let answer =
            choice.get("index").map_or(Some(0), |index| index.as_u64().and_then(|at| u32::try_from(at).ok()));
        let answer =
            answer.filter(|answer| *answer < frame.answers).ok_or("an answer that nobody asked for")?;
        let (said, text_bytes) = match frame.task {
            Task::Chat => {
                let delta = delta(choice.get("delta"));
                let bytes = delta_bytes(|name| delta.get(name));
                (Said::Delta(delta), bytes)
            }
            Task::Completion | Task::Embedding => {
                let text = choice.get("text").and_then(Value::as_str).unwrap_or_default();
                (Said::Text(text.into()), text.len())
            }
        };
        let finish_reason = match choice.get("finish_reason") {
            Some(Value::String(reason)) => Some(reason.chars().take(32).collect()),
            _ => None,
        };
        let logprobs = choice.get("logprobs").filter(|l| l.is_object());
        let logprobs = logprobs.map_or(Value::Null, |logprobs| logprobs_of(frame.task, logprobs));
        Ok(Self { answer, said, logprobs, finish_reason, text_bytes })
    }

    /// `None`: nothing is left without the reason why it is over.
    fn event(&self, frame: &Frame, begins: bool) -> Vec<u8> {
        let echo = if begins { frame.echo.of(self.answer) } else { "" };
        let (name, said, is_nothing) = match &self.said {
            Said::Delta(delta) => {
                let mut said = delta.clone();
                // Whatever the runtime does: first, and only then.
                said.remove("role");
                if begins {
                    said.insert("role".into(), json!("assistant"));
                }
                let is_nothing = said.is_empty();
                ("delta", Value::Object(said), is_nothing)
            }
            Said::Text(text) => {
                ("text", json!(alloc::format!("{echo}{text}")), text.is_empty() && echo.is_empty())
            }
        };
        if is_nothing && self.logprobs.is_null() && self.finish_reason.is_some() {
            return Vec::new();
        }
        let choice =
            json!({ "index": self.answer, name: said, "logprobs": self.logprobs, "finish_reason": null });
        frame.event(json!([choice]), Value::Null)
    }
}

/// A chat's have two lists. A completion's are lists of their own kind, also where a runtime tells them as a chat's.
fn logprobs_of(task: Task, from: &Value) -> Value {
    let tokens = from.get("content").and_then(Value::as_array);
    match (task, tokens) {
        (Task::Chat, _) => {
            let list = |name: &str| from.get(name).filter(|list| list.is_array()).cloned();
            json!({ "content": list("content"), "refusal": list("refusal") })
        }
        (Task::Completion | Task::Embedding, None) => from.clone(),
        (Task::Completion | Task::Embedding, Some(tokens)) => {
            let field = |name: &'static str| {
                tokens.iter().map(move |token| token.get(name).cloned().unwrap_or_default())
            };
            let best = tokens.iter().map(|token| {
                let best = token.get("top_logprobs").and_then(Value::as_array).into_iter().flatten();
                let named = best.filter_map(|one| {
                    Some((one.get("token")?.as_str()?.into(), one.get("logprob")?.clone()))
                });
                Value::Object(named.collect())
            });
            json!({
                "tokens": field("token").collect::<Vec<_>>(), "token_logprobs": field("logprob").collect::<Vec<_>>(),
                "top_logprobs": best.collect::<Vec<_>>(), "text_offset": Vec::<u32>::new(),
            })
        }
    }
}

fn delta(from: Option<&Value>) -> Map<String, Value> {
    let of = |name: &str| from.and_then(|delta| delta.get(name));
    let mut delta = Map::new();
    if of("role").is_some() {
        delta.insert("role".into(), json!("assistant"));
    }
    let is_told = |name: &str| of(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let twice = is_told("reasoning_content");
    for name in TEXT_FIELDS.into_iter().filter(|name| !(twice && *name == "reasoning")) {
        match of(name) {
            Some(Value::String(text)) => {
                delta.insert(name.into(), json!(text));
            }
            Some(Value::Null) if name == "content" => {
                delta.insert(name.into(), Value::Null);
            }
            _ => {}
        }
    }
    if let Some(calls) = of("tool_calls").and_then(Value::as_array) {
        delta.insert("tool_calls".into(), calls.iter().map(tool_call).collect());
    }
    delta
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
