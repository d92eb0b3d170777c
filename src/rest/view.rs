//! What a job looks like in JSON. The order of members is the documented one.

use serde::Serialize;

use super::inline::Inline;
use crate::{
    clock::rfc3339,
    domain::{Failure, Job, Outcome, Storage},
};

/// The six documented properties, all always present.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Six {
    id: String,
    status: &'static str,
    storage_result: Option<StorageResults>,
    total_records: Option<u64>,
    validation_errors: Option<Vec<String>>,
    validation_errors_count: Option<u64>,
}

/// The six and whether an entry was left out of their lists.
#[derive(Debug, Serialize)]
pub(super) struct Plain {
    #[serde(flatten)]
    six: Six,
    truncated: bool,
}

/// The documented answer to a synchronous upload.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Batch {
    id: String,
    storage_result: Option<StorageResults>,
    total_records: Option<u64>,
    validation_errors: Option<Vec<String>>,
    validation_errors_count: Option<u64>,
    truncated: bool,
}

/// The plain view and ours.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Full {
    #[serde(flatten)]
    plain: Plain,
    operation: &'static str,
    outcome: Option<&'static str>,
    seq: u64,
    submit_time: String,
    end_time: Option<String>,
    rows_valid: u64,
    rows_applied: u64,
    warnings: Vec<String>,
    failure: Option<FailureView>,
}

/// The full view after a cancel.
#[derive(Debug, Serialize)]
pub(super) struct Cancelled {
    #[serde(flatten)]
    full: Full,
    cancelled: bool,
}

/// One entry for each storage that the job touches; `{}` for a validate-only job.
#[derive(Debug, Serialize)]
struct StorageResults {
    #[serde(rename = "NON_REDACTED_DB", skip_serializing_if = "Option::is_none")]
    non_redacted: Option<StorageResult>,
    #[serde(rename = "REDACTED_DB", skip_serializing_if = "Option::is_none")]
    redacted: Option<StorageResult>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StorageResult {
    status: &'static str,
    records_processed: u64,
    processing_errors_count: u64,
    processing_errors: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct FailureView {
    code: &'static str,
    message: String,
}

impl Six {
    /// The properties with these lists; without any the lists are `null`.
    pub(super) fn new(job: &Job, lists: Option<Inline>) -> Self {
        let counted = job.is_validated();
        let (validation, processing) = match lists {
            Some(lists) => (Some(lists.validation), Some(lists.processing)),
            None => (None, None),
        };
        let [non_redacted, redacted] = match processing {
            Some(lists) => [Some(lists.non_redacted), Some(lists.redacted)],
            None => [None, None],
        };
        Self {
            id: job.spec.id.to_string(),
            status: job.status().as_str(),
            storage_result: job.is_terminal().then(|| StorageResults {
                non_redacted: result(job, Storage::NonRedacted, non_redacted),
                redacted: result(job, Storage::Redacted, redacted),
            }),
            total_records: counted.then(|| total_records(job)),
            validation_errors: validation.filter(|_| counted),
            validation_errors_count: counted.then(|| validation_errors(job)),
        }
    }
}

impl Batch {
    /// The answer for a finished job with these lists.
    pub(super) fn new(job: &Job, lists: Inline) -> Self {
        let truncated = lists.truncated;
        let six = Six::new(job, Some(lists));
        Self {
            id: six.id,
            storage_result: six.storage_result,
            total_records: six.total_records,
            validation_errors: six.validation_errors,
            validation_errors_count: six.validation_errors_count,
            truncated,
        }
    }
}

impl Plain {
    /// The view with these lists; without any the lists are `null` and count as left out.
    pub(super) fn new(job: &Job, lists: Option<Inline>) -> Self {
        let truncated = lists.as_ref().map_or(listed_errors(job) > 0, |l| l.truncated);
        Self { six: Six::new(job, lists), truncated }
    }
}

impl Full {
    /// The view with these lists; without any the lists are `null` and count as left out.
    pub(super) fn new(job: &Job, lists: Option<Inline>) -> Self {
        let failed = job.outcome() == Some(Outcome::Failed);
        Self {
            plain: Plain::new(job, lists),
            operation: job.spec.operation.as_str(),
            outcome: job.outcome().map(Outcome::as_str),
            seq: job.seq,
            submit_time: rfc3339(job.submit_time_us),
            end_time: job.end_time_us.map(rfc3339),
            rows_valid: if failed { 0 } else { job.validated.rows_valid },
            rows_applied: job.applied.rows_applied,
            warnings: job.warnings.clone(),
            failure: job.failure.as_ref().map(FailureView::new),
        }
    }
}

impl Cancelled {
    /// The full view and whether the cancel took effect.
    pub(super) fn new(job: &Job, lists: Option<Inline>, cancelled: bool) -> Self {
        Self { full: Full::new(job, lists), cancelled }
    }
}

impl FailureView {
    fn new(failure: &Failure) -> Self {
        Self { code: failure.code.as_str(), message: failure.message.clone() }
    }
}

/// How many entries the lists of the job's view hold when nothing is left out: validation errors
/// once validation is done, processing errors once the job is.
pub(super) fn listed_errors(job: &Job) -> u64 {
    if !job.is_validated() {
        return 0;
    }
    let errors = &job.applied.errors;
    let processing = if job.is_terminal() && !job.spec.validate_only {
        errors.non_redacted + errors.redacted
    } else {
        0
    };
    validation_errors(job) + processing
}

/// A file that could not be read has no rows and one error, whatever was read before.
fn total_records(job: &Job) -> u64 {
    if job.outcome() == Some(Outcome::Failed) { 0 } else { job.validated.rows }
}

fn validation_errors(job: &Job) -> u64 {
    if job.outcome() == Some(Outcome::Failed) { 1 } else { job.validated.errors }
}

fn result(job: &Job, storage: Storage, errors: Option<Vec<String>>) -> Option<StorageResult> {
    if job.spec.validate_only || !job.spec.storages.contains(storage) {
        return None;
    }
    let failed = job.outcome() == Some(Outcome::Failed);
    Some(StorageResult {
        status: if failed { "FAILED" } else { "SUCCESS" },
        records_processed: *job.applied.processed.get(storage),
        processing_errors_count: *job.applied.errors.get(storage),
        processing_errors: errors,
    })
}

#[cfg(test)]
pub(super) mod tests;
