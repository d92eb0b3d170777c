//! The domain's values as messages of the protocol, and back.

use prost_types::Timestamp;

use crate::{
    domain::{Failure, Job, JobId, Operation, Outcome, Status, StorageSet},
    engine::ReportRow,
    error::{Code, Error},
    proto::jobs as proto,
};

/// The job as callers see it.
pub(super) fn job(job: &Job) -> proto::Job {
    let spec = &job.spec;
    proto::Job {
        job_id: spec.id.to_string(),
        tenant: spec.tenant.to_string(),
        operation: operation(spec.operation).into(),
        status: status(job.status()).into(),
        outcome: job.outcome().map_or(proto::Outcome::Unspecified, outcome).into(),
        seq: job.seq,
        validate_only: spec.validate_only,
        request_id: spec.request_id.clone().unwrap_or_default(),
        media_type: spec.payload.media_type.as_str().to_owned(),
        content_length: spec.payload.length,
        content_sha256: spec.payload.sha256.to_vec(),
        submit_time: Some(timestamp(job.submit_time_us)),
        start_time: job.start_time_us.map(timestamp),
        end_time: job.end_time_us.map(timestamp),
        update_time: Some(timestamp(job.update_time_us)),
        rows: Some(rows(job)),
        storages: storages(job),
        failure: job.failure.as_ref().map(failure),
        warnings: job.warnings.clone(),
        cancel_requested: job.cancel_requested,
        attempt: job.attempt,
        retry_time: job.retry_at_us.map(timestamp),
        held: job.held,
    }
}

/// One error of the report.
pub(super) fn row_error(row: ReportRow) -> proto::RowError {
    let kind = match row.storage {
        None => proto::RowErrorKind::Validation,
        Some(_) => proto::RowErrorKind::Processing,
    };
    proto::RowError {
        line: row.line,
        kind: kind.into(),
        storage: row.storage.map(|s| s.to_string()).unwrap_or_default(),
        vax_event_id: row.vax_event_id,
        recip_id: row.recip_id,
        field: row.field,
        code: row.code,
        message: row.message,
    }
}

/// Microseconds since the Unix epoch as a timestamp.
pub(super) fn timestamp(time_us: i64) -> Timestamp {
    let micros = time_us.rem_euclid(1_000_000);
    Timestamp {
        seconds: time_us.div_euclid(1_000_000),
        nanos: i32::try_from(micros * 1_000).unwrap_or_default(),
    }
}

/// The job that a request names.
///
/// # Errors
/// [`Code::JobIdMalformed`] when it is not a hyphenated UUID.
pub(super) fn job_id(text: &str) -> Result<JobId, Error> {
    text.parse()
        .map_err(|_| Error::new(Code::JobIdMalformed, "the job id is not a hyphenated uuid"))
}

/// The status that a filter names; `None` where it is unspecified.
///
/// # Errors
/// [`Code::Parameter`] when the number means nothing.
pub(super) fn status_filter(number: i32) -> Result<Option<Status>, Error> {
    let named = proto::Status::try_from(number)
        .map_err(|_| Error::new(Code::Parameter, format!("status {number} is unknown")))?;
    Ok(Status::ALL.into_iter().find(|s| status(*s) == named))
}

/// The operation that a filter names; `None` where it is unspecified.
///
/// # Errors
/// [`Code::Parameter`] when the number means nothing.
pub(super) fn operation_filter(number: i32) -> Result<Option<Operation>, Error> {
    let named = proto::Operation::try_from(number)
        .map_err(|_| Error::new(Code::Parameter, format!("operation {number} is unknown")))?;
    Ok(Operation::ALL.into_iter().find(|o| operation(*o) == named))
}

/// A file that could not be read has no rows and one error, whatever was read before.
fn rows(job: &Job) -> proto::RowCounts {
    if job.outcome() == Some(Outcome::Failed) {
        return proto::RowCounts { validation_errors: 1, ..Default::default() };
    }
    proto::RowCounts {
        total: job.validated.rows,
        valid: job.validated.rows_valid,
        validation_errors: job.validated.errors,
        processed: job.applied.position,
        applied: job.applied.rows_applied,
    }
}

fn storages(job: &Job) -> Vec<proto::StorageCounts> {
    let touched = if job.spec.validate_only { StorageSet::EMPTY } else { job.spec.storages };
    let counts = |storage| proto::StorageCounts {
        storage: storage_name(storage),
        records_processed: *job.applied.processed.get(storage),
        processing_errors: *job.applied.errors.get(storage),
    };
    touched.iter().map(counts).collect()
}

fn storage_name(storage: crate::domain::Storage) -> String {
    storage.as_str().to_owned()
}

fn failure(failure: &Failure) -> proto::Failure {
    proto::Failure { code: failure.code.as_str().to_owned(), message: failure.message.clone() }
}

fn operation(operation: Operation) -> proto::Operation {
    match operation {
        Operation::Create => proto::Operation::Create,
        Operation::Update => proto::Operation::Update,
        Operation::Delete => proto::Operation::Delete,
    }
}

fn status(status: Status) -> proto::Status {
    match status {
        Status::Queued => proto::Status::Queued,
        Status::DeQueued => proto::Status::DeQueued,
        Status::Validating => proto::Status::Validating,
        Status::Processing => proto::Status::Processing,
        Status::Completed => proto::Status::Completed,
    }
}

fn outcome(outcome: Outcome) -> proto::Outcome {
    match outcome {
        Outcome::Succeeded => proto::Outcome::Succeeded,
        Outcome::Partial => proto::Outcome::Partial,
        Outcome::Failed => proto::Outcome::Failed,
        Outcome::Cancelled => proto::Outcome::Cancelled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_microseconds_also_before_the_epoch() {
        assert_eq!(timestamp(1_500_000), Timestamp { seconds: 1, nanos: 500_000_000 });
        assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_999_000 });
        assert_eq!(timestamp(0), Timestamp { seconds: 0, nanos: 0 });
    }

    #[test]
    fn filters_take_every_named_value_and_refuse_unknown_numbers() {
        assert_eq!(status_filter(0).unwrap(), None);
        assert_eq!(operation_filter(0).unwrap(), None);
        for status in Status::ALL {
            assert_eq!(status_filter(super::status(status).into()).unwrap(), Some(status));
        }
        for operation in Operation::ALL {
            let number = super::operation(operation).into();
            assert_eq!(operation_filter(number).unwrap(), Some(operation));
        }
        assert_eq!(status_filter(6).unwrap_err().code, Code::Parameter);
        assert_eq!(operation_filter(-1).unwrap_err().code, Code::Parameter);
    }

    #[test]
    fn a_job_id_is_a_hyphenated_uuid() {
        let id = JobId::generate();
        assert_eq!(job_id(&id.to_string()).unwrap(), id);
        for bad in ["", "x", &id.to_string().replace('-', "")] {
            assert_eq!(job_id(bad).unwrap_err().code, Code::JobIdMalformed);
        }
    }
}
