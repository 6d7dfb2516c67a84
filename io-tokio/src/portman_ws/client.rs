//! At a Portman: dials its labman, with its token.

use std::time::Duration;

use labman_proto_core::machine::{Completion, OpId, Peer};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async_with_config, connect_async_with_config,
};

use crate::port::{Happening, LinkCommand, Port};
use crate::portman_ws::inside::WayIn;
use crate::portman_ws::socket;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// From link up to the stream that it is for.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn dial(port: Port, op: OpId, url: String, token: String, inside: Option<WayIn>) {
    let begun = async {
        let request = request(&url, &token)?;
        let socket = Some(socket::config());
        Ok(match inside {
            Some(way_in) => {
                let pipe = way_in.enter().await?;
                Attached::Inside(client_async_with_config(request, pipe, socket).await.map_err(refused)?.0)
            }
            None => {
                Attached::Socket(connect_async_with_config(request, socket, true).await.map_err(refused)?.0)
            }
        })
    };
    let attached = match timeout(CONNECT_WITHIN, begun).await {
        Ok(attached) => attached,
        Err(_) => Err(format!("no answer within {} s", CONNECT_WITHIN.as_secs())),
    };
    match attached {
        Ok(Attached::Socket(websocket)) => serve(websocket, op, port).await,
        Ok(Attached::Inside(websocket)) => serve(websocket, op, port).await,
        Err(what) => {
            let failed = Completion::Dialled(Err(format!("{url}: {what}")));
            port.send(Happening::Done(op, failed)).await;
        }
    }
}

enum Attached {
    Socket(WebSocketStream<MaybeTlsStream<TcpStream>>),
    Inside(WebSocketStream<DuplexStream>),
}

fn request(url: &str, token: &str) -> Result<Request, String> {
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    let mut bearer =
        HeaderValue::try_from(format!("Bearer {token}")).map_err(|error| format!("the token: {error}"))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert("authorization", bearer);
    Ok(request)
}

fn refused(error: Error) -> String {
    match error {
        Error::Http(answer) => format!("refused with status {}", answer.status().as_u16()),
        error => error.to_string(),
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(websocket: WebSocketStream<S>, op: OpId, port: Port) {
    let link = port.next_link();
    let (commands, mut orders) = mpsc::unbounded_channel();
    port.send(Happening::Dialled { op, link, peer: Peer::Labman, commands }).await;
    match timeout(OPEN_WITHIN, orders.recv()).await {
        Ok(Some(LinkCommand::Open(outgoing, incoming))) => {
            socket::serve(websocket, link, orders, outgoing, incoming, port).await;
        }
        Ok(Some(LinkCommand::Close(_))) | Ok(None) | Err(_) => {
            socket::close_unused(websocket, link, port).await
        }
    }
}
