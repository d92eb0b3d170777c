//! Lanes: who runs next.
//!
//! The scheduler hears of every commit, so a job that is durable is also queued, whatever became of
//! the caller that submitted it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    activity::{Stop, StopReason},
    clock,
    domain::{Event, EventKind, Job, JobId, Tenant},
    journal::{Committed, Observer},
};

/// Which jobs a worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Any.
    Any,
    /// Only small payloads.
    Small,
}

/// What became of a job that a worker had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It is terminal.
    Ended,
    /// It waits for its next attempt.
    Retry {
        /// When, in microseconds since the Unix epoch.
        at_us: i64,
    },
    /// It waits for an operator or a cancel, and its lane with it.
    Held,
    /// It was interrupted by a drain; a later process goes on with it.
    Interrupted,
}

/// A job that a worker took.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The job.
    pub job: JobId,
    /// Whose lane.
    pub tenant: Tenant,
    /// Tells the worker to stop.
    pub stop: Arc<Stop>,
}

/// All lanes.
#[derive(Debug)]
pub struct Scheduler {
    small_bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lanes: HashMap<Tenant, Lane>,
    /// Tenants whose lane may have a turn, in the order in which they are served.
    ready: VecDeque<Tenant>,
    draining: bool,
}

/// One tenant's unfinished jobs in submit order; only the first may run.
#[derive(Debug, Default)]
struct Lane {
    jobs: VecDeque<Waiting>,
    running: Option<(JobId, Arc<Stop>)>,
    not_before: Option<Instant>,
    held: bool,
}

#[derive(Debug)]
struct Waiting {
    id: JobId,
    bytes: u64,
}

impl Scheduler {
    /// A scheduler for which payloads up to `small_bytes` are small.
    #[must_use]
    pub fn new(small_bytes: u64) -> Self {
        Self { small_bytes, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Puts an unfinished job of an earlier process back into its lane.
    pub fn seed(&self, job: &Job) {
        let mut state = self.state();
        state.enqueue(job);
        if let Some(lane) = state.lanes.get_mut(&job.spec.tenant)
            && lane.is_first(job.spec.id)
        {
            // As when the cancel comes while the job waits: it ends at once.
            let waits = !job.cancel_requested;
            lane.held = waits && job.held;
            lane.not_before = job.retry_at_us.filter(|_| waits).and_then(instant_of);
        }
    }

    /// The next job of that class; waits for one. `None` once draining.
    #[must_use]
    pub fn take(&self, class: Class) -> Option<Turn> {
        let mut state = self.state();
        loop {
            if state.draining {
                return None;
            }
            let now = Instant::now();
            let small = (class == Class::Small).then_some(self.small_bytes);
            if let Some(turn) = state.take(small, now) {
                return Some(turn);
            }
            let wait = state.next_due(now).unwrap_or(Duration::from_mins(1));
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The worker is through with its turn.
    pub fn done(&self, turn: &Turn, done: Done) {
        let mut state = self.state();
        let Some(lane) = state.lanes.get_mut(&turn.tenant) else { return };
        lane.running = None;
        // A cancel that came after the worker last looked must not wait for the next attempt.
        let cancelled = turn.stop.reason() == Some(StopReason::Cancel);
        match done {
            Done::Ended => lane.remove(turn.job),
            Done::Retry { at_us } if !cancelled => lane.not_before = instant_of(at_us),
            Done::Held if !cancelled => lane.held = true,
            Done::Retry { .. } | Done::Held | Done::Interrupted => {}
        }
        state.offer(&turn.tenant);
        self.changed.notify_all();
    }

    /// No further turns; running jobs stop at their next batch.
    pub fn drain(&self) {
        let mut state = self.state();
        state.draining = true;
        for lane in state.lanes.values() {
            if let Some((_, stop)) = &lane.running {
                stop.request(StopReason::Drain);
            }
        }
        self.changed.notify_all();
    }

    /// Jobs that wait or run.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.state().lanes.values().map(|lane| lane.jobs.len()).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Scheduler {
    fn committed(&self, committed: &Committed) {
        let mut state = self.state();
        for Event { kind, .. } in &committed.events {
            match kind {
                EventKind::Submitted(_) => state.enqueue(&committed.job),
                EventKind::CancelRequested => state.cancel(&committed.job),
                EventKind::Completed(_) => state.leave(&committed.job),
                _ => continue,
            }
            self.changed.notify_all();
        }
    }
}

impl State {
    fn enqueue(&mut self, job: &Job) {
        let lane = self.lanes.entry(job.spec.tenant.clone()).or_default();
        lane.jobs.push_back(Waiting { id: job.spec.id, bytes: job.spec.payload.length });
        self.offer(&job.spec.tenant);
    }

    /// A running job is told; one that waits or is held gets its turn at once, to end.
    fn cancel(&mut self, job: &Job) {
        let Some(lane) = self.lanes.get_mut(&job.spec.tenant) else { return };
        match &lane.running {
            Some((id, stop)) if *id == job.spec.id => stop.request(StopReason::Cancel),
            _ if lane.is_first(job.spec.id) => {
                lane.held = false;
                lane.not_before = None;
            }
            _ => {}
        }
        self.offer(&job.spec.tenant);
    }

    /// A job that ended without a worker leaves its lane; a worker's job does so when it is done.
    fn leave(&mut self, job: &Job) {
        let Some(lane) = self.lanes.get_mut(&job.spec.tenant) else { return };
        if lane.running.as_ref().is_none_or(|(id, _)| *id != job.spec.id) {
            lane.remove(job.spec.id);
            self.offer(&job.spec.tenant);
        }
    }

    /// Lines the tenant up for a turn where its lane has something to do; forgets an empty lane.
    fn offer(&mut self, tenant: &Tenant) {
        let Some(lane) = self.lanes.get(tenant) else { return };
        if lane.jobs.is_empty() && lane.running.is_none() {
            self.lanes.remove(tenant);
            self.ready.retain(|t| t != tenant);
        } else if lane.running.is_none() && !lane.held && !self.ready.contains(tenant) {
            self.ready.push_back(tenant.clone());
        }
    }

    fn take(&mut self, small_bytes: Option<u64>, now: Instant) -> Option<Turn> {
        let at = self.ready.iter().position(|tenant| {
            self.lanes.get(tenant).is_some_and(|lane| lane.may_run(small_bytes, now))
        })?;
        let tenant = self.ready.remove(at)?;
        let lane = self.lanes.get_mut(&tenant)?;
        let job = lane.jobs.front()?.id;
        let stop = Arc::new(Stop::default());
        lane.running = Some((job, Arc::clone(&stop)));
        lane.not_before = None;
        Some(Turn { job, tenant, stop })
    }

    fn next_due(&self, now: Instant) -> Option<Duration> {
        let due = self.ready.iter().filter_map(|t| self.lanes.get(t)?.not_before);
        due.filter(|due| *due > now).min().map(|due| due - now)
    }
}

impl Lane {
    fn may_run(&self, small_bytes: Option<u64>, now: Instant) -> bool {
        let Some(first) = self.jobs.front() else { return false };
        self.running.is_none()
            && !self.held
            && self.not_before.is_none_or(|due| due <= now)
            && small_bytes.is_none_or(|most| first.bytes <= most)
    }

    fn is_first(&self, id: JobId) -> bool {
        self.jobs.front().is_some_and(|first| first.id == id)
    }

    fn remove(&mut self, id: JobId) {
        if self.is_first(id) {
            self.held = false;
            self.not_before = None;
            self.jobs.pop_front();
        } else {
            self.jobs.retain(|waiting| waiting.id != id);
        }
    }
}

/// The monotonic moment of a wall-clock time; `None` where it has passed.
fn instant_of(at_us: i64) -> Option<Instant> {
    let wait = u64::try_from(at_us.saturating_sub(clock::now_us())).ok()?;
    Some(Instant::now() + Duration::from_micros(wait))
}

#[cfg(test)]
mod tests;
