//! What can happen to a job. A job is the fold of its events.

use super::{Failure, JobId, Operation, Origin, Outcome, PerStorage, StorageSet, Tenant};
use crate::cvrs::Rules;

/// One thing that happened to one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Number within the job: 1 is the submit, no number is left out.
    pub seq: u64,
    /// When it was committed, in microseconds since the Unix epoch. Never less than the event before.
    pub time_us: i64,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The job was accepted. Always and only event 1.
    Submitted(Box<Submitted>),
    /// A worker took the job.
    DeQueued,
    /// Validation began.
    ValidationStarted,
    /// Validation reached a durable point.
    ValidationAdvanced(Validated),
    /// Validation is done with these counts, and applying began.
    ProcessingStarted {
        /// Final counts of validation.
        validated: Validated,
        /// What was odd about the file, bounded by `limits::WARNINGS_MAX`.
        warnings: Vec<String>,
    },
    /// Applying reached a durable point of the record store.
    ProcessingAdvanced(Applied),
    /// The job ended.
    Completed(Box<Ending>),
    /// A cancel was accepted.
    CancelRequested,
    /// Another attempt began, after a failure or a restart.
    AttemptStarted,
    /// An attempt failed and another follows.
    AttemptFailed {
        /// Why.
        failure: Failure,
        /// When the next attempt starts, in microseconds since the Unix epoch.
        retry_at_us: i64,
    },
    /// The attempts are used up; the job waits for an operator.
    Held(Failure),
    /// An operator gave a held job a new round of attempts.
    Released,
}

impl EventKind {
    /// Name of the event, for logs and errors.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Submitted(_) => "submitted",
            Self::DeQueued => "de-queued",
            Self::ValidationStarted => "validation-started",
            Self::ValidationAdvanced(_) => "validation-advanced",
            Self::ProcessingStarted { .. } => "processing-started",
            Self::ProcessingAdvanced(_) => "processing-advanced",
            Self::Completed(_) => "completed",
            Self::CancelRequested => "cancel-requested",
            Self::AttemptStarted => "attempt-started",
            Self::AttemptFailed { .. } => "attempt-failed",
            Self::Held(_) => "held",
            Self::Released => "released",
        }
    }
}

/// What was accepted: never changes once the job exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Name of the job.
    pub id: JobId,
    /// Owner of the job and of the records it touches.
    pub tenant: Tenant,
    /// Name of the client that submitted it; empty for jobs of before clients had names.
    pub client: String,
    /// What is done with each row.
    pub operation: Operation,
    /// The storages it touches.
    pub storages: StorageSet,
    /// Rows are checked, none is applied.
    pub validate_only: bool,
    /// The caller's idempotency key.
    pub request_id: Option<String>,
    /// The body.
    pub payload: Payload,
    /// Place in the order of all submits; the journal's committer gives it.
    pub order: u64,
    /// The validation rules in force at submit; a resumed validation keeps them.
    pub rules: Rules,
    /// Where it was submitted from; nothing where it was stored before that was kept.
    pub origin: Origin,
}

/// A body that was taken, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What it is.
    pub media_type: MediaType,
    /// Bytes, after content decoding.
    pub length: u64,
    /// SHA-256 of those bytes.
    pub sha256: [u8; 32],
    /// It is small: the journal keeps it beside its job until that has ended. Others have a file.
    pub inline: bool,
}

/// The two media types that a body can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// `application/zip`.
    Zip,
    /// `text/plain`.
    Text,
}

impl MediaType {
    /// The registered name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zip => "application/zip",
            Self::Text => "text/plain",
        }
    }

    /// Reads a `Content-Type`; case and parameters are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        [Self::Zip, Self::Text].into_iter().find(|m| m.as_str().eq_ignore_ascii_case(essence))
    }
}

/// How far validation is; lengths are of durable bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validated {
    /// Newest line that is done; the header is line 1.
    pub line: u64,
    /// Data rows so far, valid or not.
    pub rows: u64,
    /// Rows without an error.
    pub rows_valid: u64,
    /// Errors so far.
    pub errors: u64,
    /// Bytes of the keys file.
    pub keys_length: u64,
    /// Bytes of the report.
    pub report_length: u64,
    /// CRC-32 of these bytes.
    pub report_crc: u32,
}

/// How far applying is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Valid rows that are done.
    pub position: u64,
    /// Rows that took effect in at least one storage.
    pub rows_applied: u64,
    /// Rows that took effect.
    pub processed: PerStorage<u64>,
    /// Rows that did not, each with a processing error.
    pub errors: PerStorage<u64>,
}

/// How a job ended, with its final counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub outcome: Outcome,
    /// Final counts of validation.
    pub validated: Validated,
    /// Final counts of applying.
    pub applied: Applied,
    /// Bytes of the complete report.
    pub report_length: u64,
    /// CRC-32 of the complete report.
    pub report_crc: u32,
    /// Why nothing was processed; only with [`Outcome::Failed`].
    pub failure: Option<Failure>,
}
