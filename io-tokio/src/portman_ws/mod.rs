//! The socket between a Portman and its labman: a WebSocket that carries exactly one stream, opened by the Portman.
//!
//! What a machine sends goes as text messages, several sends in one where they come together. A stream's end is the socket's
//! end: close code 1000 where it finished, 4000 and the reset code where it was reset.

mod client;
mod inside;
mod server;
mod socket;

pub(crate) use client::dial;
pub use inside::{Door, WayIn, door};
pub(crate) use server::serve;
