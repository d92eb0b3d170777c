//! Small jobs that run together: they share the commits that each of them would make by itself.
//!
//! ```text
//!  claim all ── one commit ──► validate each in memory ──► apply all ──► ProcessingStarted and
//!                                                                        Completed of all, one commit
//! ```
//!
//! A job of a group is new, so this is its first attempt, and whatever comes in its way ends its part in the
//! group: it goes on by itself, as every job does after a restart. Jobs behind it in its lane then wait.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;

use super::{
    command::{Claim, Complete, Process, decision},
    measure::timed,
    scheduler::{Done, Turn},
    worker::{Worker, cleanup, told},
};
use crate::{
    activity::{self, Shared, Small, Step, StopReason, validate_small},
    domain::{Applied, Ending, Job, JobId, Outcome, Tenant},
    failpoint::{Point, hit},
    intake::Stored,
    journal::{self, Committed, Decision},
    records::{self, Batch},
};

/// A job of the group.
struct Member<'a> {
    turn: &'a Turn,
    state: State,
}

/// How far it is.
enum State {
    /// Its attempt is counted.
    Claimed(Arc<Job>, Bytes),
    /// Its rows are checked, none is applied.
    Valid(Arc<Job>, Bytes, Small),
    /// Its rows are applied.
    Applied(Small, Ending),
    /// It ends without a row that was applied.
    Ends(Ending),
    /// Its end is on its way to the journal.
    Ended,
    /// It has no further part in the group.
    Done(Done),
}

impl Worker {
    /// Runs new small jobs together. What became of each, in their order.
    pub(super) fn run_group(&self, turns: &[Turn]) -> Vec<Done> {
        let claim = |turn: &Turn| {
            let claim = Claim { attempts_max: self.engine.max_attempts };
            (turn.job, decision(claim))
        };
        let claimed = match self.journal.record_all_blocking(turns.iter().map(claim).collect()) {
            Ok(claimed) => claimed,
            Err(cause) => return turns.iter().map(|turn| self.unrecorded(turn, &cause)).collect(),
        };
        hit(Point::GroupClaimed);
        let claimed = turns.iter().zip(claimed);
        let mut members: Vec<Member<'_>> = claimed
            .map(|(turn, claimed)| Member { turn, state: self.claimed(turn, claimed) })
            .collect();
        timed("validate", || self.validate_all(&mut members));
        timed("apply", || self.apply_all(&mut members));
        timed("complete", || self.complete_all(&mut members));
        members.into_iter().map(Member::done).collect()
    }

    /// A job whose attempt is counted, with its payload; one that was cancelled in the queue has ended.
    fn claimed(&self, turn: &Turn, claimed: Result<Committed, journal::Error>) -> State {
        let with_payload = claimed.and_then(|Committed { job, .. }| {
            if job.is_terminal() {
                return Ok(State::Done(Done::Ended));
            }
            let payload = self.journal.payload_blocking(&job)?;
            Ok(State::Claimed(job, payload))
        });
        with_payload.unwrap_or_else(|cause| State::Done(self.unrecorded(turn, &cause)))
    }

    fn validate_all(&self, members: &mut [Member<'_>]) {
        let mut waiting: HashSet<&Tenant> = HashSet::new();
        let mut shared = Shared::default();
        for member in members {
            member.advance(|turn, state| {
                let state = match state {
                    State::Claimed(..) if waiting.contains(&turn.tenant) => {
                        State::Done(Done::Interrupted)
                    }
                    State::Claimed(job, payload) => self.validated(turn, job, payload, &mut shared),
                    other => other,
                };
                if matches!(&state, State::Done(done) if *done != Done::Ended) {
                    waiting.insert(&turn.tenant);
                }
                state
            });
        }
    }

    fn validated(&self, turn: &Turn, job: Arc<Job>, payload: Bytes, shared: &mut Shared) -> State {
        match self.in_memory(turn, &job, &payload, |step| validate_small(step, shared)) {
            Ok(small) => State::Valid(job, payload, small),
            Err(activity::Error::File(failure)) => State::Ends(activity::fail(Some(failure))),
            Err(error) => State::Done(self.failed(turn, &error)),
        }
    }

    /// Applies the valid rows of all, in their order, and finds out how each ends.
    fn apply_all(&self, members: &mut [Member<'_>]) {
        for member in &mut *members {
            member.advance(|turn, state| match state {
                // Before anything of it is applied a cancel still leaves nothing to tell.
                State::Valid(..) if turn.stop.reason() == Some(StopReason::Cancel) => {
                    State::Ends(activity::fail(None))
                }
                other => other,
            });
        }
        let applied = match self.apply_batches(members) {
            Ok(applied) => applied,
            Err(error) => return self.not_applied(members, error),
        };
        hit(Point::GroupApplied);
        let mut applied = applied.into_iter();
        for member in members {
            member.advance(|turn, state| {
                let State::Valid(job, payload, small) = state else { return state };
                let applied = if writes(&job, &small) { applied.next() } else { None };
                match self.ending(turn, &job, &payload, &small, applied.unwrap_or_default()) {
                    Ok(ending) => State::Applied(small, ending),
                    Err(error) => State::Done(self.failed(turn, &error)),
                }
            });
        }
    }

    /// Where the jobs with rows to apply stand after it.
    fn apply_batches(&self, members: &[Member<'_>]) -> Result<Vec<Applied>, records::Error> {
        let valid = members.iter().filter_map(|member| match &member.state {
            State::Valid(job, _, small) if writes(job, small) => Some((job, small.entries())),
            _ => None,
        });
        let valid: Vec<_> = valid.collect();
        let batches = valid.iter().map(|(job, entries)| Batch {
            job: job.spec.id,
            tenant: &job.spec.tenant,
            operation: job.spec.operation,
            storages: job.spec.storages,
            position: 0,
            entries,
        });
        self.store.apply_all(&batches.collect::<Vec<_>>())
    }

    /// Nothing can be said of any of them: each looks for itself what was applied, in another attempt.
    fn not_applied(&self, members: &mut [Member<'_>], error: records::Error) {
        let error = activity::Error::Records(error);
        for member in members {
            member.advance(|turn, state| match state {
                State::Valid(..) => State::Done(self.failed(turn, &error)),
                other => other,
            });
        }
    }

    /// How a job ends whose rows are applied. Its report is durable then.
    fn ending(
        &self,
        turn: &Turn,
        job: &Job,
        payload: &[u8],
        small: &Small,
        applied: Applied,
    ) -> Result<Ending, activity::Error> {
        let validated = small.validation.validated;
        let outcome = Job::outcome_of(&validated, &applied);
        if outcome == Outcome::Succeeded {
            let (report_length, report_crc, failure) = (0, 0, None);
            return Ok(Ending { outcome, validated, applied, report_length, report_crc, failure });
        }
        let mut job = job.clone();
        job.validated = validated;
        self.in_memory(turn, &job, payload, |step| activity::finish(step, false))
    }

    /// Ends all that came so far, in one commit.
    fn complete_all(&self, members: &mut [Member<'_>]) {
        let decisions = members.iter_mut().filter_map(Member::decide).collect::<Vec<_>>();
        if decisions.is_empty() {
            return;
        }
        let completed = self.journal.record_all_blocking(decisions);
        hit(Point::GroupCompleted);
        let mut completed = completed.map(Vec::into_iter);
        for member in members {
            member.advance(|turn, state| {
                if !matches!(state, State::Ended) {
                    return state;
                }
                let completed = match &mut completed {
                    Ok(completed) => completed.next().unwrap_or(Err(journal::Error::Poisoned)),
                    Err(cause) => Err(cause.clone()),
                };
                State::Done(self.completed(turn, completed))
            });
        }
    }

    fn completed(&self, turn: &Turn, completed: Result<Committed, journal::Error>) -> Done {
        let job = match completed {
            Ok(committed) => committed.job,
            Err(cause) => return self.unrecorded(turn, &cause),
        };
        told(&job);
        let cleaned = if job.outcome() == Some(Outcome::Succeeded) {
            // It has left no file.
            self.store.forget(turn.job)
        } else {
            cleanup(&job, &*self.store, &self.spool, &self.workspace)
        };
        match cleaned {
            Ok(()) => Done::Ended,
            Err(error) => self.failed(turn, &error.into()),
        }
    }

    fn in_memory<T>(
        &self,
        turn: &Turn,
        job: &Job,
        payload: &[u8],
        run: impl FnOnce(&Step<'_>) -> Result<T, activity::Error>,
    ) -> Result<T, activity::Error> {
        run(&Step {
            job,
            payload: Stored::Memory(payload),
            workspace: &self.workspace,
            store: &*self.store,
            intake: &self.intake,
            engine: &self.engine,
            stop: &turn.stop,
            // A small job has no durable point before its end.
            record: &|_| Ok(()),
        })
    }
}

impl<'a> Member<'a> {
    fn advance(&mut self, next: impl FnOnce(&'a Turn, State) -> State) {
        let state = std::mem::replace(&mut self.state, State::Done(Done::Interrupted));
        let span = tracing::error_span!("job", job = %self.turn.job);
        self.state = span.in_scope(|| next(self.turn, state));
    }

    /// What ends the job; `None` for one that is not so far.
    fn decide(&mut self) -> Option<(JobId, Decision)> {
        let decision = match std::mem::replace(&mut self.state, State::Done(Done::Interrupted)) {
            State::Applied(small, ending) => {
                decision(Process { validation: small.validation, ending })
            }
            State::Ends(ending) => decision(Complete(ending)),
            other => {
                self.state = other;
                return None;
            }
        };
        self.state = State::Ended;
        Some((self.turn.job, decision))
    }

    fn done(self) -> Done {
        match self.state {
            State::Done(done) => done,
            _ => Done::Interrupted,
        }
    }
}

/// Whether applying the job writes anything.
fn writes(job: &Job, small: &Small) -> bool {
    !job.spec.validate_only && small.validation.validated.rows_valid > 0
}
