//! The records that jobs create, update and delete.
//!
//! A store applies batches of one job exactly once: a batch's changes, the rows that it found
//! without effect, the counters and the job's cursor are one durable transaction.

#[cfg(test)]
mod conformance;
pub mod embedded;
mod entry;
pub mod memory;

pub use entry::{Batch, Entry, KeyHash, Misses, Row, Staged};

use std::ops::ControlFlow;

use roaring::RoaringBitmap;

use crate::domain::{Applied, JobId, PurgedJob, Storage, Tenant};

/// What a store can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The batch does not start where the job's cursor stands: another worker went on with the
    /// job. Nothing was changed.
    #[error("batch of job {job} starts at {given}, its cursor is at {cursor}")]
    Fenced {
        /// Whose batch.
        job: JobId,
        /// Where the batch starts.
        given: u64,
        /// Where the cursor stands.
        cursor: u64,
    },
    /// Reading or writing failed. After a failed write or sync the store must not be used again.
    #[error("record store: {0}")]
    Storage(String),
    /// What was read is not what was written.
    #[error("record store is damaged: {0}")]
    Damaged(String),
}

/// Takes the rows of one job ahead of its batches: first the keys of all of them, then the rows that are
/// wanted. Dropped before its end, it leaves nothing that shows.
pub trait Stage {
    /// Takes key and line of a valid row, ascending.
    ///
    /// # Errors
    /// As the store fails.
    fn key(&mut self, key: KeyHash, line: u32) -> Result<(), Error>;

    /// Which of these lines will have an effect. Only their rows are needed.
    ///
    /// # Errors
    /// As the store fails.
    fn wanted(&mut self) -> Result<RoaringBitmap, Error>;

    /// Takes the canonical row of a line; lines come in ascending order.
    ///
    /// # Errors
    /// As the store fails.
    fn row(&mut self, line: u32, cells: &[u8]) -> Result<(), Error>;

    /// Makes all of it durable.
    ///
    /// # Errors
    /// As the store fails.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// Takes an entry of a backup: space, key and value.
pub type Tell<'a> = &'a mut dyn FnMut(u8, &[u8], &[u8]) -> Result<(), Error>;

/// Gives the next entry of a backup; `None` after the last.
pub type Ask<'a> = &'a mut dyn FnMut() -> Result<Option<(u8, Vec<u8>, Vec<u8>)>, Error>;

/// The store as it was at one moment, however it changes.
pub trait View: Send {
    /// Tells everything, for a backup.
    ///
    /// # Errors
    /// When the store cannot be read, or as `tell` fails.
    fn dump(&self, tell: Tell<'_>) -> Result<(), Error>;
}

/// A place for live records.
///
/// Keys are (tenant, `vax_event_id` with ASCII case folded). Calls block; they come from the
/// engine's worker threads, for one tenant from one thread at a time.
pub trait RecordStore: Send + Sync + 'static {
    /// The keyed hash of a `vax_event_id`; ASCII case is folded, nothing is trimmed.
    fn key(&self, vax_event_id: &[u8]) -> KeyHash;

    /// Where applying the job stands; zeros for a job that has applied nothing.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn cursor(&self, job: JobId) -> Result<Applied, Error>;

    /// Begins to store the rows of a large create or update ahead of its batches, which then name them
    /// as [`Row::Staged`]. Nothing shows of them before. `None` where an earlier attempt has come to
    /// its end; one that has not is begun anew. No other job of the tenant is applied meanwhile.
    ///
    /// # Errors
    /// As the store fails.
    fn stage<'a>(&'a self, staged: &Staged<'a>) -> Result<Option<Box<dyn Stage + 'a>>, Error>;

    /// Applies batches of different jobs as if row by row in their order, and moves the cursors of
    /// the jobs, all in one transaction that is durable when this returns. Returns the new cursors.
    ///
    /// # Errors
    /// [`Error::Fenced`] when a cursor is not at its `batch.position`; else as the store fails.
    /// Nothing was changed then.
    fn apply_all(&self, batches: &[Batch<'_>]) -> Result<Vec<Applied>, Error>;

    /// [`RecordStore::apply_all`] for one batch.
    ///
    /// # Errors
    /// Those of [`RecordStore::apply_all`].
    fn apply(&self, batch: &Batch<'_>) -> Result<Applied, Error> {
        let cursors = self.apply_all(std::slice::from_ref(batch))?;
        cursors.first().copied().ok_or_else(|| Error::Storage("a batch got no cursor".to_owned()))
    }

    /// The lines of the job that had no effect, by storage.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn misses(&self, job: JobId) -> Result<Misses, Error>;

    /// Forgets cursor and misses of a job whose report is final. What the job did stays. That they are
    /// gone need not be durable before the next batch is, so a crash may bring them back: see
    /// [`RecordStore::remembered`].
    ///
    /// # Errors
    /// When the store cannot be written.
    fn forget(&self, job: JobId) -> Result<(), Error>;

    /// Takes the names of jobs that ended off what is noted of the rows that they changed. The rows stay as
    /// they are. Durable when this returns; a job that was purged before changes nothing. Called by one thread
    /// at a time.
    ///
    /// # Errors
    /// As the store fails.
    fn purge(&self, jobs: &[PurgedJob]) -> Result<(), Error>;

    /// The store as it is now; at once, whatever it holds.
    ///
    /// # Errors
    /// When the store has no backups.
    fn view(&self) -> Result<Box<dyn View>, Error> {
        Err(Error::Storage("this store has no backups".to_owned()))
    }

    /// Whether something that goes on behind the calls has failed. May wait for a call that runs.
    ///
    /// # Errors
    /// When it has, and the store must not be used any more.
    fn failure(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The jobs that have a cursor or staged rows; one may be there twice.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn remembered(&self) -> Result<Vec<JobId>, Error>;

    /// Live records by tenant and storage, in that order; of one tenant where one is given. A
    /// tenant that never had a record is left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn counts(&self, tenant: Option<&Tenant>) -> Result<Vec<(Tenant, Storage, u64)>, Error>;

    /// A live record as that storage shows it: 45 cells in canonical order joined by tabs.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(
        &self,
        tenant: &Tenant,
        storage: Storage,
        vax_event_id: &[u8],
    ) -> Result<Option<Vec<u8>>, Error>;

    /// Visits every live record of one storage as it shows it, in an order that is the store's own.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn export(
        &self,
        tenant: &Tenant,
        storage: Storage,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error>;
}
