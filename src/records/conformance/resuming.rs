//! Cursors, fences, misses, and what a restart finds.

use super::support::*;
use crate::{
    domain::{Applied, JobId, Operation, Tenant},
    records::{Error, Misses, RecordStore},
};

pub(super) fn a_new_job_stands_at_zero(subject: &impl Subject) {
    let store = subject.open();
    let job = JobId::generate();
    assert_eq!(store.cursor(job).unwrap(), Applied::default());
    assert_eq!(store.misses(job).unwrap(), Misses::default());
}

pub(super) fn an_empty_batch_changes_nothing(subject: &impl Subject) {
    let store = subject.open();
    let job = Job::new(Operation::Create);
    assert_eq!(job.apply(&store, &[]), Applied::default());
    let cursor = job.apply(&store, &[("A", "1")]);
    assert_eq!(job.apply(&store, &[]), cursor);
    assert_eq!(store.cursor(job.id).unwrap(), cursor);
    assert!(matches!(job.try_at(&store, 0, &[]), Err(Error::Fenced { .. })));
}

pub(super) fn a_batch_in_the_wrong_place_is_fenced_and_changes_nothing(subject: &impl Subject) {
    let store = subject.open();
    let job = Job::new(Operation::Create);
    let cursor = job.apply(&store, &[("A", "1"), ("B", "1")]);
    for position in [0, 1, 3] {
        match job.try_at(&store, position, &[("C", "2")]) {
            Err(Error::Fenced { job: id, given, cursor: 2 }) => {
                assert_eq!((id, given), (job.id, position));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.cursor(job.id).unwrap(), cursor);
    assert_eq!(get(&store, FULL, "C"), None);
    assert_eq!(job.apply(&store, &[("C", "3")]).position, 3);
}

pub(super) fn cursors_count_by_storage_and_over_batches(subject: &impl Subject) {
    let store = subject.open();
    Job::new(Operation::Create).on(&[FULL]).apply(&store, &[("A", "1"), ("B", "1"), ("C", "1")]);
    Job::new(Operation::Create).on(&[REDACTED]).apply(&store, &[("A", "1")]);
    let job = Job::new(Operation::Delete);
    job.apply(&store, &[("A", ""), ("X", "")]);
    let cursor = job.apply(&store, &[("B", ""), ("C", ""), ("A", "")]);
    let expected = Applied {
        position: 5,
        rows_applied: 3,
        processed: per_storage(3, 1),
        errors: per_storage(2, 4),
    };
    assert_eq!(cursor, expected);
    assert_eq!(store.cursor(job.id).unwrap(), expected);
    let other = Job::new(Operation::Delete);
    assert_eq!(other.apply(&store, &[("A", "")]).position, 1);
}

pub(super) fn misses_name_the_lines_by_storage(subject: &impl Subject) {
    let store = subject.open();
    Job::new(Operation::Create).on(&[FULL]).apply(&store, &[("A", "1")]);
    let job = Job::new(Operation::Delete);
    job.apply(&store, &[("X", ""), ("A", "")]);
    job.apply(&store, &[("Y", "")]);
    let expected = per_storage([2, 4].into(), [2, 3, 4].into());
    assert_eq!(store.misses(job.id).unwrap(), expected);
    let other = Job::new(Operation::Create);
    other.apply(&store, &[("N", "1")]);
    assert_eq!(store.misses(other.id).unwrap(), Misses::default());
}

pub(super) fn forgetting_a_job_keeps_what_it_did(subject: &impl Subject) {
    let store = subject.open();
    let (job, other) = (Job::new(Operation::Create), Job::new(Operation::Create));
    job.apply(&store, &[("A", "1"), ("A", "2")]);
    job.apply(&store, &[("A", "3")]);
    other.apply(&store, &[("A", "4")]);
    store.forget(job.id).unwrap();
    store.forget(JobId::generate()).unwrap();
    assert_eq!(store.cursor(job.id).unwrap(), Applied::default());
    assert_eq!(store.misses(job.id).unwrap(), Misses::default());
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "1")));
    assert_eq!(store.cursor(other.id).unwrap(), same_in_both(1, 0));
    assert_eq!(store.misses(other.id).unwrap(), per_storage([2].into(), [2].into()));
}

pub(super) fn everything_is_there_after_a_reopen(subject: &impl Subject) {
    let store = subject.open();
    create(&store, &[("A", "1"), ("B", "1"), ("C", "1")]);
    update(&store, &[("B", "2")]);
    let job = Job::new(Operation::Delete);
    let cursor = job.apply(&store, &[("A", ""), ("X", "")]);
    let key = store.key(b"EV1");
    drop(store);

    let store = subject.open();
    assert_eq!(store.key(b"EV1"), key);
    assert_eq!(store.cursor(job.id).unwrap(), cursor);
    assert_eq!(store.misses(job.id).unwrap(), per_storage([3].into(), [3].into()));
    let local = Tenant::local();
    assert_eq!(export(&store, &local, FULL), [row("B", "2"), row("C", "1")]);
    assert_eq!(export(&store, &local, REDACTED), [redacted("B", "2"), redacted("C", "1")]);
    let counts = store.counts(None).unwrap();
    assert_eq!(counts, [(local.clone(), FULL, 2), (local, REDACTED, 2)]);
}

pub(super) fn a_reopened_store_goes_on_where_it_was(subject: &impl Subject) {
    let store = subject.open();
    let job = Job::new(Operation::Create);
    job.apply(&store, &[("A", "1"), ("B", "1")]);
    drop(store);

    let store = subject.open();
    assert!(matches!(job.try_at(&store, 0, &[("A", "9")]), Err(Error::Fenced { .. })));
    assert_eq!(job.apply(&store, &[("C", "2"), ("A", "2")]), same_in_both(4, 3));
    Job::new(Operation::Create).of(&tenant("other")).apply(&store, &[("A", "3")]);
    drop(store);

    let store = subject.open();
    assert_eq!(delete(&store, &["B"]), same_in_both(1, 1));
    assert_eq!(export(&store, &Tenant::local(), FULL), [row("A", "1"), row("C", "2")]);
    assert_eq!(export(&store, &tenant("other"), FULL), [row("A", "3")]);
}
