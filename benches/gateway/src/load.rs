//! Connections that each ask, hear the answer to its end, and ask again.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

#[derive(Args, Clone)]
pub(crate) struct Load {
    to: SocketAddr,
    #[arg(long)]
    model: String,
    #[arg(long)]
    key: String,
    /// How many ask at the same time
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    seconds: f64,
    /// 64 tokens, one every 20 ms; else eight, whole
    #[arg(long)]
    stream: bool,
}

#[derive(Default)]
struct Heard {
    answers: u64,
    chunks: u64,
    /// Streams with fewer tokens than were sent, or without an end.
    cut: u64,
    failed: u64,
    why: Option<String>,
    /// Of each answer, to its first token or its whole; and between two tokens the longest.
    first: Vec<Duration>,
    longest: Vec<Duration>,
}

const TOKENS: u64 = 64;
/// What each of them is.
const WORD: &[u8] = b"\"word \"";

impl Load {
    pub(crate) async fn run(self) -> Value {
        let heard = Rc::new(RefCell::new(Heard::default()));
        let began = Instant::now();
        let until = began + Duration::from_secs_f64(self.seconds);
        let local = tokio::task::LocalSet::new();
        for _ in 0..self.connections {
            let (load, heard) = (self.clone(), heard.clone());
            local.spawn_local(async move { load.ask_again_and_again(until, &heard).await });
        }
        local.await;
        let mut heard = heard.borrow_mut();
        let took = began.elapsed().as_secs_f64();
        let [p50, p99] = quantiles(&mut heard.first);
        let [_, longest] = quantiles(&mut heard.longest);
        json!({
            "answers": heard.answers, "chunks": heard.chunks, "cut": heard.cut, "failed": heard.failed, "why": heard.why, "seconds": took,
            "p50_us": p50.as_micros() as u64, "p99_us": p99.as_micros() as u64, "gap_p99_us": longest.as_micros() as u64,
        })
    }

    async fn ask_again_and_again(&self, until: Instant, heard: &RefCell<Heard>) {
        let mut connection = None;
        while Instant::now() < until {
            if connection.is_none() {
                connection = self.connect().await;
            }
            let Some(open) = &mut connection else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            if let Err(why) = self.ask(open, heard).await {
                let mut heard = heard.borrow_mut();
                heard.failed += 1;
                heard.why = Some(why);
                connection = None;
            }
        }
    }

    async fn connect(&self) -> Option<SendRequest<Full<Bytes>>> {
        let socket = TcpStream::connect(self.to).await.ok()?;
        socket.set_nodelay(true).ok()?;
        let (send, connection) = handshake(TokioIo::new(socket)).await.ok()?;
        tokio::task::spawn_local(connection);
        Some(send)
    }

    async fn ask(
        &self,
        connection: &mut SendRequest<Full<Bytes>>,
        heard: &RefCell<Heard>,
    ) -> Result<(), String> {
        let body = json!({
            "model": self.model, "stream": self.stream, "max_tokens": if self.stream { TOKENS } else { 8 },
            "messages": [{ "role": "user", "content": "Tell me about the lanterns on the coast." }],
        });
        let request = Request::post("/v1/chat/completions")
            .header("host", "bench")
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))
            .expect("the head is valid");
        let text = |error: hyper::Error| error.to_string();
        connection.ready().await.map_err(text)?;
        let asked = Instant::now();
        let answer = connection.send_request(request).await.map_err(text)?;
        let status = answer.status();
        let (mut body, mut first, mut last, mut longest) = (answer.into_body(), None, asked, Duration::ZERO);
        let mut said = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(bytes) = frame.map_err(text)?.into_data() else { continue };
            said.extend_from_slice(&bytes);
            if self.stream && count(&bytes, WORD) > 0 {
                let now = Instant::now();
                if first.replace(first.unwrap_or(now)).is_some() {
                    longest = longest.max(now - last);
                }
                last = now;
            }
        }
        if status != 200 {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&said)));
        }
        let mut heard = heard.borrow_mut();
        // Only when it is whole: a frame may end anywhere.
        let chunks = if self.stream { count(&said, WORD) } else { 0 };
        heard.answers += 1;
        heard.chunks += chunks;
        heard.cut += u64::from(self.stream && (chunks != TOKENS || count(&said, b"[DONE]") != 1));
        heard.first.push(first.unwrap_or_else(Instant::now) - asked);
        heard.longest.push(longest);
        Ok(())
    }
}

fn count(bytes: &[u8], what: &[u8]) -> u64 {
    bytes.windows(what.len()).filter(|window| *window == what).count() as u64
}

fn quantiles(all: &mut [Duration]) -> [Duration; 2] {
    all.sort_unstable();
    [50, 99].map(|percent| all.get(all.len() * percent / 100).or(all.last()).copied().unwrap_or_default())
}
