//! A job ends.

use super::Command;
use crate::{
    activity::{self, Validation},
    domain::{Applied, Ending, EventKind, Job, Outcome},
};

/// Ends the job. A cancel that was accepted while the last rows were applied, or while the file was
/// found to be unreadable, still counts: whoever was told that the job is cancelled finds it so.
pub struct Complete(pub Ending);

impl Command for Complete {
    fn apply(self, job: &Job) -> Vec<EventKind> {
        if job.is_terminal() {
            return Vec::new();
        }
        vec![completed(job, self.0)]
    }
}

/// Ends a job that was validated and applied in one go: it goes over to processing and ends at once. What
/// holds for a cancel is the same.
pub struct Process {
    /// What validation found.
    pub validation: Validation,
    /// How the job ends.
    pub ending: Ending,
}

impl Command for Process {
    fn apply(self, job: &Job) -> Vec<EventKind> {
        if job.is_terminal() {
            return Vec::new();
        }
        let Validation { validated, warnings } = self.validation;
        let started = EventKind::ProcessingStarted { validated, warnings };
        vec![started, completed(job, self.ending)]
    }
}

fn completed(job: &Job, mut ending: Ending) -> EventKind {
    if job.cancel_requested {
        match ending.outcome {
            // Nothing was applied of a file that failed.
            Outcome::Failed if job.is_validated() => {
                ending = activity::unlisted(job, Applied::default());
            }
            Outcome::Failed => ending = activity::fail(None),
            _ => ending.outcome = Outcome::Cancelled,
        }
    }
    EventKind::Completed(Box::new(ending))
}
