//! What is told of a job that is purged, so that the rest of it can be.

use super::{Job, JobId, Operation, Tenant};

/// A job that is out of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgedJob {
    /// Which one.
    pub id: JobId,
    /// Owner of its records.
    pub tenant: Tenant,
    /// What it did with them.
    pub operation: Operation,
}

impl From<&Job> for PurgedJob {
    fn from(job: &Job) -> Self {
        let spec = &job.spec;
        Self { id: spec.id, tenant: spec.tenant.clone(), operation: spec.operation }
    }
}
