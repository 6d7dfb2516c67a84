//! Requests that a runtime is asked for in several parts, or that it answers by one object.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde_json::{Value, json};

use super::rig::Rig;
use super::{DONE, done, event, failed, finish, text, usage};
use crate::limits::{EMBEDDED_AT_ONCE, STREAM_WINDOW};
use crate::wire::portman::{Fault, FromPortman, ToPortman};

fn start(rig: &mut Rig, body: Value) {
    rig.labman_says(&ToPortman::Start { job: 1, model: "tiny".into(), body, credit: STREAM_WINDOW });
}

/// Where the runtime was asked for what, the last time.
fn asked(rig: &Rig) -> (&str, Value) {
    let (_, _, head, body) = rig.requests.last().unwrap();
    (head.path.as_str(), serde_json::from_slice(body).unwrap())
}

fn chunks(said: &[FromPortman]) -> Vec<Value> {
    let chunk = |message: &FromPortman| match message {
        FromPortman::Chunk { data, .. } => serde_json::from_str(data).ok(),
        _ => None,
    };
    said.iter().filter_map(chunk).collect()
}

#[test]
fn one_answer_is_asked_for_after_another() {
    let mut rig = Rig::with_model();
    let messages = json!([{ "role": "user", "content": "x" }]);
    start(&mut rig, json!({ "messages": messages, "n": 2, "seed": 5, "max_tokens": 9, "stream": true }));
    let (path, body) = asked(&rig);
    assert_eq!((path, &body["seed"], &body["n"]), ("/v1/chat/completions", &json!(5), &Value::Null));
    rig.answers(200);
    rig.sends(&[text("a"), finish(), usage(10, 4, 3)].concat());
    assert_eq!(rig.requests.len(), 1, "the second is not asked for while the first goes on");
    rig.sends(DONE);
    let first = chunks(&rig.said());
    assert_eq!(first[0]["choices"][0]["index"], 0);

    assert_eq!((rig.requests.len(), &asked(&rig).1["seed"]), (2, &json!(6)));
    rig.answers(200);
    rig.sends(&[text("b"), text("c"), finish(), usage(10, 10, 2), DONE.into()].concat());
    let said = rig.said();
    assert!(chunks(&said).iter().all(|chunk| chunk["choices"].get(0).is_none_or(|one| one["index"] == 1)));
    assert_eq!(said.last(), Some(&done(1, 10, 4, 3)), "the prompt is counted once: {said:?}");
}

#[test]
fn a_second_answer_that_fails_ends_the_job() {
    let mut rig = Rig::with_model();
    start(&mut rig, json!({ "prompt": ["x", "y"], "max_tokens": 9, "stream": true }));
    assert_eq!((asked(&rig).0, &asked(&rig).1["prompt"]), ("/v1/completions", &json!("x")));
    rig.answers(200);
    rig.sends(&event(&json!({ "choices": [{ "index": 0, "text": "a", "finish_reason": "stop" }] })));
    rig.finishes();
    assert_eq!(asked(&rig).1["prompt"], "y");
    rig.breaks();
    assert_eq!(rig.said().last(), Some(&failed(1, Fault::RuntimeFailed, "the runtime can't be reached")));
}

#[test]
fn a_job_that_nobody_wants_any_more_is_not_gone_on_with() {
    let mut rig = Rig::with_model();
    start(&mut rig, json!({ "prompt": "x", "n": 3, "max_tokens": 9, "stream": true }));
    rig.answers(200);
    rig.labman_says(&ToPortman::Cancel { job: 1 });
    assert_eq!((rig.resets.len(), rig.requests.len()), (1, 1));
}

#[test]
fn embeddings_come_one_by_one_and_some_texts_are_asked_for_at_a_time() {
    let mut rig = Rig::with_model();
    let texts: Vec<String> = (0..=EMBEDDED_AT_ONCE).map(|n| format!("text {n}")).collect();
    start(&mut rig, json!({ "input": texts }));
    let (path, body) = asked(&rig);
    assert_eq!((path, body.get("stream")), ("/v1/embeddings", None));
    assert_eq!(body["input"].as_array().unwrap().len(), EMBEDDED_AT_ONCE);
    let answer = |many: usize, tokens: u32| {
        let one = |index| json!({ "index": index, "embedding": [0.25, -1.0] });
        let data: Vec<Value> = (0..many).map(one).collect();
        json!({ "data": data, "usage": { "prompt_tokens": tokens, "total_tokens": tokens } }).to_string()
    };
    rig.answers(200);
    rig.sends(&answer(EMBEDDED_AT_ONCE, 32));
    rig.finishes();
    assert_eq!(asked(&rig).1["input"], json!([texts.last()]));
    rig.answers(200);
    rig.sends(&answer(1, 2));
    rig.finishes();
    let said = rig.said();
    let numbers: Vec<Value> = chunks(&said).iter().map(|chunk| chunk["index"].clone()).collect();
    assert_eq!(numbers, (0..=EMBEDDED_AT_ONCE).map(|n| json!(n)).collect::<Vec<_>>());
    assert_eq!(chunks(&said)[0]["embedding"], "AACAPgAAgL8=");
    assert_eq!(said.last(), Some(&done(1, 34, 0, 17)), "a vector is a token");
}

#[test]
fn what_a_runtime_can_t_do_is_the_request_s_mistake() {
    let mut rig = Rig::with_model();
    start(&mut rig, json!({ "input": "x" }));
    rig.answers(501);
    rig.sends(r#"{"error":{"message":"this server does not support embeddings"}}"#);
    rig.finishes();
    let refused = failed(1, Fault::BadRequest, "this server does not support embeddings");
    assert_eq!(rig.said(), [refused]);
    start(&mut rig, json!({ "input": ["x", "y"] }));
    rig.answers(200);
    rig.sends(r#"{"data":[{"embedding":[1]}]}"#);
    rig.finishes();
    assert!(matches!(&rig.said()[..], [FromPortman::Failed { fault: Fault::RuntimeFailed, .. }]));
}
