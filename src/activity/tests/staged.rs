//! Jobs so large that their rows are staged come to the same as if row by row, whatever breaks off.

use super::{
    super::{Error, StopReason},
    store::Kind,
    support::{Fault, Found, Scene},
};
use crate::domain::Operation;

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
