//! One hostile peer's socket, its connections, and its frames, which are good ones unless it wants others.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use labman_proto_core::identity::{Identity, NodeId};
use labman_proto_core::machine::BINDING_LABEL;
use labman_proto_core::time::Wall;
use labman_proto_core::wire::cbor::encode;
use labman_proto_core::wire::envelope::{Header, Kind, SignedFrame};
use labman_proto_core::wire::mesh::{Features, Hello};
use labman_proto_core::wire::topic::Topics;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, TransportConfig};

use crate::Plan;
use crate::rpk::TlsKey;

pub(crate) struct Peer {
    secret: [u8; 32],
    pub(crate) node_id: NodeId,
    pub(crate) endpoint: Endpoint,
}

/// What became of all peers of a kind.
#[derive(Default)]
pub(crate) struct Stats {
    pub(crate) tried: AtomicU64,
    pub(crate) connected: AtomicU64,
    pub(crate) admitted: AtomicU64,
    pub(crate) bytes: AtomicU64,
    closed: Mutex<BTreeMap<String, u64>>,
}

pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
    pub(crate) binding: [u8; 32],
    pub(crate) seq: u64,
}

impl Stats {
    pub(crate) fn was_closed(&self, why: &ConnectionError) {
        let why = match why {
            ConnectionError::ApplicationClosed(close) => String::from_utf8_lossy(&close.reason).into_owned(),
            ConnectionError::LocallyClosed => return,
            other => other.to_string(),
        };
        *self.closed.lock().expect("nobody panics").entry(why).or_default() += 1;
    }

    pub(crate) fn to_json(&self, kind: &str) -> serde_json::Value {
        serde_json::json!({
            "kind": kind, "tried": self.tried.load(Relaxed), "connected": self.connected.load(Relaxed),
            "admitted": self.admitted.load(Relaxed), "bytes": self.bytes.load(Relaxed),
            "closed": *self.closed.lock().expect("nobody panics"),
        })
    }
}

impl Peer {
    pub(crate) fn new(secret: [u8; 32], ip: IpAddr) -> std::io::Result<Self> {
        let node_id = Identity::from_secret(&secret).node_id();
        Ok(Self { secret, node_id, endpoint: Endpoint::client(SocketAddr::new(ip, 0))? })
    }

    pub(crate) async fn connect(&self, plan: &Plan, stats: &Stats) -> Option<Connection> {
        stats.tried.fetch_add(1, Relaxed);
        let tls = TlsKey::new(&self.secret).and_then(|key| key.client(plan.node_id)).ok()?;
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).ok()?));
        let mut transport = TransportConfig::default();
        transport.keep_alive_interval(Some(Duration::from_secs(5)));
        config.transport_config(Arc::new(transport));
        let connection = self.endpoint.connect_with(config, plan.target, "labman").ok()?.await.ok()?;
        stats.connected.fetch_add(1, Relaxed);
        Some(connection)
    }

    /// Connected, its control stream open, nothing said.
    pub(crate) async fn open(&self, plan: &Plan, stats: &Stats) -> Option<Session> {
        let connection = self.connect(plan, stats).await?;
        let mut binding = [0; 32];
        connection.export_keying_material(&mut binding, BINDING_LABEL, b"").ok()?;
        let opened = connection.open_bi().await;
        let (send, recv) = opened.inspect_err(|why| stats.was_closed(why)).ok()?;
        Some(Session { connection, send, recv, binding, seq: 0 })
    }

    /// As an honest peer: hello is said, and was heard.
    pub(crate) async fn admitted(&self, plan: &Plan, stats: &Stats) -> Option<Session> {
        let mut session = self.open(plan, stats).await?;
        let hello = self.hello(plan, &mut session);
        session.say(stats, &hello).await?;
        let mut answer = [0; 4];
        if session.recv.read_exact(&mut answer).await.is_err() {
            session.ended(stats).await;
            return None;
        }
        stats.admitted.fetch_add(1, Relaxed);
        Some(session)
    }

    pub(crate) fn hello(&self, plan: &Plan, session: &mut Session) -> Vec<u8> {
        let (software, binding) = ("hostile".into(), session.binding);
        let hello = Hello { features: Features::OURS, software, interest: Topics::All, binding };
        self.frame(plan, session, Kind::Hello, &encode(&hello))
    }

    pub(crate) fn frame(&self, plan: &Plan, session: &mut Session, kind: Kind, payload: &[u8]) -> Vec<u8> {
        session.seq += 1;
        let header = Header {
            kind: kind as u16,
            net_id: plan.network.id,
            sender: self.node_id,
            dest: Some::<NodeId>(plan.node_id),
            incarnation: 1,
            seq: session.seq,
            issued: Wall(0),
            ttl_s: 0,
        };
        SignedFrame::sign(&Identity::from_secret(&self.secret), header, payload).into_bytes()
    }
}

impl Session {
    /// `None`: it was closed, which is noted.
    pub(crate) async fn say(&mut self, stats: &Stats, bytes: &[u8]) -> Option<()> {
        if self.send.write_all(bytes).await.is_err() {
            self.ended(stats).await;
            return None;
        }
        stats.bytes.fetch_add(bytes.len() as u64, Relaxed);
        Some(())
    }

    /// Waits for the end, and notes with what words it came.
    pub(crate) async fn ended(&self, stats: &Stats) {
        let why = self.connection.closed().await;
        stats.was_closed(&why);
    }
}
