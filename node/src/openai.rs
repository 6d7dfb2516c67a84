//! A small OpenAI client, for the demo and the tests: it speaks real HTTP to a gateway and reads its event stream.

use std::net::SocketAddr;
use std::time::Duration;

use labman_io_tokio::http_client::{self, HttpError};
use labman_proto_core::http::Lines;
use labman_proto_core::limits;
use serde_json::{Value, json};

/// Somebody with an API key, at one gateway.
#[derive(Clone, Debug)]
pub struct Client {
    addr: SocketAddr,
    api_key: String,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What came over one event stream.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// `x-request-id`.
    pub request_id: String,
    pub text: String,
    /// Chunks that carried text.
    pub chunks: usize,
    pub finish_reason: Option<String>,
    pub usage: Option<Value>,
    /// The error event that ended the stream, if one did.
    pub error: Option<Value>,
    /// Whether the stream ended with `[DONE]`.
    pub done: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the gateway answered {status}: {}", String::from_utf8_lossy(body))]
    Refused { status: u16, body: Vec<u8> },
    #[error("a line of the stream is too long")]
    Line,
    #[error("nothing came from the gateway for {0:?}")]
    Silent(Duration),
}

/// Longest silence that is waited through.
const SILENCE: Duration = Duration::from_secs(90);

impl Client {
    pub fn new(addr: SocketAddr, api_key: &str) -> Self {
        Self { addr, api_key: api_key.to_string() }
    }

    /// `http://host:port/v1`, as `OPENAI_BASE_URL` wants it.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The ids of `GET /v1/models`.
    pub async fn models(&self) -> Result<Vec<String>, ClientError> {
        let answer = self.get("/v1/models").await?;
        if answer.status != 200 {
            return Err(ClientError::Refused { status: answer.status, body: answer.body });
        }
        let models = answer.json();
        let ids = models["data"].as_array().into_iter().flatten().filter_map(|model| model["id"].as_str());
        Ok(ids.map(str::to_string).collect())
    }

    pub async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        Answer::read(self.send("GET", path, Vec::new()).await?).await
    }

    /// Posts exactly these bytes.
    pub async fn post(&self, path: &str, body: Vec<u8>) -> Result<Answer, ClientError> {
        Answer::read(self.send("POST", path, body).await?).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Result<Answer, ClientError> {
        self.post(path, body.to_string().into_bytes()).await
    }

    /// Streams one chat completion, telling `on_text` each piece as it comes. An error event is part of the completion;
    /// `Err` is an answer that was no stream, or a connection that broke.
    pub async fn stream_chat(
        &self,
        body: Value,
        mut on_text: impl FnMut(&str),
    ) -> Result<Completion, ClientError> {
        let body = streamed(body).to_string().into_bytes();
        let mut response = self.send("POST", "/v1/chat/completions", body).await?;
        if response.status != 200 {
            let answer = Answer::read(response).await?;
            return Err(ClientError::Refused { status: answer.status, body: answer.body });
        }
        let request_id = response.header("x-request-id").unwrap_or_default().to_string();
        let mut completion = Completion { request_id, ..Completion::default() };
        let mut lines = Lines::up_to(limits::LINE);
        while let Some(bytes) = in_time(response.chunk()).await? {
            for line in lines.push(&bytes).map_err(|_| ClientError::Line)? {
                completion.take(&line, &mut on_text);
            }
        }
        Ok(completion)
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<http_client::Answer, ClientError> {
        let (url, bearer) = (format!("http://{}{path}", self.addr), format!("Bearer {}", self.api_key));
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        in_time(http_client::request(method, &url, &headers, body)).await
    }
}

impl Answer {
    async fn read(mut response: http_client::Answer) -> Result<Self, ClientError> {
        let (status, headers) = (response.status, std::mem::take(&mut response.headers));
        Ok(Self { status, headers, body: in_time(response.rest()).await? })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// `Null` where it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Completion {
    fn take(&mut self, line: &[u8], on_text: &mut impl FnMut(&str)) {
        let Some(data) = line.strip_prefix(b"data: ") else { return };
        if data == b"[DONE]" {
            self.done = true;
            return;
        }
        let event: Value = serde_json::from_slice(data).unwrap_or_default();
        if event.get("error").is_some() {
            self.error = Some(event["error"].clone());
        }
        if event["usage"].is_object() {
            self.usage = Some(event["usage"].clone());
        }
        let choice = &event["choices"][0];
        if let Some(text) = choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
            self.text.push_str(text);
            self.chunks += 1;
            on_text(text);
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.finish_reason = Some(reason.to_string());
        }
    }
}

/// The same request, streamed, with its usage at the end.
fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    body
}

async fn in_time<T>(step: impl Future<Output = Result<T, HttpError>>) -> Result<T, ClientError> {
    match tokio::time::timeout(SILENCE, step).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(ClientError::Silent(SILENCE)),
    }
}
