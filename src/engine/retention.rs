//! Removing what jobs leave once its clock has run out.
//!
//! Nothing of a job that has not ended is touched. What is removed is first taken out of the journal, durably:
//! for a report a note of the time from which on reports may be gone, for a job the job itself. Then its notes
//! in the record store go, then its files. The journal keeps the jobs of its newest purge in mind, so a start
//! finishes what a crash has cut off. A reader that has a report open reads it to its end. A file that cannot
//! be removed hinders no other.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicI64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use metrics::counter;

use super::runtime::Error;
use crate::{
    activity::Workspace,
    audit::{self, Entry, Kind},
    clock,
    config::{self, Clock},
    domain::{Job, JobId, PurgedJob},
    failpoint::{Point, hit},
    intake::Spool,
    journal::{self, Purge, Purged},
    limits::{PURGE_INTERVAL, PURGE_PAGE, PURGE_PAUSE, PURGE_STEP_EVENTS, PURGE_STEP_JOBS},
    poison::Poison,
    records::{self, RecordStore},
};

/// Waits so long; false where the purge is to end.
type Rest<'a> = &'a mut dyn FnMut(Duration) -> bool;

/// From when on jobs and reports are there, for those who look for one that is not.
#[derive(Debug, Default)]
pub(super) struct Horizon {
    jobs_us: AtomicI64,
    reports_us: AtomicI64,
}

impl Horizon {
    /// Whether a job of that id may have been purged.
    pub(super) fn is_behind(&self, id: JobId) -> bool {
        id.made_us().is_some_and(|made_us| made_us < self.jobs_us.load(Ordering::Acquire))
    }

    /// Whether the report of that job counts as gone.
    pub(super) fn has_report_of(&self, job: &Job) -> bool {
        ended_before(job, self.reports_us.load(Ordering::Acquire)) && job.report().0 > 0
    }

    /// Takes in what is purged by now.
    pub(super) fn note(&self, purged: &Purged) {
        self.jobs_us.store(purged.jobs_before_us, Ordering::Release);
        self.reports_us.store(purged.reports_before_us, Ordering::Release);
    }
}

/// Purges what is due.
pub(super) struct Purger {
    pub(super) clocks: config::Retention,
    pub(super) journal: journal::Handle,
    pub(super) store: Arc<dyn RecordStore>,
    pub(super) spool: Spool,
    pub(super) workspace: Workspace,
    pub(super) horizon: Arc<Horizon>,
    pub(super) audit: audit::Log,
    /// For each step; a backup takes it too, and keeps it.
    pub(super) turn: Mutex<()>,
}

impl Purger {
    /// Purges all that is due at that time, in steps, with a rest after each; none while a backup is taken.
    pub(super) fn run(&self, now_us: i64, rest: Rest<'_>) -> Result<(), Error> {
        let payloads = if self.clocks.payloads == Clock::After(Duration::ZERO) {
            Ok(())
        } else {
            self.payloads(due_before(now_us, self.clocks.payloads), rest)
        };
        let reports = self.reports(due_before(now_us, self.clocks.reports), rest);
        // Also where a directory cannot be read.
        self.jobs(due_before(now_us, self.clocks.jobs), rest)?;
        payloads.and(reports)
    }

    /// The turn of one step; `None` while a backup is taken, and then what is left is for a later look.
    fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                tracing::info!("a purge waits for the end of a backup");
                None
            }
        }
    }

    /// Payloads that stayed when their jobs ended.
    fn payloads(&self, before_us: i64, rest: Rest<'_>) -> Result<(), Error> {
        let ids = self.spool.jobs()?;
        self.files(ids, before_us, rest, |due| {
            let mut removed = 0;
            for id in due {
                // One without a job belongs to a submit that is on its way, or that has arrived since the look.
                let job = self.journal.job_blocking(*id)?;
                if job.is_some_and(|job| job.is_terminal() && ended_before(&job, before_us)) {
                    removed += told(*id, self.spool.remove(*id));
                }
            }
            counter!("cvrsd_purged_total", "what" => "payloads").increment(removed);
            self.record("payloads", removed)
        })
    }

    /// Reports, and what is left of those whose jobs are gone.
    fn reports(&self, before_us: i64, rest: Rest<'_>) -> Result<(), Error> {
        let ids = self.workspace.reports()?;
        self.files(ids, before_us, rest, |due| {
            if self.horizon.reports_us.load(Ordering::Acquire) < before_us {
                let purge = Purge { reports_before_us: before_us, ..Purge::default() };
                self.horizon.note(&self.journal.purge_blocking(purge)?);
            }
            hit(Point::PurgeMarked);
            let removed = due.iter().map(|id| told(*id, self.workspace.remove_report(*id))).sum();
            counter!("cvrsd_purged_total", "what" => "reports").increment(removed);
            self.record("reports", removed)
        })
    }

    /// Goes through the files of these jobs, from the oldest on to where none is due.
    fn files(
        &self,
        mut ids: Vec<JobId>,
        before_us: i64,
        rest: Rest<'_>,
        mut remove: impl FnMut(&[JobId]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        ids.sort_unstable();
        for page in ids.chunks(PURGE_PAGE) {
            let (mut due, mut later) = (Vec::new(), false);
            for id in page {
                match self.journal.job_blocking(*id)? {
                    Some(job) if !job.is_terminal() => {}
                    Some(job) if !ended_before(&job, before_us) => later = true,
                    Some(_) | None => due.push(*id),
                }
            }
            if due.is_empty() && later {
                return Ok(());
            }
            for step in due.chunks(PURGE_STEP_JOBS) {
                let Some(turn) = self.turn() else { return Ok(()) };
                remove(step)?;
                drop(turn);
                if !rest(PURGE_PAUSE) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whole jobs. They are looked at in the order of their ids, which is about that of their ends.
    fn jobs(&self, before_us: i64, rest: Rest<'_>) -> Result<(), Error> {
        let mut above = None;
        loop {
            let page = self.journal.jobs_blocking(above, PURGE_PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            above = Some(last.spec.id);
            let ended: Vec<_> = page.iter().filter(|job| job.is_terminal()).collect();
            let due: Vec<_> = ended.iter().filter(|job| ended_before(job, before_us)).collect();
            if due.is_empty() && !ended.is_empty() {
                return Ok(());
            }
            let mut due = due.as_slice();
            while !due.is_empty() {
                let Some(turn) = self.turn() else { return Ok(()) };
                let (step, left) = due.split_at(step_length(due.iter().map(|job| job.seq)));
                self.step(step.iter().map(|job| job.spec.id).collect(), before_us)?;
                drop(turn);
                due = left;
                if !rest(PURGE_PAUSE) {
                    return Ok(());
                }
            }
        }
    }

    fn step(&self, jobs: Vec<JobId>, jobs_before_us: i64) -> Result<(), Error> {
        // Durable before any is gone.
        self.record("jobs", jobs.len() as u64)?;
        let purge = Purge { jobs, jobs_before_us, ..Purge::default() };
        let purged = self.journal.purge_blocking(purge)?;
        self.horizon.note(&purged);
        hit(Point::PurgeTaken);
        finish(&purged.newest, &*self.store, &self.spool, &self.workspace)?;
        let count = purged.newest.len() as u64;
        counter!("cvrsd_purged_total", "what" => "jobs").increment(count);
        tracing::debug!(jobs = count, "purged");
        Ok(())
    }

    fn record(&self, what: &'static str, count: u64) -> Result<(), Error> {
        if count > 0 {
            let entry = Entry { count: Some(count), ..Entry::new(Kind::Retention) };
            self.audit.record_blocking(entry.saying(what))?;
        }
        Ok(())
    }
}

/// Removes what is left of jobs that are out of the journal. Also where nothing is.
///
/// # Errors
/// When the record store fails. A file that cannot be removed is tried again: a report by the next look, a
/// payload at the next start.
pub(super) fn finish(
    jobs: &[PurgedJob],
    store: &dyn RecordStore,
    spool: &Spool,
    workspace: &Workspace,
) -> Result<(), records::Error> {
    store.purge(jobs)?;
    hit(Point::PurgeNoted);
    for job in jobs {
        let removed = workspace.remove_report(job.id).and_then(|()| spool.remove(job.id));
        if let Err(error) = removed {
            tracing::warn!(job = %job.id, %error, "files of a purged job are left");
        }
    }
    hit(Point::PurgeCleaned);
    Ok(())
}

/// 1 where a file of that job is removed; the next look tries one again that cannot be.
fn told(id: JobId, removed: io::Result<()>) -> u64 {
    match removed {
        Ok(()) => 1,
        Err(error) => {
            tracing::warn!(job = %id, %error, "a file cannot be purged");
            0
        }
    }
}

/// What ended before that time is due.
fn due_before(now_us: i64, clock: Clock) -> i64 {
    let kept = clock.time().map(|time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
    kept.map_or(i64::MIN, |kept| now_us.saturating_sub(kept))
}

fn ended_before(job: &Job, time_us: i64) -> bool {
    job.end_time_us.is_some_and(|end_us| end_us < time_us)
}

/// How many jobs with so many events each make one step; at least one.
fn step_length(events: impl Iterator<Item = u64>) -> usize {
    let mut sum = 0_u64;
    let fits = events.take(PURGE_STEP_JOBS).take_while(|count| {
        sum = sum.saturating_add(*count);
        sum <= PURGE_STEP_EVENTS
    });
    fits.count().max(1)
}

/// The thread that looks again and again for what is due.
pub(super) struct Retention {
    stop: Mutex<Option<Sender<()>>>,
    thread: Option<JoinHandle<()>>,
}

impl Retention {
    /// Starts it, unless everything is kept for ever.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start(purger: Arc<Purger>, poison: Poison) -> io::Result<Self> {
        let config::Retention { payloads, reports, jobs } = purger.clocks;
        let clocks = [payloads, reports, jobs].into_iter().filter_map(Clock::time);
        let shortest = clocks.filter(|time| !time.is_zero()).min();
        let (sender, stopped) = channel();
        let stop = Mutex::new(Some(sender));
        let Some(shortest) = shortest else { return Ok(Self { stop, thread: None }) };
        let interval = (shortest / 10).clamp(PURGE_INTERVAL.0, PURGE_INTERVAL.1);
        let thread = thread::Builder::new().name("retention".to_owned()).spawn(move || {
            let _guard = poison.guard("retention");
            look_again(&purger, interval, &stopped, &poison);
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Tells it to end after the step that it is at.
    pub(super) fn stop(&self) {
        drop(self.stop.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Whether it has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

/// A clock that is set forward while the daemon runs purges nothing: the time that has passed counts.
fn look_again(purger: &Purger, interval: Duration, stopped: &Receiver<()>, poison: &Poison) {
    let (began, began_us) = (Instant::now(), clock::now_us());
    let mut rest = |time| stopped.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
    while rest(interval) {
        let passed = i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX);
        let now_us = clock::now_us().min(began_us.saturating_add(passed));
        match purger.run(now_us, &mut rest) {
            Ok(()) => {}
            Err(Error::Io(error)) => tracing::warn!(%error, "files cannot be purged"),
            // A drain that could not wait has closed the journal.
            Err(_) if !rest(Duration::ZERO) => return,
            Err(error) => return poison.trip(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_its_jobs_or_its_events_and_never_none() {
        let length = |events: &[u64]| step_length(events.iter().copied());
        assert_eq!(length(&[5; PURGE_STEP_JOBS + 1]), PURGE_STEP_JOBS);
        assert_eq!(length(&[PURGE_STEP_EVENTS, 1]), 1);
        assert_eq!(length(&[PURGE_STEP_EVENTS - 1, 1, 1]), 2);
        assert_eq!(length(&[PURGE_STEP_EVENTS + 1, 1]), 1);
        assert_eq!(length(&[1]), 1);
    }

    #[test]
    fn what_is_kept_for_ever_is_never_due() {
        assert_eq!(due_before(7, Clock::Never), i64::MIN);
        assert_eq!(due_before(2_000_000, Clock::After(Duration::from_secs(1))), 1_000_000);
    }
}
