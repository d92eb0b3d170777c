//! An audit finds what reads back well and is wrong all the same.

use fjall::Keyspace;
use tempfile::TempDir;

use super::{
    super::{Audit, Audited, spaces::Spaces},
    *,
};
use crate::domain::{EventKind, Job, PerStorage, PurgedJob, Validated, testing};

/// The job as a journal tells of it.
fn job(id: JobId, operation: Operation, applied: Applied) -> Job {
    let mut spec = testing::submitted(1);
    (spec.id, spec.operation) = (id, operation);
    let rows = applied.position;
    let validated = Validated { line: rows + 1, rows, rows_valid: rows, ..Validated::default() };
    let outcome = Job::outcome_of(&validated, &applied);
    let kinds = [
        EventKind::DeQueued,
        EventKind::ValidationStarted,
        EventKind::ProcessingStarted { validated, warnings: Vec::new() },
        testing::ending(outcome, validated, applied, None),
    ];
    testing::fold(testing::first(spec).0, kinds)
}

/// A store in which rows were created, updated (one twice by one job) and deleted, and its jobs.
fn store() -> (TempDir, Store, Vec<Job>) {
    let temp = TempDir::new().unwrap();
    let store = Store::open(&temp.path().join("records"), &CONFIG).unwrap();
    let twice = [ids(10..20), ids(10..11)].concat();
    let jobs = [
        (Operation::Create, ids(0..100)),
        (Operation::Update, twice),
        (Operation::Delete, ids(5..15)),
        (Operation::Create, ids(5..8)),
        (Operation::Delete, ids(90..120)),
    ];
    let jobs = jobs.map(|(operation, ids)| {
        let (id, applied) = run(&store, operation, &ids);
        job(id, operation, applied)
    });
    (temp, store, jobs.into())
}

fn audit(store: &Store, jobs: &[Job]) -> (Result<Audited, Error>, Vec<String>) {
    let mut told = Vec::new();
    let mut audit = Audit::new(store);
    for job in jobs {
        audit.job(job, &mut |what| told.push(what)).unwrap();
    }
    let audited = audit.finish(true, &mut |what| told.push(what));
    (audited, told)
}

#[test]
fn a_sound_store_has_nothing_to_tell() {
    let (_temp, store, jobs) = store();
    let (audited, told) = audit(&store, &jobs);
    assert_eq!(told, Vec::<String>::new());
    let live = PerStorage { non_redacted: 83, redacted: 83 };
    let audited = audited.unwrap();
    assert_eq!((audited.rows, audited.live), (114, live));
}

/// Every choice of jobs that are purged, one after the other, in one direction or the other.
#[test]
fn a_store_of_which_any_jobs_are_purged_is_sound_and_the_others_are_still_held_against_it() {
    for choice in 0..32_u32 {
        let (_temp, store, jobs) = store();
        let is_purged = |place: &usize| choice & (1 << place) != 0;
        let mut purged: Vec<usize> = (0..jobs.len()).filter(is_purged).collect();
        if choice.is_multiple_of(2) {
            purged.reverse();
        }
        let past: Vec<_> = purged.iter().map(|place| PurgedJob::from(&jobs[*place])).collect();
        for job in &past {
            store.purge(std::slice::from_ref(job)).unwrap();
        }
        // A crash may let it happen again.
        store.purge(&past).unwrap();
        let left = (0..jobs.len()).filter(|place| !is_purged(place));
        let left: Vec<Job> = left.map(|place| jobs[place].clone()).collect();
        let (audited, told) = audit(&store, &left);
        assert_eq!(told, Vec::<String>::new(), "{purged:?}");
        assert_eq!(audited.unwrap().live, PerStorage { non_redacted: 83, redacted: 83 });
        if let Some((missing, others)) = left.split_last() {
            let (_, told) = audit(&store, others);
            assert!(!told.is_empty(), "{purged:?}: nobody misses {:?}", missing.spec.operation);
        }
    }
}

#[test]
fn rows_that_purged_jobs_made_and_ended_are_noted_no_longer() {
    let (_temp, store, _) = store();
    let (create, _) = run(&store, Operation::Create, &ids(200..300));
    let (delete, _) = run(&store, Operation::Delete, &ids(200..300));
    let noted = || store.spaces.effects.iter().count();
    let before = noted();
    let past = |id, operation| PurgedJob { id, tenant: Tenant::local(), operation };
    store.purge(&[past(create, Operation::Create), past(delete, Operation::Delete)]).unwrap();
    assert_eq!(noted(), before - 4);
}

#[test]
fn tables_are_counted_and_held_against_their_checksums() {
    let (temp, store, jobs) = store();
    store.spaces.all().iter().for_each(|space| space.rotate_memtable_and_wait().unwrap());
    let (audited, told) = audit(&store, &jobs);
    assert_eq!(told, Vec::<String>::new());
    assert!(audited.unwrap().tables >= 6);
    drop(store);
    let tables = temp.path().join("records/keyspaces/2/tables");
    let table = std::fs::read_dir(tables).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&table).unwrap();
    let filler = bytes.len() - 1;
    bytes[filler] ^= 1;
    std::fs::write(table, bytes).unwrap();
    if let Ok(store) = Store::open(&temp.path().join("records"), &CONFIG) {
        let (_, told) = audit(&store, &jobs);
        assert!(told.iter().any(|what| what.starts_with("table ")), "{told:?}");
    }
}

/// What is taken out of a keyspace, and what an audit then says, among others.
type Removal = (fn(&Spaces) -> &Keyspace, &'static str);

#[test]
fn whatever_is_taken_out_is_missed() {
    let removals: [Removal; 5] = [
        (|spaces| &spaces.rows, "live rows of tenant local"),
        (|spaces| &spaces.index, "ids, 100 belong there"),
        (|spaces| &spaces.live, "block 0 of tenant local in NON_REDACTED_DB is missing"),
        (|spaces| &spaces.effects, "noted are 0"),
        (|spaces| &spaces.meta, "belong to a tenant or job"),
    ];
    for (space, expected) in removals {
        let (_temp, store, jobs) = store();
        let space = space(&store.spaces);
        // The last key of most, the first bitmap of live rows.
        let mut keys: Vec<_> = space.iter().map(|entry| entry.key().unwrap()).collect();
        keys.retain(|key| !key.starts_with(b"commit") && !key.starts_with(b"hash-key"));
        let place = if expected.starts_with("block 0") { 0 } else { keys.len() - 1 };
        let key = keys.swap_remove(place);
        space.remove(key).unwrap();
        let (_, told) = audit(&store, &jobs);
        assert!(told.iter().any(|what| what.contains(expected)), "{expected:?} in {told:?}");
    }
}

#[test]
fn rows_that_came_to_life_or_died_behind_the_journals_back_are_found() {
    for (operation, ids) in [(Operation::Create, ids(0..200)), (Operation::Delete, ids(20..21))] {
        let (_temp, store, mut jobs) = store();
        let (id, applied) = run(&store, operation, &ids);
        let (_, told) = audit(&store, &jobs);
        let found = |text: &str| told.iter().any(|what| what.contains(text));
        assert!(found("live or not where they should not be"), "{told:?}");
        assert!(found("bitmaps of effects"), "{told:?}");
        // The job that did it explains all of it.
        jobs.push(job(id, operation, applied));
        assert_eq!(audit(&store, &jobs).1, Vec::<String>::new());
        jobs[0].applied.processed.redacted -= 1;
        let (_, told) = audit(&store, &jobs);
        assert!(told[0].contains("changed 99 rows in REDACTED_DB, noted are 100"), "{told:?}");
    }
}
