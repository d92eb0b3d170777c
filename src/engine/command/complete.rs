//! A job ends.

use super::Command;
use crate::{
    activity::Validation,
    domain::{Ending, EventKind, Job, Outcome},
};

/// Ends the job. A cancel that was accepted while the last rows were applied still counts: whoever
/// was told that the job is cancelled finds it so.
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
    if job.cancel_requested && ending.outcome != Outcome::Failed {
        ending.outcome = Outcome::Cancelled;
    }
    EventKind::Completed(Box::new(ending))
}
