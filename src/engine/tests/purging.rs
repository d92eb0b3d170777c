//! What is purged when, and who notices.

use std::{sync::Arc, time::Duration};

use super::support::{Bench, caller, text, text_with_errors, until};
use crate::{
    clock,
    config::Clock,
    domain::{Job, JobId, Operation, Status, Submitted, testing::submitted},
    engine::ListQuery,
    error::Code,
    journal::Journal,
    limits::PURGE_STEP_JOBS,
    watch::Message,
};

const DAY: Duration = Duration::from_hours(24);
const DAY_US: i64 = 24 * 3_600 * 1_000_000;

/// Reports are kept a day, jobs two; nothing is purged but when it is asked for.
fn kept() -> Bench {
    Bench::with(|config| {
        config.retention.reports = Clock::After(Duration::from_hours(24));
        config.retention.jobs = Clock::After(Duration::from_hours(48));
    })
}

/// A job with errors that has ended.
async fn ended(bench: &Bench) -> Job {
    let id = bench.submit(Operation::Create, &text_with_errors(0..9, |n| n % 3 == 0)).await;
    bench.wait_end(id).await
}

/// Purges as if so many days had passed since the end of that job, and a moment.
async fn purge(bench: &Bench, job: &Job, days: i64) {
    let now_us = job.end_time_us.unwrap() + days * DAY_US + 1;
    let service = bench.service.clone();
    tokio::task::spawn_blocking(move || service.engine().unwrap().purge(now_us))
        .await
        .unwrap()
        .unwrap();
}

impl Bench {
    fn report_file(&self, id: JobId) -> std::path::PathBuf {
        self.dir.path().join("reports").join(format!("{id}.tsv"))
    }

    async fn code_of_get(&self, id: JobId) -> Option<Code> {
        self.service.get(&caller("local"), id).await.err().map(|e| e.code)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_goes_before_its_job_and_each_when_its_clock_has_run_out() {
    let bench = kept();
    let job = ended(&bench).await;
    let id = job.spec.id;
    purge(&bench, &job, 0).await;
    assert_eq!(bench.report(id).await.len(), 3);
    purge(&bench, &job, 1).await;
    assert!(!bench.report_file(id).exists());
    let refused = bench.service.report(&bench.job(id)).await.unwrap_err();
    assert_eq!(refused.code, Code::ReportPurged);
    assert_eq!(bench.code_of_get(id).await, None);
    purge(&bench, &job, 2).await;
    assert_eq!(bench.code_of_get(id).await, Some(Code::JobNotFound));
    let refused = bench.service.report(&job).await.unwrap_err();
    assert!(matches!(refused.code, Code::ReportPurged | Code::JobNotFound), "{refused}");
    assert_eq!(*bench.store.purged.lock().unwrap(), [id]);
    assert_eq!(bench.journal.verify().unwrap(), 0);
    assert_eq!(bench.live(), [6, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_ended_is_never_purged() {
    let mut bench = kept();
    // It meets an error at each attempt until it is held.
    bench.store.on_apply(|_| Err(super::parts::transient()));
    let held = bench.submit(Operation::Create, &text(0..9)).await;
    let job = bench.wait(held, |job| job.held).await;
    for days in [1, 2, 10_000] {
        let now_us = job.update_time_us + days * DAY_US;
        let service = bench.service.clone();
        let purged =
            tokio::task::spawn_blocking(move || service.engine().unwrap().purge(now_us)).await;
        purged.unwrap().unwrap();
        assert_eq!(bench.job(held).status(), job.status());
    }
    assert!(bench.journal.payload(&job).unwrap().is_some());
    assert!(bench.stop().await);
    bench.start();
    assert_eq!(bench.job(held).seq, job.seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_a_report_open_reads_it_to_its_end() {
    let bench = kept();
    let job = ended(&bench).await;
    let mut reader = bench.service.report(&job).await.unwrap();
    purge(&bench, &job, 2).await;
    assert!(!bench.report_file(job.spec.id).exists());
    let mut rows = 0;
    while let Some(page) = reader.next_page().await.unwrap() {
        rows += page.len();
    }
    assert_eq!(rows, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_reads_the_events_of_a_purged_job_ends_with_not_found() {
    let bench = kept();
    let job = ended(&bench).await;
    let local = caller("local");
    let mut watcher = bench.service.watch(&local, job.spec.id, 1).await.unwrap();
    let mut snapshot = bench.service.watch(&local, job.spec.id, 0).await.unwrap();
    purge(&bench, &job, 2).await;
    assert_eq!(watcher.next().await.unwrap().unwrap_err().code, Code::JobNotFound);
    assert!(watcher.next().await.is_none());
    assert!(matches!(snapshot.next().await, Some(Ok(Message::Snapshot(_)))));
    let refused = bench.service.watch(&local, job.spec.id, 0).await.err().unwrap();
    assert_eq!(refused.code, Code::JobNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_goes_on_below_a_job_that_was_purged() {
    let bench = kept();
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(ended(&bench).await);
    }
    let local = caller("local");
    let list = async |page_size, page_token: &str| {
        let page_token = page_token.to_owned();
        let query = ListQuery { page_size, page_token, ..ListQuery::default() };
        bench.service.list(&local, query).await
    };
    let page = list(2, "").await.unwrap();
    assert_eq!(page.next_page_token, jobs[1].spec.id.to_string());
    // Two are purged: the one that the token names, and the one behind it.
    purge(&bench, &jobs[1], 2).await;
    let rest = list(2, &page.next_page_token).await.unwrap();
    assert_eq!((rest.jobs.len(), rest.next_page_token.as_str()), (0, ""));
    // The place of a purged job lies below those that came after it.
    let left = list(2, "").await.unwrap();
    assert_eq!(left.jobs.iter().map(|job| job.spec.id).collect::<Vec<_>>(), [jobs[2].spec.id]);
    let unknown = list(2, &JobId::generate().to_string()).await.unwrap_err();
    assert_eq!(unknown.code, Code::PageToken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_goes_from_the_newest_job_again_repeats_none() {
    let bench = kept();
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(ended(&bench).await);
        // Ids tell times by the millisecond.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    purge(&bench, &jobs[1], 2).await;
    let id = |n: usize| jobs[n].spec.id;
    let list = async |page_token: String| {
        let query = ListQuery { page_token, ..ListQuery::default() };
        bench.service.list(&caller("local"), query).await
    };
    // As where the way back to the place of job 1 takes more than one page.
    let page = list(format!("{}.{}", id(3), id(1))).await.unwrap();
    assert_eq!((page.jobs.len(), page.next_page_token.as_str()), (0, ""));
    for unknown in [format!("{}.{}", id(3), id(2)), format!("{}.x", id(3))] {
        assert_eq!(list(unknown).await.unwrap_err().code, Code::PageToken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_whose_job_arrives_during_a_purge_stays() {
    let bench = Bench::with(|config| config.retention.payloads = Clock::After(DAY));
    bench.service.pause(&caller("local"), None, String::new(), false).await.unwrap();
    let payload = |id: JobId| bench.dir.path().join("payloads").join(id.to_string());
    // More than a step of them, so that there is a rest between the look and the removal of the last.
    let ids: Vec<_> = (0..=PURGE_STEP_JOBS).map(|_| JobId::generate()).collect();
    for id in &ids {
        std::fs::write(payload(*id), "on its way").unwrap();
    }
    let late = *ids.last().unwrap();
    let (service, runtime) = (bench.service.clone(), tokio::runtime::Handle::current());
    let purge = move || {
        let engine = service.engine().unwrap();
        let mut spec = Some(Submitted { id: late, ..submitted(0) });
        let mut arrive = |_| {
            if let Some(spec) = spec.take() {
                runtime.block_on(engine.journal.submit(spec, None)).unwrap();
            }
            true
        };
        engine.purger.run(clock::now_us() + 10 * DAY_US, &mut arrive)
    };
    tokio::task::spawn_blocking(purge).await.unwrap().unwrap();
    assert_eq!(bench.job(late).status(), Status::Queued);
    assert!(ids.into_iter().all(|id| payload(id).exists()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_removed_keeps_no_job() {
    let bench = kept();
    let (stuck, job) = (ended(&bench).await, ended(&bench).await);
    let file = bench.report_file(stuck.spec.id);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    purge(&bench, &job, 2).await;
    for id in [stuck.spec.id, job.spec.id] {
        assert_eq!(bench.code_of_get(id).await, Some(Code::JobNotFound));
    }
    assert!(!bench.report_file(job.spec.id).exists());
}

/// However far a purge came, the next start ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_was_cut_off_is_finished_by_the_next_start() {
    for stored in [false, true] {
        let mut bench = kept();
        let job = ended(&bench).await;
        let id = job.spec.id;
        // The first commit is that of the report's time, the second the job's.
        bench.journal.die_after(1, stored);
        let service = bench.service.clone();
        let now_us = job.end_time_us.unwrap() + 2 * DAY_US + 1;
        let purged =
            tokio::task::spawn_blocking(move || service.engine().unwrap().purge(now_us)).await;
        assert!(purged.unwrap().is_err());
        assert!(bench.store.purged.lock().unwrap().is_empty());
        // As if its report had not been removed.
        std::fs::write(bench.report_file(id), "left").unwrap();
        bench.bury().await;
        bench.start();
        assert_eq!(bench.code_of_get(id).await, stored.then_some(Code::JobNotFound));
        assert_eq!(!bench.report_file(id).exists(), stored);
        assert_eq!(bench.store.purged.lock().unwrap().contains(&id), stored);
        purge(&bench, &job, 2).await;
        assert_eq!(bench.code_of_get(id).await, Some(Code::JobNotFound));
        assert!(!bench.report_file(id).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_thread_purges_by_itself_and_ends_with_a_drain() {
    let bench = Bench::with(|config| {
        config.retention.reports = Clock::After(Duration::from_secs(1));
        config.retention.jobs = Clock::After(Duration::from_secs(1));
    });
    let id = ended(&bench).await.spec.id;
    let journal = Arc::clone(&bench.journal);
    until(move || journal.job(id).unwrap().is_none()).await;
    assert!(bench.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_go_in_steps() {
    let bench = kept();
    let mut last = None;
    for _ in 0..70 {
        last = Some(bench.submit(Operation::Delete, &text(0..1)).await);
    }
    let job = bench.wait_end(last.unwrap()).await;
    purge(&bench, &job, 3).await;
    assert_eq!(bench.store.purged.lock().unwrap().len(), 70);
    assert_eq!(bench.journal.verify().unwrap(), 0);
    assert_eq!(bench.journal.purged().unwrap().jobs, 70);
    assert_eq!(job.status(), Status::Completed);
}
