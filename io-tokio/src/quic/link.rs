//! One mesh connection: made, served, told to the machine when it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use labman_proto_core::identity::NodeId;
use labman_proto_core::machine::{BINDING_LABEL, Completion, DownReason, LinkId, OpId, Peer};
use quinn::{Connection, ConnectionError, Incoming, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::port::{Happening, LinkCommand, Port};
use crate::quic::endpoint::Mesh;
use crate::quic::gate::Pass;
use crate::quic::{rpk, stream};

/// For one address of a dialled name.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// For a peer to prove its key.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

/// Takes in connections, if this node listens.
pub(crate) async fn accept(mesh: Arc<Mesh>, port: Port) {
    let Some(endpoint) = mesh.listening() else { return };
    while let Some(incoming) = endpoint.accept().await {
        // A forged sender address costs us one small packet and no state.
        if !incoming.remote_address_validated() {
            if let Err(error) = incoming.retry() {
                tracing::debug!("a QUIC peer could not be asked to retry: {error}");
            }
            continue;
        }
        match mesh.gate().enter(incoming.remote_address().ip(), Instant::now()) {
            Some(pass) => port.spawn(take_in(incoming, pass, port.clone())),
            None => incoming.ignore(),
        }
    }
}

async fn take_in(incoming: Incoming, pass: Pass, port: Port) {
    let address = incoming.remote_address();
    let connected = match incoming.accept() {
        Ok(connecting) => timeout(HANDSHAKE_WITHIN, connecting).await,
        Err(error) => Ok(Err(error)),
    };
    drop(pass);
    let connected = match connected {
        Ok(connected) => connected.map_err(|error| error.to_string()).and_then(proven),
        Err(_) => Err("it took too long".into()),
    };
    match connected {
        Ok(Proven { connection, node_id, binding }) => {
            let link = port.next_link();
            let (commands, orders) = mpsc::unbounded_channel();
            let peer = Peer::Mesh { node_id, dialled: false, binding, addr: Some(address) };
            port.send(Happening::LinkUp { link, peer, commands }).await;
            serve(connection, link, orders, port).await;
        }
        Err(what) => tracing::debug!("a QUIC handshake from {address} failed: {what}"),
    }
}

/// Dials, reports how that ended, and serves the link.
pub(crate) async fn dial(mesh: Arc<Mesh>, port: Port, op: OpId, addr: String, node_id: NodeId) {
    match connect(&mesh, &addr, node_id).await {
        Ok(Proven { connection, binding, .. }) => {
            let link = port.next_link();
            let (commands, orders) = mpsc::unbounded_channel();
            let addr = Some(connection.remote_address());
            let peer = Peer::Mesh { node_id, dialled: true, binding, addr };
            port.send(Happening::Dialled { op, link, peer, commands }).await;
            serve(connection, link, orders, port).await;
        }
        Err(what) => port.send(Happening::Done(op, Completion::Dialled(Err(what)))).await,
    }
}

async fn connect(mesh: &Mesh, addr: &str, node_id: NodeId) -> Result<Proven, String> {
    let found = lookup_host(addr).await.map_err(|error| format!("{addr}: {error}"))?;
    let mut last = format!("{addr}: the name has no address");
    for address in found.take(ADDRESSES) {
        let connecting = mesh.connect(address, node_id).map_err(|what| format!("{address}: {what}"))?;
        last = match timeout(CONNECT_WITHIN, connecting).await {
            Ok(Ok(connection)) => match proven(connection)? {
                proven if proven.node_id == node_id => return Ok(proven),
                other => format!("{address}: the node there is {}, not {node_id}", other.node_id),
            },
            Ok(Err(error)) => format!("{address}: {error}"),
            Err(_) => format!("{address}: no answer within {} s", CONNECT_WITHIN.as_secs()),
        };
    }
    Err(last)
}

/// A connection with what TLS says of it: who is at the other end, and the secret that only this connection has.
struct Proven {
    connection: Connection,
    node_id: NodeId,
    binding: [u8; 32],
}

fn proven(connection: Connection) -> Result<Proven, String> {
    let identity = connection.peer_identity().ok_or("no TLS identity")?;
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().map_err(|_| "an unknown TLS identity")?;
    let key = chain.first().ok_or("an empty TLS identity")?;
    let node_id = rpk::node_id(key).map_err(|error| error.to_string())?;
    let mut binding = [0; 32];
    connection
        .export_keying_material(&mut binding, BINDING_LABEL, b"")
        .map_err(|_| "TLS exports no keying material")?;
    Ok(Proven { connection, node_id, binding })
}

async fn serve(
    connection: Connection,
    link: LinkId,
    mut orders: mpsc::UnboundedReceiver<LinkCommand>,
    port: Port,
) {
    let ended = loop {
        tokio::select! {
            opened = connection.accept_bi() => match opened {
                Ok((send, recv)) => {
                    let id = port.next_stream();
                    let (handle, outgoing, incoming) = crate::stream::new(id, &port);
                    port.send(Happening::Opened { stream: id, link, handle }).await;
                    port.spawn(stream::carry(send, recv, outgoing, incoming));
                }
                Err(ended) => break ended,
            },
            order = orders.recv() => match order {
                Some(LinkCommand::Open(outgoing, incoming)) => {
                    port.spawn(stream::open(connection.clone(), outgoing, incoming));
                }
                Some(LinkCommand::Close(reason)) => connection.close(VarInt::from_u32(0), reason.as_bytes()),
                // The machine is gone, and the connection with it.
                None => return,
            },
        }
    };
    tracing::debug!(link = link.0, "mesh connection ended: {ended}");
    port.send(Happening::LinkDown { link, reason: down_reason(&ended) }).await;
}

fn down_reason(ended: &ConnectionError) -> DownReason {
    match ended {
        ConnectionError::ApplicationClosed(_) | ConnectionError::LocallyClosed => DownReason::Closed,
        ConnectionError::TimedOut => DownReason::TimedOut,
        ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::Reset
        | ConnectionError::CidsExhausted => DownReason::Failed,
    }
}
