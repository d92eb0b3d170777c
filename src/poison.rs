//! Fail-stop as a value: once tripped, nothing is acknowledged any more and the process exits 70.

use std::sync::Arc;

use tokio::sync::watch;

/// Shared by everything that writes durably.
#[derive(Clone, Debug)]
pub struct Poison {
    reason: Arc<watch::Sender<Option<String>>>,
}

impl Default for Poison {
    fn default() -> Self {
        Self { reason: Arc::new(watch::Sender::new(None)) }
    }
}

impl Poison {
    /// Stops the process for that reason; the first one counts.
    pub fn trip(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.reason.send_if_modified(|current| {
            if current.is_some() {
                return false;
            }
            tracing::error!(%reason, "storage failed, the process stops");
            *current = Some(reason);
            true
        });
    }

    /// Why the process stops, if it does.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.reason.borrow().clone()
    }

    /// Whether the process stops.
    #[must_use]
    pub fn is_tripped(&self) -> bool {
        self.reason.borrow().is_some()
    }

    /// Waits until tripped; returns the reason.
    pub async fn tripped(&self) -> String {
        let mut receiver = self.reason.subscribe();
        loop {
            if let Some(reason) = receiver.borrow_and_update().clone() {
                return reason;
            }
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// A guard that trips when the thread that holds it panics.
    #[must_use]
    pub fn guard(&self, what: &'static str) -> PanicGuard {
        PanicGuard { poison: self.clone(), what }
    }
}

/// Trips its [`Poison`] when dropped by a panic.
#[derive(Debug)]
pub struct PanicGuard {
    poison: Poison,
    what: &'static str,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.poison.trip(format!("{} panicked", self.what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts() {
        let poison = Poison::default();
        assert!(!poison.is_tripped());
        poison.trip("one");
        poison.trip("two");
        assert_eq!(poison.reason().as_deref(), Some("one"));
    }

    #[test]
    fn a_panic_trips() {
        let poison = Poison::default();
        let guard = poison.guard("committer");
        let thread = std::thread::spawn(move || {
            let _guard = guard;
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert_eq!(poison.reason().as_deref(), Some("committer panicked"));
    }
}
