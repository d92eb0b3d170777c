//! Cancels, wherever the job is.

use std::{fs, sync::Arc, time::Duration};

use super::{
    parts::transient,
    support::{Bench, Gate, text, text_with_errors},
};
use crate::{
    domain::{Applied, EventKind, Job, JobId, Operation, Outcome, PerStorage, Status, Storage},
    error::Code,
};

/// Every valid row has one outcome in every storage, and the report tells of all without effect.
async fn check(bench: &Bench, job: &Job) {
    assert_eq!(job.outcome(), Some(Outcome::Cancelled));
    let report = bench.report(job.spec.id).await;
    for storage in Storage::ALL {
        let refused = *job.applied.errors.get(storage);
        assert_eq!(job.applied.processed.get(storage) + refused, job.validated.rows_valid);
        let told = report.iter().filter(|row| row.storage == Some(storage));
        assert_eq!(told.count() as u64, refused);
    }
}

fn not_applied(rows: u64) -> Applied {
    let errors = PerStorage { non_redacted: rows, redacted: rows };
    Applied { errors, ..Applied::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_the_queue_ends_at_once() {
    let bench = Bench::new();
    let (gate, mut hook) = Gate::new();
    bench.store.on_apply(move |n| {
        if n == 0 {
            hook();
        }
        Ok(())
    });
    let running = bench.submit(Operation::Create, &text(0..20)).await;
    let queued = bench.submit(Operation::Create, &text(20..30)).await;
    let last = bench.submit(Operation::Create, &text(30..35)).await;
    gate.arrived().await;
    assert!(bench.cancel(queued).await);
    let job = bench.wait_end(queued).await;
    check(&bench, &job).await;
    assert_eq!(bench.events(queued), ["submitted", "cancel-requested", "completed"]);
    assert!(!bench.cancel(queued).await);
    assert_eq!(bench.job(queued), job);
    gate.open();
    for id in [running, last] {
        assert_eq!(bench.wait_end(id).await.outcome(), Some(Outcome::Succeeded));
    }
    assert_eq!(bench.live(), [25, 25]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_validation_ends_with_nothing_counted() {
    let bench = Bench::new();
    // At its first row, and when there are checkpoints and errors already.
    for at in [0, 20] {
        let (gate, mut hook) = Gate::new();
        bench.store.on_key(move |n| {
            if n == at {
                hook();
            }
        });
        let id = bench.submit(Operation::Create, &text_with_errors(0..50, |n| n % 5 == 1)).await;
        gate.arrived().await;
        assert!(bench.cancel(id).await);
        assert!(bench.cancel(id).await, "it is still on its way");
        gate.open();
        let job = bench.wait_end(id).await;
        check(&bench, &job).await;
        assert_eq!((job.validated.rows, job.report_length), (0, 0));
        assert!(!bench.dir.path().join(format!("reports/{id}.tsv")).exists());
        assert_eq!(bench.count(id, |kind| matches!(kind, EventKind::CancelRequested)), 1);
    }
    // At its last row, after the last look at the flag; a small job is looked at once more.
    for (rows, applied) in [(20, not_applied(20)), (1, Applied::default())] {
        let (gate, mut hook) = Gate::new();
        bench.store.on_key(move |n| {
            if n == rows - 1 {
                hook();
            }
        });
        let id = bench.submit(Operation::Create, &text(0..rows)).await;
        gate.arrived().await;
        assert!(bench.cancel(id).await);
        gate.open();
        let job = bench.wait_end(id).await;
        check(&bench, &job).await;
        assert_eq!(job.applied, applied);
        assert_eq!(bench.live(), [0, 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_removed_while_it_is_asked_for_is_that_of_the_ended_job() {
    for lines_too_long in [false, true] {
        let bench = Bench::with(|config| config.intake.max_line_bytes = 2_000);
        let (gate, mut hook) = Gate::new();
        bench.store.on_key(move |n| {
            if n == 20 {
                hook();
            }
        });
        let mut text = text_with_errors(0..50, |n| n % 5 == 1);
        if lines_too_long {
            text.extend([b'x'; 2_001]);
        }
        let id = bench.submit(Operation::Create, &text).await;
        gate.arrived().await;
        let before = bench.job(id);
        assert!(before.validated.report_length > 0);
        if !lines_too_long {
            assert!(bench.cancel(id).await);
        }
        gate.open();
        let ended = bench.wait_end(id).await;
        assert_eq!(ended.report_length, 0);
        let mut reader = bench.service.report(&before).await.unwrap();
        let page = reader.next_page().await.unwrap();
        let codes: Vec<_> = page.into_iter().flatten().map(|row| row.code).collect();
        let failure = ended.failure.iter().map(|failure| failure.code.as_str().to_owned());
        assert_eq!(codes, failure.collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_file_fails_after_the_cancel_ends_cancelled() {
    let bench = Bench::with(|config| config.intake.max_line_bytes = 2_000);
    let (gate, mut hook) = Gate::new();
    bench.store.on_key(move |n| {
        if n == 0 {
            hook();
        }
    });
    let unreadable = [text(0..1), b"\n".to_vec(), vec![b'x'; 2_001]].concat();
    let id = bench.submit(Operation::Create, &unreadable).await;
    gate.arrived().await;
    assert!(bench.cancel(id).await);
    gate.open();
    let job = bench.wait_end(id).await;
    check(&bench, &job).await;
    assert_eq!((job.validated.rows, job.validated.errors, job.failure), (0, 0, None));

    // Behind validation, where the payload is lost.
    let (gate, mut hook) = Gate::new();
    bench.store.unhook();
    bench.store.on_cursor(move |n| {
        if n == 0 {
            hook();
        }
    });
    let id = bench.submit(Operation::Create, &text(0..30)).await;
    gate.arrived().await;
    fs::remove_file(bench.payload(id)).unwrap();
    assert!(bench.cancel(id).await);
    gate.open();
    let job = bench.wait_end(id).await;
    assert_eq!(job.outcome(), Some(Outcome::Cancelled));
    assert_eq!((job.applied, job.failure), (not_applied(30), None));
    assert!(!bench.poison.is_tripped());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_applies_stops_after_its_batch() {
    let bench = Bench::new();
    let batches = 10;
    for at in 0..batches {
        let (gate, mut hook) = Gate::new();
        bench.store.on_apply(move |n| {
            if n == at {
                hook();
            }
            Ok(())
        });
        let before = bench.live()[0];
        let rows = at * 100..at * 100 + 7 * batches;
        let id = bench.submit(Operation::Create, &text(rows)).await;
        gate.arrived().await;
        assert!(bench.cancel(id).await);
        gate.open();
        let job = bench.wait_end(id).await;
        check(&bench, &job).await;
        // The batch at hand is finished; after the last one nothing is left to stop.
        assert_eq!(job.applied.rows_applied, 7 * (at + 1));
        assert_eq!(bench.live(), [before + 7 * (at + 1); 2]);
        let report = bench.report(id).await;
        assert!(report.iter().all(|row| row.message == "not applied"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_its_retry_ends_at_once() {
    let bench = Bench::with(|config| {
        config.engine.retry_min = Duration::from_hours(1);
        config.engine.retry_max = Duration::from_hours(1);
    });
    bench.store.on_apply(|n| if n == 1 { Err(transient()) } else { Ok(()) });
    let id = bench.submit(Operation::Create, &text(0..30)).await;
    bench.wait(id, |job| job.retry_at_us.is_some()).await;
    assert!(bench.cancel(id).await);
    let job = bench.wait_end(id).await;
    check(&bench, &job).await;
    assert_eq!(job.applied.rows_applied, 7);
    let next = bench.submit(Operation::Delete, &text(0..7)).await;
    assert_eq!(bench.wait_end(next).await.outcome(), Some(Outcome::Succeeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_job_ends_and_its_lane_goes_on() {
    let bench = Bench::new();
    bench.store.on_apply(|n| if n == 0 { Ok(()) } else { Err(transient()) });
    let id = bench.submit(Operation::Create, &text(0..30)).await;
    bench.wait(id, |job| job.held).await;
    let behind = bench.submit(Operation::Delete, &text(0..7)).await;
    bench.store.unhook();
    assert!(bench.cancel(id).await);
    let job = bench.wait_end(id).await;
    check(&bench, &job).await;
    assert_eq!(job.applied.rows_applied, 7);
    assert_eq!(bench.wait_end(behind).await.outcome(), Some(Outcome::Succeeded));
    assert_eq!(bench.live(), [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_held_for_a_lost_payload_can_be_ended() {
    let bench = Bench::new();
    let payloads = bench.dir.path().join("payloads");
    bench.store.on_apply(move |n| {
        if n < 2 {
            return Ok(());
        }
        for file in fs::read_dir(&payloads).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        Err(transient())
    });
    let id = bench.submit(Operation::Create, &text(0..30)).await;
    let held = bench.wait(id, |job| job.held).await;
    let failure = held.failure.unwrap();
    assert_eq!((failure.code, &*failure.message), (Code::FileDamaged, "the payload is missing"));
    bench.store.unhook();
    assert!(bench.cancel(id).await);
    let job = bench.wait_end(id).await;
    check(&bench, &job).await;
    assert_eq!(job.applied.rows_applied, 14);
    let report = bench.report(id).await;
    assert!(report.iter().all(|row| row.vax_event_id.is_empty() && row.line > 15));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_that_cannot_end_is_tried_again_until_it_can() {
    let bench = Bench::with(|config| config.engine.max_attempts = 500);
    let (gate, mut hook) = Gate::new();
    bench.store.on_apply(move |n| {
        if n == 2 {
            hook();
        }
        Ok(())
    });
    let id = bench.submit(Operation::Create, &text(0..30)).await;
    gate.arrived().await;
    assert!(bench.cancel(id).await);
    bench.hide_work(true);
    gate.open();
    bench.wait(id, |job| job.attempt > 5).await;
    assert_eq!(bench.live(), [21, 21], "nothing more is applied");
    bench.hide_work(false);
    let job = bench.wait_end(id).await;
    check(&bench, &job).await;
    assert_eq!(job.applied.rows_applied, 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_whose_report_can_never_be_made_ends_with_its_counts() {
    let bench = Bench::new();
    bench.store.on_apply(|_| Err(transient()));
    let id = bench.submit(Operation::Create, &text(0..30)).await;
    bench.wait(id, |job| job.held).await;
    bench.hide_work(true);
    assert!(bench.cancel(id).await);
    let job = bench.wait_end(id).await;
    assert_eq!(job.outcome(), Some(Outcome::Cancelled));
    assert_eq!(job.applied, not_applied(30));
    assert_eq!(job.report_length, 0);
    assert!(bench.report(id).await.is_empty());
    assert!(!bench.poison.is_tripped());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_an_attempt_fails_is_carried_out() {
    for at in [0, 3] {
        let bench = Bench::with(|config| {
            config.engine.max_attempts = 1;
            config.engine.retry_min = Duration::from_hours(1);
            config.engine.retry_max = Duration::from_hours(1);
        });
        let (gate, mut hook) = Gate::new();
        bench.store.on_apply(move |n| {
            if n != at {
                return Ok(());
            }
            hook();
            Err(transient())
        });
        let id = bench.submit(Operation::Create, &text(0..30)).await;
        gate.arrived().await;
        assert!(bench.cancel(id).await);
        gate.open();
        let job = bench.wait_end(id).await;
        check(&bench, &job).await;
        assert_eq!(job.applied.rows_applied, 7 * at);
        assert_eq!(bench.job(id).status(), Status::Completed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_at_any_moment_either_counts_or_comes_too_late() {
    let bench = Arc::new(Bench::with(|config| config.engine.checkpoint_rows = 2));
    let mut cancels = Vec::new();
    for round in 0..150_u64 {
        let owner = format!("t{}", round % 3);
        let id =
            bench.submit_as(&owner, Operation::Create, &text(round * 20..round * 20 + 12)).await;
        let bench = Arc::clone(&bench);
        cancels.push(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_micros(fastrand::u64(0..8_000))).await;
            (id, bench.cancel(id).await)
        }));
    }
    let mut seen = [0, 0];
    let mut live: u64 = 0;
    for cancel in cancels {
        let (id, took_effect): (JobId, bool) = cancel.await.unwrap();
        let job = bench.wait_end(id).await;
        let expected = if took_effect { Outcome::Cancelled } else { Outcome::Succeeded };
        assert_eq!(job.outcome(), Some(expected), "{:?}", bench.events(id));
        seen[usize::from(took_effect)] += 1;
        if took_effect {
            check(&bench, &job).await;
        } else {
            assert_eq!(job.applied.rows_applied, 12);
        }
        live += job.applied.rows_applied;
    }
    println!("{} cancels came too late, {} in time", seen[0], seen[1]);
    let counts = crate::records::RecordStore::counts(&*bench.store, None).unwrap();
    assert_eq!(counts.iter().map(|count| count.2).sum::<u64>(), 2 * live);
    assert!(!bench.poison.is_tripped());
    crate::journal::Journal::verify(&*bench.journal).unwrap();
}
