//! A data directory, jobs in it, and the part of the engine that the steps see.

use std::{
    cell::{Cell, RefCell},
    io::Write,
    ops::{ControlFlow, Range},
    path::PathBuf,
    time::Duration,
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{
    super::{
        Error, ReportReader, ReportRow, Shared, Small, Step, Stop, StopReason, Validation,
        Workspace, apply, finish, validate, validate_small,
    },
    store::{Kind, Store},
    text::{Model, Text},
};
use crate::{
    config,
    cvrs::Profile,
    domain::{
        Applied, Ending, EventKind, Job, MediaType, Operation, Outcome, Payload, Storage,
        StorageSet, Submitted, Tenant, testing,
    },
    intake::Stored,
    journal,
    limits::STAGED_ROWS_MIN,
    records::RecordStore,
};

pub(super) const ROWS_PER_CHECKPOINT: usize = 7;

/// A data directory.
pub(super) struct Place {
    pub(super) dir: TempDir,
    pub(super) workspace: Workspace,
    pub(super) store: Store,
    pub(super) intake: config::Intake,
    pub(super) engine: config::Engine,
}

impl Place {
    /// Checkpoints by rows alone, so that runs are alike.
    pub(super) fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(dir.path()).unwrap();
        let store = kind.open(dir.path());
        let engine = config::Engine {
            checkpoint_rows: ROWS_PER_CHECKPOINT,
            checkpoint_interval: Duration::MAX,
            ..config::Engine::default()
        };
        Self { dir, workspace, store, intake: config::Intake::default(), engine }
    }

    /// A job that a worker has just taken.
    pub(super) fn task(&self, operation: Operation, media_type: MediaType, text: &Text) -> Task {
        let bytes = match media_type {
            MediaType::Text => text.bytes().to_vec(),
            MediaType::Zip => text.zipped(),
        };
        self.task_of(operation, media_type, bytes)
    }

    /// A job with that payload.
    pub(super) fn task_of(
        &self,
        operation: Operation,
        media_type: MediaType,
        bytes: Vec<u8>,
    ) -> Task {
        let sha256 = Sha256::digest(&bytes).into();
        let payload = Payload { media_type, length: bytes.len() as u64, sha256, inline: false };
        let spec = Submitted { operation, payload, ..testing::submitted(1) };
        let payload = self.dir.path().join(spec.id.to_string());
        std::fs::write(&payload, bytes).unwrap();
        Task::new(spec, payload)
    }

    /// Runs a job to its end without a disturbance.
    pub(super) fn run(&self, operation: Operation, text: &Text) -> (Task, Ending) {
        self.run_to_end(self.task(operation, MediaType::Text, text))
    }

    pub(super) fn run_to_end(&self, mut task: Task) -> (Task, Ending) {
        task.validate(self).unwrap();
        task.apply(self).unwrap();
        let ending = task.finish(self, false).unwrap();
        task.end(&ending);
        (task, ending)
    }

    /// All that is live in a storage, sorted.
    pub(super) fn live(&self, storage: Storage) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        let mut visit = |row: &[u8]| {
            rows.push(row.to_vec());
            ControlFlow::Continue(())
        };
        self.store.export(&Tenant::local(), storage, &mut visit).unwrap();
        rows.sort();
        rows
    }
}

/// What happens at a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The journal fails before it has stored the event.
    Before,
    /// The journal fails when it has stored the event.
    After,
    /// The job is told to stop.
    Stop(StopReason),
}

impl Fault {
    pub(super) const ALL: [Self; 4] =
        [Self::Before, Self::After, Self::Stop(StopReason::Cancel), Self::Stop(StopReason::Drain)];
}

/// A job as its journal has it.
pub(super) struct Task {
    pub(super) job: RefCell<Job>,
    pub(super) payload: PathBuf,
    stop: Stop,
    /// What happens at which checkpoint from now, counted from 1.
    fault: Cell<Option<(u32, Fault)>>,
    pub(super) warnings: Vec<String>,
}

impl Task {
    fn new(spec: Submitted, payload: PathBuf) -> Self {
        let (job, _) = testing::first(spec);
        let job = testing::fold(job, [EventKind::DeQueued, EventKind::ValidationStarted]);
        Self {
            job: RefCell::new(job),
            payload,
            stop: Stop::default(),
            fault: Cell::new(None),
            warnings: Vec::new(),
        }
    }

    pub(super) fn touching(self, storages: StorageSet) -> Self {
        self.job.borrow_mut().spec.storages = storages;
        self
    }

    pub(super) fn under(self, profile: Profile) -> Self {
        self.job.borrow_mut().spec.rules.profile = profile;
        self
    }

    pub(super) fn only_validating(self) -> Self {
        self.job.borrow_mut().spec.validate_only = true;
        self
    }

    pub(super) fn fail_at(&self, checkpoint: u32, fault: Fault) {
        self.fault.set(Some((checkpoint, fault)));
    }

    pub(super) fn job(&self) -> Job {
        self.job.borrow().clone()
    }

    /// A new event; the state machine must take it.
    pub(super) fn commit(&self, kind: EventKind) {
        let job = testing::fold(self.job(), [kind]);
        *self.job.borrow_mut() = job;
    }

    fn record(&self, kind: EventKind) -> Result<(), Error> {
        let fault = match self.fault.get() {
            Some((1, fault)) => {
                self.fault.set(None);
                Some(fault)
            }
            Some((n, fault)) => {
                self.fault.set(Some((n - 1, fault)));
                None
            }
            None => None,
        };
        if fault == Some(Fault::Before) {
            return Err(journal::Error::Poisoned.into());
        }
        self.commit(kind);
        match fault {
            Some(Fault::After) => Err(journal::Error::Poisoned.into()),
            Some(Fault::Stop(reason)) => {
                self.stop.request(reason);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn step<T>(
        &self,
        place: &Place,
        run: impl FnOnce(&Step<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let job = self.job();
        let record = |kind| self.record(kind);
        run(&Step {
            job: &job,
            payload: (&self.payload).into(),
            workspace: &place.workspace,
            store: &place.store,
            intake: &place.intake,
            engine: &place.engine,
            stop: &self.stop,
            record: &record,
        })
    }

    /// Validates from its file, and goes on as it was.
    pub(super) fn validated(&self, place: &Place) -> Result<Validation, Error> {
        self.step(place, validate)
    }

    /// Validates in memory.
    pub(super) fn validate_small(
        &self,
        place: &Place,
        shared: &mut Shared,
    ) -> Result<Small, Error> {
        let bytes = std::fs::read(&self.payload).unwrap();
        self.step(place, |step| {
            let payload = Stored::Memory(&bytes);
            validate_small(&Step { payload, ..*step }, shared)
        })
    }

    /// Validates, and goes over to processing.
    pub(super) fn validate(&mut self, place: &Place) -> Result<(), Error> {
        let Validation { validated, warnings } = self.step(place, validate)?;
        self.commit(EventKind::ProcessingStarted { validated, warnings: warnings.clone() });
        self.warnings = warnings;
        Ok(())
    }

    pub(super) fn apply(&self, place: &Place) -> Result<(), Error> {
        let cursor = self.step(place, apply)?;
        assert_eq!(cursor, place.store.cursor(self.job().spec.id).unwrap());
        Ok(())
    }

    pub(super) fn finish(&self, place: &Place, cancelled: bool) -> Result<Ending, Error> {
        self.step(place, |step| finish(step, cancelled))
    }

    /// The state machine must take the ending.
    pub(super) fn end(&self, ending: &Ending) {
        self.commit(EventKind::Completed(Box::new(ending.clone())));
        assert!(self.job().is_terminal());
    }

    /// A later process takes the job: nothing is left but what is durable, and behind it whatever
    /// had not been synced.
    pub(super) fn restart(&mut self, place: &Place) {
        let job = self.job();
        let validated = job.validated;
        let report = place.workspace.report(job.spec.id);
        for (path, length) in [
            (place.workspace.keys(job.spec.id), validated.keys_length),
            (report, validated.report_length),
        ] {
            if path.exists() {
                assert!(std::fs::metadata(&path).unwrap().len() >= length);
                let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(b"\0\xffnot synced\n").unwrap();
            }
        }
        place.store.revive();
        self.stop = Stop::default();
        self.fault.set(None);
        self.commit(EventKind::AttemptStarted);
    }

    pub(super) fn keys(&self, place: &Place) -> Vec<u8> {
        let job = self.job();
        let keys = std::fs::read(place.workspace.keys(job.spec.id)).unwrap();
        assert_eq!(keys.len() as u64, job.validated.keys_length);
        keys
    }

    /// The report as far as it is durable.
    pub(super) fn report(&self, place: &Place) -> Vec<ReportRow> {
        let job = self.job();
        let (length, crc) = job.report();
        let path = place.workspace.report(job.spec.id);
        crate::activity::check_report(&path, length, crc).unwrap();
        let mut reader = ReportReader::open(&path, length).unwrap();
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row().unwrap() {
            rows.push(row);
        }
        rows
    }

    /// Every byte of the report.
    pub(super) fn report_bytes(&self, place: &Place) -> Vec<u8> {
        std::fs::read(place.workspace.report(self.job().spec.id)).unwrap_or_default()
    }
}

/// What came out of a job, but for what differs from job to job.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) ending: Ending,
    report: Vec<u8>,
    live: [Vec<Vec<u8>>; 2],
}

impl Found {
    pub(super) fn of(place: &Place, task: &Task, ending: Ending) -> Self {
        let live = Storage::ALL.map(|storage| place.live(storage));
        Self { ending, report: task.report_bytes(place), live }
    }
}

/// A place with records, and a job that meets some of them.
pub(super) struct Scene {
    pub(super) place: Place,
    pub(super) task: Task,
    pub(super) operation: Operation,
    pub(super) text: Text,
    /// What is live before the job.
    pub(super) model: Model,
}

impl Scene {
    pub(super) fn new(kind: Kind, operation: Operation) -> Self {
        Self::with(Place::new(kind), operation, 0..60, 30..90)
    }

    /// Of a job so large that its rows are staged, where they have to be stored at all.
    pub(super) fn large(kind: Kind, operation: Operation) -> Self {
        let mut place = Place::new(kind);
        place.engine.checkpoint_rows = 3_000;
        let mut scene = Self::with(place, operation, 0..2_000, 1_000..14_000);
        scene.task.validate(&scene.place).unwrap();
        assert!(scene.task.job().validated.rows_valid > STAGED_ROWS_MIN);
        scene
    }

    fn with(place: Place, operation: Operation, before: Range<u64>, rows: Range<u64>) -> Self {
        let seed = Text::of(before);
        place.run(Operation::Create, &seed);
        place.store.batches.lock().unwrap().clear();
        let mut model = Model::default();
        assert!(model.apply(Operation::Create, &seed.valid).is_empty());
        let text = Text::mixed(rows);
        let task = place.task(operation, MediaType::Zip, &text);
        Self { place, task, operation, text, model }
    }

    /// The job was validated.
    pub(super) fn validated(kind: Kind, operation: Operation) -> Self {
        let mut scene = Self::new(kind, operation);
        scene.task.validate(&scene.place).unwrap();
        scene
    }

    /// Batches that the job takes.
    pub(super) fn batches(&self) -> u64 {
        self.text.valid.len().div_ceil(ROWS_PER_CHECKPOINT) as u64
    }

    pub(super) fn apply(&self) -> Result<(), Error> {
        self.task.apply(&self.place)
    }

    pub(super) fn restart(&mut self) {
        self.task.restart(&self.place);
    }

    pub(super) fn cursor(&self) -> Applied {
        self.place.store.cursor(self.task.job().spec.id).unwrap()
    }

    /// Ends the job, which must have done what the model says.
    pub(super) fn end(self) -> Found {
        let ending = self.task.finish(&self.place, false).unwrap();
        self.task.end(&ending);
        let mut model = self.model;
        let missed = model.apply(self.operation, &self.text.valid);
        assert!(!missed.is_empty() && missed.len() < self.text.valid.len());
        assert_eq!(ending.outcome, Outcome::Partial);
        assert_eq!(ending.applied.position, self.text.valid.len() as u64);
        assert_eq!(ending.applied.rows_applied, (self.text.valid.len() - missed.len()) as u64);
        for storage in Storage::ALL {
            assert_eq!(*ending.applied.errors.get(storage), missed.len() as u64);
            assert_eq!(*ending.applied.processed.get(storage), ending.applied.rows_applied);
        }
        let mut told: Vec<_> = self.text.errors.iter().map(|(line, _)| (None, *line)).collect();
        for storage in Storage::ALL {
            told.extend(missed.iter().map(|line| (Some(storage), *line)));
        }
        let report = self.task.report(&self.place);
        assert_eq!(report.iter().map(|row| (row.storage, row.line)).collect::<Vec<_>>(), told);
        assert_eq!(self.place.live(Storage::NonRedacted), model.rows());
        assert_eq!(self.place.live(Storage::Redacted).len(), model.rows().len());
        Found::of(&self.place, &self.task, ending)
    }
}
