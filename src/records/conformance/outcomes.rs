//! What a row does: the table of operations, equal ids, storages, tenants.

use super::support::*;
use crate::{
    domain::{Applied, Operation, Tenant},
    records::RecordStore,
};

pub(super) fn a_create_inserts_what_is_not_live(subject: &impl Subject) {
    let store = subject.open();
    assert_eq!(create(&store, &[("A", "1"), ("B", "1")]), same_in_both(2, 2));
    assert_eq!(create(&store, &[("A", "2"), ("C", "2")]), same_in_both(2, 1));
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "1")));
    assert_eq!(get(&store, FULL, "C"), Some(row("C", "2")));
}

pub(super) fn an_update_replaces_what_is_live(subject: &impl Subject) {
    let store = subject.open();
    assert_eq!(update(&store, &[("A", "0")]), same_in_both(1, 0));
    create(&store, &[("A", "1"), ("B", "1")]);
    delete(&store, &["B"]);
    assert_eq!(update(&store, &[("A", "2"), ("B", "2"), ("C", "2")]), same_in_both(3, 1));
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "2")));
    assert_eq!(get(&store, REDACTED, "A"), Some(redacted("A", "2")));
    assert_eq!(export(&store, &Tenant::local(), FULL), [row("A", "2")]);
}

pub(super) fn a_delete_removes_what_is_live(subject: &impl Subject) {
    let store = subject.open();
    assert_eq!(delete(&store, &["A"]), same_in_both(1, 0));
    create(&store, &[("A", "1"), ("B", "1"), ("C", "1")]);
    assert_eq!(delete(&store, &["A", "X", "C"]), same_in_both(3, 2));
    assert_eq!(delete(&store, &["A"]), same_in_both(1, 0));
    assert_eq!(get(&store, FULL, "A"), None);
    assert_eq!(get(&store, REDACTED, "C"), None);
    assert_eq!(export(&store, &Tenant::local(), FULL), [row("B", "1")]);
}

pub(super) fn a_deleted_record_can_be_created_again(subject: &impl Subject) {
    let store = subject.open();
    create(&store, &[("A", "1")]);
    delete(&store, &["A"]);
    assert_eq!(create(&store, &[("A", "2")]), same_in_both(1, 1));
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "2")));
    assert_eq!(delete(&store, &["A"]), same_in_both(1, 1));
    assert_eq!(get(&store, FULL, "A"), None);
}

pub(super) fn the_first_of_equal_ids_in_a_create_wins(subject: &impl Subject) {
    let store = subject.open();
    let job = Job::new(Operation::Create);
    let cursor = job.apply(&store, &[("B", "x"), ("A", "1"), ("a", "2"), ("A", "3")]);
    assert_eq!(cursor, same_in_both(4, 2));
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "1")));
    let misses = store.misses(job.id).unwrap();
    assert_eq!(misses, per_storage([4, 5].into(), [4, 5].into()));
}

pub(super) fn the_last_of_equal_ids_in_an_update_wins(subject: &impl Subject) {
    let store = subject.open();
    create(&store, &[("A", "1")]);
    assert_eq!(update(&store, &[("A", "2"), ("A", "3"), ("a", "4")]), same_in_both(3, 3));
    assert_eq!(get(&store, FULL, "A"), Some(row("a", "4")));
    assert_eq!(export(&store, &Tenant::local(), FULL), [row("a", "4")]);
}

pub(super) fn the_second_delete_of_an_id_finds_nothing(subject: &impl Subject) {
    let store = subject.open();
    create(&store, &[("A", "1"), ("B", "1")]);
    let job = Job::new(Operation::Delete);
    assert_eq!(job.apply(&store, &[("A", ""), ("B", ""), ("A", "")]), same_in_both(3, 2));
    assert_eq!(store.misses(job.id).unwrap(), per_storage([4].into(), [4].into()));
}

pub(super) fn equal_ids_across_batches_follow_their_order(subject: &impl Subject) {
    let store = subject.open();
    let creates = Job::new(Operation::Create);
    assert_eq!(creates.apply(&store, &[("A", "1")]), same_in_both(1, 1));
    assert_eq!(creates.apply(&store, &[("A", "2")]), same_in_both(2, 1));
    let updates = Job::new(Operation::Update);
    assert_eq!(updates.apply(&store, &[("A", "3")]), same_in_both(1, 1));
    assert_eq!(updates.apply(&store, &[("A", "4")]), same_in_both(2, 2));
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "4")));
    let deletes = Job::new(Operation::Delete);
    assert_eq!(deletes.apply(&store, &[("A", "")]), same_in_both(1, 1));
    assert_eq!(deletes.apply(&store, &[("A", "")]), same_in_both(2, 1));
}

pub(super) fn ids_are_compared_without_ascii_case_and_untrimmed(subject: &impl Subject) {
    let store = subject.open();
    let long = "Ab".repeat(200);
    assert_eq!(store.key(b"Ev-1"), store.key(b"EV-1"));
    assert_eq!(store.key(long.as_bytes()), store.key(long.to_lowercase().as_bytes()));
    assert_ne!(store.key(b"EV1"), store.key(b"EV1 "));
    assert_ne!(store.key("\u{c4}".as_bytes()), store.key("\u{e4}".as_bytes()));
    assert_ne!(store.key(&[b'a'; 64]), store.key(&[b'a'; 65]));

    create(&store, &[("Ev1", "1"), (&long, "1")]);
    assert_eq!(create(&store, &[("eV1", "2"), ("Ev1 ", "2")]), same_in_both(2, 1));
    assert_eq!(get(&store, FULL, "EV1"), Some(row("Ev1", "1")));
    assert_eq!(get(&store, FULL, "ev1 "), Some(row("Ev1 ", "2")));
    assert_eq!(delete(&store, &["ev1", &long.to_uppercase()]), same_in_both(2, 2));
}

pub(super) fn storages_may_diverge(subject: &impl Subject) {
    let store = subject.open();
    let local = Tenant::local();
    Job::new(Operation::Create).on(&[FULL]).apply(&store, &[("A", "1"), ("B", "1")]);
    Job::new(Operation::Create).on(&[REDACTED]).apply(&store, &[("B", "2"), ("C", "2")]);

    let job = Job::new(Operation::Create);
    let cursor = job.apply(&store, &[("A", "3"), ("B", "3"), ("C", "3"), ("D", "3")]);
    let expected = Applied {
        position: 4,
        rows_applied: 3,
        processed: per_storage(2, 2),
        errors: per_storage(2, 2),
    };
    assert_eq!(cursor, expected);
    assert_eq!(store.misses(job.id).unwrap(), per_storage([2, 3].into(), [3, 4].into()));
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "1")));
    assert_eq!(get(&store, REDACTED, "A"), Some(redacted("A", "3")));
    assert_eq!(get(&store, FULL, "C"), Some(row("C", "3")));
    assert_eq!(get(&store, REDACTED, "C"), Some(redacted("C", "2")));

    Job::new(Operation::Delete).on(&[FULL]).apply(&store, &[("A", ""), ("C", "")]);
    let updates = Job::new(Operation::Update);
    let cursor = updates.apply(&store, &[("A", "4"), ("B", "4")]);
    assert_eq!((cursor.processed, cursor.errors), (per_storage(1, 2), per_storage(1, 0)));
    assert_eq!(cursor.rows_applied, 2);
    assert_eq!(export(&store, &local, FULL), [row("B", "4"), row("D", "3")]);
    let shown = [("A", "4"), ("B", "4"), ("C", "2"), ("D", "3")];
    assert_eq!(export(&store, &local, REDACTED), shown.map(|(id, mark)| redacted(id, mark)));

    let deletes = Job::new(Operation::Delete);
    let cursor = deletes.apply(&store, &[("A", ""), ("B", ""), ("C", ""), ("X", "")]);
    assert_eq!((cursor.processed, cursor.errors), (per_storage(1, 3), per_storage(3, 1)));
    assert_eq!(cursor.rows_applied, 3);
    assert_eq!(store.misses(deletes.id).unwrap(), per_storage([2, 4, 5].into(), [5].into()));
}

pub(super) fn a_job_touches_its_storages_only(subject: &impl Subject) {
    let store = subject.open();
    create(&store, &[("A", "1")]);
    let deletes = Job::new(Operation::Delete).on(&[REDACTED]);
    let cursor = deletes.apply(&store, &[("A", ""), ("B", "")]);
    assert_eq!((cursor.processed, cursor.errors), (per_storage(0, 1), per_storage(0, 1)));
    assert_eq!(get(&store, FULL, "A"), Some(row("A", "1")));
    assert_eq!(get(&store, REDACTED, "A"), None);
    assert_eq!(store.misses(deletes.id).unwrap(), per_storage([].into(), [3].into()));
}

pub(super) fn tenants_do_not_see_each_other(subject: &impl Subject) {
    let store = subject.open();
    let (one, two) = (tenant("one"), tenant("two"));
    Job::new(Operation::Create).of(&one).apply(&store, &[("A", "1")]);
    let cursor = Job::new(Operation::Delete).of(&two).apply(&store, &[("A", "")]);
    assert_eq!(cursor, same_in_both(1, 0));
    Job::new(Operation::Create).of(&two).apply(&store, &[("A", "2")]);
    assert_eq!(store.get(&one, FULL, b"A").unwrap(), Some(row("A", "1")));
    assert_eq!(store.get(&two, FULL, b"A").unwrap(), Some(row("A", "2")));
    Job::new(Operation::Delete).of(&one).apply(&store, &[("A", "")]);
    assert_eq!(export(&store, &one, FULL), Vec::<Vec<u8>>::new());
    assert_eq!(export(&store, &two, FULL), [row("A", "2")]);
}

pub(super) fn many_tenants_apply_at_once(subject: &impl Subject) {
    let names: Vec<String> = (0..8).map(|n| format!("tenant-{n}")).collect();
    let ids: Vec<String> = (0..300).map(|n| format!("EV{n}")).collect();
    let store = subject.open();
    std::thread::scope(|scope| {
        for name in &names {
            let (store, ids) = (&store, &ids);
            scope.spawn(move || {
                let rows: Vec<(&str, &str)> =
                    ids.iter().map(|id| (id.as_str(), name.as_str())).collect();
                let creates = Job::new(Operation::Create).of(&tenant(name));
                let deletes = Job::new(Operation::Delete).of(&tenant(name));
                for part in rows.chunks(30) {
                    creates.apply(store, part);
                    deletes.apply(store, &part[..10]);
                }
            });
        }
    });
    drop(store);
    let store = subject.open();
    for name in &names {
        let mut expected: Vec<Vec<u8>> =
            ids.chunks(30).flat_map(|part| &part[10..]).map(|id| row(id, name)).collect();
        expected.sort();
        assert_eq!(export(&store, &tenant(name), FULL), expected);
    }
    assert_eq!(store.counts(None).unwrap().len(), 16);
}
