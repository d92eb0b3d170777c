//! The durable account of every job: its events, in order, and the job they fold to.
//!
//! A [`Journal`] stores; the committer (one thread) is the only one that writes to it. It decides on
//! the newest state, groups, commits, syncs, and only then answers and publishes.

mod change;
pub(crate) mod codec;
mod committer;
#[cfg(test)]
mod conformance;
mod memory;
mod purge;
mod sled;

pub use committer::{Committed, Decision, Handle, Observer, Submission, start};
pub use memory::Memory;
pub use purge::{Purge, Purged};
pub use sled::Sled;

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::{Event, IllegalTransition, Job, JobId, Tenant};

/// What a journal can fail with.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the directory.
    #[error("data directory {0} is in use by another process")]
    InUse(String),
    /// The directory was written by another version, or is not ours.
    #[error("journal format: {0}")]
    Format(String),
    /// What was read is not what was written.
    #[error("journal is damaged: {0}")]
    Damaged(String),
    /// Reading or writing failed. After a failed write or sync the journal must not be used again.
    #[error("journal: {0}")]
    Storage(String),
    /// The committer stopped after an earlier failure; nothing is acknowledged any more.
    #[error("the journal stopped after a failure")]
    Poisoned,
    /// No such job.
    #[error("no job {0}")]
    NoJob(JobId),
    /// The state machine refused; nothing was written.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
}

/// New events of one job and the job after them; committed whole or not at all.
#[derive(Clone, Debug)]
pub struct Change {
    /// The job after the last of the events.
    pub job: Arc<Job>,
    /// One or more events, in order, following what is stored.
    pub events: Vec<Event>,
    /// The body of a new job whose payload is inline.
    pub payload: Option<Bytes>,
}

/// Takes an entry of a backup: space, key and value.
pub type Tell<'a> = &'a mut dyn FnMut(u8, &[u8], &[u8]) -> Result<(), Error>;

/// Gives the next entry of a backup; `None` after the last.
pub type Ask<'a> = &'a mut dyn FnMut() -> Result<Option<(u8, Vec<u8>, Vec<u8>)>, Error>;

/// A place for the events of jobs.
///
/// Calls block. `commit` comes from one thread only; reads may come from any.
pub trait Journal: Send + Sync + 'static {
    /// Stores all changes as one durable transaction: on power loss all of them are there after
    /// this returned, and at no time only some of them.
    ///
    /// # Errors
    /// When anything failed. The caller must then stop using the journal.
    fn commit(&self, group: &[Change]) -> Result<(), Error>;

    /// Takes jobs out, each with its events, its idempotency key and its place in all lists, as one durable
    /// transaction. Returns what was purged by then. Comes from the thread that commits.
    ///
    /// # Errors
    /// Where one of them is not there, is there twice or has not ended, and nothing was changed; as
    /// [`Journal::commit`] otherwise.
    fn purge(&self, purge: &Purge) -> Result<Purged, Error>;

    /// What was purged so far.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn purged(&self) -> Result<Purged, Error>;

    /// At most `max` jobs with an id above that one, in the order of their ids.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn jobs(&self, above: Option<JobId>, max: usize) -> Result<Vec<Job>, Error>;

    /// The job, if there is one.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn job(&self, id: JobId) -> Result<Option<Job>, Error>;

    /// The body of a job whose payload is inline, from its submit until it is terminal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn payload(&self, job: &Job) -> Result<Option<Bytes>, Error>;

    /// At most `max` events of the job with a number above `after_seq`, in order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn events(&self, id: JobId, after_seq: u64, max: usize) -> Result<Vec<Event>, Error>;

    /// The job that this idempotency key made.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn find_request(&self, tenant: &Tenant, request_id: &str) -> Result<Option<JobId>, Error>;

    /// Every job that is not terminal, in submit order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn unfinished(&self) -> Result<Vec<Job>, Error>;

    /// At most `max` jobs of a tenant, newest submit first, below that place in the order of submits.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn list(&self, tenant: &Tenant, below: Option<u64>, max: usize) -> Result<Vec<Job>, Error>;

    /// The greatest place in the order of submits so far; 0 when there is none.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn last_order(&self) -> Result<u64, Error>;

    /// Tells all that is stored as it is at one moment, for a backup: entries by space, key and value. At that
    /// moment, while nothing can be committed, `at` is called with the jobs that have not ended. Nothing may be
    /// purged meanwhile. Returns the greatest place in the order of submits at that moment.
    ///
    /// # Errors
    /// When the journal cannot be read, has no backups, or as `at` and `tell` fail.
    fn dump(
        &self,
        _at: &mut dyn FnMut(&[Job]) -> Result<(), Error>,
        _tell: Tell<'_>,
    ) -> Result<u64, Error> {
        Err(Error::Storage("this journal has no backups".to_owned()))
    }

    /// Whether something that goes on behind the calls has failed. Asked while a call runs, as that may then
    /// never come back.
    ///
    /// # Errors
    /// When it has, and the journal must not be used any more.
    fn failure(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Checks everything that is stored: checksums, the chain of hashes, numbers without gaps, and
    /// that each job is the fold of its events. Returns how many jobs were checked.
    ///
    /// # Errors
    /// [`Error::Damaged`] with the first thing that is wrong.
    fn verify(&self) -> Result<u64, Error> {
        self.verify_each(&mut |_| {})
    }

    /// [`Journal::verify`] that shows each job that is sound so far.
    ///
    /// # Errors
    /// Those of [`Journal::verify`].
    fn verify_each(&self, visit: &mut dyn FnMut(&Job)) -> Result<u64, Error>;
}
