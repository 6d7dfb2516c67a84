//! Answers in OpenAI's shape, built from a provider's chunks: field by field, because a provider is not believed.
//!
//! - [`piece`]: a chunk's text, for each of the answers that it goes on with;
//! - [`assembly`]: put together, for whoever did not ask for a stream;
//! - [`response`]: as items with typed events, for the responses API;
//! - [`vectors`]: embeddings, one a chunk.

pub mod assembly;
pub mod piece;
pub mod response;
pub mod vectors;

use alloc::{format, string::String, vec::Vec};

pub use assembly::Assembly;
pub use piece::Piece;
use serde_json::{Value, json};

use super::request::Echo;
use super::task::Task;
use crate::economics::Counts;

/// Where the text of a delta stands: what a model says is one of these, or in a tool call. (`reasoning_content` and
/// `reasoning` are not OpenAI's; runtimes differ in which they use.)
pub const TEXT_FIELDS: [&str; 4] = ["content", "reasoning_content", "reasoning", "refusal"];

/// Bytes of what a model says in a choice of a chunk: a completion's text, or a delta's content, reasoning, refusal, tool names and
/// arguments.
pub fn text_bytes(choice: &Value) -> usize {
    match choice.get("delta") {
        Some(delta) => delta_bytes(|name| delta.get(name)),
        None => choice.get("text").and_then(Value::as_str).map_or(0, str::len),
    }
}

/// A thought is told once, though some runtimes tell it under both names.
fn delta_bytes<'d>(of: impl Fn(&str) -> Option<&'d Value>) -> usize {
    let text = |text: Option<&Value>| text.and_then(Value::as_str).map_or(0, str::len);
    let calls = of("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let in_calls =
        calls.map(|call| text(call.pointer("/function/name")) + text(call.pointer("/function/arguments")));
    let thought = match text(of("reasoning_content")) {
        0 => text(of("reasoning")),
        bytes => bytes,
    };
    text(of("content")) + text(of("refusal")) + thought + in_calls.sum::<usize>()
}

/// What all chunks of one answer share.
#[derive(Clone, Debug)]
pub struct Frame {
    pub task: Task,
    /// `chatcmpl-...`, `cmpl-...`
    pub id: String,
    pub model: String,
    pub created_s: u64,
    pub include_usage: bool,
    /// How many answers were asked for: others don't count.
    pub answers: u32,
    pub echo: Echo,
}

impl Frame {
    /// One `data:` event.
    fn event(&self, choices: Value, usage: Value) -> Vec<u8> {
        let object = match self.task {
            Task::Chat => "chat.completion.chunk",
            Task::Completion | Task::Embedding => "text_completion",
        };
        let mut chunk = json!({
            "id": self.id, "object": object, "created": self.created_s, "model": self.model,
            "choices": choices,
        });
        if self.include_usage
            && let Some(fields) = chunk.as_object_mut()
        {
            fields.insert("usage".into(), usage);
        }
        format!("data: {chunk}\n\n").into_bytes()
    }

    /// The event that says why an answer is over.
    fn finish(&self, answer: u32, reason: &str) -> Vec<u8> {
        let said = match self.task {
            Task::Chat => ("delta", json!({})),
            Task::Completion | Task::Embedding => ("text", json!("")),
        };
        let choice = json!({ "index": answer, said.0: said.1, "logprobs": null, "finish_reason": reason });
        self.event(json!([choice]), Value::Null)
    }
}

/// The events that end a stream in order: why each answer is over, the usage where it was asked for, and the end.
pub fn last_events<'r>(
    frame: &Frame,
    finish_reasons: impl Iterator<Item = (u32, &'r str)>,
    counts: &Counts,
) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        finish_reasons.flat_map(|(answer, reason)| frame.finish(answer, reason)).collect();
    if frame.include_usage {
        bytes.extend(frame.event(json!([]), usage(counts)));
    }
    bytes.extend_from_slice(b"data: [DONE]\n\n");
    bytes
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame {
            task: Task::Chat,
            id: "chatcmpl-1".into(),
            model: "m".into(),
            created_s: 1,
            include_usage: true,
            answers: 1,
            echo: Echo::default(),
        }
    }

    fn piece(json: &str) -> Piece {
        Piece::parse(&frame(), json.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn what_a_provider_adds_of_its_own_is_left_out() {
        let piece = piece(
            r#"{"id": "evil", "model": "evil", "x": 1, "timings": {},
            "choices": [{"index": 0, "delta": {"content": "hi", "evil": 1}, "finish_reason": null}]}"#,
        );
        let event = String::from_utf8(piece.events(&frame(), |_| false)).unwrap();
        assert!(!event.contains("evil") && !event.contains("timings") && event.contains(r#""content":"hi""#));
        assert!(event.contains(r#""usage":null"#));
        assert_eq!(piece.text_bytes, 2);
    }

    #[test]
    fn an_answer_that_was_not_asked_for_is_a_provider_s_mistake() {
        let more = br#"{"choices": [{"index": 1, "delta": {"content": "hi"}}]}"#;
        assert!(Piece::parse(&frame(), more).is_err());
    }

    #[test]
    fn several_answers_come_together_each_behind_what_is_echoed() {
        let body = br#"{"model": "m", "prompt": ["a", "b"], "echo": true}"#;
        let request =
            super::super::request::Request::parse(crate::openai::task::Call::Completion, body).unwrap();
        let frame = Frame {
            task: Task::Completion,
            id: "cmpl-1".into(),
            answers: request.answers(),
            echo: request.echo,
            ..frame()
        };
        let pieces = [
            r#"{"choices": [{"index": 0, "text": " one", "logprobs": null}]}"#,
            r#"{"choices": [{"index": 0, "text": "!", "finish_reason": "stop"}]}"#,
            r#"{"choices": [{"index": 1, "text": " two", "finish_reason": "length"}]}"#,
        ];
        let piece = |json: &str| Piece::parse(&frame, json.as_bytes()).unwrap().unwrap();
        let mut whole = Assembly::default();
        pieces.iter().try_for_each(|json| whole.add(&frame, piece(json))).unwrap();
        let answer: Value = serde_json::from_slice(&whole.whole(&frame, &Counts::default())).unwrap();
        assert_eq!(answer["object"], "text_completion");
        assert_eq!(
            answer["choices"],
            json!([
                { "index": 0, "text": "a one!", "logprobs": null, "finish_reason": "stop" },
                { "index": 1, "text": "b two", "logprobs": null, "finish_reason": "length" },
            ])
        );
        let event = String::from_utf8(piece(pieces[2]).events(&frame, |_| true)).unwrap();
        assert!(event.contains(r#""text":"b two""#) && event.contains(r#""finish_reason":null"#), "{event}");
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
            whole.add(&frame(), piece(json)).unwrap();
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
