//! What can keep a machine from starting: each names the thing and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use labman_proto_core::store::BadRow;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("store {path}: is in use by another process; stop it, or give this one its own data directory")]
    StoreInUse { path: PathBuf },
    #[error("store {path}: {what}; check the disk and the file's owner and mode")]
    Store { path: PathBuf, what: String },
    #[error(
        "store {path}: written by a newer labman (layout {found}, this one knows {known}); run that version, or restore a backup"
    )]
    StoreNewer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "store {path}: written by an older labman (layout {found}, this one reads {known} only); run that version until nothing is owed, and begin anew"
    )]
    StoreOlder { path: PathBuf, found: i64, known: i64 },
    #[error("store {path}: is not a labman store; name another file")]
    StoreForeign { path: PathBuf },
    #[error("journal {path}: {what}; name another file, or correct that")]
    Journal { path: PathBuf, what: String },
    #[error("store {path}: {row}")]
    Row { path: PathBuf, row: BadRow },
    #[error("the mesh key can't be used for TLS: {what}; restore the key file from a backup")]
    Key { what: String },
    #[error("{what} socket on {address}: {error}; check that it was bound by this process and is still open")]
    Socket { what: &'static str, address: Address, error: io::Error },
    #[error("the TLS {of}, {path}: {what}; name the PEM files of a certificate and of its private key")]
    Tls { of: TlsFile, path: PathBuf, what: String },
    #[error("admin socket {path}: another process answers on it; stop it, or name another path")]
    AdminInUse { path: PathBuf },
    #[error(
        "admin socket {path}: {error}; the directory must exist or be creatable, and the path be under 100 bytes"
    )]
    Admin { path: PathBuf, error: io::Error },
    #[error("the machine panicked while starting: {what}; this is a bug, please report it")]
    Panicked { what: String },
}

/// Which of the two files it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    Certificate,
    Key,
}

impl std::fmt::Display for TlsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
        })
    }
}

/// A socket's address for an error line, if the system tells it.
#[derive(Debug)]
pub struct Address(pub(crate) Option<SocketAddr>);

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("an unknown address"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("key file {path}: {error}; check the directory and its owner")]
    Io { path: PathBuf, error: io::Error },
    #[error("key file {path}: others may read it (mode {mode:03o}); make it private with `chmod 600 {path}`")]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "key file {path}: expected 64 hex digits; restore it from a backup, or move it away to get a new identity"
    )]
    Malformed { path: PathBuf },
}
