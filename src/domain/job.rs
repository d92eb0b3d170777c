//! The state machine. [`Job::next`] is the only code that writes a status.

use super::{
    Applied, Ending, Event, EventKind, Failure, Outcome, PerStorage, Status, Submitted, Validated,
    storage::StorageSet,
};

/// One job: the fold of its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What was asked.
    pub spec: Submitted,
    status: Status,
    outcome: Option<Outcome>,
    /// Number of the newest event.
    pub seq: u64,
    /// When the job was accepted, in microseconds since the Unix epoch, like all times here.
    pub submit_time_us: i64,
    /// When a worker took it.
    pub start_time_us: Option<i64>,
    /// When it ended.
    pub end_time_us: Option<i64>,
    /// Time of the newest event.
    pub update_time_us: i64,
    /// Newest durable point of validation; final from `PROCESSING` on.
    pub validated: Validated,
    /// Newest journalled point of applying; final at `COMPLETED`.
    pub applied: Applied,
    /// What was odd about the file.
    pub warnings: Vec<String>,
    /// A cancel was accepted.
    pub cancel_requested: bool,
    /// Attempts since the last progress; 0 before a worker took the job, and after its release.
    pub attempt: u32,
    /// When the next attempt starts; set while the job waits after a failed one.
    pub retry_at_us: Option<i64>,
    /// The attempts are used up.
    pub held: bool,
    /// Why it failed, waits or is held.
    pub failure: Option<Failure>,
    /// Checkpoint events so far; bounded by `limits::CHECKPOINTS_MAX`.
    pub checkpoints: u32,
    /// Bytes of the complete report; 0 until terminal.
    pub report_length: u64,
    /// CRC-32 of the complete report; 0 until terminal.
    pub report_crc: u32,
}

/// An event that cannot follow the job's state. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {event} (seq {seq}) cannot follow {status} (seq {job_seq}): {reason}")]
pub struct IllegalTransition {
    event: &'static str,
    seq: u64,
    status: Status,
    job_seq: u64,
    reason: &'static str,
}

impl Job {
    /// The job that its first event makes.
    ///
    /// # Errors
    /// When the event is not `submitted` with number 1 and a time.
    pub fn first(event: &Event) -> Result<Self, IllegalTransition> {
        let EventKind::Submitted(spec) = &event.kind else {
            return Err(refuse(None, event, "the first event must be submitted"));
        };
        if event.seq != 1 {
            return Err(refuse(None, event, "the first event must have number 1"));
        }
        if event.time_us < 1 {
            return Err(refuse(None, event, "it has no time"));
        }
        let mut job = Self::stored((**spec).clone(), Status::Queued, None);
        job.seq = 1;
        job.submit_time_us = event.time_us;
        job.update_time_us = event.time_us;
        Ok(job)
    }

    /// A job with that status and nothing else yet. Only for the journal's decoder, which fills
    /// in the rest from what was stored and has the fold verified against it.
    #[must_use]
    pub fn stored(spec: Submitted, status: Status, outcome: Option<Outcome>) -> Self {
        Self {
            spec,
            status,
            outcome,
            seq: 0,
            submit_time_us: 0,
            start_time_us: None,
            end_time_us: None,
            update_time_us: 0,
            validated: Validated::default(),
            applied: Applied::default(),
            warnings: Vec::new(),
            cancel_requested: false,
            attempt: 0,
            retry_at_us: None,
            held: false,
            failure: None,
            checkpoints: 0,
            report_length: 0,
            report_crc: 0,
        }
    }

    /// Where the job stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// How it ended; `None` until terminal.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Bytes and CRC-32 of what is durable of its report.
    #[must_use]
    pub fn report(&self) -> (u64, u32) {
        if self.is_terminal() {
            (self.report_length, self.report_crc)
        } else {
            (self.validated.report_length, self.validated.report_crc)
        }
    }

    /// Whether nothing can happen to it any more.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.status == Status::Completed
    }

    /// Whether the counts of validation are final.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        self.status >= Status::Processing
    }

    /// The job after one more event.
    ///
    /// # Errors
    /// When the event cannot follow: wrong number, a time before the last one, a status that does
    /// not take it, progress that goes back, or final counts that do not add up.
    pub fn next(self, event: &Event) -> Result<Self, IllegalTransition> {
        if let Err(reason) = self.check(event) {
            return Err(refuse(Some(&self), event, reason));
        }
        let mut job = self;
        job.seq = event.seq;
        job.update_time_us = event.time_us;
        match &event.kind {
            EventKind::Submitted(_) => {}
            EventKind::DeQueued => {
                job.status = Status::DeQueued;
                job.start_time_us = Some(event.time_us);
                job.attempt = 1;
            }
            EventKind::ValidationStarted => {
                job.status = Status::Validating;
                job.progressed();
            }
            EventKind::ValidationAdvanced(at) => {
                job.validated = *at;
                job.checkpoints += 1;
                job.progressed();
            }
            EventKind::ProcessingStarted { validated, warnings } => {
                job.status = Status::Processing;
                job.validated = *validated;
                job.warnings.clone_from(warnings);
                job.progressed();
            }
            EventKind::ProcessingAdvanced(at) => {
                job.applied = *at;
                job.checkpoints += 1;
                job.progressed();
            }
            EventKind::Completed(ending) => job.complete(ending, event.time_us),
            EventKind::CancelRequested => job.cancel_requested = true,
            EventKind::AttemptStarted => {
                job.attempt += 1;
                job.retry_at_us = None;
                job.held = false;
            }
            EventKind::AttemptFailed { failure, retry_at_us } => {
                job.failure = Some(failure.clone());
                job.retry_at_us = Some(*retry_at_us);
            }
            EventKind::Held(failure) => {
                job.failure = Some(failure.clone());
                job.retry_at_us = None;
                job.held = true;
            }
            EventKind::Released => {
                job.attempt = 0;
                job.held = false;
            }
        }
        Ok(job)
    }

    fn progressed(&mut self) {
        self.attempt = 1;
        self.failure = None;
    }

    fn complete(&mut self, ending: &Ending, time_us: i64) {
        self.status = Status::Completed;
        self.outcome = Some(ending.outcome);
        self.end_time_us = Some(time_us);
        self.validated = ending.validated;
        self.applied = ending.applied;
        self.report_length = ending.report_length;
        self.report_crc = ending.report_crc;
        self.failure.clone_from(&ending.failure);
        self.retry_at_us = None;
        self.held = false;
    }

    fn check(&self, event: &Event) -> Result<(), &'static str> {
        use Status::{Completed, DeQueued, Processing, Queued, Validating};
        if self.seq.checked_add(1) != Some(event.seq) {
            return Err("its number is not the next one");
        }
        if event.time_us < self.update_time_us {
            return Err("its time is before the last event's");
        }
        let running = matches!(self.status, DeQueued | Validating | Processing);
        match (&event.kind, self.status) {
            (_, Completed) => Err("the job is terminal"),
            (EventKind::DeQueued, Queued) => Ok(()),
            (EventKind::AttemptStarted, _) if running => Ok(()),
            (EventKind::ValidationStarted, DeQueued) => self.check_at_work(),
            (EventKind::ValidationAdvanced(at), Validating) => {
                self.check_at_work()?;
                check_forward(&self.validated, at)
            }
            (EventKind::ProcessingStarted { validated, .. }, Validating) => {
                self.check_at_work()?;
                check_forward(&self.validated, validated)
            }
            (EventKind::ProcessingAdvanced(at), Processing) => {
                self.check_at_work()?;
                self.check_applied(at)
            }
            (EventKind::CancelRequested, _) if !self.cancel_requested => Ok(()),
            (EventKind::AttemptFailed { retry_at_us, .. }, _) if running => {
                self.check_at_work()?;
                if *retry_at_us > 0 { Ok(()) } else { Err("the time of the retry is not set") }
            }
            (EventKind::Held(_), _) if running && !self.held => Ok(()),
            (EventKind::Released, _) if self.held => Ok(()),
            (EventKind::Completed(ending), _) => self.check_ending(ending),
            _ => Err("the status does not take it"),
        }
    }

    /// After a failed attempt, and while held, nothing moves before the next attempt has started.
    fn check_at_work(&self) -> Result<(), &'static str> {
        if self.held || self.retry_at_us.is_some() {
            return Err("no attempt is running");
        }
        Ok(())
    }

    fn check_applied(&self, at: &Applied) -> Result<(), &'static str> {
        self.check_applied_forward(at)?;
        check_sums(at, at.position, self.touched())
    }

    fn check_applied_forward(&self, at: &Applied) -> Result<(), &'static str> {
        let from = &self.applied;
        let back = at.position < from.position
            || at.rows_applied < from.rows_applied
            || super::Storage::ALL.into_iter().any(|s| {
                at.processed.get(s) < from.processed.get(s) || at.errors.get(s) < from.errors.get(s)
            });
        if back {
            return Err("progress goes back");
        }
        if at.position > self.validated.rows_valid {
            return Err("more rows are applied than are valid");
        }
        Ok(())
    }

    fn check_ending(&self, ending: &Ending) -> Result<(), &'static str> {
        if ending.outcome != Outcome::Failed && ending.failure.is_some() {
            return Err("only a failed job has a failure");
        }
        match ending.outcome {
            Outcome::Failed if self.applied.position > 0 => Err("rows were already applied"),
            Outcome::Failed if ending.failure.is_none() => Err("a failed job needs its failure"),
            Outcome::Failed if ending.applied != Applied::default() => {
                Err("a failed job has applied nothing")
            }
            Outcome::Failed => Ok(()),
            Outcome::Cancelled if !self.cancel_requested => Err("no cancel was requested"),
            Outcome::Cancelled if self.status < Status::Processing => {
                if ending.validated == Validated::default() && ending.applied == Applied::default()
                {
                    Ok(())
                } else {
                    Err("a job cancelled before processing counts nothing")
                }
            }
            Outcome::Succeeded | Outcome::Partial if self.status != Status::Processing => {
                Err("only a job that was processed ends so")
            }
            Outcome::Cancelled => self.check_totals(ending),
            Outcome::Succeeded | Outcome::Partial => {
                self.check_at_work()?;
                self.check_totals(ending)?;
                self.check_complete(ending)
            }
        }
    }

    /// Every valid row has exactly one outcome in every storage, or the job must not end.
    fn check_totals(&self, ending: &Ending) -> Result<(), &'static str> {
        let (from, to) = (&self.validated, &ending.validated);
        if (to.rows, to.rows_valid, to.errors) != (from.rows, from.rows_valid, from.errors) {
            return Err("the counts of validation changed");
        }
        self.check_applied_forward(&ending.applied)?;
        check_sums(&ending.applied, ending.validated.rows_valid, self.touched())
    }

    /// A job that was not cut short got to its last row, and its outcome says what it found.
    fn check_complete(&self, ending: &Ending) -> Result<(), &'static str> {
        let last = ending.validated.rows_valid;
        if !self.spec.validate_only && ending.applied.position != last {
            return Err("not every valid row is done");
        }
        if ending.outcome != Self::outcome_of(&ending.validated, &ending.applied) {
            return Err("its outcome is not what its counts say");
        }
        Ok(())
    }

    /// How a file ends that was processed to its end.
    #[must_use]
    pub fn outcome_of(validated: &Validated, applied: &Applied) -> Outcome {
        let clean = validated.errors == 0 && applied.errors == PerStorage::default();
        if clean { Outcome::Succeeded } else { Outcome::Partial }
    }

    fn touched(&self) -> StorageSet {
        if self.spec.validate_only { StorageSet::EMPTY } else { self.spec.storages }
    }
}

fn check_forward(from: &Validated, to: &Validated) -> Result<(), &'static str> {
    let back = to.line < from.line
        || to.rows < from.rows
        || to.rows_valid < from.rows_valid
        || to.errors < from.errors
        || to.keys_length < from.keys_length
        || to.report_length < from.report_length;
    if back {
        return Err("progress goes back");
    }
    if to.rows_valid > to.rows {
        return Err("more rows are valid than there are");
    }
    Ok(())
}

/// In a storage that the job touches every row is processed or an error, in the other none is; and
/// a row counts as applied where it took effect in at least one storage.
fn check_sums(at: &Applied, rows: u64, storages: StorageSet) -> Result<(), &'static str> {
    for storage in super::Storage::ALL {
        let expected = if storages.contains(storage) { rows } else { 0 };
        if at.processed.get(storage).checked_add(*at.errors.get(storage)) != Some(expected) {
            return Err("its counts do not add up");
        }
    }
    let PerStorage { non_redacted, redacted } = at.processed;
    let least = non_redacted.max(redacted);
    let most = non_redacted.saturating_add(redacted).min(rows);
    if !(least..=most).contains(&at.rows_applied) {
        return Err("its count of applied rows does not fit the storages");
    }
    Ok(())
}

fn refuse(job: Option<&Job>, event: &Event, reason: &'static str) -> IllegalTransition {
    IllegalTransition {
        event: event.kind.name(),
        seq: event.seq,
        status: job.map_or(Status::Queued, Job::status),
        job_seq: job.map_or(0, |j| j.seq),
        reason,
    }
}
