//! Forgetting cursors, misses and stages of jobs that have ended.
//!
//! Nobody waits for it to last, so it needs no commit of its own: it goes with the next batch. An
//! unsynced commit would not do, as the journal must never hold more than one batch that is not synced
//! (see `journals`). What a crash brings back is forgotten again at the start.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    changes::Changes,
    spaces::{Spaces, failed},
};
use crate::{domain::JobId, limits::FORGOTTEN_JOBS_MAX, records::Error};

/// Jobs whose cursors and misses count as gone, but are still there.
#[derive(Default)]
pub(super) struct Forgotten(Mutex<HashSet<JobId>>);

impl Forgotten {
    /// Whether the job counts as forgotten.
    pub(super) fn has(&self, job: JobId) -> bool {
        self.jobs().contains(&job)
    }

    /// Forgets a job. Where many are waiting, they are removed in a commit of their own.
    pub(super) fn add(&self, spaces: &Spaces, job: JobId) -> Result<(), Error> {
        let waiting = {
            let mut jobs = self.jobs();
            jobs.insert(job);
            jobs.len()
        };
        if waiting < FORGOTTEN_JOBS_MAX { Ok(()) } else { self.remove(spaces) }
    }

    /// Removes what is left of jobs that count as forgotten, before they begin anew.
    pub(super) fn settle(
        &self,
        spaces: &Spaces,
        mut jobs: impl Iterator<Item = JobId>,
    ) -> Result<(), Error> {
        if jobs.any(|job| self.has(job)) { self.remove(spaces) } else { Ok(()) }
    }

    fn remove(&self, spaces: &Spaces) -> Result<(), Error> {
        let mut changes = Changes::new(spaces, FORGOTTEN_JOBS_MAX);
        let removed = self.remove_with(spaces, &mut changes)?;
        changes.commit()?;
        self.removed(&removed);
        Ok(())
    }

    /// Puts what is to be removed into a batch; [`Forgotten::removed`] when it is committed.
    pub(super) fn remove_with(
        &self,
        spaces: &Spaces,
        changes: &mut Changes<'_>,
    ) -> Result<Vec<JobId>, Error> {
        let jobs: Vec<JobId> = self.jobs().iter().copied().collect();
        for job in &jobs {
            changes.remove(&spaces.cursors, job.as_bytes());
            if spaces.stage(*job)?.is_some() {
                changes.remove(&spaces.stages, job.as_bytes());
            }
            for entry in spaces.misses.prefix(job.as_bytes()) {
                changes.remove(&spaces.misses, entry.key().map_err(failed)?);
            }
        }
        Ok(jobs)
    }

    /// They are gone.
    pub(super) fn removed(&self, removed: &[JobId]) {
        let mut jobs = self.jobs();
        for job in removed {
            jobs.remove(job);
        }
    }

    fn jobs(&self) -> MutexGuard<'_, HashSet<JobId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spaces {
    /// The jobs that have a cursor or staged rows and do not count as forgotten.
    pub(super) fn remembered(&self, forgotten: &Forgotten) -> Result<Vec<JobId>, Error> {
        let mut jobs = Vec::new();
        for entry in self.cursors.iter().chain(self.stages.iter()) {
            let key = entry.key().map_err(failed)?;
            let job = <[u8; 16]>::try_from(&*key).map(JobId::from_bytes);
            let job = job.map_err(|_| Error::Damaged("a cursor has no job".to_owned()))?;
            if !forgotten.has(job) {
                jobs.push(job);
            }
        }
        Ok(jobs)
    }
}
