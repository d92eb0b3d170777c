//! What was done since the start and how unfinished jobs stand, told by the journal's committer.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{
    domain::{Job, JobId, Outcome, Status, Tenant},
    journal::{Committed, Observer},
    limits::JOB_STALLED,
};

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows that were checked.
    pub rows_checked: u64,
    /// Valid rows that were applied or found without effect.
    pub rows_processed: u64,
    /// Jobs that ended, in the order of [`Outcome::ALL`].
    pub ended: [u64; Outcome::ALL.len()],
}

/// How the jobs stand that have not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// By status, in the order of [`Status::ALL`].
    pub(super) by_status: [u64; Status::ALL.len()],
    pub(super) held: u64,
    /// Taken, neither held nor waiting for another attempt or its turn, without an event for `limits::JOB_STALLED`.
    pub(super) stalled: u64,
    /// When the oldest was accepted that no worker took, in microseconds since the Unix epoch.
    pub(super) oldest_queued_us: Option<i64>,
    /// Of all their payloads.
    pub(super) payload_bytes: u64,
}

/// Keeps both.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    totals: Totals,
    /// Jobs that no worker took, by when they were accepted.
    queued: BTreeSet<(i64, JobId)>,
    /// The others; workers take few at a time, so they can be looked through.
    taken: HashMap<JobId, Taken>,
    payload_bytes: u64,
}

/// A job that a worker took.
#[derive(Debug)]
struct Taken {
    tenant: Tenant,
    status: Status,
    rows: (u64, u64),
    held: bool,
    waits: bool,
    /// When it had its newest event.
    at: Instant,
}

impl Tally {
    /// Counts what a job did from where an earlier process left it.
    pub(super) fn seed(&self, job: &Job) {
        self.state().note(job);
    }

    pub(super) fn totals(&self) -> Totals {
        self.state().totals
    }

    /// How the jobs stand at that time; `waits` says which of them have to wait for their turn.
    pub(super) fn standing(
        &self,
        now: Instant,
        waits: impl Fn(&Tenant, JobId) -> bool,
    ) -> Standing {
        self.state().standing(now, waits)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Tally {
    fn committed(&self, group: &[Committed]) {
        let mut state = self.state();
        for Committed { job, .. } in group {
            let now = so_far(job);
            let before = state.note(job);
            let totals = &mut state.totals;
            totals.rows_checked += now.0.saturating_sub(before.0);
            totals.rows_processed += now.1.saturating_sub(before.1);
            let ended = Outcome::ALL.iter().zip(&mut totals.ended);
            ended.filter(|(o, _)| job.outcome() == Some(**o)).for_each(|(_, count)| *count += 1);
        }
    }
}

impl State {
    /// Keeps how the job stands now; returns how far it had come before: rows checked and processed.
    fn note(&mut self, job: &Job) -> (u64, u64) {
        let id = job.spec.id;
        let was_queued = self.queued.remove(&(job.submit_time_us, id));
        let before = self.taken.remove(&id);
        let bytes = job.spec.payload.length;
        if was_queued || before.is_some() {
            self.payload_bytes = self.payload_bytes.saturating_sub(bytes);
        }
        if !job.is_terminal() {
            self.payload_bytes = self.payload_bytes.saturating_add(bytes);
        }
        match job.status() {
            Status::Completed => {}
            Status::Queued => _ = self.queued.insert((job.submit_time_us, id)),
            status => {
                let (held, waits) = (job.held, job.retry_at_us.is_some());
                let (tenant, at) = (job.spec.tenant.clone(), Instant::now());
                let taken = Taken { tenant, status, rows: so_far(job), held, waits, at };
                self.taken.insert(id, taken);
            }
        }
        before.map_or((0, 0), |before| before.rows)
    }

    fn standing(&self, now: Instant, waits: impl Fn(&Tenant, JobId) -> bool) -> Standing {
        let mut standing = Standing {
            oldest_queued_us: self.queued.first().map(|(accepted_us, _)| *accepted_us),
            payload_bytes: self.payload_bytes,
            ..Standing::default()
        };
        let mut count = |status: Status, jobs| {
            let all = Status::ALL.iter().zip(&mut standing.by_status);
            all.filter(|(s, _)| **s == status).for_each(|(_, number)| *number += jobs);
        };
        count(Status::Queued, self.queued.len() as u64);
        self.taken.values().for_each(|taken| count(taken.status, 1));
        let quiet = |taken: &Taken| now.saturating_duration_since(taken.at) > JOB_STALLED;
        let stalls = |(id, taken): &(&JobId, &Taken)| {
            !taken.held && !taken.waits && quiet(taken) && !waits(&taken.tenant, **id)
        };
        standing.stalled = self.taken.iter().filter(stalls).count() as u64;
        standing.held = self.taken.values().filter(|taken| taken.held).count() as u64;
        standing
    }
}

fn so_far(job: &Job) -> (u64, u64) {
    (job.validated.rows, job.applied.position)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        domain::{
            EventKind, Failure, StorageSet, Validated,
            testing::{all_applied, ending, first, fold, submitted},
        },
        error::Code,
    };

    #[test]
    fn rows_count_once_and_from_where_a_job_stood_at_the_start() {
        let tally = Tally::default();
        let tell = |job: &Job| {
            tally.committed(&[Committed { job: Arc::new(job.clone()), events: Vec::new() }]);
        };
        let at = |rows| Validated { line: rows + 1, rows, rows_valid: rows, ..<_>::default() };
        let job = fold(first(submitted(1)).0, [EventKind::DeQueued, EventKind::ValidationStarted]);
        let job = fold(job, [EventKind::ValidationAdvanced(at(4))]);
        tally.seed(&job);
        assert_eq!(tally.totals(), Totals::default());
        let validated = at(9);
        let job = fold(job, [EventKind::ProcessingStarted { validated, warnings: Vec::new() }]);
        tell(&job);
        tell(&job);
        let applied = all_applied(StorageSet::ALL, 9);
        tell(&fold(job, [ending(Outcome::Succeeded, validated, applied, None)]));
        let ended = [1, 0, 0, 0];
        assert_eq!(tally.totals(), Totals { rows_checked: 5, rows_processed: 9, ended });
        assert_eq!(tally.standing(Instant::now(), |_, _| false), Standing::default());
    }

    #[test]
    fn a_job_is_stalled_once_it_runs_without_an_event_for_too_long() {
        let tally = Tally::default();
        let queued = first(submitted(1)).0;
        tally.seed(&queued);
        let now = Instant::now();
        let late = now + JOB_STALLED * 2;
        let standing = tally.standing(late, |_, _| false);
        assert_eq!((standing.by_status, standing.stalled), ([1, 0, 0, 0, 0], 0));
        assert_eq!(standing.oldest_queued_us, Some(queued.submit_time_us));
        assert_eq!(standing.payload_bytes, queued.spec.payload.length);
        let taken = fold(queued, [EventKind::DeQueued]);
        tally.seed(&taken);
        assert_eq!(tally.standing(now, |_, _| false).stalled, 0);
        let standing = tally.standing(late, |_, _| false);
        assert_eq!((standing.by_status, standing.stalled), ([0, 1, 0, 0, 0], 1));
        assert_eq!(standing.oldest_queued_us, None);
        let failure = Failure::new(Code::JobIo, "x");
        tally.seed(&fold(taken, [EventKind::Held(failure)]));
        let standing = tally.standing(late, |_, _| false);
        assert_eq!((standing.held, standing.stalled), (1, 0));
    }
}
