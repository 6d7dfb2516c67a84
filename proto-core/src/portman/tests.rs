//! Stories of a Portman between a hand-fed labman and a hand-fed runtime, and some with the toy behind it.

mod moves;
mod parts;
mod rig;
mod with_toy;

use alloc::{format, string::String, vec};

use serde_json::json;

use crate::economics::Counts;
use crate::limits::{self, STREAM_WINDOW};
use crate::machine::{DownReason, Level, Machine, Target};
use crate::time::Span;
use crate::wire::portman::{Fault, FromPortman, Model, ToPortman};
use rig::Rig;

const DONE: &str = "data: [DONE]\n\n";

fn text(text: &str) -> String {
    event(&json!({ "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }] }))
}

fn finish() -> String {
    event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }))
}

fn usage(input: u32, cached: u32, output: u32) -> String {
    event(&json!({ "choices": [], "usage": { "prompt_tokens": input, "completion_tokens": output,
        "prompt_tokens_details": { "cached_tokens": cached } } }))
}

fn event(chunk: &serde_json::Value) -> String {
    format!("data: {chunk}\n\n")
}

fn failed(job: u64, fault: Fault, message: &str) -> FromPortman {
    FromPortman::Failed { job, fault, message: message.into() }
}

fn done(job: u64, input: u32, cached: u32, output: u32) -> FromPortman {
    FromPortman::Done { job, counts: Counts { input, cached, output } }
}

#[test]
fn it_says_hello_at_once_and_again_when_its_models_change() {
    let mut rig = Rig::new();
    rig.attach();
    assert_eq!(rig.said(), [FromPortman::Hello { models: vec![], shelf: vec![] }]);

    let tiny = Model { id: "tiny".into(), context_length: 2048, slots: 2 };
    rig.offer(r#"{"data":[{"id":"tiny","meta":{"n_ctx":2048}}]}"#);
    assert_eq!(rig.said(), [FromPortman::Hello { models: vec![tiny.clone()], shelf: vec![] }]);

    rig.wait(limits::MODELS_EVERY);
    assert_eq!(rig.questions.len(), 2);
    assert_eq!(rig.said(), [], "nothing new, nothing said");

    rig.offer(r#"{"data":[{"id":"tiny","meta":{"n_ctx":2048}},{"id":"big"}]}"#);
    // It asks more seldom now.
    rig.wait(limits::MODELS_EVERY.doubled());
    let big = Model { id: "big".into(), context_length: 4096, slots: 2 };
    assert_eq!(rig.said(), [FromPortman::Hello { models: vec![tiny, big], shelf: vec![] }]);
}

#[test]
fn a_runtime_that_stays_away_is_mentioned_once() {
    let mut rig = Rig::new();
    rig.attach();
    rig.offer(r#"{"data":[{"id":"tiny"}]}"#);
    rig.said();

    rig.catalogue = None;
    rig.wait(limits::MODELS_EVERY);
    rig.wait(limits::MODELS_WITHIN);
    assert_eq!(rig.said(), [FromPortman::Hello { models: vec![], shelf: vec![] }], "no answer, no models");
    rig.wait(limits::MODELS_EVERY);
    rig.wait(limits::MODELS_EVERY);
    let warnings = rig.events.iter().filter(|event| event.level == Level::Warn).count();
    assert_eq!(warnings, 1);
    assert_eq!(rig.said(), []);
}

#[test]
fn the_runtime_is_asked_with_its_key_at_its_path() {
    let mut rig = Rig::new();
    rig.wait(Span::from_secs(0));
    let (_, url, head, _) = rig.questions.last().unwrap();
    assert_eq!((url.as_str(), head.path.as_str()), ("http://runtime:9000", "/v1/models"));
    assert_eq!(head.bearer(), Some("sk-runtime"));
}

#[test]
fn a_job_streams_from_the_runtime_to_the_labman() {
    let mut rig = Rig::with_model();
    rig.start(1, STREAM_WINDOW);
    let (_, url, head, body) = rig.requests.last().unwrap().clone();
    assert_eq!((url.as_str(), head.path.as_str()), ("http://runtime:9000", "/v1/chat/completions"));
    assert_eq!(head.header("content-length"), Some(format!("{}", body.len()).as_str()));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["model"], "tiny", "as the runtime calls it");
    assert_eq!((&body["stream"], &body["stream_options"]["include_usage"]), (&json!(true), &json!(true)));
    assert_eq!(body["max_tokens"], 9, "the rest as it came");

    rig.answers(200);
    let spaced = r#"{ "choices": [{"delta": {"content": "Hi"}}],   "z": 1, "a": 2 }"#;
    rig.sends(&format!(": ping\n\ndata: {spaced}\n\n"));
    let counts = Counts { input: 0, cached: 0, output: 1 };
    assert_eq!(rig.said(), [FromPortman::Chunk { job: 1, data: spaced.into(), counts }], "untouched");

    rig.sends(&finish());
    rig.sends(&usage(22, 8, 2));
    rig.sends(DONE);
    assert_eq!(rig.said().last(), Some(&done(1, 22, 8, 2)));
}

#[test]
fn a_runtime_that_never_counts_is_paid_for_its_output_alone() {
    let mut rig = Rig::with_model();
    rig.start(1, STREAM_WINDOW);
    rig.answers(200);
    for word in ["a", "b", "c"] {
        rig.sends(&text(word));
    }
    rig.sends(&finish());
    rig.finishes();
    assert_eq!(rig.said().last(), Some(&done(1, 0, 0, 3)));
}

#[test]
fn a_truncated_stream_is_never_done() {
    let unfinished = "the runtime ended its stream without finishing";
    type Ending = fn(&mut Rig);
    let stories: [(&str, Ending); 4] = [
        (unfinished, |rig| rig.finishes()),
        (unfinished, |rig| rig.sends(DONE)),
        ("the runtime broke its stream off", |rig| rig.breaks()),
        ("the runtime broke its stream off", |rig| {
            rig.sends(&finish());
            rig.breaks();
        }),
    ];
    for (message, end) in stories {
        let mut rig = Rig::with_model();
        rig.start(1, STREAM_WINDOW);
        rig.answers(200);
        rig.sends(&text("once upon"));
        end(&mut rig);
        assert_eq!(rig.said().last(), Some(&failed(1, Fault::RuntimeFailed, message)));
    }
}

#[test]
fn a_runtime_s_refusal_reaches_the_labman_in_its_own_words() {
    for (status, body, fault, message) in [
        (400, r#"{"error":{"code":400,"message":"no messages"}}"#, Fault::BadRequest, "no messages"),
        (422, r#"{"detail":"bad"}"#, Fault::BadRequest, "bad"),
        (404, "", Fault::ModelNotAvailable, "the runtime answered 404"),
        (500, r#"{"error":{"message":"boom"}}"#, Fault::RuntimeFailed, "boom"),
    ] {
        let mut rig = Rig::with_model();
        rig.start(1, STREAM_WINDOW);
        rig.answers(status);
        rig.sends(body);
        rig.finishes();
        assert_eq!(rig.said(), [failed(1, fault, message)]);
    }
}

#[test]
fn what_a_runtime_quotes_of_a_request_is_told_to_the_labman_and_never_logged() {
    const CANARY: &str = "MY SECRET TEXT 1234";
    let refused = format!(r#"{{"error":{{"message":"invalid type: string {CANARY}, expected f64"}}}}"#);
    for (status, body) in [
        (400, refused.clone()),
        (422, format!(r#"{{"detail":[{{"msg":"{CANARY}"}}]}}"#)),
        (500, refused.clone()),
        (503, format!("<html>{CANARY}")),
        (200, format!("data: {refused}\n\n")),
        (200, format!("data: {CANARY}\n\n")),
        (200, format!("{CANARY}\n\n")),
        (200, text(CANARY)),
    ] {
        let mut rig = Rig::with_model();
        rig.labman_says(&ToPortman::Start {
            job: 1,
            model: "tiny".into(),
            body: json!({ "temperature": CANARY, "messages": [{ "role": "user", "content": CANARY }] }),
            credit: STREAM_WINDOW,
        });
        rig.answers(status);
        rig.sends(&body);
        rig.breaks();
        let said = rig.said();
        assert!(matches!(said.last(), Some(FromPortman::Failed { .. })), "{status} {body}: {said:?}");
        if body.contains(&refused) {
            assert!(format!("{said:?}").contains(CANARY), "{said:?}");
        }
        rig.labman_sends(format!("{{\"type\":\"{CANARY}\"}}\n").as_bytes());
        assert!(!rig.closed.is_empty());
        assert!(!rig.events.is_empty());
        assert!(!rig.events.iter().any(|event| event.text.contains(CANARY)), "{:?}", rig.events);
    }
}

#[test]
fn what_a_runtime_must_not_stream_ends_the_job_and_the_exchange() {
    let long = text(&"x".repeat(STREAM_WINDOW as usize));
    for (sent, message) in [
        ("data: {\"error\":{\"code\":500,\"message\":\"out of memory\"}}\n\n", "out of memory"),
        ("data: {oops\n\n", "the runtime sent a chunk that is no JSON"),
        (long.as_str(), "the runtime sent a chunk of more than 57344 bytes"),
    ] {
        let mut rig = Rig::with_model();
        rig.start(1, STREAM_WINDOW);
        rig.answers(200);
        rig.sends(sent);
        assert_eq!(rig.said(), [failed(1, Fault::RuntimeFailed, message)]);
        assert_eq!(rig.resets, [rig.exchange()]);
    }
}

#[test]
fn a_reader_without_credit_stops_the_runtime() {
    let mut rig = Rig::with_model();
    let chunk = text("a word");
    let data = (chunk.len() - "data: \n\n".len()) as u32;
    rig.start(1, 2 * data);
    rig.answers(200);

    let sent = rig.sends_all_it_may(&chunk);
    assert_eq!(rig.said().len(), 2, "as far as the credit reaches");
    // What waits fills one window; what the job said already and an event's frame come on top.
    assert!((STREAM_WINDOW as usize..=STREAM_WINDOW as usize * 5 / 4).contains(&sent), "{sent}");

    rig.labman_says(&ToPortman::Credit { job: 1, bytes: data - 1 });
    assert_eq!(rig.said(), [], "not quite a chunk");
    rig.labman_says(&ToPortman::Credit { job: 1, bytes: 1 + 99 * data });
    assert_eq!(rig.said().len(), 100);
    let sent = rig.sends_all_it_may(&chunk);
    assert!((99 * data as usize..=101 * chunk.len()).contains(&sent), "as much as was taken: {sent}");
}

#[test]
fn the_end_waits_behind_the_chunks() {
    let mut rig = Rig::with_model();
    rig.start(1, 0);
    rig.answers(200);
    rig.sends(&text("a"));
    rig.wait(limits::NEXT_CHUNK.doubled());
    assert_eq!(rig.said(), [], "the runtime is not to blame for the silence");
    rig.sends(&(finish() + &usage(3, 0, 1) + DONE));
    assert_eq!(rig.said(), [], "nor does the end overtake what waits");
    rig.labman_says(&ToPortman::Credit { job: 1, bytes: STREAM_WINDOW });
    let said = rig.said();
    assert_eq!((said.len(), said.last()), (4, Some(&done(1, 3, 0, 1))));
}

#[test]
fn a_runtime_that_falls_silent_fails_the_job() {
    let mut rig = Rig::with_model();
    rig.start(1, STREAM_WINDOW);
    rig.answers(200);
    rig.wait(Span::from_secs(59));
    rig.sends(&text("a"));
    rig.wait(Span::from_secs(59));
    assert_eq!(rig.said().len(), 1);
    rig.wait(Span::from_secs(1));
    assert_eq!(rig.said(), [failed(1, Fault::RuntimeFailed, "the runtime sent nothing for 60 s")]);
    assert_eq!(rig.resets, [rig.exchange()]);
}

#[test]
fn a_job_beyond_the_slots_is_busy_until_one_is_cancelled() {
    let mut rig = Rig::with_model();
    rig.start(1, STREAM_WINDOW);
    let first = rig.exchange();
    rig.start(2, STREAM_WINDOW);
    rig.start(3, STREAM_WINDOW);
    assert_eq!(rig.said(), [failed(3, Fault::Busy, "all slots are taken")]);

    rig.labman_says(&ToPortman::Cancel { job: 1 });
    assert_eq!(rig.resets, [first], "the runtime stops");
    rig.start(4, STREAM_WINDOW);
    assert_eq!(rig.said(), [], "nothing answers a cancel, and the slot is free");
}

#[test]
fn a_job_it_can_t_run_is_refused() {
    let mut rig = Rig::with_model();
    rig.labman_says(&ToPortman::Start { job: 1, model: "huge".into(), body: json!({}), credit: 1 });
    rig.labman_says(&ToPortman::Start { job: 2, model: "tiny".into(), body: json!([]), credit: 1 });
    let refusals = [
        failed(1, Fault::ModelNotAvailable, "no model \"huge\" runs here"),
        failed(2, Fault::BadRequest, "the request is no JSON object"),
    ];
    assert_eq!(rig.said(), refusals);
}

#[test]
fn who_is_asked_to_leave_serves_no_more_and_ends_what_runs() {
    let mut rig = Rig::with_model();
    rig.start(1, STREAM_WINDOW);
    rig.said();
    rig.leave();
    assert_eq!(rig.said(), [FromPortman::Hello { models: vec![], shelf: vec![] }]);
    assert!(!rig.portman.has_left());
    rig.start(2, STREAM_WINDOW);
    assert_eq!(rig.said(), [failed(2, Fault::ModelNotAvailable, "no model \"tiny\" runs here")]);
    rig.answers(200);
    for event in [text("hi"), finish(), usage(3, 0, 1), DONE.into()] {
        rig.sends(&event);
    }
    assert_eq!(rig.said().last(), Some(&done(1, 3, 0, 1)));
    assert!(rig.said_all);
    rig.closes_link();
    assert!(rig.portman.has_left());

    let mut rig = Rig::with_model();
    rig.start(1, STREAM_WINDOW);
    rig.leave();
    rig.wait(limits::LEAVE);
    assert!(rig.portman.has_left(), "it does not wait for ever");
}

/// Its process ends when it has left, and what is still on its way to the labman is lost with it.
#[test]
fn it_has_not_left_before_the_labman_has_read_to_the_end() {
    let mut rig = Rig::with_model();
    rig.start(1, STREAM_WINDOW);
    rig.answers(200);
    rig.sends(&text("hi"));
    rig.leave();
    rig.sends(&finish());
    rig.sends(&usage(3, 0, 1));
    assert!(!rig.said_all, "the job is not over");
    rig.sends(DONE);
    assert!(rig.said_all);
    assert!(!rig.portman.has_left(), "nobody knows yet that the job is over");
    rig.closes_link();
    assert!(rig.portman.has_left());
    assert_eq!(rig.events.iter().filter(|event| event.level == Level::Warn).count(), 0);
    rig.wait(limits::REDIAL_LAST);
    assert!(rig.dials.is_empty(), "who leaves does not come back");
}

#[test]
fn a_job_that_crosses_its_goodbye_is_begun_nowhere() {
    let mut rig = Rig::with_model();
    rig.leave();
    assert_eq!(rig.said(), [FromPortman::Hello { models: vec![], shelf: vec![] }]);
    assert!(rig.said_all, "nothing runs");
    rig.start(1, STREAM_WINDOW);
    assert!(rig.requests.is_empty());
    rig.closes_link();
    assert!(rig.portman.has_left());
}

#[test]
fn a_labman_that_does_not_close_keeps_it_for_a_while_only() {
    let mut rig = Rig::with_model();
    rig.leave();
    rig.leave();
    assert!(!rig.portman.has_left());
    rig.wait(limits::LEAVE);
    assert!(rig.portman.has_left());
    assert_eq!(rig.closed, ["it leaves, and can't wait any longer"]);
}

#[test]
fn who_has_no_labman_leaves_at_once() {
    let mut rig = Rig::new();
    rig.leave();
    assert!(rig.portman.has_left());
    rig.wait(limits::REDIAL_LAST);
    assert!(rig.dials.is_empty());
}

#[test]
fn a_lost_labman_stops_the_runtime_and_is_dialled_again() {
    let mut rig = Rig::with_model();
    rig.start(1, STREAM_WINDOW);
    rig.start(2, STREAM_WINDOW);
    rig.loses_link();
    assert_eq!(rig.resets.len(), 2);
    assert_eq!(rig.portman.poll_timeout().unwrap().why, "dial the labman");

    rig.wait(limits::REDIAL_FIRST);
    rig.attach();
    let said = rig.said();
    assert!(matches!(said.as_slice(), [FromPortman::Hello { models, .. }] if models.len() == 1), "{said:?}");
    rig.start(1, STREAM_WINDOW);
    assert_eq!(rig.said(), [], "a new socket numbers its jobs anew, and all slots are free");
}

#[test]
fn a_labman_that_stops_is_no_warning_and_one_that_is_lost_is() {
    for (reason, level) in [
        (DownReason::Closed, Level::Info),
        (DownReason::Failed, Level::Warn),
        (DownReason::TimedOut, Level::Warn),
    ] {
        let mut rig = Rig::with_model();
        rig.link_down(reason);
        let last = rig.events.last().unwrap();
        assert_eq!(last.level, level);
        assert!(last.text.contains("trying again"), "{}", last.text);
    }
}

#[test]
fn a_labman_that_says_goodbye_is_dialled_again() {
    let mut rig = Rig::with_model();
    rig.labman_leaves();
    assert_eq!(rig.closed, ["the labman ended its stream"]);
    assert_eq!(rig.events.last().unwrap().level, Level::Info);
    rig.wait(limits::REDIAL_LAST);
    assert_eq!(rig.dials.len(), 1);
}

#[test]
fn the_pause_between_dials_doubles_up_to_its_bound() {
    let mut rig = Rig::new();
    let mut at = vec![];
    while at.len() < 9 {
        rig.wait(Span::from_millis(1));
        if let Some((op, target)) = rig.dials.pop() {
            let (url, token) = ("ws://labman:8765/".into(), "secret".into());
            assert_eq!(target, Target::Labman { url, token });
            at.push(rig.now.mono);
            rig.dial_fails(op);
        }
    }
    let mut pause = limits::REDIAL_FIRST;
    for dials in at.windows(2) {
        let waited = dials[1] - dials[0];
        assert!(waited.0 >= pause.0 / 2 && waited <= pause, "{waited:?} of {pause:?}");
        pause = pause.doubled().min(limits::REDIAL_LAST);
    }
    let warned = rig.events.iter().filter(|event| event.text.contains("no labman")).count();
    assert_eq!(warned, 1, "once, not at every dial");
}

#[test]
fn a_labman_that_drops_the_link_at_once_is_not_dialled_faster_for_it() {
    let mut rig = Rig::new();
    for _ in 0..8 {
        rig.wait(limits::REDIAL_LAST);
        rig.attach();
        rig.loses_link();
    }
    let wake = rig.portman.poll_timeout().unwrap();
    assert!(wake.at - rig.now.mono >= Span(limits::REDIAL_LAST.0 / 2), "{wake:?}");
}

#[test]
fn a_labman_that_breaks_the_protocol_is_dropped() {
    for line in ["hello?\n", "{\"type\":\"start\"}\n", "{\"type\":\"dance\"}\n"] {
        let mut rig = Rig::with_model();
        rig.start(1, STREAM_WINDOW);
        rig.labman_sends(line.as_bytes());
        assert_eq!(rig.closed, ["the labman sent a line that is no message"], "{line}");
        assert_eq!(rig.resets, [rig.exchange()], "its jobs go with it");
    }
    let mut rig = Rig::with_model();
    rig.start(1, STREAM_WINDOW);
    rig.start(1, STREAM_WINDOW);
    assert_eq!(rig.closed, ["a job's number was used twice"]);
}
