//! What users and runtimes say over HTTP.

use labman_proto_core::openai::answer::{Assembly, Frame, Piece};
use labman_proto_core::openai::request::{ChatRequest, JobBody};
use labman_proto_core::openai::sse;
use labman_proto_core::portman::meter::Meter;
use serde_json::Value;

use crate::feed::Feed;

/// A user's body. What passes is one that a provider takes, and both bound its cost alike.
pub fn chat_request(bytes: &[u8]) {
    match ChatRequest::parse(bytes) {
        Ok(request) => {
            let body = request.for_provider(7);
            let job = JobBody::parse(&body).expect("a provider takes what a gateway lets through");
            assert_eq!((job.input_bound, job.max_output), (request.input_bound(), 7));
            assert!(request.ignored.iter().all(|name| name.len() <= 64 && name.is_ascii()));
        }
        Err(refused) => {
            serde_json::from_slice::<Value>(&refused.body()).expect("a refusal is JSON");
        }
    }
    let _ = JobBody::parse(bytes);
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
    let frame = Frame { id: "chatcmpl-1".into(), model: "m".into(), created_s: 1, include_usage: true };
    let (mut meter, mut assembly) = (Meter::default(), Assembly::default());
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(chunk) = serde_json::from_slice::<Value>(line) {
            let before = meter.has_finished();
            meter.read(&chunk);
            assert!(meter.has_finished() || !before, "a stream is over only once");
            assert!(meter.counts().cached <= meter.counts().input, "more was cached than read");
        }
        let Ok(Some(piece)) = Piece::parse(line) else { continue };
        if let Some(event) = piece.event(&frame) {
            let events = sse::Reader::default().push(&event);
            assert!(matches!(events.as_deref(), Ok([sse::Event::Data(_)])), "an event is one event");
        }
        if assembly.add(piece).is_err() {
            return;
        }
    }
    serde_json::from_slice::<Value>(&assembly.whole(&frame, &meter.counts())).expect("an answer is JSON");
}
