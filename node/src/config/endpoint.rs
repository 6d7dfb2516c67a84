//! What a `[gateway]` says of its OpenAI API beside where it is: bounds of connections and requests, TLS, what a key may send.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use labman_io_tokio::{HttpLimits, StartError, TlsFile, TlsFiles};
use labman_proto_core::limits::HTTP_BODY;
use labman_proto_core::node::config as node;
use serde::Deserialize;
use toml::Spanned;

use super::ConfigError;
use super::error::Source;
use super::fields::{Bytes, Every};

/// Where a bound is not said, the driver's own is taken.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { header_timeout = \"10s\", body = \"4 MiB\" }")]
pub(super) struct HttpField {
    header_timeout: Option<Every>,
    body_idle: Option<Every>,
    write_idle: Option<Every>,
    headers: Option<Spanned<NonZeroUsize>>,
    head: Option<Spanned<Bytes>>,
    body: Option<Spanned<Bytes>>,
    connections: Option<NonZeroUsize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { certificate = \"cert.pem\", key = \"key.pem\" }")]
pub(super) struct TlsField {
    certificate: Spanned<PathBuf>,
    key: Spanned<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { requests_per_minute = 600, at_once = 16 }")]
pub(super) struct KeyLimitsField {
    requests_per_minute: Option<NonZeroU32>,
    tokens_per_minute: Option<NonZeroU64>,
    at_once: Option<NonZeroU32>,
}

/// What hyper can work with at least.
const LEAST_HEAD: usize = 8 * 1024;
const LEAST_BODY: usize = 1024;
/// Room for twice as many is made for each head.
const MOST_HEADERS: usize = 4096;

impl HttpField {
    pub(super) fn limits(
        &self,
        per_address: Option<NonZeroUsize>,
        source: &Source,
    ) -> Result<HttpLimits, ConfigError> {
        let usual = HttpLimits::default();
        let time = |field: Option<Every>, usual| {
            field.map_or(usual, |every| Duration::from_millis(every.0.as_millis()))
        };
        let count = |field: Option<NonZeroUsize>, usual| field.map_or(usual, NonZeroUsize::get);
        let connections_per_address = count(per_address, usual.connections_per_address);
        // Who is said to have so many is to have them.
        let connections = count(self.connections, usual.connections.max(connections_per_address));
        Ok(HttpLimits {
            header_timeout: time(self.header_timeout, usual.header_timeout),
            body_idle: time(self.body_idle, usual.body_idle),
            write_idle: time(self.write_idle, usual.write_idle),
            headers: self.headers(usual.headers, source)?,
            head_bytes: at_least(&self.head, LEAST_HEAD, usual.head_bytes, source)?,
            connections,
            connections_per_address,
            ..usual
        })
    }

    fn headers(&self, usual: usize, source: &Source) -> Result<usize, ConfigError> {
        match &self.headers {
            Some(headers) if headers.get_ref().get() > MOST_HEADERS => {
                let message =
                    format!("is more than a head can hold; write a number from 1 to {MOST_HEADERS}");
                Err(source.fault(Some(headers.span()), &message))
            }
            headers => Ok(headers.as_ref().map_or(usual, |headers| headers.get_ref().get())),
        }
    }

    /// The largest body of a request, in bytes.
    pub(super) fn body(&self, source: &Source) -> Result<usize, ConfigError> {
        match &self.body {
            Some(body) if body.get_ref().0 > HTTP_BODY => {
                let message = "no provider takes more than 4 MiB; write that or less";
                Err(source.fault(Some(body.span()), message))
            }
            body => at_least(body, LEAST_BODY, HTTP_BODY, source),
        }
    }
}

fn at_least(
    field: &Option<Spanned<Bytes>>,
    least: usize,
    usual: usize,
    source: &Source,
) -> Result<usize, ConfigError> {
    match field {
        Some(bytes) if bytes.get_ref().0 < least => {
            let message = format!("is too little to serve with; write {} KiB or more", least / 1024);
            Err(source.fault(Some(bytes.span()), &message))
        }
        field => Ok(field.as_ref().map_or(usual, |bytes| bytes.get_ref().0)),
    }
}

impl TlsField {
    /// Looked into here, because only this place can say where they are named.
    pub(super) fn files(&self, source: &Source) -> Result<TlsFiles, ConfigError> {
        let path = |field: &Spanned<PathBuf>| source.resolve(field.get_ref());
        let files = TlsFiles { certificate: path(&self.certificate), key: path(&self.key) };
        files.check().map_err(|error| {
            let field = match &error {
                StartError::Tls { of: TlsFile::Key, .. } => &self.key,
                _ => &self.certificate,
            };
            source.fault(Some(field.span()), &error.to_string())
        })?;
        Ok(files)
    }
}

impl KeyLimitsField {
    pub(super) fn limits(&self) -> node::KeyLimits {
        let usual = node::KeyLimits::default();
        node::KeyLimits {
            requests_per_minute: self.requests_per_minute.map_or(usual.requests_per_minute, NonZeroU32::get),
            tokens_per_minute: self.tokens_per_minute.map_or(usual.tokens_per_minute, NonZeroU64::get),
            at_once: self.at_once.map_or(usual.at_once, NonZeroU32::get),
        }
    }
}
