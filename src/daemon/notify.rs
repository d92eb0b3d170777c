//! What the service manager is told, where one asks (`NOTIFY_SOCKET`, `sd_notify(3)`): ready, draining, and
//! alive, again and again.

use std::time::Duration;

use sd_notify::NotifyState;

/// Tells the service manager. Where there is none, nothing happens.
pub(super) fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// How often to say that the daemon is alive: half of the time after which the service manager ends one that is
/// silent. `None` where it does not watch.
pub(super) fn pulse() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|most| most / 2).filter(|pulse| !pulse.is_zero())
}
