//! States of a job that are only in the journal any more.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    domain::{Event, Job, JobId},
    error::Error,
    journal::{self, Handle},
    limits::WATCH_PAGE_EVENTS,
};

/// Reads a job's events from the first on and folds them.
pub(super) struct Replay {
    journal: Handle,
    id: JobId,
    state: Option<Job>,
    page: VecDeque<Event>,
}

impl Replay {
    pub(super) fn new(journal: Handle, id: JobId) -> Self {
        Self { journal, id, state: None, page: VecDeque::new() }
    }

    /// The state right after that event; the event must be committed and later than the last one
    /// asked for.
    pub(super) async fn state_at(&mut self, seq: u64) -> Result<Arc<Job>, Error> {
        loop {
            if let Some(job) = self.state.as_ref().filter(|job| job.seq == seq) {
                return Ok(Arc::new(job.clone()));
            }
            let event = self.next_event().await?;
            let folded = match self.state.take() {
                Some(job) => job.next(&event),
                None => Job::first(&event),
            };
            self.state = Some(folded.map_err(Error::internal)?);
        }
    }

    async fn next_event(&mut self) -> Result<Event, Error> {
        if self.page.is_empty() {
            let after = self.state.as_ref().map_or(0, |job| job.seq);
            let page = self.journal.events(self.id, after, WATCH_PAGE_EVENTS).await;
            self.page = match page {
                // Purged while it was read.
                Err(journal::Error::NoJob(id)) => return Err(Error::no_job(id)),
                page => page.map_err(Error::internal)?.into(),
            };
        }
        let missing = || Error::internal(format_args!("job {} lacks a committed event", self.id));
        self.page.pop_front().ok_or_else(missing)
    }
}
