//! Certificates, authorities and clients taken anew while connections and streams are open.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use cvrsd::limits::FILES_RETRY_INTERVAL;
use cvrsd::proto::jobs::{
    ListJobsRequest, Operation, Status, WatchJobRequest, WatchJobResponse,
    job_service_client::JobServiceClient, watch_job_response::Kind,
};
use tokio::time::timeout;
use tonic::{Code, Streaming};
use tonic_types::StatusExt;

use crate::{
    bench::{Bench, NOBODY, mutual, named},
    pki::{Authority, dns},
    support::{
        PATIENCE, files,
        http::JOBS,
        jobs::{self, Client, Upload},
    },
};

/// Applies row by row, so that a job of many rows outlasts a rotation.
const SLOW: &[(&str, &str)] = &[("CVRSD__ENGINE__CHECKPOINT_ROWS", "1")];
const ROWS: u64 = 40_000;

/// A stream of events of a job that takes long, on a connection of its own.
struct Watch {
    client: Client,
    job_id: String,
    stream: Streaming<WatchJobResponse>,
    seq: u64,
}

impl Watch {
    async fn open(bench: &Bench) -> Self {
        let mut client = JobServiceClient::new(bench.channel(None).await.unwrap());
        let upload = Upload::text(Operation::Create, &files::text(1, 0..ROWS));
        let (job_id, _) = jobs::submit(&mut client, &upload).await.unwrap();
        let request = WatchJobRequest { job_id: job_id.clone(), after_seq: 0 };
        let stream = client.watch_job(request).await.unwrap().into_inner();
        let mut watch = Self { client, job_id, stream, seq: 0 };
        while watch.next().await != Status::Processing {}
        watch
    }

    /// The status that the next event tells.
    async fn next(&mut self) -> Status {
        loop {
            let message = timeout(PATIENCE, self.stream.message()).await.unwrap().unwrap();
            let message = message.expect("the stream goes on");
            assert_ne!(message.kind(), Kind::Draining);
            let Some(job) = message.job else { continue };
            assert!(job.seq > self.seq, "{} after {}", job.seq, self.seq);
            self.seq = job.seq;
            return job.status();
        }
    }

    /// The stream still tells of the job, which goes on, and ends with it.
    async fn survived(mut self) {
        assert_ne!(self.next().await, Status::Completed, "the job outlasts the rotation");
        assert!(jobs::cancel(&mut self.client, &self.job_id).await.0, "on the old connection");
        while self.next().await != Status::Completed {}
        assert!(self.stream.message().await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_takes_a_new_certificate_and_streams_go_on() {
    let bench = Bench::with("", NOBODY, SLOW);
    let watch = Watch::open(&bench).await;
    let old = bench.server.made.der().clone();
    let new = bench.ca.server(bench.path(), "server");
    bench.hang_up("SIGHUP: clients, certificates, log level were read again");
    for address in [&bench.daemon.grpc, &bench.daemon.rest, &bench.daemon.admin] {
        assert_eq!(bench.served(address).await, *new.made.der());
        assert_ne!(*new.made.der(), old);
    }
    watch.survived().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_change_are_taken_without_a_signal_and_streams_go_on() {
    let bench = Bench::with("", NOBODY, SLOW);
    let watch = Watch::open(&bench).await;
    let new = bench.ca.server(bench.path(), "server");
    bench.wait_served(&bench.daemon.rest, &new).await;
    assert_eq!(bench.served(&bench.daemon.grpc).await, *new.made.der());
    watch.survived().await;
    assert_eq!(bench.log().matches("certificates were read again").count(), 1);
}

/// Makes `link` lead to `target`, in one step.
fn lead(link: &Path, target: &str) {
    let new = link.with_file_name("being-made");
    symlink(target, &new).unwrap();
    fs::rename(new, link).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_lead_elsewhere_are_noticed() {
    // As Kubernetes mounts a secret: each file is a link through `..data`, which alone is replaced.
    let bench = Bench::plain();
    let dir = bench.path();
    fs::create_dir(dir.join("..1")).unwrap();
    for name in ["server.crt", "server.key"] {
        fs::rename(dir.join(name), dir.join("..1").join(name)).unwrap();
        lead(&dir.join(name), &format!("..data/{name}"));
    }
    lead(&dir.join("..data"), "..1");
    fs::create_dir(dir.join("..2")).unwrap();
    let new = bench.ca.server(&dir.join("..2"), "server");
    lead(&dir.join("..data"), "..2");
    bench.wait_served(&bench.daemon.rest, &new).await;
    // As certbot does it: each link by itself.
    let renewed = bench.ca.server(&dir.join("..1"), "server");
    lead(&dir.join("server.crt"), "..1/server.crt");
    lead(&dir.join("server.key"), "..1/server.key");
    bench.wait_served(&bench.daemon.rest, &renewed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_usable_leaves_the_old_one_and_holds_up_no_client() {
    let (clients, fewer) = (
        named("A", "TA", "a.example") + &named("B", "TB", "b.example"),
        named("A", "TA", "a.example"),
    );
    let bench = Bench::mutual(false, &clients);
    let a = bench.clients.client(bench.path(), "a", vec![dns("a.example")]);
    let b = bench.clients.client(bench.path(), "b", vec![dns("b.example")]);
    let list = |pair| bench.curl(&bench.daemon.rest, JOBS, Some(pair), &[]).status;
    assert_eq!((list(&a), list(&b)), (200, 200));
    let key = fs::read_to_string(&bench.server.key).unwrap();
    let elsewhere = bench.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let other = bench.ca.server(&elsewhere, "server");
    let other_key = fs::read_to_string(&other.key).unwrap();
    for bad in ["no key", "", &key[..key.len() / 2], &other_key] {
        fs::write(&bench.server.key, bad).unwrap();
        bench.configure(&mutual(false), &fewer);
        bench.hang_up("certificates: what was in force stays");
        assert_eq!((list(&a), list(&b)), (200, 401), "the clients were taken all the same");
        assert_eq!(bench.served(&bench.daemon.grpc).await, *bench.server.made.der());
        fs::write(&bench.server.key, &key).unwrap();
        bench.configure(&mutual(false), &clients);
        bench.hang_up("certificates, log level were read again");
        assert_eq!((list(&a), list(&b)), (200, 200));
    }
    fs::write(&bench.server.key, &other_key).unwrap();
    let log = bench.log();
    assert!(log.contains(bench.server.key.to_str().unwrap()), "the file is named: {log}");
    let secret = key.lines().nth(1).unwrap();
    assert!(!log.contains(secret), "and nothing of it is told");
    fs::write(&bench.server.certificate, other.made.pem()).unwrap();
    bench.hang_up("certificates, log level were read again");
    assert_eq!(bench.served(&bench.daemon.grpc).await, *other.made.der());
}

/// How many files the daemon may have open.
fn limit_files(bench: &Bench, most: u32) {
    let (pid, limit) = (bench.daemon.pid().to_string(), format!("--nofile={most}:"));
    let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(set.expect("prlimit is installed").success());
}

/// Takes a minute, most of which it sleeps.
#[tokio::test(flavor = "multi_thread")]
async fn long_wait_a_reading_that_failed_is_tried_again_though_no_file_changes() {
    let bench = Bench::plain();
    limit_files(&bench, 3);
    let new = bench.ca.server(bench.path(), "server");
    let began = Instant::now();
    while !bench.log().contains("certificates: what was in force stays") {
        assert!(began.elapsed() < PATIENCE, "{}", bench.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    limit_files(&bench, 1_024);
    assert_eq!(bench.served(&bench.daemon.rest).await, *bench.server.made.der());
    while !bench.log().contains("at another try: clients, certificates were read again") {
        assert!(began.elapsed() < FILES_RETRY_INTERVAL + PATIENCE, "{}", bench.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() > FILES_RETRY_INTERVAL);
    assert_eq!(bench.served(&bench.daemon.rest).await, *new.made.der());
}

async fn list(client: &mut Client) -> Code {
    match client.list_jobs(ListJobsRequest::default()).await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_taken_away_is_refused_at_its_next_call() {
    let (a, b) = (named("A", "TA", "a.example"), named("B", "TB", "b.example"));
    let bench = Bench::mutual(true, &format!("{a}{b}"));
    let pair = |name: &str| bench.clients.client(bench.path(), name, vec![dns(name)]);
    let (of_a, of_b) = (pair("a.example"), pair("b.example"));
    let mut a_calls = JobServiceClient::new(bench.channel(Some(&of_a)).await.unwrap());
    let mut b_calls = JobServiceClient::new(bench.channel(Some(&of_b)).await.unwrap());
    assert_eq!((list(&mut a_calls).await, list(&mut b_calls).await), (Code::Ok, Code::Ok));
    bench.configure(&mutual(true), &b);
    let deadline = Instant::now() + PATIENCE;
    while list(&mut a_calls).await == Code::Ok {
        assert!(Instant::now() < deadline, "A is still served");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(list(&mut a_calls).await, Code::Unauthenticated);
    assert_eq!(list(&mut b_calls).await, Code::Ok);
    bench.configure(&mutual(true), &format!("{a}{b}"));
    bench.hang_up("were read again");
    assert_eq!(list(&mut a_calls).await, Code::Ok, "on the same connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_authorities_count_at_the_next_call_also_of_an_open_connection() {
    let clients = named("A", "TA", "a.example");
    let bench = Bench::mutual(true, &clients);
    let old = bench.clients.client(bench.path(), "old", vec![dns("a.example")]);
    let elsewhere = bench.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let authority = Authority::new(&elsewhere, "clients");
    let new = authority.client(bench.path(), "new", vec![dns("a.example")]);
    let status = |pair| bench.curl(&bench.daemon.rest, JOBS, Some(pair), &[]).status;
    let mut calls = JobServiceClient::new(bench.channel(Some(&old)).await.unwrap());
    assert_eq!(list(&mut calls).await, Code::Ok);
    assert_eq!((status(&old), status(&new)), (200, 0));
    let former = fs::read_to_string(&bench.clients.file).unwrap();
    fs::copy(&authority.file, &bench.clients.file).unwrap();
    bench.hang_up("certificates, log level were read again");
    assert_eq!((status(&old), status(&new)), (0, 200));
    let refused = calls.list_jobs(ListJobsRequest::default()).await.unwrap_err();
    let reason = refused.get_details_error_info().unwrap().reason;
    assert_eq!(
        (refused.code(), reason.as_str()),
        (Code::Unauthenticated, "CVRS-CERTIFICATE-INVALID")
    );
    // Most clients stay on a connection that answers; it has to be ended for them.
    let deadline = Instant::now() + PATIENCE;
    while list(&mut calls).await == Code::Unauthenticated {
        assert!(Instant::now() < deadline, "the connection goes on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let both = former + &fs::read_to_string(&authority.file).unwrap();
    fs::write(&bench.clients.file, both).unwrap();
    bench.hang_up("certificates, log level were read again");
    assert_eq!((status(&old), status(&new)), (200, 200));
    let deadline = Instant::now() + PATIENCE;
    while list(&mut calls).await != Code::Ok {
        assert!(Instant::now() < deadline, "the client does not come back by itself");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_new_waits_for_the_authorities_that_come_with_it() {
    let bench = Bench::mutual(false, &named("A", "TA", "a.example"));
    let pair = |name: &str| bench.clients.client(bench.path(), name, vec![dns(name)]);
    let (a, b) = (pair("a.example"), pair("b.example"));
    let status = |pair| bench.curl(&bench.daemon.rest, JOBS, Some(pair), &[]).status;
    assert_eq!((status(&a), status(&b)), (200, 401));
    let authority = fs::read_to_string(&bench.clients.file).unwrap();
    fs::write(&bench.clients.file, "being written").unwrap();
    let both = named("A", "TA", "a.example") + &named("B", "TB", "b.example");
    bench.configure(&mutual(false), &both);
    bench.hang_up("certificates: what was in force stays");
    assert_eq!(
        (status(&a), status(&b)),
        (200, 401),
        "the authorities in force were not meant for it"
    );
    fs::write(&bench.clients.file, authority).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while status(&b) != 200 {
        assert!(Instant::now() < deadline, "the name does not come with the authorities");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_counts_until_it_is_taken_out_also_where_it_has_expired() {
    let bench = Bench::mutual(true, &named("A", "TA", "a.example"));
    let mut expired = crate::pki::named("clients");
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let expired = Authority::with(expired, bench.path(), "clients");
    bench.hang_up("certificates, log level were read again");
    let a = expired.client(bench.path(), "a", vec![dns("a.example")]);
    let list = || bench.curl(&bench.daemon.rest, JOBS, Some(&a), &[]).status;
    assert_eq!(list(), 200);
    Authority::new(bench.path(), "clients");
    bench.hang_up("certificates, log level were read again");
    assert_eq!(list(), 0, "it is taken out");
}
