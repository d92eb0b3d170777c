//! Taking jobs out of a journal that keeps counting them.

use std::collections::HashSet;

use super::Error;
use crate::domain::{Job, JobId, PurgedJob};

/// What is to be purged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// Jobs that have ended.
    pub jobs: Vec<JobId>,
    /// Jobs that ended before that time may be gone from now on: microseconds since the Unix epoch.
    pub jobs_before_us: i64,
    /// Reports of jobs that ended before that time may be gone from now on.
    pub reports_before_us: i64,
}

/// What was purged so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Jobs.
    pub jobs: u64,
    /// Their events.
    pub events: u64,
    /// Jobs that ended before that time may be gone: microseconds since the Unix epoch.
    pub jobs_before_us: i64,
    /// Reports of jobs that ended before that time may be gone.
    pub reports_before_us: i64,
    /// The jobs of the newest purge. What else is kept of them may still be there, as a crash may have come
    /// between; of all purged before, nothing is.
    pub newest: Vec<PurgedJob>,
}

impl Purged {
    /// Whether the report of a job may be gone.
    #[must_use]
    pub fn has_report_of(&self, job: &Job) -> bool {
        job.end_time_us.is_some_and(|end_us| end_us < self.reports_before_us)
    }

    /// What is purged after this step, which takes these jobs out. Times never go back.
    pub(super) fn after(&self, step: &Purge, jobs: &[Job]) -> Self {
        Self {
            jobs: self.jobs + jobs.len() as u64,
            events: self.events + jobs.iter().map(|job| job.seq).sum::<u64>(),
            jobs_before_us: self.jobs_before_us.max(step.jobs_before_us),
            reports_before_us: self.reports_before_us.max(step.reports_before_us),
            newest: jobs.iter().map(PurgedJob::from).collect(),
        }
    }
}

impl Purge {
    /// The jobs, each of which must have ended.
    pub(super) fn ended(
        &self,
        find: impl Fn(JobId) -> Result<Option<Job>, Error>,
    ) -> Result<Vec<Job>, Error> {
        let mut seen = HashSet::new();
        let job = |id: &JobId| {
            let job = find(*id)?.filter(|job| job.is_terminal() && seen.insert(*id));
            job.ok_or_else(|| Error::Storage(format!("job {id} is not one to be purged")))
        };
        self.jobs.iter().map(job).collect()
    }
}
