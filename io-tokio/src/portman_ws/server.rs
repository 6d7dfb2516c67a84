//! At a labman: a Portman's socket comes in. Whether its token is a good one is for the machine to say.

use std::fmt::Display;
use std::time::Duration;

use labman_proto_core::http::RequestHead;
use labman_proto_core::machine::Peer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;

use crate::port::{Happening, Port};
use crate::portman_ws::socket;
use crate::stream;

pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    from: impl Display,
    port: Port,
    within: Duration,
) {
    let mut credentials = None;
    // The answer's type is the library's.
    #[allow(clippy::result_large_err)]
    let check = |request: &Request, response: Response| match read_credentials(request) {
        Some(found) => {
            credentials = Some(found);
            Ok(response)
        }
        None => Err(no_token()),
    };
    let accepted = timeout(within, accept_hdr_async_with_config(socket, check, Some(socket::config()))).await;
    let websocket = match accepted {
        Ok(Ok(websocket)) => websocket,
        Ok(Err(error)) => return tracing::debug!("a Portman handshake from {from} failed: {error}"),
        Err(_) => return tracing::debug!("a Portman handshake from {from} took too long"),
    };
    let Some((token, origin)) = credentials else { return };

    let link = port.next_link();
    let (commands, orders) = mpsc::unbounded_channel();
    port.send(Happening::LinkUp { link, peer: Peer::Portman { token, origin }, commands }).await;
    let id = port.next_stream();
    let (handle, outgoing, incoming) = stream::new(id, &port);
    port.send(Happening::Opened { stream: id, link, handle }).await;
    socket::serve(websocket, link, orders, outgoing, incoming, port).await;
}

/// The bearer token, and the Origin that a browser would add.
fn read_credentials(request: &Request) -> Option<(String, Option<String>)> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let head = RequestHead::new("GET", "/").with("authorization", text("authorization")?);
    Some((head.bearer()?.to_owned(), text("origin").map(str::to_owned)))
}

fn no_token() -> ErrorResponse {
    let mut refusal =
        ErrorResponse::new(Some("a Portman must send `Authorization: Bearer <token>`\n".into()));
    *refusal.status_mut() = StatusCode::UNAUTHORIZED;
    refusal
}
