//! For people: what a call was about, and what a machine would show of itself.

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::journal::{Cause, Fault};
use labman_proto_core::machine::{Completion, Input, Machine, Output, StreamId};
use labman_proto_core::time::{Now, Span};
use serde_json::{Map, Value, json};

/// Names the call and what it was about, never what was in it.
pub(super) fn cause(cause: &Cause<'_>) -> String {
    let Cause::Input(input) = cause else {
        return if *cause == Cause::Timeout { "a timeout".into() } else { "its first word".into() };
    };
    match input {
        Input::LinkUp { link, .. } => format!("LinkUp of link {}", link.0),
        Input::LinkDown { link, reason } => format!("LinkDown of link {}, {reason:?}", link.0),
        Input::Opened { stream, link } => format!("Opened of stream {} on link {}", stream.0, link.0),
        Input::Request { stream, surface, head } => {
            let path = head.path.split('?').next().unwrap_or_default();
            format!("Request {} {path} ({surface:?}) on stream {}", head.method, stream.0)
        }
        Input::Response { stream, head } => format!("Response {} on stream {}", head.status, stream.0),
        Input::Bytes { stream, bytes } => format!("Bytes ({}) on stream {}", bytes.len(), stream.0),
        Input::Finished { stream } => format!("Finished of stream {}", stream.0),
        Input::Reset { stream, code } => format!("Reset of stream {}, {code:?}", stream.0),
        Input::Credit { stream, bytes } => format!("Credit ({bytes}) on stream {}", stream.0),
        Input::Done(op, completion) => {
            let what = match completion {
                Completion::Dialled(result) => format!("Dialled, {}", well(result)),
                Completion::Stored(result) => format!("Stored, {}", well(result)),
                Completion::Page(result) => format!("Page, {}", well(result)),
            };
            format!("Done of operation {} ({what})", op.0)
        }
        Input::Leave => "Leave".into(),
    }
}

fn well<T, E>(result: &Result<T, E>) -> &'static str {
    if result.is_ok() { "well" } else { "failed" }
}

pub(super) fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Panicked(what) => format!("it panicked: {what}"),
        Fault::Stopped(what) => format!("it stopped: {what}"),
    }
}

/// Seconds, to the microsecond.
pub(super) fn seconds(span: Span) -> String {
    format!("{}.{:06} s", span.0 / 1_000_000_000, span.0 % 1_000_000_000 / 1_000)
}

/// Admin surfaces that answer from memory. A machine answers those it has.
const ASKED: [&str; 4] = ["/status", "/users", "/gateways", "/ledger"];

/// Asks a machine as its operator would. It is not to be used afterwards: it has heard what its journal does not have.
pub(super) fn state(machine: &mut dyn Machine, now: Now) -> Value {
    let wake = machine.poll_timeout();
    let waits = wake.map(|wake| json!({ "for": wake.why, "ms": (wake.at - now.mono).as_millis() }));
    let mut state = Map::from_iter([("waits".to_owned(), json!(waits))]);
    for (index, path) in ASKED.into_iter().enumerate() {
        // Odd, as a driver's are, and far from any that was given.
        let stream = StreamId(u64::MAX - 2 * index as u64);
        let head = RequestHead::new("GET", path);
        machine.handle(now, Input::Request { stream, surface: Surface::Admin, head });
        machine.handle(now, Input::Finished { stream });
        if let Some(answer) = answered(machine, stream) {
            state.insert(path.trim_start_matches('/').to_owned(), answer);
        }
    }
    Value::Object(state)
}

fn answered(machine: &mut dyn Machine, asked: StreamId) -> Option<Value> {
    let (mut found, mut body) = (false, Vec::new());
    for output in std::iter::from_fn(|| machine.poll_output()) {
        match output {
            Output::Response { stream, head } if stream == asked => found = head.status == 200,
            Output::Send { stream, bytes } if stream == asked => body.extend(bytes),
            _ => {}
        }
    }
    found.then(|| serde_json::from_slice(&body).ok()).flatten()
}
