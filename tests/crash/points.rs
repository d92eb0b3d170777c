//! An abort at every named point of `cvrsd::failpoint`, the first, second and fifth time that the daemon comes
//! by, with two plans. A point that is never reached fails, so none can be added without being walked.
//!
//! `CVRSD_POINT_HITS` (`1,2,5`) names other times.

use std::{
    path::Path,
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cvrsd::{
    cvrs::sample::{Model as People, Sample},
    failpoint::Point,
    proto::jobs::{CancelJobRequest, GetJobRequest, Operation, Outcome},
};

use super::{
    PURGING, Place, Script, Step, Watched, check, submit_through_kills,
    support::{
        self,
        jobs::{self, Upload},
        model::{Expected, Model, STORAGES},
    },
    watch_through_kills,
};

/// Rows of a large job: above the number from which on they are staged.
const LARGE: u64 = 12_000;
/// Rows of a job that is cancelled, in several batches.
const CANCELLED: u64 = 7_000;
/// One-row jobs, one after the other, before and behind the large ones.
const SMALL: u64 = 3;

#[test]
fn nothing_is_lost_or_doubled_by_an_abort_at_any_point() {
    let hits = hits();
    let mut never = Vec::new();
    for point in Point::ALL.iter().filter(|point| !is_of_purge(**point)) {
        let mut reached = 0;
        for plan in [creates_and_deletes, updates_and_cancels] {
            let at: Vec<u64> = hits.iter().copied().filter(|n| walk(*point, *n, plan())).collect();
            println!("{}: aborted at {at:?} of {hits:?}", point.as_str());
            reached += at.len();
        }
        if reached == 0 {
            never.push(point.as_str());
        }
    }
    assert!(never.is_empty(), "never reached: {never:?}");
}

#[test]
fn a_purge_that_is_aborted_at_any_point_is_ended_and_takes_nothing_else_along() {
    let hits = hits();
    let mut never = Vec::new();
    for point in Point::ALL.iter().filter(|point| is_of_purge(**point)) {
        let at: Vec<u64> = hits.iter().copied().filter(|n| walk_purge(*point, *n)).collect();
        println!("{}: aborted at {at:?} of {hits:?}", point.as_str());
        if at.is_empty() {
            never.push(point.as_str());
        }
    }
    assert!(never.is_empty(), "never reached: {never:?}");
}

fn is_of_purge(point: Point) -> bool {
    point.as_str().starts_with("purge.")
}

fn hits() -> Vec<u64> {
    let hits = std::env::var("CVRSD_POINT_HITS").unwrap_or("1,2,5".to_owned());
    hits.split(',').map(|text| text.parse().unwrap()).collect()
}

/// What is done on a daemon.
struct Plan {
    /// Before it can abort, so that a start finds something.
    before: Vec<Step>,
    /// The rows of a create that is cancelled as soon as it is accepted.
    cancelled: Option<Vec<String>>,
    steps: Vec<Step>,
    model: Model,
}

/// What came of a plan.
#[derive(Default)]
struct Outcomes {
    steps: Vec<(String, Step)>,
    watched: Watched,
    cancelled: Option<(String, Vec<String>)>,
}

/// Carries the plan out on a daemon that aborts there; whether it came there so often.
fn walk(point: Point, hits: u64, mut plan: Plan) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let place = Arc::new(Place::default());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let armed = format!("{}:{hits}", point.as_str());
    let mut reached = false;
    let makes = point.as_str().starts_with("make.");
    if makes {
        reached = start_armed(&place, dir.path(), &armed);
    } else {
        place.start(dir.path());
    }
    let mut outcomes = Outcomes::default();
    runtime.block_on(drive(&place, std::mem::take(&mut plan.before), &mut outcomes));
    place.kill();
    if makes {
        place.start(dir.path());
    } else {
        reached = start_armed(&place, dir.path(), &armed);
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let keeper = scope.spawn(|| keep_alive(&place, dir.path(), &stop));
        runtime.block_on(async {
            if let Some(rows) = plan.cancelled.take() {
                cancel(&place, rows, &mut outcomes).await;
            }
            drive(&place, plan.steps, &mut outcomes).await;
        });
        stop.store(true, Ordering::Release);
        reached |= keeper.join().unwrap();
    });
    // Reading writes to the audit log, and could come to the point only now.
    place.kill();
    place.start(dir.path());
    runtime.block_on(async {
        if let Some((job_id, rows)) = outcomes.cancelled.take() {
            check_cancelled(&place, &job_id, &rows, &mut plan.model).await;
        }
        check(&place, &outcomes.steps, &outcomes.watched, &plan.model).await;
    });
    let daemon = place.daemon.lock().unwrap().take().unwrap();
    assert!(daemon.stop().success(), "{armed}");
    support::verify(dir.path());
    reached
}

/// Jobs that are purged as soon as they may be, on a daemon that aborts there; whether it came there so
/// often. What they did stays, and nothing else is left of them.
fn walk_purge(point: Point, hits: u64) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let place = Place { env: PURGING, ..Place::default() };
    let armed = format!("{}:{hits}", point.as_str());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut script = script();
    let mut steps = vec![step(&mut script, Operation::Create, 0, 1_000)];
    steps.extend(small(&mut script, Operation::Create));
    steps.push(step(&mut script, Operation::Delete, 300, 900));
    steps.extend(small(&mut script, Operation::Delete));
    let mut reached = start_armed(&place, dir.path(), &armed);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let keeper = scope.spawn(|| keep_alive(&place, dir.path(), &stop));
        runtime.block_on(async {
            let mut ids = Vec::new();
            for step in &steps {
                ids.push(submit_once(&place, step).await);
            }
            for id in ids {
                until_gone(&place, &id).await;
            }
        });
        stop.store(true, Ordering::Release);
        reached |= keeper.join().unwrap();
    });
    // A job is gone a moment before the last points of its purge.
    let ended = place.daemon.lock().unwrap().take().unwrap().stop();
    if !ended.success() {
        assert_aborted(ended);
        reached = true;
    }
    place.start(dir.path());
    let daemon = place.daemon.lock().unwrap().take().unwrap();
    runtime.block_on(script.model.check_live(&daemon.admin));
    support::wait_empty(dir.path(), &["reports", "payloads", "work", "spool"]);
    assert!(daemon.stop().success(), "{armed}");
    support::verify(dir.path());
    reached
}

/// Submits until it is answered.
async fn submit_once(place: &Place, step: &Step) -> String {
    loop {
        if let Some(mut client) = place.connect().await
            && let Ok((job_id, _)) = jobs::submit(&mut client, &step.upload).await
        {
            return job_id;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until there is no such job any more.
async fn until_gone(place: &Place, job_id: &str) {
    loop {
        let request = GetJobRequest { job_id: job_id.to_owned() };
        if let Some(mut client) = place.connect().await
            && let Err(status) = client.get_job(request).await
            && status.code() == tonic::Code::NotFound
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether the daemon aborted before it was ready; then another one is there.
fn start_armed(place: &Place, dir: &Path, armed: &str) -> bool {
    let env: Vec<_> = place.env.iter().copied().chain([("CVRSD_FAILPOINT", armed)]).collect();
    let mut child = support::spawn(dir, &env);
    if support::wait_ready(dir, &mut child).is_none() {
        assert_aborted(support::wait_exit(&mut child));
        place.start(dir);
        return true;
    }
    let daemon = support::ready(dir, child);
    place.address.lock().unwrap().clone_from(&daemon.grpc);
    *place.daemon.lock().unwrap() = Some(daemon);
    false
}

/// Starts another daemon where the one that there is has aborted; whether it had to.
fn keep_alive(place: &Place, dir: &Path, stop: &AtomicBool) -> bool {
    let mut aborted = false;
    while !stop.load(Ordering::Acquire) {
        let ended = place.daemon.lock().unwrap().as_mut().and_then(support::Daemon::ended);
        if let Some(status) = ended {
            assert!(!aborted, "the second daemon ended with {status}");
            assert_aborted(status);
            aborted = true;
            place.start(dir);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    aborted
}

/// As the point does it, and not as a failure does.
fn assert_aborted(status: ExitStatus) {
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(status.signal(), Some(6), "{status}");
}

async fn drive(place: &Place, steps: Vec<Step>, outcomes: &mut Outcomes) {
    for step in steps {
        let job_id = submit_through_kills(place, &step).await;
        let events = watch_through_kills(place, &job_id).await;
        outcomes.watched.insert(job_id.clone(), events);
        outcomes.steps.push((job_id, step));
    }
}

/// Submits those rows and cancels them, until an answer comes.
async fn cancel(place: &Place, rows: Vec<String>, outcomes: &mut Outcomes) {
    let text = [Sample::new(1, People::Identified).header_line(), &rows.join("\n")].join("\n");
    let upload = Upload::zip(Operation::Create, text.as_bytes()).request_id("cancelled");
    let step = Step { name: "cancelled".to_owned(), upload, expected: Expected::default() };
    let job_id = submit_through_kills(place, &step).await;
    loop {
        let request = CancelJobRequest { job_id: job_id.clone() };
        if let Some(mut client) = place.connect().await
            && client.cancel_job(request).await.is_ok()
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    watch_through_kills(place, &job_id).await;
    outcomes.cancelled = Some((job_id, rows));
}

/// Every row was applied in both storages, or left alone in both and told so. The model then has the applied.
async fn check_cancelled(place: &Place, job_id: &str, rows: &[String], model: &mut Model) {
    let mut client = place.connect().await.unwrap();
    let job = jobs::get(&mut client, job_id).await;
    let errors = jobs::errors(&mut client, job_id).await;
    assert!(matches!(job.outcome(), Outcome::Cancelled | Outcome::Succeeded), "{job:?}");
    let counts = job.rows.unwrap();
    let told = |storage: &str| -> Vec<u64> {
        let own = errors.iter().filter(|error| error.storage == storage);
        own.map(|error| error.line).collect()
    };
    let left = told(STORAGES[0]);
    assert_eq!(left, told(STORAGES[1]));
    assert!(errors.iter().all(|error| error.message == "not applied"));
    if counts.total == 0 {
        // Cancelled before it was validated.
        assert_eq!((job.outcome(), errors.len()), (Outcome::Cancelled, 0));
        return;
    }
    assert_eq!(counts.applied + left.len() as u64, rows.len() as u64);
    for (line, row) in (2..).zip(rows) {
        if !left.contains(&line) {
            let key = row.split('\t').next().unwrap().to_ascii_lowercase();
            model.live.insert(key, row.clone());
        }
    }
}

/// Large and small jobs: with rows that are invalid, ids twice and ids that are not there.
fn creates_and_deletes() -> Plan {
    let mut script = script();
    let before = vec![step(&mut script, Operation::Create, 0, 100)];
    let mut steps = vec![step(&mut script, Operation::Create, 0, LARGE)];
    steps.extend(small(&mut script, Operation::Create));
    steps.push(step(&mut script, Operation::Delete, LARGE / 4, LARGE));
    steps.extend(small(&mut script, Operation::Delete));
    Plan { before, cancelled: None, steps, model: script.model }
}

/// A create that is cancelled, then updates of a large part of what is there and of much that is not.
fn updates_and_cancels() -> Plan {
    let mut script = script();
    let before = vec![step(&mut script, Operation::Create, 0, LARGE)];
    let row = |index: u64| {
        let mut row = Vec::new();
        script.sample.write_row(index, &mut row);
        String::from_utf8(row).unwrap()
    };
    let cancelled = Some((50_000..50_000 + CANCELLED).map(row).collect());
    let mut steps = vec![step(&mut script, Operation::Update, 100, LARGE + 500)];
    steps.extend(small(&mut script, Operation::Update));
    steps.push(step(&mut script, Operation::Delete, 0, 3_000));
    Plan { before, cancelled, steps, model: script.model }
}

fn script() -> Script {
    Script { model: Model::default(), sample: Sample::new(1, People::Identified), next: 0 }
}

fn small(script: &mut Script, operation: Operation) -> Vec<Step> {
    (0..SMALL).map(|n| step(script, operation, 20_006 + n, 2)).collect()
}

fn step(script: &mut Script, operation: Operation, base: u64, count: u64) -> Step {
    let mut text = script.sample.header_line().as_bytes().to_vec();
    for row in script.rows(base, count) {
        text.push(b'\n');
        text.extend_from_slice(row.as_bytes());
    }
    let name = format!("point-{}", script.next);
    script.next += 1;
    let expected = script.model.apply(operation, &text);
    Step { upload: Upload::zip(operation, &text).request_id(&name), name, expected }
}
