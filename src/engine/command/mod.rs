//! What can be decided about a job, one command a file. Each looks at the newest committed state, on the
//! committer's thread, and says which events follow; none where there is nothing to do.

mod cancel;
mod checkpoint;
mod claim;
mod complete;
mod postpone;
mod release;

pub use cancel::Cancel;
pub use checkpoint::Checkpoint;
pub use claim::Claim;
pub use complete::{Complete, Process};
pub use postpone::{Backoff, Postpone};
pub use release::Release;

#[cfg(test)]
mod tests;

use crate::{
    domain::{EventKind, Job},
    journal::Decision,
};

/// A decision about one job.
pub trait Command: Send + 'static {
    /// The events that follow.
    fn apply(self, job: &Job) -> Vec<EventKind>;
}

/// Attempts that a job may have, of which so many are configured. A cancel gives it as many again
/// to come to its end.
pub fn attempts_allowed(job: &Job, configured: u32) -> u32 {
    if job.cancel_requested { configured.saturating_mul(2) } else { configured }
}

/// The command in the form that the journal's committer takes.
pub fn decision(command: impl Command) -> Decision {
    Box::new(move |job| command.apply(job))
}
