//! Writes and syncs that fail: where a store met it the daemon ends with 70 within a second, answers
//! nothing more, and the next start finds everything that was answered.

use std::time::Instant;

use cvrsd::exit::Exit;

use crate::{
    sample,
    scene::{Run, STOPS_WITHIN, Scene},
    strace::{Call, Fault, Place, Point, SYNCS, WRITES},
    support::jobs,
};

/// The thread of sled whose failed sync sled only logs. Ours behind each commit is the one that counts: it
/// goes through a handle of its own, to which the kernel tells the same failure.
const SLED_FLUSHER: &str = "log flusher";
/// The thread of fjall that writes tables.
const FJALL_WORKER: &str = "fjall:worker";
/// Runs in which a commit must come through.
const TRIES: usize = 10;
/// The threads whose syncs are answered for. Those of the stores may sync another part of a file meanwhile.
const OURS: [&str; 2] = ["journal-committ", "worker-0"];

/// What strace makes of a call on a disk that breaks, and on a full one.
const BROKEN: &str = "error=EIO";
const FULL: &str = "error=ENOSPC";

/// Where a failed write or sync ends the daemon.
const STORES: [&str; 2] = ["journal", "records"];
/// A job's own files, which its next attempt writes anew from their last durable length on.
const FILES: [&str; 2] = ["work", "reports"];

#[test]
fn a_start_with_a_failed_call_ends_and_the_next_one_is_clean() {
    walk(&Scene::used_start(), |_| true);
}

#[test]
fn a_failed_call_loses_nothing_of_a_small_job() {
    walk(&Scene::small(), |_| true);
}

#[test]
fn a_failed_call_loses_nothing_of_a_create() {
    walk(&Scene::create(), |_| true);
}

#[test]
fn a_failed_call_loses_nothing_of_a_delete() {
    walk(&Scene::delete(), |_| true);
}

#[test]
fn a_failed_call_loses_nothing_of_a_staged_create() {
    walk(&Scene::staged(), |_| true);
}

/// Nobody may ask the record store for anything any more when its own thread meets the failure.
#[test]
fn a_failed_write_of_the_record_stores_own_thread_ends_the_daemon_at_once() {
    let is_own = |point: &Point| match &point.place {
        // Nobody else writes a table of a create that is not staged.
        Place::File(path) => path.iter().any(|part| part == "tables"),
        Place::Thread(name) => name == FJALL_WORKER,
        Place::Anywhere => false,
    };
    walk(&Scene::create(), is_own);
}

/// fjall's thread lets its lock go before it says that its sync failed, so a commit of ours that waits for that
/// lock comes through. It may: nothing that was not synced yet had been in the file, and it syncs what it wrote.
#[test]
fn a_commit_that_waits_for_a_sync_that_fails_loses_nothing() {
    let scene = Scene::delete();
    let place = Place::File("records/0.jnl".into());
    let point = Point { place, call: "fsync", number: 1 };
    let what = format!("{BROKEN}:delay_exit=20000");
    for _ in 0..TRIES {
        let run = scene.run(Some(&Fault::at(&point, &what)));
        let Some(fault) = run.fault() else { continue };
        assert_eq!(thread(&run, fault), Some(FJALL_WORKER));
        let through = syncs_again(&run, fault).len();
        assert_eq!(judge(&scene, &run, &what, "fsync"), Some(true));
        scene.recover(&run);
        if through > 0 {
            return;
        }
    }
    panic!("no commit came through");
}

/// sled does not wake the commit that waits for the write.
#[test]
fn a_failed_write_of_the_journals_own_threads_ends_the_daemon_at_once() {
    let scene = Scene::small();
    for call in ["pwrite64", "sync_file_range"] {
        let place = Place::File("journal/sled/db".into());
        let point = Point { place, call, number: 1 };
        let run = scene.run(Some(&Fault::at(&point, BROKEN)));
        assert_eq!(judge(&scene, &run, BROKEN, call), Some(true));
        assert!(matches!(run.answer, Some(Err(_))), "it was answered");
        scene.recover(&run);
    }
}

/// What is made of a call: a disk may fail or be full, at a sync it fails.
fn failures(point: &Point) -> &'static [&'static str] {
    match point.call {
        call if WRITES.contains(&call) => &[BROKEN, FULL],
        call if SYNCS.contains(&call) => &[BROKEN],
        _ => &[],
    }
}

fn walk(scene: &Scene, wanted: impl Fn(&Point) -> bool) {
    let began = Instant::now();
    let points = scene.points().into_iter().filter(wanted);
    let points: Vec<(Point, &str)> = points
        .flat_map(|point| failures(&point).iter().map(move |what| (point.clone(), *what)))
        .collect();
    let (mut failed, mut stopped) = (0, 0);
    let (order, count) = sample(&points);
    for (point, what) in order {
        if failed == count {
            break;
        }
        let run = scene.run(Some(&Fault::at(point, what)));
        let came = judge(scene, &run, what, &format!("{point:?}"));
        failed += usize::from(came.is_some());
        stopped += usize::from(came == Some(true));
        scene.recover(&run);
    }
    assert!(failed > 0);
    let (all, secs) = (points.len(), began.elapsed().as_secs());
    println!("{}: {failed} failures of {all}, {stopped} ended the daemon, {secs} s", scene.name);
}

/// Whether the failure ended the daemon; `None` where there was none that counts.
fn judge(scene: &Scene, run: &Run, what: &str, at: &str) -> Option<bool> {
    let fault = run.fault()?;
    // A thread that could not wake another is no failure of a disk.
    let others = run.calls.iter().filter(|call| call.injected && run.relative(call).is_none());
    if others.count() > 0 {
        return None;
    }
    let path = run.relative(fault)?;
    let told = format!("{}: {what} at {at}, {}", scene.name, path.display());
    let is_store = STORES.iter().any(|store| path.starts_with(store));
    if run.threads.get(&fault.thread).is_some_and(|name| name == SLED_FLUSHER) {
        return None;
    }
    if std::env::var_os("CVRSD_FAULT_SHOW").is_some() {
        let ended = run.ended.map(|status| (status, run.took()));
        println!("{told}: {ended:?}, answer {:?}", run.answer);
    }
    if let Some(status) = run.ended {
        assert_eq!(status.code(), Some(Exit::Stopped as i32), "{told}");
        assert!(run.took() <= STOPS_WITHIN, "{told}: it ended after {:?}", run.took());
    } else {
        assert!(!is_store, "{told}: the daemon goes on");
        let is_file = FILES.iter().any(|part| path.starts_with(part));
        assert!(is_file || scene.step.is_some(), "{told}: the daemon serves");
    }
    if let Some(Err(refusal)) = &run.answer
        && run.ended.is_none()
    {
        let code = if what == FULL { "CVRS-DISK-RESERVE" } else { "CVRS-INTERNAL" };
        assert_eq!(jobs::code(refusal), code, "{told}");
        assert_eq!(
            (run.files("spool"), run.files("payloads")),
            (0, 0),
            "{told}: something is left"
        );
    }
    if is_store && SYNCS.contains(&fault.name.as_str()) {
        let (first, mut again) = (thread(run, fault), syncs_again(run, fault));
        if first == Some(FJALL_WORKER) {
            // The commits that waited for its lock, one of each thread.
            again.sort_by(|a, b| a.0.cmp(b.0).then(a.1.total_cmp(&b.1)));
            let mut last = None;
            again.retain(|(thread, _)| last.replace(*thread) == Some(*thread));
        }
        assert!(again.is_empty(), "{told}: by {first:?} at {}, and again: {again:?}", fault.at);
    }
    Some(run.ended.is_some())
}

/// The syncs of our threads that followed one that failed, on the same file.
fn syncs_again<'a>(run: &'a Run, fault: &Call) -> Vec<(&'a str, f64)> {
    let after = run.calls.iter().filter(|call| call.at > fault.at && call.path == fault.path);
    let syncs = after.filter(|call| SYNCS.contains(&call.name.as_str()));
    let by = syncs.filter_map(|call| Some((thread(run, call)?, call.at)));
    by.filter(|(thread, _)| OURS.contains(thread)).collect()
}

/// The name of the thread that made a call.
fn thread<'a>(run: &'a Run, call: &Call) -> Option<&'a str> {
    run.threads.get(&call.thread).map(String::as_str)
}
