//! labman's daemons: `labmand` (with its demo), `portman` and `labman-fep`.
//!
//! What is here: config files, sockets to listen on, signals, log lines, command lines, and the [`mesh`] that runs all of
//! it in one process. What is absent: every decision (in `labman-proto-core`) and every effect (in `labman-io-tokio`).

pub mod admin;
pub mod audit;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod init;
pub mod logging;
pub mod mesh;
pub mod openai;
pub mod signals;
mod systemd;
