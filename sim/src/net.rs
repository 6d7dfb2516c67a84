//! The simulated network: how long things take on it, and what a stream and a link are.
//!
//! What is absent: loss, partitions, NAT, bandwidth.

pub mod latency;
pub mod link;
pub mod stream;
