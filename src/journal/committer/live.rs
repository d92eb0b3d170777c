//! The newest committed state of every job that is not terminal.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::domain::{Job, JobId};

/// Shared between the committer, which writes, and the handles, which read.
pub(super) type Shared = Arc<RwLock<Live>>;

/// The jobs that are not terminal, and how far submits are published.
pub(super) struct Live {
    jobs: HashMap<JobId, Arc<Job>>,
    /// Jobs above it in the order of submits are not known to be durable.
    published_order: u64,
}

impl Live {
    /// What the journal holds at the start.
    pub(super) fn new(unfinished: Vec<Job>, last_order: u64) -> Self {
        let jobs = unfinished.into_iter().map(|job| (job.spec.id, Arc::new(job))).collect();
        Self { jobs, published_order: last_order }
    }

    /// The newest committed state of a job that is not terminal.
    pub(super) fn get(&self, id: JobId) -> Option<Arc<Job>> {
        self.jobs.get(&id).cloned()
    }

    /// All of them, in submit order.
    pub(super) fn in_order(&self) -> Vec<Arc<Job>> {
        let mut jobs: Vec<_> = self.jobs.values().cloned().collect();
        jobs.sort_unstable_by_key(|job| job.spec.order);
        jobs
    }

    /// Takes in a state that is durable now.
    pub(super) fn publish(&mut self, job: &Arc<Job>) {
        self.published_order = self.published_order.max(job.spec.order);
        if job.is_terminal() {
            self.jobs.remove(&job.spec.id);
        } else {
            self.jobs.insert(job.spec.id, Arc::clone(job));
        }
    }

    /// The place right after the newest submit that is durable.
    pub(super) fn published_end(&self) -> u64 {
        self.published_order.saturating_add(1)
    }

    /// The durable state of a job that the journal showed: a reader may see a commit before it is
    /// synced. A job that isn't live is terminal and durable, or new and not yet published.
    pub(super) fn settle(&self, seen: Job) -> Option<Arc<Job>> {
        match self.jobs.get(&seen.spec.id) {
            Some(job) => Some(Arc::clone(job)),
            None if seen.spec.order <= self.published_order => Some(Arc::new(seen)),
            None => None,
        }
    }
}

pub(super) fn read(live: &RwLock<Live>) -> RwLockReadGuard<'_, Live> {
    live.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn write(live: &RwLock<Live>) -> RwLockWriteGuard<'_, Live> {
    live.write().unwrap_or_else(PoisonError::into_inner)
}
