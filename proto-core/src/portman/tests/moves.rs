//! Stories of models that are loaded and unloaded: a runtime that says what is where, as llama-server's router does.

use alloc::{string::String, vec, vec::Vec};

use serde_json::{Value, json};

use super::rig::Rig;
use super::{done, failed, finish, text};
use crate::limits::{self, STREAM_WINDOW};
use crate::time::Span;
use crate::wire::portman::{Fault, FromPortman, Model, Shelved, ToPortman};

const RESTING: &str = r#"{"data":[
    {"id":"tiny","status":{"value":"loaded"}},
    {"id":"big","status":{"value":"unloaded"}},
    {"id":"odd","status":{"value":"unloaded"}}
]}"#;
const LOADING_BIG: &str = r#"{"data":[
    {"id":"tiny","status":{"value":"loaded"}},
    {"id":"big","status":{"value":"loading"}},
    {"id":"odd","status":{"value":"unloaded"}}
]}"#;
const LOADED_BIG: &str = r#"{"data":[
    {"id":"tiny","status":{"value":"loaded"}},
    {"id":"big","status":{"value":"loaded"}},
    {"id":"odd","status":{"value":"unloaded"}}
]}"#;
const FAILED_BIG: &str = r#"{"data":[
    {"id":"tiny","status":{"value":"loaded"}},
    {"id":"big","status":{"value":"unloaded","failed":true,"exit_code":1}},
    {"id":"odd","status":{"value":"unloaded"}}
]}"#;
const NOTHING_LOADED: &str = r#"{"data":[
    {"id":"tiny","status":{"value":"unloaded"}},
    {"id":"big","status":{"value":"unloaded"}},
    {"id":"odd","status":{"value":"unloaded"}}
]}"#;

/// A hello of these models, two slots each, and this shelf, where `+` marks what is being loaded.
fn hello(models: &[&str], shelf: &[&str]) -> FromPortman {
    let model = |id: &&str| Model { id: (*id).into(), context_length: 4096, slots: 2 };
    let shelved = |id: &&str| Shelved { id: id.trim_end_matches('+').into(), loading: id.ends_with('+') };
    FromPortman::Hello {
        models: models.iter().map(model).collect(),
        shelf: shelf.iter().map(shelved).collect(),
    }
}

fn not_moved(model: &str, message: &str) -> FromPortman {
    FromPortman::NotMoved { model: model.into(), message: message.into() }
}

/// Attached to a runtime where `tiny` runs, and `big` and `odd` are on the shelf.
fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.attach();
    rig.offer(RESTING);
    assert_eq!(rig.said().last(), Some(&hello(&["tiny"], &["big", "odd"])));
    rig
}

fn load(rig: &mut Rig, model: &str, priority: u8) {
    rig.labman_says(&ToPortman::LoadModel { model: model.into(), priority });
}

fn unload(rig: &mut Rig, model: &str) {
    rig.labman_says(&ToPortman::UnloadModel { model: model.into(), reason: "nobody asks for it".into() });
}

/// The runtime does as it was asked last.
fn agrees(rig: &mut Rig) {
    answers(rig, 200, r#"{"success":true}"#);
}

fn answers(rig: &mut Rig, status: u16, body: &str) {
    rig.answers(status);
    rig.sends(body);
    rig.finishes();
}

/// What the runtime was asked to move since the beginning.
fn asked(rig: &Rig) -> Vec<(String, String)> {
    let model = |body: &Vec<u8>| {
        let body: Value = serde_json::from_slice(body).unwrap();
        body["model"].as_str().unwrap().into()
    };
    rig.requests.iter().map(|(_, _, head, body)| (head.path.clone(), model(body))).collect()
}

fn moves(moves: &[(&str, &str)]) -> Vec<(String, String)> {
    moves.iter().map(|(path, model)| ((*path).into(), (*model).into())).collect()
}

#[test]
fn a_model_is_loaded_and_the_runtime_asked_each_second_until_it_is() {
    let mut rig = rig();
    load(&mut rig, "big", 1);
    let (_, url, head, body) = rig.requests.last().unwrap().clone();
    assert_eq!((url.as_str(), head.method.as_str()), ("http://runtime:9000", "POST"));
    assert_eq!((head.path.as_str(), head.bearer()), ("/models/load", Some("sk-runtime")), "not below /v1");
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({ "model": "big" }));
    agrees(&mut rig);
    rig.offer(LOADING_BIG);
    let before = rig.questions.len();
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(rig.said(), [hello(&["tiny"], &["big+", "odd"])]);
    rig.wait(Span::from_secs(30));
    assert_eq!(rig.questions.len() - before, 31);
    rig.offer(LOADED_BIG);
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(rig.said(), [hello(&["tiny", "big"], &["odd"])]);
    let before = rig.questions.len();
    rig.wait(limits::MODELS_EVERY);
    assert_eq!(rig.questions.len() - before, 1, "as rarely as before");
    assert_eq!(asked(&rig).len(), 1);
}

#[test]
fn a_load_that_fails_is_said_to_have_and_why() {
    for (status, answer, list, message) in [
        (200, r#"{"success":true}"#, FAILED_BIG, "the runtime failed to load it: its own log says why"),
        (400, r#"{"error":{"message":"memory is full"}}"#, RESTING, "memory is full"),
        (200, r#"{"success":false,"message":"not today"}"#, RESTING, "not today"),
        (404, "", RESTING, "the runtime answered 404"),
        (
            200,
            "{}",
            r#"{"data":[{"id":"odd","status":{"value":"unloaded"}}]}"#,
            "the runtime has this model no more",
        ),
    ] {
        let mut rig = rig();
        load(&mut rig, "big", 1);
        answers(&mut rig, status, answer);
        rig.offer(list);
        rig.wait(limits::MOVING_EVERY);
        assert_eq!(rig.said().last(), Some(&not_moved("big", message)));
        load(&mut rig, "odd", 1);
        assert_eq!(asked(&rig)[1..], moves(&[("/models/load", "odd")]), "it can go on");
    }
}

#[test]
fn a_load_that_is_begun_and_given_up_is_no_success() {
    let mut rig = rig();
    load(&mut rig, "big", 1);
    agrees(&mut rig);
    for (list, said) in [
        (LOADING_BIG, vec![hello(&["tiny"], &["big+", "odd"])]),
        (
            RESTING,
            vec![hello(&["tiny"], &["big", "odd"]), not_moved("big", "the runtime stopped loading it")],
        ),
    ] {
        rig.offer(list);
        rig.wait(limits::MOVING_EVERY);
        assert_eq!(rig.said(), said);
    }
}

#[test]
fn a_failure_from_before_the_load_does_not_count() {
    let mut rig = rig();
    rig.offer(FAILED_BIG);
    rig.wait(limits::MODELS_EVERY);
    assert_eq!(rig.said(), [], "on the shelf as before");
    load(&mut rig, "big", 1);
    rig.wait(Span::from_secs(3));
    assert_eq!(rig.said(), [], "it has not been heard yet");
    agrees(&mut rig);
    rig.offer(LOADED_BIG);
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(rig.said(), [hello(&["tiny", "big"], &["odd"])]);
}

#[test]
fn what_takes_too_long_has_not_moved() {
    let mut rig = rig();
    load(&mut rig, "big", 1);
    agrees(&mut rig);
    rig.wait(limits::LOAD_WITHIN);
    assert_eq!(rig.said(), [not_moved("big", "the runtime took more than 600 s")]);
    unload(&mut rig, "tiny");
    let silent = rig.exchange();
    rig.wait(limits::UNLOAD_WITHIN);
    assert_eq!(rig.said(), [not_moved("tiny", "the runtime took more than 60 s")]);
    assert_eq!(rig.resets, [silent]);
}

#[test]
fn a_runtime_that_is_gone_has_not_loaded_it() {
    let mut rig = rig();
    load(&mut rig, "big", 1);
    rig.breaks();
    rig.catalogue = None;
    rig.wait(limits::MOVING_EVERY + limits::MODELS_WITHIN);
    let message = "the runtime can't be reached, or broke its answer off";
    assert_eq!(rig.said(), [hello(&[], &[]), not_moved("big", message)]);
}

#[test]
fn the_most_urgent_load_goes_first_and_they_go_one_at_a_time() {
    let mut rig = rig();
    rig.offer(NOTHING_LOADED);
    rig.wait(limits::MODELS_EVERY);
    load(&mut rig, "odd", 0);
    load(&mut rig, "tiny", 1);
    load(&mut rig, "big", 1);
    load(&mut rig, "odd", 0);
    assert_eq!(asked(&rig), moves(&[("/models/load", "odd")]));
    agrees(&mut rig);
    rig.offer(
        r#"{"data":[
        {"id":"tiny","status":{"value":"unloaded"}},
        {"id":"big","status":{"value":"unloaded"}},
        {"id":"odd","status":{"value":"loaded"}}
    ]}"#,
    );
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(asked(&rig)[1..], moves(&[("/models/load", "tiny")]), "the first that came");
    load(&mut rig, "big", 9);
    answers(&mut rig, 500, "");
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(rig.said().last(), Some(&not_moved("tiny", "the runtime answered 500")));
    assert_eq!(asked(&rig)[2..], moves(&[("/models/load", "big")]));
}

#[test]
fn a_model_is_unloaded_when_no_job_of_it_runs() {
    let mut rig = rig();
    rig.start(1, STREAM_WINDOW);
    unload(&mut rig, "tiny");
    assert_eq!(rig.said(), [not_moved("tiny", "jobs of it run here: 1")]);
    rig.answers(200);
    rig.sends(&(text("a") + &finish()));
    rig.finishes();
    assert_eq!(rig.said().last(), Some(&done(1, 0, 0, 1)));

    unload(&mut rig, "tiny");
    let (_, _, head, body) = rig.requests.last().unwrap().clone();
    assert_eq!((head.path.as_str(), body.as_slice()), ("/models/unload", br#"{"model":"tiny"}"#.as_slice()));
    rig.start(2, STREAM_WINDOW);
    assert_eq!(rig.said(), [failed(2, Fault::ModelNotAvailable, "no model \"tiny\" runs here")], "it goes");
    agrees(&mut rig);
    rig.offer(NOTHING_LOADED);
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(rig.said(), [hello(&[], &["tiny", "big", "odd"])]);
}

#[test]
fn a_load_waits_for_the_memory_that_an_unload_frees() {
    let mut rig = rig();
    unload(&mut rig, "tiny");
    load(&mut rig, "big", 1);
    load(&mut rig, "tiny", 0);
    assert_eq!(asked(&rig), moves(&[("/models/unload", "tiny")]));
    agrees(&mut rig);
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(asked(&rig).len(), 1, "it is not out yet");
    rig.offer(NOTHING_LOADED);
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(asked(&rig)[1..], moves(&[("/models/load", "big")]));
}

#[test]
fn an_unload_gives_up_the_load_of_the_same_model() {
    let mut rig = rig();
    load(&mut rig, "big", 1);
    load(&mut rig, "odd", 1);
    unload(&mut rig, "odd");
    assert_eq!(rig.said(), [hello(&["tiny"], &["big", "odd"])], "it had not begun");
    unload(&mut rig, "big");
    assert_eq!(asked(&rig), moves(&[("/models/load", "big"), ("/models/unload", "big")]));
    agrees(&mut rig);
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(rig.said(), [], "the list had it on the shelf all the time");
    rig.wait(limits::MODELS_AT_LEAST);
    assert_eq!(asked(&rig).len(), 2, "nothing is left to do");
}

#[test]
fn what_is_where_it_is_wanted_is_said_again() {
    let mut rig = rig();
    load(&mut rig, "tiny", 1);
    unload(&mut rig, "big");
    assert_eq!(rig.said(), [hello(&["tiny"], &["big", "odd"]), hello(&["tiny"], &["big", "odd"])]);
    assert_eq!(asked(&rig), []);
}

#[test]
fn what_can_t_be_moved_is_not() {
    let mut rig = rig();
    load(&mut rig, "huge", 1);
    unload(&mut rig, "huge");
    let no_such = not_moved("huge", "the runtime has no model \"huge\"");
    assert_eq!(rig.said(), [no_such.clone(), no_such]);
    rig.start(1, STREAM_WINDOW);
    rig.leave();
    rig.said();
    load(&mut rig, "big", 1);
    assert_eq!(rig.said(), [not_moved("big", "this Portman is about to leave")]);

    let mut rig = Rig::with_model();
    load(&mut rig, "tiny", 1);
    unload(&mut rig, "tiny");
    let by_itself = not_moved("tiny", "this runtime loads and unloads its models by itself");
    assert_eq!(rig.said(), [by_itself.clone(), by_itself]);
    assert_eq!(asked(&rig), []);
}

#[test]
fn a_labman_that_comes_back_and_asks_again_finds_the_load_under_way() {
    let mut rig = rig();
    load(&mut rig, "big", 1);
    load(&mut rig, "odd", 1);
    rig.loses_link();
    assert_eq!(rig.resets, [rig.exchange()], "nobody waits for the answer");
    rig.wait(limits::REDIAL_FIRST);
    rig.attach();
    rig.said();
    // Its list is older than the load, so it asks, and is refused.
    load(&mut rig, "big", 1);
    answers(&mut rig, 400, r#"{"error":{"message":"it is loading already"}}"#);
    rig.offer(LOADING_BIG);
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(rig.said(), [hello(&["tiny"], &["big+", "odd"])]);
    rig.offer(LOADED_BIG);
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(rig.said(), [hello(&["tiny", "big"], &["odd"])]);
    assert_eq!(asked(&rig), moves(&[("/models/load", "big"), ("/models/load", "big")]), "odd is forgotten");
}

#[test]
fn a_load_that_somebody_else_began_is_waited_for() {
    let mut rig = rig();
    rig.offer(LOADING_BIG);
    rig.wait(limits::MODELS_EVERY);
    rig.said();
    load(&mut rig, "big", 1);
    rig.offer(LOADED_BIG);
    rig.wait(limits::MOVING_EVERY);
    assert_eq!(rig.said(), [hello(&["tiny", "big"], &["odd"])]);
    assert_eq!(asked(&rig), []);
}

#[test]
fn a_labman_sets_how_many_requests_of_a_model_run_at_once() {
    let slots = |slots| FromPortman::Hello {
        models: vec![Model { id: "tiny".into(), context_length: 4096, slots }],
        shelf: vec![],
    };
    let set = |rig: &mut Rig, slots| {
        rig.labman_says(&ToPortman::SetConcurrency { model: "tiny".into(), slots });
        rig.said()
    };
    let mut rig = Rig::with_model();
    assert_eq!(set(&mut rig, 2), [], "as configured");
    assert_eq!(set(&mut rig, 3), [slots(3)]);
    for job in 1..=4 {
        rig.start(job, STREAM_WINDOW);
    }
    assert_eq!(rig.said(), [failed(4, Fault::Busy, "all slots are taken")]);
    assert_eq!(set(&mut rig, 0), [slots(1)], "what runs goes on");
    rig.start(5, STREAM_WINDOW);
    assert_eq!(rig.said(), [failed(5, Fault::Busy, "all slots are taken")]);
    rig.loses_link();
    rig.wait(limits::REDIAL_FIRST);
    rig.attach();
    assert_eq!(rig.said(), [slots(2)], "the next socket begins anew");
}

#[test]
fn slots_of_a_model_that_is_not_there_yet_wait_for_it() {
    let mut rig = rig();
    rig.labman_says(&ToPortman::SetConcurrency { model: "big".into(), slots: 7 });
    assert_eq!(rig.said(), [], "a shelf has no slots");
    rig.offer(LOADED_BIG);
    rig.wait(limits::MODELS_EVERY);
    let said = rig.said();
    let [FromPortman::Hello { models, .. }] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(models.iter().map(|model| model.slots).collect::<Vec<_>>(), [2, 7]);
}
