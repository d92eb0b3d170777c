//! Notices a commit that does not come back.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{Error, spawn};
use crate::poison::Poison;

/// Looks at the running commit that many times within the longest time allowed.
const LOOKS: u32 = 8;

/// Trips the poison when a commit takes too long. Its thread ends when it is dropped.
pub(super) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Default)]
struct State {
    began: Option<Instant>,
    stop: bool,
}

impl Watchdog {
    /// Allows a commit that long.
    pub(super) fn start(stall: Duration, poison: Poison) -> Result<Self, Error> {
        let shared =
            Arc::new(Shared { state: Mutex::new(State::default()), stopped: Condvar::new() });
        let watched = Arc::clone(&shared);
        let thread = spawn("journal-watchdog", move || watched.watch(stall, &poison))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A commit begins.
    pub(super) fn began(&self) {
        self.shared.state().began = Some(Instant::now());
    }

    /// It came back.
    pub(super) fn ended(&self) {
        self.shared.state().began = None;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, stall: Duration, poison: &Poison) {
        let mut state = self.state();
        while !state.stop {
            if state.began.is_some_and(|began| began.elapsed() >= stall) {
                poison.trip(format!("a commit took more than {} ms", stall.as_millis()));
                return;
            }
            let waited = self.stopped.wait_timeout(state, stall / LOOKS);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.state().stop = true;
        self.shared.stopped.notify_all();
        if let Some(thread) = self.thread.take() {
            // Its only way to fail is a panic, which has been reported.
            let _ = thread.join();
        }
    }
}
