//! One worker thread: takes a turn, moves the job as far as it goes, gives the lane back.

use std::sync::Arc;

use super::{
    command::{Backoff, Checkpoint, Claim, Complete, Postpone, decision},
    scheduler::{Class, Done, Scheduler, Turn},
};
use crate::{
    activity::{self, Step, StopReason, Workspace},
    clock, config,
    domain::{Ending, EventKind, Failure, Job, Status},
    error::Code,
    intake::Spool,
    journal,
    poison::Poison,
    records::{self, RecordStore},
};

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
        while let Some(turn) = self.scheduler.take(class) {
            let done = self.run(&turn);
            self.scheduler.done(&turn, done);
        }
    }

    fn run(&self, turn: &Turn) -> Done {
        match self.advance(turn) {
            Ok(done) => done,
            Err(error) => self.failed(turn, &error),
        }
    }

    /// Moves the job to its end, or to where it has to wait.
    fn advance(&self, turn: &Turn) -> Result<Done, activity::Error> {
        let claim = Claim { attempts_max: self.engine.max_attempts };
        let job = self.journal.record_blocking(turn.job, decision(claim))?.job;
        if job.is_terminal() {
            return Ok(Done::Ended);
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
            let validation = match self.step(turn, &job, activity::validate) {
                Ok(validation) => validation,
                Err(activity::Error::File(failure)) => return Ok(activity::fail(Some(failure))),
                Err(error) => return Err(error),
            };
            let activity::Validation { validated, warnings } = validation;
            let next = EventKind::ProcessingStarted { validated, warnings };
            job = self.journal.record_blocking(turn.job, decision(Checkpoint(next)))?.job;
            if job.cancel_requested {
                return Err(activity::Error::Stopped(StopReason::Cancel));
            }
        }
        let applied = self.step(turn, &job, |step| {
            if !job.spec.validate_only {
                activity::apply(step)?;
            }
            activity::finish(step, false)
        });
        match applied {
            Err(activity::Error::File(failure)) if self.store.cursor(turn.job)?.position == 0 => {
                Ok(activity::fail(Some(failure)))
            }
            other => other,
        }
    }

    /// Ends a cancelled job: what was applied stays and is told, the rest is told as not applied.
    fn cancelled(&self, turn: &Turn, job: &Job) -> Result<Done, activity::Error> {
        let ending = if job.is_validated() {
            self.step(turn, job, |step| activity::finish(step, true))?
        } else {
            activity::fail(None)
        };
        self.complete(turn, ending)
    }

    fn complete(&self, turn: &Turn, ending: Ending) -> Result<Done, activity::Error> {
        let job = self.journal.record_blocking(turn.job, decision(Complete(ending)))?.job;
        let outcome = job.outcome().map_or("none", crate::domain::Outcome::as_str);
        metrics::counter!("cvrsd_jobs_completed_total", "outcome" => outcome).increment(1);
        tracing::info!(
            job = %turn.job,
            operation = %job.spec.operation,
            outcome,
            rows = job.validated.rows,
            rows_applied = job.applied.rows_applied,
            "job completed"
        );
        cleanup(&job, &*self.store, &self.spool, &self.workspace);
        Ok(Done::Ended)
    }

    fn step<T>(
        &self,
        turn: &Turn,
        job: &Job,
        run: impl FnOnce(&Step<'_>) -> Result<T, activity::Error>,
    ) -> Result<T, activity::Error> {
        let payload = self.spool.path(turn.job);
        let record = |kind: EventKind| -> Result<(), activity::Error> {
            self.journal.record_blocking(turn.job, decision(Checkpoint(kind)))?;
            Ok(())
        };
        run(&Step {
            job,
            payload: &payload,
            workspace: &self.workspace,
            store: &*self.store,
            intake: &self.intake,
            engine: &self.engine,
            stop: &turn.stop,
            record: &record,
        })
    }

    fn newest(&self, turn: &Turn) -> Result<Arc<Job>, activity::Error> {
        let missing = journal::Error::NoJob(turn.job);
        self.journal.live(turn.job).ok_or(activity::Error::Journal(missing))
    }

    /// Decides what becomes of a job whose attempt failed.
    fn failed(&self, turn: &Turn, error: &activity::Error) -> Done {
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

    /// The journal did not take an event: it failed, which stops the daemon, or was closed because a
    /// drain took too long.
    fn unrecorded(&self, turn: &Turn, cause: &journal::Error) -> Done {
        let drained = turn.stop.reason() == Some(StopReason::Drain);
        match cause {
            journal::Error::Poisoned => Done::Held,
            journal::Error::Storage(_) if drained => Done::Interrupted,
            _ => {
                self.poison.trip(format!("job {}: {cause}", turn.job));
                Done::Held
            }
        }
    }
}

/// Removes what a terminal job no longer needs. What cannot be removed is tried again at the next
/// start.
pub fn cleanup(job: &Job, store: &dyn RecordStore, spool: &Spool, workspace: &Workspace) {
    let id = job.spec.id;
    let remove = || {
        store.forget(id).map_err(std::io::Error::other)?;
        if job.report_length == 0 {
            workspace.remove_report(id)?;
        }
        // Behind what only its directory reminds the next start of.
        workspace.clear(id)?;
        spool.remove(id)
    };
    if let Err(error) = remove() {
        tracing::warn!(job = %id, %error, "files of a finished job are left for the next start");
    }
}
