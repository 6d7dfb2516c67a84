//! `portman.toml`: a Portman that runs alone, and what one embedded in `labmand` shares with it.

use std::path::Path;

use labman_proto_core::portman;
use serde::Deserialize;
use toml::Spanned;

use super::error::Source;
use super::fields::RuntimeUrl;
use super::{ConfigError, parse, read};

/// Long enough that nobody guesses it.
const TOKEN_CHARS: usize = 16;
const SLOTS: u32 = 4;
const CONTEXT_LENGTH: u32 = 8192;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    labman_url: Spanned<String>,
    token: Spanned<String>,
    runtime: Runtime,
}

/// An OpenAI-compatible runtime.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with url = \"http://127.0.0.1:11434/v1\" in it")]
pub(super) struct Runtime {
    url: RuntimeUrl,
    key: Option<String>,
    slots: Option<Spanned<u32>>,
    context_length: Option<u32>,
}

/// Reads `portman.toml`.
pub fn read_portman(path: &Path) -> Result<portman::config::Config, ConfigError> {
    let (file, source) = read::<File>(path)?;
    file.checked(&source)
}

/// The text of a `portman.toml`; `path` is what errors call it.
pub fn parse_portman(path: &Path, text: String) -> Result<portman::config::Config, ConfigError> {
    let (file, source) = parse::<File>(path, text)?;
    file.checked(&source)
}

impl File {
    fn checked(self, source: &Source) -> Result<portman::config::Config, ConfigError> {
        let token = checked_token(&self.token, source)?;
        let url = self.labman_url.get_ref();
        if !url.strip_prefix("ws://").is_some_and(|rest| rest.contains(':')) {
            let message = format!(
                "{url:?} is not a labman's Portman socket; write ws://host:port/, such as ws://127.0.0.1:8765/"
            );
            return Err(source.fault(Some(self.labman_url.span()), &message));
        }
        self.runtime.portman(url.clone(), token, source)
    }
}

impl Runtime {
    pub(super) fn portman(
        &self,
        labman_url: String,
        token: String,
        source: &Source,
    ) -> Result<portman::config::Config, ConfigError> {
        if let Some(slots) = self.slots.as_ref().filter(|slots| *slots.get_ref() == 0) {
            return Err(source.fault(Some(slots.span()), "no slot means no work; write at least 1"));
        }
        Ok(portman::config::Config {
            labman_url,
            token,
            runtime_url: self.url.0.clone(),
            runtime_key: self.key.clone(),
            slots: self.slots.as_ref().map_or(SLOTS, |slots| *slots.get_ref()),
            context_length: self.context_length.unwrap_or(CONTEXT_LENGTH),
        })
    }
}

pub(super) fn checked_token(token: &Spanned<String>, source: &Source) -> Result<String, ConfigError> {
    if token.get_ref().chars().count() < TOKEN_CHARS {
        let message = "a token this short can be guessed; write at least 16 characters, the same at the labman and at \
                       its Portman (`labmand init --provider` makes one)";
        return Err(source.fault(Some(token.span()), message));
    }
    Ok(token.get_ref().clone())
}
