//! What an operator does, to the whole daemon. Every call takes the scope `ADMIN`.

use std::{path::Path, sync::Arc};

use super::{
    Service,
    command::{Release, decision},
    explain::Explanation,
    pauses::Pause,
    runtime::Engine,
    scheduler::{LaneView, Paused},
    service::{Phase, internal},
    tally::Totals,
};
use crate::{
    auth::Principal,
    domain::{Job, JobId, Status, Tenant},
    error::{Code, Error},
    intake::Disk,
    limits::{PAUSE_REASON_CHARS_MAX, PAUSES_MAX},
};

/// What the daemon does at the moment.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Whether it takes calls.
    pub phase: Phase,
    /// When it began to serve, in microseconds since the Unix epoch.
    pub start_time_us: i64,
    /// Jobs that have not ended.
    pub jobs: JobCounts,
    /// Workers that have work.
    pub workers_busy: usize,
    /// All workers.
    pub workers: usize,
    /// Counts since the start.
    pub totals: Totals,
    /// Room on the disk.
    pub disk: Disk,
    /// Bytes of the journal's files.
    pub journal_bytes: u64,
    /// Bytes of the record store's files.
    pub records_bytes: u64,
    /// Uploads that have begun.
    pub uploads: usize,
    /// Watches of jobs that have not ended.
    pub watchers: usize,
    /// All lanes, those with the most jobs first.
    pub lanes: Vec<LaneView>,
    /// What is paused.
    pub pauses: Arc<Vec<Pause>>,
}

/// Jobs that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// By status, but for the last, in the order of [`Status::ALL`].
    pub by_status: [u64; 4],
    /// Held ones among them.
    pub held: u64,
    /// Those among them that wait for their next attempt.
    pub retrying: u64,
    /// When the oldest of those queued was submitted, in microseconds since the Unix epoch.
    pub oldest_queued_us: Option<i64>,
}

impl Service {
    /// Keeps the lanes of a tenant, or all, from starting jobs, durably. With `now` jobs that run stop at
    /// their next checkpoint.
    ///
    /// # Errors
    /// `CVRS-SCOPE`, `CVRS-PARAMETER` for a reason that is too long or has control characters, or when the
    /// pause cannot be kept.
    pub async fn pause(
        &self,
        caller: &Principal,
        tenant: Option<Tenant>,
        reason: String,
        now: bool,
    ) -> Result<Pause, Error> {
        caller.may_admin()?;
        check_reason(&reason)?;
        let (service, by) = (self.clone(), caller.client.clone());
        let paused = blocking(move || {
            let engine = service.ready()?;
            let named = tenant.clone();
            let then = |pauses: &[Pause]| {
                engine.scheduler.pause(to_scheduler(pauses));
                if now {
                    engine.scheduler.interrupt(named.as_ref());
                }
            };
            engine.pauses.pause(tenant, &by, &reason, then).map_err(Error::internal)
        });
        let text = || format!("{PAUSES_MAX} tenants are paused already");
        paused.await?.ok_or_else(|| Error::new(Code::Parameter, text()))
    }

    /// Ends the pause of that tenant, or the one of everything. Returns whether there was one.
    ///
    /// # Errors
    /// `CVRS-SCOPE`, or when it cannot be kept.
    pub async fn resume(&self, caller: &Principal, tenant: Option<Tenant>) -> Result<bool, Error> {
        caller.may_admin()?;
        let service = self.clone();
        blocking(move || {
            let engine = service.ready()?;
            let then = |pauses: &[Pause]| engine.scheduler.pause(to_scheduler(pauses));
            engine.pauses.resume(tenant.as_ref(), then).map_err(Error::internal)
        })
        .await
    }

    /// What is paused.
    ///
    /// # Errors
    /// `CVRS-SCOPE`, or while starting.
    pub fn pauses(&self, caller: &Principal) -> Result<Arc<Vec<Pause>>, Error> {
        caller.may_admin()?;
        Ok(self.ready()?.pauses.list())
    }

    /// Gives a held job, of any tenant, a new round of attempts. Returns whether it was held.
    ///
    /// # Errors
    /// `CVRS-SCOPE`, `CVRS-JOB-NOT-FOUND`, or when the journal fails.
    pub async fn release(&self, caller: &Principal, id: JobId) -> Result<bool, Error> {
        caller.may_admin()?;
        let engine = self.ready()?;
        if !engine.any_job(id).await?.held {
            return Ok(false);
        }
        let committed = engine.journal.record(id, decision(Release)).await.map_err(internal)?;
        Ok(!committed.events.is_empty())
    }

    /// Why a job, of any tenant, does not move.
    ///
    /// # Errors
    /// `CVRS-SCOPE`, `CVRS-JOB-NOT-FOUND`, or when the journal cannot be read.
    pub async fn explain(&self, caller: &Principal, id: JobId) -> Result<Explanation, Error> {
        caller.may_admin()?;
        let engine = self.ready()?;
        let job = engine.any_job(id).await?;
        let tenant = &job.spec.tenant;
        let place = engine.scheduler.place(tenant, id);
        let first = place.and_then(|place| engine.journal.live(place.first));
        let first_is_large = place.is_some_and(|place| place.first_is_large);
        let (workers_busy, workers) = engine.busy();
        let pauses = engine.pauses.list();
        let covers = |pause: &&Pause| pause.tenant.as_ref().is_none_or(|t| t == tenant);
        Ok(Explanation {
            place,
            first_is_held: first.is_some_and(|first| first.held && !first.cancel_requested),
            pauses: pauses.iter().filter(covers).cloned().collect(),
            worker_is_free: engine.scheduler.idle(first_is_large) > 0,
            workers_busy,
            workers,
            attempts_max: engine.attempts_max,
            used: engine.quotas.of(&job.spec.client),
            below_reserve: engine.spool.disk().is_below_reserve(),
            draining: self.phase() == Phase::Draining,
            job,
        })
    }

    /// What the daemon does at the moment.
    ///
    /// # Errors
    /// `CVRS-SCOPE`, or while starting.
    pub async fn overview(&self, caller: &Principal) -> Result<Overview, Error> {
        caller.may_admin()?;
        let service = self.clone();
        blocking(move || {
            let engine = service.ready()?;
            let (workers_busy, workers) = engine.busy();
            Ok(Overview {
                phase: service.phase(),
                start_time_us: engine.start_time_us,
                jobs: count(&engine.journal.unfinished()),
                workers_busy,
                workers,
                totals: engine.tally.totals(),
                disk: engine.spool.disk(),
                journal_bytes: bytes_below(&engine.data_dir.join("journal")),
                records_bytes: bytes_below(&engine.data_dir.join("records")),
                uploads: engine.spool.uploads(),
                watchers: engine.hub.watchers(),
                lanes: engine.scheduler.lanes(),
                pauses: engine.pauses.list(),
            })
        })
        .await
    }

    /// The disk has less room than is kept for running jobs, and so no upload is taken.
    #[must_use]
    pub fn is_below_reserve(&self) -> bool {
        self.engine().is_some_and(|engine| engine.spool.disk().is_below_reserve())
    }

    /// Every lane is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let everything = |pause: &Pause| pause.tenant.is_none();
        self.engine().is_some_and(|engine| engine.pauses.list().iter().any(everything))
    }
}

impl Engine {
    async fn any_job(&self, id: JobId) -> Result<Arc<Job>, Error> {
        let job = self.journal.job(id).await.map_err(internal)?;
        job.ok_or_else(|| Error::new(Code::JobNotFound, format!("there is no job {id}")))
    }
}

/// As the scheduler takes it.
pub(super) fn to_scheduler(pauses: &[Pause]) -> Paused {
    Paused {
        everything: pauses.iter().any(|pause| pause.tenant.is_none()),
        tenants: pauses.iter().filter_map(|pause| pause.tenant.clone()).collect(),
    }
}

fn check_reason(reason: &str) -> Result<(), Error> {
    let chars = reason.chars().count();
    if chars > PAUSE_REASON_CHARS_MAX {
        let text = format!("the reason has {chars} characters, at most {PAUSE_REASON_CHARS_MAX}");
        return Err(Error::new(Code::Parameter, text));
    }
    if reason.chars().any(char::is_control) {
        return Err(Error::new(Code::Parameter, "the reason has a control character"));
    }
    Ok(())
}

fn count(jobs: &[Arc<Job>]) -> JobCounts {
    let mut counts = JobCounts::default();
    for job in jobs {
        let by_status = Status::ALL.iter().zip(&mut counts.by_status);
        by_status.filter(|(s, _)| job.status() == **s).for_each(|(_, count)| *count += 1);
        counts.held += u64::from(job.held);
        counts.retrying += u64::from(job.retry_at_us.is_some());
        if job.status() == Status::Queued {
            let oldest = counts.oldest_queued_us.unwrap_or(i64::MAX);
            counts.oldest_queued_us = Some(oldest.min(job.submit_time_us));
        }
    }
    counts
}

/// Bytes of all files below a directory; what vanishes meanwhile counts nothing.
pub(super) fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => bytes_below(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(call)).await.map_err(Error::internal)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_at_most_as_long_as_allowed_and_one_line() {
        assert!(check_reason(&"\u{e9}".repeat(PAUSE_REASON_CHARS_MAX)).is_ok());
        for bad in ["x".repeat(PAUSE_REASON_CHARS_MAX + 1), "a\nb".to_owned()] {
            assert_eq!(check_reason(&bad).unwrap_err().code, Code::Parameter);
        }
    }

    #[test]
    fn all_files_below_a_directory_count() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/b"), [0; 7]).unwrap();
        std::fs::write(dir.path().join("c"), [0; 5]).unwrap();
        assert_eq!(bytes_below(dir.path()), 12);
        assert_eq!(bytes_below(&dir.path().join("none")), 0);
    }
}
