//! Events to and from their message.

use super::{
    envelope::Fault,
    parts::{
        applied_from_proto, applied_to_proto, failure_from_proto, failure_to_proto,
        outcome_from_proto, outcome_to_proto, some_failure, submitted_from_proto,
        submitted_to_proto, validated_from_proto, validated_to_proto,
    },
};
use crate::{
    domain::{Ending, Event, EventKind, JobId},
    proto::storage::{self, event::Kind},
};

/// The message of an event.
pub(super) fn to_proto(event: &Event) -> storage::Event {
    let kind = match &event.kind {
        EventKind::Submitted(spec) => Kind::Submitted(submitted_to_proto(spec)),
        EventKind::DeQueued => Kind::DeQueued(storage::DeQueued {}),
        EventKind::ValidationStarted => Kind::ValidationStarted(storage::ValidationStarted {}),
        EventKind::ValidationAdvanced(at) => {
            Kind::ValidationAdvanced(storage::ValidationAdvanced {
                at: Some(validated_to_proto(at)),
            })
        }
        EventKind::ProcessingStarted { validated, warnings } => {
            Kind::ProcessingStarted(storage::ProcessingStarted {
                validated: Some(validated_to_proto(validated)),
                warnings: warnings.clone(),
            })
        }
        EventKind::ProcessingAdvanced(at) => {
            Kind::ProcessingAdvanced(storage::ProcessingAdvanced { at: Some(applied_to_proto(at)) })
        }
        EventKind::Completed(ending) => Kind::Completed(ending_to_proto(ending)),
        EventKind::CancelRequested => Kind::CancelRequested(storage::CancelRequested {}),
        EventKind::AttemptStarted => Kind::AttemptStarted(storage::AttemptStarted {}),
        EventKind::AttemptFailed { failure, retry_at_us } => {
            Kind::AttemptFailed(storage::AttemptFailed {
                failure: Some(failure_to_proto(failure)),
                retry_at_us: *retry_at_us,
            })
        }
        EventKind::Held(failure) => {
            Kind::Held(storage::Held { failure: Some(failure_to_proto(failure)) })
        }
        EventKind::Released => Kind::Released(storage::Released {}),
    };
    storage::Event { seq: event.seq, time_us: event.time_us, kind: Some(kind) }
}

/// The event of that job that the message says.
pub(super) fn from_proto(id: JobId, message: storage::Event) -> Result<Event, Fault> {
    let kind = match message.kind.ok_or("its kind is unknown")? {
        Kind::Submitted(spec) => EventKind::Submitted(Box::new(submitted_from_proto(id, spec)?)),
        Kind::DeQueued(_) => EventKind::DeQueued,
        Kind::ValidationStarted(_) => EventKind::ValidationStarted,
        Kind::ValidationAdvanced(m) => EventKind::ValidationAdvanced(validated_from_proto(m.at)?),
        Kind::ProcessingStarted(m) => EventKind::ProcessingStarted {
            validated: validated_from_proto(m.validated)?,
            warnings: m.warnings,
        },
        Kind::ProcessingAdvanced(m) => EventKind::ProcessingAdvanced(applied_from_proto(m.at)?),
        Kind::Completed(m) => EventKind::Completed(Box::new(ending_from_proto(m)?)),
        Kind::CancelRequested(_) => EventKind::CancelRequested,
        Kind::AttemptStarted(_) => EventKind::AttemptStarted,
        Kind::AttemptFailed(m) => EventKind::AttemptFailed {
            failure: some_failure(m.failure)?,
            retry_at_us: m.retry_at_us,
        },
        Kind::Held(m) => EventKind::Held(some_failure(m.failure)?),
        Kind::Released(_) => EventKind::Released,
    };
    Ok(Event { seq: message.seq, time_us: message.time_us, kind })
}

fn ending_to_proto(ending: &Ending) -> storage::Completed {
    storage::Completed {
        outcome: outcome_to_proto(Some(ending.outcome)),
        validated: Some(validated_to_proto(&ending.validated)),
        applied: Some(applied_to_proto(&ending.applied)),
        report_length: ending.report_length,
        report_crc: ending.report_crc,
        failure: ending.failure.as_ref().map(failure_to_proto),
    }
}

fn ending_from_proto(message: storage::Completed) -> Result<Ending, Fault> {
    Ok(Ending {
        outcome: outcome_from_proto(message.outcome)?.ok_or("its outcome is missing")?,
        validated: validated_from_proto(message.validated)?,
        applied: applied_from_proto(message.applied)?,
        report_length: message.report_length,
        report_crc: message.report_crc,
        failure: message.failure.map(failure_from_proto).transpose()?,
    })
}
