//! Ctrl-C, SIGTERM and SIGHUP: each asks this process to end in order.

use std::future::{pending, poll_fn};
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Handlers that are in place, so that no signal from now on ends the process in the middle of something.
pub struct Shutdown {
    signals: Vec<Signal>,
}

impl Shutdown {
    /// Installing one fails only where the process may have none; then the default, to die at once, stays.
    pub fn install() -> Self {
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        if !is_ignored(SignalKind::hangup()) {
            kinds.push(SignalKind::hangup());
        }
        Self { signals: kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect() }
    }

    /// Resolves when somebody asks this process to end, or has asked since the handlers are in place.
    pub async fn asked(&mut self) {
        if self.signals.is_empty() {
            return pending().await;
        }
        poll_fn(|cx| {
            let asked = self.signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
            if asked { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// What `nohup` has arranged is left as it is.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}
