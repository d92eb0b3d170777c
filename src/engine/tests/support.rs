//! A daemon without faces.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::time::sleep;

use super::{
    super::{Engine, Parts, ReportRow, Service, Submission, SubmitRequest},
    parts::{Hooked, Mortal},
};
use crate::{
    auth::Principal,
    config::Config,
    cvrs::{
        Field,
        sample::{Model, Sample},
        with_cell,
    },
    domain::{Event, EventKind, Job, JobId, MediaType, Operation, Storage, Tenant},
    error::Error,
    intake::{Encoding, Spool},
    journal::Journal,
    poison::Poison,
    records::RecordStore,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What outlives a process, and the process that there is.
pub(super) struct Bench {
    pub(super) dir: TempDir,
    pub(super) config: Config,
    pub(super) journal: Arc<Mortal>,
    pub(super) store: Arc<Hooked>,
    pub(super) service: Service,
    pub(super) poison: Poison,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut bench = Self::down(change);
        bench.start();
        bench
    }

    /// Everything is there but the process. Checkpoints by rows alone, three attempts, no waits.
    pub(super) fn down(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.dir = dir.path().to_owned();
        config.engine.checkpoint_rows = 7;
        config.engine.checkpoint_interval = Duration::from_mins(1);
        config.engine.max_attempts = 3;
        config.engine.retry_min = Duration::from_millis(2);
        config.engine.retry_max = Duration::from_millis(4);
        change(&mut config);
        let (journal, store) = (Arc::default(), Arc::default());
        let service = Service::new(&config, crate::audit::Log::default());
        Self { dir, config, journal, store, service, poison: Poison::default() }
    }

    /// A new process over what is left of the old one.
    pub(super) fn start(&mut self) {
        self.journal.revive();
        self.store.unhook();
        self.poison = Poison::default();
        self.service = Service::new(&self.config, crate::audit::Log::default());
        let spool = Spool::open(&self.config.data, &self.config.intake).unwrap();
        let (journal, store) = (self.journal.clone(), self.store.clone());
        let parts = Parts { journal, store, spool, audit: self.service.audit().clone() };
        self.service.install(Engine::start(parts, &self.config, &self.poison).unwrap());
    }

    /// Ends the process in order; returns whether every worker had stopped.
    pub(super) async fn stop(&self) -> bool {
        self.service.drain();
        let engine = self.service.engine().unwrap();
        engine.close(Instant::now() + PATIENCE).await.unwrap()
    }

    /// Waits until nothing of a process moves whose journal has died.
    pub(super) async fn bury(&self) {
        until(|| self.poison.is_tripped()).await;
        self.service.drain();
        until(|| self.service.engine().unwrap().is_drained()).await;
    }

    pub(super) async fn submit(&self, operation: Operation, text: &[u8]) -> JobId {
        self.submit_as("local", operation, text).await
    }

    pub(super) async fn submit_as(&self, owner: &str, operation: Operation, text: &[u8]) -> JobId {
        self.try_submit(owner, operation, text).await.unwrap().job.spec.id
    }

    pub(super) async fn try_submit(
        &self,
        owner: &str,
        operation: Operation,
        text: &[u8],
    ) -> Result<Submission, Error> {
        let request = SubmitRequest {
            operation,
            media_type: MediaType::Text,
            encoding: Encoding::Identity,
            validate_only: false,
            request_id: None,
            content_length: None,
            content_sha256: None,
        };
        let mut submit = self.service.begin(&caller(owner), request).await?;
        let body = futures_util::stream::iter([Ok(Bytes::copy_from_slice(text))]);
        submit.pump(body).await?;
        submit.finish().await
    }

    /// Asks for a cancel; returns whether it took effect.
    pub(super) async fn cancel(&self, id: JobId) -> bool {
        let owner = self.job(id).spec.tenant;
        self.service.cancel(&caller(owner.as_str()), id).await.unwrap().took_effect
    }

    /// The job as the journal has it.
    pub(super) fn job(&self, id: JobId) -> Job {
        self.journal.job(id).unwrap().unwrap()
    }

    /// Waits until the job is as told.
    pub(super) async fn wait(&self, id: JobId, is: impl Fn(&Job) -> bool) -> Job {
        let began = Instant::now();
        loop {
            let job = self.job(id);
            if is(&job) {
                return job;
            }
            assert!(began.elapsed() < PATIENCE, "{job:?}");
            assert!(!self.poison.is_tripped(), "{:?}", self.poison.reason());
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until the job has ended and its files are gone, but for its report.
    pub(super) async fn wait_end(&self, id: JobId) -> Job {
        let job = self.wait(id, Job::is_terminal).await;
        let nothing = crate::domain::Applied::default();
        until(|| {
            let cursor = self.store.memory.cursor(id).unwrap();
            !self.work(id).exists() && !self.payload(id).exists() && cursor == nothing
        })
        .await;
        job
    }

    pub(super) fn payload(&self, id: JobId) -> PathBuf {
        self.dir.path().join("payloads").join(id.to_string())
    }

    pub(super) fn work(&self, id: JobId) -> PathBuf {
        self.dir.path().join("work").join(id.to_string())
    }

    /// From then on no job can make its directory, or find it.
    pub(super) fn hide_work(&self, hidden: bool) {
        let (work, away) = (self.dir.path().join("work"), self.dir.path().join("away"));
        let (from, to) = if hidden { (work, away) } else { (away, work) };
        std::fs::rename(from, to).unwrap();
    }

    /// The whole report.
    pub(super) async fn report(&self, id: JobId) -> Vec<ReportRow> {
        let mut reader = self.service.report(&self.job(id)).await.unwrap();
        let mut rows = Vec::new();
        while let Some(page) = reader.next_page().await.unwrap() {
            rows.extend(page);
        }
        rows
    }

    /// Names of the job's events.
    pub(super) fn events(&self, id: JobId) -> Vec<&'static str> {
        self.all_events(id).iter().map(|event| event.kind.name()).collect()
    }

    pub(super) fn all_events(&self, id: JobId) -> Vec<Event> {
        self.journal.events(id, 0, usize::MAX).unwrap()
    }

    /// Events of that kind.
    pub(super) fn count(&self, id: JobId, is: impl Fn(&EventKind) -> bool) -> usize {
        self.all_events(id).iter().filter(|event| is(&event.kind)).count()
    }

    /// Live records of tenant `local`, in both storages.
    pub(super) fn live(&self) -> [u64; 2] {
        let counts = self.store.memory.counts(Some(&Tenant::local())).unwrap();
        let of = |storage| counts.iter().find(|c| c.1 == storage).map_or(0, |c| c.2);
        Storage::ALL.map(of)
    }
}

pub(super) fn caller(owner: &str) -> Principal {
    Principal {
        client: owner.to_owned(),
        tenant: Tenant::new(owner).unwrap(),
        ..Principal::local()
    }
}

/// Waits until it holds.
pub(super) async fn until(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE);
        sleep(Duration::from_millis(1)).await;
    }
}

/// A file with those rows of the generator.
pub(super) fn text(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    text_with_errors(numbers, |_| false)
}

/// The same; rows of which that is said are not valid.
pub(super) fn text_with_errors(
    numbers: impl IntoIterator<Item = u64>,
    is_bad: impl Fn(u64) -> bool,
) -> Vec<u8> {
    let sample = Sample::new(3, Model::Identified);
    let mut text = sample.header_line().as_bytes().to_vec();
    for number in numbers {
        let mut row = Vec::new();
        sample.write_row(number, &mut row);
        if is_bad(number) {
            row = with_cell(&row, Field::RecipSex, b"X");
        }
        text.push(b'\n');
        text.extend_from_slice(&row);
    }
    text
}

/// Where a hook waits: it says that it is there, and goes on when told.
pub(super) struct Gate {
    arrived: Receiver<()>,
    go_on: SyncSender<()>,
}

impl Gate {
    /// The gate, and what the hook calls.
    pub(super) fn new() -> (Self, impl FnMut() + Send) {
        let (arrive, arrived) = sync_channel(1);
        let (go_on, wait) = sync_channel(1);
        let hook = move || {
            arrive.send(()).unwrap();
            wait.recv().unwrap();
        };
        (Self { arrived, go_on }, hook)
    }

    pub(super) async fn arrived(&self) {
        let began = Instant::now();
        while self.arrived.try_recv().is_err() {
            assert!(began.elapsed() < PATIENCE);
            sleep(Duration::from_millis(1)).await;
        }
    }

    pub(super) fn open(self) {
        self.go_on.send(()).unwrap();
    }
}
