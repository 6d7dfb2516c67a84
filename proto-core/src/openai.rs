//! The OpenAI HTTP surface: what may be asked, how it is answered, how errors look.
//!
//! Absent today: completions, embeddings, responses.

pub(crate) mod answer;
pub(crate) mod error;
pub(crate) mod models;
pub mod request;

pub mod sse;
