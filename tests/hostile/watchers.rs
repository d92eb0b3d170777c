//! Very many watchers of one job: quiet, reading, not reading, and all coming back at once.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use cvrsd::proto::jobs::{Operation, WatchJobRequest, WatchJobResponse, watch_job_response::Kind};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::Streaming;

use crate::{
    connections::raise_file_limit,
    setting,
    support::{
        Daemon, files,
        jobs::{self, Client, Upload},
        memory::field,
        start,
    },
};

/// Watchers of one connection.
const SHARE: usize = 1_000;
/// Resident bytes of the daemon that a watcher may take.
const BYTES_MAX: u64 = 32 << 10;
/// Of so many watchers one goes over REST, and of so many one never reads.
const SSE_EVERY: usize = 20;
const SILENT_EVERY: usize = 100;
/// Rows of a job that has events for some seconds.
const ROWS: u64 = 100_000;
const LONG: Duration = Duration::from_mins(4);

fn watchers() -> usize {
    setting("CVRSD_WATCHERS", 500)
}

async fn clients(daemon: &Daemon) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..watchers().div_ceil(SHARE) {
        clients.push(daemon.jobs().await);
    }
    clients
}

async fn watch_after(client: &mut Client, id: &str, after_seq: u64) -> Streaming<WatchJobResponse> {
    let request = WatchJobRequest { job_id: id.to_owned(), after_seq };
    client.watch_job(request).await.unwrap().into_inner()
}

async fn sse(daemon_rest: &str, id: &str, after_seq: u64) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(daemon_rest).await.unwrap();
    let head = format!(
        "GET /v0/async/cvrs/jobs/{id}/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Last-Event-ID: {after_seq}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    BufReader::new(stream)
}

/// How many watchers the daemon counts.
async fn counted(daemon: &Daemon) -> usize {
    let url = format!("http://{}/metrics", daemon.admin);
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("cvrsd_watchers "));
    count.map_or(0, |count| count.parse().unwrap())
}

async fn wait_counted(daemon: &Daemon, expected: usize) {
    let began = Instant::now();
    loop {
        let count = counted(daemon).await;
        if count == expected {
            return;
        }
        assert!(began.elapsed() < LONG, "{count} watchers, not {expected}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A job that waits for good: the file of the one before it in its lane cannot be read.
async fn quiet_job(daemon: &Daemon) -> String {
    let mut client = daemon.jobs().await;
    let first = Upload::zip(Operation::Create, &files::text(1, 0..50_000));
    let (first, _) = jobs::submit(&mut client, &first).await.unwrap();
    let stuck = Upload::text(Operation::Create, &files::text(2, 0..50));
    let (stuck, _) = jobs::submit(&mut client, &stuck).await.unwrap();
    let payload = daemon.dir.join("payloads").join(&stuck);
    std::fs::remove_file(&payload).unwrap();
    std::fs::create_dir(&payload).unwrap();
    let quiet = Upload::text(Operation::Create, &files::text(3, 0..1));
    let (quiet, _) = jobs::submit(&mut client, &quiet).await.unwrap();
    jobs::wait(&mut client, &first).await;
    while jobs::get(&mut client, &stuck).await.retry_time.is_none() {
        sleep(Duration::from_millis(5)).await;
    }
    quiet
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_takes_little_memory_and_gives_it_back() {
    raise_file_limit();
    let dir = tempfile::tempdir().unwrap();
    let env = [("CVRSD__ENGINE__RETRY_MIN", "5m")];
    let daemon = start(dir.path(), &env);
    let quiet = quiet_job(&daemon).await;
    // What that took would hide what watchers take.
    assert!(daemon.stop().success());
    let daemon = start(dir.path(), &env);
    counted(&daemon).await;
    sleep(Duration::from_secs(1)).await;
    let resident = || field(daemon.pid(), "VmRSS:");
    let (before, count) = (resident(), watchers());
    let clients = clients(&daemon).await;
    let mut streams = Vec::new();
    let mut over_rest = Vec::new();
    for number in 0..count {
        if number % SSE_EVERY == 1 {
            over_rest.push(sse(&daemon.rest, &quiet, 0).await);
            continue;
        }
        let mut stream = watch_after(&mut clients[number / SHARE].clone(), &quiet, 0).await;
        if number % SILENT_EVERY != 0 {
            stream.message().await.unwrap().unwrap();
        }
        streams.push(stream);
    }
    wait_counted(&daemon, count).await;
    sleep(Duration::from_secs(1)).await;
    let each = resident().saturating_sub(before) / count as u64;
    println!("{count} watchers take {each} bytes each");
    assert!(each <= BYTES_MAX, "{each} bytes each");
    drop((streams, over_rest, clients));
    wait_counted(&daemon, 0).await;
    let began = Instant::now();
    let left = || resident().saturating_sub(before) / count as u64;
    while left() > BYTES_MAX / 8 {
        let kept = resident().saturating_sub(before);
        assert!(began.elapsed() < Duration::from_secs(40), "{kept} bytes are kept");
        sleep(Duration::from_millis(100)).await;
    }
    println!("{} bytes each are left after {:?}", left(), began.elapsed());
}

/// What one watcher has been told, over all its streams.
#[derive(Default)]
struct Told {
    seq: u64,
    left_out: u64,
    ended: bool,
}

impl Told {
    fn hear(&mut self, seq: u64, coalesced: u64, ended: bool) {
        assert!(!self.ended, "told something after the end");
        if self.seq > 0 {
            assert_eq!(seq, self.seq + 1 + coalesced);
        }
        self.seq = seq;
        self.left_out += coalesced;
        self.ended = ended;
    }

    fn message(&mut self, message: &WatchJobResponse) {
        if matches!(message.kind(), Kind::Snapshot | Kind::Event) {
            let ended = message.job.as_ref().unwrap().status == 5;
            self.hear(message.seq, message.coalesced_count, ended);
        }
    }
}

/// Where watchers connect, and which storm it is that they last had to come back after.
#[derive(Clone)]
struct Crowd {
    rest: String,
    id: String,
    clients: Arc<Mutex<Vec<Client>>>,
    storms: watch::Receiver<u32>,
}

impl Crowd {
    /// Watches to the end, and comes back after each storm from where it was.
    async fn over_grpc(mut self, number: usize) -> Told {
        let mut told = Told::default();
        while !told.ended {
            self.storms.mark_unchanged();
            let mut client = self.clients.lock().unwrap()[number / SHARE].clone();
            let mut stream = watch_after(&mut client, &self.id, told.seq).await;
            loop {
                tokio::select! {
                    message = stream.message() => match message.unwrap() {
                        Some(message) => told.message(&message),
                        None => break,
                    },
                    Ok(()) = self.storms.changed() => break,
                }
            }
        }
        told
    }

    async fn over_rest(mut self) -> Told {
        let mut told = Told::default();
        while !told.ended {
            self.storms.mark_unchanged();
            let mut lines = sse(&self.rest, &self.id, told.seq).await.lines();
            let mut coalesced = 0;
            loop {
                let line = tokio::select! {
                    line = lines.next_line() => line.unwrap(),
                    Ok(()) = self.storms.changed() => break,
                };
                let Some(line) = line else { break };
                if let Some(count) = line.strip_prefix(": events left out: ") {
                    coalesced = count.parse().unwrap();
                } else if let Some(data) = line.strip_prefix("data: ") {
                    let job: serde_json::Value = serde_json::from_str(data).unwrap();
                    let ended = job["status"] == "COMPLETED";
                    told.hear(job["seq"].as_u64().unwrap(), std::mem::take(&mut coalesced), ended);
                }
            }
        }
        told
    }

    /// Reads nothing before the job has ended.
    async fn silent(self, number: usize, mut ended: watch::Receiver<bool>) -> Told {
        let mut told = Told::default();
        let mut client = self.clients.lock().unwrap()[number / SHARE].clone();
        let mut stream = watch_after(&mut client, &self.id, 0).await;
        ended.wait_for(|ended| *ended).await.unwrap();
        while let Some(message) = stream.message().await.unwrap() {
            told.message(&message);
        }
        told
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_that_all_come_back_at_once_see_every_event_once() {
    raise_file_limit();
    let dir = tempfile::tempdir().unwrap();
    let env =
        [("CVRSD__ENGINE__CHECKPOINT_ROWS", "500"), ("CVRSD__ENGINE__CHECKPOINT_INTERVAL", "10ms")];
    let daemon = start(dir.path(), &env);
    let mut client = daemon.jobs().await;
    let upload = Upload::zip(Operation::Create, &files::text(1, 0..ROWS));
    let ahead = Upload::zip(Operation::Create, &files::text(2, 0..ROWS));
    // Behind another job, so that all are there when it begins.
    jobs::submit(&mut client, &ahead).await.unwrap();
    let (id, _) = jobs::submit(&mut client, &upload).await.unwrap();
    let (storm, storms) = watch::channel(0);
    let (end, ended) = watch::channel(false);
    let clients = Arc::new(Mutex::new(self::clients(&daemon).await));
    let crowd = Crowd { rest: daemon.rest.clone(), id: id.clone(), clients, storms };
    let mut all = JoinSet::new();
    for number in 0..watchers() {
        let crowd = crowd.clone();
        match number {
            n if n % SILENT_EVERY == 0 => all.spawn(crowd.silent(number, ended.clone())),
            n if n % SSE_EVERY == 1 => all.spawn(crowd.over_rest()),
            _ => all.spawn(crowd.over_grpc(number)),
        };
    }
    let deadline = Instant::now() + LONG;
    let mut storms = 0;
    let newest = loop {
        let job = jobs::get(&mut client, &id).await;
        if job.status == 5 {
            break job.seq;
        }
        assert!(Instant::now() < deadline, "the job does not end");
        if job.seq > 1 {
            // Every connection goes, and all come back at once.
            let fresh = self::clients(&daemon).await;
            *crowd.clients.lock().unwrap() = fresh;
            storm.send_modify(|number| *number += 1);
            storms += 1;
        }
        sleep(Duration::from_millis(500)).await;
    };
    end.send_replace(true);
    let told = timeout(LONG, all.join_all()).await.unwrap();
    let left_out: u64 = told.iter().map(|told| told.left_out).sum();
    println!(
        "{} watchers were told of {newest} events over {storms} storms; {left_out} were merged into others",
        told.len()
    );
    assert!(storms > 0);
    assert!(told.iter().all(|told| told.ended && told.seq == newest));
    wait_counted(&daemon, 0).await;
}
