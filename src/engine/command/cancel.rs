//! A caller cancels a job.

use super::Command;
use crate::{
    activity,
    domain::{EventKind, Job, Status},
};

/// Ends a queued job at once; a running one is told and ends at its next batch.
pub struct Cancel;

impl Command for Cancel {
    fn apply(self, job: &Job) -> Vec<EventKind> {
        if job.is_terminal() || job.cancel_requested {
            return Vec::new();
        }
        let mut events = vec![EventKind::CancelRequested];
        if job.status() == Status::Queued {
            events.push(EventKind::Completed(Box::new(activity::fail(None))));
        }
        events
    }
}
