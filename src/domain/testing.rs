//! Jobs and legal events for the tests of every room.

use jiff::civil::Date;

use super::{
    Applied, Ending, Event, EventKind, Failure, Job, JobId, MediaType, Operation, Origin, Outcome,
    Payload, PerStorage, Status, Storage, StorageSet, Submitted, Tenant, Validated,
};
use crate::{
    cvrs::{Profile, Rules},
    error::Code,
};

/// A delete in both storages, that many submits after the first, without an idempotency key.
pub(crate) fn submitted(order: u64) -> Submitted {
    Submitted {
        id: JobId::generate(),
        tenant: Tenant::local(),
        client: String::new(),
        operation: Operation::Delete,
        storages: StorageSet::ALL,
        validate_only: false,
        request_id: None,
        payload: Payload {
            media_type: MediaType::Zip,
            length: 1_000,
            sha256: [7; 32],
            inline: false,
        },
        order,
        rules: Rules {
            profile: Profile::Dch2021,
            admin_date_min: Date::constant(2020, 12, 2),
            admin_type_max: 42,
            submission_date: Date::constant(2026, 11, 23),
            future_tolerance_days: 1,
        },
        origin: Origin::default(),
    }
}

/// The job right after its submit, and that event.
pub(crate) fn first(spec: Submitted) -> (Job, Event) {
    let event = Event { seq: 1, time_us: 1_000, kind: EventKind::Submitted(Box::new(spec)) };
    (Job::first(&event).unwrap(), event)
}

/// The event that follows the job's newest one.
pub(crate) fn event(job: &Job, kind: EventKind) -> Event {
    Event { seq: job.seq + 1, time_us: job.update_time_us + 1, kind }
}

/// The job after these further events.
pub(crate) fn fold(job: Job, kinds: impl IntoIterator<Item = EventKind>) -> Job {
    kinds.into_iter().fold(job, |job, kind| {
        let event = event(&job, kind);
        job.next(&event).unwrap()
    })
}

/// A failure as the engine would write it.
pub(crate) fn failure() -> Failure {
    Failure::new(Code::JobIo, "the report could not be written")
}

/// An event that may follow, drawn at random; `None` for a terminal job.
pub(crate) fn legal(job: &Job, rng: &mut fastrand::Rng) -> Option<EventKind> {
    if job.is_terminal() {
        return None;
    }
    if !job.cancel_requested && rng.u8(..10) == 0 {
        return Some(EventKind::CancelRequested);
    }
    if job.cancel_requested && rng.u8(..4) == 0 {
        return Some(cancelled(job, rng));
    }
    if job.status() == Status::Queued {
        return Some(EventKind::DeQueued);
    }
    if job.held && rng.bool() {
        return Some(EventKind::Released);
    }
    if job.held || job.retry_at_us.is_some() || rng.u8(..8) == 0 {
        return Some(EventKind::AttemptStarted);
    }
    match rng.u8(..16) {
        0 => return Some(EventKind::Held(failure())),
        1 => {
            let retry_at_us = job.update_time_us + 5;
            return Some(EventKind::AttemptFailed { failure: failure(), retry_at_us });
        }
        2 if job.applied.position == 0 => return Some(failed(job)),
        _ => {}
    }
    Some(match job.status() {
        Status::DeQueued => EventKind::ValidationStarted,
        Status::Validating if rng.bool() => EventKind::ValidationAdvanced(validated(job, rng)),
        Status::Validating => EventKind::ProcessingStarted {
            validated: validated(job, rng),
            warnings: (0..rng.usize(..3)).map(|n| format!("column {n} is ignored")).collect(),
        },
        _ if rng.bool() => EventKind::ProcessingAdvanced(applied(job, rng)),
        _ => completed(job, rng),
    })
}

fn validated(job: &Job, rng: &mut fastrand::Rng) -> Validated {
    let from = &job.validated;
    let rows = rng.u64(..50);
    let valid = rng.u64(..=rows);
    Validated {
        line: from.line.max(1) + rows,
        rows: from.rows + rows,
        rows_valid: from.rows_valid + valid,
        errors: from.errors + rows - valid,
        keys_length: from.keys_length + 20 * valid,
        report_length: from.report_length + 80 * (rows - valid),
        report_crc: from.report_crc,
    }
}

/// The job's point of applying after some more of its rows.
fn applied(job: &Job, rng: &mut fastrand::Rng) -> Applied {
    let position = rng.u64(job.applied.position..=job.validated.rows_valid);
    advanced(job, position, position, rng)
}

/// Moves to that position, with an outcome for that many rows.
fn advanced(job: &Job, position: u64, rows: u64, rng: &mut fastrand::Rng) -> Applied {
    let from = job.applied;
    let storages = if job.spec.validate_only { StorageSet::EMPTY } else { job.spec.storages };
    let mut to = Applied { position, ..from };
    let mut least = 0;
    let mut most = 0;
    for storage in storages.iter() {
        let before = from.processed.get(storage) + from.errors.get(storage);
        let took = rng.u64(..=rows - before);
        *to.processed.get_mut(storage) += took;
        *to.errors.get_mut(storage) += rows - before - took;
        least = least.max(took);
        most += took;
    }
    to.rows_applied += least;
    assert!(most >= least);
    to
}

fn completed(job: &Job, rng: &mut fastrand::Rng) -> EventKind {
    let rows = job.validated.rows_valid;
    let applied = if job.spec.validate_only { job.applied } else { advanced(job, rows, rows, rng) };
    ending(Job::outcome_of(&job.validated, &applied), job.validated, applied, None)
}

fn cancelled(job: &Job, rng: &mut fastrand::Rng) -> EventKind {
    if job.status() < Status::Processing {
        return ending(Outcome::Cancelled, Validated::default(), Applied::default(), None);
    }
    let rows = job.validated.rows_valid;
    let applied = advanced(job, job.applied.position, rows, rng);
    ending(Outcome::Cancelled, job.validated, applied, None)
}

fn failed(job: &Job) -> EventKind {
    ending(Outcome::Failed, job.validated, Applied::default(), Some(failure()))
}

/// A last event with these counts.
pub(crate) fn ending(
    outcome: Outcome,
    validated: Validated,
    applied: Applied,
    failure: Option<Failure>,
) -> EventKind {
    EventKind::Completed(Box::new(Ending {
        outcome,
        validated,
        applied,
        report_length: 90,
        report_crc: 0xC0FF_EE00,
        failure,
    }))
}

/// Counts of a job that applied that many rows in each of the storages, all with effect.
pub(crate) fn all_applied(storages: StorageSet, rows: u64) -> Applied {
    let mut processed = PerStorage::default();
    for storage in Storage::ALL.into_iter().filter(|s| storages.contains(*s)) {
        *processed.get_mut(storage) = rows;
    }
    Applied { position: rows, rows_applied: rows, processed, errors: PerStorage::default() }
}
