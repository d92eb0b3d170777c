//! What is written, and that damage is noticed.

use fjall::Keyspace;
use roaring::RoaringBitmap;
use tempfile::TempDir;

use super::{
    super::{blocks, codec, commits::COMMIT_KEY, keys},
    *,
};
use crate::limits::LIVE_BLOCK_ROWS;

fn store() -> (TempDir, Store) {
    let temp = TempDir::new().unwrap();
    let store = Store::open(&temp.path().join("records"), &CONFIG).unwrap();
    (temp, store)
}

/// Everything in a keyspace.
fn content(space: &Keyspace) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entries = space.iter().map(|entry| entry.into_inner().unwrap());
    entries.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

fn effects(store: &Store, job: JobId, storage: Storage, block: u64) -> RoaringBitmap {
    let key = blocks::key(&keys::effects_prefix(job, storage), block);
    codec::read_block(&store.spaces.effects.get(key).unwrap().unwrap()).unwrap()
}

#[test]
fn a_delete_writes_bits_and_nothing_else() {
    let (_temp, store) = store();
    run(&store, Operation::Create, &ids(0..100));
    let spaces = &store.spaces;
    let all = || {
        let mut all = [&spaces.rows, &spaces.index, &spaces.meta].map(content);
        all[2].retain(|(key, _)| key != COMMIT_KEY);
        all
    };
    let before = all();
    run(&store, Operation::Delete, &ids(0..50));
    assert!(all() == before);
    assert_eq!(count(&store, Storage::Redacted), 50);
}

#[test]
fn a_row_is_stored_once_for_both_storages() {
    let (_temp, store) = store();
    run(&store, Operation::Create, &ids(0..10));
    run(&store, Operation::Update, &ids(5..20));
    assert_eq!(content(&store.spaces.rows).len(), 15);
    assert_eq!(content(&store.spaces.index).len(), 10);
}

#[test]
fn effects_tell_which_rows_a_job_made_and_ended() {
    let (_temp, store) = store();
    let (creates, _) = run(&store, Operation::Create, &ids(0..3));
    let (updates, _) = run(&store, Operation::Update, &ids(0..1));
    let (deletes, _) = run(&store, Operation::Delete, &ids(0..2));
    for storage in Storage::ALL {
        assert_eq!(effects(&store, creates, storage, 0), [1, 2, 3].into());
        let replaced = effects(&store, updates, storage, 0);
        assert_eq!((replaced.len(), replaced.contains(4)), (2, true));
        let ended = effects(&store, deletes, storage, 0);
        assert_eq!((ended.len(), ended.contains(4)), (2, true));
        store.forget(deletes).unwrap();
        assert_eq!(effects(&store, deletes, storage, 0), ended);
    }
}

#[test]
fn rows_go_on_into_the_next_block() {
    let (_temp, store) = store();
    // Row numbers start at 1, so the first block takes one row less.
    let full = u32::try_from(LIVE_BLOCK_ROWS - 1).unwrap();
    run(&store, Operation::Create, &ids(0..full));
    let blocks = |store: &Store| content(&store.spaces.live).len();
    assert_eq!(blocks(&store), 2);
    let (job, cursor) = run(&store, Operation::Create, &ids(full - 1..full + 2));
    assert_eq!((cursor.rows_applied, blocks(&store)), (2, 4));
    assert_eq!(effects(&store, job, Storage::Redacted, 1), [0, 1].into());
    assert_eq!(exported(&store, Storage::Redacted).unwrap(), LIVE_BLOCK_ROWS + 1);
    run(&store, Operation::Delete, &ids(0..full));
    assert_eq!(exported(&store, Storage::NonRedacted).unwrap(), 2);
}

#[test]
fn looked_up_and_scanned_keys_are_found_alike() {
    let (_temp, store) = store();
    run(&store, Operation::Create, &ids(0..20_000));
    let (_, few) = run(&store, Operation::Delete, &ids(0..10));
    assert_eq!(few.rows_applied, 10);
    let (_, again) = run(&store, Operation::Delete, &ids(5..15));
    assert_eq!(again.rows_applied, 5);
    let (_, many) = run(&store, Operation::Delete, &ids(0..15_000));
    assert_eq!(many.rows_applied, 15_000 - 15);
    assert_eq!(exported(&store, Storage::NonRedacted).unwrap(), 5_000);
}

#[test]
fn a_view_is_one_moment_while_jobs_run() {
    let (_temp, store) = store();
    run(&store, Operation::Create, &ids(0..1_000));
    let mut visits = 0;
    let mut visit = |_: &[u8]| {
        if visits == 0 {
            run(&store, Operation::Delete, &ids(0..1_000));
        }
        visits += 1;
        ControlFlow::Continue(())
    };
    store.export(&Tenant::local(), Storage::NonRedacted, &mut visit).unwrap();
    assert_eq!(visits, 1_000);
    assert_eq!(exported(&store, Storage::NonRedacted).unwrap(), 0);
}

#[test]
fn a_changed_moved_or_missing_row_is_damage_and_named_without_values() {
    let (_temp, store) = store();
    run(&store, Operation::Create, &ids(0..1));
    let rows = &store.spaces.rows;
    let (key, value) = content(rows).remove(0);
    let is_damage = || {
        for error in [
            store.get(&Tenant::local(), Storage::Redacted, b"EV0").unwrap_err(),
            exported(&store, Storage::Redacted).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Damaged(_)), "{error}");
            assert!(!error.to_string().contains("EV0"));
        }
    };
    let mut changed = value.clone();
    *changed.last_mut().unwrap() ^= 1;
    rows.insert(key.as_slice(), changed).unwrap();
    is_damage();
    rows.remove(key.as_slice()).unwrap();
    is_damage();
    let mut next = key.clone();
    *next.last_mut().unwrap() += 1;
    rows.insert(next, value.as_slice()).unwrap();
    is_damage();
    rows.insert(key, value).unwrap();
    assert_eq!(exported(&store, Storage::Redacted).unwrap(), 1);
}

#[test]
fn another_id_with_the_same_hash_is_not_shown() {
    let (_temp, store) = store();
    run(&store, Operation::Create, &ids(0..1));
    let (_, pointers) = content(&store.spaces.index).remove(0);
    let other = keys::index(1, store.key(b"EV1"));
    store.spaces.index.insert(other, pointers).unwrap();
    let get = |id: &[u8]| store.get(&Tenant::local(), Storage::NonRedacted, id).unwrap();
    assert!(get(b"ev0").is_some());
    assert_eq!(get(b"EV1"), None);
}

#[test]
fn a_batch_that_meets_damage_changes_nothing() {
    let (_temp, store) = store();
    run(&store, Operation::Create, &ids(0..10));
    let key = keys::index(1, store.key(b"EV3"));
    store.spaces.index.insert(key, b"short").unwrap();
    let job = JobId::generate();
    let refused = apply(&store, job, Operation::Delete, 0, &ids(0..10));
    assert!(matches!(refused, Err(Error::Damaged(_))));
    assert_eq!(store.cursor(job).unwrap(), Applied::default());
    assert_eq!(count(&store, Storage::NonRedacted), 10);
}
