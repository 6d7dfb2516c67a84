//! A chat request, checked. What goes to a provider is rebuilt from an allow-list, never forwarded.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Map, Value, json};

use crate::limits::{INPUT_ALLOWANCE_PER_ITEM, MODEL_NAME};
use crate::openai::error::ApiError;
use crate::routing::hints::Hints;

/// Fields that a runtime gets as they are: OpenAI's own, then those that the common runtimes know beyond them.
const PASSED: [&str; 32] = [
    "messages",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "reasoning_effort",
    "verbosity", //
    "top_k",
    "min_p",
    "top_a",
    "typical_p",
    "repetition_penalty",
    "repeat_penalty",
    "min_tokens",
    "ignore_eos",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "grammar",
    "chat_template_kwargs",
];

/// Fields that concern the user and this gateway only: honoured here, and never seen by a provider.
const KEPT: [&str; 12] = [
    "model",
    "provider",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
];

/// Fields whose promise nothing behind this gateway can keep.
const REFUSED: [&str; 4] = ["audio", "modalities", "web_search_options", "prediction"];

#[derive(Debug)]
pub struct ChatRequest {
    pub model: String,
    pub stream: bool,
    pub include_usage: bool,
    /// What the user asked for at most.
    pub max_output: Option<u32>,
    /// Names of fields that were left out.
    pub ignored: Vec<String>,
    /// Whom to route it to.
    pub(crate) hints: Hints,
    body: Map<String, Value>,
}

impl ChatRequest {
    pub fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            ApiError::new(400, None, format!("The request body is not valid JSON: {error}."))
        })?;
        let Value::Object(fields) = value else {
            return Err(ApiError::new(400, None, "The request body must be a JSON object."));
        };
        let model = match fields.get("model") {
            Some(Value::String(model)) if (1..=MODEL_NAME).contains(&model.len()) => model.clone(),
            Some(_) => {
                let message = format!("`model` must be a string of 1 to {MODEL_NAME} bytes.");
                return Err(ApiError::bad_param("model", message));
            }
            None => return Err(ApiError::bad_param("model", "You must provide a `model`.")),
        };
        check_messages(fields.get("messages"))?;
        if let Some(field) = REFUSED.iter().find(|field| fields.get(**field).is_some_and(|v| !v.is_null())) {
            return Err(ApiError::bad_param(*field, format!("`{field}` is not supported by this gateway.")));
        }
        if optional_u32(&fields, "n")?.is_some_and(|n| n != 1) {
            return Err(ApiError::bad_param(
                "n",
                "Only `n` = 1 is supported: send the request again for more.",
            ));
        }
        let options = match fields.get("stream_options") {
            None | Some(Value::Null) => None,
            Some(Value::Object(options)) => Some(options),
            Some(_) => {
                return Err(ApiError::bad_param("stream_options", "`stream_options` must be an object."));
            }
        };
        let include_usage = options.map_or(Ok(false), |options| flag(options, "include_usage"))?;
        let max_output = match optional_u32(&fields, "max_completion_tokens")? {
            Some(most) => Some(most),
            None => optional_u32(&fields, "max_tokens")?,
        };
        let stream = flag(&fields, "stream")?;
        let hints = Hints::parse(fields.get("provider"))?;
        let (mut body, mut ignored) = (Map::new(), Vec::<String>::new());
        for (name, value) in fields {
            if PASSED.contains(&name.as_str()) {
                body.insert(name, value);
            } else if !KEPT.contains(&name.as_str()) && !REFUSED.contains(&name.as_str()) {
                // It goes into a response header.
                ignored.push(name.chars().filter(|c| c.is_ascii_graphic() && *c != ',').take(64).collect());
            }
        }
        ignored.truncate(32);
        if let (true, Some(field)) = (hints.require_parameters, ignored.first()) {
            let message =
                format!("Nobody here serves `{field}`, and `provider.require_parameters` asks for all.");
            return Err(ApiError::bad_param(field.clone(), message));
        }
        Ok(Self { model, stream, include_usage, max_output, ignored, hints, body })
    }

    pub fn input_bound(&self) -> u32 {
        input_bound(&self.body)
    }

    /// Names the conversation: what stands before its first answer, which stays as it grows.
    pub(crate) fn head(&self) -> u64 {
        let messages = self.body.get("messages").and_then(Value::as_array);
        let first = messages.into_iter().flatten().take_while(|message| !is_answer(message));
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.model.as_bytes());
        for message in first {
            hasher.update(&serde_json::to_vec(message).unwrap_or_default());
        }
        let (head, _) = hasher
            .finalize()
            .as_bytes()
            .split_first_chunk()
            .map_or((0, &[][..]), |(head, rest)| (u64::from_be_bytes(*head), rest));
        head
    }

    /// Some of it was answered before.
    pub(crate) fn continues(&self) -> bool {
        let messages = self.body.get("messages").and_then(Value::as_array);
        messages.into_iter().flatten().any(is_answer)
    }

    /// The body for a provider: always a stream, always with a bound.
    pub fn for_provider(&self, max_output: u32) -> Vec<u8> {
        let mut body = self.body.clone();
        body.insert("stream".into(), json!(true));
        body.insert("max_tokens".into(), json!(max_output));
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

/// A body as a provider gets it from a gateway: what it may cost at most.
#[derive(Debug)]
pub struct JobBody {
    pub body: Value,
    pub input_bound: u32,
    pub max_output: u32,
}

impl JobBody {
    /// Checks what a gateway must have checked: the other end of a link is not believed.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
            return Err("the body is not a JSON object");
        };
        let allowed = |name: &str| PASSED.contains(&name) || name == "stream" || name == "max_tokens";
        if !body.keys().all(|name| allowed(name)) {
            return Err("the body has a field that is not allowed");
        }
        check_messages(body.get("messages")).map_err(|_| "the messages are malformed")?;
        let max_output = body.get("max_tokens").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let max_output = max_output.filter(|n| *n > 0).ok_or("max_tokens is missing")?;
        let input_bound = input_bound(&body);
        Ok(Self { body: Value::Object(body), input_bound, max_output })
    }
}

/// The most input tokens that can be billed: a token a byte of what the model reads, and an allowance for the template
/// around each message and tool. Both ends compute it from the same body.
fn input_bound(body: &Map<String, Value>) -> u32 {
    let read =
        ["messages", "tools", "functions", "response_format"].iter().filter_map(|name| body.get(*name));
    let (mut bytes, mut items) = (0u64, 1u64);
    for value in read {
        bytes += serde_json::to_vec(value).map_or(0, |json| json.len()) as u64;
        items += value.as_array().map_or(1, |list| list.len()) as u64;
    }
    u32::try_from(bytes + items * INPUT_ALLOWANCE_PER_ITEM).unwrap_or(u32::MAX)
}

fn is_answer(message: &Value) -> bool {
    message.get("role").and_then(Value::as_str) == Some("assistant")
}

fn check_messages(messages: Option<&Value>) -> Result<(), ApiError> {
    let messages = match messages {
        Some(Value::Array(messages)) if !messages.is_empty() => messages,
        Some(_) => return Err(ApiError::bad_param("messages", "`messages` must be a non-empty array.")),
        None => return Err(ApiError::bad_param("messages", "You must provide `messages`.")),
    };
    for (at, message) in messages.iter().enumerate() {
        let wrong = |what: &str| {
            Err(ApiError::bad_param(format!("messages[{at}]"), format!("`messages[{at}]` {what}.")))
        };
        if !message.get("role").is_some_and(Value::is_string) {
            return wrong("must be an object with a string `role`");
        }
        match message.get("content") {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(Value::Array(parts)) if parts.iter().all(is_safe_part) => {}
            Some(Value::Array(_)) => {
                return wrong("holds a part that is not text, or an image that is not a `data:` URL");
            }
            Some(_) => return wrong("must have a string or array `content`"),
        }
    }
    Ok(())
}

/// An image by URL would make the provider fetch from inside its network.
fn is_safe_part(part: &Value) -> bool {
    match part.get("type").and_then(Value::as_str) {
        Some("text") => part.get("text").is_some_and(Value::is_string),
        Some("image_url") => {
            let url = part.get("image_url").and_then(|image| image.get("url")).and_then(Value::as_str);
            url.is_some_and(|url| url.starts_with("data:"))
        }
        _ => false,
    }
}

fn flag(fields: &Map<String, Value>, name: &str) -> Result<bool, ApiError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(ApiError::bad_param(name, format!("`{name}` must be true or false."))),
    }
}

fn optional_u32(fields: &Map<String, Value>, name: &str) -> Result<Option<u32>, ApiError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0) {
            Some(n) => Ok(Some(n)),
            None => Err(ApiError::bad_param(name, format!("`{name}` must be a positive integer."))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> ApiError {
        ChatRequest::parse(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_wrong_body_is_refused_where_it_is_wrong() {
        assert!(refused("{\"model\": ").message.contains("line 1 column"));
        assert_eq!(refused(r#"{"messages": []}"#).param.as_deref(), Some("model"));
        assert_eq!(refused(r#"{"model": "m", "messages": []}"#).param.as_deref(), Some("messages"));
        let with = |field: &str| {
            format!(r#"{{"model": "m", "messages": [{{"role": "user", "content": "x"}}], {field}}}"#)
        };
        assert_eq!(refused(&with(r#""n": 2"#)).param.as_deref(), Some("n"));
        assert_eq!(refused(&with(r#""stream": "yes""#)).param.as_deref(), Some("stream"));
        assert_eq!(refused(&with(r#""max_tokens": -1"#)).param.as_deref(), Some("max_tokens"));
        let image = r#"{"model": "m", "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "http://10.0.0.1/x.png"}}]}]}"#;
        assert_eq!(refused(image).param.as_deref(), Some("messages[0]"));
    }

    #[test]
    fn what_concerns_only_the_user_never_reaches_a_provider() {
        let body = br#"{"model": "m", "messages": [{"role": "user", "content": "x"}], "user": "ann",
            "metadata": {"a": "b"}, "top_k": 4, "frobnicate": 1}"#;
        let request = ChatRequest::parse(body).unwrap();
        let sent: Value = serde_json::from_slice(&request.for_provider(9)).unwrap();
        assert_eq!(
            sent,
            json!({"messages": [{"role": "user", "content": "x"}], "top_k": 4, "stream": true, "max_tokens": 9})
        );
        assert_eq!(request.ignored, ["frobnicate"]);
    }

    #[test]
    fn both_ends_bound_the_input_alike() {
        let body = br#"{"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function"}]}"#;
        let request = ChatRequest::parse(body).unwrap();
        let job = JobBody::parse(&request.for_provider(7)).unwrap();
        assert_eq!((job.input_bound, job.max_output), (request.input_bound(), 7));
    }
}
