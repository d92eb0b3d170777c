//! A job ends.

use super::Command;
use crate::{
    activity,
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
        let mut ending = self.0;
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
        vec![EventKind::Completed(Box::new(ending))]
    }
}
