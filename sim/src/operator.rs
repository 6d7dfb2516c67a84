//! The operator: whoever holds the admin sockets. It sets a scenario up as a person would, and asks on behalf of the
//! checkers.

use std::collections::BTreeMap;

use labman_proto_core::http::{Body, RequestHead};
use labman_proto_core::limits;
use labman_proto_core::machine::{Input, Machine, Outbox, Output, StreamId};
use labman_proto_core::time::{Now, Wake};
use serde_json::Value;

#[derive(Default)]
pub struct Operator {
    out: Outbox,
    asked: BTreeMap<StreamId, (u16, Body)>,
    answered: BTreeMap<StreamId, Result<Value, String>>,
}

impl Operator {
    /// Asks a host's admin surface; the answer is taken with [`Self::take`].
    pub fn ask(&mut self, host: &str, method: &str, path: &str, body: Option<&Value>) -> StreamId {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let head = RequestHead::new(method, path)
            .with("content-type", "application/json")
            .with("content-length", &body.len().to_string());
        let stream = self.out.request(&format!("admin://{host}"), head, body);
        self.asked.insert(stream, (0, Body::up_to(limits::HTTP_BODY)));
        stream
    }

    /// `None` as long as there is no answer.
    pub fn take(&mut self, call: StreamId) -> Option<Result<Value, String>> {
        self.answered.remove(&call)
    }
}

fn read(status: u16, body: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(body);
    if !(200..300).contains(&status) {
        return Err(format!("HTTP {status}: {text}"));
    }
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|error| format!("not JSON ({error}): {text}"))
}

impl Machine for Operator {
    fn handle(&mut self, _: Now, input: Input<'_>) {
        match input {
            Input::Response { stream, head } => {
                if let Some((status, _)) = self.asked.get_mut(&stream) {
                    *status = head.status;
                }
            }
            Input::Bytes { stream, bytes } => {
                let Some((_, body)) = self.asked.get_mut(&stream) else { return };
                if body.push(bytes).is_ok() {
                    self.out.grant(stream, bytes.len());
                } else {
                    self.asked.remove(&stream);
                    self.answered.insert(stream, Err("an answer beyond all bounds".into()));
                }
            }
            Input::Finished { stream } => {
                if let Some((status, mut body)) = self.asked.remove(&stream) {
                    self.answered.insert(stream, read(status, &body.take()));
                }
            }
            Input::Reset { stream, code } => {
                if self.asked.remove(&stream).is_some() {
                    self.answered.insert(stream, Err(format!("no answer: {code:?}")));
                }
            }
            Input::Credit { .. }
            | Input::Leave
            | Input::LinkUp { .. }
            | Input::LinkDown { .. }
            | Input::Opened { .. }
            | Input::Request { .. }
            | Input::Done(..) => {}
        }
    }

    fn handle_timeout(&mut self, _: Now) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        None
    }

    fn stopped(&self) -> Option<&str> {
        None
    }
}
