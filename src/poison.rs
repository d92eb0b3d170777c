//! Fail-stop as a value: once tripped, nothing is acknowledged any more and the process exits 70.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::limits::{LOOKOUT_END, LOOKOUT_INTERVAL};

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

    /// Asks a store again and again whether it has failed, on a thread of its own; trips when it has.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn look_out<E: std::fmt::Display>(
        &self,
        name: &str,
        failure: impl Fn() -> Result<(), E> + Send + 'static,
    ) -> io::Result<Lookout> {
        let (stop, stopped) = channel();
        let poison = self.clone();
        let look = move || {
            while stopped.recv_timeout(LOOKOUT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if let Err(error) = failure() {
                    return poison.trip(error.to_string());
                }
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(look)?;
        Ok(Lookout { stop: Some(stop), thread })
    }

    /// A guard that trips when the thread that holds it panics.
    #[must_use]
    pub fn guard(&self, what: &'static str) -> PanicGuard {
        PanicGuard { poison: self.clone(), what }
    }
}

/// The thread of [`Poison::look_out`]; it ends when this is dropped.
#[derive(Debug)]
pub struct Lookout {
    stop: Option<Sender<()>>,
    thread: JoinHandle<()>,
}

impl Drop for Lookout {
    fn drop(&mut self) {
        drop(self.stop.take());
        // So that it has let go of the store. Where the store keeps it, nobody waits with it.
        let deadline = Instant::now() + LOOKOUT_END;
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
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
    fn a_store_that_has_failed_trips_and_is_let_go_of() {
        let (poison, store) = (Poison::default(), Arc::new(watch::Sender::new(Ok(()))));
        let asked = Arc::clone(&store);
        let lookout = poison.look_out("lookout", move || *asked.borrow()).unwrap();
        thread::sleep(2 * LOOKOUT_INTERVAL);
        assert!(!poison.is_tripped());
        assert!(store.send_replace(Err("a write failed")).is_ok());
        let deadline = Instant::now() + 10 * LOOKOUT_INTERVAL;
        while !poison.is_tripped() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(poison.reason().as_deref(), Some("a write failed"));
        drop(lookout);
        assert_eq!(Arc::strong_count(&store), 1);
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
