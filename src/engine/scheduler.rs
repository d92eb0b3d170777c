//! Lanes: who runs next.
//!
//! The scheduler hears of every commit, so a job that is durable is also queued, whatever became of
//! the caller that submitted it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    activity::{Stop, StopReason},
    clock,
    domain::{Event, EventKind, Job, JobId, Status, Tenant},
    journal::{Committed, Observer},
    limits::{GROUP_JOBS_MAX, GROUP_LANE_JOBS_MAX},
    sync::{Condvar, Mutex, MutexGuard},
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

/// What a worker took.
#[derive(Debug)]
pub enum Work {
    /// A job by itself.
    One(Turn),
    /// Small jobs that are new, to be run together; those of one lane one behind the other, from its
    /// front and in its order.
    Group(Vec<Turn>),
}

/// A job that a worker took.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The job.
    pub job: JobId,
    /// Whose lane.
    pub tenant: Tenant,
    /// Its payload is above `engine.express_bytes`.
    pub is_large: bool,
    /// Tells the worker to stop.
    pub stop: Arc<Stop>,
}

/// Whose lanes give no turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paused {
    /// All.
    pub everything: bool,
    /// Those of these tenants.
    pub tenants: HashSet<Tenant>,
}

impl Paused {
    fn covers(&self, tenant: &Tenant) -> bool {
        self.everything || self.tenants.contains(tenant)
    }
}

/// Where a job stands in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Jobs before it.
    pub ahead: usize,
    /// The job at the front; itself where it is the first.
    pub first: JobId,
    /// A worker has it.
    pub running: bool,
    /// The payload of the first job is above `engine.express_bytes`.
    pub first_is_large: bool,
}

/// A lane, for who looks at it from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneView {
    /// Whose.
    pub tenant: Tenant,
    /// Jobs that wait.
    pub waiting: usize,
    /// Jobs that a worker has.
    pub running: usize,
    /// The first job.
    pub first: Option<JobId>,
    /// The first job is held.
    pub held: bool,
    /// The first job waits for its next attempt.
    pub retries: bool,
    /// It gives no turn.
    pub paused: bool,
}

/// All lanes.
#[derive(Debug)]
pub struct Scheduler {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    small_bytes: u64,
    wait_max: Duration,
    lanes: HashMap<Tenant, Lane>,
    /// Tenants whose lane may have a turn, in the order in which they are served.
    ready: VecDeque<Tenant>,
    paused: Paused,
    /// Workers that wait for work: for any, and for small jobs only.
    idle: (usize, usize),
    draining: bool,
}

/// One tenant's unfinished jobs in submit order; only the first may run, or small ones from the first
/// on together.
#[derive(Debug, Default)]
struct Lane {
    jobs: VecDeque<Waiting>,
    running: Vec<(JobId, Arc<Stop>)>,
    not_before: Option<Instant>,
    held: bool,
    /// A job of the running ones was released since they began.
    released: bool,
}

#[derive(Debug)]
struct Waiting {
    id: JobId,
    is_large: bool,
    /// It may run in a group: it is small, and no worker has had it.
    groups: bool,
}

impl Scheduler {
    /// A scheduler for which payloads up to `small_bytes` are small, and with which no job waits longer than
    /// `wait_max` for its next attempt.
    #[must_use]
    pub fn new(small_bytes: u64, wait_max: Duration) -> Self {
        let state = State { small_bytes, wait_max, ..State::default() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Puts an unfinished job of an earlier process back into its lane.
    pub fn seed(&self, job: &Job) {
        let mut state = self.state();
        state.enqueue(job);
        let wait_max = state.wait_max;
        if let Some(lane) = state.lanes.get_mut(&job.spec.tenant)
            && lane.is_first(job.spec.id)
        {
            // As when the cancel comes while the job waits: it ends at once.
            let waits = !job.cancel_requested;
            lane.held = waits && job.held;
            lane.not_before =
                job.retry_at_us.filter(|_| waits).and_then(|at_us| instant_of(at_us, wait_max));
        }
    }

    /// The next job of that class; waits for one. `None` once draining.
    #[must_use]
    pub fn take(&self, class: Class) -> Option<Work> {
        let mut state = self.state();
        *state.idle_of(class) += 1;
        loop {
            if state.draining {
                return None;
            }
            let now = Instant::now();
            if let Some(work) = state.take(class, now) {
                *state.idle_of(class) -= 1;
                if !state.ready.is_empty() {
                    self.changed.notify_one();
                }
                return Some(work);
            }
            let wait = state.next_due(now).unwrap_or(Duration::from_mins(1));
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The worker is through with its turn.
    pub fn done(&self, turn: &Turn, done: Done) {
        self.all_done([(turn, done)]);
    }

    /// The worker is through with these turns; those of a lane come in its order.
    pub fn all_done<'a>(&self, turns: impl IntoIterator<Item = (&'a Turn, Done)>) {
        let mut state = self.state();
        turns.into_iter().for_each(|(turn, done)| state.done(turn, done));
        self.changed.notify_all();
    }

    /// From now on the lanes of these give no turn, and all others do. What runs goes on.
    pub fn pause(&self, paused: Paused) {
        self.state().paused = paused;
        self.changed.notify_all();
    }

    /// Running jobs of that tenant, or of all, stop at their next batch.
    pub fn interrupt(&self, tenant: Option<&Tenant>) {
        let state = self.state();
        let named = |(of, _): &(&Tenant, &Lane)| tenant.is_none_or(|tenant| tenant == *of);
        for (_, stop) in state.lanes.iter().filter(named).flat_map(|(_, lane)| &lane.running) {
            stop.request(StopReason::Pause);
        }
    }

    /// No further turns; running jobs stop at their next batch.
    pub fn drain(&self) {
        let mut state = self.state();
        state.draining = true;
        for lane in state.lanes.values() {
            for (_, stop) in &lane.running {
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

    /// Workers that wait for work and may take a job of that size.
    #[must_use]
    pub fn idle(&self, is_large: bool) -> usize {
        let (any, small) = self.state().idle;
        if is_large { any } else { any + small }
    }

    /// Where the job stands in the lane of that tenant; `None` where it is not there.
    #[must_use]
    pub fn place(&self, tenant: &Tenant, job: JobId) -> Option<Place> {
        let state = self.state();
        let lane = state.lanes.get(tenant)?;
        let ahead = lane.jobs.iter().position(|waiting| waiting.id == job)?;
        let first = lane.jobs.front()?;
        let running = lane.running.iter().any(|(id, _)| *id == job);
        Some(Place { ahead, first: first.id, running, first_is_large: first.is_large })
    }

    /// Whether the job waits for its turn with good reason: its lane is paused, has another job to end or to retry
    /// first, or no worker is free.
    #[must_use]
    pub fn has_to_wait(&self, tenant: &Tenant, job: JobId) -> bool {
        let state = self.state();
        let Some(lane) = state.lanes.get(tenant) else { return false };
        let Some(waiting) = lane.jobs.iter().find(|waiting| waiting.id == job) else {
            return false;
        };
        let (any, small) = state.idle;
        let no_worker = any == 0 && (waiting.is_large || small == 0);
        let retries = lane.not_before.is_some_and(|due| due > Instant::now());
        let runs = lane.running.iter().any(|(id, _)| *id == job);
        let lane_waits = lane.held || retries || !lane.running.is_empty();
        !runs && (state.paused.covers(tenant) || lane_waits || no_worker)
    }

    /// All lanes, those with the most jobs first.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneView> {
        let state = self.state();
        let now = Instant::now();
        let view = |(tenant, lane): (&Tenant, &Lane)| LaneView {
            tenant: tenant.clone(),
            waiting: lane.jobs.len() - lane.running.len().min(lane.jobs.len()),
            running: lane.running.len(),
            first: lane.jobs.front().map(|first| first.id),
            held: lane.held,
            retries: lane.not_before.is_some_and(|due| due > now),
            paused: state.paused.covers(tenant),
        };
        let mut lanes: Vec<_> = state.lanes.iter().map(view).collect();
        drop(state);
        lanes.sort_by(|a, b| {
            let jobs = |lane: &LaneView| lane.waiting + lane.running;
            jobs(b).cmp(&jobs(a)).then_with(|| a.tenant.cmp(&b.tenant))
        });
        lanes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Scheduler {
    fn committed(&self, group: &[Committed]) {
        let mut state = self.state();
        // Any worker takes a small job, and wakes another where more is left; so one is enough.
        let (mut one, mut all) = (false, false);
        for Committed { job, events } in group {
            for Event { kind, .. } in events {
                match kind {
                    EventKind::Submitted(_) => {
                        state.enqueue(job);
                        one = true;
                        all |= job.spec.payload.length > state.small_bytes;
                    }
                    EventKind::CancelRequested => {
                        state.cancel(job);
                        all = true;
                    }
                    EventKind::Released => {
                        state.release(job);
                        all = true;
                    }
                    EventKind::Completed(_) => all |= state.leave(job),
                    _ => {}
                }
            }
        }
        if all {
            self.changed.notify_all();
        } else if one {
            self.changed.notify_one();
        }
    }
}

impl State {
    fn idle_of(&mut self, class: Class) -> &mut usize {
        match class {
            Class::Any => &mut self.idle.0,
            Class::Small => &mut self.idle.1,
        }
    }

    fn enqueue(&mut self, job: &Job) {
        let lane = self.lanes.entry(job.spec.tenant.clone()).or_default();
        let payload = &job.spec.payload;
        // A job that was cancelled in the queue is never run, so the status alone tells.
        let groups = payload.inline && job.status() == Status::Queued;
        let is_large = payload.length > self.small_bytes;
        lane.jobs.push_back(Waiting { id: job.spec.id, is_large, groups });
        self.offer(&job.spec.tenant);
    }

    /// A running job is told; one that waits or is held gets its turn at once, to end.
    fn cancel(&mut self, job: &Job) {
        let Some(lane) = self.lanes.get_mut(&job.spec.tenant) else { return };
        match lane.running.iter().find(|(id, _)| *id == job.spec.id) {
            Some((_, stop)) => stop.request(StopReason::Cancel),
            None if lane.is_first(job.spec.id) => {
                lane.held = false;
                lane.not_before = None;
            }
            None => {}
        }
        self.offer(&job.spec.tenant);
    }

    /// A held job may have a turn again. One that a worker still has is not told to the lane as held yet.
    fn release(&mut self, job: &Job) {
        let Some(lane) = self.lanes.get_mut(&job.spec.tenant) else { return };
        if lane.running.iter().any(|(id, _)| *id == job.spec.id) {
            lane.released = true;
        } else if lane.is_first(job.spec.id) {
            lane.held = false;
        }
        self.offer(&job.spec.tenant);
    }

    /// A job that ended without a worker leaves its lane; a worker's job does so when it is done. Returns
    /// whether it left.
    fn leave(&mut self, job: &Job) -> bool {
        let Some(lane) = self.lanes.get_mut(&job.spec.tenant) else { return false };
        if lane.running.iter().any(|(id, _)| *id == job.spec.id) {
            return false;
        }
        lane.remove(job.spec.id);
        self.offer(&job.spec.tenant);
        true
    }

    fn done(&mut self, turn: &Turn, done: Done) {
        let Some(lane) = self.lanes.get_mut(&turn.tenant) else { return };
        lane.running.retain(|(id, _)| *id != turn.job);
        // A cancel that came after the worker last looked must not wait for the next attempt.
        let cancelled = turn.stop.reason() == Some(StopReason::Cancel);
        match done {
            Done::Ended => lane.remove(turn.job),
            Done::Retry { at_us } if !cancelled => {
                lane.not_before = instant_of(at_us, self.wait_max);
            }
            Done::Held if !cancelled && !lane.released => lane.held = true,
            Done::Retry { .. } | Done::Held | Done::Interrupted => {}
        }
        if let Some(left) = lane.jobs.iter_mut().find(|waiting| waiting.id == turn.job) {
            left.groups = false;
        }
        self.offer(&turn.tenant);
    }

    /// Lines the tenant up for a turn where its lane has something to do; forgets an empty lane.
    fn offer(&mut self, tenant: &Tenant) {
        let Some(lane) = self.lanes.get(tenant) else { return };
        if lane.jobs.is_empty() && lane.running.is_empty() {
            self.lanes.remove(tenant);
            self.ready.retain(|t| t != tenant);
        } else if lane.running.is_empty() && !lane.held && !self.ready.contains(tenant) {
            self.ready.push_back(tenant.clone());
        }
    }

    fn take(&mut self, class: Class, now: Instant) -> Option<Work> {
        let at = self.ready.iter().position(|tenant| {
            let lane = self.lanes.get(tenant).filter(|_| !self.paused.covers(tenant));
            lane.is_some_and(|lane| lane.may_run(class, now))
        })?;
        let tenant = self.ready.get(at)?.clone();
        let lane = self.lanes.get_mut(&tenant)?;
        if lane.first_groups() {
            return Some(Work::Group(self.take_group(now)));
        }
        self.ready.remove(at);
        lane.begin(&tenant, 1).pop().map(Work::One)
    }

    /// Small jobs from the fronts of all lanes that have some, in the order in which lanes are served.
    fn take_group(&mut self, now: Instant) -> Vec<Turn> {
        let mut turns = Vec::new();
        let mut passed = VecDeque::new();
        while turns.len() < GROUP_JOBS_MAX
            && let Some(tenant) = self.ready.pop_front()
        {
            match self.lanes.get_mut(&tenant) {
                Some(lane)
                    if !self.paused.covers(&tenant)
                        && lane.may_run(Class::Any, now)
                        && lane.first_groups() =>
                {
                    let most = GROUP_LANE_JOBS_MAX.min(GROUP_JOBS_MAX - turns.len());
                    let small = lane.jobs.iter().take(most).take_while(|job| job.groups).count();
                    turns.append(&mut lane.begin(&tenant, small));
                }
                _ => passed.push_back(tenant),
            }
        }
        passed.append(&mut self.ready);
        self.ready = passed;
        turns
    }

    fn next_due(&self, now: Instant) -> Option<Duration> {
        let due = self.ready.iter().filter_map(|t| self.lanes.get(t)?.not_before);
        due.filter(|due| *due > now).min().map(|due| due - now)
    }
}

impl Lane {
    fn may_run(&self, class: Class, now: Instant) -> bool {
        let Some(first) = self.jobs.front() else { return false };
        self.running.is_empty()
            && !self.held
            && self.not_before.is_none_or(|due| due <= now)
            && (class == Class::Any || !first.is_large)
    }

    fn first_groups(&self) -> bool {
        self.jobs.front().is_some_and(|first| first.groups)
    }

    /// Turns for so many jobs from the front.
    fn begin(&mut self, tenant: &Tenant, jobs: usize) -> Vec<Turn> {
        self.not_before = None;
        self.released = false;
        let begin = |job: &Waiting| Turn {
            job: job.id,
            tenant: tenant.clone(),
            is_large: job.is_large,
            stop: Arc::new(Stop::default()),
        };
        let turns: Vec<Turn> = self.jobs.iter().take(jobs).map(begin).collect();
        self.running = turns.iter().map(|turn| (turn.job, Arc::clone(&turn.stop))).collect();
        turns
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

/// The monotonic moment of a wall-clock time; `None` where it has passed. One that is further away than any
/// wait was noted under a clock that has been put back since.
fn instant_of(at_us: i64, wait_max: Duration) -> Option<Instant> {
    let wait = u64::try_from(at_us.saturating_sub(clock::now_us())).ok()?;
    Some(Instant::now() + Duration::from_micros(wait).min(wait_max))
}

#[cfg(all(test, feature = "interleavings"))]
mod interleavings;
#[cfg(test)]
mod tests;
