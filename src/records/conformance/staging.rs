//! Rows that are stored ahead of their batches, and batches of several jobs at once.

use super::support::*;
use crate::{
    domain::Operation,
    records::{Batch, Error, RecordStore},
};

pub(super) fn a_staged_create_inserts_what_is_not_live(subject: &impl Subject) {
    let store = subject.open();
    create(&store, &[("A", "1")]);
    let job = Job::new(Operation::Create);
    assert_eq!(job.stage(&store, &[("A", "2"), ("B", "2"), ("b", "3"), ("C", "2")]), [3, 5]);
    let cursor = job.apply_staged(&store, &["A", "B", "b", "C"]);
    assert_eq!((cursor.position, cursor.rows_applied), (4, 2));
    assert_eq!(cursor.errors, per_storage(2, 2));
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "1")));
    assert_eq!(get(&store, FULL, "B"), Some(row("B", "2")));
    assert_eq!(get(&store, REDACTED, "C"), Some(redacted("C", "2")));
    let misses = store.misses(job.id).unwrap();
    assert_eq!(misses.non_redacted.iter().collect::<Vec<_>>(), [2, 4]);
}

pub(super) fn a_staged_update_replaces_what_is_live(subject: &impl Subject) {
    let store = subject.open();
    create(&store, &[("A", "1"), ("B", "1")]);
    delete(&store, &["B"]);
    let job = Job::new(Operation::Update);
    assert_eq!(job.stage(&store, &[("A", "2"), ("B", "2"), ("A", "3"), ("C", "2")]), [2, 4]);
    let cursor = job.apply_staged(&store, &["A", "B", "A", "C"]);
    assert_eq!((cursor.position, cursor.rows_applied), (4, 2));
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "3")));
    assert_eq!(get(&store, FULL, "B"), None);
    assert_eq!(get(&store, FULL, "C"), None);
}

pub(super) fn nothing_shows_of_staged_rows_before_a_batch_names_them(subject: &impl Subject) {
    let store = subject.open();
    create(&store, &[("A", "1"), ("B", "1")]);
    delete(&store, &["B"]);
    let job = Job::new(Operation::Create);
    assert_eq!(job.stage(&store, &[("A", "2"), ("B", "2"), ("C", "2")]), [3, 4]);
    for storage in [FULL, REDACTED] {
        assert_eq!(get(&store, storage, "B"), None);
        assert_eq!(get(&store, storage, "C"), None);
        assert_eq!(export(&store, &job.tenant, storage).len(), 1);
    }
    assert!(store.counts(None).unwrap().iter().all(|(_, _, live)| *live == 1));
    assert_eq!(store.cursor(job.id).unwrap().position, 0);
}

pub(super) fn a_stage_that_broke_off_is_begun_anew(subject: &impl Subject) {
    let job = Job::new(Operation::Create);
    let rows = [("A", "1"), ("B", "1")];
    {
        let store = subject.open();
        let mut stage = store.stage(&job.staged(9)).unwrap().unwrap();
        push_keys(&store, &mut *stage, &rows);
        stage.wanted().unwrap();
        stage.row(2, &row("A", "lost")).unwrap();
    }
    let store = subject.open();
    assert_eq!(job.stage(&store, &rows), [2, 3]);
    job.apply_staged(&store, &["A", "B"]);
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "1")));
    assert_eq!(export(&store, &job.tenant, FULL).len(), 2);
}

pub(super) fn rows_of_an_abandoned_stage_never_show(subject: &impl Subject) {
    let store = subject.open();
    let abandoned = Job::new(Operation::Create);
    abandoned.stage(&store, &[("A", "lost"), ("B", "lost"), ("C", "lost")]);
    store.forget(abandoned.id).unwrap();
    create(&store, &[("X", "1"), ("B", "1"), ("Y", "1"), ("Z", "1")]);
    let job = Job::new(Operation::Create);
    assert_eq!(job.stage(&store, &[("B", "2"), ("C", "2")]), [3]);
    job.apply_staged(&store, &["B", "C"]);
    for (id, mark) in [("A", None), ("B", Some("1")), ("C", Some("2")), ("X", Some("1"))] {
        assert_eq!(get(&store, FULL, id), mark.map(|mark| row(id, mark)), "{id}");
    }
    assert_eq!(export(&store, &job.tenant, FULL).len(), 5);
}

pub(super) fn a_stage_that_is_done_is_not_begun_again(subject: &impl Subject) {
    let job = Job::new(Operation::Create);
    job.stage(&subject.open(), &[("A", "1")]);
    let store = subject.open();
    assert!(store.stage(&job.staged(9)).unwrap().is_none());
    assert_eq!(job.apply_staged(&store, &["A"]).rows_applied, 1);
}

pub(super) fn rows_that_were_not_staged_are_not_applied(subject: &impl Subject) {
    let store = subject.open();
    let job = Job::new(Operation::Create);
    assert!(matches!(job.try_staged(&store, 0, &["A"]), Err(Error::Damaged(_))));
    assert_eq!(get(&store, FULL, "A"), None);
    assert_eq!(store.cursor(job.id).unwrap().position, 0);
}

pub(super) fn batches_of_several_jobs_count_in_their_order(subject: &impl Subject) {
    let store = subject.open();
    let (creates, deletes, again) =
        (Job::new(Operation::Create), Job::new(Operation::Delete), Job::new(Operation::Create));
    let other = Job::new(Operation::Create).of(&tenant("other"));
    let rows = [row("A", "1"), row("B", "1"), row("A", "2"), row("A", "3")];
    let first = [cells(&store, "A", 2, &rows[0]), cells(&store, "B", 3, &rows[1])];
    let second = [cells(&store, "A", 2, b""), cells(&store, "C", 3, b"")];
    let third = [cells(&store, "A", 2, &rows[2])];
    let fourth = [cells(&store, "A", 2, &rows[3])];
    let batches = [
        creates.batch(0, &first),
        deletes.batch(0, &second),
        other.batch(0, &fourth),
        again.batch(0, &third),
    ];
    let cursors = store.apply_all(&batches).unwrap();
    let applied: Vec<_> = cursors.iter().map(|c| (c.position, c.rows_applied)).collect();
    assert_eq!(applied, [(2, 2), (2, 1), (1, 1), (1, 1)]);
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "2")));
    assert_eq!(store.get(&other.tenant, FULL, b"A").unwrap(), Some(row("A", "3")));
    for (job, cursor) in [&creates, &deletes, &other, &again].into_iter().zip(cursors) {
        assert_eq!(store.cursor(job.id).unwrap(), cursor);
    }
}

pub(super) fn one_fenced_batch_holds_all_of_them_back(subject: &impl Subject) {
    let store = subject.open();
    let (one, two) = (Job::new(Operation::Create), Job::new(Operation::Create));
    let rows = [row("A", "1"), row("B", "1")];
    let (first, second) = ([cells(&store, "A", 2, &rows[0])], [cells(&store, "B", 2, &rows[1])]);
    let batches: [Batch<'_>; 2] = [one.batch(0, &first), two.batch(1, &second)];
    assert!(matches!(store.apply_all(&batches), Err(Error::Fenced { .. })));
    assert_eq!(get(&store, FULL, "A"), None);
    assert_eq!(store.cursor(one.id).unwrap().position, 0);
}
