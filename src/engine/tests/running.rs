//! Jobs that run, fail, and are tried again.

use std::{fs, time::Duration};

use super::{
    parts::transient,
    support::{Bench, text, text_with_errors, until},
};
use crate::{
    domain::{Applied, EventKind, Operation, Outcome, PerStorage, Status},
    error::Code,
    records,
};

#[tokio::test(flavor = "multi_thread")]
async fn jobs_run_to_their_end_and_leave_only_their_report() {
    let bench = Bench::new();
    let create = bench.submit(Operation::Create, &text(0..30)).await;
    let update = bench.submit(Operation::Update, &text_with_errors(20..40, |n| n == 25)).await;
    let delete = bench.submit(Operation::Delete, &text(10..23)).await;
    let created = bench.wait_end(create).await;
    assert_eq!(created.outcome(), Some(Outcome::Succeeded));
    assert_eq!(bench.report(create).await, []);
    let updated = bench.wait_end(update).await;
    assert_eq!(updated.outcome(), Some(Outcome::Partial));
    assert_eq!(updated.applied.processed, PerStorage { non_redacted: 9, redacted: 9 });
    assert_eq!(updated.applied.errors, PerStorage { non_redacted: 10, redacted: 10 });
    assert_eq!(bench.report(update).await.len(), 21);
    let deleted = bench.wait_end(delete).await;
    assert_eq!(deleted.applied.rows_applied, 13);
    assert_eq!(bench.live(), [17, 17]);
    let reports: Vec<_> = fs::read_dir(bench.dir.path().join("reports")).unwrap().collect();
    assert_eq!(reports.len(), 1);
    let begun = ["submitted", "de-queued", "validation-started"];
    assert_eq!(bench.events(delete)[..3], begun);
    assert_eq!(
        bench.events(delete)[3..],
        ["validation-advanced", "processing-started", "processing-advanced", "completed"]
    );
    assert!(bench.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_tenant_run_in_submit_order_whatever_their_size() {
    let bench = Bench::new();
    let mut ids = Vec::new();
    // Each finds what the one before it left.
    for n in 0..40_u64 {
        let rows = if n / 2 % 5 == 0 { 200 } else { 3 };
        let operation = if n % 2 == 0 { Operation::Create } else { Operation::Delete };
        ids.push(bench.submit(operation, &text(0..rows)).await);
    }
    let mut last_end = 0;
    for id in ids {
        let job = bench.wait_end(id).await;
        // Small ones that lie side by side begin and end together.
        assert!(job.start_time_us.unwrap() >= last_end || job.spec.payload.inline);
        assert!(job.end_time_us.unwrap() >= last_end);
        assert_eq!(job.outcome(), Some(Outcome::Succeeded));
        last_end = job.end_time_us.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_fails_with_its_reason_as_its_report() {
    let mut bench = Bench::with(|config| config.intake.max_rows = 20);
    // Checkpoints and a part of a report are there when the last row is found to be too many.
    let long = bench.submit(Operation::Create, &text_with_errors(0..21, |n| n < 9)).await;
    let strange = bench.submit(Operation::Create, b"vax_event_id\nE1\n").await;
    for (id, code) in [(long, Code::FileRows), (strange, Code::HeaderColumn)] {
        let job = bench.wait_end(id).await;
        assert_eq!(job.outcome(), Some(Outcome::Failed));
        assert_eq!((job.validated.rows, job.validated.errors), (0, 1));
        assert_eq!(job.failure.as_ref().unwrap().code, code);
        assert!(!bench.dir.path().join(format!("reports/{id}.tsv")).exists());
        for _ in 0..2 {
            let report = bench.report(id).await;
            assert_eq!(report.len(), 1);
            let message = &job.failure.as_ref().unwrap().message;
            let expected = format!("line#1: vaxEventId= recipId= field= message={message}");
            assert_eq!(report[0].text(), expected);
            assert_eq!(report[0].code, code.as_str());
            assert!(bench.stop().await);
            bench.start();
        }
    }
    assert_eq!(bench.live(), [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_fails_is_followed_by_another() {
    let bench = Bench::new();
    bench.store.on_apply(|n| if n < 2 { Err(transient()) } else { Ok(()) });
    let id = bench.submit(Operation::Create, &text(0..30)).await;
    let job = bench.wait_end(id).await;
    assert_eq!(job.outcome(), Some(Outcome::Succeeded));
    assert_eq!((job.applied.rows_applied, bench.live()), (30, [30, 30]));
    let events = bench.events(id);
    let at = events.iter().position(|name| *name == "attempt-failed").unwrap();
    assert_eq!(
        events[at..at + 4],
        ["attempt-failed", "attempt-started", "attempt-failed", "attempt-started"]
    );
    assert_eq!(job.failure, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_held_when_its_attempts_are_used_up() {
    let bench = Bench::new();
    bench.store.on_apply(|_| Err(transient()));
    let id = bench.submit(Operation::Create, &text(0..30)).await;
    let job = bench.wait(id, |job| job.held).await;
    assert_eq!((job.attempt, job.status()), (3, Status::Processing));
    assert_eq!(job.failure.as_ref().unwrap().code, Code::JobIo);
    assert_eq!(bench.count(id, |kind| matches!(kind, EventKind::AttemptFailed { .. })), 2);
    assert_eq!(bench.count(id, |kind| matches!(kind, EventKind::AttemptStarted)), 2);
    // It stays so, its lane waits, and others do not.
    let behind = bench.submit(Operation::Create, &text(40..50)).await;
    bench.store.unhook();
    let other = bench.submit_as("other", Operation::Create, &text(0..5)).await;
    bench.wait_end(other).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bench.job(id), job);
    assert_eq!(bench.job(behind).status(), Status::Queued);
    assert_eq!(bench.live(), [0, 0]);
    assert!(!bench.poison.is_tripped());
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_count_from_the_last_progress() {
    let bench = Bench::new();
    // More failures than attempts, but never two in a row.
    bench.store.on_apply(|n| if n % 2 == 0 { Err(transient()) } else { Ok(()) });
    let id = bench.submit(Operation::Create, &text(0..70)).await;
    let job = bench.wait_end(id).await;
    assert_eq!(job.outcome(), Some(Outcome::Succeeded));
    assert_eq!(bench.live(), [70, 70]);
    assert!(bench.count(id, |kind| matches!(kind, EventKind::AttemptFailed { .. })) > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_in_its_last_step_applies_nothing_twice() {
    let bench = Bench::with(|config| config.engine.max_attempts = 1_000);
    let seed = bench.submit(Operation::Create, &text(0..30)).await;
    bench.wait_end(seed).await;
    let (work, away) = (bench.dir.path().join("work"), bench.dir.path().join("away"));
    bench.store.on_misses(move |n| {
        if n == 0 {
            fs::rename(&work, &away).unwrap();
        }
    });
    let id = bench.submit(Operation::Delete, &text(20..50)).await;
    let waiting = bench.wait(id, |job| job.retry_at_us.is_some() || job.attempt > 2).await;
    assert_eq!(bench.live(), [20, 20]);
    assert!(!waiting.is_terminal());
    bench.hide_work(false);
    let job = bench.wait_end(id).await;
    assert_eq!(job.outcome(), Some(Outcome::Partial));
    assert_eq!(job.applied.processed, PerStorage { non_redacted: 10, redacted: 10 });
    assert_eq!(job.applied.errors, PerStorage { non_redacted: 20, redacted: 20 });
    assert_eq!(bench.report(id).await.len(), 40);
    assert_eq!(bench.live(), [20, 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_changes_under_a_job_fails_it_while_nothing_is_applied() {
    let bench = Bench::new();
    let dir = bench.dir.path().join("payloads");
    // Asked for when validation is done.
    bench.store.on_cursor(move |n| {
        if n == 0 {
            let payload = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
            let mut bytes = fs::read(&payload).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(payload, bytes).unwrap();
        }
    });
    let id = bench.submit(Operation::Create, &text_with_errors(0..30, |n| n == 4)).await;
    let job = bench.wait_end(id).await;
    assert_eq!(job.outcome(), Some(Outcome::Failed));
    assert_eq!(job.failure.as_ref().unwrap().code, Code::FileDamaged);
    assert_eq!((job.validated.rows, job.applied), (0, Applied::default()));
    assert_eq!(bench.report(id).await.len(), 1);
    assert_eq!(bench.live(), [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_store_that_fails_stops_the_daemon_without_a_word_of_success() {
    let bench = Bench::new();
    bench.store.on_apply(|n| {
        if n == 2 { Err(records::Error::Storage("disk on fire".to_owned())) } else { Ok(()) }
    });
    let id = bench.submit(Operation::Create, &text(0..70)).await;
    until(|| bench.poison.is_tripped()).await;
    assert!(bench.poison.reason().unwrap().contains("disk on fire"));
    let job = bench.job(id);
    assert_eq!((job.status(), job.applied.position), (Status::Processing, 14));
    assert_eq!(bench.count(id, |kind| matches!(kind, EventKind::AttemptFailed { .. })), 0);
    assert!(bench.try_submit("local", Operation::Create, &text(0..3)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_keeps_no_second_payload() {
    let bench = Bench::new();
    bench.store.on_apply(|_| Err(transient()));
    let request = |bytes: Vec<u8>| {
        let bench = &bench;
        async move {
            let request = super::super::SubmitRequest {
                operation: Operation::Create,
                media_type: crate::domain::MediaType::Text,
                encoding: crate::intake::Encoding::Identity,
                validate_only: false,
                request_id: Some("once".to_owned()),
                content_length: None,
                content_sha256: None,
            };
            let caller = super::support::caller("local");
            let mut submit = bench.service.begin(&caller, request).await.unwrap();
            submit.pump(futures_util::stream::iter([Ok(bytes.into())])).await.unwrap();
            submit.finish().await
        }
    };
    let first = request(text(0..19)).await.unwrap();
    let again = request(text(0..19)).await.unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(again.job.spec.id, first.job.spec.id);
    assert_eq!(request(text(0..18)).await.unwrap_err().code, Code::RequestConflict);
    assert_eq!(fs::read_dir(bench.dir.path().join("payloads")).unwrap().count(), 1);
}
