//! The engine as a whole: built from its parts, started, drained.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::{
    audited::{self, Submits},
    backup::Links,
    measure::Sizes,
    operate::to_scheduler,
    pauses::{self, Pauses},
    quota::Quotas,
    recovery::recover,
    reports::Checked,
    retention::{Horizon, Purger, Retention},
    scheduler::{Class, Scheduler},
    tally::Tally,
    worker::Worker,
};
use crate::{
    activity::Workspace,
    audit, clock,
    config::Config,
    failpoint::{Point, hit},
    intake::Spool,
    journal::{self, Journal},
    limits::{EXPORTS_CLIENT_MAX, EXPORTS_MAX},
    poison::{Lookout, Poison},
    records::{self, RecordStore},
    shares::Shares,
    traces,
    watch::Hub,
};

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The record store.
    #[error(transparent)]
    Records(#[from] records::Error),
    /// A file or directory.
    #[error("data directory: {0}")]
    Io(#[from] io::Error),
    /// The file of pauses.
    #[error(transparent)]
    Pauses(#[from] pauses::Error),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] audit::Error),
}

/// The stores that the engine stands on.
pub struct Parts {
    /// Where events go.
    pub journal: Arc<dyn Journal>,
    /// Where records live.
    pub store: Arc<dyn RecordStore>,
    /// Where bodies go.
    pub spool: Spool,
    /// Where acts are recorded.
    pub audit: audit::Log,
}

/// Running workers over recovered lanes.
pub struct Engine {
    _lookouts: [Lookout; 2],
    pub(super) journal: journal::Handle,
    pub(super) hub: Arc<Hub>,
    pub(super) store: Arc<dyn RecordStore>,
    pub(super) spool: Spool,
    pub(super) workspace: Workspace,
    pub(super) poison: Poison,
    pub(super) quotas: Arc<Quotas>,
    pub(super) reports_checked: Checked,
    pub(super) scheduler: Arc<Scheduler>,
    pub(super) pauses: Pauses,
    pub(super) tally: Arc<Tally>,
    pub(super) sizes: Sizes,
    pub(super) attempts_max: u32,
    pub(super) data_dir: PathBuf,
    /// In microseconds since the Unix epoch.
    pub(super) start_time_us: i64,
    pub(super) horizon: Arc<Horizon>,
    pub(super) purger: Arc<Purger>,
    /// One backup at a time.
    pub(super) backups: Arc<Semaphore>,
    pub(super) exports: Shares,
    retention: Retention,
    workers: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Verifies the journal, recovers, and starts the workers. Blocks.
    ///
    /// # Errors
    /// When a store is damaged or cannot be read.
    pub fn start(parts: Parts, config: &Config, poison: &Poison) -> Result<Self, Error> {
        let Parts { journal: stored, store, spool, audit } = parts;
        let began = Instant::now();
        let jobs = audited::verify(&*stored, &audit)?;
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(jobs, elapsed_ms, "journal verified");
        hit(Point::StartVerified);
        Links::clear(&config.data.dir)?;
        let workspace = Workspace::open(Path::new(&config.data.dir))?;
        let scheduler =
            Arc::new(Scheduler::new(config.engine.express_bytes, config.engine.retry_max));
        let hub = Arc::new(Hub::default());
        let quotas = Arc::new(Quotas::default());
        let tally = Arc::new(Tally::default());
        let pauses = Pauses::open(&config.data.dir)?;
        // Before any worker claims a job.
        scheduler.pause(to_scheduler(&pauses.list()));
        // Who hears that a job has ended must find its place free.
        let mut observers: Vec<Arc<dyn journal::Observer>> =
            vec![quotas.clone(), tally.clone(), hub.clone(), scheduler.clone()];
        observers.push(Submits::new(audit.clone(), poison.clone()));
        observers.extend(traces::jobs(&stored));
        let lookouts = {
            let (journal, records) = (Arc::clone(&stored), Arc::clone(&store));
            [
                poison.look_out("journal-lookout", move || journal.failure())?,
                poison.look_out("records-lookout", move || records.failure())?,
            ]
        };
        let handle = journal::start(Arc::clone(&stored), observers, poison.clone())?;
        recover(&*stored, &handle, &*store, &spool, &workspace, &scheduler, &hub)?;
        hit(Point::StartRecovered);
        for job in handle.unfinished() {
            quotas.seed(&job);
            tally.seed(&job);
        }
        let worker = Arc::new(Worker {
            scheduler: Arc::clone(&scheduler),
            journal: handle.clone(),
            store: Arc::clone(&store),
            spool: spool.clone(),
            workspace: workspace.clone(),
            intake: config.intake.clone(),
            engine: config.engine.clone(),
            poison: poison.clone(),
        });
        let workers = start_workers(&worker, &config.engine)?;
        let horizon = Arc::new(Horizon::default());
        horizon.note(&stored.purged()?);
        let purger = Arc::new(Purger {
            clocks: config.retention.clone(),
            journal: handle.clone(),
            store: Arc::clone(&store),
            spool: spool.clone(),
            workspace: workspace.clone(),
            horizon: Arc::clone(&horizon),
            audit,
            turn: Mutex::default(),
        });
        let retention = Retention::start(Arc::clone(&purger), poison.clone())?;
        let poison = poison.clone();
        Ok(Self {
            _lookouts: lookouts,
            journal: handle,
            hub,
            store,
            spool,
            workspace,
            poison,
            quotas,
            reports_checked: Checked::default(),
            horizon,
            scheduler,
            pauses,
            tally,
            sizes: Sizes::default(),
            attempts_max: config.engine.max_attempts,
            data_dir: config.data.dir.clone(),
            start_time_us: clock::now_us(),
            purger,
            backups: Arc::new(Semaphore::new(1)),
            exports: Shares::new(EXPORTS_MAX, EXPORTS_CLIENT_MAX),
            retention,
            workers,
        })
    }

    /// Tells running jobs to stop at their next batch and watchers that the daemon drains.
    pub fn drain(&self) {
        self.scheduler.drain();
        self.retention.stop();
        self.hub.drain();
    }

    /// Whether every worker has stopped, and purging too.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished) && self.retention.is_finished()
    }

    /// Purges what is due at that time, in microseconds since the Unix epoch, as the daemon itself does from
    /// time to time. Blocks.
    ///
    /// # Errors
    /// When a store fails or a directory cannot be read.
    pub fn purge(&self, now_us: i64) -> Result<(), Error> {
        self.purger.run(now_us, &mut |_| true)
    }

    /// Waits until every worker has stopped, but not beyond the deadline; then commits what is queued and
    /// stops the committer. Returns whether all workers had stopped.
    ///
    /// # Errors
    /// When what was queued could not be committed.
    pub async fn close(&self, deadline: Instant) -> Result<bool, Error> {
        while !self.is_drained() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let drained = self.is_drained();
        self.journal.close().await?;
        Ok(drained)
    }

    /// Workers that have work, and all.
    pub(super) fn busy(&self) -> (usize, usize) {
        let all = self.workers.len();
        (all.saturating_sub(self.scheduler.idle(false)), all)
    }

    /// Jobs that wait or run.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.scheduler.unfinished()
    }
}

fn start_workers(
    worker: &Arc<Worker>,
    config: &crate::config::Engine,
) -> io::Result<Vec<JoinHandle<()>>> {
    let any = (0..config.workers).map(|n| (Class::Any, format!("worker-{n}")));
    let small = (0..config.express_workers).map(|n| (Class::Small, format!("express-{n}")));
    any.chain(small)
        .map(|(class, name)| {
            let worker = Arc::clone(worker);
            thread::Builder::new().name(name).spawn(move || worker.serve(class))
        })
        .collect()
}
