//! A wall clock that jumps a day ahead and back while the daemon works. libfaketime stands between the daemon
//! and its clock; the monotonic clock goes on as it is.
//!
//! Where libfaketime is missing these tests check nothing, or fail if `CVRSD_NEED_FAKETIME` is 1;
//! `scripts/test.sh` installs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cvrsd::{
    clock,
    proto::jobs::{Job, ListJobsRequest, Operation, Outcome},
};
use prost_types::Timestamp;
use support::{
    Daemon, command, files,
    http::{JOBS, Server},
    jobs::{self, Client, Upload},
    ready, rows,
};
use tempfile::TempDir;

const DAY_S: i64 = 24 * 60 * 60;

/// The clock of a daemon.
struct Clock {
    dir: TempDir,
    library: PathBuf,
}

impl Clock {
    /// One that is right; `None` where there is no libfaketime.
    fn new() -> Option<Self> {
        let found = std::fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
        let mut places = found.map(|e| e.path().join("faketime/libfaketimeMT.so.1"));
        let Some(library) = places.find(|path| path.exists()) else {
            let needed = std::env::var("CVRSD_NEED_FAKETIME").is_ok_and(|value| value == "1");
            assert!(!needed, "libfaketime is not there, and CVRSD_NEED_FAKETIME is 1");
            eprintln!("SKIPPED: libfaketime is not there; on Debian: apt-get install faketime");
            return None;
        };
        let clock = Self { dir: tempfile::tempdir().unwrap(), library };
        clock.set(0);
        Some(clock)
    }

    /// Sets it so many days ahead.
    fn set(&self, days: i32) {
        let new = self.dir.path().join("new");
        std::fs::write(&new, format!("{days:+}d\n")).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("offset")
    }

    /// A daemon that goes by this clock. The library is loaded here and not by the command `faketime`, which
    /// would be a process between the test and the daemon: signals and process ids are the daemon's own.
    fn start(&self, data: &Path, args: &[&str], env: &[(&str, &str)]) -> Daemon {
        let mut command = command(data, args, env);
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", self.file())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        ready(data, command.spawn().unwrap())
    }
}

fn seconds(time: Option<&Timestamp>) -> i64 {
    time.unwrap().seconds
}

/// By how many days a job's time is ahead of the real clock.
fn days_ahead(job: &Job) -> i64 {
    let ahead = seconds(job.submit_time.as_ref()) - clock::now_us() / 1_000_000;
    (ahead + DAY_S / 2).div_euclid(DAY_S)
}

/// Every time of every event is at or behind that of the one before.
async fn check_times(client: &mut Client, id: &str) -> Job {
    let job = jobs::wait(client, id).await;
    let (events, ended) = jobs::watch(client, id, 1).await;
    ended.unwrap();
    let mut last = job.submit_time.unwrap();
    for event in &events {
        let now = event.job.as_ref().unwrap().update_time.unwrap();
        assert!(
            (now.seconds, now.nanos) >= (last.seconds, last.nanos),
            "{id}: {now:?} after {last:?}"
        );
        last = now;
    }
    let times = [job.submit_time, job.start_time, job.end_time, job.update_time];
    let times = times.map(|time| time.map(|t| (t.seconds, t.nanos)).unwrap());
    assert!(times.is_sorted(), "{id}: {times:?}");
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn jumps_of_a_day_change_no_order_and_no_time_goes_back_within_a_job() {
    let Some(clock) = Clock::new() else { return };
    let data = tempfile::tempdir().unwrap();
    let env = [("CVRSD__ENGINE__CHECKPOINT_ROWS", "500")];
    let mut daemon = clock.start(data.path(), &[], &env);
    let mut client = daemon.jobs().await;
    let mut ids = Vec::new();
    let mut days = [0, 1, 0, -1, 1, -1].into_iter().enumerate();
    for (number, day) in days.by_ref() {
        if number == 4 {
            // Between two runs of the daemon.
            assert!(daemon.stop().success());
            clock.set(day);
            daemon = clock.start(data.path(), &[], &env);
            client = daemon.jobs().await;
        }
        clock.set(day);
        let rows = (number as u64 * 20_000)..(number as u64 * 20_000 + 15_000);
        let upload = Upload::text(Operation::Create, &files::text(1, rows));
        let (id, _) = jobs::submit(&mut client, &upload).await.unwrap();
        assert_eq!(days_ahead(&jobs::get(&mut client, &id).await), i64::from(day));
        // While it is validated and applied.
        for jump in [1, -1, 0, day] {
            tokio::time::sleep(Duration::from_millis(30)).await;
            clock.set(jump);
        }
        ids.push(id);
    }
    for id in &ids {
        let job = check_times(&mut client, id).await;
        assert_eq!((job.outcome(), job.rows.unwrap().applied), (Outcome::Succeeded, 15_000));
    }
    let mut listed = Vec::new();
    let mut page_token = String::new();
    while listed.len() < ids.len() {
        let request = ListJobsRequest { page_size: 2, page_token, ..ListJobsRequest::default() };
        let page = client.list_jobs(request).await.unwrap().into_inner();
        listed.extend(page.jobs.into_iter().map(|job| job.job_id));
        page_token = page.next_page_token;
    }
    ids.reverse();
    assert_eq!(listed, ids, "newest submit first, whatever its time");
    assert!(daemon.stop().success());
}

#[test]
fn a_row_is_held_against_the_day_on_which_its_file_came() {
    let Some(clock) = Clock::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let daemon = clock.start(&dir.path().join("data"), &[], &[]);
    let server = Server { daemon, dir };
    // A day ahead of the submission date is still good.
    let in_two_days = clock::utc_day(clock::now_us() + 2 * DAY_S * 1_000_000).to_string();
    for (number, (day, valid)) in [(0, 0), (1, 1), (-1, 0), (1, 1)].into_iter().enumerate() {
        clock.set(day);
        let id = format!("EV{number}");
        let changes = [("vax_event_id", id.as_str()), ("admin_date", &in_two_days)];
        let job = server.run_full("POST", rows::file(&[rows::row(&changes)]));
        assert_eq!(job["rowsValid"], valid, "{day} days ahead: {job}");
    }
}

/// A job that waits for its next attempt, as its payload cannot be read; and that payload.
async fn waiting(daemon: &Daemon, client: &mut Client) -> (String, PathBuf, Vec<u8>) {
    // Behind another one, so that it does not begin before its payload is away.
    let first = Upload::zip(Operation::Create, &files::text(1, 0..50_000));
    jobs::submit(client, &first).await.unwrap();
    let upload = Upload::text(Operation::Create, &files::text(2, 0..50));
    let (id, _) = jobs::submit(client, &upload).await.unwrap();
    let payload = daemon.dir.join("payloads").join(&id);
    let bytes = std::fs::read(&payload).unwrap();
    std::fs::remove_file(&payload).unwrap();
    std::fs::create_dir(&payload).unwrap();
    let deadline = Instant::now() + support::PATIENCE;
    while jobs::get(client, &id).await.retry_time.is_none() {
        assert!(Instant::now() < deadline, "the job does not wait for an attempt");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (id, payload, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_comes_in_time_though_the_clock_is_put_back_also_between_two_runs() {
    let Some(clock) = Clock::new() else { return };
    let env = [("CVRSD__ENGINE__RETRY_MIN", "2s"), ("CVRSD__ENGINE__RETRY_MAX", "3s")];
    for restart in [false, true] {
        let data = tempfile::tempdir().unwrap();
        clock.set(0);
        let mut daemon = clock.start(data.path(), &[], &env);
        let mut client = daemon.jobs().await;
        let (id, payload, bytes) = waiting(&daemon, &mut client).await;
        clock.set(-1);
        std::fs::remove_dir(&payload).unwrap();
        std::fs::write(&payload, bytes).unwrap();
        let began = Instant::now();
        if restart {
            daemon.kill();
            daemon = clock.start(data.path(), &[], &env);
            client = daemon.jobs().await;
        }
        let job = check_times(&mut client, &id).await;
        assert_eq!(job.outcome(), Outcome::Succeeded);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "restarted {restart}: {took:?}");
        assert!(daemon.stop().success());
    }
}

#[test]
fn a_token_is_good_for_its_time_whatever_the_clock_was_when_it_was_made() {
    let Some(clock) = Clock::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("cvrsd.toml");
    let client = support::clients::block("C", "T", &["UPLOAD"], "");
    std::fs::write(&config, format!("[auth]\nmode = \"token\"\n{client}")).unwrap();
    let args = ["--config", config.to_str().unwrap()];
    let daemon = clock.start(&dir.path().join("data"), &args, &[]);
    let server = Server { daemon, dir };
    let token = || support::clients::token(&server, "C", &["UPLOAD"]);
    let status = |token: &str| server.call("GET", JOBS, &[("Authorization", token)], b"").status;
    let today = token();
    assert_eq!(status(&today), 200);
    clock.set(1);
    assert_eq!(status(&today), 401, "expired");
    let tomorrow = token();
    assert_eq!(status(&tomorrow), 200);
    clock.set(0);
    assert_eq!(status(&tomorrow), 401, "it would be good for a day");
    assert_eq!(status(&today), 200, "its time is not over");
    clock.set(-1);
    assert_eq!(status(&today), 401, "from a day ahead");
    let yesterday = token();
    assert_eq!(status(&yesterday), 200);
    clock.set(0);
    assert_eq!(status(&yesterday), 401);
    assert_eq!(status(&token()), 200);
}
