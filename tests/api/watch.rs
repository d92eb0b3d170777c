//! Watching over gRPC.

use cvrsd::proto::jobs::{Operation, Status, WatchJobRequest, watch_job_response::Kind};
use tokio_stream::StreamExt;
use tonic::Code;

use crate::support::{
    files,
    jobs::{self, Upload},
    start,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_status_is_an_event_and_a_resume_continues_after_seq() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__ENGINE__CHECKPOINT_ROWS", "100")]);
    let mut client = daemon.jobs().await;
    let upload = Upload::zip(Operation::Create, &files::text(1, 0..1_000));
    let (job_id, _) = jobs::submit(&mut client, &upload).await.unwrap();
    let job = jobs::wait(&mut client, &job_id).await;
    let (events, ended) = jobs::watch(&mut client, &job_id, 1).await;
    ended.unwrap();
    let seqs: Vec<u64> = events.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (2..=job.seq).collect::<Vec<_>>());
    assert!(events.iter().all(|e| e.kind() == Kind::Event && e.coalesced_count == 0));
    let mut statuses: Vec<Status> =
        events.iter().map(|e| e.job.as_ref().unwrap().status()).collect();
    statuses.dedup();
    let all = [Status::DeQueued, Status::Validating, Status::Processing, Status::Completed];
    assert_eq!(statuses, all);
    assert_eq!(events.last().unwrap().job.as_ref().unwrap(), &job);
    for after in [2, job.seq - 1] {
        let (tail, _) = jobs::watch(&mut client, &job_id, after).await;
        assert_eq!(tail[..], events[usize::try_from(after - 1).unwrap()..]);
    }
    let (none, ended) = jobs::watch(&mut client, &job_id, job.seq).await;
    assert!(none.is_empty() && ended.is_ok());
    let (snapshot, ended) = jobs::watch(&mut client, &job_id, 0).await;
    assert!(ended.is_ok() && snapshot.len() == 1);
    assert_eq!((snapshot[0].kind(), snapshot[0].seq), (Kind::Snapshot, job.seq));
    let (_, ended) = jobs::watch(&mut client, &job_id, job.seq + 1).await;
    assert_eq!(ended.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_watch_sees_a_contiguous_run_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__ENGINE__CHECKPOINT_ROWS", "500")]);
    let mut client = daemon.jobs().await;
    let text = files::text(1, 0..20_000);
    let (job_id, _) =
        jobs::submit(&mut client, &Upload::zip(Operation::Create, &text)).await.unwrap();
    let (events, ended) = jobs::watch(&mut client, &job_id, 0).await;
    ended.unwrap();
    assert_eq!(events[0].kind(), Kind::Snapshot);
    for pair in events.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq + 1 + pair[1].coalesced_count);
    }
    assert_eq!(events.last().unwrap().job.as_ref().unwrap().status(), Status::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_malformed_jobs_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let mut client = daemon.jobs().await;
    let unknown = "018f0000-0000-7000-8000-000000000000";
    assert_eq!(jobs::watch(&mut client, unknown, 0).await.1.unwrap_err().code(), Code::NotFound);
    assert_eq!(jobs::watch(&mut client, "x", 0).await.1.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_a_watch_with_its_last_seq_and_a_restart_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("CVRSD__ENGINE__CHECKPOINT_ROWS", "10")];
    let daemon = start(dir.path(), &env);
    let mut client = daemon.jobs().await;
    let text = files::text(1, 0..30_000);
    let (job_id, _) =
        jobs::submit(&mut client, &Upload::zip(Operation::Create, &text)).await.unwrap();
    let request = WatchJobRequest { job_id: job_id.clone(), after_seq: 0 };
    let mut stream = client.watch_job(request).await.unwrap().into_inner();
    stream.next().await.unwrap().unwrap();
    daemon.signal("TERM");
    let mut last = None;
    let status = loop {
        match stream.next().await.expect("the stream ends with a status") {
            Ok(message) => last = Some(message),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    let last = last.unwrap();
    assert_eq!(last.kind(), Kind::Draining);
    assert!(daemon.wait().success());
    assert!(!dir.path().join("listen.json").exists());
    let daemon = start(dir.path(), &[]);
    let mut client = daemon.jobs().await;
    let (events, ended) = jobs::watch(&mut client, &job_id, last.seq).await;
    ended.unwrap();
    assert_eq!(events[0].seq, last.seq + 1);
    let job = events.last().unwrap().job.as_ref().unwrap();
    assert_eq!((job.status(), job.rows.unwrap().applied), (Status::Completed, 30_000));
}
