//! One worker thread: takes a turn, moves the job as far as it goes, gives the lane back.

use std::{panic::resume_unwind, path::PathBuf, sync::Arc, thread};

use super::{
    command::{Backoff, Checkpoint, Claim, Complete, Postpone, attempts_allowed, decision},
    measure::timed,
    scheduler::{Class, Done, Scheduler, Turn, Work},
};
use crate::{
    activity::{self, Step, Stop, StopReason, Validation, Workspace},
    clock, config,
    domain::{Ending, EventKind, Failure, Job, Outcome, Status},
    error::Code,
    failpoint::{Point, hit},
    intake::{Spool, Stored},
    journal,
    limits::LARGE_JOB_NICE,
    poison::Poison,
    records::{self, RecordStore},
};

/// The lowest priority that a thread may have.
const NICE_MAX: i32 = 19;

/// What every worker works with.
pub struct Worker {
    /// Where turns come from.
    pub scheduler: Arc<Scheduler>,
    /// Where events go.
    pub journal: journal::Handle,
    /// Where records live.
    pub store: Arc<dyn RecordStore>,
    /// Where payloads are.
    pub spool: Spool,
    /// Where files of jobs are.
    pub workspace: Workspace,
    /// Bounds of a file.
    pub intake: config::Intake,
    /// Batches, attempts, sort memory.
    pub engine: config::Engine,
    /// Tripped when a store cannot be trusted any more.
    pub poison: Poison,
}

impl Worker {
    /// Serves turns of that class until drained or poisoned.
    pub fn serve(&self, class: Class) {
        let _guard = self.poison.guard("a worker");
        while let Some(work) = self.scheduler.take(class) {
            match work {
                Work::One(turn) => {
                    let done = if turn.is_large { self.run_aside(&turn) } else { self.run(&turn) };
                    self.scheduler.done(&turn, done);
                }
                Work::Group(turns) => {
                    let done = self.run_group(&turns);
                    self.scheduler.all_done(turns.iter().zip(done));
                }
            }
        }
    }

    /// Runs a large job on a thread of its own, which gives way to all others: small jobs, answers and
    /// commits need little of a processor, but need it at once. A thread may give its priority up, but
    /// not take it back, and the worker's next turn may be small.
    fn run_aside(&self, turn: &Turn) -> Done {
        thread::scope(|scope| {
            let large = thread::Builder::new().name("large-job".to_owned());
            let running = large.spawn_scoped(scope, || {
                if let Err(error) = give_way() {
                    tracing::warn!(%error, "cannot lower the priority of a large job");
                }
                self.run(turn)
            });
            match running {
                Ok(running) => running.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(error) => {
                    tracing::warn!(%error, "no thread for a large job, its worker runs it");
                    self.run(turn)
                }
            }
        })
    }

    fn run(&self, turn: &Turn) -> Done {
        let _span = tracing::error_span!("job", job = %turn.job).entered();
        let error = match self.advance(turn) {
            Ok(done) => return done,
            Err(error) => error,
        };
        match self.tell_progress(turn) {
            Ok(()) => self.failed(turn, &error),
            Err(worse) => self.failed(turn, &worse),
        }
    }

    /// Moves the job to its end, or to where it has to wait.
    fn advance(&self, turn: &Turn) -> Result<Done, activity::Error> {
        self.tell_progress(turn)?;
        let claim = Claim { attempts_max: self.engine.max_attempts };
        let job = self.journal.record_blocking(turn.job, decision(claim))?.job;
        if job.is_terminal() {
            return Ok(Done::Ended);
        }
        if job.held && job.cancel_requested {
            return self.abandon(turn, &job);
        }
        if job.held {
            tracing::error!(job = %turn.job, "job is held");
            return Ok(Done::Held);
        }
        if job.cancel_requested {
            return self.cancelled(turn, &job);
        }
        let ending = match self.process(turn, job) {
            Ok(ending) => ending,
            Err(activity::Error::Stopped(StopReason::Cancel)) => {
                let job = self.newest(turn)?;
                return self.cancelled(turn, &job);
            }
            Err(error) => return Err(error),
        };
        self.complete(turn, ending)
    }

    /// Validates and applies, from wherever the job stands.
    fn process(&self, turn: &Turn, mut job: Arc<Job>) -> Result<Ending, activity::Error> {
        if job.status() == Status::Validating {
            job = match self.validate(turn, &job) {
                Err(activity::Error::File(failure)) => return Ok(activity::fail(Some(failure))),
                validated => validated?,
            };
            if job.cancel_requested {
                return Err(activity::Error::Stopped(StopReason::Cancel));
            }
        }
        let applied = self.step(turn, &job, |step| {
            if !job.spec.validate_only {
                timed("apply", || activity::apply(step))?;
            }
            timed("complete", || activity::finish(step, false))
        });
        match applied {
            Err(activity::Error::File(failure)) if self.store.cursor(turn.job)?.position == 0 => {
                Ok(activity::fail(Some(failure)))
            }
            other => other,
        }
    }

    /// Validates, and goes over to processing.
    fn validate(&self, turn: &Turn, job: &Arc<Job>) -> Result<Arc<Job>, activity::Error> {
        let was_applied = self.was_applied(job)?;
        let validation = timed("validate", || {
            if was_applied {
                self.step_again(job, activity::validate)
            } else {
                self.step(turn, job, activity::validate)
            }
        });
        self.start_processing(turn, validation?)
    }

    fn start_processing(
        &self,
        turn: &Turn,
        validation: Validation,
    ) -> Result<Arc<Job>, activity::Error> {
        let Validation { validated, warnings } = validation;
        let next = EventKind::ProcessingStarted { validated, warnings };
        Ok(self.journal.record_blocking(turn.job, decision(Checkpoint(next)))?.job)
    }

    /// Whether the rows of a job took effect before the journal had their counts: a group was cut off
    /// right then.
    fn was_applied(&self, job: &Job) -> Result<bool, records::Error> {
        let in_group = job.spec.payload.inline && !job.is_validated();
        Ok(in_group && self.store.cursor(job.spec.id)?.position > 0)
    }

    /// Ends a cancelled job: what was applied stays and is told, the rest is told as not applied.
    fn cancelled(&self, turn: &Turn, job: &Arc<Job>) -> Result<Done, activity::Error> {
        let mut job = Arc::clone(job);
        let used_up = job.attempt >= attempts_allowed(&job, self.engine.max_attempts);
        if !job.is_validated() {
            if !self.was_applied(&job)? {
                return self.complete(turn, activity::fail(None));
            }
            job = match self.validate(turn, &job) {
                Err(error @ activity::Error::Io { .. }) if used_up => {
                    tracing::error!(job = %turn.job, %error, "the report cannot be made");
                    return self.abandon(turn, &job);
                }
                validated => validated?,
            };
        }
        let ending = match self.step(turn, &job, |step| activity::finish(step, true)) {
            Err(error @ (activity::Error::File(_) | activity::Error::Io { .. })) if used_up => {
                tracing::error!(job = %turn.job, %error, "the report cannot be made");
                return self.abandon(turn, &job);
            }
            finished => finished?,
        };
        self.complete(turn, ending)
    }

    /// Ends a cancelled job that used up its attempts at its report: it has no list, but its counts.
    fn abandon(&self, turn: &Turn, job: &Arc<Job>) -> Result<Done, activity::Error> {
        let mut job = Arc::clone(job);
        if self.was_applied(&job)? {
            let counted = self.step_again(&job, activity::count_small)?;
            job = self.start_processing(turn, counted)?;
        }
        let ending = if job.is_validated() {
            self.step(turn, &job, activity::abandon)?
        } else {
            activity::fail(None)
        };
        self.complete(turn, ending)
    }

    /// Tells the journal what the record store has applied of a job beyond its last checkpoint. So an
    /// interruption that is not the job's fault does not count as an attempt without progress.
    fn tell_progress(&self, turn: &Turn) -> Result<(), activity::Error> {
        let Some(job) = self.journal.live(turn.job) else { return Ok(()) };
        if job.status() != Status::Processing || job.held || job.retry_at_us.is_some() {
            return Ok(());
        }
        let cursor = self.store.cursor(turn.job)?;
        if cursor.position > job.applied.position {
            let progress = Checkpoint(EventKind::ProcessingAdvanced(cursor));
            self.journal.record_blocking(turn.job, decision(progress))?;
        }
        Ok(())
    }

    fn complete(&self, turn: &Turn, ending: Ending) -> Result<Done, activity::Error> {
        let job = self.journal.record_blocking(turn.job, decision(Complete(ending)))?.job;
        hit(Point::JobCompleted);
        told(&job);
        cleanup(&job, &*self.store, &self.spool, &self.workspace)?;
        hit(Point::JobCleaned);
        Ok(Done::Ended)
    }

    fn step<T>(
        &self,
        turn: &Turn,
        job: &Job,
        run: impl FnOnce(&Step<'_>) -> Result<T, activity::Error>,
    ) -> Result<T, activity::Error> {
        self.step_with(&turn.stop, &self.intake, job, run)
    }

    /// A step that was made before and came to its end: neither a stop nor the bounds of today, which may
    /// be others, can make it come to another.
    fn step_again<T>(
        &self,
        job: &Job,
        run: impl FnOnce(&Step<'_>) -> Result<T, activity::Error>,
    ) -> Result<T, activity::Error> {
        let unbounded = config::Intake {
            max_rows: u64::MAX,
            max_inflated_bytes: u64::MAX,
            max_ratio: u64::MAX,
            max_line_bytes: usize::MAX,
            ..self.intake.clone()
        };
        self.step_with(&Stop::default(), &unbounded, job, run)
    }

    fn step_with<T>(
        &self,
        stop: &Stop,
        intake: &config::Intake,
        job: &Job,
        run: impl FnOnce(&Step<'_>) -> Result<T, activity::Error>,
    ) -> Result<T, activity::Error> {
        let id = job.spec.id;
        let (path, inline) = if job.spec.payload.inline {
            (PathBuf::new(), Some(self.journal.payload_blocking(job)?))
        } else {
            (self.spool.path(id), None)
        };
        let record = |kind: EventKind| -> Result<(), activity::Error> {
            self.journal.record_blocking(id, decision(Checkpoint(kind)))?;
            Ok(())
        };
        run(&Step {
            job,
            payload: inline.as_deref().map_or(Stored::File(&path), Stored::Memory),
            workspace: &self.workspace,
            store: &*self.store,
            intake,
            engine: &self.engine,
            stop,
            record: &record,
        })
    }

    fn newest(&self, turn: &Turn) -> Result<Arc<Job>, activity::Error> {
        let missing = journal::Error::NoJob(turn.job);
        self.journal.live(turn.job).ok_or(activity::Error::Journal(missing))
    }

    /// Decides what becomes of a job whose attempt failed.
    pub(super) fn failed(&self, turn: &Turn, error: &activity::Error) -> Done {
        // The same file gives the same error: another attempt at it would change nothing.
        let permanent = matches!(error, activity::Error::File(_));
        let failure = match error {
            activity::Error::Stopped(_) => return Done::Interrupted,
            activity::Error::Journal(cause) => return self.unrecorded(turn, cause),
            activity::Error::Records(cause @ records::Error::Fenced { .. }) => {
                Failure::new(Code::JobIo, cause.to_string())
            }
            activity::Error::Records(cause) => {
                self.poison.trip(format!("job {}: {cause}", turn.job));
                return Done::Held;
            }
            activity::Error::File(failure) => failure.clone(),
            activity::Error::Io { .. } => Failure::new(Code::JobIo, error.to_string()),
        };
        tracing::warn!(job = %turn.job, code = %failure.code, error = %failure.message, "attempt failed");
        let engine = &self.engine;
        let backoff = Backoff {
            attempts_max: if permanent { 0 } else { engine.max_attempts },
            min: engine.retry_min,
            max: engine.retry_max,
        };
        let postpone = Postpone { failure, backoff, now_us: clock::now_us() };
        match self.journal.record_blocking(turn.job, decision(postpone)) {
            Ok(committed) => match committed.job.retry_at_us {
                Some(at_us) => Done::Retry { at_us },
                None => Done::Held,
            },
            Err(cause) => self.unrecorded(turn, &cause),
        }
    }

    /// The journal did not take an event: it failed, which stops the daemon, or it was closed because
    /// a drain could wait no longer; then the job resumes.
    pub(super) fn unrecorded(&self, turn: &Turn, cause: &journal::Error) -> Done {
        let drained = turn.stop.reason() == Some(StopReason::Drain);
        match cause {
            journal::Error::Poisoned => Done::Held,
            // Cancelled in the queue and purged, all before this turn came to it.
            journal::Error::NoJob(_) => Done::Ended,
            journal::Error::Storage(_) if drained => Done::Interrupted,
            _ => {
                self.poison.trip(format!("job {}: {cause}", turn.job));
                Done::Held
            }
        }
    }
}

/// Lowers the priority of the thread that calls, and of all that it starts.
fn give_way() -> rustix::io::Result<()> {
    let nice = rustix::process::getpriority_process(None)?;
    rustix::process::setpriority_process(None, (nice + LARGE_JOB_NICE).min(NICE_MAX))
}

/// Says that a job has ended.
pub(super) fn told(job: &Job) {
    let outcome = job.outcome().map_or("none", Outcome::as_str);
    metrics::counter!("cvrsd_jobs_completed_total", "outcome" => outcome).increment(1);
    tracing::info!(
        job = %job.spec.id,
        operation = %job.spec.operation,
        outcome,
        rows = job.validated.rows,
        rows_applied = job.applied.rows_applied,
        "job completed"
    );
}

/// Removes what a terminal job no longer needs. Files that cannot be removed are tried again at the
/// next start.
///
/// # Errors
/// When the record store fails.
pub fn cleanup(
    job: &Job,
    store: &dyn RecordStore,
    spool: &Spool,
    workspace: &Workspace,
) -> Result<(), records::Error> {
    let id = job.spec.id;
    store.forget(id)?;
    hit(Point::JobForgotten);
    let remove = || {
        if job.report_length == 0 {
            workspace.remove_report(id)?;
        }
        // Behind what only its directory reminds the next start of.
        workspace.clear(id)?;
        if job.spec.payload.inline { Ok(()) } else { spool.end(id) }
    };
    if let Err(error) = remove() {
        tracing::warn!(job = %id, %error, "files of a finished job are left for the next start");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nice() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[test]
    fn only_the_thread_of_a_large_job_and_those_that_it_starts_give_way() {
        let before = nice();
        let (large, started) = thread::spawn(|| {
            give_way().unwrap();
            (nice(), thread::spawn(nice).join().unwrap())
        })
        .join()
        .unwrap();
        assert_eq!((large, started), ((before + LARGE_JOB_NICE).min(NICE_MAX), large));
        assert_eq!(nice(), before);
    }
}
