//! A worker takes a job.

use super::Command;
use crate::{
    domain::{EventKind, Failure, Job, Status},
    error::Code,
};

/// Starts a job, or another attempt at it. The attempt is counted before it is made, so that a job
/// that takes the process down with it is not tried for ever.
pub struct Claim {
    /// Attempts without progress after which the job is held.
    pub attempts_max: u32,
}

impl Command for Claim {
    fn apply(self, job: &Job) -> Vec<EventKind> {
        if job.is_terminal() || job.held || job.cancel_requested {
            return Vec::new();
        }
        if job.status() != Status::Queued && job.attempt >= self.attempts_max {
            let text = format!("{} attempts ended without progress", job.attempt);
            return vec![EventKind::Held(Failure::new(Code::JobHeld, text))];
        }
        match job.status() {
            Status::Queued => vec![EventKind::DeQueued, EventKind::ValidationStarted],
            Status::DeQueued => vec![EventKind::AttemptStarted, EventKind::ValidationStarted],
            _ => vec![EventKind::AttemptStarted],
        }
    }
}
