//! What `demo` and `selftest` share: a daemon of their own, and a model that its results are held against.

pub mod check;
pub mod daemon;
pub mod model;

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the command is asked to end.
pub async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
