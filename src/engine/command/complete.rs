//! A job ends.

use super::Command;
use crate::domain::{Ending, EventKind, Job, Outcome};

/// Ends the job. A cancel that was accepted while the last rows were applied still counts: whoever
/// was told that the job is cancelled finds it so.
pub struct Complete(pub Ending);

impl Command for Complete {
    fn apply(self, job: &Job) -> Vec<EventKind> {
        if job.is_terminal() {
            return Vec::new();
        }
        let mut ending = self.0;
        if job.cancel_requested && ending.outcome != Outcome::Failed {
            ending.outcome = Outcome::Cancelled;
        }
        vec![EventKind::Completed(Box::new(ending))]
    }
}
