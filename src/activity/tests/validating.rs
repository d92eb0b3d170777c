//! What validation leaves.

use super::{
    super::{
        Error,
        keys::{KeyEntry, KeysReader},
    },
    store::Kind,
    support::{Place, ROWS_PER_CHECKPOINT, Task},
    text::{Text, id_of},
};
use crate::{
    cvrs::Field,
    domain::{MediaType, Operation, Validated},
    error::Code,
    records::RecordStore,
};

fn entries(place: &Place, task: &Task) -> Vec<KeyEntry> {
    let job = task.job();
    let path = place.workspace.keys(job.spec.id);
    let mut reader = KeysReader::open(&path, job.validated.keys_length).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

fn file_error(result: Result<(), Error>) -> (Code, String) {
    match result {
        Err(Error::File(failure)) => (failure.code, failure.message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_valid_row_has_its_key_and_every_defect_its_line() {
    let place = Place::new(Kind::Memory);
    let text = Text::mixed(0..100);
    for operation in Operation::ALL {
        for media_type in [MediaType::Text, MediaType::Zip] {
            let mut task = place.task(operation, media_type, &text);
            task.validate(&place).unwrap();
            let job = task.job();
            assert_eq!(job.validated.line, text.line);
            assert_eq!(job.validated.rows, text.rows);
            assert_eq!(job.validated.rows_valid, text.valid.len() as u64);
            assert_eq!(job.validated.errors, text.errors.len() as u64);
            let key = |row| place.store.key(id_of(row).as_bytes());
            let expected: Vec<_> = text
                .valid
                .iter()
                .map(|(line, row)| KeyEntry::new(key(row), u32::try_from(*line).unwrap()))
                .collect();
            assert!(entries(&place, &task) == expected);
            let report = task.report(&place);
            let told: Vec<_> = report.iter().map(|row| (row.line, &*row.field)).collect();
            assert_eq!(told, text.errors);
            assert!(report.iter().all(|row| row.storage.is_none()));
            assert_eq!(
                report[0].text(),
                "line#4: vaxEventId= recipId=".to_owned()
                    + &report[0].recip_id
                    + " field=vax_event_id message=must not be null"
            );
            assert_eq!(task.warnings, Vec::<String>::new());
            assert!(place.store.batches.lock().unwrap().is_empty());
        }
    }
}

#[test]
fn a_checkpoint_is_taken_each_so_many_rows() {
    for rows in [ROWS_PER_CHECKPOINT - 1, ROWS_PER_CHECKPOINT, 3 * ROWS_PER_CHECKPOINT + 1] {
        let place = Place::new(Kind::Memory);
        let mut task = place.task(Operation::Create, MediaType::Text, &Text::of(0..rows as u64));
        task.validate(&place).unwrap();
        assert_eq!(task.job().checkpoints as usize, rows / ROWS_PER_CHECKPOINT);
    }
}

#[test]
fn a_file_may_have_so_many_rows_and_no_more() {
    let mut place = Place::new(Kind::Memory);
    place.intake.max_rows = 20;
    let mut text = Text::of(0..19);
    text.empty("\n");
    text.invalid(19, Field::RecipSex, "X");
    text.empty("\r\n");
    let mut task = place.task(Operation::Create, MediaType::Text, &text);
    task.validate(&place).unwrap();
    assert_eq!(task.job().validated.rows, 20);
    text.valid(20);
    let mut task = place.task(Operation::Create, MediaType::Text, &text);
    let (code, message) = file_error(task.validate(&place));
    assert_eq!((code, &*message), (Code::FileRows, "line 24 is row 21, more than 20"));
}

#[test]
fn the_bound_on_rows_holds_across_a_restart() {
    let mut place = Place::new(Kind::Memory);
    place.intake.max_rows = 20;
    for (rows, good) in [(20, true), (21, false)] {
        let mut task = place.task(Operation::Create, MediaType::Text, &Text::of(0..rows));
        task.fail_at(2, super::support::Fault::After);
        task.validate(&place).unwrap_err();
        task.restart(&place);
        assert_eq!(task.validate(&place).is_ok(), good, "{rows}");
    }
}

#[test]
fn a_header_without_rows_is_a_good_file() {
    for operation in Operation::ALL {
        for empty_lines in [0, 3] {
            let place = Place::new(Kind::Memory);
            let mut text = Text::new();
            (0..empty_lines).for_each(|_| text.empty("\n"));
            let mut task = place.task(operation, MediaType::Zip, &text);
            task.validate(&place).unwrap();
            let expected = Validated { line: 1 + empty_lines, ..Validated::default() };
            assert_eq!(task.job().validated, expected);
            assert_eq!(entries(&place, &task), []);
            assert!(task.report_bytes(&place).is_empty());
        }
    }
}

#[test]
fn a_file_that_is_no_cvrs_fails_as_a_whole() {
    let place = Place::new(Kind::Memory);
    let ids_alone = b"vax_event_id\nE1\nE2\n".to_vec();
    for (operation, bytes, code) in [
        (Operation::Create, ids_alone.clone(), Some(Code::HeaderColumn)),
        (Operation::Update, ids_alone.clone(), Some(Code::HeaderColumn)),
        (Operation::Delete, ids_alone, None),
        (Operation::Delete, b"recip_id\nP1\n".to_vec(), Some(Code::HeaderColumn)),
        (Operation::Delete, b"\n\n".to_vec(), Some(Code::HeaderMalformed)),
        (Operation::Delete, b"E1\tP1\n".to_vec(), Some(Code::HeaderMalformed)),
        (Operation::Delete, b"vax_event_id\tVAX_EVENT_ID\n".to_vec(), Some(Code::HeaderDuplicate)),
    ] {
        let mut task = place.task_of(operation, MediaType::Text, bytes);
        match code {
            Some(code) => assert_eq!(file_error(task.validate(&place)).0, code),
            None => task.validate(&place).unwrap(),
        }
    }
}

#[test]
fn a_column_that_is_ignored_is_a_warning_also_after_a_restart() {
    let place = Place::new(Kind::Memory);
    let bytes = format!("vax_event_id\tvax_prov_suffix\n{}", "E1\tx\n".repeat(20)).into_bytes();
    let mut task = place.task_of(Operation::Delete, MediaType::Text, bytes);
    task.fail_at(2, super::support::Fault::After);
    task.validate(&place).unwrap_err();
    task.restart(&place);
    task.validate(&place).unwrap();
    assert_eq!(task.warnings.len(), 1);
    assert!(task.warnings[0].contains("vax_prov_suffix"));
}
