//! Drives labman's machines on a virtual clock: the same `Node`, `Portman`, `Portal` and `Toy` that the daemons run.
//!
//! From the bottom up: [`engine`] orders events in virtual time and knows nothing else; [`host`] drives one machine as
//! strictly as its contract allows; [`world`] carries bytes between hosts.
//!
//! What is absent: a clock, threads, a real socket, and any second implementation of what a machine does.

pub mod clock;
pub mod disk;
pub mod engine;
pub mod host;
pub mod net;
pub mod trace;
pub mod world;
