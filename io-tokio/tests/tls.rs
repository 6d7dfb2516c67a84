//! Users who speak TLS, and certificates that are renewed while they do.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use labman_io_tokio::{IoConfig, StartError, TlsFiles, start};
use labman_proto_core::http::ResponseHead;
use labman_proto_core::machine::Input;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use support::{Script, run, tcp, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(fixture(name)).unwrap()
}

/// Files that are renewed.
struct Files(tempfile::TempDir);

impl Files {
    fn of(name: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.certificate(&format!("{name}.crt"));
        files.key(&format!("{name}.key"));
        files
    }

    fn certificate(&self, from: &str) {
        self.write("cert.pem", from);
    }

    fn key(&self, from: &str) {
        self.write("key.pem", from);
    }

    /// As renewals do it: written aside, then moved into place.
    fn write(&self, to: &str, from: &str) {
        let aside = self.0.path().join("aside");
        std::fs::copy(fixture(from), &aside).unwrap();
        std::fs::rename(aside, self.0.path().join(to)).unwrap();
    }

    fn paths(&self) -> TlsFiles {
        TlsFiles { certificate: self.0.path().join("cert.pem"), key: self.0.path().join("key.pem") }
    }
}

fn yes() -> Script {
    Script::new(|input, out| {
        if let Input::Request { stream, .. } = input {
            out.respond_whole(stream, ResponseHead::new(200), b"yes".to_vec());
        }
    })
}

fn served(files: &Files) -> (IoConfig, String) {
    let (listener, address) = tcp();
    let io = IoConfig {
        name: "server".into(),
        public_http: Some(listener),
        public_tls: Some(files.paths()),
        ..IoConfig::default()
    };
    (io, address)
}

/// What an answer says, and which certificate it came with.
async fn asked(address: &str) -> (String, CertificateDer<'static>) {
    let mut roots = RootCertStore::empty();
    for name in ["first.crt", "second.crt"] {
        roots.add(certificate(name)).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("gateway.example").unwrap();
    let mut socket = within(TlsConnector::from(Arc::new(config)).connect(name, socket)).await.unwrap();
    let theirs = socket.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    within(socket.read_to_end(&mut answer)).await.unwrap();
    (String::from_utf8_lossy(&answer).into_owned(), theirs)
}

#[tokio::test]
async fn a_renewed_certificate_is_used_from_the_next_connection_on() {
    let files = Files::of("first");
    let (io, address) = served(&files);
    let running = run(io, yes()).await;
    let (answer, theirs) = asked(&address).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("yes"), "{answer}");
    assert_eq!(theirs, certificate("first.crt"));

    // Half of a renewal: the certificate is there, its key not yet.
    files.certificate("second.crt");
    assert_eq!(asked(&address).await.1, certificate("first.crt"));
    files.key("second.key");
    assert_eq!(asked(&address).await.1, certificate("second.crt"));
    within(running.stop()).await;
}

#[tokio::test]
async fn who_speaks_no_tls_is_not_heard_and_others_are() {
    let files = Files::of("first");
    let (io, address) = served(&files);
    let running = run(io, yes()).await;
    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = within(plain.read_to_end(&mut answer)).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
    assert!(asked(&address).await.0.ends_with("yes"));
    within(running.stop()).await;
}

#[tokio::test]
async fn files_that_are_no_good_are_named_at_the_start() {
    let files = Files::of("first");
    let missing = files.0.path().join("nothing.pem");
    let cases = [
        (TlsFiles { certificate: missing.clone(), ..files.paths() }, missing.clone(), "No such file"),
        (TlsFiles { key: missing.clone(), ..files.paths() }, missing.clone(), "No such file"),
        (TlsFiles { certificate: files.paths().key, ..files.paths() }, files.paths().key, "no certificate"),
        (
            TlsFiles { key: files.paths().certificate, ..files.paths() },
            files.paths().certificate,
            "no private key",
        ),
        (
            TlsFiles { key: fixture("second.key"), ..files.paths() },
            fixture("second.key"),
            "not the key of the certificate",
        ),
    ];
    for (files, named, why) in cases {
        let (listener, _) = tcp();
        let io = IoConfig { public_http: Some(listener), public_tls: Some(files), ..IoConfig::default() };
        match start(io, |_, _, _| Ok(yes())).await {
            Err(StartError::Tls { path, what, .. }) => {
                assert_eq!(path, named, "{what}");
                assert!(what.contains(why), "{what}");
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it started"),
        }
    }
}
