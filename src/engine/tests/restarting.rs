//! What a restart finds and does.

use std::{fs, sync::Arc, time::Duration};

use super::{
    parts::transient,
    support::{Bench, Gate, caller, text, text_with_errors, until},
};
use crate::{
    auth::Principal,
    clock,
    config::Quota,
    domain::{
        EventKind, Job, JobId, MediaType, Operation, Outcome, Payload, Status, Submitted, Tenant,
        Validated,
        testing::{failure, first, submitted},
    },
    engine::{ReportRow, SubmitRequest},
    error::Code,
    intake::Encoding,
    journal::{Change, Journal},
    records::RecordStore,
};

/// The file of a job that meets live records, misses and rows that are not valid.
fn mixed() -> Vec<u8> {
    text_with_errors(20..60, |n| n % 9 == 0)
}

/// Outcome, counts, report and live records.
type Found = (Option<Outcome>, Validated, crate::domain::Applied, Vec<ReportRow>, [u64; 2]);

async fn found(bench: &Bench, id: JobId) -> Found {
    let job = bench.wait_end(id).await;
    (job.outcome(), job.validated, job.applied, bench.report(id).await, bench.live())
}

async fn seeded() -> Bench {
    let bench = Bench::with(|config| config.engine.max_attempts = 10);
    let seed = bench.submit(Operation::Create, &text(0..40)).await;
    bench.wait_end(seed).await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_commit_changes_nothing_of_what_a_job_comes_to() {
    for operation in Operation::ALL {
        let bench = seeded().await;
        let before = bench.journal.commits();
        let id = bench.submit(operation, &mixed()).await;
        let smooth = found(&bench, id).await;
        let commits = bench.journal.commits() - before;
        assert!(commits > 10, "{commits}");
        for at in 0..commits {
            for stored in [false, true] {
                let mut bench = seeded().await;
                bench.journal.die_after(at, stored);
                let submitted = bench.try_submit("local", operation, &mixed()).await;
                bench.bury().await;
                let unfinished = bench.journal.unfinished().unwrap();
                assert_eq!(submitted.is_ok(), at > 0);
                let job = match (unfinished.first(), submitted) {
                    (Some(job), _) => job.spec.id,
                    // Only the last commit was stored: the job has ended.
                    (None, Ok(submitted)) => submitted.job.spec.id,
                    (None, Err(_)) => {
                        assert!(at == 0 && !stored);
                        continue;
                    }
                };
                bench.start();
                assert_eq!(found(&bench, job).await, smooth, "{operation} {at} {stored}");
                assert!(bench.stop().await);
                bench.journal.verify().unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_commit_of_a_file_that_fails_leaves_it_failed() {
    let limited = || Bench::with(|config| config.intake.max_rows = 30);
    let file = text_with_errors(0..31, |n| n % 3 == 0);
    let bench = limited();
    let id = bench.submit(Operation::Create, &file).await;
    let smooth = found(&bench, id).await;
    assert_eq!(smooth.0, Some(Outcome::Failed));
    for at in 1..bench.journal.commits() {
        for stored in [false, true] {
            let mut bench = limited();
            bench.journal.die_after(at, stored);
            let id = bench.submit(Operation::Create, &file).await;
            bench.bury().await;
            bench.start();
            assert_eq!(found(&bench, id).await, smooth, "{at} {stored}");
        }
    }
}

/// A job that an earlier process left, after these events.
fn leave(bench: &Bench, operation: Operation, file: &[u8], kinds: Vec<EventKind>) -> JobId {
    use sha2::{Digest, Sha256};
    let payload = Payload {
        media_type: MediaType::Text,
        length: file.len() as u64,
        sha256: Sha256::digest(file).into(),
        inline: false,
    };
    let order = bench.journal.last_order().unwrap() + 1;
    let spec = Submitted { operation, payload, ..submitted(order) };
    let id = spec.id;
    fs::create_dir_all(bench.dir.path().join("payloads")).unwrap();
    fs::write(bench.payload(id), file).unwrap();
    let (job, event) = first(spec);
    let mut events = vec![event];
    let mut newest = job;
    for kind in kinds {
        let event = crate::domain::testing::event(&newest, kind);
        newest = newest.next(&event).unwrap();
        events.push(event);
    }
    bench
        .journal
        .memory
        .commit(&[Change { job: Arc::new(newest), events, payload: None }])
        .unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_before_the_restart_count_for_the_quota_of_their_client() {
    let mut bench = Bench::new();
    bench.store.on_apply(|_| Err(transient()));
    let id = bench.submit(Operation::Create, &text(0..3)).await;
    bench.wait(id, |job| job.held).await;
    assert!(bench.stop().await);
    bench.start();
    assert_eq!(bench.job(id).spec.client, "local");
    let quota = Quota { jobs_queued_max: Some(1), ..Quota::default() };
    let own = Principal { quota, ..caller("local") };
    let other = Principal { client: "other".to_owned(), ..own.clone() };
    let request = SubmitRequest {
        operation: Operation::Create,
        media_type: MediaType::Text,
        encoding: Encoding::Identity,
        validate_only: false,
        request_id: None,
        content_length: None,
        content_sha256: None,
    };
    let begin = async |caller: &Principal| bench.service.begin(caller, request.clone()).await;
    assert_eq!(begin(&own).await.err().unwrap().code, Code::QuotaJobs);
    assert!(begin(&other).await.is_ok());
    assert!(bench.cancel(id).await);
    bench.wait_end(id).await;
    // The journal shows the end a moment before the counts do.
    until(|| bench.service.engine().unwrap().unfinished() == 0).await;
    assert!(begin(&own).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_from_any_status() {
    use EventKind::{AttemptStarted, CancelRequested, DeQueued, Held, ValidationStarted};
    let begun = |more: Vec<EventKind>| [vec![DeQueued, ValidationStarted], more].concat();
    let retry = |at_us| EventKind::AttemptFailed { failure: failure(), retry_at_us: at_us };
    let hour = 3_600_000_000;
    let cases = [
        (vec![], Some(Outcome::Succeeded)),
        (vec![DeQueued], Some(Outcome::Succeeded)),
        (begun(vec![]), Some(Outcome::Succeeded)),
        (begun(vec![AttemptStarted]), Some(Outcome::Succeeded)),
        (begun(vec![retry(clock::now_us() - hour)]), Some(Outcome::Succeeded)),
        (vec![DeQueued, CancelRequested], Some(Outcome::Cancelled)),
        (begun(vec![CancelRequested]), Some(Outcome::Cancelled)),
        // A cancel does not wait for what the job waited for.
        (begun(vec![retry(clock::now_us() + hour), CancelRequested]), Some(Outcome::Cancelled)),
        (begun(vec![Held(failure()), CancelRequested]), Some(Outcome::Cancelled)),
        (begun(vec![retry(clock::now_us() + hour)]), None),
        (begun(vec![Held(failure())]), None),
        // Its attempts are used up, so it took the process down with it.
        (begun(vec![AttemptStarted, AttemptStarted]), None),
    ];
    for (kinds, outcome) in cases {
        let name = format!("{:?}", kinds.iter().map(EventKind::name).collect::<Vec<_>>());
        // As long as the longest wait that is noted here.
        let mut bench = Bench::down(|config| config.engine.retry_max = Duration::from_hours(2));
        let id = leave(&bench, Operation::Create, &text(0..20), kinds);
        let behind = leave(&bench, Operation::Create, &text(20..30), vec![]);
        bench.start();
        if outcome.is_some() {
            let job = bench.wait_end(id).await;
            assert_eq!(job.outcome(), outcome, "{name}");
            let done = if outcome == Some(Outcome::Succeeded) { 20 } else { 0 };
            bench.wait_end(behind).await;
            assert_eq!(bench.live(), [done + 10; 2], "{name}");
        } else {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let job = bench.job(id);
            assert!(job.held || job.retry_at_us.is_some(), "{name}");
            assert_eq!(bench.job(behind).status(), Status::Queued, "{name}");
        }
        assert!(bench.stop().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_interrupts_a_job_between_two_batches_and_the_next_start_goes_on() {
    // At the last one nothing but the report is left to do.
    for at in [0, 1, 5] {
        let mut bench = seeded().await;
        let (gate, mut hook) = Gate::new();
        bench.store.on_apply(move |n| {
            if n == at {
                hook();
            }
            Ok(())
        });
        let id = bench.submit(Operation::Delete, &mixed()).await;
        gate.arrived().await;
        bench.service.drain();
        let refused = bench.try_submit("local", Operation::Create, &text(0..1)).await;
        assert_eq!(refused.unwrap_err().code, Code::Draining);
        gate.open();
        assert!(bench.stop().await);
        let job = bench.job(id);
        let position = bench.store.memory.cursor(id).unwrap().position;
        assert_eq!((job.status(), position), (Status::Processing, (7 * (at + 1)).min(36)));
        assert_eq!(bench.count(id, |kind| matches!(kind, EventKind::AttemptFailed { .. })), 0);
        bench.start();
        let job = bench.wait_end(id).await;
        assert_eq!(job.outcome(), Some(Outcome::Partial));
        let applied = job.applied;
        assert_eq!(applied.processed.redacted + applied.errors.redacted, 36);
        assert_eq!(bench.live(), [40 - applied.rows_applied; 2]);
        assert_eq!(applied.rows_applied, 18);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_takes_too_long_is_no_failure() {
    for fails in [false, true] {
        let mut bench = seeded().await;
        let (gate, mut hook) = Gate::new();
        bench.store.on_apply(move |n| {
            if n != 1 {
                return Ok(());
            }
            hook();
            if fails { Err(transient()) } else { Ok(()) }
        });
        let id = bench.submit(Operation::Create, &text(100..150)).await;
        gate.arrived().await;
        bench.service.drain();
        let engine = bench.service.engine().unwrap();
        let soon = std::time::Instant::now() + Duration::from_millis(20);
        assert!(!engine.close(soon).await.unwrap());
        gate.open();
        until(|| engine.is_drained()).await;
        assert_eq!(bench.poison.reason(), None);
        bench.start();
        assert_eq!(bench.wait_end(id).await.outcome(), Some(Outcome::Succeeded));
        assert_eq!(bench.live(), [90, 90]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_jobs_that_wait() {
    let bench = Bench::with(|config| {
        config.engine.retry_min = Duration::from_hours(1);
        config.engine.retry_max = Duration::from_hours(1);
    });
    bench.store.on_apply(|_| Err(transient()));
    let id = bench.submit(Operation::Create, &text(0..9)).await;
    bench.submit(Operation::Create, &text(0..9)).await;
    bench.wait(id, |job| job.retry_at_us.is_some()).await;
    let began = std::time::Instant::now();
    assert!(bench.stop().await);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_missing_at_the_start_fails_its_job_with_the_reason() {
    let begun = vec![EventKind::DeQueued, EventKind::ValidationStarted];
    for kinds in [vec![], begun] {
        let mut bench = Bench::down(|_| {});
        let id = leave(&bench, Operation::Delete, &text(0..5), kinds);
        let next = leave(&bench, Operation::Create, &text(0..5), vec![]);
        fs::remove_file(bench.payload(id)).unwrap();
        bench.start();
        let job = bench.wait_end(id).await;
        assert_eq!(job.outcome(), Some(Outcome::Failed));
        let failure = job.failure.unwrap();
        assert_eq!(
            (failure.code, &*failure.message),
            (Code::FileDamaged, "the payload is missing")
        );
        bench.wait_end(next).await;
        assert_eq!(bench.live(), [5, 5]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_lost_while_a_job_is_half_applied_holds_it() {
    let mut bench = Bench::new();
    let (gate, mut hook) = Gate::new();
    bench.store.on_apply(move |n| {
        if n == 2 {
            hook();
        }
        Ok(())
    });
    let id = bench.submit(Operation::Create, &text(0..40)).await;
    gate.arrived().await;
    bench.service.drain();
    gate.open();
    assert!(bench.stop().await);
    fs::remove_file(bench.payload(id)).unwrap();
    bench.start();
    let job = bench.wait(id, |job| job.held).await;
    assert_eq!(job.failure.unwrap().code, Code::FileDamaged);
    assert_eq!(bench.live(), [21, 21]);
    assert!(bench.cancel(id).await);
    let job = bench.wait_end(id).await;
    assert_eq!((job.outcome(), job.applied.rows_applied), (Some(Outcome::Cancelled), 21));
    assert_eq!(bench.report(id).await.len(), 2 * 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_sweeps_what_no_unfinished_job_needs() {
    let mut bench = Bench::down(|_| {});
    // A crash between the end of a job and the removal of its files.
    let ended = EventKind::Completed(Box::new(crate::activity::fail(Some(failure()))));
    let begun = [EventKind::DeQueued, EventKind::ValidationStarted, ended];
    let ended = leave(&bench, Operation::Create, &text(0..5), begun.to_vec());
    // A crash between payload and journal, and files of a job that nobody knows.
    let unknown = JobId::generate();
    fs::write(bench.payload(unknown), "left").unwrap();
    let waiting = leave(&bench, Operation::Create, &text(0..5), vec![]);
    for id in [ended, unknown, waiting] {
        fs::create_dir_all(bench.work(id)).unwrap();
        fs::write(bench.work(id).join("keys"), "left").unwrap();
    }
    fs::create_dir_all(bench.dir.path().join("reports")).unwrap();
    let report = bench.dir.path().join(format!("reports/{ended}.tsv"));
    fs::write(&report, "left").unwrap();
    bench.start();
    for id in [ended, unknown] {
        assert!(!bench.work(id).exists() && !bench.payload(id).exists());
    }
    assert!(!report.exists());
    assert_eq!(bench.report(ended).await.len(), 1);
    assert_eq!(bench.wait_end(waiting).await.outcome(), Some(Outcome::Succeeded));
    assert_eq!(bench.live(), [5, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_put_back_in_submit_order() {
    let mut bench = Bench::down(|_| {});
    // The first one runs already; each undoes or redoes what the one before it did.
    let begun = vec![EventKind::DeQueued, EventKind::ValidationStarted];
    let mut ids = vec![leave(&bench, Operation::Create, &text(0..30), begun)];
    for n in 0..9 {
        let operation = if n % 2 == 0 { Operation::Delete } else { Operation::Create };
        ids.push(leave(&bench, operation, &text(0..30), vec![]));
    }
    bench.start();
    for id in ids {
        let job: Job = bench.wait_end(id).await;
        assert_eq!(job.spec.tenant, Tenant::local());
        assert_eq!(job.outcome(), Some(Outcome::Succeeded));
    }
    assert_eq!(bench.live(), [0, 0]);
}
