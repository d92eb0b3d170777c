//! A step reached a durable point, or went over to the next one.

use super::Command;
use crate::domain::{EventKind, Job};

/// Records the point; a job that ended meanwhile takes none.
pub struct Checkpoint(pub EventKind);

impl Command for Checkpoint {
    fn apply(self, job: &Job) -> Vec<EventKind> {
        if job.is_terminal() { Vec::new() } else { vec![self.0] }
    }
}
