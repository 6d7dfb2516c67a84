//! What the toy answers to a request: a pure function of the request, the same in every process.

use alloc::{format, string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chain::{Chain, Manner, is_mark};
use crate::limits::{TOY_LONGEST, TOY_MIN_TOKENS, TOY_SENTENCE};
use crate::rng::Seed;

/// Tokens of the template around each message.
pub const TOKENS_PER_MESSAGE: usize = 3;
/// As many as OpenAI takes.
const STOPS: usize = 4;

/// A whole answer. A token is one word with the space before it, or one punctuation mark; a stop string may leave the
/// last one a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub tokens: Vec<String>,
    pub finish_reason: FinishReason,
    /// Words in the messages' texts, and three for each message.
    pub prompt_tokens: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// It had said all, or came to a stop string.
    Stop,
    /// It came to `max_tokens`.
    Length,
}

impl Completion {
    pub fn text(&self) -> String {
        self.tokens.concat()
    }
}

/// What the toy answers to an OpenAI chat request. An error is a text for the user.
pub fn completion(request: &Value) -> Result<Completion, String> {
    Chain::of_the_text().completion(request)
}

impl Chain {
    /// What the toy answers to an OpenAI chat request. An error is a text for the user.
    pub fn completion(&self, request: &Value) -> Result<Completion, String> {
        Request::parse(request).map(|request| request.complete(self))
    }
}

/// The part of an OpenAI chat request that the toy heeds; everything else is ignored.
#[derive(Deserialize)]
pub(super) struct Request {
    #[serde(default)]
    pub(super) model: String,
    messages: Vec<Message>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    seed: Option<i64>,
    temperature: Option<f64>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    /// As vLLM has it: no end before so many tokens.
    min_tokens: Option<u64>,
    stop: Option<Stop>,
    n: Option<u64>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "content must be a text, or a list of parts")]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    /// Absent in a part of another kind, such as an image, which the toy does not see.
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "stop must be a text, or a list of them")]
enum Stop {
    One(String),
    Several(Vec<String>),
}

impl Request {
    pub(super) fn parse(request: &Value) -> Result<Self, String> {
        let request = Self::deserialize(request).map_err(|error| format!("{error}"))?;
        if request.messages.is_empty() {
            return Err("messages must not be empty".into());
        }
        if request.n.is_some_and(|n| n != 1) {
            return Err("n must be 1".into());
        }
        if request.most() == 0 {
            return Err("max_tokens must be at least 1".into());
        }
        if request.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            return Err("temperature must lie between 0 and 2".into());
        }
        if request.stops().len() > STOPS || request.stops().iter().any(String::is_empty) {
            return Err(format!("stop must be a text that is not empty, or up to {STOPS} of them"));
        }
        Ok(request)
    }

    pub(super) fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    pub(super) fn includes_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or(false)
    }

    /// Tokens it may answer with.
    pub(super) fn most(&self) -> usize {
        let asked = self.max_completion_tokens.or(self.max_tokens).unwrap_or(u64::MAX);
        usize::try_from(asked).unwrap_or(usize::MAX).min(self.longest())
    }

    fn least(&self) -> usize {
        let asked = usize::try_from(self.min_tokens.unwrap_or_default()).unwrap_or(usize::MAX);
        asked.min(TOY_MIN_TOKENS)
    }

    fn longest(&self) -> usize {
        TOY_LONGEST.max(self.least() + TOY_SENTENCE)
    }

    pub(super) fn prompt_tokens(&self) -> usize {
        let words = |message: &Message| {
            message.texts().iter().map(|text| text.split_whitespace().count()).sum::<usize>()
                + TOKENS_PER_MESSAGE
        };
        self.messages.iter().map(words).sum()
    }

    pub(super) fn complete(&self, chain: &Chain) -> Completion {
        let spoken = chain.speak(self.manner());
        let space = |(at, word): (usize, &&str)| match at {
            0 => String::from(*word),
            _ if is_mark(word) => String::from(*word),
            _ => format!(" {word}"),
        };
        let mut tokens: Vec<String> = spoken.iter().enumerate().map(space).collect();
        let mut finish_reason = FinishReason::Stop;
        if tokens.len() > self.most() {
            tokens.truncate(self.most());
            finish_reason = FinishReason::Length;
        }
        if cut_at_stop(&mut tokens, self.stops()) {
            finish_reason = FinishReason::Stop;
        }
        Completion { tokens, finish_reason, prompt_tokens: self.prompt_tokens() }
    }

    /// What was said picks the topic; the seed picks the words, and is itself what was said where none is given.
    fn manner(&self) -> Manner {
        let mut hasher = blake3::Hasher::new_derive_key("labman toy 1 messages");
        for message in &self.messages {
            for text in core::iter::once(message.role.as_str()).chain(message.texts()) {
                hasher.update(&(text.len() as u64).to_be_bytes());
                hasher.update(text.as_bytes());
            }
        }
        let said = Seed(*hasher.finalize().as_bytes());
        let seed = self.seed.map_or(said, |seed| Seed::from_u64(seed.cast_unsigned()));
        Manner {
            topic: said.stream("topic"),
            at_least: self.least(),
            at_most: self.longest(),
            heard: self.most(),
            // In thousandths; the cast saturates.
            temperature: (self.temperature.unwrap_or(1.0) * 1000.0 + 0.5) as u64,
            choices: seed.stream("words"),
        }
    }

    fn stops(&self) -> &[String] {
        match &self.stop {
            None => &[],
            Some(Stop::One(stop)) => core::slice::from_ref(stop),
            Some(Stop::Several(stops)) => stops,
        }
    }
}

impl Message {
    fn texts(&self) -> Vec<&str> {
        match &self.content {
            None => Vec::new(),
            Some(Content::Text(text)) => alloc::vec![text.as_str()],
            Some(Content::Parts(parts)) => parts.iter().filter_map(|part| part.text.as_deref()).collect(),
        }
    }
}

/// Cuts the answer off before the first stop string in it. `false`: there is none.
fn cut_at_stop(tokens: &mut Vec<String>, stops: &[String]) -> bool {
    let text = tokens.concat();
    let Some(mut left) = stops.iter().filter_map(|stop| text.find(stop)).min() else { return false };
    for token in tokens.iter_mut() {
        token.truncate(left);
        left -= token.len();
    }
    tokens.retain(|token| !token.is_empty());
    true
}
