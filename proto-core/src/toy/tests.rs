//! What a client of the toy sees.

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::config::{Config, Thinks};
use super::{FinishReason, Toy, completion};
use crate::http::{RequestHead, Surface};
use crate::limits::{self, STREAM_WINDOW};
use crate::machine::{Input, Machine, Output, ResetCode, StreamId};
use crate::openai::sse;
use crate::rng::Seed;
use crate::time::{Now, Span, Time, Wall};

const ASK: StreamId = StreamId(1);

struct Client {
    toy: Toy,
    now: Now,
    status: Option<u16>,
    body: Vec<u8>,
    finished: bool,
    /// The number of its latest short question.
    asked: u64,
}

impl Client {
    fn of(model: &str) -> Self {
        Self::with(Config { models: vec![model.into()], ..quick() }, 1)
    }

    fn with(config: Config, seed: u64) -> Self {
        let now = Now { mono: Time::ZERO, wall: Wall(1_700_000_000_999) };
        Self {
            toy: Toy::new(config, Seed::from_u64(seed), now),
            now,
            status: None,
            body: Vec::new(),
            finished: false,
            asked: 1,
        }
    }

    fn asks(request: &Value) -> Self {
        let mut client = Self::of("toy");
        client.ask(ASK, "POST", "/v1/chat/completions", &serde_json::to_vec(request).unwrap());
        client
    }

    fn ask(&mut self, stream: StreamId, method: &str, path: &str, body: &[u8]) {
        let head = RequestHead::new(method, path);
        self.feed(Input::Request { stream, surface: Surface::Public, head });
        for bytes in body.chunks(1000) {
            self.feed(Input::Bytes { stream, bytes });
        }
        self.feed(Input::Finished { stream });
    }

    fn feed(&mut self, input: Input<'_>) {
        self.toy.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.toy.poll_output() {
            match output {
                Output::Response { head, .. } => self.status = Some(head.status),
                Output::Send { bytes, .. } => self.body.extend(bytes),
                Output::Finish { .. } => self.finished = true,
                Output::Grant { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Wakes the toy until it wants nothing more.
    fn wait(mut self) -> Self {
        while self.wake() {}
        self
    }

    fn wake(&mut self) -> bool {
        let Some(wake) = self.toy.poll_timeout() else { return false };
        self.now.mono = self.now.mono.max(wake.at);
        self.toy.handle_timeout(self.now);
        self.drain();
        true
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn chunks(&self) -> Vec<Value> {
        let events = sse::Reader::default().push(&self.body).unwrap();
        let (last, chunks) = events.split_last().unwrap();
        assert_eq!(last, &sse::Event::Done);
        let parse = |event: &sse::Event| match event {
            sse::Event::Data(data) => serde_json::from_str(data).unwrap(),
            sse::Event::Done => panic!("a second end"),
        };
        chunks.iter().map(parse).collect()
    }
}

fn quick() -> Config {
    Config {
        models: vec!["toy".into()],
        context_length: 512,
        token_every: Span::from_millis(50),
        ..Config::default()
    }
}

fn request() -> Value {
    json!({ "model": "toy", "messages": [
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": [{ "type": "text", "text": "Who rules the coast?" }] },
    ]})
}

fn with(fields: Value) -> Value {
    let mut request = request();
    request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    request
}

#[test]
fn what_it_can_not_read_is_told_in_words_for_people() {
    for (path, body, said) in [
        ("/v1/completions", json!({ "prompt": [1, 2] }), "prompt must be one text"),
        ("/v1/completions", json!({ "prompt": ["a", "b"] }), "prompt must be one text"),
        ("/v1/chat/completions", with(json!({ "stop": 5 })), "stop must be a text, or a list of them"),
        (
            "/v1/chat/completions",
            with(json!({ "messages": [{ "role": "user", "content": 5 }] })),
            "content must be a text, or a list of parts",
        ),
    ] {
        let mut client = Client::of("toy");
        client.ask(ASK, "POST", path, &serde_json::to_vec(&body).unwrap());
        let error = client.json()["error"]["message"].clone();
        assert_eq!(client.status, Some(400));
        assert!(error.as_str().unwrap().starts_with(said), "{error}");
    }
}

#[test]
fn it_lists_itself_as_labman_s_own() {
    let mut client = Client::of("toy");
    client.ask(ASK, "GET", "/v1/models", b"");
    let model = &client.json()["data"][0];
    assert_eq!((&model["id"], &model["owned_by"]), (&json!("toy"), &json!("labman")));
    assert_eq!(model["context_length"], 512);
    assert!(client.finished);
}

#[test]
fn a_stream_is_openai_s_a_role_then_tokens_then_a_reason_then_the_usage() {
    let request = with(json!({ "stream": true, "stream_options": { "include_usage": true } }));
    let client = Client::asks(&request).wait();
    let expected = completion(&request).unwrap();
    let tokens = expected.tokens.len();

    let chunks = client.chunks();
    assert_eq!(chunks.len(), tokens + 3);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let said =
        chunks[1..=tokens].iter().map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().unwrap());
    assert_eq!(said.collect::<Vec<_>>(), expected.tokens);
    assert_eq!(chunks[tokens + 1]["choices"][0]["finish_reason"], "stop");
    let usage = &chunks[tokens + 2]["usage"];
    // Be brief. Who rules the coast? Six words in two messages.
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(12), &json!(tokens)));
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!((&chunk["system_fingerprint"], &chunk["id"]), (&json!("labman-toy"), &chunks[0]["id"]));
        assert_eq!(chunk["created"], 1_700_000_000);
    }
    assert!(client.finished);
    assert_eq!(client.now.mono, Time::ZERO + Span::from_millis(50 * tokens as u64), "a token every 50 ms");
}

#[test]
fn usage_is_told_in_a_stream_only_when_asked_for() {
    let client = Client::asks(&with(json!({ "stream": true }))).wait();
    assert!(client.chunks().iter().all(|chunk| chunk.get("usage").is_none()));
}

#[test]
fn without_streaming_the_same_answer_comes_in_one_piece_and_as_late() {
    let client = Client::asks(&request()).wait();
    let (answer, expected) = (client.json(), completion(&request()).unwrap());
    assert_eq!(answer["choices"][0]["message"]["content"], expected.text());
    assert_eq!(answer["usage"]["total_tokens"], 12 + expected.tokens.len());
    assert_eq!(client.now.mono, Time::ZERO + Span::from_millis(50 * expected.tokens.len() as u64));
}

#[test]
fn it_reads_the_prompt_and_thinks_before_its_first_word() {
    let thinks = Thinks::Constant(Span::from_millis(300));
    let config = Config { prompt_token_every: Span::from_millis(10), thinks, ..quick() };
    let tokens = completion(&request()).unwrap().tokens.len() as u64;
    // Twelve tokens of prompt.
    let (first, last) = (120 + 300 + 50, 120 + 300 + 50 * tokens);
    for (stream, begins) in [(true, first), (false, last)] {
        let mut client = Client::with(config.clone(), 1);
        let request = serde_json::to_vec(&with(json!({ "stream": stream }))).unwrap();
        client.ask(ASK, "POST", "/v1/chat/completions", &request);
        client.wake();
        assert_eq!(client.now.mono, Time::ZERO + Span::from_millis(begins), "stream: {stream}");
        let client = client.wait();
        assert!(client.finished);
        assert_eq!(client.now.mono, Time::ZERO + Span::from_millis(last), "stream: {stream}");
    }
}

#[test]
fn thoughts_take_an_exponential_time_that_follows_from_the_seed() {
    const ANSWERS: u64 = 1_000;
    let mean = 200_000_000;
    let times = |seed, answers| -> Vec<u64> {
        let thinks = Thinks::Exponential(Span(mean));
        let mut client = Client::with(Config { token_every: Span::default(), thinks, ..quick() }, seed);
        let request = serde_json::to_vec(&with(json!({ "max_tokens": 1 }))).unwrap();
        let mut answer = |number: u64| {
            let asked = client.now.mono;
            client.ask(StreamId(2 * number + 1), "POST", "/v1/chat/completions", &request);
            while client.wake() {}
            (client.now.mono - asked).0
        };
        (0..answers).map(&mut answer).collect()
    };
    let drawn = times(1, ANSWERS);
    let average = drawn.iter().sum::<u64>() / ANSWERS;
    assert!(average.abs_diff(mean) < mean / 20, "{average}");
    // P(X > mean) = 1 / e = 0.3679.
    let beyond = drawn.iter().filter(|time| **time > mean).count();
    assert!((338..398).contains(&beyond), "{beyond}");
    assert_eq!(times(1, 10), drawn[..10]);
    assert_ne!(times(2, 10), drawn[..10]);
}

#[test]
fn the_same_request_gives_the_same_text_and_another_seed_or_question_another() {
    let text = |request: &Value| completion(request).unwrap().text();
    assert_eq!(text(&request()), text(&request()));
    assert_eq!(text(&request()), text(&with(json!({ "stream": true, "model": "other", "user": "u" }))));
    assert_ne!(text(&with(json!({ "seed": 1 }))), text(&with(json!({ "seed": 2 }))));
    let question = json!({ "messages": [{ "role": "user", "content": "Why?" }] });
    assert_ne!(text(&request()), text(&with(question)));
}

#[test]
fn max_tokens_ends_it_early() {
    let whole = completion(&request()).unwrap();
    for field in ["max_tokens", "max_completion_tokens"] {
        let cut = completion(&with(json!({ field: 5 }))).unwrap();
        assert_eq!(cut.finish_reason, FinishReason::Length);
        assert_eq!(cut.tokens, whole.tokens[..5]);
    }
    let roomy = completion(&with(json!({ "max_tokens": 100_000 }))).unwrap();
    assert_eq!(roomy, whole);
}

#[test]
fn asked_for_much_it_says_much() {
    let asked = |least: usize| {
        let request =
            json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "min_tokens": least});
        completion(&request).unwrap().tokens.len()
    };
    assert!((300..=300 + limits::TOY_SENTENCE).contains(&asked(300)));
    assert!(asked(usize::MAX) <= limits::TOY_MIN_TOKENS + limits::TOY_SENTENCE);
}

#[test]
fn a_stop_string_is_not_said_even_when_it_spans_words() {
    let text = completion(&request()).unwrap().text();
    let spanning = &text[7..12];
    let stopped = completion(&with(json!({ "stop": ["nowhere", spanning] }))).unwrap();
    assert_eq!(stopped.finish_reason, FinishReason::Stop);
    assert_eq!(stopped.text(), text[..text.find(spanning).unwrap()]);
    let first = String::from(&text[..1]);
    assert_eq!(completion(&with(json!({ "stop": first }))).unwrap().tokens, Vec::<String>::new());
    let client = Client::asks(&with(json!({ "stop": first, "stream": true }))).wait();
    assert_eq!(client.chunks().len(), 2, "a role and a reason");
}

#[test]
fn a_wrong_request_is_told_what_is_wrong() {
    for (request, status, part) in [
        (json!({ "model": "toy" }), 400, "missing field `messages`"),
        (with(json!({ "messages": [] })), 400, "messages must not be empty"),
        (with(json!({ "messages": "hi" })), 400, "expected a sequence"),
        (with(json!({ "temperature": 2.5 })), 400, "temperature must lie"),
        (with(json!({ "max_tokens": 0 })), 400, "max_tokens must be"),
        (with(json!({ "stop": ["a", "b", "c", "d", "e"] })), 400, "stop must be"),
        (with(json!({ "n": 2 })), 400, "n must be 1"),
        (with(json!({ "model": "gpt" })), 404, "\"gpt\" does not exist"),
        (
            with(json!({ "messages": [{ "role": "user", "content": "x ".repeat(500) }] })),
            400,
            "has room for 512",
        ),
    ] {
        let client = Client::asks(&request);
        assert_eq!(client.status, Some(status), "{request}");
        let message = client.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(part), "{message}");
        assert!(client.finished);
    }
}

#[test]
fn what_is_no_json_no_endpoint_or_too_long_is_refused() {
    let long = alloc::vec![b' '; limits::HTTP_BODY + 1];
    for (method, path, body, status) in [
        ("POST", "/v1/chat/completions", b"{\"model\":\n oops}".as_slice(), 400),
        ("POST", "/v1/chat/completions", long.as_slice(), 413),
        ("GET", "/v1/chat/completions", b"", 405),
        ("GET", "/v1/images", b"", 404),
    ] {
        let mut client = Client::of("toy");
        client.ask(ASK, method, path, body);
        assert_eq!(client.status, Some(status), "{method} {path}");
        assert_eq!(client.json()["error"]["type"], "invalid_request_error");
    }
}

#[test]
fn a_reader_that_takes_nothing_is_waited_for() {
    // A name of some length, so that a short answer exceeds the window.
    let name = "toy".repeat(2_000);
    let mut client = Client::of(&name);
    let request = with(json!({ "model": name, "stream": true }));
    client.ask(ASK, "POST", "/v1/chat/completions", &serde_json::to_vec(&request).unwrap());
    while client.wake() {}
    assert!(!client.finished);
    let window = STREAM_WINDOW as usize;
    assert!((window..window + 3 * name.len()).contains(&client.body.len()), "{}", client.body.len());

    let bytes = client.body.len() as u32;
    client.now.mono = client.now.mono + Span::from_secs(5);
    client.feed(Input::Credit { stream: ASK, bytes });
    let before = client.body.len();
    client.wake();
    let sent = client.body.len() - before;
    assert!(sent > 0 && sent < 2 * name.len(), "it goes on, and does not make up for the time: {sent}");
}

#[test]
fn an_impostor_says_as_much_and_something_else() {
    let text = |impostor| {
        let mut client = Client::with(Config { models: vec!["toy".into()], impostor, ..quick() }, 1);
        client.ask(ASK, "POST", "/v1/chat/completions", &serde_json::to_vec(&request()).unwrap());
        while client.wake() {}
        let answer: Value = serde_json::from_slice(&client.body).unwrap();
        (answer["choices"][0]["message"]["content"].clone(), answer["usage"].clone())
    };
    let (honest, other) = (text(false), text(true));
    assert_eq!(honest.1, other.1);
    assert!(honest.0 != other.0 && other.0.is_string());
}

#[test]
fn what_fails_from_some_moment_on_served_before() {
    let mut client = Client::of("toy");
    let body = serde_json::to_vec(&request()).unwrap();
    client.ask(ASK, "POST", "/v1/chat/completions", &body);
    while client.wake() {}
    assert_eq!(client.status, Some(200));
    client.toy.set_fails(1_000);
    client.ask(StreamId(3), "POST", "/v1/chat/completions", &body);
    assert_eq!(client.status, Some(500));
}

#[test]
fn a_reader_that_leaves_is_forgotten() {
    let mut client = Client::asks(&with(json!({ "stream": true })));
    client.wake();
    client.feed(Input::Reset { stream: ASK, code: ResetCode::Cancelled });
    assert_eq!(client.toy.poll_timeout(), None);
}

#[test]
fn only_so_many_requests_are_taken_at_once() {
    let mut client = Client::of("toy");
    let body = serde_json::to_vec(&request()).unwrap();
    for job in 0..limits::TOY_JOBS as u64 {
        client.ask(StreamId(2 * job + 1), "POST", "/v1/chat/completions", &body);
    }
    assert_eq!(client.status, None);
    client.ask(StreamId(100_001), "POST", "/v1/chat/completions", &body);
    assert_eq!(client.status, Some(503));
}

/// Two models of which one fits in memory, and takes two seconds to get there.
fn crowded() -> Client {
    let models = vec!["big".into(), "small".into()];
    let loaded = models.clone();
    Client::with(Config { models, loaded, room: 1, load_takes: Span::from_secs(2), ..quick() }, 1)
}

impl Client {
    /// Asks something short, and returns the answer.
    fn says(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        (self.status, self.finished) = (None, false);
        self.body.clear();
        self.asked += 2;
        self.ask(StreamId(1_000 + self.asked), method, path, &serde_json::to_vec(body).unwrap());
        while !self.finished && self.wake() {}
        (self.status.unwrap(), self.json())
    }

    fn moves(&mut self, verb: &str, model: &str) -> (u16, String) {
        let (status, answer) = self.says("POST", &format!("/models/{verb}"), &json!({ "model": model }));
        let said = answer["error"]["message"].as_str().map(String::from);
        (status, said.unwrap_or_else(|| format!("{answer}")))
    }

    fn statuses(&mut self) -> Vec<(String, String)> {
        let (_, list) = self.says("GET", "/v1/models", &json!({}));
        assert_eq!(self.says("GET", "/models", &json!({})).1, list);
        let text = |value: &Value| String::from(value.as_str().unwrap());
        let models = list["data"].as_array().unwrap().iter();
        models.map(|model| (text(&model["id"]), text(&model["status"]["value"]))).collect()
    }

    fn passes(&mut self, span: Span) {
        self.now.mono = self.now.mono + span;
    }
}

fn states(big: &str, small: &str) -> [(String, String); 2] {
    [("big".into(), big.into()), ("small".into(), small.into())]
}

#[test]
fn of_several_models_it_says_which_are_loaded_and_answers_only_with_those() {
    let mut client = crowded();
    assert_eq!(client.statuses(), states("loaded", "unloaded"), "as far as there is room");
    assert_eq!(client.says("POST", "/v1/chat/completions", &with(json!({ "model": "big" }))).0, 200);
    let (status, answer) = client.says("POST", "/v1/chat/completions", &with(json!({ "model": "small" })));
    assert_eq!((status, &answer["error"]["type"]), (503, &json!("server_error")));
    assert_eq!(answer["error"]["message"], "the model \"small\" is not loaded: load it first");
}

#[test]
fn a_model_is_loaded_once_there_is_room_and_takes_its_time() {
    let mut client = crowded();
    let full = "memory is full with 1 models, and none is evicted: unload one first";
    assert_eq!(client.moves("load", "small"), (400, full.into()));
    let success = (200, String::from(r#"{"success":true}"#));
    assert_eq!(client.moves("unload", "big"), success);
    assert_eq!(client.moves("load", "small"), success);
    assert_eq!(client.statuses(), states("unloaded", "loading"));
    let (status, _) = client.says("POST", "/v1/chat/completions", &with(json!({ "model": "small" })));
    assert_eq!(status, 503, "not yet");
    assert_eq!(client.moves("load", "big"), (400, full.into()), "what is being loaded takes its room");
    client.passes(Span::from_secs(2));
    assert_eq!(client.statuses(), states("unloaded", "loaded"));
    let (status, _) = client.says("POST", "/v1/chat/completions", &with(json!({ "model": "small" })));
    assert_eq!(status, 200);
}

#[test]
fn a_move_that_makes_no_sense_is_refused() {
    let mut client = crowded();
    for (verb, model, status, message) in [
        ("load", "huge", 404, "the model \"huge\" does not exist"),
        ("unload", "huge", 404, "the model \"huge\" does not exist"),
        ("load", "big", 400, "the model \"big\" is loaded already"),
        ("unload", "small", 400, "the model \"small\" is not loaded"),
    ] {
        assert_eq!(client.moves(verb, model), (status, message.into()));
    }
    assert_eq!(client.says("POST", "/models/load", &json!({})).0, 400);
    assert_eq!(client.says("GET", "/models/load", &json!({})).0, 405);
}

#[test]
fn an_answer_under_way_outlives_its_model() {
    let mut client = crowded();
    let request = serde_json::to_vec(&with(json!({ "model": "big", "stream": true }))).unwrap();
    client.ask(ASK, "POST", "/v1/chat/completions", &request);
    client.wake();
    assert_eq!(client.moves("unload", "big").0, 200);
    client.body.clear();
    let client = client.wait();
    assert!(client.finished);
    assert_eq!(client.chunks().last().unwrap()["choices"][0]["finish_reason"], "stop");
}

#[test]
fn a_single_model_is_always_there_and_nothing_moves_it() {
    let mut client = Client::with(Config { room: 0, ..quick() }, 1);
    let (_, list) = client.says("GET", "/v1/models", &json!({}));
    assert_eq!(list["data"][0].get("status"), None);
    for (method, path) in [("GET", "/models"), ("POST", "/models/load"), ("POST", "/models/unload")] {
        assert_eq!(client.says(method, path, &json!({ "model": "toy" })).0, 404, "{path}");
    }
    assert_eq!(client.says("POST", "/v1/chat/completions", &request()).0, 200);
}

proptest! {
    #[test]
    fn no_answer_holds_a_stop_string_or_exceeds_its_tokens(
        seed in any::<i64>(), temperature in 0.0f64..=2.0, max_tokens in 1u64..100, stop in "[a-z. ]{1,3}",
    ) {
        let answer = completion(&with(json!({
            "seed": seed, "temperature": temperature, "max_tokens": max_tokens, "stop": stop,
        }))).unwrap();
        prop_assert!(!answer.text().contains(&stop));
        prop_assert!(answer.tokens.len() as u64 <= max_tokens);
        prop_assert!(answer.tokens.iter().all(|token| !token.is_empty()), "{}", format!("{answer:?}"));
    }
}
