//! A node whose HTTP is for its own users: no key, no portal, no mesh; slots and back-pressure as for anybody.

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::limits::{
    BYGONE_FOR, HTTP_BODY, JOB_TOTAL, KEEP_ALIVE, NEXT_CHUNK, READER_STALL, STREAM_WINDOW,
};
use labman_proto_core::machine::{DownReason, ResetCode, StreamId};
use labman_proto_core::node::config;
use labman_proto_core::time::Span;
use labman_proto_core::wire::portman::{Fault, FromPortman, ToPortman};
use serde_json::{Value, json};

use super::peer::counts;
use super::portman::{Portman, model};
use super::rig::{Rig, provider_config};

fn config() -> config::Config {
    let unpaid = config::Unpaid {
        aliases: [("fast".into(), vec!["toy".into()])].into(),
        origins: vec!["http://localhost:3000".into()],
        body: HTTP_BODY,
    };
    // It knows no FEP, and needs none.
    config::Config { unpaid: Some(unpaid), feps: Vec::new(), ..provider_config() }
}

/// With one model of so many slots.
fn house(slots: u32) -> (Rig, Portman) {
    let mut rig = Rig::new(config());
    let portman = Portman::attach(&mut rig, vec![model("toy", slots)]);
    portman.hears(&mut rig);
    (rig, portman)
}

fn ask(rig: &mut Rig, model: &str, stream: bool) -> StreamId {
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }], "stream": stream });
    ask_for(rig, &body)
}

/// Without a key.
fn ask_for(rig: &mut Rig, body: &Value) -> StreamId {
    let user = rig.request(Surface::Public, RequestHead::new("POST", "/v1/chat/completions"));
    rig.deliver(user, body.to_string().as_bytes());
    rig.finish(user);
    user
}

fn header<'a>(rig: &'a Rig, user: StreamId, name: &str) -> Option<&'a str> {
    rig.wires[&user].head.as_ref()?.header(name)
}

/// Nothing is under way, and the slot is free again.
fn rests(rig: &mut Rig, portman: &Portman) -> bool {
    portman.hears(rig);
    let idle = rig.admin("/status")["jobs"]["unpaid"] == 0;
    let user = ask(rig, "toy", true);
    let started = portman.started(rig).len() == 1;
    rig.reset(user, ResetCode::Cancelled);
    idle && started
}

#[test]
fn whoever_asks_is_served_by_what_runs_here() {
    let (mut rig, portman) = house(1);
    let user = ask(&mut rig, "fast", true);
    let heard = portman.hears(&mut rig);
    let [ToPortman::Start { job, model, body, .. }] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((model.as_str(), &body["stream"], &body["max_tokens"]), ("toy", &json!(true), &json!(3_936)));
    portman.text(&mut rig, *job, "hello", counts(10, 1));
    assert_eq!(header(&rig, user, "x-labman-model"), Some("acme:box:toy"));
    assert_eq!(header(&rig, user, "x-labman-price"), None, "it costs nothing");
    portman.say(&mut rig, &FromPortman::Done { job: *job, counts: counts(10, 1) });
    let answer = rig.text(user);
    assert!(answer.contains("hello") && answer.ends_with("data: [DONE]\n\n"), "{answer}");
    assert!(rig.wires[&user].finished);
    assert!(rests(&mut rig, &portman));
    assert!(rig.disk.rows("authorizations").is_empty() && rig.disk.rows("gateway_jobs").is_empty());
    assert!(rig.fep.calls.is_empty(), "nobody is asked");
}

#[test]
fn what_is_in_memory_is_listed_and_nothing_else_is_served() {
    let (mut rig, portman) = house(1);
    let list = rig.request(Surface::Public, RequestHead::new("GET", "/v1/models"));
    let list: Value = serde_json::from_str(&rig.text(list)).unwrap();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["acme:box:toy", "fast", "toy"]);
    assert_eq!(list["data"][0]["pricing"], Value::Null);
    let user = ask(&mut rig, "other", true);
    assert_eq!(rig.status(user), Some(404));
    assert!(portman.hears(&mut rig).is_empty());
}

#[test]
fn who_finds_no_slot_waits_in_line_and_is_kept_alive() {
    let (mut rig, portman) = house(1);
    let first = ask(&mut rig, "toy", true);
    let (second, third) = (ask(&mut rig, "toy", true), ask(&mut rig, "toy", false));
    assert_eq!(portman.started(&mut rig), [1]);
    rig.pass(KEEP_ALIVE);
    assert!(rig.text(second).starts_with(": "), "{:?}", rig.text(second));
    // Its user leaves: the runtime is stopped, and the next one's turn has come.
    rig.reset(first, ResetCode::Cancelled);
    let heard = portman.hears(&mut rig);
    assert!(
        matches!(heard.as_slice(), [ToPortman::Cancel { job: 1 }, ToPortman::Start { job: 2, .. }]),
        "{heard:?}"
    );
    rig.reset(second, ResetCode::Cancelled);
    portman.hears(&mut rig);
    portman.text(&mut rig, 3, "whole", counts(10, 1));
    portman.say(&mut rig, &FromPortman::Done { job: 3, counts: counts(10, 1) });
    let whole: Value = serde_json::from_str(&rig.text(third)).unwrap();
    assert_eq!(whole["choices"][0]["message"]["content"], "whole");
    assert_eq!(whole["usage"]["total_tokens"], 11);
    assert!(rests(&mut rig, &portman));
}

#[test]
fn before_the_first_byte_another_portman_takes_over_and_afterwards_nobody() {
    let mut config = config();
    let provider = config.provider.as_mut().unwrap();
    let other = config::Portman { ep: "attic".into(), token: "other".into(), ..provider.portmans[0].clone() };
    provider.portmans.push(other);
    let mut rig = Rig::new(config);
    let first = Portman::attach(&mut rig, vec![model("toy", 2)]);
    let second = Portman::attach_with(&mut rig, "other", vec![model("toy", 1)]);
    first.hears(&mut rig);
    let user = ask(&mut rig, "toy", true);
    assert_eq!(first.started(&mut rig), [1], "it has more slots");
    let (fault, message) = (Fault::RuntimeFailed, "out of memory".to_string());
    first.say(&mut rig, &FromPortman::Failed { job: 1, fault, message });
    assert_eq!(second.started(&mut rig), [1]);
    second.text(&mut rig, 1, "some", counts(10, 1));
    assert_eq!(header(&rig, user, "x-labman-attempts"), Some("2"));
    rig.link_lost(second.link, DownReason::Failed);
    let answer = rig.text(user);
    assert!(answer.contains("provider_failed") && !answer.contains("[DONE]"), "{answer}");
}

#[test]
fn who_has_nothing_yet_waits_for_a_portman_that_starts_again_and_not_for_ever() {
    let (mut rig, portman) = house(1);
    let (works, waits) = (ask(&mut rig, "toy", true), ask(&mut rig, "toy", true));
    assert_eq!(portman.started(&mut rig), [1]);
    rig.link_lost(portman.link, DownReason::Failed);
    rig.pass(Span::from_secs(5));
    let portman = Portman::attach(&mut rig, vec![model("toy", 2)]);
    assert_eq!(portman.started(&mut rig), [1, 2], "both, those first that were first");
    for job in [1, 2] {
        portman.say(&mut rig, &FromPortman::Done { job, counts: counts(10, 0) });
    }
    for user in [works, waits] {
        assert!(rig.text(user).ends_with("data: [DONE]\n\n"), "{}", rig.text(user));
    }

    let user = ask(&mut rig, "toy", false);
    rig.link_lost(portman.link, DownReason::Failed);
    rig.pass(BYGONE_FOR);
    assert_eq!(rig.status(user), Some(503));
    assert_eq!(rig.admin("/status")["jobs"]["unpaid"], 0);
}

#[test]
fn hints_for_a_choice_that_there_is_none_of_are_told_to_be_left_out() {
    let (mut rig, portman) = house(1);
    let body = json!({
        "model": "toy", "messages": [{ "role": "user", "content": "hi" }], "stream": true, "provider": { "only": ["nobody"] },
    });
    let user = ask_for(&mut rig, &body);
    portman.text(&mut rig, 1, "x", counts(10, 1));
    assert_eq!(header(&rig, user, "x-labman-ignored-fields"), Some("provider"));
}

#[test]
fn a_bad_request_is_the_user_s_own() {
    let (mut rig, portman) = house(1);
    let user = ask_for(&mut rig, &json!({ "model": "toy", "messages": [] }));
    assert_eq!(rig.status(user), Some(400));
    let user = ask_for(
        &mut rig,
        &json!({ "model": "toy", "messages": [{ "role": "user", "content": "x".repeat(50_000) }] }),
    );
    assert!(rig.text(user).contains("context_length_exceeded"), "{}", rig.text(user));
    let user = ask(&mut rig, "toy", true);
    assert_eq!(portman.started(&mut rig), [1]);
    let (fault, message) = (Fault::BadRequest, "no such sampler".to_string());
    portman.say(&mut rig, &FromPortman::Failed { job: 1, fault, message });
    assert_eq!(rig.status(user), Some(400));
    assert!(rests(&mut rig, &portman));
}

#[test]
fn who_never_reads_holds_one_window_and_is_given_up() {
    let (mut rig, portman) = house(1);
    let user = ask(&mut rig, "toy", true);
    portman.hears(&mut rig);
    rig.wires.get_mut(&user).unwrap().reads = false;
    let most = STREAM_WINDOW as usize;
    let text = "x".repeat(1_000);
    for number in 0..most / 2_000 {
        portman.text(&mut rig, 1, &text, counts(10, number as u32 + 1));
    }
    assert!(portman.hears(&mut rig).is_empty(), "it is granted nothing more");
    let untaken = rig.wires[&user].untaken;
    rig.take(user, untaken);
    assert!(matches!(portman.hears(&mut rig).as_slice(), [ToPortman::Credit { job: 1, .. }, ..]));
    portman.text(&mut rig, 1, &text, counts(10, 1_000));
    rig.pass(READER_STALL);
    assert_eq!(rig.reset_of(user), Some(ResetCode::Cancelled));
    assert_eq!(portman.cancelled(&mut rig), [1]);
    assert!(rests(&mut rig, &portman));
}

#[test]
fn a_runtime_that_falls_silent_is_given_up_and_so_is_what_takes_too_long() {
    let (mut rig, portman) = house(2);
    let (user, other) = (ask(&mut rig, "toy", true), ask(&mut rig, "toy", false));
    portman.hears(&mut rig);
    portman.text(&mut rig, 1, "some", counts(10, 1));
    rig.pass(NEXT_CHUNK);
    assert!(rig.text(user).contains("fell silent"), "{}", rig.text(user));
    assert_eq!(portman.cancelled(&mut rig), [1]);
    rig.pass(Span(JOB_TOTAL.0 - NEXT_CHUNK.0));
    assert_eq!(rig.status(other), Some(502));
    assert_eq!(portman.cancelled(&mut rig), [2]);
    assert!(rests(&mut rig, &portman));
}

#[test]
fn who_leaves_finishes_what_it_has_begun_and_takes_nothing_new() {
    let (mut rig, portman) = house(1);
    let user = ask(&mut rig, "toy", true);
    rig.leave();
    assert!(!rig.has_left());
    let late = ask(&mut rig, "toy", true);
    assert_eq!(rig.status(late), Some(503));
    portman.say(&mut rig, &FromPortman::Done { job: 1, counts: counts(10, 0) });
    assert!(rig.text(user).ends_with("data: [DONE]\n\n"));
    rig.link_down(portman.link);
    assert!(rig.has_left());
}

#[test]
fn a_body_that_grows_when_its_numbers_are_written_out_costs_its_own_user_only() {
    let (mut rig, portman) = house(2);
    let other = ask(&mut rig, "toy", true);
    portman.hears(&mut rig);
    let numbers = vec!["1e15"; 600_000].join(",");
    let body = format!(
        r#"{{"model": "toy", "messages": [{{"role": "user", "content": "hi"}}], "guided_json": {{"a": [{numbers}]}}}}"#
    );
    let user = rig.request(Surface::Public, RequestHead::new("POST", "/v1/chat/completions"));
    rig.deliver(user, body.as_bytes());
    rig.finish(user);
    assert_eq!(rig.status(user), Some(413));
    assert!(portman.hears(&mut rig).is_empty(), "no Portman would take such a line");
    portman.say(&mut rig, &FromPortman::Done { job: 1, counts: counts(10, 0) });
    assert!(rig.text(other).ends_with("data: [DONE]\n\n"));
    assert!(rests(&mut rig, &portman));
}

#[test]
fn a_web_page_is_served_only_where_the_operator_named_it() {
    let (mut rig, _portman) = house(1);
    for (origin, status) in [("http://localhost:3000", 200), ("https://evil.example", 403), ("null", 403)] {
        for head in [RequestHead::new("GET", "/v1/models"), RequestHead::new("GET", "/v1/models/toy")] {
            let user = rig.request(Surface::Public, head.with("origin", origin));
            assert_eq!(rig.status(user), Some(status), "{origin}");
        }
    }
    let head = RequestHead::new("POST", "/v1/chat/completions").with("origin", "https://evil.example");
    let user = rig.request(Surface::Public, head);
    assert_eq!(rig.status(user), Some(403));
}

#[test]
fn while_a_portman_is_not_there_nobody_is_told_that_a_model_is_gone() {
    let mut rig = Rig::new(config());
    let early = ask(&mut rig, "toy", true);
    assert_eq!(rig.status(early), Some(503));
    let portman = Portman::attach(&mut rig, vec![model("toy", 1)]);
    let wrong = ask(&mut rig, "other", true);
    assert_eq!(rig.status(wrong), Some(404));
    rig.link_down(portman.link);
    let meanwhile = ask(&mut rig, "toy", true);
    assert_eq!(rig.status(meanwhile), Some(503));
    assert_eq!(header(&rig, meanwhile, "retry-after"), Some("2"));
}

#[test]
fn who_sends_most_makes_room_for_the_others_and_what_waits_is_counted() {
    let mut config = config();
    config.caps.links = 1;
    // Three sixteenths of it are for bodies: two of the largest.
    config.caps.memory = 2 * HTTP_BODY * 16 / 3;
    let mut rig = Rig::new(config);
    let portman = Portman::attach(
        &mut rig,
        vec![labman_proto_core::wire::portman::Model { context_length: 1 << 22, ..model("toy", 1) }],
    );
    let long = |text: usize| {
        json!({ "model": "toy", "messages": [{ "role": "user", "content": "x".repeat(text) }] }).to_string()
    };
    let begin =
        |rig: &mut Rig| rig.request(Surface::Public, RequestHead::new("POST", "/v1/chat/completions"));
    let slow = begin(&mut rig);
    rig.deliver(slow, &long(3 << 20).as_bytes()[..3 << 20]);
    // Two that wait, for one that works.
    let works = ask(&mut rig, "toy", true);
    let waits = begin(&mut rig);
    rig.deliver(waits, long(3 << 20).as_bytes());
    rig.finish(waits);
    assert_eq!(rig.status(slow), None);
    let last = begin(&mut rig);
    rig.deliver(last, long(5 << 19).as_bytes());
    rig.finish(last);
    assert_eq!(rig.status(slow), Some(503), "it sent most, and is not whole");
    assert_eq!((rig.status(waits), rig.status(last)), (None, None));
    let small = begin(&mut rig);
    rig.deliver(small, long(3 << 20).as_bytes());
    assert_eq!(rig.status(small), Some(503), "nobody else is left to make room");
    rig.reset(works, ResetCode::Cancelled);
    assert_eq!(portman.started(&mut rig).len(), 2);
}
