//! How the toy behaves.

use alloc::{string::String, vec, vec::Vec};

use crate::rng::Stream;
use crate::time::Span;

#[derive(Clone, Debug)]
pub struct Config {
    /// What it has, by name. A single one is always in memory.
    pub models: Vec<String>,
    /// Of several: those that are in memory when it starts, as far as there is room.
    pub loaded: Vec<String>,
    /// How many of several are in memory at once, and how long one takes to get there.
    pub room: usize,
    pub load_takes: Span,
    /// In tokens (words).
    pub context_length: u32,
    /// Time from one token to the next, and before the first, where nothing else is said of that.
    pub token_every: Span,
    pub first_token: Option<Span>,
    /// Time from the last token to the answer's end.
    pub ends_after: Span,
    /// Time for each token of the prompt, before the answer begins.
    pub prompt_token_every: Span,
    /// Time for each answer before it begins, besides.
    pub thinks: Thinks,
    /// Of a thousand answers so many are an error instead, drawn for each.
    pub fails: u32,
    /// It passes for the model whose name it has, and is another one, which says as many words in another order.
    pub impostor: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinks {
    Constant(Span),
    /// Drawn for each answer, with this mean.
    Exponential(Span),
}

/// One model, at a pace that eyes can follow, and without a thought.
impl Default for Config {
    fn default() -> Self {
        Self {
            models: vec!["labman-toy".into()],
            loaded: Vec::new(),
            room: usize::MAX,
            load_takes: Span::from_secs(2),
            context_length: 4096,
            token_every: Span::from_millis(20),
            first_token: None,
            ends_after: Span::default(),
            prompt_token_every: Span::default(),
            thinks: Thinks::default(),
            fails: 0,
            impostor: false,
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
