//! Small jobs in groups: each comes to what it would come to by itself, whatever gets in the way.

use std::{fs, sync::Arc};

use super::{
    parts::transient,
    support::{Bench, Gate, text, text_with_errors, until},
};
use crate::{
    domain::{
        Applied, EventKind, Job, JobId, Operation, Outcome, PerStorage, Status, Validated, testing,
    },
    engine::ReportRow,
    error::Code,
    journal::{Change, Journal},
    records,
};

/// Jobs of one lane, each of which finds what the ones before it left: with rows that are not valid,
/// that are live already, or that are not there.
fn jobs() -> Vec<(Operation, Vec<u8>)> {
    use Operation::{Create, Delete, Update};
    let clean = |rows| text(rows);
    vec![
        (Create, clean(0..4)),
        (Create, text_with_errors(2..8, |n| n == 5)),
        (Update, clean(6..10)),
        (Delete, clean(0..3)),
        (Delete, clean(0..4)),
        (Create, b"vax_event_id\nE1\n".to_vec()),
        (Create, clean(2..3)),
        (Delete, clean(100..101)),
    ]
}

type Found = (Option<Outcome>, Validated, Applied, Vec<ReportRow>);

async fn found(bench: &Bench, id: JobId) -> Found {
    let job = bench.wait_end(id).await;
    // A small job has no keys file.
    let validated = Validated { keys_length: 0, ..job.validated };
    (job.outcome(), validated, job.applied, bench.report(id).await)
}

async fn all_found(bench: &Bench, ids: &[JobId]) -> Vec<Found> {
    let mut all = Vec::new();
    for id in ids {
        all.push(found(bench, *id).await);
    }
    all
}

/// What the jobs come to by themselves, one after the other, from files.
async fn alone() -> (Vec<Found>, [u64; 2]) {
    let bench = Bench::new();
    let mut all = Vec::new();
    for (operation, mut file) in jobs() {
        // Empty lines count for nothing but the number of lines.
        file.extend(b"\n".repeat(crate::limits::SMALL_PAYLOAD_BYTES_MAX));
        let id = bench.submit(operation, &file).await;
        assert!(!bench.job(id).spec.payload.inline);
        let (outcome, validated, applied, report) = found(&bench, id).await;
        all.push((outcome, Validated { line: 0, ..validated }, applied, report));
    }
    (all, bench.live())
}

fn without_lines(found: Vec<Found>) -> Vec<Found> {
    let zero = |(outcome, validated, applied, report): Found| {
        (outcome, Validated { line: 0, ..validated }, applied, report)
    };
    found.into_iter().map(zero).collect()
}

/// A daemon with one worker, and jobs that wait for it behind another tenant's.
async fn waiting() -> (Bench, Vec<JobId>, Gate) {
    waiting_for(|_| Ok(())).await
}

/// The same; each call of the store after the first does as told.
async fn waiting_for(
    mut applying: impl FnMut(u64) -> Result<(), records::Error> + Send + 'static,
) -> (Bench, Vec<JobId>, Gate) {
    let bench = Bench::with(|config| {
        (config.engine.workers, config.engine.express_workers) = (1, 0);
        config.engine.max_attempts = 10;
    });
    let (gate, mut hook) = Gate::new();
    bench.store.on_apply(move |n| {
        if n == 0 {
            hook();
            return Ok(());
        }
        applying(n)
    });
    bench.submit_as("first", Operation::Create, &text(0..1)).await;
    gate.arrived().await;
    let mut ids = Vec::new();
    for (operation, file) in jobs() {
        ids.push(bench.submit(operation, &file).await);
    }
    (bench, ids, gate)
}

/// Holds the next call of the store up.
fn shut(bench: &Bench) -> Gate {
    let (gate, mut hook) = Gate::new();
    bench.store.on_apply(move |n| {
        if n == 0 {
            hook();
        }
        Ok(())
    });
    gate
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_group_share_their_commits_and_come_to_what_each_would_by_itself() {
    let (alone, live) = alone().await;
    let (bench, ids, gate) = waiting().await;
    let before = bench.journal.commits();
    gate.open();
    assert_eq!(without_lines(all_found(&bench, &ids).await), alone);
    assert_eq!(bench.live(), live);
    // The end of the first tenant's job, all claims, all ends.
    assert_eq!(bench.journal.commits() - before, 3);
    let whole = ["submitted", "de-queued", "validation-started", "processing-started", "completed"];
    assert_eq!(bench.events(ids[0]), whole);
    assert_eq!(bench.events(ids[1]), whole);
    assert_eq!(bench.events(ids[5]), [&whole[..3], &whole[4..]].concat());
    assert!(bench.stop().await);
    bench.journal.verify().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_commit_of_a_group_changes_nothing_of_what_its_jobs_come_to() {
    let (alone, live) = alone().await;
    for at in 0..3 {
        for stored in [false, true] {
            let (mut bench, ids, gate) = waiting().await;
            bench.journal.die_after(at, stored);
            gate.open();
            bench.bury().await;
            let applied = bench.live() == live;
            assert_eq!(applied, at == 2, "{at}");
            bench.start();
            assert_eq!(without_lines(all_found(&bench, &ids).await), alone, "{at} {stored}");
            assert_eq!(bench.live(), live);
            assert!(bench.stop().await);
            bench.journal.verify().unwrap();
        }
    }
}

/// Jobs that were applied when the process ended, but not told to be.
async fn cut_off() -> (Bench, Vec<JobId>) {
    let (bench, ids, gate) = waiting().await;
    bench.journal.die_after(2, false);
    gate.open();
    bench.bury().await;
    assert!(ids.iter().all(|id| bench.job(*id).status() == Status::Validating));
    (bench, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_of_a_job_whose_rows_took_effect_says_so() {
    let (alone, live) = alone().await;
    for held in [false, true] {
        let (mut bench, ids) = cut_off().await;
        for id in &ids {
            let mut job = bench.job(*id);
            let mut events = Vec::new();
            let failed = EventKind::Held(testing::failure());
            for kind in held.then_some(failed).into_iter().chain([EventKind::CancelRequested]) {
                let event = testing::event(&job, kind);
                job = job.next(&event).unwrap();
                events.push(event);
            }
            let change = Change { job: Arc::new(job), events, payload: None };
            bench.journal.revive();
            bench.journal.memory.commit(&[change]).unwrap();
        }
        bench.start();
        for (id, (_, validated, applied, report)) in ids.iter().zip(&alone) {
            let job = bench.wait_end(*id).await;
            assert_eq!(job.outcome(), Some(Outcome::Cancelled));
            assert_eq!(job.applied, *applied, "{held}");
            if job.applied.position > 0 {
                assert_eq!(job.validated.rows, validated.rows);
                assert_eq!(bench.report(*id).await, *report);
            } else {
                assert_eq!(job.validated, Validated::default());
            }
        }
        assert_eq!(bench.live(), live);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_that_was_lowered_since_does_not_undo_what_took_effect() {
    let (alone, live) = alone().await;
    let (mut bench, ids) = cut_off().await;
    bench.config.intake.max_rows = 1;
    bench.start();
    let found = without_lines(all_found(&bench, &ids).await);
    for (found, alone) in found.iter().zip(&alone) {
        let applied = alone.2.position > 0;
        assert_eq!(found == alone, applied || alone.0 == Some(Outcome::Failed), "{found:?}");
    }
    assert_eq!(bench.live(), live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_comes_while_a_group_applies_finds_its_rows_applied() {
    let bench = Bench::new();
    let gate = shut(&bench);
    let id = bench.submit(Operation::Create, &text(0..3)).await;
    gate.arrived().await;
    assert!(bench.cancel(id).await);
    gate.open();
    let job = bench.wait_end(id).await;
    assert_eq!((job.outcome(), job.applied.rows_applied), (Some(Outcome::Cancelled), 3));
    assert_eq!(bench.live(), [3, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_of_one_job_leaves_the_others_of_its_group_alone() {
    let (bench, ids, gate) = waiting().await;
    // In the queue, and when it is claimed but not applied.
    assert!(bench.cancel(ids[1]).await);
    let (validating, mut hook) = Gate::new();
    bench.store.on_key(move |n| {
        if n == 0 {
            hook();
        }
    });
    gate.open();
    validating.arrived().await;
    assert!(bench.cancel(ids[2]).await);
    validating.open();
    for (n, id) in ids.iter().enumerate() {
        let job = bench.wait_end(*id).await;
        assert_eq!(job.outcome() == Some(Outcome::Cancelled), [1, 2].contains(&n), "{n}");
        if [1, 2].contains(&n) {
            assert_eq!((job.validated, job.applied), Default::default());
        }
    }
    let queued = ["submitted", "cancel-requested", "completed"];
    assert_eq!(bench.events(ids[1]), queued);
    // 0..4 were created, 0..4 deleted, 2 made again.
    assert_eq!(bench.live(), [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_cannot_be_applied_is_run_again_job_by_job_in_order() {
    let (alone, live) = alone().await;
    let (bench, ids, gate) = waiting_for(|n| if n == 1 { Err(transient()) } else { Ok(()) }).await;
    gate.open();
    assert_eq!(without_lines(all_found(&bench, &ids).await), alone);
    assert_eq!(bench.live(), live);
    let failed = |kind: &EventKind| matches!(kind, EventKind::AttemptFailed { .. });
    assert_eq!(bench.count(ids[0], failed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_written_holds_up_its_lane_and_no_other() {
    let bench = Bench::with(|config| {
        (config.engine.workers, config.engine.express_workers) = (1, 0);
        config.engine.max_attempts = 1_000;
    });
    let gate = shut(&bench);
    bench.submit_as("first", Operation::Create, &text(0..1)).await;
    gate.arrived().await;
    let (reports, away) = (bench.dir.path().join("reports"), bench.dir.path().join("away"));
    fs::rename(&reports, &away).unwrap();
    let before = bench.submit(Operation::Create, &text(0..2)).await;
    let bad = bench.submit(Operation::Create, &text_with_errors(2..4, |n| n == 2)).await;
    let behind = bench.submit(Operation::Delete, &text(3..4)).await;
    let other = bench.submit_as("other", Operation::Create, &text(0..2)).await;
    gate.open();
    for id in [before, other] {
        assert_eq!(bench.wait_end(id).await.outcome(), Some(Outcome::Succeeded));
    }
    let job = bench.wait(bad, |job| job.failure.is_some()).await;
    assert_eq!(job.failure.unwrap().code, Code::JobIo);
    assert!(!bench.job(behind).is_terminal());
    assert_eq!(bench.live(), [2, 2]);
    fs::rename(&away, &reports).unwrap();
    assert_eq!(bench.wait_end(bad).await.outcome(), Some(Outcome::Partial));
    let behind = bench.wait_end(behind).await;
    assert_eq!(behind.applied.processed, PerStorage { non_redacted: 1, redacted: 1 });
    assert_eq!(bench.report(bad).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_the_process_down_does_not_take_its_group_down_for_ever() {
    let mut bench = Bench::down(|config| {
        (config.engine.workers, config.engine.express_workers) = (1, 0);
    });
    bench.store.panic_at(b"deadly");
    bench.start();
    let gate = shut(&bench);
    bench.submit_as("first", Operation::Create, &text(0..1)).await;
    gate.arrived().await;
    let deadly = b"vax_event_id\ndeadly\n";
    let good = bench.submit_as("a", Operation::Create, &text(0..2)).await;
    let bad = bench.submit_as("b", Operation::Delete, deadly).await;
    let late = bench.submit_as("c", Operation::Create, &text(0..2)).await;
    gate.open();
    for _ in 0..3 {
        bench.bury().await;
        bench.start();
    }
    for id in [good, late] {
        assert_eq!(bench.wait_end(id).await.outcome(), Some(Outcome::Succeeded));
    }
    let job: Job = bench.wait(bad, |job| job.held).await;
    assert_eq!(job.failure.unwrap().code, Code::JobHeld);
    assert!(bench.cancel(bad).await);
    let job = bench.wait_end(bad).await;
    assert_eq!((job.outcome(), job.validated), (Some(Outcome::Cancelled), Validated::default()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_a_group_come_to_its_end() {
    let bench = Bench::new();
    let gate = shut(&bench);
    let id = bench.submit(Operation::Create, &text(0..3)).await;
    gate.arrived().await;
    bench.service.drain();
    gate.open();
    assert!(bench.stop().await);
    assert_eq!(bench.job(id).outcome(), Some(Outcome::Succeeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_forgets_cursors_of_jobs_that_have_ended() {
    use crate::records::RecordStore;
    let mut bench = Bench::new();
    let id = bench.submit(Operation::Create, &text(0..3)).await;
    bench.wait_end(id).await;
    assert!(bench.stop().await);
    // A crash brings back what was not yet removed durably.
    let tenant = crate::domain::Tenant::local();
    let batch = crate::records::Batch {
        job: id,
        tenant: &tenant,
        operation: Operation::Delete,
        storages: crate::domain::StorageSet::EMPTY,
        position: 0,
        entries: &[crate::records::Entry {
            key: bench.store.memory.key(b"x"),
            line: 2,
            row: crate::records::Row::Cells(b""),
        }],
    };
    bench.store.memory.apply(&batch).unwrap();
    assert_eq!(bench.store.memory.remembered().unwrap(), [id]);
    bench.start();
    until(|| bench.store.memory.remembered().unwrap().is_empty()).await;
}
