//! At a Portman: dials its labman, with its token.

use std::time::Duration;

use labman_proto_core::machine::{Completion, LinkId, OpId, Peer};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::port::{Happening, LinkCommand, Port};
use crate::portman_ws::socket;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// From link up to the stream that it is for.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn dial(port: Port, op: OpId, url: String, token: String) {
    let websocket = match connect(&url, &token).await {
        Ok(websocket) => websocket,
        Err(what) => {
            let failed = Completion::Dialled(Err(format!("{url}: {what}")));
            return port.send(Happening::Done(op, failed)).await;
        }
    };
    let link = port.next_link();
    let (commands, orders) = mpsc::unbounded_channel();
    port.send(Happening::Dialled { op, link, peer: Peer::Labman, commands }).await;
    serve(websocket, link, orders, port).await;
}

async fn connect(url: &str, token: &str) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, String> {
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|error| format!("the token: {error}"))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert("authorization", bearer);
    let connecting = connect_async_with_config(request, Some(socket::config()), true);
    match timeout(CONNECT_WITHIN, connecting).await {
        Ok(Ok((websocket, _))) => Ok(websocket),
        Ok(Err(Error::Http(answer))) => Err(format!("refused with status {}", answer.status().as_u16())),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", CONNECT_WITHIN.as_secs())),
    }
}

async fn serve(
    websocket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    link: LinkId,
    mut orders: mpsc::UnboundedReceiver<LinkCommand>,
    port: Port,
) {
    match timeout(OPEN_WITHIN, orders.recv()).await {
        Ok(Some(LinkCommand::Open(outgoing, incoming))) => {
            socket::serve(websocket, link, orders, outgoing, incoming, port).await;
        }
        Ok(Some(LinkCommand::Close(_))) | Ok(None) | Err(_) => socket::close_unused(websocket, link, port).await,
    }
}
