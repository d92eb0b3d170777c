//! What the workers do, and what they find.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cvrsd::{
    cvrs::sample::{Model as People, Sample},
    proto::jobs::{Job, Operation, WatchJobRequest, WatchJobResponse, watch_job_response::Kind},
};
use fastrand::Rng;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::RwLock, time::sleep};
use tokio_stream::StreamExt;

use crate::{
    place::Place,
    support::{
        files,
        jobs::{self, Upload},
        model::Model,
    },
};

/// Without an event for so long a job is stalled.
const STALL: Duration = Duration::from_mins(1);
/// Pause before another try where the daemon is not there.
const AGAIN: Duration = Duration::from_millis(20);
/// Pause of a worker between two rounds.
const PAUSE: Duration = Duration::from_millis(500);

/// What all workers did.
#[derive(Default)]
pub struct Tally {
    jobs: AtomicU64,
    rows: AtomicU64,
    /// When something was last heard of each job that has not ended.
    heard: Mutex<HashMap<String, Instant>>,
}

#[derive(Clone, Copy)]
pub struct Figures {
    pub jobs: u64,
    pub rows: u64,
    pub stalled: usize,
}

impl Tally {
    pub fn finished(&self) -> u64 {
        self.jobs.load(Ordering::Relaxed)
    }

    pub fn figures(&self) -> Figures {
        let heard = self.heard.lock().unwrap();
        let stalled = heard.values().filter(|at| at.elapsed() > STALL).count();
        Figures { jobs: self.finished(), rows: self.rows.load(Ordering::Relaxed), stalled }
    }

    /// Fails the test where a job makes no progress.
    pub fn check_stalls(&self) {
        for (id, at) in &*self.heard.lock().unwrap() {
            assert!(at.elapsed() <= STALL, "nothing was heard of job {id} for {STALL:?}");
        }
    }

    fn hear(&self, id: &str) {
        self.heard.lock().unwrap().insert(id.to_owned(), Instant::now());
    }

    fn end(&self, job: &Job) {
        self.heard.lock().unwrap().remove(&job.job_id);
        self.jobs.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(job.rows.unwrap().total, Ordering::Relaxed);
    }
}

/// Submits job after job on records of its own.
pub struct Worker {
    seed: u64,
    random: Rng,
    sample: Sample,
    model: Model,
    jobs: u64,
    next_row: u64,
    place: Arc<Place>,
    tally: Arc<Tally>,
}

impl Worker {
    pub fn new(seed: u64, place: Arc<Place>, tally: Arc<Tally>) -> Self {
        let sample = Sample::new(seed, People::Identified);
        let random = Rng::with_seed(seed);
        Self { seed, random, sample, model: Model::default(), jobs: 0, next_row: 0, place, tally }
    }

    /// Rounds without end; each leaves no record behind.
    pub async fn run(mut self, gate: Arc<RwLock<()>>) {
        loop {
            let open = gate.read().await;
            if self.random.u8(..) < 40 {
                self.cancelled_round().await;
            } else {
                self.round().await;
            }
            drop(open);
            sleep(PAUSE).await;
        }
    }

    /// Creates, updates and deletes; some rows are invalid, some known or unknown against the verb.
    async fn round(&mut self) {
        let rows = self.rows();
        let half = rows.start + (rows.end - rows.start) / 2;
        let beyond = half..rows.end + 3;
        for (operation, rows) in [
            (Operation::Create, rows.clone()),
            (Operation::Update, beyond),
            (Operation::Create, rows.start..half + 1),
            (Operation::Delete, rows.start..rows.end + 2),
        ] {
            let text = self.text(rows);
            let expected = self.model.apply(operation, &text);
            let job = self.run_job(operation, &text, None).await;
            let errors = self.errors(&job.job_id).await;
            expected.check(&job, &errors);
        }
        assert!(self.model.live.is_empty());
    }

    /// Creates, and cancels at some moment; a delete must then find exactly what was applied.
    async fn cancelled_round(&mut self) {
        let rows = self.rows();
        let text = self.text(rows);
        let after = Duration::from_millis(self.random.u64(0..80));
        let created = self.run_job(Operation::Create, &text, Some(after)).await;
        let deleted = self.run_job(Operation::Delete, &text, None).await;
        let applied = |job: &Job| job.rows.unwrap().applied;
        assert_eq!(applied(&deleted), applied(&created), "{}", created.job_id);
    }

    /// Numbers that were never used: mostly few, sometimes many.
    fn rows(&mut self) -> Range<u64> {
        let count = match self.random.u8(0..100) {
            0..80 => self.random.u64(1..10),
            80..95 => self.random.u64(100..500),
            95..99 => 2_000,
            _ => 20_000,
        };
        let first = self.next_row;
        self.next_row += count + 3;
        first..first + count
    }

    fn text(&self, rows: Range<u64>) -> Vec<u8> {
        let mut text = self.sample.header_line().as_bytes().to_vec();
        for index in rows {
            let mut row = Vec::new();
            self.sample.write_row(index, &mut row);
            let mut row = String::from_utf8(row).unwrap();
            match index % 50 {
                7 => row = files::with_cell(&row, 0, ""),
                13 => text.extend_from_slice(format!("\n{row}").as_bytes()),
                _ => {}
            }
            text.extend_from_slice(format!("\n{row}").as_bytes());
        }
        text
    }

    async fn run_job(
        &mut self,
        operation: Operation,
        text: &[u8],
        cancel: Option<Duration>,
    ) -> Job {
        self.jobs += 1;
        let key = format!("{}-{}", self.seed, self.jobs);
        let upload = if self.random.bool() {
            Upload::text(operation, text)
        } else {
            Upload::zip(operation, text)
        };
        let id = self.submit(&upload.request_id(&key)).await;
        self.tally.hear(&id);
        if self.random.u8(..) < 64 {
            tokio::spawn(break_off(self.place.rest(), id.clone(), self.random.u64(0..100)));
        }
        let events = match cancel {
            Some(after) => tokio::join!(self.watch(&id), self.cancel(&id, after)).0,
            None => self.watch(&id).await,
        };
        let job = events.into_iter().last().unwrap().job.unwrap();
        self.tally.end(&job);
        job
    }

    async fn submit(&self, upload: &Upload) -> String {
        loop {
            if let Some(mut client) = self.place.client().await
                && let Ok((id, _)) = jobs::submit(&mut client, upload).await
            {
                return id;
            }
            sleep(AGAIN).await;
        }
    }

    async fn cancel(&self, id: &str, after: Duration) {
        sleep(after).await;
        // Where it is lost in a kill, the job goes on.
        if let Some(mut client) = self.place.client().await {
            let request = cvrsd::proto::jobs::CancelJobRequest { job_id: id.to_owned() };
            let _ = client.cancel_job(request).await;
        }
    }

    async fn errors(&self, id: &str) -> Vec<cvrsd::proto::jobs::RowError> {
        loop {
            let request = cvrsd::proto::jobs::ListJobErrorsRequest { job_id: id.to_owned() };
            if let Some(mut client) = self.place.client().await
                && let Ok(reply) = client.list_job_errors(request).await
            {
                let pages: Result<Vec<_>, _> = reply.into_inner().collect().await;
                if let Ok(pages) = pages {
                    return pages.into_iter().flat_map(|page| page.errors).collect();
                }
            }
            sleep(AGAIN).await;
        }
    }

    /// Every event up to the last, over all kills: no gap, no event twice, no status that goes back.
    async fn watch(&self, id: &str) -> Vec<WatchJobResponse> {
        let mut events: Vec<WatchJobResponse> = Vec::new();
        loop {
            let after_seq = events.last().map_or(0, |event| event.seq);
            let request = WatchJobRequest { job_id: id.to_owned(), after_seq };
            if let Some(mut client) = self.place.client().await {
                match client.watch_job(request).await {
                    Ok(reply) => {
                        let mut stream = reply.into_inner();
                        while let Some(Ok(message)) = stream.next().await {
                            self.take(id, message, &mut events);
                        }
                    }
                    // An answered submit is never lost, so there is always something to watch.
                    Err(status) => assert_ne!(status.code(), tonic::Code::NotFound, "{id}"),
                }
            }
            if events.last().and_then(|e| e.job.as_ref()).is_some_and(|job| job.status == 5) {
                return events;
            }
            sleep(AGAIN).await;
        }
    }

    fn take(&self, id: &str, message: WatchJobResponse, events: &mut Vec<WatchJobResponse>) {
        if !matches!(message.kind(), Kind::Snapshot | Kind::Event) {
            return;
        }
        self.tally.hear(id);
        if let Some(last) = events.last() {
            assert_eq!(message.seq, last.seq + 1 + message.coalesced_count, "{id}");
            let status = |event: &WatchJobResponse| event.job.as_ref().unwrap().status;
            assert!(status(&message) >= status(last), "{id}");
        }
        events.push(message);
    }
}

/// Watches over REST for a moment, then goes without a word.
async fn break_off(rest: String, id: String, millis: u64) {
    let Ok(mut stream) = TcpStream::connect(rest).await else { return };
    let head = format!("GET /v0/async/cvrs/jobs/{id}/events HTTP/1.1\r\nHost: x\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    sleep(Duration::from_millis(millis)).await;
}
