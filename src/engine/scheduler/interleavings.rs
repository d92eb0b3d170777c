//! Workers, committer and drain against each other.

#![expect(
    clippy::unwrap_used,
    reason = "tests; the lint spares only functions that are marked as one"
)]

use std::collections::HashSet;

use shuttle::thread;

use super::*;
use crate::{
    domain::testing::{event, failure, first as first_of, fold, submitted},
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        schedules::walk,
    },
};

const SMALL: u64 = 1_000;
const CLASSES: [Class; 3] = [Class::Any, Class::Any, Class::Small];

/// A new job; one that is inline runs in groups.
fn submit(owner: &str, bytes: u64, inline: bool) -> Committed {
    let mut spec = submitted(1);
    spec.tenant = Tenant::new(owner).unwrap();
    spec.payload.length = bytes;
    spec.payload.inline = inline;
    let (job, event) = first_of(spec);
    Committed { job: Arc::new(job), events: vec![event] }
}

/// Small ones that group, small ones that do not, large ones; in two lanes.
fn submits() -> Vec<Committed> {
    let large = SMALL + 1;
    vec![
        submit("a", 10, true),
        submit("b", large, false),
        submit("a", 10, true),
        submit("a", large, false),
        submit("b", 10, true),
        submit("a", 20, false),
    ]
}

fn turns_of(work: Work) -> Vec<Turn> {
    match work {
        Work::One(turn) => vec![turn],
        Work::Group(turns) => turns,
    }
}

/// What workers do at the moment, and what they did.
#[derive(Default)]
struct Log {
    lanes: HashSet<Tenant>,
    taken: Vec<(Tenant, JobId)>,
}

impl Log {
    fn begin(&mut self, turns: &[Turn]) {
        let lanes: HashSet<_> = turns.iter().map(|turn| turn.tenant.clone()).collect();
        for lane in lanes {
            assert!(self.lanes.insert(lane), "two workers in one lane");
        }
        self.taken.extend(turns.iter().map(|turn| (turn.tenant.clone(), turn.job)));
    }

    fn end(&mut self, turns: &[Turn]) {
        self.lanes.retain(|lane| turns.iter().all(|turn| turn.tenant != *lane));
    }
}

#[test]
fn every_job_is_taken_once_in_the_order_of_its_lane_and_no_wake_up_is_lost() {
    walk(|| {
        let scheduler = Arc::new(Scheduler::new(SMALL, Duration::from_hours(1)));
        let submits = submits();
        let left = Arc::new(AtomicUsize::new(submits.len()));
        let log = Arc::new(Mutex::new(Log::default()));
        let workers = CLASSES.map(|class| {
            let (scheduler, left, log) = (scheduler.clone(), left.clone(), log.clone());
            thread::spawn(move || {
                while let Some(work) = scheduler.take(class) {
                    let turns = turns_of(work);
                    assert!(class == Class::Any || turns.iter().all(|turn| !turn.is_large));
                    log.lock().unwrap().begin(&turns);
                    log.lock().unwrap().end(&turns);
                    scheduler.all_done(turns.iter().map(|turn| (turn, Done::Ended)));
                    if left.fetch_sub(turns.len(), Ordering::SeqCst) == turns.len() {
                        scheduler.drain();
                    }
                }
            })
        });
        for committed in &submits {
            scheduler.committed(std::slice::from_ref(committed));
        }
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(scheduler.unfinished(), 0);
        for owner in ["a", "b"].map(|owner| Tenant::new(owner).unwrap()) {
            let specs = submits.iter().map(|committed| &committed.job.spec);
            let sent: Vec<_> =
                specs.filter(|spec| spec.tenant == owner).map(|spec| spec.id).collect();
            let log = log.lock().unwrap();
            let of_lane = log.taken.iter().filter(|(tenant, _)| *tenant == owner);
            assert_eq!(of_lane.map(|(_, job)| *job).collect::<Vec<_>>(), sent);
        }
    });
}

#[test]
fn a_cancel_reaches_a_job_that_is_held_at_the_same_moment() {
    walk(|| {
        let scheduler = Arc::new(Scheduler::new(SMALL, Duration::from_hours(1)));
        let submit = submit("a", SMALL + 1, false);
        scheduler.committed(std::slice::from_ref(&submit));
        // As the journal has it, which knows before the scheduler does.
        let cancelled = Arc::new(AtomicBool::new(false));
        let worker = {
            let (scheduler, cancelled) = (scheduler.clone(), cancelled.clone());
            thread::spawn(move || {
                while let Some(work) = scheduler.take(Class::Any) {
                    let turns = turns_of(work);
                    let ends = cancelled.load(Ordering::SeqCst);
                    scheduler.done(&turns[0], if ends { Done::Ended } else { Done::Held });
                    if ends {
                        scheduler.drain();
                    }
                }
            })
        };
        let asked = event(&submit.job, EventKind::CancelRequested);
        let job = Arc::new((*submit.job).clone().next(&asked).unwrap());
        cancelled.store(true, Ordering::SeqCst);
        scheduler.committed(&[Committed { job, events: vec![asked] }]);
        worker.join().unwrap();
        assert_eq!(scheduler.unfinished(), 0);
    });
}

#[test]
fn a_drain_reaches_every_worker_wherever_it_is() {
    walk(|| {
        let scheduler = Arc::new(Scheduler::new(SMALL, Duration::from_hours(1)));
        let drained = Arc::new(AtomicBool::new(false));
        let workers = CLASSES.map(|class| {
            let (scheduler, drained) = (scheduler.clone(), drained.clone());
            thread::spawn(move || {
                while let Some(work) = scheduler.take(class) {
                    let turns = turns_of(work);
                    if drained.load(Ordering::SeqCst) {
                        let told = |turn: &Turn| turn.stop.reason() == Some(StopReason::Drain);
                        assert!(turns.iter().all(told), "a worker was not told");
                    }
                    scheduler.all_done(turns.iter().map(|turn| (turn, Done::Interrupted)));
                    thread::yield_now();
                }
            })
        });
        let committer = {
            let scheduler = scheduler.clone();
            thread::spawn(move || scheduler.committed(&submits()))
        };
        scheduler.drain();
        drained.store(true, Ordering::SeqCst);
        committer.join().unwrap();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn pauses_at_any_moment_lose_no_job_and_no_wake_up() {
    walk(|| {
        let scheduler = Arc::new(Scheduler::new(SMALL, Duration::from_hours(1)));
        let submits = submits();
        let left = Arc::new(AtomicUsize::new(submits.len()));
        let workers = CLASSES.map(|class| {
            let (scheduler, left) = (scheduler.clone(), left.clone());
            thread::spawn(move || {
                while let Some(work) = scheduler.take(class) {
                    let turns = turns_of(work);
                    // One that is told to stop is taken again later.
                    let done = |turn: &Turn| match turn.stop.reason() {
                        Some(StopReason::Pause) => Done::Interrupted,
                        _ => Done::Ended,
                    };
                    let done: Vec<_> = turns.iter().map(done).collect();
                    let ended = done.iter().filter(|done| **done == Done::Ended).count();
                    scheduler.all_done(turns.iter().zip(done));
                    if ended > 0 && left.fetch_sub(ended, Ordering::SeqCst) == ended {
                        scheduler.drain();
                    }
                }
            })
        });
        let operator = {
            let scheduler = scheduler.clone();
            thread::spawn(move || {
                let one = HashSet::from([Tenant::new("a").unwrap()]);
                for (everything, tenants) in [(false, one), (true, HashSet::new())] {
                    scheduler.pause(Paused { everything, tenants });
                    scheduler.interrupt(None);
                }
                scheduler.pause(Paused::default());
            })
        };
        for committed in &submits {
            scheduler.committed(std::slice::from_ref(committed));
        }
        operator.join().unwrap();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(scheduler.unfinished(), 0);
    });
}

#[test]
fn a_release_reaches_a_job_that_is_held_at_the_same_moment() {
    walk(|| {
        let scheduler = Arc::new(Scheduler::new(SMALL, Duration::from_hours(1)));
        let submit = submit("a", SMALL + 1, false);
        scheduler.committed(std::slice::from_ref(&submit));
        // As the journal has it, which holds the job before the scheduler hears of it.
        let held = Arc::new(AtomicBool::new(false));
        let worker = {
            let (scheduler, held) = (scheduler.clone(), held.clone());
            thread::spawn(move || {
                let turns = turns_of(scheduler.take(Class::Any).unwrap());
                held.store(true, Ordering::SeqCst);
                scheduler.done(&turns[0], Done::Held);
                let turns = turns_of(scheduler.take(Class::Any).unwrap());
                scheduler.done(&turns[0], Done::Ended);
            })
        };
        while !held.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let kinds = [EventKind::DeQueued, EventKind::ValidationStarted, EventKind::Held(failure())];
        let job = fold((*submit.job).clone(), kinds);
        let released = event(&job, EventKind::Released);
        let job = Arc::new(job.next(&released).unwrap());
        scheduler.committed(&[Committed { job, events: vec![released] }]);
        worker.join().unwrap();
        assert_eq!(scheduler.unfinished(), 0);
    });
}
