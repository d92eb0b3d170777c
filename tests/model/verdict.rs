//! What must have become of a job that has ended, worked out from how its file was made.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cvrsd::{
    domain::{Applied, Event, Job, Operation, Outcome, Storage, Validated},
    engine::ReportRow,
};

use super::{
    oracle::{Oracle, Upload},
    rows::Row,
};

impl Oracle {
    /// Compares an ended job, its events and its report with what must have become of it; the jobs come
    /// in submit order.
    pub fn settle(&mut self, job: &Job, events: &[Event], report: &[ReportRow]) {
        let known = self.jobs.get_mut(&job.spec.id).unwrap();
        known.settled = true;
        check_events(job, events, &std::mem::take(&mut known.told));
        let upload = Arc::clone(&known.upload);
        match job.outcome().unwrap() {
            Outcome::Failed => {
                assert!(upload.file.is_letter, "{job:?}");
                let told: Vec<_> = report.iter().map(|row| (row.line, row.storage)).collect();
                assert_eq!(told, [(1, None)]);
                assert_eq!(job.applied, Applied::default());
            }
            Outcome::Cancelled => {
                assert!(known.cancel_asked, "nobody cancelled {job:?}");
                if job.validated == Validated::default() {
                    assert_eq!((job.applied, report.len()), (Applied::default(), 0));
                } else {
                    self.settle_rows(job, &upload, report);
                }
            }
            Outcome::Succeeded | Outcome::Partial => {
                let untouched = report.iter().find(|row| row.message == UNTOUCHED);
                assert_eq!(untouched, None, "{job:?}");
                assert!(!upload.file.is_letter, "{job:?}");
                self.settle_rows(job, &upload, report);
                let clean = report.is_empty();
                assert_eq!(job.outcome() == Some(Outcome::Succeeded), clean, "{job:?}");
            }
        }
    }

    fn settle_rows(&mut self, job: &Job, upload: &Upload, report: &[ReportRow]) {
        let operation = upload.request.operation;
        let rows = &upload.file.rows;
        let wrong = |row: &&Row| row.error(operation).is_some();
        let errors = rows.iter().filter(wrong).count() as u64;
        let valid = rows.len() as u64 - errors;
        let validated = &job.validated;
        let counts = (validated.rows, validated.rows_valid, validated.errors);
        assert_eq!(counts, (rows.len() as u64, valid, errors), "{job:?}");
        let mut expected: Vec<_> = rows.iter().filter_map(|row| invalid(row, operation)).collect();
        let mut applied = Applied::default();
        let untouched = untouched(job, rows, report);
        if !job.spec.validate_only {
            applied.position = job.applied.position;
            for storage in job.spec.storages.iter() {
                self.apply(storage, job, rows, &untouched, &mut applied, &mut expected);
            }
            applied.rows_applied = effective(job, &expected, valid);
            let done = valid - untouched.len() as u64;
            assert_eq!(applied.position, done, "{job:?}");
        }
        assert_eq!(job.applied, applied, "{job:?}");
        let told: Vec<_> = report.iter().map(told).collect();
        assert_eq!(told, expected, "the report of {job:?}");
    }

    /// Goes through the rows in file order, as a delete that sorts them must come to the same.
    fn apply(
        &mut self,
        storage: Storage,
        job: &Job,
        rows: &[Row],
        untouched: &BTreeSet<u64>,
        applied: &mut Applied,
        expected: &mut Vec<Told>,
    ) {
        let operation = job.spec.operation;
        let live = self.live.entry((job.spec.tenant.clone(), storage)).or_default();
        for row in rows.iter().filter(|row| row.error(operation).is_none()) {
            let is_live = live.contains_key(&row.key());
            let refusal = match operation {
                _ if untouched.contains(&row.line) => Some(UNTOUCHED),
                Operation::Create if is_live => Some("Record already exists"),
                Operation::Update | Operation::Delete if !is_live => Some("Record does not exist"),
                _ => None,
            };
            if let Some(refusal) = refusal {
                *applied.errors.get_mut(storage) += 1;
                expected.push(refused(row, storage, refusal));
                continue;
            }
            *applied.processed.get_mut(storage) += 1;
            match operation {
                Operation::Delete => live.remove(&row.key()),
                Operation::Create | Operation::Update => live.insert(row.key(), row.clone()),
            };
        }
    }
}

const UNTOUCHED: &str = "not applied";

/// Line, storage, ids, column and, of a processing error, the text.
type Told = (u64, Option<Storage>, String, String, String, String);

fn told(row: &ReportRow) -> Told {
    let message = if row.storage.is_some() { row.message.clone() } else { String::new() };
    let ids = (row.vax_event_id.clone(), row.recip_id.clone());
    (row.line, row.storage, ids.0, ids.1, row.field.clone(), message)
}

fn invalid(row: &Row, operation: Operation) -> Option<Told> {
    let field = row.error(operation)?.to_owned();
    Some((row.line, None, row.event_id.clone(), row.recip_id.clone(), field, String::new()))
}

fn refused(row: &Row, storage: Storage, refusal: &str) -> Told {
    let ids = (row.event_id.clone(), row.recip_id.clone());
    (row.line, Some(storage), ids.0, ids.1, String::new(), refusal.to_owned())
}

/// Lines that a cancel left alone: in all storages of the job, and behind no row of the same id that it
/// left alone was one applied.
fn untouched(job: &Job, rows: &[Row], report: &[ReportRow]) -> BTreeSet<u64> {
    let of = |storage| -> BTreeSet<u64> {
        let left = report.iter().filter(|row| row.message == UNTOUCHED);
        left.filter(|row| row.storage == Some(storage)).map(|row| row.line).collect()
    };
    let mut sets = job.spec.storages.iter().map(of);
    let first = sets.next().unwrap_or_default();
    assert!(sets.all(|other| other == first), "a row is applied in one storage alone: {job:?}");
    let mut left = BTreeSet::new();
    for row in rows.iter().filter(|row| row.error(job.spec.operation).is_none()) {
        if first.contains(&row.line) {
            left.insert(row.key());
        } else {
            assert!(!left.contains(&row.key()), "line {} overtook another: {job:?}", row.line);
        }
    }
    first
}

/// Valid rows that took effect in at least one storage.
fn effective(job: &Job, expected: &[Told], valid: u64) -> u64 {
    let mut refusals: BTreeMap<u64, usize> = BTreeMap::new();
    for (line, ..) in expected.iter().filter(|told| told.1.is_some()) {
        *refusals.entry(*line).or_default() += 1;
    }
    let storages = job.spec.storages.iter().count();
    valid - refusals.values().filter(|count| **count == storages).count() as u64
}

/// The job is the fold of its events, and what watchers were told is among its states.
fn check_events(job: &Job, events: &[Event], told: &[Arc<Job>]) {
    let mut events = events.iter();
    let mut states = vec![Job::first(events.next().unwrap()).unwrap()];
    for event in events {
        let next = states.last().unwrap().clone().next(event).unwrap();
        assert!(next.status() >= states.last().unwrap().status());
        states.push(next);
    }
    assert_eq!(states.last(), Some(job));
    for told in told {
        let state = states.iter().find(|state| state.seq == told.seq);
        assert_eq!(state, Some(&**told), "told of what is not");
    }
}
