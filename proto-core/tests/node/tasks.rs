//! What users ask for besides one answer to a chat: several answers, completions, embeddings.

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::machine::StreamId;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::portal::End;
use serde_json::{Value, json};

use super::lies::SLUG;
use super::peer::{Peer, Served, content, counts, frames};
use super::rig::{PEER, Rig};

fn ask(rig: &mut Rig, path: &str, body: &Value) -> StreamId {
    let head = RequestHead::new("POST", path).with("authorization", "Bearer sk-labman-1");
    let stream = rig.request(Surface::Public, head);
    rig.deliver(stream, body.to_string().as_bytes());
    rig.finish(stream);
    stream
}

fn model() -> &'static str {
    SLUG.splitn(3, ':').last().unwrap()
}

fn end(rig: &mut Rig, job: &Served, input: u32, output: u32) {
    let frame = job.end_frame(job.statement(counts(input, output), End::Complete), None);
    rig.deliver(job.stream, &frame);
}

fn whole(rig: &Rig, user: StreamId) -> Value {
    assert_eq!(rig.status(user), Some(200), "{}", rig.text(user));
    serde_json::from_str(&rig.text(user)).unwrap()
}

#[test]
fn two_answers_are_two_choices_and_both_are_paid_for() {
    let mut rig = Rig::gateway();
    let provider = Peer::serving(&mut rig, PEER, SLUG);
    let messages = json!([{ "role": "user", "content": "x" }]);
    let question = json!({ "model": model(), "messages": messages, "n": 2, "max_tokens": 10 });
    let user = ask(&mut rig, "/v1/chat/completions", &question);
    let mut job = provider.job(&mut rig);
    assert_eq!((&job.body["n"], &job.body["max_tokens"]), (&json!(2), &json!(10)));
    assert_eq!(job.auth().max_output, 20, "of both together");
    job.chunk(&mut rig, counts(5, 1), &content("one"));
    let mut second = content("two");
    second["choices"][0]["index"] = json!(1);
    second["choices"][0]["finish_reason"] = json!("length");
    job.chunk(&mut rig, counts(5, 2), &second);
    end(&mut rig, &job, 5, 2);
    let answer = whole(&rig, user);
    let said = |at: usize| answer["choices"][at]["message"]["content"].as_str().unwrap();
    assert_eq!((said(0), said(1)), ("one", "two"));
    assert_eq!(answer["choices"][1]["finish_reason"], "length");
    assert_eq!(answer["usage"]["total_tokens"], 7);
}

#[test]
fn a_stream_of_two_answers_says_why_each_is_over_at_its_end() {
    let mut rig = Rig::gateway();
    let provider = Peer::serving(&mut rig, PEER, SLUG);
    let question =
        json!({ "model": model(), "prompt": "Once", "n": 2, "max_tokens": 10, "stream": true, "echo": true });
    let user = ask(&mut rig, "/v1/completions", &question);
    let mut job = provider.job(&mut rig);
    assert_eq!(job.body.get("echo"), None, "that is the gateway's");
    for answer in [0, 1] {
        let chunk = json!({ "choices": [{ "index": answer, "text": " upon", "finish_reason": "stop" }] });
        job.chunk(&mut rig, counts(1, 1 + answer), &chunk);
    }
    end(&mut rig, &job, 1, 2);
    let text = rig.text(user);
    let events: Vec<Value> = text
        .split("\n\n")
        .filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok())
        .collect();
    let choice = |at: usize| &events[at]["choices"][0];
    for answer in [0, 1] {
        assert_eq!(
            (&choice(answer)["text"], &choice(answer)["finish_reason"]),
            (&json!("Once upon"), &Value::Null)
        );
        assert_eq!(
            (&choice(answer + 2)["index"], &choice(answer + 2)["finish_reason"]),
            (&json!(answer), &json!("stop"))
        );
        assert_eq!(events[answer]["object"], "text_completion");
    }
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_response_is_a_chat_that_is_told_in_events() {
    let mut rig = Rig::gateway();
    let provider = Peer::serving(&mut rig, PEER, SLUG);
    let question = json!({
        "model": model(), "input": "x", "instructions": "be short", "max_output_tokens": 10, "stream": true, "n": 5,
    });
    let user = ask(&mut rig, "/v1/responses", &question);
    let mut job = provider.job(&mut rig);
    let roles: Vec<Value> =
        job.body["messages"].as_array().unwrap().iter().map(|one| one["role"].clone()).collect();
    assert_eq!((json!(roles), &job.body["max_tokens"]), (json!(["system", "user"]), &json!(10)));
    job.chunk(&mut rig, counts(5, 1), &content("one"));
    let text = rig.text(user);
    assert!(text.starts_with("event: response.created\ndata: {"), "{text}");
    assert!(text.contains("event: response.output_text.delta"), "{text}");
    end(&mut rig, &job, 5, 1);
    let text = rig.text(user);
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    let last: Value = serde_json::from_str(last.split_once("data: ").unwrap().1).unwrap();
    assert_eq!(last["type"], "response.completed");
    let response = &last["response"];
    assert_eq!(response["output"][0]["content"][0]["text"], "one");
    assert_eq!(
        (&response["instructions"], &response["usage"]["output_tokens"]),
        (&json!("be short"), &json!(1))
    );
    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
}

#[test]
fn a_response_that_breaks_says_so_as_the_sdks_hear_it() {
    let mut rig = Rig::gateway();
    let provider = Peer::serving(&mut rig, PEER, SLUG);
    let user = ask(&mut rig, "/v1/responses", &json!({ "model": model(), "input": "x", "stream": true }));
    let mut job = provider.job(&mut rig);
    job.chunk(&mut rig, counts(5, 1), &content("one"));
    rig.link_down(provider.link);
    let text = rig.text(user);
    assert!(text.contains("event: response.failed\n") && text.contains("event: error\n"), "{text}");
}

#[test]
fn embeddings_are_a_list_and_each_is_acknowledged_as_a_token() {
    let mut rig = Rig::gateway();
    let provider = Peer::serving(&mut rig, PEER, SLUG);
    let question = json!({ "model": model(), "input": ["x", "y"], "user": "ann" });
    let user = ask(&mut rig, "/v1/embeddings", &question);
    let mut job = provider.job(&mut rig);
    assert_eq!(job.body, json!({ "input": ["x", "y"] }));
    for number in [0, 1] {
        let chunk = json!({ "index": number, "embedding": "AACAPgAAgL8=" });
        job.chunk(&mut rig, counts(2, 1 + number), &chunk);
    }
    end(&mut rig, &job, 2, 2);
    let answer = whole(&rig, user);
    assert_eq!(answer["data"][1], json!({ "object": "embedding", "index": 1, "embedding": [0.25, -1.0] }));
    assert_eq!(answer["usage"], json!({ "prompt_tokens": 2, "total_tokens": 2 }));
    assert_eq!(answer["model"], model());
}

#[test]
fn more_dimensions_than_there_are_is_the_user_s_mistake_and_not_the_provider_s() {
    let mut rig = Rig::gateway();
    let provider = Peer::serving(&mut rig, PEER, SLUG);
    for _ in 0..5 {
        let question = json!({ "model": model(), "input": "x", "dimensions": 3 });
        let user = ask(&mut rig, "/v1/embeddings", &question);
        let mut job = provider.job(&mut rig);
        job.chunk(&mut rig, counts(1, 1), &json!({ "index": 0, "embedding": "AACAPgAAgL8=" }));
        let error: Value = serde_json::from_str(&rig.text(user)).unwrap();
        assert_eq!((rig.status(user), &error["error"]["param"]), (Some(400), &json!("dimensions")));
        let heard = frames(&rig.hear(job.stream));
        assert!(heard.iter().any(|(kind, _)| *kind == Kind::StreamAck), "what was done is acknowledged");
    }
}

#[test]
fn a_list_that_ends_too_early_is_broken_and_no_list() {
    let mut rig = Rig::gateway();
    let provider = Peer::serving(&mut rig, PEER, SLUG);
    let user = ask(&mut rig, "/v1/embeddings", &json!({ "model": model(), "input": ["x", "y"] }));
    let mut job = provider.job(&mut rig);
    job.chunk(&mut rig, counts(2, 1), &json!({ "index": 0, "embedding": "AACAPgAAgL8=" }));
    end(&mut rig, &job, 2, 1);
    assert!(serde_json::from_str::<Value>(&rig.text(user)).is_err());
    assert!(!rig.text(user).contains("usage"));
}

#[test]
fn text_that_the_user_never_sees_is_not_paid_for() {
    let mut rig = Rig::gateway();
    let provider = Peer::serving(&mut rig, PEER, SLUG);
    let messages = json!([{ "role": "user", "content": "x" }]);
    let user = ask(&mut rig, "/v1/chat/completions", &json!({ "model": model(), "messages": messages }));
    let mut job = provider.job(&mut rig);
    let mut padded = content("a");
    padded["choices"][0]["text"] = json!("padding");
    padded["choices"][0]["delta"]["padding"] = json!("padding");
    job.chunk(&mut rig, counts(5, 8), &padded);
    end(&mut rig, &job, 5, 8);
    assert_eq!(whole(&rig, user)["usage"]["completion_tokens"], 1);
}

#[test]
fn an_answer_that_nobody_asked_for_ends_the_attempt() {
    let mut rig = Rig::gateway();
    let provider = Peer::serving(&mut rig, PEER, SLUG);
    let user = ask(&mut rig, "/v1/embeddings", &json!({ "model": model(), "input": "x" }));
    let mut job = provider.job(&mut rig);
    job.chunk(&mut rig, counts(1, 0), &json!({ "index": 1, "embedding": "AACAPgAAgL8=" }));
    assert_eq!(rig.status(user), Some(503));
}
