//! Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`, always all four keys.

use alloc::{string::String, vec::Vec};

use serde_json::json;

use crate::http::ResponseHead;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub status: u16,
    pub code: Option<&'static str>,
    pub param: Option<String>,
    pub message: String,
    pub retry: Retry,
}

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
        Self { status, code, param: None, message: message.into(), retry: Retry::Default }
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

    pub fn head(&self, request_id: &str) -> ResponseHead {
        let head = ResponseHead::json(self.status).with("x-request-id", request_id);
        match self.retry {
            Retry::Default => head,
            Retry::Never => head.with("x-should-retry", "false"),
            Retry::After { seconds } => head.with("retry-after", &alloc::format!("{seconds}")),
        }
    }

    pub fn body(&self) -> Vec<u8> {
        let body = json!({ "error": {
            "message": self.message,
            "type": self.kind(),
            "param": self.param,
            "code": self.code,
        }});
        serde_json::to_vec(&body).unwrap_or_default()
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
