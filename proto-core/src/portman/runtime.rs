//! The runtime as an HTTP server: where it is, how it is asked, and what its refusals mean.
//!
//! Any server with OpenAI's `/models` and `/chat/completions` will do, or the others that [`Task`] names. Runtimes differ most in how they say no: an
//! error's `code` is text here and a number there, FastAPI servers say `detail`, some a bare `message`.

use alloc::{format, string::String, vec::Vec};

use serde_json::{Value, json};

use crate::http::RequestHead;
use crate::limits;
use crate::machine::{Outbox, StreamId};
use crate::openai::error::{TOO_LARGE, in_words_of_length};
use crate::openai::task::Task;
use crate::wire::portman::Fault;

pub(super) struct Runtime {
    /// Scheme, host and port.
    origin: String,
    /// What stands before `/models`, such as `/v1`.
    base: String,
    authorization: Option<String>,
}

/// What comes of an exchange.
#[derive(Clone, Copy)]
pub(super) enum Heard<'a> {
    Head { status: u16 },
    Bytes(&'a [u8]),
    Finished,
    Reset,
}

impl Runtime {
    /// `url` with its version path, such as `http://127.0.0.1:11434/v1`.
    pub(super) fn new(url: &str, key: Option<&str>) -> Self {
        let host_at = url.find("://").map_or(0, |at| at + 3);
        let path_at = url.get(host_at..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| host_at + at);
        let (origin, base) = url.split_at(path_at);
        Self {
            origin: origin.into(),
            base: base.trim_end_matches('/').into(),
            authorization: key.map(|key| format!("Bearer {key}")),
        }
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn ask_for_models(&self, out: &mut Outbox) -> StreamId {
        out.request(&self.origin, self.head("GET", "/models"), Vec::new())
    }

    pub(super) fn ask(&self, task: Task, request: &Value, out: &mut Outbox) -> StreamId {
        let accept = if task.streams() { "text/event-stream" } else { "application/json" };
        self.post(self.head("POST", task.path()).with("accept", accept), request, out)
    }

    /// `verb`: `load` or `unload`.
    pub(super) fn ask_to_move(&self, verb: &str, model: &str, out: &mut Outbox) -> StreamId {
        let head = self.authorized(RequestHead::new("POST", &format!("{}/models/{verb}", self.root())));
        self.post(head, &json!({ "model": model }), out)
    }

    /// llama-server's own endpoints are no part of OpenAI's API, and stand beside its version path.
    fn root(&self) -> &str {
        self.base.strip_suffix("/v1").unwrap_or(&self.base)
    }

    fn post(&self, head: RequestHead, body: &Value, out: &mut Outbox) -> StreamId {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let head =
            head.with("content-type", "application/json").with("content-length", &format!("{}", body.len()));
        out.request(&self.origin, head, body)
    }

    fn head(&self, method: &str, path: &str) -> RequestHead {
        self.authorized(RequestHead::new(method, &format!("{}{path}", self.base)))
    }

    fn authorized(&self, head: RequestHead) -> RequestHead {
        match &self.authorization {
            Some(authorization) => head.with("authorization", authorization),
            None => head,
        }
    }
}

/// What llama-server calls its own mistake (500) and is its user's.
const USERS: [&str; 2] = [TOO_LARGE, "Failed to parse messages"];

/// By what runtimes tell that a prompt is too long, beside their words for it.
const LENGTH: [&str; 2] = ["context_length_exceeded", "exceed_context_size_error"];

/// What an answer other than 200 means for the job.
pub(super) fn refusal(task: Task, status: u16, body: &[u8]) -> (Fault, String) {
    let said = serde_json::from_slice(body).ok().and_then(|body| complaint(&body));
    let fault = match status {
        // Some call that their own mistake.
        _ if matches!(said, Some((Fault::BadRequest, _))) => Fault::BadRequest,
        400 | 413 | 422 => Fault::BadRequest,
        404 if task == Task::Chat => Fault::ModelNotAvailable,
        // It does no such things, however good it is at chats.
        404 | 405 | 501 if task != Task::Chat => Fault::BadRequest,
        _ => Fault::RuntimeFailed,
    };
    (fault, said.map_or_else(|| format!("the runtime answered {status}"), |(_, said)| said))
}

/// What a stream's error, or the body of a refusal, means by itself; `None`: it is none.
pub(super) fn complaint(body: &Value) -> Option<(Fault, String)> {
    let said = message(body)?;
    let told = |place| body.pointer(place).and_then(Value::as_str);
    let codes = ["/error/code", "/error/type", "/code", "/type"].into_iter().filter_map(told);
    if codes.into_iter().any(|code| LENGTH.contains(&code)) {
        return Some((Fault::BadRequest, cut(&in_words_of_length(&said))));
    }
    let is_users = USERS.iter().any(|words| said.contains(words));
    Some((if is_users { Fault::BadRequest } else { Fault::RuntimeFailed }, said))
}

/// The text of an error, wherever a runtime puts it.
fn message(body: &Value) -> Option<String> {
    let places = ["/error/message", "/error", "/detail", "/detail/0/msg", "/message"];
    Some(cut(places.iter().find_map(|place| body.pointer(place)?.as_str())?))
}

fn cut(said: &str) -> String {
    said.chars().take(limits::RUNTIME_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_cut_where_its_path_begins() {
        for (url, origin, base, root) in [
            ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434", "/v1", ""),
            ("http://[::1]:8000/api/v1/", "http://[::1]:8000", "/api/v1", "/api"),
            ("https://runtime", "https://runtime", "", ""),
            ("runtime:80/v1", "runtime:80", "/v1", ""),
        ] {
            let runtime = Runtime::new(url, None);
            let parts = (runtime.origin.as_str(), runtime.base.as_str(), runtime.root());
            assert_eq!(parts, (origin, base, root), "{url}");
        }
    }

    #[test]
    fn every_runtime_s_way_to_complain_is_understood() {
        for (body, said) in [
            (r#"{"error":{"code":400,"message":"'messages' is required"}}"#, "'messages' is required"),
            (r#"{"error":{"code":"bad","message":"no"}}"#, "no"),
            (r#"{"error":"not found"}"#, "not found"),
            (r#"{"detail":"bad grammar"}"#, "bad grammar"),
            (r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, "field required"),
            (r#"{"object":"error","message":"too long","code":40303}"#, "too long"),
            ("<html>", "the runtime answered 400"),
        ] {
            assert_eq!(refusal(Task::Chat, 400, body.as_bytes()), (Fault::BadRequest, said.into()));
        }
        assert_eq!(refusal(Task::Chat, 404, b"").0, Fault::ModelNotAvailable);
        let long = br#"{"error": {"code": 500, "message": "input (2048 tokens) is too large to process. increase the physical batch size"}}"#;
        assert_eq!(refusal(Task::Embedding, 500, long).0, Fault::BadRequest);
        assert_eq!(
            refusal(Task::Chat, 500, br#"{"error": "failed to create context with model"}"#).0,
            Fault::RuntimeFailed
        );
        assert_eq!(refusal(Task::Chat, 503, b"").0, Fault::RuntimeFailed);
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_in_words_where_a_runtime_tells_it_by_a_code() {
        for (status, body, said) in [
            (
                400,
                r#"{"error": {"code": "context_length_exceeded", "message": "it is 9 words"}}"#,
                "context length exceeded: it is 9 words",
            ),
            (
                500,
                r#"{"error": {"type": "exceed_context_size_error", "message": "no room"}}"#,
                "context length exceeded: no room",
            ),
            (
                400,
                r#"{"error": {"code": "context_length_exceeded", "message": "beyond the context window"}}"#,
                "beyond the context window",
            ),
        ] {
            assert_eq!(refusal(Task::Chat, status, body.as_bytes()), (Fault::BadRequest, said.into()));
        }
    }

    #[test]
    fn a_long_complaint_is_cut_between_characters() {
        let body = serde_json::json!({ "error": "é".repeat(10 * limits::RUNTIME_MESSAGE) });
        assert_eq!(message(&body).map(|said| said.chars().count()), Some(limits::RUNTIME_MESSAGE));
    }
}
