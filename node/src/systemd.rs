//! What systemd is told of a daemon: that it is up, that it goes, and that its machine goes on. Elsewhere nobody listens.

use labman_io_tokio::Heartbeat;
use sd_notify::NotifyState;

pub(crate) fn ready() {
    tell(NotifyState::Ready);
}

pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

/// If the unit has a watchdog: at half of its time.
pub(crate) fn heartbeat() -> Option<Heartbeat> {
    let every = sd_notify::watchdog_enabled()? / 2;
    Some(Heartbeat { every, beat: || tell(NotifyState::Watchdog) })
}

/// Fails only where nobody listens.
fn tell(state: NotifyState<'_>) {
    let _ = sd_notify::notify(&[state]);
}
