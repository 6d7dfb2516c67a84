//! Log lines on stderr: `info` and above, or what RUST_LOG says.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

static ERRORS_ONLY: AtomicBool = AtomicBool::new(false);

/// To be called once, first. `default`: what is logged where RUST_LOG is not set.
pub fn start(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let hushed = dynamic_filter_fn(|meta, _| {
        *meta.level() <= LevelFilter::ERROR || !ERRORS_ONLY.load(Ordering::Relaxed)
    });
    tracing_subscriber::registry().with(lines.with_filter(hushed)).with(filter).init();
}

/// From now on only errors, unless RUST_LOG asks for more: for parts that are being taken down together, and miss each
/// other for good reason.
pub fn errors_only() {
    ERRORS_ONLY.store(std::env::var_os("RUST_LOG").is_none(), Ordering::Relaxed);
}
