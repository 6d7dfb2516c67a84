//! How the toy behaves.

use alloc::string::String;

use crate::time::Span;

#[derive(Clone, Debug)]
pub struct Config {
    /// The name it lists its one model under.
    pub model: String,
    /// In tokens (words).
    pub context_length: u32,
    /// Time from one token to the next.
    pub token_every: Span,
}
