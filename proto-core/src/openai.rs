//! The OpenAI HTTP surface: what may be asked, how it is answered, how errors look.

pub mod sse;
