//! What is validated in memory comes to what is validated from a file.

use super::{
    super::{Error, Shared},
    store::Kind,
    support::{Place, Task},
    text::Text,
};
use crate::{
    cvrs::Profile,
    domain::{MediaType, Operation, Validated},
    records::Row,
};

/// Texts of which a few lines are odd, or all.
fn texts() -> Vec<Text> {
    vec![Text::new(), Text::of(0..5), Text::mixed(0..10), Text::mixed(0..30)]
}

fn check(place: &Place, task: &Task, shared: &mut Shared) {
    let small = task.validate_small(place, shared);
    let report = task.report_bytes(place);
    let large = task.validated(place);
    let (small, large) = match (small, large) {
        (Ok(small), Ok(large)) => (small, large),
        (Err(Error::File(small)), Err(Error::File(large))) => return assert_eq!(small, large),
        (small, large) => panic!("{:?} {:?}", small.err(), large.err()),
    };
    let found = small.validation;
    assert_eq!(found.validated, Validated { keys_length: 0, ..large.validated });
    assert_eq!(found.warnings, large.warnings);
    assert_eq!(task.report_bytes(place), report);
}

#[test]
fn a_small_file_has_the_counts_the_report_and_the_failure_of_a_large_one() {
    for profile in [Profile::Dch2021, Profile::Strict] {
        let mut shared = Shared::default();
        for operation in Operation::ALL {
            for media_type in [MediaType::Text, MediaType::Zip] {
                for text in texts() {
                    let place = Place::new(Kind::Memory);
                    let task = place.task(operation, media_type, &text);
                    task.job.borrow_mut().spec.rules.profile = profile;
                    check(&place, &task, &mut shared);
                }
            }
            for bytes in ["", "\n", "vax_event_id\n", "no header", "vax_event_id\tx\nE1\n\nE1\n"] {
                let place = Place::new(Kind::Memory);
                let task = place.task_of(operation, MediaType::Text, bytes.into());
                check(&place, &task, &mut shared);
            }
        }
    }
}

#[test]
fn bounds_hold_for_a_small_file_as_for_a_large_one() {
    let text = Text::of(0..5);
    for (rows, line) in [(4, 1 << 20), (5, 1 << 20), (9, 100)] {
        let mut place = Place::new(Kind::Memory);
        (place.intake.max_rows, place.intake.max_line_bytes) = (rows, line);
        let task = place.task(Operation::Create, MediaType::Text, &text);
        check(&place, &task, &mut Shared::default());
    }
}

#[test]
fn a_payload_that_is_not_the_one_that_was_accepted_fails() {
    let place = Place::new(Kind::Memory);
    let task = place.task(Operation::Create, MediaType::Text, &Text::of(0..5));
    let mut bytes = std::fs::read(&task.payload).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&task.payload, bytes).unwrap();
    check(&place, &task, &mut Shared::default());
    let failed = task.validate_small(&place, &mut Shared::default());
    assert!(matches!(failed, Err(Error::File(_))));
}

#[test]
fn files_with_one_header_share_it_and_others_do_not() {
    let place = Place::new(Kind::Memory);
    let mut shared = Shared::default();
    let ids = |header: &str, ids: &str| format!("{header}\n{ids}\n").into_bytes();
    let files = [
        (ids("vax_event_id\trecip_id", "E1\tP1"), 1),
        (ids("vax_event_id\trecip_id", "E2\tP1"), 1),
        // The second row has no id under this header.
        (ids("recip_id\tvax_event_id", "E1\tP1\nE1\t"), 1),
        (ids("vax_event_id\trecip_id", "E3\t\n\tP1"), 1),
    ];
    for (file, valid) in files {
        let task = place.task_of(Operation::Delete, MediaType::Text, file);
        let small = task.validate_small(&place, &mut shared).unwrap();
        assert_eq!(small.validation.validated.rows_valid, valid);
        let entries = small.entries();
        assert_eq!(entries.len() as u64, valid);
        assert!(entries.iter().all(|entry| entry.row == Row::Cells(b"") && entry.line == 2));
    }
}
