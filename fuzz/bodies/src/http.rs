//! What users and runtimes say over HTTP.

use labman_proto_core::limits::EMBEDDED_AT_ONCE;
use labman_proto_core::openai::answer::vectors::Embedding;
use labman_proto_core::openai::answer::{Assembly, Frame, Piece};
use labman_proto_core::openai::request::{Echo, JobBody, Request};
use labman_proto_core::openai::sse;
use labman_proto_core::openai::task::{Call, Task};
use labman_proto_core::portman::meter::Meter;
use serde_json::Value;

use crate::feed::Feed;

/// A user's body. What passes is one that a provider takes, and both bound its cost alike.
pub fn chat_request(bytes: &[u8]) {
    for call in [Call::Chat, Call::Completion, Call::Embedding, Call::Response] {
        user_request(call, bytes);
    }
    let _ = JobBody::parse(bytes);
}

fn user_request(call: Call, bytes: &[u8]) {
    let task = call.task();
    match Request::parse(call, bytes) {
        Ok(request) => {
            let each = if task.streams() { 7 } else { EMBEDDED_AT_ONCE as u32 };
            let body = request.for_provider(each * request.parts());
            match JobBody::parse(&body) {
                Ok(job) => {
                    assert_eq!(job.task, task);
                    assert_eq!(job.input_bound, request.input_bound());
                    assert_eq!(job.max_output, each * request.parts());
                    assert_eq!(job.max_output_each, each);
                }
                Err(why) => panic!("a provider takes what a gateway lets through: {why}"),
            }
            assert!(request.ignored.iter().all(|name| name.len() <= 64 && name.is_ascii()));
        }
        Err(refused) => {
            serde_json::from_slice::<Value>(&refused.body()).expect("a refusal is JSON");
        }
    }
}

/// A runtime's stream of events. However it is cut, the same come out.
pub fn sse(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let cut = usize::from(feed.u8());
    let stream = feed.rest();
    let whole = sse::Reader::default().push(stream);
    let (head, tail) = stream.split_at(cut.min(stream.len()));
    let mut reader = sse::Reader::default();
    let cut = reader.push(head).and_then(|mut events| {
        events.extend(reader.push(tail)?);
        Ok(events)
    });
    assert_eq!(cut, whole, "events depend on how their stream was cut");
    for event in whole.into_iter().flatten() {
        if let sse::Event::Data(data) = event
            && !data.contains('\r')
        {
            let again = sse::Reader::default().push(&sse::event(&data));
            assert_eq!(again, Ok(vec![sse::Event::Data(data)]));
        }
    }
}

/// Chunks of a runtime, a line each, as a Portman counts them and a gateway rebuilds them.
pub fn runtime_chunk(bytes: &[u8]) {
    for task in [Task::Chat, Task::Completion] {
        answer(task, bytes);
    }
    let _ = Embedding::parse(bytes);
}

fn answer(task: Task, bytes: &[u8]) {
    let frame = Frame {
        task,
        id: "chatcmpl-1".into(),
        model: "m".into(),
        created_s: 1,
        include_usage: true,
        answers: 2,
        echo: Echo::default(),
    };
    let (mut meter, mut assembly) = (Meter::default(), Assembly::default());
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(chunk) = serde_json::from_slice::<Value>(line) {
            let before = meter.has_finished();
            meter.read(&chunk);
            assert!(meter.has_finished() || !before, "a stream is over only once");
            assert!(meter.counts().cached <= meter.counts().input, "more was cached than read");
        }
        let Ok(Some(piece)) = Piece::parse(&frame, line) else { continue };
        let events = piece.events(&frame, |_| false);
        let read = sse::Reader::default().push(&events).expect("they are events");
        let data = |event: &sse::Event| matches!(event, sse::Event::Data(data) if serde_json::from_str::<Value>(data).is_ok());
        assert!(read.iter().all(data), "an event is one event");
        if assembly.add(&frame, piece).is_err() {
            return;
        }
    }
    serde_json::from_slice::<Value>(&assembly.whole(&frame, &meter.counts())).expect("an answer is JSON");
}
