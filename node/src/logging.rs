//! Log lines on stderr: `info` and above, or what RUST_LOG says.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// To be called once, first. `default`: what is logged where RUST_LOG is not set.
pub fn start(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
