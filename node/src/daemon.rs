//! Each daemon as a value: started from its checked config, known by its addresses, stopped in order.
//!
//! The binaries run one of these; the [`mesh`](crate::mesh) runs many in one process. Sockets are bound here, so that a
//! taken port is an error that names the key to change.

mod fep;
pub mod fep_keys;
mod labmand;
mod portman;
mod toy;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use labman_io_tokio::{Journal, Zeroizing};
use labman_proto_core::identity::{Identity, NodeId};
use labman_proto_core::journal;

pub use fep::Fep;
pub use labmand::Labmand;
pub use portman::Portman;
pub use toy::Toy;

/// Why a daemon does not start, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error("can't listen on {addr} ({why}); {}", remedy(why, key))]
    Bind { key: &'static str, addr: SocketAddr, why: std::io::Error },
    #[error("can't use the data directory {}: {why}; make it writable for this user, or change `data_dir`", path.display())]
    DataDir { path: PathBuf, why: std::io::Error },
    #[error("{0}")]
    Key(String),
    #[error("{0}")]
    Journal(String),
    #[error("{who} does not start: {why}")]
    Start { who: &'static str, why: String },
}

fn remedy(why: &std::io::Error, key: &str) -> String {
    match why.kind() {
        ErrorKind::AddrNotAvailable => {
            format!(
                "the address is not this host's: write one of its own in `{key}`, or 0.0.0.0 for all of them"
            )
        }
        ErrorKind::PermissionDenied => {
            format!("write a port from 1024 in `{key}`, or let this user have lower ones")
        }
        _ => format!("free it, or change `{key}`"),
    }
}

/// The files of one daemon.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Made, for its owner alone, where it is not there.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|why| Failure::DataDir { path: path.to_path_buf(), why })?;
        Ok(Self(path.to_path_buf()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A node's key's secret, made on the first call.
    pub fn secret(&self) -> Result<Zeroizing<[u8; 32]>, Failure> {
        let path = self.0.join("node.key");
        labman_io_tokio::load_or_create_key(&path).map_err(|why| Failure::Key(why.to_string()))
    }

    pub fn identity(&self) -> Result<Identity, Failure> {
        Ok(Identity::from_secret(&*self.secret()?))
    }

    pub fn store(&self) -> PathBuf {
        self.0.join("labman.sqlite")
    }

    pub fn admin(&self) -> PathBuf {
        self.0.join("admin.sock")
    }
}

/// The journal of a machine that is about to start, if there is to be one.
fn open_journal(
    path: Option<&Path>,
    public_key: Option<NodeId>,
    machine: journal::Config,
) -> Result<Option<Journal>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let header = journal::Header { build: journal::BUILD.to_string(), public_key, machine };
    Journal::open(path, &header).map(Some).map_err(|why| Failure::Journal(why.to_string()))
}

/// Who signs, in front of the journal's eyes where there is one.
fn identity(secret: &[u8; 32], journal: Option<&Journal>) -> Identity {
    let identity = Identity::from_secret(secret);
    match journal {
        Some(journal) => journal.witness(identity),
        None => identity,
    }
}

fn listen_tcp(key: &'static str, addr: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = TcpListener::bind(addr).and_then(|listener| Ok((listener.local_addr()?, listener)));
    bound.map(|(at, listener)| (listener, at)).map_err(|why| Failure::Bind { key, addr, why })
}

fn listen_udp(key: &'static str, addr: SocketAddr) -> Result<(UdpSocket, SocketAddr), Failure> {
    let bound = UdpSocket::bind(addr).and_then(|socket| Ok((socket.local_addr()?, socket)));
    bound.map(|(at, socket)| (socket, at)).map_err(|why| Failure::Bind { key, addr, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_can_t_be_bound_says_why_and_which_key_to_change() {
        // Of a range kept for documents: no host has it.
        let elsewhere =
            listen_tcp("gateway.listen", "192.0.2.1:8080".parse().unwrap()).unwrap_err().to_string();
        assert!(
            elsewhere.contains("not this host's") && elsewhere.contains("`gateway.listen`"),
            "{elsewhere}"
        );
        let (_taken, addr) = listen_tcp("listen", "127.0.0.1:0".parse().unwrap()).unwrap();
        let taken = listen_tcp("listen", addr).unwrap_err().to_string();
        assert!(taken.contains("free it, or change `listen`"), "{taken}");
    }
}
