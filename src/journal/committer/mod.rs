//! The one thread that writes to the journal.
//!
//! It takes what waits, decides on the newest state, commits once for all of it, and only then
//! tells observers and callers. So nobody hears of anything that a crash would undo, and a caller
//! that goes away while it waits changes nothing.

mod bound;
mod group;
mod handle;
mod live;
#[cfg(test)]
mod tests;
mod watchdog;
mod worker;

pub use handle::Handle;

use std::{
    sync::{Arc, RwLock},
    thread,
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{Error, Journal, Purge, Purged};
use crate::{
    clock,
    domain::{Event, EventKind, Job, JobId, Submitted},
    limits::{COMMIT_QUEUE, COMMIT_STALL},
    poison::Poison,
};
use live::Live;
use watchdog::Watchdog;
use worker::Worker;

/// Decides on the newest state of a job which events follow. Runs on the committer's thread; must be
/// quick and pure. An empty list means that there is nothing to do.
pub type Decision = Box<dyn FnOnce(&Job) -> Vec<EventKind> + Send>;

/// New events and the job after them.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The job after the last of the events.
    pub job: Arc<Job>,
    /// The events, in order; empty where the decision found nothing to do.
    pub events: Vec<Event>,
}

/// Told of every commit, in order, on the committer's thread, after it is durable and before the
/// caller has its answer. Must be quick; a panic stops the process.
pub trait Observer: Send + Sync {
    /// All that was committed together, in order; each has new events, and a job may be there more
    /// than once.
    fn committed(&self, group: &[Committed]);
}

/// What became of a submit.
#[derive(Clone, Debug)]
pub enum Submission {
    /// The job is new.
    New(Arc<Job>),
    /// The idempotency key made this job before, by the same upload.
    Existing(Arc<Job>),
    /// The idempotency key made this job before, by another upload.
    Conflict(Arc<Job>),
}

/// Starts the committer over what the journal holds. Blocks while it reads the unfinished jobs.
///
/// # Errors
/// When the journal cannot be read or no thread can be started.
pub fn start(
    journal: Arc<dyn Journal>,
    observers: Vec<Arc<dyn Observer>>,
    poison: Poison,
) -> Result<Handle, Error> {
    start_with(journal, observers, poison, Settings { now_us: clock::now_us, stall: COMMIT_STALL })
}

/// What tests set otherwise.
#[derive(Clone, Copy)]
struct Settings {
    now_us: fn() -> i64,
    stall: Duration,
}

fn start_with(
    journal: Arc<dyn Journal>,
    observers: Vec<Arc<dyn Observer>>,
    poison: Poison,
    settings: Settings,
) -> Result<Handle, Error> {
    let last_order = journal.last_order()?;
    let live = Arc::new(RwLock::new(Live::new(journal.unfinished()?, last_order)));
    let watchdog = Watchdog::start(settings.stall, poison.clone())?;
    let worker = Worker {
        journal: Arc::clone(&journal),
        live: Arc::clone(&live),
        observers,
        poison: poison.clone(),
        watchdog,
        now_us: settings.now_us,
        last_order,
    };
    let (sender, receiver) = mpsc::channel(COMMIT_QUEUE);
    let thread = spawn("journal-committer", move || worker.run(receiver))?;
    Ok(Handle::new(sender, journal, live, poison, thread))
}

fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, Error> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|e| Error::Storage(format!("cannot start thread {name}: {e}")))
}

/// Where the caller waits. It may have gone; then the answer is dropped.
type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What callers ask of the committer.
enum Command {
    Submit {
        spec: Box<Submitted>,
        payload: Option<Bytes>,
        answer: Answer<Submission>,
    },
    Record {
        id: JobId,
        decision: Decision,
        answer: Answer<Committed>,
    },
    RecordAll {
        decisions: Vec<(JobId, Decision)>,
        answer: Answer<Vec<Result<Committed, Error>>>,
    },
    Purge {
        purge: Purge,
        answer: Answer<Purged>,
    },
    /// Takes no more; what is queued is still done.
    Close,
}

impl Command {
    /// How many jobs it is about.
    fn jobs(&self) -> usize {
        match self {
            Self::Submit { .. } | Self::Record { .. } => 1,
            Self::RecordAll { decisions, .. } => decisions.len(),
            Self::Purge { purge, .. } => purge.jobs.len(),
            Self::Close => 0,
        }
    }
}
