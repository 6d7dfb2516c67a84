//! A node, with the Portmans that live inside it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use labman_io_tokio::{IoConfig, MeshConfig, Running, StartError, StoreConfig};
use labman_proto_core::identity::NodeId;
use labman_proto_core::journal;
use labman_proto_core::node::Node;
use labman_proto_core::node::config::{Caps, Subnet};

use super::{DataDir, Failure, Portman, identity, listen_tcp, listen_udp, open_journal};
use crate::{config, systemd};

pub struct Labmand {
    /// As its log lines call it.
    pub name: String,
    pub node_id: NodeId,
    pub mesh_addr: Option<SocketAddr>,
    pub http_addr: Option<SocketAddr>,
    pub portman_addr: Option<SocketAddr>,
    pub admin: PathBuf,
    node: Running,
    embedded: Vec<Portman>,
}

impl Labmand {
    pub async fn start(name: &str, config: config::labmand::Labmand) -> Result<Self, Failure> {
        let dir = DataDir::open(&config.data_dir)?;
        let secret = dir.secret()?;
        let mesh = config.mesh_listen.map(|addr| listen_udp("mesh.listen", addr)).transpose()?;
        let users = config.http_listen.map(|addr| listen_tcp("gateway.listen", addr)).transpose()?;
        let portmans =
            config.portman_listen.map(|addr| listen_tcp("provider.portman_listen", addr)).transpose()?;
        let (mesh_socket, mesh_addr) = mesh.unzip();
        let (http_socket, http_addr) = users.unzip();
        let (portman_socket, portman_addr) = portmans.unzip();

        let mut node = config.node;
        if let (true, Some(addr)) = (node.addresses.is_empty(), mesh_addr) {
            // A wildcard address is nowhere that others could dial.
            node.addresses.extend((!addr.ip().is_unspecified()).then(|| addr.to_string()));
        }
        node.reach.own = own_networks();
        let node_id = dir.identity()?.node_id();
        let machine = journal::Config::Node(node.clone());
        let journal = open_journal(config.journal.as_deref(), Some(node_id), machine)?;
        let (door, way_in) = labman_io_tokio::door();
        let io = IoConfig {
            name: name.to_string(),
            store: Some(StoreConfig { path: dir.store(), tables: Node::TABLES }),
            mesh: Some(with_caps(MeshConfig::new(secret.clone(), mesh_socket), &node.caps)),
            portman_socket,
            portman_door: Some(door),
            labman_inside: None,
            public_http: http_socket,
            admin: Some(dir.admin()),
            public_tls: config.tls,
            http: config.http,
            journal: journal.clone(),
            heartbeat: systemd::heartbeat(),
        };
        let make = move |snapshot: &_, seed, now| {
            Node::new(node.clone(), identity(&secret, journal.as_ref()), seed, snapshot, now)
        };
        let running = labman_io_tokio::start(io, make)
            .await
            .map_err(|why| Failure::Start { who: "labmand", why: why.to_string() })?;
        let mut this = Self {
            name: name.to_string(),
            node_id,
            mesh_addr,
            http_addr,
            portman_addr,
            admin: dir.admin(),
            node: running,
            embedded: Vec::new(),
        };
        for (index, portman) in config.embedded.into_iter().enumerate() {
            // It attaches like any other, but for the socket.
            let labman_url =
                portman_addr.map(|addr| format!("ws://{}/", reachable(addr))).unwrap_or_default();
            let portman = labman_proto_core::portman::config::Config { labman_url, ..portman };
            let journal = config.journal.as_deref().map(|path| beside(path, index + 1));
            let name = format!("{name}-portman");
            this.embedded
                .push(Portman::start(&name, portman, journal.as_deref(), Some(way_in.clone())).await?);
        }
        Ok(this)
    }

    /// Resolves only if it can't go on, not even restarted from its store.
    pub async fn failed(&mut self) -> StartError {
        self.node.failed().await
    }

    /// The node first: its running jobs need their Portmans.
    pub async fn stop(self) {
        self.node.stop().await;
        for portman in self.embedded {
            portman.stop().await;
        }
    }
}

/// The transport's part of what strangers may make this process hold.
fn with_caps(mesh: MeshConfig, caps: &Caps) -> MeshConfig {
    MeshConfig {
        receive_window: u32::try_from(caps.receive_window()).unwrap_or(u32::MAX),
        send_window: u32::try_from(caps.send_window()).unwrap_or(u32::MAX),
        exempt_private: caps.exempt_private,
        ..mesh
    }
}

/// The journal of an embedded Portman: `FILE.portman-1`.
fn beside(journal: &Path, number: usize) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push(format!(".portman-{number}"));
    path.into()
}

/// Where this process reaches what listens on `addr`.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], addr.port())),
        false => addr,
    }
}

/// The networks that this host is in: no stranger is to make it knock there. A host that does not say has none.
fn own_networks() -> Vec<Subnet> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let networks = interfaces.into_iter().filter_map(|interface| match interface.addr {
        if_addrs::IfAddr::V4(addr) => Subnet::new(addr.ip.into(), addr.prefixlen),
        if_addrs::IfAddr::V6(addr) => Subnet::new(addr.ip.into(), addr.prefixlen),
    });
    networks.collect()
}
