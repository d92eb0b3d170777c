//! A worker takes a job.

use super::{Command, attempts_allowed};
use crate::{
    domain::{EventKind, Failure, Job, Status},
    error::Code,
};

/// Starts a job, or another attempt at it. The attempt is counted before it is made, so that a job
/// that takes the process down with it is not tried for ever. A held job is tried again only after
/// a cancel.
pub struct Claim {
    /// Attempts without progress after which the job is held.
    pub attempts_max: u32,
}

impl Command for Claim {
    fn apply(self, job: &Job) -> Vec<EventKind> {
        let used_up = job.status() != Status::Queued
            && job.attempt >= attempts_allowed(job, self.attempts_max);
        if job.is_terminal() || job.held && (used_up || !job.cancel_requested) {
            return Vec::new();
        }
        if used_up {
            let text = format!("{} attempts ended without progress", job.attempt);
            return vec![EventKind::Held(Failure::new(Code::JobHeld, text))];
        }
        match job.status() {
            Status::Queued => vec![EventKind::DeQueued, EventKind::ValidationStarted],
            Status::DeQueued if !job.cancel_requested => {
                vec![EventKind::AttemptStarted, EventKind::ValidationStarted]
            }
            _ => vec![EventKind::AttemptStarted],
        }
    }
}
