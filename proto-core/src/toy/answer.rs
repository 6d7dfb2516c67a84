//! How the toy's answers look in JSON: OpenAI's objects.

use alloc::string::String;

use serde_json::{Value, json};

use super::completion::Completion;
use super::memory::{Memory, Status};
use crate::time::Time;

/// Says in every answer what gave it.
const FINGERPRINT: &str = "labman-toy";

/// What all objects of one answer have in common.
pub(super) struct Answer {
    pub(super) id: String,
    /// Unix seconds.
    pub(super) created: u64,
    pub(super) model: String,
    /// The last chunk tells the usage, and the others say that they don't.
    pub(super) includes_usage: bool,
}

impl Answer {
    pub(super) fn opening(&self) -> Value {
        self.chunk(json!([choice(json!({ "role": "assistant", "content": "" }), Value::Null)]), Value::Null)
    }

    pub(super) fn token(&self, token: &str) -> Value {
        self.chunk(json!([choice(json!({ "content": token }), Value::Null)]), Value::Null)
    }

    pub(super) fn finish(&self, completion: &Completion) -> Value {
        self.chunk(json!([choice(json!({}), json!(completion.finish_reason))]), Value::Null)
    }

    pub(super) fn usage(&self, completion: &Completion) -> Value {
        self.chunk(json!([]), usage(completion))
    }

    /// The answer in one piece.
    pub(super) fn whole(&self, completion: &Completion) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": completion.text(), "refusal": null },
                "logprobs": null,
                "finish_reason": completion.finish_reason,
            }],
            "usage": usage(completion),
        })
    }

    fn chunk(&self, choices: Value, usage: Value) -> Value {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
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

fn choice(delta: Value, finish_reason: Value) -> Value {
    json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason })
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
