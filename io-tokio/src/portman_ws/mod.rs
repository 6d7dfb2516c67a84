//! The socket between a Portman and its labman: a WebSocket that carries exactly one stream, opened by the Portman.
//!
//! Each send of a machine is one text message. A stream's end is the socket's end: close code 1000 where it finished, 4000
//! and the reset code where it was reset.

mod client;
mod server;
mod socket;

pub(crate) use client::dial;
pub(crate) use server::serve;
