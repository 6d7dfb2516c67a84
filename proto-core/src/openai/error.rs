//! Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`, always all four keys.

use alloc::{string::String, vec::Vec};

use serde_json::{Value, json};

use super::head::usual;
use crate::http::ResponseHead;
use crate::wire::ids::RequestId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub status: u16,
    pub code: Option<&'static str>,
    pub param: Option<String>,
    pub message: String,
    pub retry: Retry,
    /// Where it was asked for in a way that is none: those that are.
    pub allowed: Option<&'static str>,
}

/// The answer to a request that no machine could hear out: its driver refuses it by itself, in the usual shape.
pub fn unheard(status: u16, id: RequestId) -> (ResponseHead, Vec<u8>) {
    let why = match status {
        408 => "The request's body took too long to come. Send it again.",
        431 => "The request's headers are too large.",
        400..500 => "The request ended early, or is no valid HTTP.",
        _ => "The request could not be answered. Try again.",
    };
    let error = ApiError::new(status, None, why);
    (usual(ResponseHead::json(status), id), error.body())
}

/// Whether a runtime complains, in whichever words, of a prompt that is too long for it.
pub(crate) fn is_of_length(message: &str) -> bool {
    const WORDS: [&str; 6] = [
        "context length",
        "context size",
        "context window",
        "available context",
        "prompt is too long",
        TOO_LARGE,
    ];
    let message = message.to_lowercase();
    WORDS.iter().any(|words| message.contains(words))
}

/// The same, in words that every gateway knows: a refusal crosses the mesh without the code by which its runtime told it.
pub(crate) fn in_words_of_length(message: &str) -> String {
    if is_of_length(message) { message.into() } else { alloc::format!("context length exceeded: {message}") }
}

/// How llama-server says that, calling it its own mistake.
pub(crate) const TOO_LARGE: &str = "too large to process";

/// What the SDKs should do: they repeat 408, 409, 429 and 5xx by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Whatever they do by default.
    Default,
    /// `x-should-retry: false`.
    Never,
    After {
        seconds: u32,
    },
}

impl ApiError {
    pub fn new(status: u16, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status, code, param: None, message: message.into(), retry: Retry::Default, allowed: None }
    }

    /// 400, naming the field.
    pub fn bad_param(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(400, None, message) }
    }

    pub fn no_key() -> Self {
        let message = "You didn't provide an API key. Send it as `Authorization: Bearer YOUR_KEY`; \
                       your front-end portal gives you one.";
        Self::new(401, Some("invalid_api_key"), message)
    }

    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self { retry: Retry::After { seconds: 2 }, ..Self::new(503, Some(code), message) }
    }

    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// What a head says of it.
    pub fn on(&self, head: ResponseHead) -> ResponseHead {
        let head = match self.status {
            // RFC 9110, 15.5.2 and 15.5.6: such an answer says what would do instead.
            401 => head.with("www-authenticate", "Bearer"),
            _ => self.allowed.into_iter().fold(head, |head, allowed| head.with("allow", allowed)),
        };
        match self.retry {
            Retry::Default => head,
            Retry::Never => head.with("x-should-retry", "false"),
            Retry::After { seconds } => head.with("retry-after", &alloc::format!("{seconds}")),
        }
    }

    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(&json!({ "error": self.told() })).unwrap_or_default()
    }

    /// The event that ends a stream early. Without it the SDKs take a cut stream for a whole one.
    pub(crate) fn event(&self) -> Vec<u8> {
        alloc::format!("data: {}\n\n", json!({ "error": self.told() })).into_bytes()
    }

    pub(crate) fn told(&self) -> Value {
        json!({ "message": self.message, "type": self.kind(), "param": self.param, "code": self.code })
    }

    fn kind(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            429 if self.code == Some("insufficient_quota") => "insufficient_quota",
            429 => "rate_limit_error",
            400..500 => "invalid_request_error",
            _ => "server_error",
        }
    }
}
