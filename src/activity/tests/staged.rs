//! Jobs so large that their rows are staged come to the same as if row by row, whatever breaks off.

use super::{
    super::{Error, StopReason},
    store::Kind,
    support::{Fault, Found, Scene},
};
use crate::{
    cvrs::event_id_of,
    domain::{Operation, Storage, StorageSet},
    limits::PARALLEL_KEYS_MIN,
    records::{self, Batch, Entry, RecordStore, Row},
};

const STORES_ROWS: [Operation; 2] = [Operation::Create, Operation::Update];

/// What an undisturbed run comes to.
fn undisturbed(kind: Kind, operation: Operation) -> Found {
    let scene = Scene::large(kind, operation);
    scene.apply().unwrap();
    let batches = scene.place.store.batches.lock().unwrap();
    assert!(batches.len() >= 4);
    assert!(batches.iter().all(|(_, bytes)| *bytes == 0), "no batch holds a row");
    drop(batches);
    scene.end()
}

#[test]
fn a_large_job_does_what_the_model_says_in_either_store() {
    for operation in Operation::ALL {
        let found = Kind::ALL.map(|kind| undisturbed(kind, operation));
        let [memory, embedded] = found;
        assert!(memory == embedded, "{operation}");
    }
}

#[test]
fn a_batch_so_large_that_two_threads_decide_on_it_does_what_the_model_says() {
    let batch = PARALLEL_KEYS_MIN + 500;
    for storages in [StorageSet::ALL, [Storage::Redacted].into_iter().collect()] {
        let found = Kind::ALL.map(|kind| {
            let mut scene = Scene::large(kind, Operation::Delete);
            scene.place.engine.checkpoint_rows = batch;
            let task = scene.task.touching(storages);
            task.apply(&scene.place).unwrap();
            let sizes = scene.place.store.batches.lock().unwrap().clone();
            assert_eq!(sizes.first().map(|(rows, _)| *rows), Some(batch));
            let ending = task.finish(&scene.place, false).unwrap();
            assert!(ending.applied.rows_applied > 0);
            task.end(&ending);
            Found::of(&scene.place, &task, ending)
        });
        let [memory, embedded] = found;
        assert!(memory == embedded, "{storages:?}");
    }
}

#[test]
fn staging_that_breaks_off_at_any_row_is_begun_anew() {
    for operation in STORES_ROWS {
        let smooth = undisturbed(Kind::Embedded, operation);
        for row in [1, 2, 500, 700] {
            let mut scene = Scene::large(Kind::Embedded, operation);
            scene.place.store.die_at_staged_row(row);
            assert!(matches!(scene.apply(), Err(Error::Records(_))));
            assert_eq!(scene.cursor().position, 0);
            scene.restart();
            scene.apply().unwrap();
            assert!(scene.end() == smooth, "{operation} {row}");
        }
    }
}

#[test]
fn applying_staged_rows_that_breaks_off_after_any_batch_comes_to_the_same() {
    for operation in STORES_ROWS {
        let smooth = undisturbed(Kind::Embedded, operation);
        for batch in 1..=4 {
            let mut scene = Scene::large(Kind::Embedded, operation);
            scene.place.store.die_after(batch);
            assert!(matches!(scene.apply(), Err(Error::Records(_))));
            scene.restart();
            scene.apply().unwrap();
            assert!(scene.end() == smooth, "{operation} {batch}");
        }
    }
}

#[test]
fn a_large_job_that_is_stopped_at_a_checkpoint_goes_on_from_there() {
    for operation in STORES_ROWS {
        let smooth = undisturbed(Kind::Memory, operation);
        for reason in [StopReason::Cancel, StopReason::Drain] {
            let mut scene = Scene::large(Kind::Memory, operation);
            scene.task.fail_at(2, Fault::Stop(reason));
            assert!(matches!(scene.apply(), Err(Error::Stopped(r)) if r == reason));
            assert!(scene.cursor().position > 0);
            scene.restart();
            scene.apply().unwrap();
            assert!(scene.end() == smooth, "{operation} {reason:?}");
        }
    }
}

/// As a build before staging left it: it applied rows in file order, of which position means another
/// thing than now.
#[test]
fn a_job_that_has_applied_rows_without_staging_them_is_not_gone_on_with() {
    for kind in Kind::ALL {
        let scene = Scene::large(kind, Operation::Create);
        let store = &scene.place.store;
        let spec = scene.task.job().spec;
        let rows = scene.text.valid.iter().take(10);
        let entries: Vec<_> = rows
            .map(|(line, row)| Entry {
                key: store.key(event_id_of(row)),
                line: u32::try_from(*line).unwrap(),
                row: Row::Cells(row),
            })
            .collect();
        let batch = Batch {
            job: spec.id,
            tenant: &spec.tenant,
            operation: spec.operation,
            storages: spec.storages,
            position: 0,
            entries: &entries,
        };
        let before = store.apply(&batch).unwrap();
        let refused = scene.apply();
        assert!(matches!(refused, Err(Error::Records(records::Error::Damaged(_)))), "{kind:?}");
        assert_eq!(scene.cursor(), before);
    }
}
