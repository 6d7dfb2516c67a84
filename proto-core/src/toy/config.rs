//! How the toy behaves.

use alloc::string::String;

use crate::rng::Stream;
use crate::time::Span;

#[derive(Clone, Debug)]
pub struct Config {
    /// The name it lists its one model under.
    pub model: String,
    /// In tokens (words).
    pub context_length: u32,
    /// Time from one token to the next, and before the first.
    pub token_every: Span,
    /// Time for each token of the prompt, before the answer begins.
    pub prompt_token_every: Span,
    /// Time for each answer before it begins, besides.
    pub thinks: Thinks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinks {
    Constant(Span),
    /// Drawn for each answer, with this mean.
    Exponential(Span),
}

/// At a pace that eyes can follow, and without a thought.
impl Default for Config {
    fn default() -> Self {
        Self {
            model: "labman-toy".into(),
            context_length: 4096,
            token_every: Span::from_millis(20),
            prompt_token_every: Span::default(),
            thinks: Thinks::default(),
        }
    }
}

impl Default for Thinks {
    fn default() -> Self {
        Self::Constant(Span::default())
    }
}

impl Thinks {
    pub(super) fn draw(self, from: &mut Stream) -> Span {
        match self {
            Self::Constant(span) => span,
            Self::Exponential(mean) => from.exponential(mean),
        }
    }
}
