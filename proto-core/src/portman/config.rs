//! What a Portman is told by its operator.

use alloc::string::String;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Its labman's Portman socket, such as `ws://127.0.0.1:8765/`.
    pub labman_url: String,
    pub token: String,
    /// An OpenAI-compatible runtime, with its version path, such as `http://127.0.0.1:11434/v1`.
    pub runtime_url: String,
    pub runtime_key: Option<String>,
    /// Requests the runtime may run at once, per model.
    pub slots: u32,
    /// Used where the runtime does not tell a model's own, in tokens.
    pub context_length: u32,
}
