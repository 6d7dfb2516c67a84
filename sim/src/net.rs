//! The simulated network: how long things take on it, what goes wrong on it, and what a stream and a link are.

pub mod conditions;
pub mod geography;
pub mod latency;
pub mod link;
pub mod stream;
pub mod table;
