//! An abort at every named point of `cvrsd::failpoint`, the first, second and fifth time that the daemon comes
//! by. A point that is never reached fails, so none can be added without being walked.
//!
//! `CVRSD_POINT_HITS` (`1,2,5`) names other times.

use std::{
    path::Path,
    process::ExitStatus,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cvrsd::{
    cvrs::sample::{Model as People, Sample},
    failpoint::Point,
    proto::jobs::Operation,
};

use super::{
    ENV, Place, Script, Step, Watched, check, submit_through_kills,
    support::{self, jobs::Upload, model::Model},
    watch_through_kills,
};

/// Rows of a large job: above the number from which on they are staged.
const LARGE: u64 = 12_000;
/// One-row jobs, one after the other, before and behind the large ones.
const SMALL: u64 = 3;

#[test]
fn nothing_is_lost_or_doubled_by_an_abort_at_any_point() {
    let hits = std::env::var("CVRSD_POINT_HITS").unwrap_or("1,2,5".to_owned());
    let hits: Vec<u64> = hits.split(',').map(|text| text.parse().unwrap()).collect();
    let mut never = Vec::new();
    for point in Point::ALL {
        let reached: Vec<u64> = hits.iter().copied().filter(|n| walk(*point, *n)).collect();
        println!("{}: aborted at {reached:?} of {hits:?}", point.as_str());
        if reached.is_empty() {
            never.push(point.as_str());
        }
    }
    assert!(never.is_empty(), "never reached: {never:?}");
}

/// Runs the script on a daemon that aborts there; whether it came there so often.
fn walk(point: Point, hits: u64) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let place = Arc::new(Place { daemon: Mutex::default(), address: Mutex::default() });
    let (steps, model) = script();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // So that a start finds something.
    place.start(dir.path());
    runtime.block_on(submit_through_kills(&place, &steps[0]));
    place.kill();

    let armed = format!("{}:{hits}", point.as_str());
    let mut reached = start_armed(&place, dir.path(), &armed);
    let stop = AtomicBool::new(false);
    let (done, watched) = std::thread::scope(|scope| {
        let keeper = scope.spawn(|| keep_alive(&place, dir.path(), &stop));
        let driven = runtime.block_on(drive(&place, steps));
        stop.store(true, Ordering::Release);
        reached |= keeper.join().unwrap();
        driven
    });
    runtime.block_on(check(&place, &done, &watched, &model));
    let daemon = place.daemon.lock().unwrap().take().unwrap();
    assert!(daemon.stop().success(), "{armed}");
    reached
}

/// Whether the daemon aborted before it was ready; then another one is there.
fn start_armed(place: &Place, dir: &Path, armed: &str) -> bool {
    let env: Vec<_> = ENV.iter().copied().chain([("CVRSD_FAILPOINT", armed)]).collect();
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

async fn drive(place: &Place, steps: Vec<Step>) -> (Vec<(String, Step)>, Watched) {
    let (mut done, mut watched) = (Vec::new(), Watched::new());
    for step in steps {
        let job_id = submit_through_kills(place, &step).await;
        watched.insert(job_id.clone(), watch_through_kills(place, &job_id).await);
        done.push((job_id, step));
    }
    (done, watched)
}

/// Large and small jobs that create and delete: with rows that are invalid, ids twice and ids that are not
/// there.
fn script() -> (Vec<Step>, Model) {
    let sample = Sample::new(1, People::Identified);
    let mut script = Script { model: Model::default(), sample, next: 0 };
    let mut steps = vec![step(&mut script, Operation::Create, 0, LARGE)];
    let small = |script: &mut Script, operation| {
        let step = |n| step(script, operation, 20_006 + n, 2);
        (0..SMALL).map(step).collect::<Vec<_>>()
    };
    steps.extend(small(&mut script, Operation::Create));
    steps.push(step(&mut script, Operation::Delete, LARGE / 4, LARGE));
    steps.extend(small(&mut script, Operation::Delete));
    (steps, script.model)
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
