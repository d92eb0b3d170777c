//! kill -9 at random moments: nothing lost, nothing applied twice, no false "does not exist", and a
//! watcher that comes back has seen every event once.
//!
//! `CVRSD_KILL_ROUNDS` (20) and `CVRSD_KILL_SEED` (printed) repeat or lengthen a run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[cfg(feature = "failpoints")]
mod points;
mod small;
#[path = "../support/mod.rs"]
mod support;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cvrsd::{
    cvrs::sample::{Model as People, Sample},
    proto::jobs::{Operation, WatchJobRequest, WatchJobResponse, watch_job_response::Kind},
};
use support::{
    Daemon, files,
    jobs::{self, Upload},
    model::{Expected, Model},
};
use tokio_stream::StreamExt;

const ROWS: u64 = 50_000;
/// Small batches and checkpoints, so that there is much to interrupt; attempts are counted per job
/// without progress, and this test makes more of them than a site would.
const ENV: &[(&str, &str)] = &[
    ("CVRSD__ENGINE__CHECKPOINT_ROWS", "2000"),
    ("CVRSD__ENGINE__CHECKPOINT_INTERVAL", "20ms"),
    ("CVRSD__ENGINE__MAX_ATTEMPTS", "1000"),
    ("CVRSD__ENGINE__RETRY_MIN", "10ms"),
];

/// A job is purged some seconds after its end, when all are submitted; its report before.
#[cfg(feature = "failpoints")]
const PURGING: &[(&str, &str)] =
    &[("CVRSD__RETENTION__REPORTS", "2s"), ("CVRSD__RETENTION__JOBS", "4s")];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// The daemon that there is at the moment; it dies and comes back.
struct Place {
    daemon: Mutex<Option<Daemon>>,
    address: Mutex<String>,
    env: &'static [(&'static str, &'static str)],
}

impl Default for Place {
    fn default() -> Self {
        Self { daemon: Mutex::default(), address: Mutex::default(), env: ENV }
    }
}

impl Place {
    fn start(&self, dir: &Path) {
        let daemon = support::start(dir, self.env);
        self.address.lock().unwrap().clone_from(&daemon.grpc);
        *self.daemon.lock().unwrap() = Some(daemon);
    }

    fn kill(&self) {
        self.daemon.lock().unwrap().take().unwrap().kill();
    }

    async fn connect(&self) -> Option<jobs::Client> {
        let address = format!("http://{}", self.address.lock().unwrap());
        jobs::Client::connect(address).await.ok()
    }
}

struct Step {
    name: String,
    upload: Upload,
    expected: Expected,
}

/// One job after the other until told to stop; each is known before the next is made.
struct Script {
    model: Model,
    sample: Sample,
    next: u64,
}

impl Script {
    /// Creates rows, then deletes most of them: with rows that are invalid, ids that are not there, and
    /// ids twice in one file.
    fn step(&mut self) -> Step {
        let number = self.next;
        self.next += 1;
        let base = number / 2 * (ROWS / 4);
        let (operation, rows) = if number.is_multiple_of(2) {
            (Operation::Create, self.rows(base, ROWS))
        } else {
            (Operation::Delete, self.rows(base + ROWS / 5, ROWS))
        };
        let mut text = self.sample.header_line().as_bytes().to_vec();
        for row in rows {
            text.push(b'\n');
            text.extend_from_slice(row.as_bytes());
        }
        let expected = self.model.apply(operation, &text);
        let name = format!("step-{number}");
        let upload = if number % 4 < 2 {
            Upload::zip(operation, &text)
        } else {
            Upload::text(operation, &text)
        };
        Step { upload: upload.request_id(&name), name, expected }
    }

    fn rows(&self, base: u64, count: u64) -> Vec<String> {
        let mut rows = Vec::new();
        for index in base..base + count {
            let mut row = Vec::new();
            self.sample.write_row(index, &mut row);
            let mut row = String::from_utf8(row).unwrap();
            match index % 1_000 {
                7 => row = files::with_cell(&row, 0, ""),
                11 => row = files::with_cell(&row, 3, ""),
                13 => rows.push(row.clone()),
                17 => row = other_case(&row),
                _ => {}
            }
            rows.push(row);
        }
        rows
    }
}

/// The row with its key in capitals: the same record.
fn other_case(row: &str) -> String {
    let key = row.split('\t').next().unwrap().to_ascii_uppercase();
    files::with_cell(row, 0, &key)
}

#[test]
fn nothing_is_lost_or_doubled_by_kill_9_at_random_moments() {
    let rounds = setting("CVRSD_KILL_ROUNDS", 20);
    let seed = setting("CVRSD_KILL_SEED", u64::from(std::process::id()));
    println!("CVRSD_KILL_ROUNDS={rounds} CVRSD_KILL_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let place = Arc::new(Place::default());
    place.start(dir.path());
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sender = runtime.spawn(drive(Arc::clone(&place), Arc::clone(&stop)));
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..rounds {
        std::thread::sleep(Duration::from_millis(random.u64(5..900)));
        place.kill();
        if round % 5 == 4 {
            leave_half_a_snapshot(dir.path());
        }
        place.start(dir.path());
    }
    stop.store(true, Ordering::Release);
    let (steps, watched, model) = runtime.block_on(sender).unwrap();
    println!("{} jobs over {rounds} kills", steps.len());
    runtime.block_on(check(&place, &steps, &watched, &model));
    let daemon = place.daemon.lock().unwrap().take().unwrap();
    assert!(daemon.stop().success());
    support::verify(dir.path());
}

/// What a kill during sled's own open leaves: without hygiene the journal never opens again.
fn leave_half_a_snapshot(dir: &Path) {
    let journal = dir.join("journal/sled");
    let found = std::fs::read_dir(&journal).unwrap().filter_map(Result::ok);
    assert!(found.map(|e| e.file_name()).any(|name| name == "db"), "sled's file has moved");
    std::fs::write(journal.join("snap.ffffffffffffffff.generating"), [1, 2, 3]).unwrap();
}

type Watched = BTreeMap<String, Vec<WatchJobResponse>>;

/// Submits one step after the other, through every kill, and watches each job to its end.
async fn drive(place: Arc<Place>, ended: Arc<AtomicBool>) -> (Vec<(String, Step)>, Watched, Model) {
    let sample = Sample::new(1, People::Identified);
    let mut script = Script { model: Model::default(), sample, next: 0 };
    let (mut done, mut watched) = (Vec::new(), Watched::new());
    while !ended.load(Ordering::Acquire) {
        let step = script.step();
        let job_id = submit_through_kills(&place, &step).await;
        let events = watch_through_kills(&place, &job_id).await;
        watched.insert(job_id.clone(), events);
        done.push((job_id, step));
    }
    (done, watched, script.model)
}

async fn submit_through_kills(place: &Place, step: &Step) -> String {
    let mut first: Option<String> = None;
    loop {
        if let Some(mut client) = place.connect().await
            && let Ok((job_id, _)) = jobs::submit(&mut client, &step.upload).await
        {
            // The same key again gives the same job again.
            match &first {
                Some(known) => {
                    assert_eq!(*known, job_id, "{}", step.name);
                    return job_id;
                }
                None => first = Some(job_id),
            }
            continue;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn watch_through_kills(place: &Place, job_id: &str) -> Vec<WatchJobResponse> {
    let mut events: Vec<WatchJobResponse> = Vec::new();
    loop {
        let after_seq = events.last().map_or(0, |event| event.seq);
        if let Some(mut client) = place.connect().await {
            let request = WatchJobRequest { job_id: job_id.to_owned(), after_seq };
            match client.watch_job(request).await {
                Ok(reply) => {
                    let mut stream = reply.into_inner();
                    while let Some(Ok(message)) = stream.next().await {
                        match message.kind() {
                            Kind::Snapshot | Kind::Event => events.push(message),
                            _ => {}
                        }
                    }
                }
                // An answered submit is never lost, so there is always something to watch.
                Err(status) => assert_ne!(status.code(), tonic::Code::NotFound, "{job_id}"),
            }
        }
        let ended = events.last().and_then(|e| e.job.as_ref()).is_some_and(|j| j.status == 5);
        if ended {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn check(place: &Place, steps: &[(String, Step)], watched: &Watched, model: &Model) {
    check_jobs(place, steps, watched).await;
    let admin = place.daemon.lock().unwrap().as_ref().unwrap().admin.clone();
    model.check_live(&admin).await;
}

async fn check_jobs(place: &Place, steps: &[(String, Step)], watched: &Watched) {
    let mut client = place.connect().await.unwrap();
    for (job_id, step) in steps {
        let job = jobs::get(&mut client, job_id).await;
        let errors = jobs::errors(&mut client, job_id).await;
        step.expected.check(&job, &errors);
        check_events(&watched[job_id], job.seq);
        let (replayed, ended) = jobs::watch(&mut client, job_id, 1).await;
        ended.unwrap();
        let seqs: Vec<u64> = replayed.iter().map(|message| message.seq).collect();
        assert_eq!(seqs, (2..=job.seq).collect::<Vec<_>>(), "replay of {job_id}");
    }
}

/// Numbers go up by one, or by what a message says it left out; statuses never go back.
fn check_events(events: &[WatchJobResponse], newest: u64) {
    let mut seq = events.first().unwrap().seq;
    let mut status = 0;
    for (index, message) in events.iter().enumerate() {
        if index > 0 {
            assert_eq!(message.seq, seq + 1 + message.coalesced_count);
        }
        seq = message.seq;
        let job = message.job.as_ref().unwrap();
        assert_eq!(job.seq, seq);
        assert!(job.status >= status);
        status = job.status;
    }
    assert_eq!(seq, newest);
}
