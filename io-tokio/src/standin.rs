//! Speaks for a machine between two of its lives: whoever asks hears at once that it can't serve now. Why is for the
//! operator alone.

use labman_proto_core::http::{ResponseHead, Surface};
use labman_proto_core::machine::{Input, Machine, Outbox, Output};
use labman_proto_core::time::{Now, Wake};
use serde_json::json;

pub(crate) struct Standin {
    why: String,
    out: Outbox,
}

impl Standin {
    /// `why` the last life ended.
    pub(crate) fn new(why: String) -> Self {
        Self { why, out: Outbox::default() }
    }
}

impl Machine for Standin {
    fn handle(&mut self, _now: Now, input: Input<'_>) {
        let Input::Request { stream, surface, .. } = input else { return };
        let message = match surface {
            Surface::Public => "This service is being restarted. Try again shortly.",
            Surface::Admin => &self.why,
        };
        // The shape that OpenAI's SDKs read, and our own nodes.
        let error =
            json!({ "code": "unavailable", "message": message, "param": null, "type": "server_error" });
        let body = json!({ "error": error }).to_string().into_bytes();
        self.out.respond_whole(stream, ResponseHead::json(503).with("retry-after", "2"), body);
    }

    fn handle_timeout(&mut self, _now: Now) {}

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
