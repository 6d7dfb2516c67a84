//! The daemons' TOML files: read, checked and turned into what the machines and their drivers take.
//!
//! Every mistake is reported with its file, line, column and key and with what to write instead ([`ConfigError`]).
//! Checks of meaning stay few: what would make a daemon start and then not do what its operator meant.

mod endpoint;
mod error;
pub mod fep;
mod fields;
mod hosting;
pub mod labmand;
pub mod portman;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

pub use error::ConfigError;
use error::Source;
pub(crate) use fields::Every;

/// A runtime's URL on a command line, held to what the files may say.
pub fn runtime_url(text: &str) -> Result<String, String> {
    text.parse::<fields::RuntimeUrl>().map(|url| url.0)
}

/// Reads and checks one file. `Err` names the place.
fn read<T: DeserializeOwned>(path: &Path) -> Result<(T, Source), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|why| ConfigError::Unreadable { path: path.to_path_buf(), why: why.to_string() })?;
    parse(path, text)
}

fn parse<T: DeserializeOwned>(path: &Path, text: String) -> Result<(T, Source), ConfigError> {
    let source = Source { path: path.to_path_buf(), text };
    match toml::from_str(&source.text) {
        Ok(file) => Ok((file, source)),
        Err(error) => Err(source.fault(error.span(), error.message())),
    }
}

impl Source {
    /// A path in the file, taken relative to the file's own directory: a daemon finds its data wherever it was started.
    fn resolve(&self, path: &Path) -> PathBuf {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        // A bare `labman.toml` has the empty path for its parent; joining to that changes nothing.
        directory.join(path)
    }
}
