//! The UDP sockets of the mesh, and the transport's settings.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use labman_proto_core::identity::NodeId;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, Connecting, Endpoint, EndpointConfig, IdleTimeout, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};

use crate::config::MeshConfig;
use crate::error::{Address, StartError};
use crate::quic::gate::Gate;
use crate::quic::rpk::TlsKey;

/// At both ends, and well below the 30 s after which home NATs forget a mapping.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// A killed peer is noticed within both together, 15 s: the first that is sent into the silence begins this time anew (RFC
/// 9000, section 10.1), so each end sends something soon.
const IDLE_MS: u32 = 11_000;
/// Bytes of one stream that a peer may make us hold; less where its connection may not.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Packets that a peer acknowledges at once, at most: each acknowledgement is a packet of its own while it has nothing else to say.
/// A loss is noticed by what comes out of order, or 25 ms later, as it is without this.
const UNACKED_PACKETS: u32 = 10;
/// Handshakes under way. Further ones are refused.
const MAX_INCOMING: usize = 256;
/// What the TLS layer calls every node: the key says who it is.
const SERVER_NAME: &str = "labman";

pub(crate) struct Mesh {
    tls: TlsKey,
    windows: Windows,
    gate: Gate,
    listening: Option<Endpoint>,
    /// By the address they are bound to; made when first needed.
    dialling: Mutex<BTreeMap<IpAddr, Endpoint>>,
}

/// What a peer may make us hold.
#[derive(Clone, Copy)]
struct Windows {
    bidi_streams: u32,
    receive: u32,
    send: u32,
}

impl Mesh {
    /// Must be called inside a tokio runtime.
    pub(crate) fn new(config: MeshConfig) -> Result<Self, StartError> {
        let bad_key = |error: rustls::Error| StartError::Key { what: error.to_string() };
        let tls = TlsKey::new(&config.secret).map_err(bad_key)?;
        let windows = Windows {
            bidi_streams: config.bidi_streams,
            receive: config.receive_window,
            send: config.send_window,
        };
        let listening = match config.listen {
            Some(socket) => {
                let address = Address(socket.local_addr().ok());
                let server = server_config(&tls, windows).map_err(bad_key)?;
                let endpoint = socket.set_nonblocking(true).and_then(|()| endpoint(socket, Some(server)));
                Some(endpoint.map_err(|error| StartError::Socket { what: "mesh", address, error })?)
            }
            None => None,
        };
        let gate = Gate::new(config.exempt_private);
        Ok(Self { tls, windows, gate, listening, dialling: Mutex::default() })
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn listening(&self) -> Option<&Endpoint> {
        self.listening.as_ref()
    }

    /// Begins a connection to `addr` that fails unless the node there proves to be `node_id`.
    pub(crate) fn connect(&self, addr: SocketAddr, node_id: NodeId) -> Result<Connecting, String> {
        let tls = self.tls.client(node_id).map_err(|error| error.to_string())?;
        let tls = QuicClientConfig::try_from(tls).map_err(|error| error.to_string())?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(transport_config(self.windows)));
        let endpoint = self.endpoint_towards(addr.ip()).map_err(|error| format!("no UDP socket: {error}"))?;
        endpoint.connect_with(config, addr, SERVER_NAME).map_err(|error| error.to_string())
    }

    /// Tells every peer, and waits until they have heard.
    pub(crate) async fn close(&self) {
        let dialling = self.dialling.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let endpoints: Vec<_> = self.listening.iter().cloned().chain(dialling.into_values()).collect();
        for endpoint in &endpoints {
            endpoint.close(VarInt::from_u32(0), b"stopping");
        }
        for endpoint in &endpoints {
            endpoint.wait_idle().await;
        }
    }

    /// The listening socket where it reaches the target (peers then see one address of us), otherwise one of our own.
    fn endpoint_towards(&self, target: IpAddr) -> io::Result<Endpoint> {
        let local: IpAddr = match target {
            IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(ip) if ip.is_loopback() => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        if let Some(listening) = &self.listening {
            let bound = listening.local_addr()?.ip();
            let same_family = bound.is_ipv4() == target.is_ipv4();
            if same_family && (bound.is_unspecified() || bound.is_loopback() == target.is_loopback()) {
                return Ok(listening.clone());
            }
        }
        let mut dialling = self.dialling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = dialling.get(&local) {
            return Ok(endpoint.clone());
        }
        let socket = UdpSocket::bind(SocketAddr::new(local, 0))?;
        socket.set_nonblocking(true)?;
        let endpoint = endpoint(socket, None)?;
        dialling.insert(local, endpoint.clone());
        Ok(endpoint)
    }
}

fn endpoint(socket: UdpSocket, server: Option<ServerConfig>) -> io::Result<Endpoint> {
    Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime))
}

fn server_config(tls: &TlsKey, windows: Windows) -> Result<ServerConfig, rustls::Error> {
    let tls = QuicServerConfig::try_from(tls.server()?)
        .map_err(|_| rustls::Error::General("TLS has no cipher suite for QUIC".into()))?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport_config(windows)));
    config.max_incoming(MAX_INCOMING);
    // Survives a NAT rebinding.
    config.migration(true);
    Ok(config)
}

fn transport_config(windows: Windows) -> TransportConfig {
    let mut config = TransportConfig::default();
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(UNACKED_PACKETS));
    config
        .ack_frequency_config(Some(acks))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW.min(windows.receive)))
        .receive_window(VarInt::from_u32(windows.receive))
        .send_window(windows.send.into())
        .max_concurrent_bidi_streams(VarInt::from_u32(windows.bidi_streams))
        // Nothing reads these.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    config
}
