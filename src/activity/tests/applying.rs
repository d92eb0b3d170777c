//! Batches, their bounds and their order.

use super::{
    super::{Error, KeyEntry},
    store::Kind,
    support::{Fault, Place, ROWS_PER_CHECKPOINT, Scene},
    text::{Model, Text},
};
use crate::{
    cvrs::{Field, with_cell},
    domain::{Applied, EventKind, MediaType, Operation, PerStorage, Storage, StorageSet, testing},
    limits::BATCH_BYTES_MAX,
    records,
};

#[test]
fn keys_that_do_not_fit_into_memory_are_applied_the_same() {
    let numbers: Vec<u64> = (0..2_000).collect();
    for (operation, kind) in
        [(Operation::Delete, Kind::Embedded), (Operation::Delete, Kind::Memory)]
    {
        let mut place = Place::new(kind);
        place.engine.checkpoint_rows = 100;
        // Twenty and more runs on disk.
        place.engine.sort_bytes = 100 * size_of::<KeyEntry>();
        let seed = Text::of(numbers.iter().copied().filter(|n| n % 3 != 0));
        place.run(Operation::Create, &seed);
        let mut model = Model::default();
        model.apply(Operation::Create, &seed.valid);
        let text = Text::mixed(numbers.iter().copied().filter(|n| n % 4 != 0));
        let missed = model.apply(operation, &text.valid);
        let mut task = place.task(operation, MediaType::Text, &text);
        task.validate(&place).unwrap();
        for at in [1, 5, 2] {
            task.fail_at(at, Fault::Before);
            task.apply(&place).unwrap_err();
            task.restart(&place);
        }
        task.apply(&place).unwrap();
        let ending = task.finish(&place, false).unwrap();
        task.end(&ending);
        let errors = missed.len() as u64;
        assert_eq!(ending.applied.errors, PerStorage { non_redacted: errors, redacted: errors });
        let told: Vec<_> = task.report(&place).iter().map(|r| (r.storage, r.line)).collect();
        let refused = |storage| missed.iter().map(move |line| (Some(storage), *line));
        let invalid = text.errors.iter().map(|(line, _)| (None, *line));
        let expected = invalid.chain(Storage::ALL.into_iter().flat_map(refused));
        assert_eq!(told, expected.collect::<Vec<_>>());
        assert_eq!(place.live(Storage::NonRedacted), model.rows());
        // Runs give up their names at once; what is left is told by name.
        let work = place.workspace.keys(task.job().spec.id);
        let left = std::fs::read_dir(work.parent().unwrap()).unwrap();
        let mut left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["keys", "report-REDACTED_DB"]);
    }
}

#[test]
fn a_batch_has_so_many_rows_and_no_more() {
    for operation in Operation::ALL {
        for rows in [0, 1, ROWS_PER_CHECKPOINT, ROWS_PER_CHECKPOINT + 1] {
            let place = Place::new(Kind::Memory);
            let (task, ending) = place.run(operation, &Text::of(0..rows as u64));
            assert_eq!(ending.applied.position, rows as u64);
            let batches = place.store.batches.lock().unwrap();
            let sizes: Vec<_> = batches.iter().map(|(rows, _)| *rows).collect();
            match rows {
                0 => assert!(sizes.is_empty()),
                8 => assert_eq!(sizes, [7, 1]),
                _ => assert_eq!(sizes, [rows]),
            }
            drop(task);
        }
    }
}

#[test]
fn a_batch_of_long_rows_is_bounded_in_bytes() {
    let mut place = Place::new(Kind::Memory);
    place.engine.checkpoint_rows = 1_000;
    let mut text = Text::new();
    // The one column whose cells have no bound of their own.
    let long = "9".repeat(1_000_000);
    for number in 0..45 {
        let row = with_cell(&text.row(number), Field::VaxExpiration, long.as_bytes());
        text.push_valid(row, "\n");
    }
    let (_, ending) = place.run(Operation::Create, &text);
    assert_eq!(ending.applied.rows_applied, 45);
    let batches = place.store.batches.lock().unwrap().clone();
    assert_eq!(batches.iter().map(|(rows, _)| rows).sum::<usize>(), 45);
    assert_eq!(batches.len(), 2);
    for (_, bytes) in batches {
        assert!(bytes < BATCH_BYTES_MAX + (1 << 20), "{bytes}");
    }
}

#[test]
fn what_is_applied_is_not_applied_again() {
    for operation in Operation::ALL {
        let mut scene = Scene::validated(Kind::Memory, operation);
        scene.apply().unwrap();
        let batches = scene.place.store.batches.lock().unwrap().len();
        scene.restart();
        scene.apply().unwrap();
        assert_eq!(scene.place.store.batches.lock().unwrap().len(), batches);
        scene.end();
    }
}

#[test]
fn a_store_that_is_behind_what_was_told_is_damaged() {
    let scene = Scene::validated(Kind::Memory, Operation::Delete);
    scene.task.commit(EventKind::ProcessingAdvanced(testing::all_applied(StorageSet::ALL, 5)));
    let error = scene.apply().unwrap_err();
    assert!(matches!(error, Error::Records(records::Error::Damaged(_))), "{error}");
    assert_eq!(scene.cursor(), Applied::default());
}

#[test]
fn a_job_touches_its_storages_only() {
    for (touched, other) in
        [(Storage::NonRedacted, Storage::Redacted), (Storage::Redacted, Storage::NonRedacted)]
    {
        for kind in Kind::ALL {
            let place = Place::new(kind);
            let one = StorageSet::from_iter([touched]);
            let run = |operation, text: &Text| {
                place.run_to_end(place.task(operation, MediaType::Text, text).touching(one))
            };
            let (_, created) = run(Operation::Create, &Text::of(0..20));
            assert_eq!(created.applied.rows_applied, 20);
            assert_eq!(*created.applied.processed.get(touched), 20);
            assert_eq!(*created.applied.processed.get(other), 0);
            assert_eq!((place.live(touched).len(), place.live(other).len()), (20, 0));
            let (task, deleted) = run(Operation::Delete, &Text::of(10..25));
            assert_eq!(*deleted.applied.processed.get(touched), 10);
            assert_eq!(*deleted.applied.errors.get(touched), 5);
            assert_eq!(*deleted.applied.errors.get(other), 0);
            assert!(task.report(&place).iter().all(|row| row.storage == Some(touched)));
            assert_eq!(place.live(touched).len(), 10);
        }
    }
}
