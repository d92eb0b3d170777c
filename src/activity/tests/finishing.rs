//! Reports, counts and outcomes, also of jobs that were cancelled.

use super::{
    super::{Error, StopReason},
    store::Kind,
    support::{Fault, Place, Scene},
    text::{Text, id_of},
};
use crate::{
    cvrs::Miss,
    domain::{Applied, EventKind, MediaType, Operation, Outcome, PerStorage, Storage, StorageSet},
    records::RecordStore,
};

#[test]
fn a_report_has_defects_by_line_then_refusals_by_storage_and_line() {
    for kind in Kind::ALL {
        let place = Place::new(kind);
        place.run(Operation::Create, &Text::of(0..30));
        // These are gone from one storage only.
        let one = StorageSet::from_iter([Storage::Redacted]);
        place.run_to_end(
            place.task(Operation::Delete, MediaType::Text, &Text::of(8..20)).touching(one),
        );
        let text = Text::mixed(0..40);
        let (task, ending) = place.run(Operation::Delete, &text);
        let report = task.report(&place);
        let places: Vec<_> =
            report.iter().map(|r| (r.storage.is_some(), r.storage, r.line)).collect();
        assert!(places.is_sorted());
        let count = |storage| report.iter().filter(|r| r.storage == storage).count() as u64;
        assert_eq!(count(None), text.errors.len() as u64);
        for storage in Storage::ALL {
            let applied = &ending.applied;
            assert_eq!(count(Some(storage)), *applied.errors.get(storage));
            let valid = text.valid.len() as u64;
            assert_eq!(applied.processed.get(storage) + applied.errors.get(storage), valid);
        }
        let (more, fewer) = (count(Some(Storage::Redacted)), count(Some(Storage::NonRedacted)));
        // Rows 8 to 19 but the two that are not valid.
        assert_eq!(more, fewer + 10);
        assert_eq!(ending.applied.rows_applied, ending.applied.processed.non_redacted);
        for row in report.iter().filter(|row| row.storage.is_some()) {
            let (_, bytes) = text.valid.iter().find(|(line, _)| *line == row.line).unwrap();
            assert_eq!(row.vax_event_id, id_of(bytes));
            assert_eq!(row.message, "Record does not exist");
            assert_eq!(row.code, Miss::Unknown.code());
        }
    }
}

#[test]
fn a_create_says_what_exists_and_an_update_what_does_not() {
    for (operation, miss) in [(Operation::Create, Miss::Exists), (Operation::Update, Miss::Unknown)]
    {
        let scene = Scene::validated(Kind::Memory, operation);
        scene.apply().unwrap();
        let ending = scene.task.finish(&scene.place, false).unwrap();
        scene.task.end(&ending);
        let report = scene.task.report(&scene.place);
        let refused: Vec<_> = report.iter().filter(|row| row.storage.is_some()).collect();
        assert!(!refused.is_empty());
        assert!(refused.iter().all(|row| row.message == miss.as_str() && row.code == miss.code()));
    }
}

#[test]
fn finishing_again_gives_the_same() {
    for operation in Operation::ALL {
        for cancelled in [false, true] {
            let mut scene = Scene::validated(Kind::Memory, operation);
            if cancelled {
                scene.task.fail_at(3, Fault::Stop(StopReason::Cancel));
                scene.apply().unwrap_err();
                scene.task.commit(EventKind::CancelRequested);
            } else {
                scene.apply().unwrap();
            }
            let first = scene.task.finish(&scene.place, cancelled).unwrap();
            let report = scene.task.report_bytes(&scene.place);
            assert_eq!(report.len() as u64, first.report_length);
            assert_eq!(crc32fast::hash(&report), first.report_crc);
            // Behind the durable length is now the first finish's part, and garbage.
            scene.restart();
            let second = scene.task.finish(&scene.place, cancelled).unwrap();
            assert_eq!(second, first);
            assert!(scene.task.report_bytes(&scene.place) == report);
            scene.task.end(&second);
        }
    }
}

#[test]
fn a_cancel_after_any_batch_leaves_one_outcome_for_each_row() {
    for operation in Operation::ALL {
        let batches = u32::try_from(Scene::new(Kind::Memory, operation).batches()).unwrap();
        for at in 0..batches {
            cancel_after(Kind::Memory, operation, at);
        }
        cancel_after(Kind::Embedded, operation, batches / 2);
    }
}

/// Cancels when that many batches are applied.
fn cancel_after(kind: Kind, operation: Operation, batches: u32) {
    let scene = Scene::validated(kind, operation);
    if batches > 0 {
        scene.task.fail_at(batches, Fault::Stop(StopReason::Cancel));
        let error = scene.apply().unwrap_err();
        assert!(matches!(error, Error::Stopped(StopReason::Cancel)));
    }
    let cursor = scene.cursor();
    scene.task.commit(EventKind::CancelRequested);
    let ending = scene.task.finish(&scene.place, true).unwrap();
    scene.task.end(&ending);
    assert_eq!(ending.outcome, Outcome::Cancelled);
    assert_eq!(ending.applied.position, cursor.position);
    assert_eq!(ending.applied.processed, cursor.processed);
    assert_eq!(ending.applied.rows_applied, cursor.rows_applied);
    let valid = scene.text.valid.len() as u64;
    let report = scene.task.report(&scene.place);
    for storage in Storage::ALL {
        let told = |message: &str| {
            let of = report.iter().filter(|r| r.storage == Some(storage) && r.message == message);
            of.map(|row| row.line).collect::<Vec<_>>()
        };
        let not_applied = told("not applied");
        let missed = [told("Record does not exist"), told("Record already exists")].concat();
        assert_eq!(missed.len() as u64, *cursor.errors.get(storage));
        assert_eq!(not_applied.len() as u64, valid - cursor.position);
        let done = *ending.applied.processed.get(storage);
        assert_eq!(done + not_applied.len() as u64 + missed.len() as u64, valid);
        assert_eq!((not_applied.len() + missed.len()) as u64, *ending.applied.errors.get(storage));
        // The rows that are not told of are those that took effect, and no others.
        let applied: Vec<_> = scene
            .text
            .valid
            .iter()
            .filter(|(line, _)| !not_applied.contains(line) && !missed.contains(line))
            .cloned()
            .collect();
        let mut model = scene.model.clone();
        assert!(model.apply(operation, &applied).is_empty());
        assert_eq!(scene.place.live(storage).len(), model.rows().len());
        if storage == Storage::NonRedacted {
            assert!(scene.place.live(storage) == model.rows());
        }
    }
    let lines = report.iter().filter(|r| r.storage.is_some()).map(|r| (r.storage, r.line));
    assert!(lines.is_sorted());
}

#[test]
fn a_cancel_is_told_also_where_nothing_was_applied_and_the_job_touches_one_storage() {
    let place = Place::new(Kind::Memory);
    let one = StorageSet::from_iter([Storage::Redacted]);
    let text = Text::mixed(0..20);
    let mut task = place.task(Operation::Create, MediaType::Zip, &text).touching(one);
    task.validate(&place).unwrap();
    task.commit(EventKind::CancelRequested);
    let ending = task.finish(&place, true).unwrap();
    task.end(&ending);
    let valid = text.valid.len() as u64;
    assert_eq!(ending.applied.errors, PerStorage { non_redacted: 0, redacted: valid });
    let report = task.report(&place);
    assert_eq!(report.iter().filter(|row| row.message == "not applied").count() as u64, valid);
}

#[test]
fn a_clean_job_succeeds_and_has_no_report() {
    for operation in Operation::ALL {
        let place = Place::new(Kind::Memory);
        let text = Text::of(0..20);
        if operation != Operation::Create {
            place.run(Operation::Create, &text);
        }
        let (task, ending) = place.run(operation, &text);
        assert_eq!((ending.outcome, ending.report_length), (Outcome::Succeeded, 0));
        assert!(!place.workspace.report(task.job().spec.id).exists());
    }
}

#[test]
fn a_file_without_rows_succeeds_with_zeros() {
    for operation in Operation::ALL {
        let place = Place::new(Kind::Embedded);
        let (_, ending) = place.run(operation, &Text::new());
        assert_eq!(ending.outcome, Outcome::Succeeded);
        assert_eq!(ending.applied, Applied::default());
        assert_eq!((ending.validated.rows, ending.report_length), (0, 0));
        assert!(place.store.counts(None).unwrap().is_empty());
    }
}

#[test]
fn a_file_of_which_no_row_is_valid_is_partly_done() {
    let place = Place::new(Kind::Memory);
    let text = Text::mixed((0..50).filter(|n| matches!(n % 10, 2 | 3)));
    let (task, ending) = place.run(Operation::Update, &text);
    assert_eq!(ending.outcome, Outcome::Partial);
    assert_eq!((ending.validated.rows, ending.validated.rows_valid), (10, 0));
    assert_eq!(task.report(&place).len(), 10);
}

#[test]
fn a_job_that_only_validates_ends_without_a_word_of_storages() {
    for cancelled in [false, true] {
        let place = Place::new(Kind::Memory);
        let text = Text::mixed(0..30);
        let mut task = place.task(Operation::Delete, MediaType::Text, &text).only_validating();
        task.validate(&place).unwrap();
        if cancelled {
            task.commit(EventKind::CancelRequested);
        }
        let ending = task.finish(&place, cancelled).unwrap();
        task.end(&ending);
        assert_eq!(ending.applied, Applied::default());
        let outcome = if cancelled { Outcome::Cancelled } else { Outcome::Partial };
        assert_eq!(ending.outcome, outcome);
        assert_eq!(task.report(&place).len(), text.errors.len());
    }
}
