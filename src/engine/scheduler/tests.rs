//! Turns: order, fairness, waits, cancels, drain.

mod pauses;

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::*;
use crate::domain::testing::{event, failure, first as first_of, fold, submitted};

const SMALL: u64 = 1_000;
const WAIT_MAX: Duration = Duration::from_hours(1);

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

/// A scheduler, and the committer that tells it.
struct Bench {
    scheduler: Arc<Scheduler>,
}

impl Bench {
    fn new() -> Self {
        Self { scheduler: Arc::new(Scheduler::new(SMALL, WAIT_MAX)) }
    }

    fn submit(&self, owner: &str) -> Job {
        self.submit_sized(owner, SMALL + 1)
    }

    fn submit_sized(&self, owner: &str, bytes: u64) -> Job {
        let (job, event) = first_of(spec(owner, bytes));
        self.tell(&job, vec![event]);
        job
    }

    fn tell(&self, job: &Job, events: Vec<Event>) {
        self.scheduler.committed(&[Committed { job: Arc::new(job.clone()), events }]);
    }

    /// The job after one more event.
    fn record(&self, job: &Job, kind: EventKind) -> Job {
        let event = event(job, kind);
        let job = job.clone().next(&event).unwrap();
        self.tell(&job, vec![event]);
        job
    }

    fn cancel(&self, job: &Job) -> Job {
        self.record(job, EventKind::CancelRequested)
    }

    /// As a cancel of a job in the queue does.
    fn cancel_queued(&self, job: &Job) {
        let cancelled = event(job, EventKind::CancelRequested);
        let job = job.clone().next(&cancelled).unwrap();
        let ended = event(&job, EventKind::Completed(Box::new(crate::activity::fail(None))));
        let job = job.next(&ended).unwrap();
        self.tell(&job, vec![cancelled, ended]);
    }

    /// A turn, if there is one now.
    fn try_take(&self, class: Class) -> Option<Turn> {
        self.scheduler.state().take(class, Instant::now()).map(one)
    }

    fn take(&self) -> Turn {
        self.try_take(Class::Any).unwrap()
    }

    fn assert_idle(&self) {
        assert!(self.try_take(Class::Any).is_none());
    }

    fn end(&self, turn: &Turn) {
        self.scheduler.done(turn, Done::Ended);
    }

    fn assert_empty(&self) {
        assert_eq!(self.scheduler.unfinished(), 0);
        let state = self.scheduler.state();
        assert!(state.lanes.is_empty() && state.ready.is_empty());
    }
}

fn one(work: Work) -> Turn {
    let Work::One(turn) = work else { panic!("{work:?}") };
    turn
}

fn spec(owner: &str, bytes: u64) -> crate::domain::Submitted {
    let mut spec = submitted(1);
    spec.tenant = tenant(owner);
    spec.payload.length = bytes;
    spec
}

/// A job that a worker has; the scheduler looks at nothing else of it.
fn running(job: &Job) -> Job {
    fold(job.clone(), [EventKind::DeQueued, EventKind::ValidationStarted])
}

fn in_ms(wait: i64) -> i64 {
    clock::now_us() + wait * 1_000
}

#[test]
fn a_lane_runs_one_job_after_the_other_in_submit_order() {
    let bench = Bench::new();
    let jobs: Vec<_> = (0..5).map(|_| bench.submit("a").spec.id).collect();
    for job in jobs {
        let turn = bench.take();
        assert_eq!((turn.job, turn.tenant.as_str()), (job, "a"));
        bench.assert_idle();
        bench.end(&turn);
    }
    bench.assert_idle();
    bench.assert_empty();
}

#[test]
fn lanes_run_side_by_side() {
    let bench = Bench::new();
    let jobs: HashSet<_> = ["a", "b", "c"].map(|t| bench.submit(t).spec.id).into();
    for owner in ["a", "b", "c"] {
        bench.submit(owner);
    }
    let turns: Vec<_> = (0..3).map(|_| bench.take()).collect();
    assert_eq!(turns.iter().map(|turn| turn.job).collect::<HashSet<_>>(), jobs);
    bench.assert_idle();
}

#[test]
fn a_tenant_with_a_thousand_jobs_does_not_starve_another() {
    let bench = Bench::new();
    (0..1_000).for_each(|_| drop(bench.submit("busy")));
    let first = bench.take();
    (0..3).for_each(|_| drop(bench.submit("quiet")));
    bench.end(&first);
    let mut order = Vec::new();
    for _ in 0..8 {
        let turn = bench.take();
        order.push(turn.tenant.as_str().to_owned());
        bench.end(&turn);
    }
    let expected = ["quiet", "busy", "quiet", "busy", "quiet", "busy", "busy", "busy"];
    assert_eq!(order, expected);
}

#[test]
fn lanes_take_turns_round_robin() {
    let bench = Bench::new();
    let names = ["a", "b", "c", "d"];
    (0..10).for_each(|_| names.iter().for_each(|name| drop(bench.submit(name))));
    for _ in 0..10 {
        let mut served = Vec::new();
        for _ in names {
            let turn = bench.take();
            served.push(turn.tenant.as_str().to_owned());
            bench.end(&turn);
        }
        assert_eq!(served, names);
    }
    bench.assert_empty();
}

#[test]
fn a_worker_for_small_jobs_takes_no_other() {
    let bench = Bench::new();
    let big = bench.submit_sized("a", SMALL + 1).spec.id;
    bench.submit_sized("a", 1);
    let small = bench.submit_sized("b", SMALL).spec.id;
    let turn = bench.try_take(Class::Small).unwrap();
    assert_eq!(turn.job, small);
    // The small job behind the big one has to wait for it.
    assert!(bench.try_take(Class::Small).is_none());
    let turn = bench.take();
    assert_eq!(turn.job, big);
    assert!(bench.try_take(Class::Small).is_none());
    bench.end(&turn);
    assert!(bench.try_take(Class::Small).is_some());
}

#[test]
fn a_job_that_waits_for_its_retry_gets_no_turn_before() {
    let bench = Bench::new();
    let job = bench.submit("a").spec.id;
    bench.submit("a");
    let turn = bench.take();
    let at_us = in_ms(150);
    bench.scheduler.done(&turn, Done::Retry { at_us });
    bench.assert_idle();
    let other = bench.submit("b");
    assert_eq!(bench.take().job, other.spec.id);
    let turn = bench.scheduler.take(Class::Any).map(one).unwrap();
    assert_eq!(turn.job, job);
    assert!(clock::now_us() >= at_us);
    bench.scheduler.done(&turn, Done::Retry { at_us: in_ms(-1) });
    assert_eq!(bench.take().job, job);
}

#[test]
fn a_held_job_keeps_its_lane_until_it_is_cancelled() {
    let bench = Bench::new();
    let job = bench.submit("a");
    let next = bench.submit("a").spec.id;
    bench.scheduler.done(&bench.take(), Done::Held);
    bench.assert_idle();
    bench.submit("a");
    bench.assert_idle();
    let other = bench.submit("b");
    assert_eq!(bench.take().job, other.spec.id);
    bench.assert_idle();
    bench.cancel(&running(&job));
    let turn = bench.take();
    assert_eq!(turn.job, job.spec.id);
    bench.end(&turn);
    assert_eq!(bench.take().job, next);
}

#[test]
fn a_job_that_waits_for_its_retry_and_is_cancelled_gets_its_turn_at_once() {
    let bench = Bench::new();
    let job = bench.submit("a");
    bench.scheduler.done(&bench.take(), Done::Retry { at_us: in_ms(60_000) });
    bench.assert_idle();
    bench.cancel(&running(&job));
    assert_eq!(bench.take().job, job.spec.id);
}

#[test]
fn a_running_job_is_told_of_its_cancel() {
    let bench = Bench::new();
    let job = bench.submit("a");
    let other = bench.submit("b");
    let turns = [bench.take(), bench.take()];
    assert!(turns.iter().all(|turn| turn.stop.reason().is_none()));
    bench.cancel(&running(&job));
    for turn in turns {
        let told = (turn.job == job.spec.id).then_some(StopReason::Cancel);
        assert_eq!(turn.stop.reason(), told, "{}", other.spec.id);
    }
}

#[test]
fn a_cancel_that_comes_after_the_worker_last_looked_does_not_wait() {
    let ways = [Done::Held, Done::Retry { at_us: i64::MAX / 2 }];
    for done in ways {
        let bench = Bench::new();
        let job = bench.submit("a");
        let turn = bench.take();
        // The attempt has failed; the cancel is committed before the lane is given back.
        bench.cancel(&running(&job));
        bench.scheduler.done(&turn, done);
        let turn = bench.take();
        assert_eq!(turn.job, job.spec.id);
        assert!(turn.stop.reason().is_none(), "the new turn starts afresh");
        // What fails then has to wait like any other.
        bench.scheduler.done(&turn, done);
        bench.assert_idle();
    }
}

#[test]
fn a_job_that_is_cancelled_in_the_queue_leaves_its_lane() {
    let bench = Bench::new();
    let jobs: Vec<_> = (0..4).map(|_| bench.submit("a")).collect();
    let turn = bench.take();
    bench.cancel_queued(&jobs[2]);
    bench.cancel_queued(&jobs[1]);
    assert!(turn.stop.reason().is_none());
    assert_eq!(bench.scheduler.unfinished(), 2);
    bench.end(&turn);
    let turn = bench.take();
    assert_eq!(turn.job, jobs[3].spec.id);
    bench.end(&turn);
    bench.assert_empty();
    let only = bench.submit("a");
    bench.cancel_queued(&only);
    bench.assert_empty();
}

#[test]
fn a_cancel_between_the_turn_and_the_claim_waits_for_the_worker() {
    let bench = Bench::new();
    let job = bench.submit("a");
    let next = bench.submit("a").spec.id;
    let turn = bench.take();
    bench.cancel_queued(&job);
    bench.assert_idle();
    assert_eq!(turn.stop.reason(), Some(StopReason::Cancel));
    bench.end(&turn);
    assert_eq!(bench.take().job, next);
}

#[test]
fn an_end_that_is_committed_before_the_worker_says_so_frees_the_lane_once() {
    let bench = Bench::new();
    let job = bench.submit("a");
    let turn = bench.take();
    let job = running(&job);
    let ending = crate::activity::fail(Some(failure()));
    bench.record(&job, EventKind::Completed(Box::new(ending)));
    let next = bench.submit("a").spec.id;
    bench.assert_idle();
    bench.end(&turn);
    let turn = bench.take();
    assert_eq!(turn.job, next);
    bench.assert_idle();
    bench.end(&turn);
    bench.assert_empty();
}

#[test]
fn a_drain_gives_no_more_turns_and_stops_what_runs() {
    let bench = Bench::new();
    let job = bench.submit("a");
    bench.submit("b");
    let turn = bench.take();
    bench.scheduler.drain();
    assert_eq!(turn.stop.reason(), Some(StopReason::Drain));
    // The cancel is in the journal; the next process carries it out.
    bench.cancel(&running(&job));
    assert_eq!(turn.stop.reason(), Some(StopReason::Drain));
    assert!(bench.scheduler.take(Class::Any).is_none());
    bench.scheduler.done(&turn, Done::Interrupted);
    assert!(bench.scheduler.take(Class::Any).is_none());
    assert!(bench.scheduler.take(Class::Small).is_none());
}

#[test]
fn a_drain_wins_over_a_cancel_that_came_first() {
    let bench = Bench::new();
    let job = bench.submit("a");
    let turn = bench.take();
    bench.cancel(&running(&job));
    bench.scheduler.drain();
    assert_eq!(turn.stop.reason(), Some(StopReason::Drain));
}

#[test]
fn workers_that_wait_are_woken() {
    let bench = Bench::new();
    let wait = |class| {
        let scheduler = Arc::clone(&bench.scheduler);
        let waiting = thread::spawn(move || scheduler.take(class).map(one));
        thread::sleep(Duration::from_millis(30));
        waiting
    };
    // By a submit.
    let waiting = wait(Class::Small);
    let first = bench.submit_sized("a", 1);
    let turn = waiting.join().unwrap().unwrap();
    assert_eq!(turn.job, first.spec.id);
    // By the lane's return.
    let second = bench.submit_sized("a", 1).spec.id;
    let waiting = wait(Class::Any);
    bench.end(&turn);
    let turn = waiting.join().unwrap().unwrap();
    assert_eq!(turn.job, second);
    // By a cancel of a held job.
    bench.scheduler.done(&turn, Done::Held);
    let waiting = wait(Class::Any);
    let (held, _) = first_of(crate::domain::Submitted { id: second, ..spec("a", 1) });
    bench.cancel(&running(&held));
    assert_eq!(waiting.join().unwrap().unwrap().job, second);
    // By a drain.
    let waiting = [wait(Class::Any), wait(Class::Small)];
    bench.scheduler.drain();
    for waiting in waiting {
        assert!(waiting.join().unwrap().is_none());
    }
}

#[test]
fn jobs_of_an_earlier_process_go_on_where_they_were() {
    let bench = Bench::new();
    let new = |owner| first_of(spec(owner, 1)).0;
    let retry = |at_us| EventKind::AttemptFailed { failure: failure(), retry_at_us: at_us };
    let held = fold(running(&new("held")), [EventKind::Held(failure())]);
    let waits = fold(running(&new("waits")), [retry(in_ms(60_000))]);
    let due = fold(running(&new("due")), [retry(in_ms(-60_000))]);
    let ends = [&held, &waits].map(|job| {
        let mut job = job.clone();
        job.spec.id = JobId::generate();
        job.spec.tenant = tenant(&format!("{}-cancelled", job.spec.tenant));
        fold(job, [EventKind::CancelRequested])
    });
    let behind = new("held");
    for job in [&held, &waits, &due, &ends[0], &ends[1], &behind] {
        bench.scheduler.seed(job);
    }
    assert_eq!(bench.scheduler.unfinished(), 6);
    let turns: HashSet<_> =
        std::iter::from_fn(|| bench.try_take(Class::Any)).map(|turn| turn.job).collect();
    let expected = [&due, &ends[0], &ends[1]].map(|job| job.spec.id);
    assert_eq!(turns, HashSet::from(expected));
}

#[test]
fn many_workers_keep_every_lane_in_order_and_lose_nothing() {
    const TENANTS: usize = 7;
    const JOBS: usize = 60;
    let bench = Arc::new(Bench::new());
    let ended = Arc::new(AtomicUsize::new(0));
    let orders: Arc<Mutex<HashMap<Tenant, Vec<JobId>>>> = Arc::default();
    let running: Arc<Mutex<HashSet<Tenant>>> = Arc::default();
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (bench, ended) = (Arc::clone(&bench), Arc::clone(&ended));
            let (orders, running) = (Arc::clone(&orders), Arc::clone(&running));
            let class = if worker == 0 { Class::Small } else { Class::Any };
            thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(worker);
                while let Some(turn) = bench.scheduler.take(class).map(one) {
                    assert!(running.lock().unwrap().insert(turn.tenant.clone()));
                    thread::sleep(Duration::from_micros(random.u64(0..200)));
                    assert!(running.lock().unwrap().remove(&turn.tenant));
                    if random.u8(..4) == 0 {
                        let at_us = clock::now_us() + random.i64(-500..1_000);
                        bench.scheduler.done(&turn, Done::Retry { at_us });
                        continue;
                    }
                    orders.lock().unwrap().entry(turn.tenant.clone()).or_default().push(turn.job);
                    bench.end(&turn);
                    ended.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let mut submitted: HashMap<Tenant, Vec<JobId>> = HashMap::new();
    for n in 0..TENANTS * JOBS {
        let job = bench.submit_sized(&format!("t{}", n % TENANTS), (n % 5) as u64 * SMALL / 2);
        submitted.entry(job.spec.tenant).or_default().push(job.spec.id);
    }
    let patience = Instant::now() + Duration::from_secs(30);
    while ended.load(Ordering::SeqCst) < TENANTS * JOBS {
        assert!(Instant::now() < patience, "{} jobs are lost", bench.scheduler.unfinished());
        thread::sleep(Duration::from_millis(1));
    }
    bench.assert_empty();
    bench.scheduler.drain();
    for worker in workers {
        worker.join().unwrap();
    }
    assert!(*orders.lock().unwrap() == submitted);
}

/// A new job whose payload is in the journal.
fn small(bench: &Bench, owner: &str) -> JobId {
    let mut spec = spec(owner, 10);
    spec.payload.inline = true;
    let (job, event) = first_of(spec);
    bench.tell(&job, vec![event]);
    job.spec.id
}

fn group(bench: &Bench) -> Vec<Turn> {
    match bench.scheduler.state().take(Class::Any, Instant::now()) {
        Some(Work::Group(turns)) => turns,
        other => panic!("{other:?}"),
    }
}

fn jobs(turns: &[Turn]) -> Vec<JobId> {
    turns.iter().map(|turn| turn.job).collect()
}

#[test]
fn small_jobs_of_all_lanes_make_a_group_in_the_order_of_their_lanes() {
    let bench = Bench::new();
    let (a, b) = (small(&bench, "a"), small(&bench, "b"));
    let later = small(&bench, "a");
    let big = bench.submit("a").spec.id;
    let behind = small(&bench, "a");
    let turns = group(&bench);
    assert_eq!(jobs(&turns), [a, later, b]);
    bench.assert_idle();
    let more = small(&bench, "b");
    bench.assert_idle();
    bench.scheduler.all_done(turns.iter().map(|turn| (turn, Done::Ended)));
    let one = bench.take();
    assert_eq!(one.job, big);
    let turns = group(&bench);
    assert_eq!(jobs(&turns), [more]);
    bench.end(&one);
    assert_eq!(jobs(&group(&bench)), [behind]);
}

#[test]
fn a_group_has_its_bounds_and_leaves_the_rest_in_order() {
    let bench = Bench::new();
    let busy: Vec<_> = (0..=GROUP_LANE_JOBS_MAX).map(|_| small(&bench, "busy")).collect();
    let others: Vec<_> = (0..GROUP_JOBS_MAX).map(|n| small(&bench, &format!("t{n}"))).collect();
    let turns = group(&bench);
    assert_eq!(turns.len(), GROUP_JOBS_MAX);
    let (first, rest) = turns.split_at(GROUP_LANE_JOBS_MAX);
    assert_eq!(jobs(first), busy[..GROUP_LANE_JOBS_MAX]);
    let room = GROUP_JOBS_MAX - GROUP_LANE_JOBS_MAX;
    assert_eq!(jobs(rest), others[..room]);
    assert_eq!(jobs(&group(&bench)), others[room..]);
    bench.scheduler.all_done(turns.iter().map(|turn| (turn, Done::Ended)));
    assert_eq!(jobs(&group(&bench)), busy[GROUP_LANE_JOBS_MAX..]);
}

#[test]
fn a_job_that_a_worker_had_runs_by_itself_and_before_those_behind_it() {
    let bench = Bench::new();
    let ids = [small(&bench, "a"), small(&bench, "a"), small(&bench, "a")];
    let turns = group(&bench);
    let done = [Done::Ended, Done::Retry { at_us: in_ms(-1) }, Done::Interrupted];
    bench.scheduler.all_done(turns.iter().zip(done));
    let new = small(&bench, "a");
    for id in &ids[1..] {
        let turn = bench.take();
        assert_eq!(turn.job, *id);
        bench.assert_idle();
        bench.end(&turn);
    }
    let turns = group(&bench);
    assert_eq!(jobs(&turns), [new]);
    bench.end(&turns[0]);
    bench.assert_empty();
}

#[test]
fn each_job_of_a_group_is_told_of_its_own_cancel_and_all_of_a_drain() {
    let bench = Bench::new();
    let mut spec = spec("a", 10);
    spec.payload.inline = true;
    let (job, event) = first_of(spec);
    small(&bench, "a");
    bench.tell(&job, vec![event]);
    let last = small(&bench, "a");
    let turns = group(&bench);
    bench.cancel(&running(&job));
    let told: Vec<_> = turns.iter().map(|turn| turn.stop.reason()).collect();
    assert_eq!(told, [None, Some(StopReason::Cancel), None]);
    assert_eq!(turns[2].job, last);
    bench.scheduler.drain();
    assert!(turns.iter().all(|turn| turn.stop.reason() == Some(StopReason::Drain)));
}

#[test]
fn a_job_of_an_earlier_process_joins_a_group_only_where_no_worker_had_it() {
    let bench = Bench::new();
    let new = |owner| {
        let mut spec = spec(owner, 10);
        spec.payload.inline = true;
        first_of(spec).0
    };
    let (had, fresh) = (running(&new("a")), new("b"));
    bench.scheduler.seed(&had);
    bench.scheduler.seed(&fresh);
    assert_eq!(bench.take().job, had.spec.id);
    assert_eq!(jobs(&group(&bench)), [fresh.spec.id]);
}

#[test]
fn a_worker_for_small_jobs_takes_groups_and_one_submit_wakes_one_worker() {
    let bench = Bench::new();
    let scheduler = Arc::clone(&bench.scheduler);
    let waiting = thread::spawn(move || scheduler.take(Class::Small));
    thread::sleep(Duration::from_millis(30));
    let id = small(&bench, "a");
    match waiting.join().unwrap() {
        Some(Work::Group(turns)) => assert_eq!(jobs(&turns), [id]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_retry_that_was_planned_under_a_clock_ahead_waits_no_longer_than_any() {
    let wait_max = Duration::from_millis(100);
    let scheduler = Scheduler::new(SMALL, wait_max);
    let (job, _) = first_of(spec("a", SMALL + 1));
    let retry_at_us = in_ms(24 * 60 * 60 * 1_000);
    let kind = EventKind::AttemptFailed { failure: failure(), retry_at_us };
    let job = running(&job);
    let job = job.clone().next(&event(&job, kind)).unwrap();
    scheduler.seed(&job);
    let began = Instant::now();
    assert_eq!(scheduler.take(Class::Any).map(one).unwrap().job, job.spec.id);
    assert!(began.elapsed() >= wait_max && began.elapsed() < Duration::from_secs(10));
}
