//! A runtime that has its answers ready. Up to 63 tokens come at once; 64 and more come one every 20 ms, 64 of them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response};
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_millis(20);
const PACED: u64 = 64;

pub(crate) async fn serve(listen: SocketAddr) {
    super::serve(listen, answer).await;
}

async fn answer(request: Request<Incoming>) -> Response<Either<Full<Bytes>, Stream>> {
    if request.uri().path().ends_with("/models") {
        return whole(
            &json!({ "object": "list", "data": [{ "id": "fake", "object": "model", "created": 0, "owned_by": "bench" }] }),
        );
    }
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let most =
        ["max_tokens", "max_completion_tokens"].iter().find_map(|name| asked[name].as_u64()).unwrap_or(8);
    let tokens = most.clamp(1, PACED);
    if asked["stream"] != true {
        let message = json!({ "role": "assistant", "content": "word ".repeat(tokens as usize) });
        return whole(&json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "fake",
            "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens },
        }));
    }
    let usage = asked["stream_options"]["include_usage"] == true;
    let stream = Stream { left: tokens, tokens, usage, pace: (tokens >= PACED).then(pace) };
    let mut response = Response::new(Either::Right(stream));
    response.headers_mut().insert(CONTENT_TYPE, "text/event-stream".parse().expect("it is a header's value"));
    response
}

fn pace() -> Interval {
    let mut pace = interval(EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    pace
}

fn whole(value: &Value) -> Response<Either<Full<Bytes>, Stream>> {
    let mut response = Response::new(Either::Left(Full::from(value.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().expect("it is a header's value"));
    response
}

struct Stream {
    left: u64,
    tokens: u64,
    usage: bool,
    pace: Option<Interval>,
}

impl Stream {
    fn next(&mut self) -> String {
        let event = |choices: Value, usage: Value| {
            let chunk = json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "fake", "choices": choices, "usage": usage,
            });
            format!("data: {chunk}\n\n")
        };
        self.left -= 1;
        let delta = json!({ "role": "assistant", "content": "word " });
        let mut events = event(json!([{ "index": 0, "delta": delta, "finish_reason": null }]), Value::Null);
        if self.left == 0 {
            events += &event(json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]), Value::Null);
            if self.usage {
                let tokens = self.tokens;
                let usage =
                    json!({ "prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens });
                events += &event(json!([]), usage);
            }
            events += "data: [DONE]\n\n";
        }
        events
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if let Some(pace) = &mut self.pace {
            ready!(pace.poll_tick(cx));
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(self.next())))))
    }
}
