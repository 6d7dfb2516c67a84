//! Asks a gateway, or a portal, what no SDK would ask: deep and broken JSON, numbers beyond all bounds, text that is no
//! UTF-8, images on the LAN, lengths that lie, methods and paths that do not exist, the admin's paths in public.
//!
//! What must hold: each gets an error and nothing else happens; no request leaves the gateway that a body asked for.

use labman_proto_core::http::RequestHead;
use labman_proto_core::time::Span;
use serde_json::{Value, json};

use super::craft;
use super::desk::{Desk, Plan};

/// Requests that may wait for an answer at a time.
const OPEN: usize = 24;

const PATHS: [&str; 14] = [
    "/v1/chat/completions",
    "/v1/chat/completions?x=%00",
    "/v1/models",
    "/v1/models/",
    "/v1/models/../../etc/passwd",
    "/v1/authorize",
    "/v1/usage",
    "/v1/claims",
    "/v1/descriptor",
    "/status",
    "/deposits",
    "/users",
    "",
    "//",
];

#[derive(Default)]
pub(super) struct HttpFuzzer;

impl Plan for HttpFuzzer {
    fn acts(&mut self, desk: &mut Desk) -> Span {
        let waiting = desk.streams();
        if waiting.len() > OPEN
            && let Some(oldest) = waiting.first()
        {
            desk.reset(*oldest);
        }
        desk.fired();
        let body = body(desk);
        let head = head(desk, body.len());
        let stream = desk.ask(head);
        let cut = if desk.once_in(4) { desk.draws.below(body.len() as u64 + 1) as usize } else { body.len() };
        desk.send(stream, body[..cut].to_vec());
        match desk.draws.below(12) {
            0 => {}
            1 => desk.reset(stream),
            _ => desk.finish(stream),
        }
        Span::from_millis(100 + desk.draws.below(900))
    }
}

fn head(desk: &mut Desk, length: usize) -> RequestHead {
    let method = match desk.draws.below(12) {
        0 => "GET",
        1 => "OPTIONS",
        2 => "BREW",
        _ => "POST",
    };
    let path = if desk.once_in(3) { PATHS[desk.draws.below(PATHS.len() as u64) as usize] } else { PATHS[0] };
    let length = match desk.draws.below(8) {
        0 => "18446744073709551616".to_owned(),
        1 => "-1".to_owned(),
        2 => "0".to_owned(),
        3 => (5 << 20).to_string(),
        _ => length.to_string(),
    };
    let head = RequestHead::new(method, path).with("content-length", &length);
    match desk.draws.below(10) {
        0 => head,
        1 => head.with("authorization", "Basic Og=="),
        2 => head.with("authorization", &format!("Bearer {}", "k".repeat(10_000))),
        _ => head.with("authorization", "Bearer sk-fuzz"),
    }
}

fn body(desk: &mut Desk) -> Vec<u8> {
    let model = "harbour:box-1:lantern";
    let text = |content: Value| json!({"model": model, "messages": [{"role": "user", "content": content}]});
    let odd: Value = match desk.draws.below(14) {
        0 => return [&vec![b'['; 20_000][..], &vec![b']'; 20_000][..]].concat(),
        1 => {
            return br#"{"model": "m", "model": "n", "messages": [{"role": "user", "content": "\ud800"}]}"#
                .to_vec();
        }
        2 => return vec![0xff; 1_000],
        3 => return br#"{"messages": [], "max_tokens": 1e400, "model": "m"}"#.to_vec(),
        4 => return vec![b'x'; 4 << 20],
        5 => {
            let url = "http://192.168.0.1/admin";
            text(json!([{"type": "image_url", "image_url": {"url": url}}, {"type": "file"}]))
        }
        6 => {
            let mut body = text(json!("hello"));
            body["max_tokens"] = json!(u64::MAX);
            body["temperature"] = json!(-1e300);
            body
        }
        7 => {
            let mut body = text(json!("hello"));
            body["tools"] = Value::Array(vec![json!({"type": "function"}); 5_000]);
            body
        }
        8 => json!({"model": "x".repeat(100_000), "messages": [{"role": 7}]}),
        9 => json!([1, 2, 3]),
        10 => json!({"model": ["a"], "messages": {"role": "user"}, "stream": "yes", "n": -5}),
        11 => {
            let mut body = text(json!("hello"));
            body["stop"] = Value::Array(vec![json!(""); 1_000]);
            body["logit_bias"] = json!({"\u{0}": f64::MAX});
            body["response_format"] = json!({"type": {"type": {"type": []}}});
            body
        }
        _ => text(json!("Tell me of the lantern on the pier.")),
    };
    let mut bytes = odd.to_string().into_bytes();
    if desk.once_in(3) {
        craft::flip(&mut bytes, &mut desk.draws);
    }
    bytes
}
