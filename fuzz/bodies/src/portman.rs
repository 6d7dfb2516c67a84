//! A whole Portman, and a fuzzer that is its labman, its runtime and the clock.

use labman_proto_core::http::ResponseHead;
use labman_proto_core::machine::{Completion, Op, Peer, ResetCode, StreamId};
use labman_proto_core::portman::{Portman, config};
use labman_proto_core::rng::Seed;
use labman_proto_core::time::Span;
use serde_json::Value;

use crate::driver::{Driver, beginning};
use crate::feed::Feed;

/// No labman and no runtime makes a Portman panic, break its contract, spin, or say what is no line of its protocol.
pub fn portman(bytes: &[u8]) {
    let now = beginning();
    let config = config::Config {
        labman_url: "ws://labman:1/".into(),
        token: "0123456789abcdef".into(),
        runtime_url: "http://runtime:1/v1".into(),
        runtime_key: Some("key".into()),
        slots: 2,
        context_length: 4_096,
    };
    let driver = Driver::new(Portman::new(config, Seed::from_u64(1), now), now);
    let mut world = World { driver };
    world.driver.pass(Span::from_millis(1));
    let mut feed = Feed::new(bytes);
    if !feed.flag() {
        world.dialled(false);
        world.runtime_answers(r#"{"data":[{"id":"toy"}]}"#.as_bytes());
    }
    for _ in 0..256 {
        if feed.is_empty() {
            break;
        }
        world.step(&mut feed);
    }
}

struct World {
    driver: Driver<Portman>,
}

impl World {
    fn step(&mut self, feed: &mut Feed<'_>) {
        match feed.u8() % 10 {
            0 => self.dialled(feed.u8() == 1),
            1 => {
                if let Some(link) = self.driver.link(feed.u8()) {
                    self.driver.link_down(link);
                }
            }
            2 | 3 => self.labman_says(feed),
            4..=6 => self.runtime_says(feed),
            7 => {
                if let Some(stream) = self.driver.stream(feed.u8()) {
                    match feed.u8() % 3 {
                        0 => self.driver.finish(stream),
                        1 => self.driver.reset(stream, ResetCode::Internal),
                        _ => self.driver.take(stream, usize::MAX),
                    }
                }
            }
            8 => self.driver.pass(Span::from_millis(*feed.one(&[1, 100, 1_000, 10_000, 60_000]))),
            _ => {
                // The answer to the question for its models.
                let lists = [
                    r#"{"data":[{"id":"toy"},{"id":"x"}]}"#,
                    r#"{"data":[{"id":"toy","status":{"value":"loaded"}},{"id":"x","status":{"value":"loading"}}]}"#,
                    r#"{"data":[{"id":"toy","status":{"value":"unloaded"}},{"id":"x","status":{"value":"loaded"}}]}"#,
                    r#"{"data":[{"id":"x","status":{"value":"unloaded","failed":true}}]}"#,
                ];
                let body = if feed.flag() { feed.bytes() } else { feed.one(&lists).as_bytes() };
                self.runtime_answers(body);
            }
        }
    }

    fn dialled(&mut self, fails: bool) {
        let Some(at) = self.driver.ops.iter().position(|(_, op)| matches!(op, Op::Dial(_))) else { return };
        let Some((op, _)) = self.driver.ops.remove(at) else { return };
        let result = match fails {
            true => Err("nobody there".into()),
            false => Ok(self.driver.link_up(Peer::Labman)),
        };
        self.driver.done(op, Completion::Dialled(result));
    }

    fn labman_says(&mut self, feed: &mut Feed<'_>) {
        let socket = self.driver.streams.iter().find(|(_, state)| state.link.is_some());
        let Some(stream) = socket.map(|(stream, _)| *stream) else { return };
        let job = feed.u8() % 4;
        let line = match feed.u8() % 6 {
            0 | 1 => {
                let (model, credit) = (*feed.one(&["toy", "x", ""]), feed.u16());
                let body = r#"{"messages":[{"role":"user","content":"x"}],"max_tokens":8}"#;
                format!(r#"{{"type":"start","job":{job},"model":"{model}","body":{body},"credit":{credit}}}"#)
            }
            2 => {
                let bytes = if feed.u8() == 1 { u32::MAX } else { u32::from(feed.u16()) };
                format!(r#"{{"type":"credit","job":{job},"bytes":{bytes}}}"#)
            }
            3 => format!(r#"{{"type":"cancel","job":{job}}}"#),
            4 => {
                let model = *feed.one(&["toy", "x", ""]);
                let (kind, field) = *feed.one(&[
                    ("load_model", "priority"),
                    ("unload_model", "reason"),
                    ("set_concurrency", "slots"),
                ]);
                let value = feed.u8();
                let quote = if field == "reason" { "\"" } else { "" };
                format!(r#"{{"type":"{kind}","model":"{model}","{field}":{quote}{value}{quote}}}"#)
            }
            _ => String::from_utf8_lossy(feed.bytes()).into_owned(),
        };
        self.driver.bytes(stream, format!("{line}\n").as_bytes());
        for line in self.driver.last_heard.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            // What it asks of its runtime is JSON, too.
            serde_json::from_slice::<Value>(line).expect("a Portman speaks JSON");
        }
    }

    fn waiting(&self, number: u8) -> Option<StreamId> {
        let asked = self.driver.streams.iter().filter(|(_, state)| state.asked.is_some());
        let asked: Vec<StreamId> = asked.map(|(stream, _)| *stream).collect();
        asked.get(usize::from(number) % asked.len().max(1)).copied()
    }

    fn runtime_says(&mut self, feed: &mut Feed<'_>) {
        let Some(stream) = self.waiting(feed.u8()) else { return };
        match feed.u8() % 6 {
            0 => self.driver.respond(stream, ResponseHead::new(200)),
            1 => self.driver.respond(stream, ResponseHead::new(feed.u16())),
            2 => self.driver.bytes(stream, feed.bytes()),
            3 => {
                let text = "x".repeat(usize::from(feed.u8()));
                let chunk = format!(
                    r#"data: {{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
                );
                self.driver.bytes(stream, format!("{chunk}\n\n").as_bytes());
            }
            4 => {
                let last = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
                self.driver.bytes(stream, format!("{last}\n\ndata: [DONE]\n\n").as_bytes());
            }
            _ => self.driver.finish(stream),
        }
    }

    fn runtime_answers(&mut self, body: &[u8]) {
        let asks = |path: &str| path.ends_with("/models");
        let asked = self
            .driver
            .streams
            .iter()
            .find(|(_, state)| state.asked.as_ref().is_some_and(|(_, head)| asks(&head.path)));
        let Some(stream) = asked.map(|(stream, _)| *stream) else { return };
        self.driver.respond(stream, ResponseHead::new(200));
        self.driver.bytes(stream, body);
        self.driver.finish(stream);
    }
}
