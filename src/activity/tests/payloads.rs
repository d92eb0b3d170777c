//! Payloads and files of a job that change under it.

use std::fs;

use super::{
    super::{Error, StopReason},
    store::Kind,
    support::{Fault, Place, Scene, Task},
    text::Text,
};
use crate::{
    domain::{Applied, EventKind, MediaType, Operation, Outcome},
    error::Code,
    records::RecordStore,
};

/// Ways to damage a file of that length.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(usize),
    Cut(usize),
    Longer,
    Missing,
}

impl Damage {
    /// All of them, with flips and cuts all over the file.
    fn all(length: usize) -> Vec<Self> {
        let spots = (0..length).step_by(length / 23 + 1).chain([length - 1]);
        let changes = spots.flat_map(|at| [Self::Flip(at), Self::Cut(at)]);
        changes.chain([Self::Longer, Self::Missing]).collect()
    }

    fn apply(self, task: &Task) {
        let path = &task.payload;
        let mut bytes = fs::read(path).unwrap();
        match self {
            Self::Flip(at) => bytes[at] ^= 1,
            Self::Cut(length) => bytes.truncate(length),
            Self::Longer => bytes.push(b'\n'),
            Self::Missing => return fs::remove_file(path).unwrap(),
        }
        fs::write(path, bytes).unwrap();
    }
}

fn is_damaged<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::File(failure)) if failure.code == Code::FileDamaged)
}

#[test]
fn a_payload_that_is_not_what_was_accepted_fails_before_any_row_is_applied() {
    let text = Text::mixed(0..30);
    for media_type in [MediaType::Text, MediaType::Zip] {
        let place = Place::new(Kind::Memory);
        let task = place.task(Operation::Create, media_type, &text);
        let length = fs::metadata(&task.payload).unwrap().len();
        for damage in Damage::all(usize::try_from(length).unwrap()) {
            let mut task = place.task(Operation::Create, media_type, &text);
            damage.apply(&task);
            let result = task.validate(&place);
            assert!(is_damaged(&result), "{media_type:?} {damage:?} {result:?}");
            assert_eq!(place.store.cursor(task.job().spec.id).unwrap(), Applied::default());
        }
    }
}

#[test]
fn a_payload_that_changes_after_validation_fails_before_any_row_is_applied() {
    for operation in [Operation::Create, Operation::Update] {
        let scene = Scene::new(Kind::Memory, operation);
        let length = fs::metadata(&scene.task.payload).unwrap().len();
        for damage in Damage::all(usize::try_from(length).unwrap()) {
            let scene = Scene::validated(Kind::Memory, operation);
            damage.apply(&scene.task);
            let result = scene.apply();
            assert!(is_damaged(&result), "{operation} {damage:?} {result:?}");
            assert_eq!(scene.place.store.batches.lock().unwrap().len(), 0);
        }
    }
}

#[test]
fn a_text_that_changes_in_a_cell_after_validation_is_noticed() {
    let place = Place::new(Kind::Memory);
    let mut task = place.task(Operation::Create, MediaType::Text, &Text::of(0..30));
    task.validate(&place).unwrap();
    let mut bytes = fs::read(&task.payload).unwrap();
    // The last cell of the last row, far from any id.
    let at = bytes.len() - 2;
    bytes[at] ^= 1;
    fs::write(&task.payload, bytes).unwrap();
    assert!(is_damaged(&task.apply(&place)));
    assert_eq!(place.store.batches.lock().unwrap().len(), 0);
}

#[test]
fn a_payload_that_is_lost_halfway_stops_the_job_where_it_is() {
    for operation in [Operation::Create, Operation::Update] {
        let mut scene = Scene::validated(Kind::Memory, operation);
        scene.task.fail_at(3, Fault::After);
        scene.apply().unwrap_err();
        let cursor = scene.cursor();
        scene.restart();
        Damage::Missing.apply(&scene.task);
        assert!(is_damaged(&scene.apply()));
        assert_eq!(scene.cursor(), cursor);
    }
}

#[test]
fn a_delete_needs_its_payload_only_to_tell_of_rows_without_effect() {
    let scene = Scene::validated(Kind::Memory, Operation::Delete);
    Damage::Missing.apply(&scene.task);
    scene.apply().unwrap();
    assert!(is_damaged(&scene.task.finish(&scene.place, false)));

    let place = Place::new(Kind::Memory);
    let text = Text::of(0..20);
    place.run(Operation::Create, &text);
    let mut task = place.task(Operation::Delete, MediaType::Text, &text);
    task.validate(&place).unwrap();
    Damage::Missing.apply(&task);
    task.apply(&place).unwrap();
    assert_eq!(task.finish(&place, false).unwrap().outcome, Outcome::Succeeded);
}

#[test]
fn a_cancel_ends_a_job_whose_payload_is_lost_and_still_tells_every_line() {
    for operation in Operation::ALL {
        for damage in [Damage::Missing, Damage::Flip(40), Damage::Cut(0)] {
            let whole = cancelled(operation, None);
            let lost = cancelled(operation, Some(damage));
            assert_eq!(lost.0, whole.0);
            assert_eq!(lost.1.len(), whole.1.len());
            for (lost, whole) in lost.1.iter().zip(&whole.1) {
                assert_eq!((lost.0, lost.1, &lost.2), (whole.0, whole.1, &whole.2));
                assert_eq!(lost.3.is_empty(), lost.1.is_some(), "only ids are missing");
                assert!(!whole.3.is_empty() || whole.1.is_none());
            }
        }
    }
}

type Told = (u64, Option<crate::domain::Storage>, String, String);

/// Cancels in the middle, with the payload damaged before the report is made.
fn cancelled(operation: Operation, damage: Option<Damage>) -> (Applied, Vec<Told>) {
    let scene = Scene::validated(Kind::Memory, operation);
    scene.task.fail_at(3, Fault::Stop(StopReason::Cancel));
    scene.apply().unwrap_err();
    scene.task.commit(EventKind::CancelRequested);
    if let Some(damage) = damage {
        damage.apply(&scene.task);
    }
    let ending = scene.task.finish(&scene.place, true).unwrap();
    scene.task.end(&ending);
    let rows = scene.task.report(&scene.place).into_iter();
    let told = rows
        .map(|r| (r.line, r.storage, r.message, format!("{}{}", r.vax_event_id, r.recip_id)))
        .collect();
    (ending.applied, told)
}

#[test]
fn a_keys_file_that_is_damaged_is_never_applied() {
    for operation in Operation::ALL {
        let length = Scene::validated(Kind::Memory, operation).task.job().validated.keys_length;
        let length = usize::try_from(length).unwrap();
        for at in (0..length).step_by(97).chain([length - 1]) {
            for cut in [false, true] {
                let scene = Scene::validated(Kind::Memory, operation);
                let path = scene.place.workspace.keys(scene.task.job().spec.id);
                let mut bytes = fs::read(&path).unwrap();
                if cut {
                    bytes.truncate(at);
                } else {
                    bytes[at] ^= 1;
                }
                fs::write(path, bytes).unwrap();
                let result = scene.apply();
                assert!(matches!(result, Err(Error::Io { .. })), "{operation} {at} {result:?}");
                // A frame is read whole before anything of it is used.
                let whole_frames = scene.cursor().position;
                assert!(whole_frames * 20 <= at as u64, "{operation} {at} {whole_frames}");
            }
        }
    }
}

#[test]
fn a_report_that_lost_durable_bytes_is_not_gone_on_with() {
    let place = Place::new(Kind::Memory);
    let mut task = place.task(Operation::Create, MediaType::Text, &Text::mixed(0..30));
    task.fail_at(3, Fault::After);
    task.validate(&place).unwrap_err();
    task.restart(&place);
    let path = place.workspace.report(task.job().spec.id);
    let durable = task.job().validated.report_length;
    assert!(durable > 0);
    fs::File::options().write(true).open(path).unwrap().set_len(durable - 1).unwrap();
    assert!(matches!(task.validate(&place), Err(Error::Io { .. })));
}
