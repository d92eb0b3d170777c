//! Why a job does not move.

use std::fmt;

use super::{pauses::Pause, quota::Use, scheduler::Place};
use crate::{
    clock,
    domain::{Job, JobId, Status, Tenant},
};

/// What a job waits for: the first that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Nothing: it has ended.
    Ended,
    /// The daemon drains.
    Draining,
    /// Nothing: a worker has it.
    Running,
    /// Everything or its tenant is paused.
    Paused,
    /// It used up its attempts.
    Held,
    /// Its next attempt has its time.
    Retry,
    /// The first job of its lane is held.
    HeldAhead,
    /// Other jobs of its lane come before it.
    QueuedBehind,
    /// No worker is free for it.
    WorkersBusy,
    /// Nothing: a worker takes it next.
    Ready,
}

/// What is known of a job and of what it waits for.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub struct Explanation {
    /// The job as it stands.
    pub job: std::sync::Arc<Job>,
    /// Where it stands in its lane; `None` where it is in none.
    pub place: Option<Place>,
    /// The first job of its lane is held.
    pub first_is_held: bool,
    /// Pauses that cover it.
    pub pauses: Vec<Pause>,
    /// A worker waits for work and may take the first job of its lane.
    pub worker_is_free: bool,
    /// Workers that have work.
    pub workers_busy: usize,
    /// All workers.
    pub workers: usize,
    /// Attempts without progress that it may have.
    pub attempts_max: u32,
    /// What its client has on its way.
    pub used: Use,
    /// The disk has less room than is kept for running jobs.
    pub below_reserve: bool,
    /// The daemon drains.
    pub draining: bool,
}

impl Explanation {
    /// What the job waits for.
    #[must_use]
    pub fn wait(&self) -> Wait {
        let Self { job, place, .. } = self;
        if job.is_terminal() {
            return Wait::Ended;
        }
        if self.draining {
            return Wait::Draining;
        }
        let place = place.as_ref();
        if place.is_some_and(|place| place.running) {
            return Wait::Running;
        }
        if !self.pauses.is_empty() {
            return Wait::Paused;
        }
        if job.held && !job.cancel_requested {
            return Wait::Held;
        }
        match place {
            Some(place) if place.ahead > 0 && self.first_is_held => Wait::HeldAhead,
            Some(place) if place.ahead > 0 => Wait::QueuedBehind,
            _ if self.retry_at_us().is_some() => Wait::Retry,
            _ if !self.worker_is_free => Wait::WorkersBusy,
            _ => Wait::Ready,
        }
    }

    /// When its next attempt starts, in microseconds since the Unix epoch; a cancel waits for none.
    #[must_use]
    pub fn retry_at_us(&self) -> Option<i64> {
        self.job.retry_at_us.filter(|_| !self.job.cancel_requested)
    }
}

/// The summary: one sentence.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let job = &self.job;
        let ahead = self.place.map_or(0, |place| place.ahead);
        let first = self.place.map_or(job.spec.id, |place| place.first);
        match self.wait() {
            Wait::Ended => {
                let outcome = job.outcome().map_or("", |outcome| outcome.as_str());
                write!(f, "the job has ended: {outcome}")
            }
            Wait::Draining => write!(f, "the daemon drains; the job goes on at the next start"),
            Wait::Running => write!(f, "a worker has it: {}", job.status()),
            Wait::Paused => paused(f, &self.pauses, ahead),
            Wait::Held => held(f, job, self.attempts_max),
            Wait::Retry => {
                let at = self.retry_at_us().map(clock::rfc3339).unwrap_or_default();
                write!(f, "attempt {} failed{}; the next one starts at {at}", job.attempt, why(job))
            }
            Wait::HeldAhead => behind_held(f, first, ahead),
            Wait::QueuedBehind => {
                write!(f, "{} before it in the lane of {}", jobs(ahead), job.spec.tenant)?;
                write!(f, ", the first is {first}")
            }
            Wait::WorkersBusy => {
                let (busy, all) = (self.workers_busy, self.workers);
                write!(
                    f,
                    "it is the next of its lane and waits for a worker; {busy} of {all} are busy"
                )
            }
            Wait::Ready if job.status() == Status::Queued => {
                write!(f, "it is the next of its lane; a worker takes it as soon as one is free")
            }
            Wait::Ready => write!(f, "a worker goes on with it as soon as one is free"),
        }
    }
}

fn paused(f: &mut fmt::Formatter<'_>, pauses: &[Pause], ahead: usize) -> fmt::Result {
    for (n, pause) in pauses.iter().enumerate() {
        let what = pause.tenant.as_ref().map_or("everything", Tenant::as_str);
        let also = if n > 0 { ", and " } else { "" };
        let Pause { by, reason, .. } = pause;
        write!(f, "{also}{what} is paused by {by} since {}", clock::rfc3339(pause.since_us))?;
        if !reason.is_empty() {
            write!(f, ": {reason}")?;
        }
    }
    if ahead > 0 { write!(f, "; {} before it", jobs(ahead)) } else { Ok(()) }
}

fn held(f: &mut fmt::Formatter<'_>, job: &Job, attempts_max: u32) -> fmt::Result {
    let attempt = job.attempt;
    write!(f, "it is held after attempt {attempt} of {attempts_max}{}; ", why(job))?;
    write!(f, "release or cancel it")
}

fn behind_held(f: &mut fmt::Formatter<'_>, first: JobId, ahead: usize) -> fmt::Result {
    write!(f, "{} before it, and the first, {first}, is held; ", jobs(ahead))?;
    write!(f, "release or cancel that one")
}

/// `1 job stands`, `2 jobs stand` and the like.
fn jobs(ahead: usize) -> String {
    if ahead == 1 { "1 job stands".to_owned() } else { format!("{ahead} jobs stand") }
}

fn why(job: &Job) -> String {
    job.failure.as_ref().map_or(String::new(), |f| format!(" with {}: {}", f.code, f.message))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{
        EventKind,
        testing::{failure, first, fold, submitted},
    };

    fn queued() -> Job {
        first(submitted(1)).0
    }

    fn begun(kinds: Vec<EventKind>) -> Job {
        fold(fold(queued(), [EventKind::DeQueued, EventKind::ValidationStarted]), kinds)
    }

    fn pause() -> Pause {
        let (by, reason) = ("ops".to_owned(), "new disk".to_owned());
        Pause { tenant: None, since_us: 1_700_000_000_000_000, by, reason }
    }

    /// The job is the first of its lane, nothing keeps it, and a worker is free.
    fn explained(job: Job) -> Explanation {
        let first = job.spec.id;
        let place = Place { ahead: 0, first, running: false, first_is_large: false };
        Explanation {
            job: Arc::new(job),
            place: Some(place),
            first_is_held: false,
            pauses: Vec::new(),
            worker_is_free: true,
            workers_busy: 1,
            workers: 4,
            attempts_max: 3,
            used: Use::default(),
            below_reserve: false,
            draining: false,
        }
    }

    fn behind(mut explained: Explanation, ahead: usize) -> Explanation {
        if let Some(place) = &mut explained.place {
            (place.ahead, place.first) = (ahead, JobId::generate());
        }
        explained
    }

    #[test]
    fn each_cause_has_its_reason_and_its_sentence() {
        let retry_at_us = 1_700_000_000_000_000;
        let retry = EventKind::AttemptFailed { failure: failure(), retry_at_us };
        let running = || {
            let mut explained = explained(begun(vec![]));
            explained.place.as_mut().unwrap().running = true;
            explained
        };
        let held = || begun(vec![EventKind::Held(failure())]);
        let ended = EventKind::Completed(Box::new(crate::activity::fail(Some(failure()))));
        let cases = [
            (explained(queued()), Wait::Ready, "a worker takes it"),
            (explained(begun(vec![])), Wait::Ready, "goes on with it"),
            (running(), Wait::Running, "a worker has it: VALIDATING"),
            (explained(begun(vec![ended])), Wait::Ended, "the job has ended: FAILED"),
            (explained(held()), Wait::Held, "attempt 1 of 3 with CVRS-JOB-IO: the report"),
            (explained(begun(vec![retry])), Wait::Retry, "starts at 2023-11-14T22:13:20Z"),
            (
                behind(explained(queued()), 2),
                Wait::QueuedBehind,
                "2 jobs stand before it in the lane of local, the first is",
            ),
            (
                Explanation { first_is_held: true, ..behind(explained(queued()), 1) },
                Wait::HeldAhead,
                "1 job stands before it, and the first, ",
            ),
            (
                Explanation { worker_is_free: false, ..explained(queued()) },
                Wait::WorkersBusy,
                "waits for a worker; 1 of 4 are busy",
            ),
            (
                Explanation { pauses: vec![pause()], ..explained(held()) },
                Wait::Paused,
                "everything is paused by ops since 2023-11-14T22:13:20Z: new disk",
            ),
            (Explanation { pauses: vec![pause()], ..running() }, Wait::Running, "a worker has it"),
            (
                Explanation { draining: true, pauses: vec![pause()], ..explained(queued()) },
                Wait::Draining,
                "goes on at the next start",
            ),
        ];
        for (explained, wait, part) in cases {
            assert_eq!(explained.wait(), wait);
            let text = explained.to_string();
            assert!(text.contains(part) && !text.contains('\n'), "{wait:?}: {text}");
        }
    }

    #[test]
    fn a_cancelled_job_waits_neither_for_a_release_nor_for_its_next_attempt() {
        let retry = EventKind::AttemptFailed { failure: failure(), retry_at_us: 5 };
        for cause in [EventKind::Held(failure()), retry] {
            let job = begun(vec![cause, EventKind::CancelRequested]);
            assert_eq!(explained(job).wait(), Wait::Ready);
        }
    }
}
