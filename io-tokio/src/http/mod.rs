//! HTTP/1.1 both ways: a server for the public and the admin surface, and a client for FEPs and runtimes.
//!
//! hyper parses and frames; what is ours is the accept loop with its limits, and the bodies with their credit.

mod body;
pub(crate) mod client;
mod head;
mod lengths;
mod limits;
pub(crate) mod listeners;
mod server;
mod stall;
mod tls;

pub(crate) use limits::{Connections, NoShare, Slot};
