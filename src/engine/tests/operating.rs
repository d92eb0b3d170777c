//! What an operator does, over real steps and restarts.

use super::{
    parts::transient,
    support::{Bench, Gate, caller, text, text_with_errors, until},
};
use crate::{
    auth::Principal,
    domain::{JobId, Operation, Outcome, Scope, ScopeSet, Status, Tenant},
    engine::Wait,
    error::Code,
};

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

impl Bench {
    async fn pause(&self, tenant: Option<Tenant>, now: bool) {
        let reason = "a reason".to_owned();
        let pause = self.service.pause(&Principal::local(), tenant.clone(), reason, now).await;
        assert_eq!(pause.unwrap().tenant, tenant);
    }

    async fn resume(&self, tenant: Option<Tenant>) -> bool {
        self.service.resume(&Principal::local(), tenant).await.unwrap()
    }

    async fn waits(&self, id: JobId) -> Wait {
        self.service.explain(&Principal::local(), id).await.unwrap().wait()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_takes_uploads_and_starts_nothing_until_resumed_also_over_restarts() {
    let mut bench = Bench::new();
    bench.pause(Some(tenant("a")), false).await;
    let large = bench.submit_as("a", Operation::Create, &text(0..30)).await;
    let small = bench.submit_as("a", Operation::Create, &text(30..31)).await;
    let other = bench.submit_as("b", Operation::Create, &text(0..30)).await;
    bench.wait_end(other).await;
    assert!(bench.stop().await);
    bench.start();
    let after = bench.submit_as("b", Operation::Delete, &text(0..3)).await;
    bench.wait_end(after).await;
    for id in [large, small] {
        assert_eq!(bench.job(id).status(), Status::Queued);
        assert_eq!(bench.waits(id).await, Wait::Paused);
    }
    assert!(!bench.resume(None).await, "everything was not paused");
    assert!(bench.resume(Some(tenant("a"))).await);
    for id in [large, small] {
        assert_eq!(bench.wait_end(id).await.outcome(), Some(Outcome::Succeeded));
    }
    assert!(!bench.resume(Some(tenant("a"))).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn pauses_of_everything_and_of_a_tenant_are_apart() {
    let bench = Bench::new();
    bench.pause(None, false).await;
    bench.pause(Some(tenant("a")), false).await;
    let [a, b] = ["a", "b"].map(|owner| bench.submit_as(owner, Operation::Create, b"x"));
    let (a, b) = (a.await, b.await);
    assert_eq!((bench.waits(a).await, bench.waits(b).await), (Wait::Paused, Wait::Paused));
    assert!(bench.service.is_paused());
    assert!(bench.resume(None).await);
    assert!(!bench.service.is_paused());
    bench.wait_end(b).await;
    assert_eq!(bench.job(a).status(), Status::Queued);
    assert!(bench.resume(Some(tenant("a"))).await);
    bench.wait_end(a).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_runs_ends_in_spite_of_a_pause_or_stops_where_it_is_told_to() {
    for now in [false, true] {
        let bench = Bench::new();
        let (gate, mut hook) = Gate::new();
        bench.store.on_apply(move |n| {
            if n == 1 {
                hook();
            }
            Ok(())
        });
        let body = text_with_errors(0..60, |number| number % 9 == 0);
        let id = bench.submit(Operation::Create, &body).await;
        gate.arrived().await;
        bench.pause(None, now).await;
        assert_eq!(bench.waits(id).await, Wait::Running);
        gate.open();
        if now {
            let engine = || bench.service.engine().unwrap();
            until(|| engine().busy().0 == 0).await;
            let job = bench.job(id);
            assert_eq!(job.status(), Status::Processing);
            assert!(job.applied.position < job.validated.rows_valid);
            assert_eq!(bench.waits(id).await, Wait::Paused);
            assert!(bench.resume(None).await);
        }
        let job = bench.wait_end(id).await;
        assert_eq!(job.outcome(), Some(Outcome::Partial));
        assert_eq!((job.applied.rows_applied, bench.live()), (53, [53, 53]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_job_of_a_paused_lane_can_be_cancelled() {
    let bench = Bench::new();
    bench.pause(None, false).await;
    let id = bench.submit(Operation::Create, &text(0..3)).await;
    assert!(bench.cancel(id).await);
    assert_eq!(bench.wait_end(id).await.outcome(), Some(Outcome::Cancelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_job_gets_a_new_round_of_attempts_and_its_lane_goes_on() {
    let mut bench = Bench::new();
    bench.store.on_apply(|_| Err(transient()));
    let id = bench.submit(Operation::Create, &text(0..30)).await;
    bench.wait(id, |job| job.held).await;
    let behind = bench.submit(Operation::Delete, &text(0..7)).await;
    assert_eq!((bench.waits(id).await, bench.waits(behind).await), (Wait::Held, Wait::HeldAhead));
    let operator = Principal::local();
    assert!(!bench.service.release(&operator, behind).await.unwrap(), "it is not held");
    // What made it fail is still there: it is held again, after as many attempts.
    assert!(bench.service.release(&operator, id).await.unwrap());
    let job = bench.wait(id, |job| job.held && job.attempt == 3).await;
    assert_eq!(job.failure.unwrap().code, Code::JobIo);
    // A release that is not yet seen by a worker counts after a restart.
    bench.pause(None, false).await;
    bench.wait(id, |job| job.held).await;
    assert!(bench.service.release(&operator, id).await.unwrap());
    assert!(bench.stop().await);
    bench.start();
    assert_eq!((bench.job(id).attempt, bench.job(id).held), (0, false));
    assert!(bench.resume(None).await);
    assert_eq!(bench.wait_end(id).await.outcome(), Some(Outcome::Succeeded));
    assert_eq!(bench.wait_end(behind).await.outcome(), Some(Outcome::Succeeded));
    assert!(!bench.service.release(&operator, id).await.unwrap());
    assert_eq!(bench.waits(id).await, Wait::Ended);
    assert_eq!(bench.live(), [23, 23]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overview_counts_what_there_is() {
    let bench = Bench::new();
    let done = bench.submit(Operation::Create, &text(0..30)).await;
    bench.wait_end(done).await;
    bench.pause(Some(tenant("a")), false).await;
    for _ in 0..3 {
        bench.submit_as("a", Operation::Create, &text(0..3)).await;
    }
    let overview = bench.service.overview(&Principal::local()).await.unwrap();
    assert_eq!(overview.jobs.by_status, [3, 0, 0, 0]);
    assert!(overview.jobs.oldest_queued_us.is_some());
    assert_eq!((overview.totals.rows_checked, overview.totals.rows_processed), (30, 30));
    assert_eq!(overview.totals.ended, [1, 0, 0, 0]);
    assert_eq!((overview.workers, overview.uploads, overview.watchers), (4, 0, 0));
    let lanes: Vec<_> = overview.lanes.iter().map(|lane| (lane.waiting, lane.paused)).collect();
    assert_eq!(lanes, [(3, true)]);
    assert_eq!(overview.pauses.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_scope_of_an_operator_nothing_is_done_or_told() {
    let bench = Bench::new();
    let id = bench.submit(Operation::Create, &text(0..3)).await;
    bench.wait_end(id).await;
    let scopes = Scope::ALL.into_iter().filter(|scope| *scope != Scope::Admin);
    let caller = Principal { scopes: scopes.collect(), ..caller("local") };
    let operator =
        Principal { scopes: ScopeSet::from_iter([Scope::Admin]), ..self::caller("local") };
    let service = &bench.service;
    let refused = [
        service.pause(&caller, None, String::new(), true).await.map(drop),
        service.resume(&caller, None).await.map(drop),
        service.pauses(&caller).map(drop),
        service.release(&caller, id).await.map(drop),
        service.explain(&caller, id).await.map(drop),
        service.overview(&caller).await.map(drop),
        service.backup(&operator).await.map(drop),
    ];
    for (n, refused) in refused.into_iter().enumerate() {
        assert_eq!(refused.unwrap_err().code, Code::Scope, "{n}");
    }
    assert!(bench.service.pauses(&Principal::local()).unwrap().is_empty());
    let missing = bench.service.explain(&Principal::local(), JobId::generate()).await;
    assert_eq!(missing.unwrap_err().code, Code::JobNotFound);
}
