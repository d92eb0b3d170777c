//! Cancelling over gRPC.

use std::time::Duration;

use cvrsd::proto::{
    admin::CountRecordsRequest,
    jobs::{Operation, Outcome, RowErrorKind, Status},
};

use crate::support::{
    files,
    jobs::{self, Upload},
    start,
};

/// Batches of a few rows, each with its own sync, so that a job takes seconds.
const SLOW: &[(&str, &str)] = &[("CVRSD__ENGINE__CHECKPOINT_ROWS", "5")];
const ROWS: u64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_rows_are_applied_tells_exactly_which_were() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), SLOW);
    let mut client = daemon.jobs().await;
    for operation in [Operation::Create, Operation::Delete] {
        let mut records = daemon.records().await;
        let mut count = async || {
            let request = CountRecordsRequest { tenant: "local".to_owned() };
            let reply = records.count_records(request).await.unwrap().into_inner();
            reply.counts.iter().map(|c| c.count).collect::<Vec<_>>()
        };
        let before = count().await.first().copied().unwrap_or(0);
        let upload = Upload::zip(operation, &files::text(1, 0..ROWS));
        let (job_id, _) = jobs::submit(&mut client, &upload).await.unwrap();
        while jobs::get(&mut client, &job_id).await.rows.unwrap().applied == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (cancelled, _) = jobs::cancel(&mut client, &job_id).await;
        assert!(cancelled);
        let job = jobs::wait(&mut client, &job_id).await;
        assert_eq!(job.outcome(), Outcome::Cancelled);
        let applied = job.rows.unwrap().applied;
        assert!(applied < ROWS, "the job was too quick to be cancelled");
        for storage in &job.storages {
            assert_eq!(storage.records_processed + storage.processing_errors, ROWS);
        }
        let errors = jobs::errors(&mut client, &job_id).await;
        let told: Vec<_> = errors.iter().filter(|e| e.kind() == RowErrorKind::Processing).collect();
        let missing = told.iter().filter(|e| e.message == "Record does not exist").count() as u64;
        let not_applied = told.iter().filter(|e| e.message == "not applied").count() as u64;
        assert_eq!(missing + not_applied, 2 * (ROWS - applied));
        let after = count().await;
        let expected =
            if operation == Operation::Create { before + applied } else { before - applied };
        assert_eq!(after, [expected; 2]);
        let (again, same) = jobs::cancel(&mut client, &job_id).await;
        assert!(!again);
        assert_eq!(same, job);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_of_a_queued_job_ends_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), SLOW);
    let mut client = daemon.jobs().await;
    let big = Upload::zip(Operation::Create, &files::text(1, 0..ROWS));
    let (running, _) = jobs::submit(&mut client, &big).await.unwrap();
    let small = Upload::zip(Operation::Create, &files::text(2, 0..10));
    let (queued, _) = jobs::submit(&mut client, &small).await.unwrap();
    let (last, _) = jobs::submit(&mut client, &small).await.unwrap();
    let (cancelled, job) = jobs::cancel(&mut client, &queued).await;
    assert!(cancelled);
    assert_eq!((job.status(), job.outcome()), (Status::Completed, Outcome::Cancelled));
    assert_eq!(job.rows.unwrap().total, 0);
    jobs::cancel(&mut client, &running).await;
    jobs::wait(&mut client, &running).await;
    assert_eq!(jobs::wait(&mut client, &last).await.rows.unwrap().applied, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), SLOW);
    let mut client = daemon.jobs().await;
    let big = Upload::zip(Operation::Create, &files::text(1, 0..ROWS));
    let (job_id, _) = jobs::submit(&mut client, &big).await.unwrap();
    while jobs::get(&mut client, &job_id).await.status() != Status::Processing {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (cancelled, _) = jobs::cancel(&mut client, &job_id).await;
    assert!(cancelled);
    daemon.kill();
    let daemon = start(dir.path(), SLOW);
    let job = jobs::wait(&mut daemon.jobs().await, &job_id).await;
    assert_eq!(job.outcome(), Outcome::Cancelled);
}
