//! An operator releases a held job.

use super::Command;
use crate::domain::{EventKind, Job};

/// Gives a held job a new round of attempts. One that is not held stays as it is.
pub struct Release;

impl Command for Release {
    fn apply(self, job: &Job) -> Vec<EventKind> {
        if job.held { vec![EventKind::Released] } else { Vec::new() }
    }
}
