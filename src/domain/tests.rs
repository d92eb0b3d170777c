//! The state machine against a table that is written out.

use proptest::prelude::*;

use super::{
    Applied, EventKind, Job, Outcome, PerStorage, Status, Storage, StorageSet, Validated,
    testing::{all_applied, ending, event, failure, first, fold, legal, submitted},
};

const ROWS: u64 = 10;

fn validated() -> Validated {
    Validated {
        line: 11,
        rows: ROWS,
        rows_valid: ROWS,
        errors: 0,
        keys_length: 200,
        report_length: 0,
        report_crc: 0,
    }
}

fn with_errors() -> Applied {
    Applied {
        position: ROWS,
        rows_applied: 6,
        processed: PerStorage { non_redacted: 6, redacted: 4 },
        errors: PerStorage { non_redacted: 4, redacted: 6 },
    }
}

/// How a job gets to that status without anything odd on the way.
fn job_at(status: Status) -> Job {
    let whole = all_applied(StorageSet::ALL, ROWS);
    let way = [
        EventKind::DeQueued,
        EventKind::ValidationStarted,
        EventKind::ProcessingStarted { validated: validated(), warnings: vec![] },
        ending(Outcome::Succeeded, validated(), whole, None),
    ];
    let steps = Status::ALL.iter().position(|s| *s == status).unwrap();
    let job = fold(first(submitted(1)).0, way.into_iter().take(steps));
    assert_eq!(job.status(), status);
    job
}

/// Every event with content that is fine wherever its status is.
fn every_event() -> Vec<(&'static str, EventKind)> {
    let whole = all_applied(StorageSet::ALL, ROWS);
    let none = (Validated::default(), Applied::default());
    vec![
        ("submitted", EventKind::Submitted(Box::new(submitted(2)))),
        ("de-queued", EventKind::DeQueued),
        ("validation-started", EventKind::ValidationStarted),
        ("validation-advanced", EventKind::ValidationAdvanced(validated())),
        (
            "processing-started",
            EventKind::ProcessingStarted { validated: validated(), warnings: vec![] },
        ),
        ("processing-advanced", EventKind::ProcessingAdvanced(whole)),
        ("succeeded", ending(Outcome::Succeeded, validated(), whole, None)),
        ("partial", ending(Outcome::Partial, validated(), with_errors(), None)),
        ("failed", ending(Outcome::Failed, none.0, none.1, Some(failure()))),
        ("cancelled early", ending(Outcome::Cancelled, none.0, none.1, None)),
        ("cancelled late", ending(Outcome::Cancelled, validated(), with_errors(), None)),
        ("cancel-requested", EventKind::CancelRequested),
        ("attempt-started", EventKind::AttemptStarted),
        ("attempt-failed", EventKind::AttemptFailed { failure: failure(), retry_at_us: 9_000 }),
        ("held", EventKind::Held(failure())),
        ("released", EventKind::Released),
    ]
}

/// Which events each status takes: Queued, De-queued, Validating, Processing, Completed.
const TABLE: [(&str, &str); 16] = [
    ("submitted", "-----"),
    ("de-queued", "Q----"),
    ("validation-started", "-D---"),
    ("validation-advanced", "--V--"),
    ("processing-started", "--V--"),
    ("processing-advanced", "---P-"),
    ("succeeded", "---P-"),
    ("partial", "---P-"),
    ("failed", "QDVP-"),
    ("cancelled early", "-----"),
    ("cancelled late", "-----"),
    ("cancel-requested", "QDVP-"),
    ("attempt-started", "-DVP-"),
    ("attempt-failed", "-DVP-"),
    ("held", "-DVP-"),
    ("released", "-----"),
];

/// The same after a cancel was accepted, where it differs.
const CANCEL_REQUESTED: [(&str, &str); 3] =
    [("cancel-requested", "-----"), ("cancelled early", "QDV--"), ("cancelled late", "---P-")];

/// The same between a failed attempt and the next, where it differs.
const WAITING: [(&str, &str); 7] = [
    ("validation-started", "-----"),
    ("validation-advanced", "-----"),
    ("processing-started", "-----"),
    ("processing-advanced", "-----"),
    ("succeeded", "-----"),
    ("partial", "-----"),
    ("attempt-failed", "-----"),
];

fn assert_table(prepare: impl Fn(Job) -> Option<Job>, differs: &[(&str, &str)]) {
    let events = every_event();
    let named = |name: &str| events.iter().any(|(n, _)| *n == name);
    assert!(TABLE.iter().chain(differs).all(|(name, _)| named(name)));
    assert_eq!(events.len(), TABLE.len());
    for (column, status) in Status::ALL.into_iter().enumerate() {
        let Some(job) = prepare(job_at(status)) else { continue };
        for (name, kind) in &events {
            let row = differs.iter().chain(&TABLE).find(|(n, _)| n == name).unwrap().1;
            let expected = row.as_bytes()[column] != b'-';
            let result = job.clone().next(&event(&job, kind.clone()));
            assert_eq!(result.is_ok(), expected, "{name} at {status}: {result:?}");
        }
    }
}

fn prepared(job: &Job, kind: EventKind) -> Option<Job> {
    job.clone().next(&event(job, kind)).ok()
}

#[test]
fn every_event_is_taken_by_the_statuses_of_the_table_and_by_no_other() {
    assert_table(Some, &[]);
}

#[test]
fn a_requested_cancel_allows_the_cancelled_ending_and_no_second_request() {
    assert_table(|job| prepared(&job, EventKind::CancelRequested), &CANCEL_REQUESTED);
}

#[test]
fn a_job_that_waits_for_its_next_attempt_does_not_move() {
    let failed = || EventKind::AttemptFailed { failure: failure(), retry_at_us: 9_000 };
    assert_table(|job| prepared(&job, failed()), &WAITING);
}

#[test]
fn a_held_job_does_not_move_and_is_not_held_twice() {
    let differs = [WAITING.as_slice(), &[("held", "-----"), ("released", "-DVP-")]].concat();
    assert_table(|job| prepared(&job, EventKind::Held(failure())), &differs);
}

#[test]
fn the_next_attempt_sets_a_waiting_or_held_job_going_again() {
    for kind in [
        EventKind::AttemptFailed { failure: failure(), retry_at_us: 9_000 },
        EventKind::Held(failure()),
    ] {
        let job = fold(job_at(Status::Validating), [kind, EventKind::AttemptStarted]);
        assert_eq!((job.attempt, job.held, job.retry_at_us), (2, false, None));
        assert_eq!(job.failure, Some(failure()));
        let job = fold(job, [EventKind::ValidationAdvanced(validated())]);
        assert_eq!((job.attempt, job.failure), (1, None));
    }
}

#[test]
fn a_first_event_is_a_submit_with_number_1_and_a_time() {
    let (_, submit) = first(submitted(1));
    assert!(Job::first(&submit).is_ok());
    assert!(Job::first(&super::Event { time_us: 0, ..submit.clone() }).is_err());
    assert!(Job::first(&super::Event { seq: 2, ..submit.clone() }).is_err());
    assert!(Job::first(&super::Event { kind: EventKind::DeQueued, ..submit }).is_err());
}

#[test]
fn numbers_follow_each_other_and_times_do_not_go_back() {
    let job = job_at(Status::Queued);
    let next = event(&job, EventKind::DeQueued);
    for (seq, time_us, taken) in [
        (2, job.update_time_us, true),
        (2, job.update_time_us - 1, false),
        (1, job.update_time_us, false),
        (3, job.update_time_us, false),
        (0, job.update_time_us, false),
    ] {
        let result = job.clone().next(&super::Event { seq, time_us, ..next.clone() });
        assert_eq!(result.is_ok(), taken, "{seq} at {time_us}");
    }
    let mut last = job;
    last.seq = u64::MAX;
    assert!(last.next(&super::Event { seq: 0, ..next }).is_err());
}

#[test]
fn a_refusal_names_event_status_and_reason() {
    let job = job_at(Status::Queued);
    let error = job.clone().next(&event(&job, EventKind::ValidationStarted)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "event validation-started (seq 2) cannot follow QUEUED (seq 1): the status does not take it"
    );
}

#[test]
fn a_retry_needs_its_time() {
    let job = job_at(Status::Validating);
    for (retry_at_us, taken) in [(1, true), (0, false), (-1, false)] {
        let kind = EventKind::AttemptFailed { failure: failure(), retry_at_us };
        assert_eq!(job.clone().next(&event(&job, kind)).is_ok(), taken, "{retry_at_us}");
    }
}

#[test]
fn validation_never_goes_back_and_never_has_more_valid_rows_than_rows() {
    let job = fold(job_at(Status::Validating), [EventKind::ValidationAdvanced(validated())]);
    let changes: [fn(&mut Validated); 7] = [
        |v| v.line -= 1,
        |v| v.rows -= 1,
        |v| v.rows_valid -= 1,
        |v| v.rows_valid += 1,
        |v| v.keys_length -= 1,
        |v| (v.rows, v.rows_valid) = (u64::MAX - 1, u64::MAX),
        |v| (v.rows, v.rows_valid) = (0, 0),
    ];
    assert!(prepared(&job, EventKind::ValidationAdvanced(validated())).is_some());
    for (n, change) in changes.into_iter().enumerate() {
        let mut at = validated();
        change(&mut at);
        assert!(prepared(&job, EventKind::ValidationAdvanced(at)).is_none(), "{n}");
        let warnings = vec![];
        let started = EventKind::ProcessingStarted { validated: at, warnings };
        assert!(prepared(&job, started).is_none(), "{n}");
    }
}

/// Changes of [`with_errors`] after which its counts do not add up.
const WRONG_SUMS: [fn(&mut Applied); 10] = [
    |a| a.processed.non_redacted += 1,
    |a| a.processed.redacted -= 1,
    |a| a.errors.non_redacted -= 1,
    |a| a.errors.redacted += 1,
    |a| (a.processed.redacted, a.errors.redacted) = (0, 0),
    |a| a.processed.redacted = u64::MAX,
    |a| a.errors.non_redacted = u64::MAX,
    |a| a.rows_applied = 5,
    |a| a.rows_applied = 11,
    |a| a.position = 11,
];

#[test]
fn counts_that_do_not_add_up_are_refused() {
    let job = job_at(Status::Processing);
    assert!(prepared(&job, EventKind::ProcessingAdvanced(with_errors())).is_some());
    for (n, change) in WRONG_SUMS.into_iter().enumerate() {
        let mut applied = with_errors();
        change(&mut applied);
        assert!(prepared(&job, EventKind::ProcessingAdvanced(applied)).is_none(), "{n}");
        let end = |outcome| ending(outcome, validated(), applied, None);
        assert!(prepared(&job, end(Outcome::Partial)).is_none(), "{n}");
        let cancelled = fold(job.clone(), [EventKind::CancelRequested]);
        assert!(prepared(&cancelled, end(Outcome::Cancelled)).is_none(), "{n}");
    }
}

#[test]
fn applying_never_goes_back() {
    let job = fold(job_at(Status::Processing), [EventKind::ProcessingAdvanced(with_errors())]);
    let mut moved = with_errors();
    (moved.processed.redacted, moved.errors.redacted) = (5, 5);
    let mut fewer = with_errors();
    fewer.rows_applied = 7;
    let job_with_seven = fold(job.clone(), [EventKind::ProcessingAdvanced(fewer)]);
    assert!(prepared(&job, EventKind::ProcessingAdvanced(with_errors())).is_some());
    assert!(prepared(&job, EventKind::ProcessingAdvanced(moved)).is_none());
    assert!(prepared(&job, EventKind::ProcessingAdvanced(Applied::default())).is_none());
    assert!(prepared(&job_with_seven, EventKind::ProcessingAdvanced(with_errors())).is_none());
    let whole = all_applied(StorageSet::ALL, ROWS);
    assert!(prepared(&job, ending(Outcome::Succeeded, validated(), whole, None)).is_none());
}

#[test]
fn a_storage_that_the_job_does_not_touch_counts_nothing() {
    let mut spec = submitted(1);
    spec.storages = [Storage::Redacted].into_iter().collect();
    let way = [
        EventKind::DeQueued,
        EventKind::ValidationStarted,
        EventKind::ProcessingStarted { validated: validated(), warnings: vec![] },
    ];
    let job = fold(first(spec.clone()).0, way);
    let end = |applied| ending(Outcome::Succeeded, validated(), applied, None);
    assert!(prepared(&job, end(all_applied(spec.storages, ROWS))).is_some());
    assert!(prepared(&job, end(all_applied(StorageSet::ALL, ROWS))).is_none());
}

#[test]
fn a_job_that_only_validates_ends_with_nothing_applied() {
    let mut spec = submitted(1);
    spec.validate_only = true;
    let way = [
        EventKind::DeQueued,
        EventKind::ValidationStarted,
        EventKind::ProcessingStarted { validated: validated(), warnings: vec![] },
    ];
    let job = fold(first(spec).0, way);
    let end = |applied| ending(Outcome::Succeeded, validated(), applied, None);
    assert!(prepared(&job, end(Applied::default())).is_some());
    assert!(prepared(&job, end(all_applied(StorageSet::ALL, ROWS))).is_none());
}

#[test]
fn an_ending_must_say_what_its_counts_say() {
    let job = job_at(Status::Processing);
    let whole = all_applied(StorageSet::ALL, ROWS);
    let mut short = with_errors();
    short.position = 9;
    let mut fewer_rows = validated();
    fewer_rows.rows -= 1;
    fewer_rows.rows_valid -= 1;
    for (name, kind) in [
        ("partial without errors", ending(Outcome::Partial, validated(), whole, None)),
        ("succeeded with errors", ending(Outcome::Succeeded, validated(), with_errors(), None)),
        ("not at the end", ending(Outcome::Partial, validated(), short, None)),
        ("failure of a success", ending(Outcome::Succeeded, validated(), whole, Some(failure()))),
        ("failed without failure", ending(Outcome::Failed, validated(), Applied::default(), None)),
        ("failed but applied", ending(Outcome::Failed, validated(), whole, Some(failure()))),
        (
            "other rows than validated",
            ending(Outcome::Succeeded, fewer_rows, all_applied(StorageSet::ALL, ROWS - 1), None),
        ),
    ] {
        assert!(prepared(&job, kind).is_none(), "{name}");
    }
    let applied = fold(job, [EventKind::ProcessingAdvanced(with_errors())]);
    let failed = ending(Outcome::Failed, validated(), Applied::default(), Some(failure()));
    assert!(prepared(&applied, failed).is_none(), "failed after rows were applied");
}

#[test]
fn a_cancel_before_processing_counts_nothing() {
    let job = fold(job_at(Status::Validating), [EventKind::CancelRequested]);
    let none = Applied::default();
    assert!(prepared(&job, ending(Outcome::Cancelled, validated(), none, None)).is_none());
    let nothing = ending(Outcome::Cancelled, Validated::default(), none, None);
    assert_eq!(prepared(&job, nothing).unwrap().outcome(), Some(Outcome::Cancelled));
}

#[test]
fn an_ending_is_taken_over_whole() {
    let job = job_at(Status::Processing);
    let end = event(&job, ending(Outcome::Partial, validated(), with_errors(), None));
    let done = job.next(&end).unwrap();
    assert_eq!(done.outcome(), Some(Outcome::Partial));
    assert_eq!(done.end_time_us, Some(end.time_us));
    assert_eq!((done.applied, done.validated), (with_errors(), validated()));
    assert_eq!((done.report_length, done.report_crc), (90, 0xC0FF_EE00));
}

proptest! {
    #[test]
    fn random_legal_events_never_move_a_status_back_and_end_for_good(
        seed: u64,
        storages in 0_u32..4,
        validate_only: bool,
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut spec = submitted(1);
        spec.storages = StorageSet::from_bits(storages).unwrap();
        spec.validate_only = validate_only;
        let mut job = first(spec).0;
        for _ in 0..200 {
            let Some(kind) = legal(&job, &mut rng) else { break };
            let name = kind.name();
            let next = job.clone().next(&event(&job, kind));
            prop_assert!(next.is_ok(), "{} at {:?}: {:?}", name, job, next);
            let next = next.unwrap();
            prop_assert!(next.status() >= job.status());
            prop_assert_eq!(next.seq, job.seq + 1);
            prop_assert_eq!(next.outcome().is_some(), next.is_terminal());
            job = next;
        }
    }

    #[test]
    fn random_events_are_taken_only_where_the_table_says_so(
        choices in prop::collection::vec(0_usize..15, 1..60),
    ) {
        let events = every_event();
        let mut job = job_at(Status::Queued);
        for choice in choices {
            let (name, kind) = &events[choice];
            let column = Status::ALL.iter().position(|s| *s == job.status()).unwrap();
            let differs: &[_] = if job.cancel_requested { &CANCEL_REQUESTED } else { &[] };
            let row = differs.iter().chain(&TABLE).find(|(n, _)| n == name).unwrap().1;
            let Ok(next) = job.clone().next(&event(&job, kind.clone())) else { continue };
            prop_assert!(row.as_bytes()[column] != b'-', "{} at {}", name, job.status());
            prop_assert!(next.status() >= job.status());
            job = next;
        }
    }
}
