//! The machine's own requests, over pooled connections. Plain HTTP: TLS is a local proxy's business in this version.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Either, Full};
use hyper::Uri;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use labman_proto_core::http::RequestHead;
use labman_proto_core::machine::ResetCode;

use crate::http::body::StreamedBody;
use crate::http::head;
use crate::stream::{Incoming, Out, Outgoing};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long an idle connection is kept, and how many to one host. Well below the 10 s after which our own listeners close
/// one, so that a request seldom meets a connection that is just going away.
const IDLE_FOR: Duration = Duration::from_secs(4);
const IDLE_PER_HOST: usize = 32;
/// What hyper buffers of a connection.
const BUFFER: usize = 64 * 1024;

type RequestBody = Either<Full<Bytes>, StreamedBody>;

#[derive(Clone)]
pub(crate) struct Client {
    hyper: legacy::Client<HttpConnector, RequestBody>,
}

impl Client {
    pub(crate) fn new() -> Self {
        let hyper = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http1_max_buf_size(BUFFER)
            .build(connector());
        Self { hyper }
    }
}

pub(crate) fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_WITHIN));
    connector
}

/// Carries one request out. The machine's reset drops it at whatever point it is, which closes its connection.
pub(crate) async fn exchange(
    client: Client,
    url: String,
    head: RequestHead,
    outgoing: Outgoing,
    mut incoming: Incoming,
) {
    let mut watch = incoming.watch();
    let done = tokio::select! {
        done = ask(&client, &url, head, outgoing, &mut incoming) => done,
        _ = watch.aborted() => return,
    };
    if let Err(what) = done {
        tracing::debug!(url, "a request failed: {what}");
        incoming.reset(ResetCode::Unreachable).await;
    }
}

async fn ask(
    client: &Client,
    url: &str,
    head: RequestHead,
    outgoing: Outgoing,
    incoming: &mut Incoming,
) -> Result<(), String> {
    let uri: Uri = format!("{}{}", url.trim_end_matches('/'), head.path)
        .parse()
        .map_err(|error| format!("{url:?} is not a URL: {error}"))?;
    if uri.scheme_str() == Some("https") {
        tracing::warn!(
            url,
            "https is not supported in this version: use http, or a local proxy that adds TLS"
        );
        return Err("https is not supported".into());
    }
    let response = match body(outgoing) {
        Upload::Whole(outgoing, bytes) => {
            let whole = || {
                let request =
                    head::request(uri.clone(), head.clone(), Either::Left(Full::new(bytes.clone())));
                request.map_err(|error| error.to_string())
            };
            let mut answered = client.hyper.request(whole()?).await;
            if answered.as_ref().is_err_and(was_cut) {
                // A server closes idle connections when it likes, and may have closed this one just then.
                answered = client.hyper.request(whole()?).await;
            }
            outgoing.took(bytes.len());
            answered
        }
        Upload::Streamed(body) => {
            let request = head::request(uri, head, Either::Right(body)).map_err(|error| error.to_string())?;
            client.hyper.request(request).await
        }
    };
    let response = response.map_err(|error| causes(&error))?;

    let (parts, mut body) = response.into_parts();
    incoming.respond(head::response_head(&parts)).await;
    let mut watch = incoming.watch();
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            _ = watch.unwanted() => return Ok(()),
        };
        match frame {
            Some(Ok(frame)) => {
                if incoming.deliver(frame.into_data().unwrap_or_default()).await.is_err() {
                    return Ok(());
                }
            }
            Some(Err(error)) => return Err(causes(&error)),
            None => {
                incoming.finished().await;
                return Ok(());
            }
        }
    }
}

/// The connection ended before anything of an answer came. Nothing that a machine asks for is done twice by being asked twice.
fn was_cut(error: &legacy::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let of_hyper = cause.downcast_ref::<hyper::Error>();
        if of_hyper
            .is_some_and(|cause| cause.is_incomplete_message() || cause.is_canceled() || cause.is_closed())
        {
            return true;
        }
        source = cause.source();
    }
    false
}

enum Upload {
    /// Owed its credit once the server has answered.
    Whole(Outgoing, Bytes),
    Streamed(StreamedBody),
}

/// A body that the machine sent in one breath goes out whole, with its length: not every server takes chunks.
fn body(mut outgoing: Outgoing) -> Upload {
    let mut whole = BytesMut::new();
    while let Some(out) = outgoing.try_next() {
        match out {
            Out::Send(bytes) => whole.extend_from_slice(&bytes),
            Out::Finish => return Upload::Whole(outgoing, whole.freeze()),
            Out::Response(_) => {}
        }
    }
    Upload::Streamed(StreamedBody::upload(outgoing, whole.freeze()))
}

pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tower_service::Service;

    #[tokio::test]
    async fn a_connection_of_our_own_sends_small_pieces_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let connection = connector().call(uri).await.unwrap();
        assert!(connection.inner().nodelay().unwrap());
    }
}
