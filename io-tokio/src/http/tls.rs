//! TLS for users: a certificate and its key from files, which are looked at again when somebody connects.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;
use crate::error::{StartError, TlsFile};

pub(super) struct Tls {
    files: TlsFiles,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    acceptor: TlsAcceptor,
    /// Of the files as they were then.
    stamps: [Option<Stamp>; 2],
    /// Of those that were no good, and when they were tried.
    failed: Option<([Option<Stamp>; 2], Instant)>,
}

/// Which file it is, its length, and when anything about it changed.
type Stamp = (u64, u64, u64, i64, i64);

/// How long files that are no good are left alone. They may become good without changing.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

impl TlsFiles {
    /// Whether users could be served with them as they are now. The error is a [`StartError::Tls`].
    pub fn check(&self) -> Result<(), StartError> {
        load(self).map(drop)
    }
}

impl Tls {
    pub(super) fn open(files: TlsFiles) -> Result<Self, StartError> {
        let stamps = stamps(&files);
        let loaded = Loaded { acceptor: load(&files)?, stamps, failed: None };
        Ok(Self { files, loaded: Mutex::new(loaded) })
    }

    /// With the certificate as it is now. A renewed one that is no good is left alone: the one before serves on.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        let hopeless = loaded.failed.is_some_and(|(which, at)| which == stamps && at.elapsed() < AGAIN_AFTER);
        if stamps != loaded.stamps && !hopeless {
            match load(&self.files) {
                Ok(acceptor) => {
                    tracing::info!("the TLS certificate was read again");
                    *loaded = Loaded { acceptor, stamps, failed: None };
                }
                Err(why) => {
                    tracing::warn!("{why}; the certificate from before is used on");
                    loaded.failed = Some((stamps, Instant::now()));
                }
            }
        }
        loaded.acceptor.clone()
    }
}

fn stamps(files: &TlsFiles) -> [Option<Stamp>; 2] {
    [&files.certificate, &files.key].map(|path| {
        let about = fs::metadata(path).ok()?;
        Some((about.dev(), about.ino(), about.len(), about.ctime(), about.ctime_nsec()))
    })
}

fn load(files: &TlsFiles) -> Result<TlsAcceptor, StartError> {
    let bad_certificate = |what| at(TlsFile::Certificate, &files.certificate, what);
    let bad_key = |what| at(TlsFile::Key, &files.key, what);
    let chain = CertificateDer::pem_file_iter(&files.certificate).and_then(Iterator::collect);
    let chain: Vec<CertificateDer<'static>> = chain.map_err(|error| bad_certificate(told(error)))?;
    if chain.is_empty() {
        return Err(bad_certificate("there is no certificate in it".into()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| bad_key(told(error)))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| match error {
            rustls::Error::InvalidCertificate(_) => bad_certificate(error.to_string()),
            rustls::Error::InconsistentKeys(_) => {
                let certificate = files.certificate.display();
                bad_key(format!("it is not the key of the certificate in {certificate}"))
            }
            other => bad_key(other.to_string()),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn told(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is no private key in it".into(),
        other => other.to_string(),
    }
}

fn at(of: TlsFile, path: &Path, what: String) -> StartError {
    StartError::Tls { of, path: PathBuf::from(path), what }
}
