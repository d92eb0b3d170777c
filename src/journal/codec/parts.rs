//! The messages that events and jobs share.

use super::{date, envelope::Fault};
use crate::{
    cvrs::{Profile, Rules},
    domain::{
        Applied, Face, Failure, JobId, MediaType, Operation, Origin, Outcome, Payload, PerStorage,
        StorageSet, Submitted, Tenant, Trace, Validated,
    },
    error::Code,
    proto::storage,
};

/// The content of the submit event.
pub(super) fn submitted_to_proto(spec: &Submitted) -> storage::Submitted {
    storage::Submitted {
        job_id: spec.id.as_bytes().to_vec(),
        tenant: spec.tenant.as_str().to_owned(),
        client: spec.client.clone(),
        operation: operation_to_proto(spec.operation),
        storages: spec.storages.bits(),
        validate_only: spec.validate_only,
        request_id: spec.request_id.clone().unwrap_or_default(),
        media_type: match spec.payload.media_type {
            MediaType::Zip => 1,
            MediaType::Text => 2,
        },
        content_length: spec.payload.length,
        content_sha256: spec.payload.sha256.to_vec(),
        order: spec.order,
        rules: Some(rules_to_proto(&spec.rules)),
        inline: spec.payload.inline,
        origin: (spec.origin != Origin::default()).then(|| origin_to_proto(&spec.origin)),
    }
}

/// The content of the submit event of that job.
pub(super) fn submitted_from_proto(
    id: JobId,
    message: storage::Submitted,
) -> Result<Submitted, Fault> {
    if message.job_id != id.as_bytes() {
        return Err("its job id is not that of its key".into());
    }
    let sha256 =
        message.content_sha256.try_into().map_err(|_| "its content digest is not 32 bytes")?;
    Ok(Submitted {
        id,
        tenant: Tenant::new(&message.tenant).map_err(|_| "its tenant is not a name")?,
        client: message.client,
        operation: operation_from_proto(message.operation)?,
        storages: StorageSet::from_bits(message.storages).ok_or("a storage is unknown")?,
        validate_only: message.validate_only,
        request_id: Some(message.request_id).filter(|r| !r.is_empty()),
        payload: Payload {
            media_type: match message.media_type {
                1 => MediaType::Zip,
                2 => MediaType::Text,
                _ => return Err("its media type is unknown".into()),
            },
            length: message.content_length,
            sha256,
            inline: message.inline,
        },
        order: message.order,
        rules: rules_from_proto(message.rules.ok_or("its rules are missing")?)?,
        origin: message.origin.map(origin_from_proto).transpose()?.unwrap_or_default(),
    })
}

fn origin_to_proto(origin: &Origin) -> storage::Origin {
    let Origin { face, peer, forwarded, trace } = origin;
    storage::Origin {
        face: match face {
            None => 0,
            Some(Face::Grpc) => 1,
            Some(Face::Rest) => 2,
            Some(Face::Admin) => 3,
        },
        peer: peer.map(|peer| peer.to_string()).unwrap_or_default(),
        forwarded: forwarded.as_deref().unwrap_or_default().to_owned(),
        trace: trace.map(trace_to_proto).unwrap_or_default(),
    }
}

fn origin_from_proto(message: storage::Origin) -> Result<Origin, Fault> {
    let face = match message.face {
        0 => None,
        1 => Some(Face::Grpc),
        2 => Some(Face::Rest),
        3 => Some(Face::Admin),
        _ => return Err("its face is unknown".into()),
    };
    let peer = Some(message.peer).filter(|peer| !peer.is_empty());
    let peer = peer.map(|peer| peer.parse()).transpose();
    let origin = Origin {
        face,
        peer: peer.map_err(|_| "its peer is no address")?,
        forwarded: Some(message.forwarded).filter(|f| !f.is_empty()).map(Into::into),
        trace: trace_from_proto(&message.trace)?,
    };
    if origin == Origin::default() {
        return Err("its origin is none".into());
    }
    Ok(origin)
}

fn trace_to_proto(trace: Trace) -> Vec<u8> {
    let sampled = [u8::from(trace.sampled)];
    [&trace.id.to_be_bytes()[..], &trace.span.to_be_bytes(), &sampled].concat()
}

fn trace_from_proto(bytes: &[u8]) -> Result<Option<Trace>, Fault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let length = "its trace has another length";
    let (id, rest) = bytes.split_first_chunk().ok_or(length)?;
    let (span, rest) = rest.split_first_chunk().ok_or(length)?;
    let sampled = match rest {
        [0] => false,
        [1] => true,
        _ => return Err(length.into()),
    };
    let (id, span) = (u128::from_be_bytes(*id), u64::from_be_bytes(*span));
    if id == 0 || span == 0 {
        return Err("its trace is none".into());
    }
    Ok(Some(Trace { id, span, sampled }))
}

fn rules_to_proto(rules: &Rules) -> storage::Rules {
    storage::Rules {
        profile: match rules.profile {
            Profile::Dch2020 => 1,
            Profile::Dch2021 => 2,
            Profile::Strict => 3,
        },
        admin_date_min: date::to_days(rules.admin_date_min),
        admin_type_max: rules.admin_type_max,
        submission_date: date::to_days(rules.submission_date),
        future_tolerance_days: rules.future_tolerance_days,
    }
}

fn rules_from_proto(message: storage::Rules) -> Result<Rules, Fault> {
    let date = |days| date::from_days(days).ok_or("a date of its rules is out of range");
    Ok(Rules {
        profile: match message.profile {
            1 => Profile::Dch2020,
            2 => Profile::Dch2021,
            3 => Profile::Strict,
            _ => return Err("its profile is unknown".into()),
        },
        admin_date_min: date(message.admin_date_min)?,
        admin_type_max: message.admin_type_max,
        submission_date: date(message.submission_date)?,
        future_tolerance_days: message.future_tolerance_days,
    })
}

/// The number of an operation.
pub(super) fn operation_to_proto(operation: Operation) -> u32 {
    match operation {
        Operation::Create => 1,
        Operation::Update => 2,
        Operation::Delete => 3,
    }
}

/// The operation of that number.
pub(super) fn operation_from_proto(number: u32) -> Result<Operation, Fault> {
    match number {
        1 => Ok(Operation::Create),
        2 => Ok(Operation::Update),
        3 => Ok(Operation::Delete),
        _ => Err("its operation is unknown".into()),
    }
}

/// A point of validation.
pub(super) fn validated_to_proto(at: &Validated) -> storage::Validated {
    storage::Validated {
        line: at.line,
        rows: at.rows,
        rows_valid: at.rows_valid,
        errors: at.errors,
        keys_length: at.keys_length,
        report_length: at.report_length,
        report_crc: at.report_crc,
    }
}

/// A point of validation; it is never left out.
pub(super) fn validated_from_proto(
    message: Option<storage::Validated>,
) -> Result<Validated, Fault> {
    let at = message.ok_or("its point of validation is missing")?;
    Ok(Validated {
        line: at.line,
        rows: at.rows,
        rows_valid: at.rows_valid,
        errors: at.errors,
        keys_length: at.keys_length,
        report_length: at.report_length,
        report_crc: at.report_crc,
    })
}

/// A point of applying.
pub(super) fn applied_to_proto(at: &Applied) -> storage::Applied {
    let list = |counts: PerStorage<u64>| vec![counts.non_redacted, counts.redacted];
    storage::Applied {
        position: at.position,
        rows_applied: at.rows_applied,
        processed: list(at.processed),
        errors: list(at.errors),
    }
}

/// A point of applying; it is never left out.
pub(super) fn applied_from_proto(message: Option<storage::Applied>) -> Result<Applied, Fault> {
    let at = message.ok_or("its point of applying is missing")?;
    let counts = |list: &[u64]| match *list {
        [non_redacted, redacted] => Ok(PerStorage { non_redacted, redacted }),
        _ => Err("it does not count two storages"),
    };
    Ok(Applied {
        position: at.position,
        rows_applied: at.rows_applied,
        processed: counts(&at.processed)?,
        errors: counts(&at.errors)?,
    })
}

/// A code and a sentence.
pub(super) fn failure_to_proto(failure: &Failure) -> storage::Failure {
    storage::Failure { code: failure.code.as_str().to_owned(), message: failure.message.clone() }
}

/// A code and a sentence; the code must be one that this program knows.
pub(super) fn failure_from_proto(message: storage::Failure) -> Result<Failure, Fault> {
    let code = Code::from_text(&message.code).ok_or("the code of its failure is unknown")?;
    Ok(Failure { code, message: message.message })
}

/// A failure where there must be one.
pub(super) fn some_failure(message: Option<storage::Failure>) -> Result<Failure, Fault> {
    failure_from_proto(message.ok_or("its failure is missing")?)
}

/// The number of an outcome; 0 is none.
pub(super) fn outcome_to_proto(outcome: Option<Outcome>) -> u32 {
    match outcome {
        None => 0,
        Some(Outcome::Succeeded) => 1,
        Some(Outcome::Partial) => 2,
        Some(Outcome::Failed) => 3,
        Some(Outcome::Cancelled) => 4,
    }
}

/// The outcome of that number.
pub(super) fn outcome_from_proto(number: u32) -> Result<Option<Outcome>, Fault> {
    Ok(Some(match number {
        0 => return Ok(None),
        1 => Outcome::Succeeded,
        2 => Outcome::Partial,
        3 => Outcome::Failed,
        4 => Outcome::Cancelled,
        _ => return Err("its outcome is unknown".into()),
    }))
}
