//! What a body asks a runtime for: which of the API's calls it is for is told by the one field that each must have.
//!
//! ```text
//!   messages  a chat         n answers to one prompt
//!   prompt    a completion   n answers to each of several prompts
//!   input     embeddings     a vector for each of many texts, some at a time
//! ```
//!
//! A body that asks for several answers is cut into parts, which a Portman asks its runtime for one after another: runtimes differ in
//! whether they know `n`, and a job has one slot.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::fields::{self, Field};
use super::messages;
use crate::limits::{EMBEDDED_AT_ONCE, EMBEDDED_INPUTS, HTTP_BODY, INPUT_ALLOWANCE_PER_ITEM, PARTS};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Chat,
    Completion,
    Embedding,
}

/// The calls of the API that are for a task. A response is made as a chat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Chat,
    Completion,
    Embedding,
    Response,
}

impl Call {
    /// `None`: there is no such call here.
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/v1/chat/completions" => Some(Self::Chat),
            "/v1/completions" => Some(Self::Completion),
            "/v1/embeddings" => Some(Self::Embedding),
            "/v1/responses" => Some(Self::Response),
            _ => None,
        }
    }

    pub const fn task(self) -> Task {
        match self {
            Self::Chat | Self::Response => Task::Chat,
            Self::Completion => Task::Completion,
            Self::Embedding => Task::Embedding,
        }
    }

    /// What was asked does not fit into a model's context, as `why` says.
    pub(crate) fn too_long(self, why: &str) -> ApiError {
        let (about, remedy) = match self {
            Self::Chat => ("messages", "Shorten them, or ask for less by `max_tokens`"),
            Self::Response => ("input", "Shorten it, or ask for less by `max_output_tokens`"),
            Self::Completion => ("prompt", "Shorten it, or ask for less by `max_tokens`"),
            Self::Embedding => ("input", "Shorten each text"),
        };
        let message = format!("{}. {remedy}.", why.trim_end_matches('.'));
        let code = Some("context_length_exceeded");
        ApiError { param: Some(about.into()), ..ApiError::new(400, code, message) }
    }

    /// What an answer's id begins with.
    pub const fn id_begins(self) -> &'static str {
        match self {
            Self::Chat => "chatcmpl-",
            Self::Completion | Self::Embedding => "cmpl-",
            Self::Response => "resp_",
        }
    }
}

type Fields = Map<String, Value>;

impl Task {
    /// `None`: it has none of the three fields, or several.
    pub fn of(body: &Fields) -> Option<Self> {
        let all = [Self::Chat, Self::Completion, Self::Embedding];
        let mut named = all.into_iter().filter(|task| body.contains_key(task.field()));
        named.next().filter(|_| named.next().is_none())
    }

    /// What it is about.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completion => "prompt",
            Self::Embedding => "input",
        }
    }

    /// The field of that name, if a provider's runtime gets it.
    pub(super) fn passed(self, name: &str) -> Option<&'static Field> {
        fields::passed(self).into_iter().flatten().find(|field| field.name == name)
    }

    /// The same if it stays at the gateway.
    pub(super) fn kept(self, name: &str) -> Option<&'static Field> {
        fields::kept(self).into_iter().flatten().find(|field| field.name == name)
    }

    /// Where a runtime is asked for it, behind its base URL.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completion => "/completions",
            Self::Embedding => "/embeddings",
        }
    }

    /// It is answered by a stream of events, each with some of the text. Else by one object.
    pub const fn streams(self) -> bool {
        match self {
            Self::Chat | Self::Completion => true,
            Self::Embedding => false,
        }
    }

    /// Fields of which every token is read.
    const fn read(self) -> &'static [&'static str] {
        match self {
            Self::Chat => &["messages", "tools", "response_format"],
            Self::Completion => &["prompt"],
            Self::Embedding => &["input"],
        }
    }

    /// # Errors
    ///
    /// Names the field that is wrong.
    pub(crate) fn check(self, body: &Fields) -> Result<(), ApiError> {
        let field = self.field();
        let about = body
            .get(field)
            .ok_or_else(|| ApiError::bad_param(field, format!("You must provide `{field}`.")))?;
        match self {
            Self::Chat => messages::check(about)?,
            Self::Completion if texts(about).is_none_or(|texts| texts.is_empty()) => {
                let what = "`prompt` must be a text, a list of tokens, or a list of these.";
                return Err(ApiError::bad_param("prompt", what));
            }
            Self::Embedding
                if texts(about).is_none_or(|texts| {
                    texts.is_empty() || texts.len() > EMBEDDED_INPUTS || texts.iter().any(is_empty)
                }) =>
            {
                let what = format!(
                    "`input` must be a text, a list of tokens, or a list of at most {EMBEDDED_INPUTS} of these, and none empty."
                );
                return Err(ApiError::bad_param("input", what));
            }
            Self::Completion | Self::Embedding => {}
        }
        if self == Self::Embedding {
            return Ok(());
        }
        let prompts = self.prompts(body);
        if prompts > PARTS {
            let message = format!("`prompt` must be of at most {PARTS} texts.");
            return Err(ApiError::bad_param("prompt", message));
        }
        let each = answers(body).unwrap_or(0);
        if !(1..=PARTS).contains(&each.saturating_mul(prompts)) {
            let message = format!("`n` must be from 1 to {PARTS}, over all prompts.");
            return Err(ApiError::bad_param("n", message));
        }
        // A runtime may read it anew for each answer, and its prompt is paid for once.
        let read: u64 = self.read().iter().filter_map(|name| body.get(*name)).map(json_bytes).sum();
        if each > 1 && u64::from(each) * read > HTTP_BODY as u64 {
            return Err(ApiError::bad_param("n", "The prompt is too long to be answered `n` times at once."));
        }
        Ok(())
    }

    /// Prompts that are read one at a time.
    fn prompts(self, body: &Fields) -> u32 {
        let texts = || body.get(self.field()).and_then(texts).map_or(1, |texts| texts.len());
        let prompts = match self {
            Self::Chat => 1,
            Self::Completion => texts(),
            Self::Embedding => texts().div_ceil(EMBEDDED_AT_ONCE),
        };
        u32::try_from(prompts).unwrap_or(u32::MAX)
    }

    /// Answers to each prompt. It was checked.
    fn answers_each(self, body: &Fields) -> u32 {
        match self {
            Self::Chat | Self::Completion => answers(body).unwrap_or(1).clamp(1, PARTS),
            Self::Embedding => 1,
        }
    }

    /// How many parts the body has. It was checked.
    pub(crate) fn parts(self, body: &Fields) -> u32 {
        self.answers_each(body).saturating_mul(self.prompts(body)).clamp(1, PARTS)
    }

    /// How many choices, or vectors, it is answered by.
    pub(crate) fn answers(self, body: &Fields) -> u32 {
        match self {
            Self::Chat | Self::Completion => self.parts(body),
            Self::Embedding => {
                let inputs = body.get(self.field()).and_then(texts).map_or(1, |texts| texts.len());
                u32::try_from(inputs).unwrap_or(u32::MAX)
            }
        }
    }

    /// The part of that number, in the order of their answers. The body was checked. `None`: there are not so many.
    pub(crate) fn part(self, body: &Fields, at: u32) -> Option<Part> {
        let field = self.field();
        let answers = self.answers_each(body);
        let (prompt, answer) = ((at / answers) as usize, at % answers);
        let texts = body.get(field).and_then(texts);
        let (about, first) = match (self, texts) {
            _ if at >= self.parts(body) => return None,
            (Self::Chat, _) | (_, None) => (body.get(field)?.clone(), at),
            (Self::Completion, Some(texts)) => ((*texts.get(prompt)?).clone(), at),
            (Self::Embedding, Some(texts)) => {
                let some = texts.chunks(EMBEDDED_AT_ONCE).nth(prompt)?;
                let first = u32::try_from(prompt * EMBEDDED_AT_ONCE).ok()?;
                (some.iter().map(|text| (*text).clone()).collect(), first)
            }
        };
        let others = body.iter().filter(|(name, _)| *name != field && *name != "n");
        let mut part: Fields = others.map(|(name, value)| (name.clone(), value.clone())).collect();
        part.insert(field.into(), about);
        // The same seed would say the same again.
        match part.get("seed").map(|seed| (seed.as_i64(), seed.as_u64())) {
            Some((Some(seed), _)) => {
                drop(part.insert("seed".into(), json!(seed.wrapping_add(answer.into()))))
            }
            Some((None, Some(seed))) => {
                drop(part.insert("seed".into(), json!(seed.wrapping_add(answer.into()))))
            }
            _ => {}
        }
        Some(Part { body: part, first, reads_anew: answer == 0 })
    }

    /// The texts that are to be completed, and how many answers there are to each. `None`: one is not a text but tokens.
    pub(crate) fn prompts_as_texts(body: &Fields) -> Option<(Vec<&str>, u32)> {
        let texts = body.get("prompt").and_then(texts)?;
        let prompts: Option<Vec<&str>> = texts.into_iter().map(Value::as_str).collect();
        Some((prompts?, answers(body)?))
    }

    /// The most input tokens that can be billed: a token a byte of what the model reads, and an allowance for the template
    /// around each message, tool or text. Both ends compute it from the same body.
    pub(crate) fn input_bound(self, body: &Fields) -> u32 {
        let mut bound = INPUT_ALLOWANCE_PER_ITEM;
        for value in self.read().iter().filter_map(|name| body.get(*name)) {
            bound += match self {
                Self::Chat => {
                    let items = value.as_array().map_or(1, |list| list.len()) as u64;
                    json_bytes(value) + items * INPUT_ALLOWANCE_PER_ITEM
                }
                Self::Completion | Self::Embedding => {
                    texts(value).into_iter().flatten().map(text_bound).sum()
                }
            };
        }
        u32::try_from(bound).unwrap_or(u32::MAX)
    }

    /// The same of the longest that has to fit into a model's context at once.
    pub(crate) fn longest(self, body: &Fields) -> u32 {
        let Some(texts) = body.get(self.field()).and_then(texts).filter(|_| self != Self::Chat) else {
            return self.input_bound(body);
        };
        let longest = texts.into_iter().map(text_bound).max().unwrap_or(0);
        u32::try_from(longest).unwrap_or(u32::MAX)
    }

    /// Output of each part where its user says nothing of it; else as much as the model's context has room for.
    pub(crate) const fn usual_output(self) -> Option<u32> {
        match self {
            Self::Completion => Some(16),
            Self::Chat | Self::Embedding => None,
        }
    }

    /// Output of each part, where it is bound by the task itself: a vector counts as one token.
    pub(crate) const fn output_each(self) -> Option<u32> {
        match self {
            Self::Chat | Self::Completion => None,
            Self::Embedding => Some(EMBEDDED_AT_ONCE as u32),
        }
    }
}

fn json_bytes(value: &Value) -> u64 {
    serde_json::to_vec(value).map_or(0, |json| json.len()) as u64
}

/// Of a text, or a list of tokens.
fn text_bound(text: &Value) -> u64 {
    let tokens = text.as_array().map(|tokens| tokens.len() as u64);
    tokens.unwrap_or_else(|| json_bytes(text)) + INPUT_ALLOWANCE_PER_ITEM
}

/// What a runtime is asked for at once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) body: Fields,
    /// The number of its first answer among all.
    pub(crate) first: u32,
    /// Not what the part before has read.
    pub(crate) reads_anew: bool,
}

/// How many for each prompt.
fn answers(body: &Fields) -> Option<u32> {
    match body.get("n") {
        None | Some(Value::Null) => Some(1),
        Some(n) => n.as_u64().and_then(|n| u32::try_from(n).ok()),
    }
}

/// Texts, or lists of tokens, one at a time. `None`: it is none of both.
fn texts(value: &Value) -> Option<Vec<&Value>> {
    let is_text = |value: &Value| value.is_string() || is_tokens(value);
    match value {
        value if is_text(value) => Some([value].into()),
        Value::Array(texts) if texts.iter().all(is_text) => Some(texts.iter().collect()),
        _ => None,
    }
}

fn is_tokens(value: &Value) -> bool {
    value.as_array().is_some_and(|tokens| !tokens.is_empty() && tokens.iter().all(Value::is_u64))
}

fn is_empty(text: &&Value) -> bool {
    text.as_str().is_some_and(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: Value) -> Fields {
        value.as_object().cloned().unwrap()
    }

    fn parts(value: Value) -> Vec<(Value, u32, bool)> {
        let body = fields(value);
        let task = Task::of(&body).unwrap();
        task.check(&body).unwrap();
        let parts: Vec<Part> = (0..).map_while(|at| task.part(&body, at)).collect();
        assert_eq!(parts.len(), task.parts(&body) as usize);
        parts.into_iter().map(|part| (Value::Object(part.body), part.first, part.reads_anew)).collect()
    }

    #[test]
    fn one_field_tells_what_is_asked_for() {
        let of = |value| Task::of(&fields(value));
        assert_eq!(of(json!({ "messages": [] })), Some(Task::Chat));
        assert_eq!(of(json!({ "prompt": "x" })), Some(Task::Completion));
        assert_eq!(of(json!({ "input": "x" })), Some(Task::Embedding));
        assert_eq!(of(json!({ "input": "x", "prompt": "x" })), None);
        assert_eq!(of(json!({})), None);
    }

    #[test]
    fn several_answers_to_one_prompt_differ_by_their_seed_and_read_it_once() {
        let messages = json!([{ "role": "user", "content": "x" }]);
        assert_eq!(
            parts(json!({ "messages": messages, "n": 2, "seed": 7 })),
            [
                (json!({ "messages": messages, "seed": 7 }), 0, true),
                (json!({ "messages": messages, "seed": 8 }), 1, false),
            ]
        );
    }

    #[test]
    fn each_of_several_prompts_is_a_part() {
        assert_eq!(
            parts(json!({ "prompt": ["a", [1, 2]], "n": 2 }))
                .iter()
                .map(|(body, first, _)| (body["prompt"].clone(), *first))
                .collect::<Vec<_>>(),
            [(json!("a"), 0), (json!("a"), 1), (json!([1, 2]), 2), (json!([1, 2]), 3)]
        );
        assert_eq!(parts(json!({ "prompt": [1, 2] })), [(json!({ "prompt": [1, 2] }), 0, true)]);
    }

    #[test]
    fn many_texts_are_embedded_some_at_a_time() {
        let texts: Vec<Value> = (0..EMBEDDED_AT_ONCE + 1).map(|n| json!(format!("{n}"))).collect();
        let all = parts(json!({ "input": texts }));
        assert_eq!(all.iter().map(|(_, first, _)| *first).collect::<Vec<_>>(), [0, EMBEDDED_AT_ONCE as u32]);
        assert_eq!(all[1].0["input"], json!([texts.last()]));
    }

    #[test]
    fn tokens_are_bound_by_their_number_and_texts_by_their_bytes() {
        let bound = |value: Value| {
            let body = fields(value);
            let task = Task::of(&body).unwrap();
            (task.input_bound(&body), task.longest(&body))
        };
        assert_eq!(bound(json!({ "prompt": [70_000, 70_001] })), (64 + 2 + 64, 2 + 64));
        assert_eq!(bound(json!({ "input": ["abc", [1, 2]] })), (64 + 5 + 64 + 2 + 64, 5 + 64));
    }

    #[test]
    fn what_no_runtime_would_take_is_refused_where_it_is_wrong() {
        for (body, param) in [
            (json!({ "prompt": 5 }), "prompt"),
            (json!({ "prompt": [] }), "prompt"),
            (json!({ "prompt": ["a", 5] }), "prompt"),
            (json!({ "prompt": "a", "n": 0 }), "n"),
            (json!({ "prompt": "a", "n": "2" }), "n"),
            (json!({ "prompt": ["a", "b"], "n": PARTS }), "n"),
            (json!({ "prompt": alloc::vec!["a"; PARTS as usize + 1] }), "prompt"),
            (json!({ "prompt": "x".repeat(HTTP_BODY / 2), "n": 3 }), "n"),
            (json!({ "input": "" }), "input"),
            (json!({ "input": ["a", ""] }), "input"),
            (json!({ "input": alloc::vec!["a"; EMBEDDED_INPUTS + 1] }), "input"),
            (json!({ "messages": "hello" }), "messages"),
        ] {
            let body = fields(body);
            let refused = Task::of(&body).unwrap().check(&body).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some(param), "{body:?}");
        }
        let most = fields(json!({ "input": alloc::vec!["a"; EMBEDDED_INPUTS] }));
        assert_eq!(Task::Embedding.check(&most), Ok(()));
    }
}
