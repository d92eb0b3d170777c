//! Telling a running step to stop.

use super::Error;
use crate::sync::atomic::{AtomicU8, Ordering};

/// Why a step is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The job was cancelled.
    Cancel,
    /// The daemon is draining.
    Drain,
}

const RUN: u8 = 0;
const CANCEL: u8 = 1;
const DRAIN: u8 = 2;

/// A flag that a step looks at between rows and batches.
#[derive(Debug, Default)]
pub struct Stop(AtomicU8);

impl Stop {
    /// Tells the step to stop. A drain wins over a cancel: the cancel is in the journal and is carried
    /// out when the job resumes.
    pub fn request(&self, reason: StopReason) {
        match reason {
            StopReason::Drain => self.0.store(DRAIN, Ordering::Release),
            StopReason::Cancel => {
                // A drain that came first stays.
                let _ = self.0.compare_exchange(RUN, CANCEL, Ordering::AcqRel, Ordering::Acquire);
            }
        }
    }

    /// Whether and why to stop.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        match self.0.load(Ordering::Acquire) {
            CANCEL => Some(StopReason::Cancel),
            DRAIN => Some(StopReason::Drain),
            _ => None,
        }
    }

    /// Goes on, or says why not.
    ///
    /// # Errors
    /// [`Error::Stopped`] once told to stop.
    pub fn check(&self) -> Result<(), Error> {
        self.reason().map_or(Ok(()), |reason| Err(Error::Stopped(reason)))
    }
}
