//! Telling a running step to stop.

use super::Error;
use crate::sync::atomic::{AtomicU8, Ordering};

/// Why a step is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The job was cancelled.
    Cancel,
    /// An operator paused the lane.
    Pause,
    /// The daemon is draining.
    Drain,
}

const RUN: u8 = 0;
const CANCEL: u8 = 1;
const DRAIN: u8 = 2;
const PAUSE: u8 = 3;

/// A flag that a step looks at between rows and batches.
#[derive(Debug, Default)]
pub struct Stop(AtomicU8);

impl Stop {
    /// Tells the step to stop. A drain wins over a cancel: the cancel is in the journal and is carried
    /// out when the job resumes. A cancel wins over a pause.
    pub fn request(&self, reason: StopReason) {
        match reason {
            StopReason::Drain => self.0.store(DRAIN, Ordering::Release),
            StopReason::Cancel => {
                // A drain that came first stays.
                self.replace(RUN, CANCEL);
                self.replace(PAUSE, CANCEL);
            }
            // Whatever came first stays.
            StopReason::Pause => self.replace(RUN, PAUSE),
        }
    }

    /// Whether and why to stop.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        match self.0.load(Ordering::Acquire) {
            CANCEL => Some(StopReason::Cancel),
            PAUSE => Some(StopReason::Pause),
            DRAIN => Some(StopReason::Drain),
            _ => None,
        }
    }

    fn replace(&self, from: u8, to: u8) {
        let _ = self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Goes on, or says why not.
    ///
    /// # Errors
    /// [`Error::Stopped`] once told to stop.
    pub fn check(&self) -> Result<(), Error> {
        self.reason().map_or(Ok(()), |reason| Err(Error::Stopped(reason)))
    }
}
