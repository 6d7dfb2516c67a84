//! A streaming HTTP request from outside any machine: for a demo, or a test, that plays the user.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, http};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;

use crate::http::client::connector;

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{url} can't be asked: {error}")]
    Request { url: String, error: http::Error },
    #[error("{url} does not answer: {what}; check that it runs")]
    Unreachable { url: String, what: String },
    #[error("the answer broke off: {0}")]
    BrokeOff(hyper::Error),
}

/// An answer whose body is still coming.
pub struct Answer {
    pub status: u16,
    body: Incoming,
}

/// Asks `url` (plain http) with the given headers and whole body.
pub async fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<Answer, HttpError> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| HttpError::Request { url: url.into(), error })?;
    let client = legacy::Client::builder(TokioExecutor::new()).build(connector());
    let response = client
        .request(request)
        .await
        .map_err(|error| HttpError::Unreachable { url: url.into(), what: crate::http::client::causes(&error) })?;
    Ok(Answer { status: response.status().as_u16(), body: response.into_body() })
}

/// POSTs JSON, with a bearer token if there is one.
pub async fn post(url: &str, token: Option<&str>, json: Vec<u8>) -> Result<Answer, HttpError> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    request("POST", url, &headers, json).await
}

impl Answer {
    /// The next piece of the body as it arrives; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            match self.body.frame().await {
                // Trailers are not of interest.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(_) => continue,
                },
                Some(Err(error)) => return Err(HttpError::BrokeOff(error)),
                None => return Ok(None),
            }
        }
    }

    /// What is left of the body.
    pub async fn rest(mut self) -> Result<Vec<u8>, HttpError> {
        let mut rest = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            rest.extend_from_slice(&chunk);
        }
        Ok(rest)
    }
}
