//! Jobs to and from their message.

use super::{
    envelope::Fault,
    parts::{
        applied_from_proto, applied_to_proto, failure_from_proto, failure_to_proto,
        outcome_from_proto, outcome_to_proto, submitted_from_proto, submitted_to_proto,
        validated_from_proto, validated_to_proto,
    },
};
use crate::{
    domain::{Job, JobId, Status},
    proto::storage,
};

/// The message of a job. A time that is not set is stored as 0; the committer sets none that is.
pub(super) fn to_proto(job: &Job) -> storage::Job {
    storage::Job {
        submitted: Some(submitted_to_proto(&job.spec)),
        status: match job.status() {
            Status::Queued => 1,
            Status::DeQueued => 2,
            Status::Validating => 3,
            Status::Processing => 4,
            Status::Completed => 5,
        },
        outcome: outcome_to_proto(job.outcome()),
        seq: job.seq,
        submit_time_us: job.submit_time_us,
        start_time_us: job.start_time_us.unwrap_or_default(),
        end_time_us: job.end_time_us.unwrap_or_default(),
        update_time_us: job.update_time_us,
        validated: Some(validated_to_proto(&job.validated)),
        applied: Some(applied_to_proto(&job.applied)),
        warnings: job.warnings.clone(),
        cancel_requested: job.cancel_requested,
        attempt: job.attempt,
        retry_at_us: job.retry_at_us.unwrap_or_default(),
        held: job.held,
        failure: job.failure.as_ref().map(failure_to_proto),
        checkpoints: job.checkpoints,
        report_length: job.report_length,
        report_crc: job.report_crc,
    }
}

/// The job of that id that the message says.
pub(super) fn from_proto(id: JobId, message: storage::Job) -> Result<Job, Fault> {
    let spec = submitted_from_proto(id, message.submitted.ok_or("its submit is missing")?)?;
    let status = match message.status {
        1 => Status::Queued,
        2 => Status::DeQueued,
        3 => Status::Validating,
        4 => Status::Processing,
        5 => Status::Completed,
        _ => return Err("its status is unknown".into()),
    };
    let outcome = outcome_from_proto(message.outcome)?;
    if outcome.is_some() != (status == Status::Completed) {
        return Err("its status and outcome disagree".into());
    }
    let set = |time_us: i64| Some(time_us).filter(|t| *t != 0);
    let mut job = Job::stored(spec, status, outcome);
    job.seq = message.seq;
    job.submit_time_us = message.submit_time_us;
    job.start_time_us = set(message.start_time_us);
    job.end_time_us = set(message.end_time_us);
    job.update_time_us = message.update_time_us;
    job.validated = validated_from_proto(message.validated)?;
    job.applied = applied_from_proto(message.applied)?;
    job.warnings = message.warnings;
    job.cancel_requested = message.cancel_requested;
    job.attempt = message.attempt;
    job.retry_at_us = set(message.retry_at_us);
    job.held = message.held;
    job.failure = message.failure.map(failure_from_proto).transpose()?;
    job.checkpoints = message.checkpoints;
    job.report_length = message.report_length;
    job.report_crc = message.report_crc;
    Ok(job)
}
