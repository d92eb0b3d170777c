//! Pauses and releases.

use super::*;

fn pause_of<const N: usize>(tenants: [&str; N]) -> Paused {
    Paused { everything: false, tenants: tenants.map(tenant).into() }
}

fn everything() -> Paused {
    Paused { everything: true, ..Paused::default() }
}

/// A new small job, which groups.
fn submit_small(bench: &Bench, owner: &str) -> Job {
    let mut spec = spec(owner, 10);
    spec.payload.inline = true;
    let (job, event) = first_of(spec);
    bench.tell(&job, vec![event]);
    job
}

#[test]
fn a_paused_lane_gives_no_turn_and_hinders_no_other() {
    let bench = Bench::new();
    bench.scheduler.pause(pause_of(["a"]));
    let waits = bench.submit("a");
    let other = bench.submit("b");
    assert_eq!(bench.take().job, other.spec.id);
    bench.assert_idle();
    let view = bench.scheduler.lanes().into_iter().find(|lane| lane.tenant == tenant("a"));
    assert!(view.is_some_and(|lane| lane.paused && lane.waiting == 1 && lane.running == 0));
    bench.scheduler.pause(Paused::default());
    assert_eq!(bench.take().job, waits.spec.id);
}

#[test]
fn with_everything_paused_lanes_of_later_tenants_are_too() {
    let bench = Bench::new();
    bench.submit("a");
    bench.scheduler.pause(everything());
    bench.submit("new");
    submit_small(&bench, "small");
    bench.assert_idle();
    assert!(bench.try_take(Class::Small).is_none());
    bench.scheduler.pause(pause_of(["a"]));
    assert_eq!(bench.take().tenant, tenant("new"));
}

#[test]
fn a_group_takes_no_job_of_a_paused_lane() {
    let bench = Bench::new();
    for owner in ["a", "b", "c"] {
        submit_small(&bench, owner);
        submit_small(&bench, owner);
    }
    bench.scheduler.pause(pause_of(["b"]));
    let work = bench.scheduler.state().take(Class::Any, Instant::now());
    let Some(Work::Group(turns)) = work else { panic!("{work:?}") };
    let owners: Vec<_> = turns.iter().map(|turn| turn.tenant.as_str()).collect();
    assert_eq!(owners, ["a", "a", "c", "c"]);
    assert!(bench.scheduler.state().take(Class::Any, Instant::now()).is_none());
}

#[test]
fn a_lane_keeps_its_turn_over_a_pause() {
    let bench = Bench::new();
    for owner in ["a", "b", "a", "b"] {
        bench.submit(owner);
    }
    bench.scheduler.pause(pause_of(["a"]));
    let turn = bench.take();
    bench.end(&turn);
    bench.scheduler.pause(Paused::default());
    let mut order = Vec::new();
    for _ in 0..3 {
        let turn = bench.take();
        order.push(turn.tenant.as_str().to_owned());
        bench.end(&turn);
    }
    assert_eq!(order, ["a", "b", "a"]);
}

#[test]
fn what_runs_goes_on_unless_it_is_told_to_stop() {
    let bench = Bench::new();
    let (job, next) = (bench.submit("a"), bench.submit("a"));
    bench.submit("b");
    let [of_a, of_b] = [bench.take(), bench.take()];
    bench.scheduler.pause(pause_of(["a"]));
    assert_eq!((of_a.stop.reason(), of_b.stop.reason()), (None, None));
    bench.scheduler.interrupt(Some(&tenant("a")));
    assert_eq!((of_a.stop.reason(), of_b.stop.reason()), (Some(StopReason::Pause), None));
    bench.scheduler.done(&of_a, Done::Interrupted);
    bench.assert_idle();
    bench.scheduler.pause(Paused::default());
    let again = bench.take();
    assert_eq!((again.job, again.stop.reason()), (job.spec.id, None));
    bench.end(&again);
    assert_eq!(bench.take().job, next.spec.id);
}

#[test]
fn a_cancel_wins_over_a_pause_and_a_drain_over_both() {
    use StopReason::{Cancel, Drain, Pause};
    for (asked, expected) in [
        ([Pause, Cancel], Cancel),
        ([Cancel, Pause], Cancel),
        ([Pause, Drain], Drain),
        ([Drain, Pause], Drain),
    ] {
        let stop = Stop::default();
        for reason in asked {
            stop.request(reason);
        }
        assert_eq!(stop.reason(), Some(expected), "{asked:?}");
    }
}

#[test]
fn a_worker_that_waits_hears_of_a_resume() {
    let bench = Bench::new();
    bench.scheduler.pause(everything());
    let job = bench.submit("a");
    let worker = {
        let scheduler = Arc::clone(&bench.scheduler);
        thread::spawn(move || scheduler.take(Class::Any).map(one))
    };
    while bench.scheduler.idle(true) == 0 {
        thread::yield_now();
    }
    bench.scheduler.pause(Paused::default());
    assert_eq!(worker.join().unwrap().unwrap().job, job.spec.id);
    assert_eq!(bench.scheduler.idle(false), 0);
}

#[test]
fn a_drain_ends_workers_of_paused_lanes() {
    let bench = Bench::new();
    bench.scheduler.pause(everything());
    bench.submit("a");
    bench.scheduler.drain();
    assert!(bench.scheduler.take(Class::Any).is_none());
}

#[test]
fn a_released_job_gets_its_turn_and_its_lane_goes_on() {
    let bench = Bench::new();
    let job = bench.submit("a");
    let next = bench.submit("a").spec.id;
    bench.scheduler.done(&bench.take(), Done::Held);
    bench.assert_idle();
    let held = fold(running(&job), [EventKind::Held(failure())]);
    bench.record(&held, EventKind::Released);
    let turn = bench.take();
    assert_eq!(turn.job, job.spec.id);
    bench.end(&turn);
    assert_eq!(bench.take().job, next);
}

#[test]
fn a_release_that_comes_before_the_lane_is_given_back_is_not_lost() {
    let bench = Bench::new();
    let job = bench.submit("a");
    let turn = bench.take();
    // The job is held in the journal; its worker has yet to say so here.
    let held = fold(running(&job), [EventKind::Held(failure())]);
    bench.record(&held, EventKind::Released);
    bench.scheduler.done(&turn, Done::Held);
    let turn = bench.take();
    assert_eq!(turn.job, job.spec.id);
    bench.scheduler.done(&turn, Done::Held);
    bench.assert_idle();
}

#[test]
fn a_job_has_its_place_in_its_lane() {
    let bench = Bench::new();
    let [first, second] = [bench.submit_sized("a", SMALL + 1), bench.submit_sized("a", 1)];
    let place = |job: &Job| bench.scheduler.place(&tenant("a"), job.spec.id).unwrap();
    let expected = Place { ahead: 0, first: first.spec.id, running: false, first_is_large: true };
    assert_eq!(place(&first), expected);
    assert_eq!(place(&second), Place { ahead: 1, ..expected });
    let turn = bench.take();
    assert!(place(&first).running && !place(&second).running);
    bench.end(&turn);
    assert_eq!(bench.scheduler.place(&tenant("a"), first.spec.id), None);
    let expected = Place { ahead: 0, first: second.spec.id, running: false, first_is_large: false };
    assert_eq!(place(&second), expected);
}

#[test]
fn a_pause_of_one_lane_stops_no_job_of_another_that_is_paused_too() {
    let bench = Bench::new();
    bench.submit("a");
    bench.submit("b");
    let [of_a, of_b] = [bench.take(), bench.take()];
    bench.scheduler.pause(everything());
    bench.scheduler.interrupt(Some(&tenant("b")));
    assert_eq!((of_a.stop.reason(), of_b.stop.reason()), (None, Some(StopReason::Pause)));
    bench.scheduler.interrupt(None);
    assert_eq!(of_a.stop.reason(), Some(StopReason::Pause));
}

#[test]
fn a_job_waits_with_reason_while_paused_or_behind_another_or_without_a_worker() {
    let bench = Bench::new();
    let waits = |job: &Job| bench.scheduler.has_to_wait(&job.spec.tenant, job.spec.id);
    let (first, second) = (bench.submit("a"), bench.submit("a"));
    assert!(waits(&first), "no worker waits for work");
    bench.scheduler.state().idle = (1, 0);
    assert!(!waits(&first), "a worker could take it");
    bench.scheduler.pause(pause_of(["a"]));
    assert!(waits(&first));
    bench.scheduler.pause(Paused::default());
    let turn = bench.take();
    assert!(!waits(&first), "it runs");
    bench.scheduler.pause(pause_of(["a"]));
    assert!(!waits(&first), "it goes on in a pause");
    assert!(waits(&second));
    bench.scheduler.pause(Paused::default());
    bench.scheduler.done(&turn, Done::Held);
    assert!(waits(&second), "behind one that is held");
    let unknown = bench.scheduler.has_to_wait(&tenant("b"), first.spec.id);
    assert!(!unknown, "one that no lane has would never run");
}
