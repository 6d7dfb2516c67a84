//! One call on a running process's admin socket.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, http};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("nothing runs behind admin socket {socket}: start the daemon, or name its socket")]
    NotRunning { socket: PathBuf },
    #[error("admin socket {socket} is another user's: run this as the user that runs the daemon")]
    NotYours { socket: PathBuf },
    #[error("admin socket {socket}: {error}; check the path")]
    Io { socket: PathBuf, error: io::Error },
    #[error("admin socket {socket}: the daemon broke off ({error}); its log says why")]
    BrokeOff { socket: PathBuf, error: hyper::Error },
    #[error("{method} {path} can't be asked: {error}")]
    Request { method: String, path: String, error: http::Error },
}

/// Asks, with a JSON body if there is one, and returns the status and the whole answer.
pub async fn call(
    socket: &Path,
    method: &str,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<(u16, Vec<u8>), AdminError> {
    call_with(socket, method, path, &[], body).await
}

/// Likewise, with these headers.
pub async fn call_with(
    socket: &Path,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Vec<u8>>,
) -> Result<(u16, Vec<u8>), AdminError> {
    let stream = UnixStream::connect(socket).await.map_err(|error| unreachable(socket, error))?;
    let broke_off = |error| AdminError::BrokeOff { socket: socket.into(), error };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broke_off)?;
    let mut request = Request::builder().method(method).uri(path).header(HOST, "admin");
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(Bytes::from(body.unwrap_or_default())))
        .map_err(|error| AdminError::Request { method: method.into(), path: path.into(), error })?;

    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        Ok((status, response.into_body().collect().await?.to_bytes().to_vec()))
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer.map_err(broke_off),
        ended = connection => {
            // The last bytes may have come with the end.
            ended.map_err(broke_off)?;
            exchange.await.map_err(broke_off)
        }
    }
}

fn unreachable(socket: &Path, error: io::Error) -> AdminError {
    let socket = socket.into();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AdminError::NotRunning { socket },
        io::ErrorKind::PermissionDenied => AdminError::NotYours { socket },
        _ => AdminError::Io { socket, error },
    }
}
