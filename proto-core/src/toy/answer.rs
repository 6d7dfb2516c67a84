//! How the toy's answers look in JSON: OpenAI's objects.

use alloc::string::String;

use serde_json::{Value, json};

use super::completion::Completion;
use super::memory::{Memory, Status};
use crate::time::Time;

/// Says in every answer what gave it.
const FINGERPRINT: &str = "labman-toy";

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Text,
}

/// What all objects of one answer have in common.
pub(super) struct Answer {
    pub(super) kind: Kind,
    pub(super) id: String,
    /// Unix seconds.
    pub(super) created: u64,
    pub(super) model: String,
    /// The last chunk tells the usage, and the others say that they don't.
    pub(super) includes_usage: bool,
}

impl Answer {
    /// A text has none.
    pub(super) fn opening(&self) -> Option<Value> {
        let opening = json!({ "role": "assistant", "content": "" });
        match self.kind {
            Kind::Chat => Some(self.chunk(json!([choice("delta", opening, Value::Null)]), Value::Null)),
            Kind::Text => None,
        }
    }

    pub(super) fn token(&self, token: &str) -> Value {
        let choice = match self.kind {
            Kind::Chat => choice("delta", json!({ "content": token }), Value::Null),
            Kind::Text => choice("text", json!(token), Value::Null),
        };
        self.chunk(json!([choice]), Value::Null)
    }

    pub(super) fn finish(&self, completion: &Completion) -> Value {
        let reason = json!(completion.finish_reason);
        let choice = match self.kind {
            Kind::Chat => choice("delta", json!({}), reason),
            Kind::Text => choice("text", json!(""), reason),
        };
        self.chunk(json!([choice]), Value::Null)
    }

    pub(super) fn usage(&self, completion: &Completion) -> Value {
        self.chunk(json!([]), usage(completion))
    }

    /// The answer in one piece.
    pub(super) fn whole(&self, completion: &Completion) -> Value {
        let reason = json!(completion.finish_reason);
        let (object, choice) = match self.kind {
            Kind::Chat => {
                let message = json!({ "role": "assistant", "content": completion.text(), "refusal": null });
                ("chat.completion", choice("message", message, reason))
            }
            Kind::Text => ("text_completion", choice("text", json!(completion.text()), reason)),
        };
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "choices": [choice],
            "usage": usage(completion),
        })
    }

    fn chunk(&self, choices: Value, usage: Value) -> Value {
        let object = match self.kind {
            Kind::Chat => "chat.completion.chunk",
            Kind::Text => "text_completion",
        };
        let mut chunk = json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        });
        if self.includes_usage
            && let Some(fields) = chunk.as_object_mut()
        {
            fields.insert("usage".into(), usage);
        }
        chunk
    }
}

fn choice(name: &str, said: Value, finish_reason: Value) -> Value {
    json!({ "index": 0, name: said, "logprobs": null, "finish_reason": finish_reason })
}

fn usage(completion: &Completion) -> Value {
    let (input, output) = (completion.prompt_tokens, completion.tokens.len());
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": { "cached_tokens": 0 },
    })
}

/// Where there is nothing to load, nothing is said of it, as by a server of one model.
pub(super) fn models(memory: &Memory, now: Time, context_length: u32) -> Value {
    let model = |(name, status): (&str, Status)| {
        let mut model = json!({
            "id": name,
            "object": "model",
            "created": 0,
            "owned_by": "labman",
            "context_length": context_length,
        });
        if memory.moves()
            && let Some(fields) = model.as_object_mut()
        {
            fields.insert("status".into(), json!({ "value": status.name() }));
        }
        model
    };
    json!({ "object": "list", "data": memory.list(now).map(model).collect::<Value>() })
}

pub(super) fn error(status: u16, code: Option<&str>, message: &str) -> Value {
    let kind = if status < 500 { "invalid_request_error" } else { "server_error" };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}
