//! Counts what a runtime streams.
//!
//! A runtime's own `usage` is believed as soon as it comes. Until then a chunk that carries text counts as one token of
//! output, and input counts as nothing: nobody counted it, so nobody is billed for it. A runtime that never reports
//! usage is therefore paid for its output alone.
//!
//! A gateway accepts at most a token for each byte of text, so no more are stated: tokens that no text came for (a model's
//! hidden thoughts, half a character) are nobody's to pay.

use serde::Deserialize;
use serde_json::Value;

use crate::economics::Counts;
use crate::openai::answer::text_bytes;

#[derive(Debug, Default)]
pub struct Meter {
    /// Of the parts before, and of the part that runs.
    before: Counts,
    counts: Counts,
    text_bytes: usize,
    finished: bool,
    /// This part reads what the part before has read: a prompt is paid for once, however many answers there are to it.
    rereads: bool,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

impl Meter {
    pub fn counts(&self) -> Counts {
        let most = u32::try_from(self.text_bytes).unwrap_or(u32::MAX);
        let Counts { input, cached, output } = self.counts;
        let (input, cached) = if self.rereads { (0, 0) } else { (input, cached) };
        Counts {
            input: self.before.input.saturating_add(input),
            cached: self.before.cached.saturating_add(cached),
            output: self.before.output.saturating_add(output.min(most)),
        }
    }

    /// The next part begins.
    pub(super) fn next(&mut self, reads_anew: bool) {
        *self = Self { before: self.counts(), rereads: !reads_anew, ..Self::default() };
    }

    /// A `finish_reason` has been seen: what may still come is usage.
    pub fn has_finished(&self) -> bool {
        self.finished
    }

    /// Takes in one chunk, or a whole answer.
    pub fn read(&mut self, chunk: &Value) {
        for choice in chunk.get("choices").and_then(Value::as_array).into_iter().flatten() {
            self.finished |= choice.get("finish_reason").is_some_and(Value::is_string);
            let text = text_bytes(choice);
            if text > 0 {
                self.counts.output = self.counts.output.saturating_add(1);
                self.text_bytes += text;
            }
        }
        if let Some(usage) = chunk.get("usage").and_then(|usage| Usage::deserialize(usage).ok()) {
            self.believe(&usage);
        }
    }

    /// Takes in what a runtime says of the vectors that follow.
    pub(super) fn read_usage(&mut self, answer: &Value) {
        self.read(answer);
        (self.counts.output, self.text_bytes) = (0, 0);
    }

    /// A vector counts as a token of output, so that whoever took it can say so.
    pub(super) fn vector(&mut self) {
        self.counts.output = self.counts.output.saturating_add(1);
        self.text_bytes += 1;
    }

    fn believe(&mut self, usage: &Usage) {
        let tokens = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let Counts { input, output, .. } = self.counts;
        let input = usage.prompt_tokens.map_or(input, tokens);
        let cached = usage.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
        self.counts = Counts {
            input,
            cached: cached.map_or(0, tokens).min(input),
            output: usage.completion_tokens.map_or(output, tokens),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn delta(delta: Value) -> Value {
        json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
    }

    #[test]
    fn until_the_runtime_counts_every_chunk_with_text_is_a_token() {
        let mut meter = Meter::default();
        for silent in [json!({"role": "assistant", "content": ""}), json!({"content": null}), json!({})] {
            meter.read(&delta(silent));
        }
        assert_eq!(meter.counts(), Counts::default());
        for text in [
            json!({"content": "a"}),
            json!({"reasoning_content": "b"}),
            json!({"reasoning": "c"}),
            json!({"refusal": "d"}),
            json!({"tool_calls": [{"index": 0, "function": {"name": "e", "arguments": ""}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}),
        ] {
            meter.read(&delta(text));
        }
        assert_eq!(meter.counts(), Counts { input: 0, cached: 0, output: 6 });
    }

    #[test]
    fn the_runtime_s_own_usage_is_believed() {
        let mut meter = Meter::default();
        meter.read(&delta(json!({"content": "two words"})));
        meter.read(&json!({"choices": [], "usage": {
            "completion_tokens": 3, "prompt_tokens": 22, "prompt_tokens_details": {"cached_tokens": 8}}}));
        assert_eq!(meter.counts(), Counts { input: 22, cached: 8, output: 3 });
    }

    #[test]
    fn a_nonsensical_usage_can_t_break_the_counts() {
        let mut meter = Meter::default();
        meter.read(&delta(json!({"content": "x"})));
        for usage in [json!(null), json!({"prompt_tokens": -1}), json!("many"), json!({})] {
            meter.read(&json!({ "usage": usage }));
            assert_eq!(meter.counts(), Counts { input: 0, cached: 0, output: 1 });
        }
        let details = json!({"cached_tokens": 9});
        meter.read(&json!({"usage": {"prompt_tokens": 4, "completion_tokens": u64::MAX, "prompt_tokens_details": details}}));
        assert_eq!(meter.counts(), Counts { input: 4, cached: 4, output: 1 });
    }

    #[test]
    fn a_prompt_is_paid_for_once_however_many_answers_there_are_to_it() {
        let mut meter = Meter::default();
        let answer = |meter: &mut Meter, input| {
            meter.read(&delta(json!({"content": "x"})));
            meter.read(&json!({"choices": [], "usage": {"prompt_tokens": input, "completion_tokens": 1}}));
        };
        answer(&mut meter, 10);
        meter.next(false);
        answer(&mut meter, 10);
        meter.next(true);
        answer(&mut meter, 5);
        assert_eq!(meter.counts(), Counts { input: 15, cached: 0, output: 3 });
    }

    #[test]
    fn only_a_finish_reason_finishes() {
        let mut meter = Meter::default();
        meter.read(&delta(json!({"content": "x"})));
        assert!(!meter.has_finished());
        meter.read(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}));
        assert!(meter.has_finished());
    }
}
