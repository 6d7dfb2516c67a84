//! What a process hands to its driver: bound sockets, paths, and limits of sockets.

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use labman_proto_core::store::Table;
use zeroize::Zeroizing;

use crate::journal::Journal;
use crate::portman_ws::{Door, WayIn};

/// Everything is optional: a machine that asks for what it was not given gets an error as the answer.
#[derive(Default)]
pub struct IoConfig {
    /// Which machine speaks, in log lines.
    pub name: String,
    pub store: Option<StoreConfig>,
    pub mesh: Option<MeshConfig>,
    /// WebSocket server for Portmans, already bound.
    pub portman_socket: Option<TcpListener>,
    /// For Portmans in this process.
    pub portman_door: Option<Door>,
    /// At a Portman: its labman is in this process.
    pub labman_inside: Option<WayIn>,
    /// HTTP for users, already bound.
    pub public_http: Option<TcpListener>,
    /// Then users speak TLS there.
    pub public_tls: Option<TlsFiles>,
    /// Unix socket to create for the operator: mode 0600, callers of the same user and root only.
    pub admin: Option<PathBuf>,
    pub http: HttpLimits,
    /// Where all that the machine hears is recorded. Its signatures too, if its identity is the one that
    /// [`Journal::witness`] gave.
    pub journal: Option<Journal>,
    /// Whoever wants to know that the machine goes on.
    pub heartbeat: Option<Heartbeat>,
}

/// Called again and again between two calls of the machine: it stops when one of them does not return.
#[derive(Clone)]
pub struct Heartbeat {
    pub every: Duration,
    pub beat: fn(),
}

pub struct StoreConfig {
    /// The SQLite file. It and its directories are created if they are not there.
    pub path: PathBuf,
    pub tables: &'static [Table],
}

pub struct MeshConfig {
    /// The node's secret key: TLS proves the same identity that signs.
    pub secret: Zeroizing<[u8; 32]>,
    /// Already bound. `None`: this node only dials out.
    pub listen: Option<UdpSocket>,
    /// Streams that one peer may have open towards us. Further ones wait at the peer.
    pub bidi_streams: u32,
    /// Bytes that one peer may make us hold: received and not read, sent and not acknowledged.
    pub receive_window: u32,
    pub send_window: u32,
    /// Handshakes from loopback, private and link-local addresses are bounded all together only.
    pub exempt_private: bool,
}

impl MeshConfig {
    pub const BIDI_STREAMS: u32 = 128;

    pub fn new(secret: Zeroizing<[u8; 32]>, listen: Option<UdpSocket>) -> Self {
        Self {
            secret,
            listen,
            bidi_streams: Self::BIDI_STREAMS,
            receive_window: 4 * 1024 * 1024,
            send_window: 1024 * 1024,
            exempt_private: true,
        }
    }
}

/// PEM files. They are read again when they change: who renews a certificate need not restart anything.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and those that lead from it to one that clients know.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Bounds of the TCP listeners. Beyond one, the connection is closed, except where noted.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// For a request's head, from when it may begin: so it is also how long a connection may be idle between two requests. hyper
    /// has one timer for both.
    pub header_timeout: Duration,
    /// Between two pieces of a request's body. Then 408.
    pub body_idle: Duration,
    /// How long a client may accept nothing of what is being sent to it.
    pub write_idle: Duration,
    /// Then 431.
    pub headers: usize,
    /// Bytes of a request's head, and of buffered answer. Then 431.
    pub head_bytes: usize,
    /// Open connections. Further ones wait in the kernel.
    pub connections: usize,
    /// Open connections from one address.
    pub connections_per_address: usize,
    /// SO_SNDBUF: what a client that reads nothing can hold in the kernel, in bytes (Linux doubles it).
    pub send_buffer: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            write_idle: Duration::from_secs(60),
            headers: 64,
            head_bytes: 32 * 1024,
            connections: 1024,
            connections_per_address: 32,
            send_buffer: 64 * 1024,
        }
    }
}
