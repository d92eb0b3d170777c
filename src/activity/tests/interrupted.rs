//! Steps that are interrupted and resumed do what an undisturbed run does.

use super::{
    super::Error,
    store::Kind,
    support::{Fault, Found, Place, Scene},
    text::Text,
};
use crate::domain::{MediaType, Operation};

/// What an undisturbed run comes to.
fn undisturbed(operation: Operation) -> Found {
    let scene = Scene::validated(Kind::Memory, operation);
    scene.apply().unwrap();
    assert_eq!(scene.place.store.batches.lock().unwrap().len() as u64, scene.batches());
    scene.end()
}

#[test]
fn validation_that_is_interrupted_at_any_checkpoint_leaves_the_same_bytes() {
    let place = Place::new(Kind::Memory);
    let text = Text::mixed(0..50);
    for media_type in [MediaType::Text, MediaType::Zip] {
        let mut smooth = place.task(Operation::Create, media_type, &text);
        smooth.validate(&place).unwrap();
        let checkpoints = smooth.job().checkpoints;
        assert!(checkpoints >= 8);
        for at in 1..=checkpoints {
            for fault in Fault::ALL {
                let mut task = place.task(Operation::Create, media_type, &text);
                task.fail_at(at, fault);
                let error = task.validate(&place).unwrap_err();
                match fault {
                    Fault::Stop(reason) => {
                        assert!(matches!(error, Error::Stopped(r) if r == reason), "{error}");
                    }
                    _ => assert!(matches!(error, Error::Journal(_)), "{error}"),
                }
                task.restart(&place);
                task.validate(&place).unwrap();
                assert_eq!(task.job().validated, smooth.job().validated, "{at} {fault:?}");
                assert!(task.keys(&place) == smooth.keys(&place), "{at} {fault:?}");
                assert!(task.report_bytes(&place) == smooth.report_bytes(&place));
            }
        }
    }
}

#[test]
fn validation_that_is_interrupted_at_every_checkpoint_leaves_the_same_bytes() {
    let place = Place::new(Kind::Memory);
    let text = Text::mixed(0..50);
    let mut smooth = place.task(Operation::Delete, MediaType::Zip, &text);
    smooth.validate(&place).unwrap();
    let mut task = place.task(Operation::Delete, MediaType::Zip, &text);
    let mut attempts = 1;
    loop {
        task.fail_at(1, Fault::After);
        if task.validate(&place).is_ok() {
            break;
        }
        attempts += 1;
        task.restart(&place);
    }
    assert_eq!(attempts, smooth.job().checkpoints + 1);
    assert_eq!(task.job().validated, smooth.job().validated);
    assert!(task.keys(&place) == smooth.keys(&place));
    assert!(task.report_bytes(&place) == smooth.report_bytes(&place));
}

#[test]
fn applying_that_is_interrupted_after_any_batch_comes_to_the_same() {
    for operation in Operation::ALL {
        let smooth = undisturbed(operation);
        let batches = Scene::new(Kind::Memory, operation).batches();
        for at in 1..=batches {
            let mut scene = Scene::validated(Kind::Memory, operation);
            scene.place.store.die_after(at);
            assert!(matches!(scene.apply(), Err(Error::Records(_))));
            assert!(scene.task.job().applied.position < scene.cursor().position);
            scene.restart();
            scene.apply().unwrap();
            assert_eq!(scene.end(), smooth, "{operation} {at}");
        }
    }
}

#[test]
fn applying_that_is_interrupted_at_any_checkpoint_comes_to_the_same() {
    for operation in Operation::ALL {
        let smooth = undisturbed(operation);
        let batches = Scene::new(Kind::Memory, operation).batches();
        // The last batch has no checkpoint of its own.
        for at in 1..u32::try_from(batches).unwrap() {
            for fault in Fault::ALL {
                let mut scene = Scene::validated(Kind::Memory, operation);
                scene.task.fail_at(at, fault);
                scene.apply().unwrap_err();
                scene.restart();
                scene.apply().unwrap();
                assert_eq!(scene.end(), smooth, "{operation} {at} {fault:?}");
            }
        }
    }
}

#[test]
fn applying_that_is_interrupted_after_every_batch_comes_to_the_same_in_either_store() {
    for kind in Kind::ALL {
        for operation in Operation::ALL {
            let smooth = undisturbed(operation);
            let mut scene = Scene::validated(kind, operation);
            let mut attempts = 1;
            while attempts <= scene.batches() {
                if attempts.is_multiple_of(2) {
                    scene.place.store.die_after(1);
                } else {
                    scene.task.fail_at(1, Fault::Before);
                }
                if scene.apply().is_ok() {
                    break;
                }
                attempts += 1;
                scene.restart();
            }
            assert!(attempts >= scene.batches(), "{attempts}");
            scene.apply().unwrap();
            assert_eq!(scene.end(), smooth, "{kind:?} {operation}");
        }
    }
}

#[test]
fn other_batch_sizes_after_a_restart_come_to_the_same() {
    for operation in Operation::ALL {
        let smooth = undisturbed(operation);
        for rows in [1, 2, 13, 1_000] {
            let mut scene = Scene::validated(Kind::Memory, operation);
            scene.task.fail_at(3, Fault::Before);
            scene.apply().unwrap_err();
            scene.restart();
            scene.place.engine.checkpoint_rows = rows;
            scene.apply().unwrap();
            assert_eq!(scene.end(), smooth, "{operation} {rows}");
        }
    }
}
