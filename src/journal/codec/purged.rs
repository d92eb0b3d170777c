//! What was purged, to and from its message.

use super::{
    super::Purged,
    envelope::Fault,
    parts::{operation_from_proto, operation_to_proto},
};
use crate::{
    domain::{JobId, PurgedJob, Tenant},
    proto::storage,
};

/// The message of it.
pub(super) fn to_proto(purged: &Purged) -> storage::Purged {
    let job = |job: &PurgedJob| storage::PurgedJob {
        job_id: job.id.as_bytes().to_vec(),
        tenant: job.tenant.as_str().to_owned(),
        operation: operation_to_proto(job.operation),
    };
    storage::Purged {
        jobs: purged.jobs,
        events: purged.events,
        jobs_before_us: purged.jobs_before_us,
        reports_before_us: purged.reports_before_us,
        newest: purged.newest.iter().map(job).collect(),
    }
}

/// What the message says.
pub(super) fn from_proto(message: storage::Purged) -> Result<Purged, Fault> {
    let job = |job: storage::PurgedJob| -> Result<PurgedJob, Fault> {
        let id = job.job_id.try_into().map_err(|_| "a job id does not have 16 bytes")?;
        Ok(PurgedJob {
            id: JobId::from_bytes(id),
            tenant: Tenant::new(&job.tenant).map_err(|_| "a tenant is not a name")?,
            operation: operation_from_proto(job.operation)?,
        })
    };
    Ok(Purged {
        jobs: message.jobs,
        events: message.events,
        jobs_before_us: message.jobs_before_us,
        reports_before_us: message.reports_before_us,
        newest: message.newest.into_iter().map(job).collect::<Result<_, _>>()?,
    })
}
