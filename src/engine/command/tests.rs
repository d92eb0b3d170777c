//! Every command against every state of a job.

use std::time::Duration;

use super::*;
use crate::domain::{
    Applied, Failure, Outcome, PerStorage, Status, StorageSet, Validated,
    testing::{all_applied, event, failure, first, fold, legal, submitted},
};

const ATTEMPTS_MAX: u32 = 3;

fn retry() -> EventKind {
    EventKind::AttemptFailed { failure: failure(), retry_at_us: 5 }
}

fn counted(rows: u64) -> Validated {
    Validated { line: rows + 1, rows, rows_valid: rows, ..Validated::default() }
}

/// Jobs in every state that there is, by name.
fn jobs() -> Vec<(&'static str, Job)> {
    use EventKind::{
        AttemptStarted, CancelRequested, DeQueued, Held, ProcessingStarted, ValidationStarted,
    };
    let processing = || ProcessingStarted { validated: counted(9), warnings: Vec::new() };
    let made = |kinds: Vec<EventKind>| fold(first(submitted(1)).0, kinds);
    let begun = |kinds: Vec<EventKind>| made([vec![DeQueued, ValidationStarted], kinds].concat());
    vec![
        ("queued", made(vec![])),
        ("de-queued", made(vec![DeQueued])),
        ("validating", begun(vec![])),
        ("processing", begun(vec![processing()])),
        ("second attempt", begun(vec![AttemptStarted])),
        ("last attempt", begun(vec![AttemptStarted, AttemptStarted])),
        ("waits", begun(vec![retry()])),
        ("held", begun(vec![Held(failure())])),
        ("cancelled", begun(vec![CancelRequested])),
        ("cancelled in processing", begun(vec![processing(), CancelRequested])),
        ("cancelled and waits", begun(vec![processing(), retry(), CancelRequested])),
        ("cancelled when held", begun(vec![Held(failure()), CancelRequested])),
        (
            "cancelled at the last attempt",
            begun([vec![CancelRequested], vec![AttemptStarted; 5]].concat()),
        ),
        (
            "cancelled and held again",
            begun([vec![CancelRequested], vec![AttemptStarted; 5], vec![Held(failure())]].concat()),
        ),
        (
            "failed",
            begun(vec![EventKind::Completed(Box::new(crate::activity::fail(Some(failure()))))]),
        ),
    ]
}

/// What a command makes of each job; the state machine must take it.
fn outcomes<C: Command>(command: impl Fn() -> C) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut outcomes = Vec::new();
    for (name, job) in jobs() {
        let kinds = command().apply(&job);
        outcomes.push((name, kinds.iter().map(EventKind::name).collect()));
        fold(job, kinds);
    }
    outcomes
}

fn claim() -> Claim {
    Claim { attempts_max: ATTEMPTS_MAX }
}

fn postpone() -> Postpone {
    let (min, max) = (Duration::from_millis(1), Duration::from_secs(1));
    let backoff = Backoff { attempts_max: ATTEMPTS_MAX, min, max };
    Postpone { failure: failure(), backoff, now_us: 1_000_000 }
}

#[test]
fn a_claim_begins_an_attempt_unless_they_are_used_up() {
    let expected: Vec<(&str, Vec<&str>)> = vec![
        ("queued", vec!["de-queued", "validation-started"]),
        ("de-queued", vec!["attempt-started", "validation-started"]),
        ("validating", vec!["attempt-started"]),
        ("processing", vec!["attempt-started"]),
        ("second attempt", vec!["attempt-started"]),
        ("last attempt", vec!["held"]),
        ("waits", vec!["attempt-started"]),
        ("held", vec![]),
        ("cancelled", vec!["attempt-started"]),
        ("cancelled in processing", vec!["attempt-started"]),
        ("cancelled and waits", vec!["attempt-started"]),
        ("cancelled when held", vec!["attempt-started"]),
        ("cancelled at the last attempt", vec!["held"]),
        ("cancelled and held again", vec![]),
        ("failed", vec![]),
    ];
    assert_eq!(outcomes(claim), expected);
}

#[test]
fn a_cancel_ends_what_is_queued_and_is_accepted_once() {
    let asked = vec!["cancel-requested"];
    for (name, kinds) in outcomes(|| Cancel) {
        let expected = match name {
            "queued" => vec!["cancel-requested", "completed"],
            "failed" => vec![],
            name if name.starts_with("cancelled") => vec![],
            _ => asked.clone(),
        };
        assert_eq!(kinds, expected, "{name}");
    }
    let job = first(submitted(1)).0;
    let ended = fold(job.clone(), Cancel.apply(&job));
    assert_eq!(ended.outcome(), Some(Outcome::Cancelled));
}

#[test]
fn a_release_is_for_a_job_that_is_held_and_begins_a_whole_new_round_of_attempts() {
    for (name, kinds) in outcomes(|| Release) {
        let held = ["held", "cancelled when held", "cancelled and held again"].contains(&name);
        assert_eq!(kinds.len(), usize::from(held), "{name}");
    }
    let mut job = fold(
        first(submitted(1)).0,
        [EventKind::DeQueued, EventKind::ValidationStarted, EventKind::AttemptStarted],
    );
    job = fold(job.clone(), [EventKind::AttemptStarted, EventKind::Held(failure())]);
    assert!(claim().apply(&job).is_empty());
    job = fold(job.clone(), Release.apply(&job));
    assert_eq!((job.held, job.attempt, job.failure.clone()), (false, 0, Some(failure())));
    for _ in 0..ATTEMPTS_MAX {
        let kinds = claim().apply(&job);
        assert_eq!(kinds, [EventKind::AttemptStarted]);
        job = fold(job, kinds);
    }
    assert!(matches!(claim().apply(&job)[..], [EventKind::Held(_)]));
}

#[test]
fn an_attempt_that_failed_is_followed_by_another_until_they_are_used_up() {
    for (name, job) in jobs() {
        // Only an attempt that has begun can fail.
        let begun = fold(job.clone(), claim().apply(&job));
        let kinds = postpone().apply(&begun);
        let names: Vec<_> = kinds.iter().map(EventKind::name).collect();
        let expected = match name {
            "failed"
            | "held"
            | "last attempt"
            | "cancelled at the last attempt"
            | "cancelled and held again" => vec![],
            "second attempt" => vec!["held"],
            _ => vec!["attempt-failed"],
        };
        assert_eq!(names, expected, "{name}");
        let waits = fold(begun, kinds);
        assert_eq!(postpone().apply(&waits).len(), 0, "{name}: it has failed once, not twice");
    }
}

#[test]
fn a_failure_that_stays_is_not_tried_again() {
    for status in [Status::Validating, Status::Processing] {
        let (_, job) = jobs().into_iter().find(|(_, job)| job.status() == status).unwrap();
        let mut postpone = postpone();
        postpone.backoff.attempts_max = 0;
        let held = fold(job.clone(), postpone.apply(&job));
        assert!(held.held);
        assert_eq!(held.failure, Some(failure()));
    }
}

#[test]
fn attempts_are_bounded_and_a_cancel_gives_as_many_again() {
    let mut job = fold(first(submitted(1)).0, [EventKind::DeQueued, EventKind::ValidationStarted]);
    let wear_out = |job: Job| {
        let (mut job, mut attempts) = (job, 0);
        while !job.held {
            attempts += 1;
            job = fold(job.clone(), postpone().apply(&job));
            if !job.held {
                job = fold(job.clone(), claim().apply(&job));
            }
        }
        (job, attempts)
    };
    let attempts;
    (job, attempts) = wear_out(job);
    assert_eq!(attempts, ATTEMPTS_MAX);
    assert!(claim().apply(&job).is_empty());
    job = fold(job.clone(), Cancel.apply(&job));
    job = fold(job.clone(), claim().apply(&job));
    assert!(!job.held && job.retry_at_us.is_none());
    let (job, attempts) = wear_out(job);
    assert_eq!(attempts, ATTEMPTS_MAX);
    assert!(claim().apply(&job).is_empty());
}

#[test]
fn a_checkpoint_is_for_jobs_that_are_not_over() {
    for (name, job) in jobs() {
        let kinds = Checkpoint(EventKind::ValidationAdvanced(counted(3))).apply(&job);
        assert_eq!(kinds.len(), usize::from(name != "failed"), "{name}");
    }
}

fn ending(outcome: Outcome, failure: Option<Failure>) -> Complete {
    let processed = outcome != Outcome::Failed;
    let rows = if processed { 9 } else { 0 };
    Complete(crate::domain::Ending {
        outcome,
        validated: counted(rows),
        applied: all_applied(StorageSet::ALL, rows),
        report_length: 0,
        report_crc: 0,
        failure,
    })
}

#[test]
fn a_job_that_is_cancelled_before_its_end_is_committed_ends_cancelled() {
    let jobs = jobs();
    let of = |name: &str| jobs.iter().find(|(n, _)| *n == name).unwrap().1.clone();
    for (name, outcome) in [
        ("processing", Outcome::Succeeded),
        ("cancelled in processing", Outcome::Cancelled),
        ("cancelled and waits", Outcome::Cancelled),
    ] {
        let job = of(name);
        let kinds = ending(Outcome::Succeeded, None).apply(&job);
        let job = fold(job, kinds);
        assert_eq!(job.outcome(), Some(outcome), "{name}");
        assert_eq!(job.applied.rows_applied, 9, "what was applied stays so");
    }
    let fail = |name: &str| {
        let job = of(name);
        let kinds = ending(Outcome::Failed, Some(failure())).apply(&job);
        fold(job, kinds)
    };
    for name in ["validating", "processing"] {
        assert_eq!(fail(name).outcome(), Some(Outcome::Failed), "{name}");
        assert_eq!(fail(name).applied, Applied::default());
    }
    for (name, rows) in [("cancelled", 0), ("cancelled in processing", 9)] {
        let job = fail(name);
        assert_eq!((job.outcome(), job.failure), (Some(Outcome::Cancelled), None), "{name}");
        assert_eq!((job.validated.rows, job.applied.rows_applied), (rows, 0));
        assert_eq!(job.applied.errors, PerStorage { non_redacted: rows, redacted: rows });
    }
    assert!(ending(Outcome::Succeeded, None).apply(&of("failed")).is_empty());
}

#[test]
fn whatever_happened_to_a_job_the_state_machine_takes_what_a_command_decides() {
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..2_000 {
        let mut job = first(submitted(1)).0;
        for _ in 0..random.usize(..25) {
            let Some(kind) = legal(&job, &mut random) else { break };
            let event = event(&job, kind);
            job = job.next(&event).unwrap();
        }
        fold(job.clone(), Cancel.apply(&job));
        let claimed = fold(job.clone(), claim().apply(&job));
        if !claimed.is_terminal() && !claimed.held {
            assert_ne!(claimed.status(), Status::Queued);
            assert!(claimed.retry_at_us.is_none());
            let failed = fold(claimed.clone(), postpone().apply(&claimed));
            assert!(failed.held || failed.retry_at_us.is_some());
            fold(failed.clone(), claim().apply(&failed));
        }
        fold(claimed.clone(), Cancel.apply(&claimed));
    }
}
