//! A drain while a job is in each of its states, with every kind of connection open: the daemon ends well
//! and in time, each stream has a last message, and the next one goes on as if nothing had been.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use cvrsd::proto::jobs::{
    Operation, Outcome, Status, WatchJobRequest, WatchJobResponse, watch_job_response::Kind,
};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tonic::Code;

use crate::{
    drain::{JOBS, answer, half_an_upload},
    support::{
        Daemon, files,
        jobs::{self, Upload},
        model::Model,
        start, wait_empty,
    },
};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Small batches, so that there is much to interrupt.
const ENV: &[(&str, &str)] = &[
    ("CVRSD__ENGINE__DRAIN_TIMEOUT", "5s"),
    ("CVRSD__ENGINE__CHECKPOINT_ROWS", "1000"),
    ("CVRSD__ENGINE__CHECKPOINT_INTERVAL", "20ms"),
];
/// Enough to be staged.
const ROWS: u64 = 60_000;

/// What a watch told until its end, and how it ended.
type Watched = (Vec<WatchJobResponse>, Result<(), tonic::Status>);

async fn watch(daemon: &Daemon, id: &str) -> JoinHandle<Watched> {
    let (mut client, id) = (daemon.jobs().await, id.to_owned());
    let watch = tokio::spawn(async move { jobs::watch(&mut client, &id, 0).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    watch
}

/// The job's events over REST until the stream ends.
fn events(daemon: &Daemon, id: &str) -> JoinHandle<String> {
    let mut stream = get(daemon, &format!("{JOBS}/{id}/events"));
    tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}

fn get(daemon: &Daemon, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&daemon.rest).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    stream
}

/// Waits until the job has that status and, where it applies rows, has applied some.
async fn reach(daemon: &Daemon, id: &str, status: Status) {
    let request = WatchJobRequest { job_id: id.to_owned(), after_seq: 1 };
    let mut client = daemon.jobs().await;
    let mut stream = client.watch_job(request).await.unwrap().into_inner();
    while let Some(message) = stream.next().await {
        let Some(job) = message.unwrap().job else { continue };
        assert!(job.status <= status as i32, "the job is {:?} already", job.status());
        if job.status() == status && (status != Status::Processing || job.rows.unwrap().applied > 0)
        {
            return;
        }
    }
    panic!("the job never was {status:?}");
}

/// The last words of a watch.
fn check_last(watched: Watched) {
    let (messages, ended) = watched;
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
    let last = messages.last().unwrap();
    assert_eq!(last.kind(), Kind::Draining);
    let before = messages.iter().rev().find(|message| message.kind() != Kind::Draining).unwrap();
    assert_eq!(last.seq, before.seq);
}

async fn drained_while(status: Status, cancelled: bool) {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), ENV);
    let mut model = Model::default();
    let mut client = daemon.jobs().await;
    let (mut ids, mut expected) = (Vec::new(), Vec::new());
    // The first one reaches that state; the others wait behind it.
    for (operation, rows) in
        [(Operation::Create, 0..ROWS), (Operation::Delete, 100..300), (Operation::Create, 200..201)]
    {
        let text = files::text(1, rows);
        let upload = Upload::text(operation, &text);
        ids.push(jobs::submit(&mut client, &upload).await.unwrap().0);
        if !cancelled {
            expected.push(model.apply(operation, &text));
        }
    }
    let body = files::text(2, 0..200);
    if !cancelled {
        expected.push(model.apply(Operation::Create, &body));
    }
    let watches = [watch(&daemon, &ids[0]).await, watch(&daemon, &ids[1]).await];
    let sse = events(&daemon, &ids[0]);
    let mut upload = half_an_upload(&daemon, &body, 10_000);
    let mut idle = get(&daemon, JOBS);
    idle.read_exact(&mut [0; 12]).unwrap();
    reach(&daemon, &ids[0], status).await;
    if cancelled {
        assert!(jobs::cancel(&mut client, &ids[0]).await.0);
    }
    let began = Instant::now();
    daemon.signal("TERM");
    for (number, watched) in watches.into_iter().enumerate() {
        // A cancelled one may get to its end before.
        if number > 0 || !cancelled {
            check_last(watched.await.unwrap());
        }
    }
    upload.write_all(&body[10_000..]).unwrap();
    let accepted = answer(upload);
    assert!(accepted.starts_with("HTTP/1.1 202"), "{accepted}");
    let id = accepted.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
    ids.push(id.to_owned());
    // Its connection is kept until nothing is on its way any more.
    let told = sse.await.unwrap();
    assert!(
        cancelled || told.trim_end_matches("\r\n0\r\n\r\n").trim_end().ends_with(": draining"),
        "{told}"
    );
    assert!(daemon.wait().success());
    assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());

    let daemon = start(dir.path(), ENV);
    let mut client = daemon.jobs().await;
    if cancelled {
        return check_cancelled(&mut client, &ids).await;
    }
    for (id, expected) in ids.iter().zip(&expected) {
        let job = jobs::wait(&mut client, id).await;
        expected.check(&job, &jobs::errors(&mut client, id).await);
    }
    let all = Upload::text(Operation::Delete, &files::text(1, 0..ROWS));
    let deleted = jobs::run(&mut client, &all).await.rows.unwrap().applied;
    assert_eq!(deleted + 200, model.live.len() as u64);
    wait_empty(dir.path(), &["spool", "payloads", "work"]);
}

/// What the cancelled job applied is there, and nothing else of it.
async fn check_cancelled(client: &mut jobs::Client, ids: &[String]) {
    let mut jobs_ended = Vec::new();
    for id in ids {
        jobs_ended.push(jobs::wait(client, id).await);
    }
    let applied = |at: usize| jobs_ended[at].rows.unwrap().applied;
    assert_eq!(jobs_ended[0].outcome(), Outcome::Cancelled);
    assert!(applied(0) > 0 && applied(0) < ROWS, "{}", applied(0));
    let all = Upload::text(Operation::Delete, &files::text(1, 0..ROWS));
    let deleted = jobs::run(client, &all).await.rows.unwrap().applied;
    assert_eq!(deleted, applied(0) - applied(1) + applied(2));
    assert_eq!(applied(3), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_while_a_job_is_de_queued_loses_nothing() {
    drained_while(Status::DeQueued, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_while_a_job_is_validated_loses_nothing() {
    drained_while(Status::Validating, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_while_rows_are_applied_loses_nothing() {
    drained_while(Status::Processing, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_while_a_cancel_takes_effect_loses_nothing() {
    drained_while(Status::Processing, true).await;
}
