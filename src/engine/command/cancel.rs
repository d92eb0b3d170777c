//! A caller cancels a job.

use super::Command;
use crate::domain::{Applied, Ending, EventKind, Job, Outcome, Status, Validated};

/// Ends a queued job at once; a running one is told and ends at its next batch.
pub struct Cancel;

impl Command for Cancel {
    fn apply(self, job: &Job) -> Vec<EventKind> {
        if job.is_terminal() || job.cancel_requested {
            return Vec::new();
        }
        let mut events = vec![EventKind::CancelRequested];
        if job.status() == Status::Queued {
            events.push(EventKind::Completed(Box::new(Ending {
                outcome: Outcome::Cancelled,
                validated: Validated::default(),
                applied: Applied::default(),
                report_length: 0,
                report_crc: 0,
                failure: None,
            })));
        }
        events
    }
}
