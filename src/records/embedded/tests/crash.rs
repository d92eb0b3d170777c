//! What was acknowledged is there after any end of the process; what was not is there whole or
//! not at all.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use super::*;

const CHILD_DIR: &str = "CVRSD_TEST_CRASH_DIR";
const BATCH: u32 = 2_000;
const JOB: [u8; 16] = [7; 16];

#[test]
fn a_dropped_store_has_everything_that_was_acknowledged() {
    let temp = TempDir::new().unwrap();
    let job = JobId::generate();
    for round in 0..5 {
        let store = Store::open(temp.path(), &CONFIG).unwrap();
        let at = u64::from(round * BATCH);
        assert_eq!(store.cursor(job).unwrap().position, at);
        assert_eq!(count(&store, Storage::Redacted), at);
        let rows = ids(round * BATCH..(round + 1) * BATCH);
        apply(&store, job, Operation::Create, at, &rows).unwrap();
    }
}

#[test]
fn an_image_of_the_files_has_everything_that_was_acknowledged() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("records");
    let store = Store::open(&dir, &CONFIG).unwrap();
    let (creates, deletes) = (JobId::generate(), JobId::generate());
    for round in 0..4 {
        let at = u64::from(round) * 10;
        apply(&store, creates, Operation::Create, at, &ids(round * 10..round * 10 + 10)).unwrap();
        let gone = ids(round * 10..round * 10 + 3);
        apply(&store, deletes, Operation::Delete, u64::from(round) * 3, &gone).unwrap();

        let image = temp.path().join(format!("image-{round}"));
        copy(&dir, &image);
        let image = Store::open(&image, &CONFIG).unwrap();
        assert_eq!(image.cursor(creates).unwrap(), store.cursor(creates).unwrap());
        assert_eq!(image.cursor(deletes).unwrap(), store.cursor(deletes).unwrap());
        assert_eq!(image.key(b"EV1"), store.key(b"EV1"));
        assert_eq!(exported(&image, Storage::Redacted).unwrap(), (u64::from(round) + 1) * 7);
    }
}

#[test]
fn a_kill_loses_no_acknowledged_batch_and_tears_none() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("records");
    drop(Store::open(&dir, &CONFIG).unwrap());
    let mut acknowledged = 0;
    for round in 0..6_u64 {
        acknowledged =
            killed_child(temp.path(), Duration::from_millis(60 + round * 37)).max(acknowledged);
        let store = Store::open(&dir, &CONFIG).unwrap();
        let cursor = store.cursor(JobId::from_bytes(JOB)).unwrap();
        assert!(cursor.position >= acknowledged, "{cursor:?} after {acknowledged}");
        assert_eq!(cursor.position % u64::from(BATCH), 0);
        assert_eq!(cursor.rows_applied, cursor.position);
        for storage in Storage::ALL {
            assert_eq!(count(&store, storage), cursor.position);
            assert_eq!(exported(&store, storage).unwrap(), cursor.position);
        }
        let rows = u32::try_from(cursor.position).unwrap();
        let (_, repeated) = run(&store, Operation::Create, &ids(0..rows));
        assert_eq!(repeated.rows_applied, 0);
    }
    assert!(acknowledged > 0, "no child lived long enough to apply a batch");
}

/// Zeros in the journal where the row of an id is, as a page that did not reach the disk leaves.
fn make_hole(dir: &Path, id: &str) -> Vec<u8> {
    let path = dir.join("0.jnl");
    let mut journal = fs::read(&path).unwrap();
    let cell = format!("{id}\t");
    let at = journal.windows(cell.len()).position(|bytes| bytes == cell.as_bytes()).unwrap();
    journal[at..at + 20].fill(0);
    fs::write(&path, &journal).unwrap();
    journal
}

#[test]
fn a_hole_in_the_batch_that_power_loss_cut_short_takes_that_batch_only() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("records");
    let job = JobId::generate();
    let store = Store::open(&dir, &CONFIG).unwrap();
    apply(&store, job, Operation::Create, 0, &ids(10..20)).unwrap();
    fs::copy(dir.join("tip"), temp.path().join("tip")).unwrap();
    apply(&store, job, Operation::Create, 10, &ids(20..30)).unwrap();
    drop(store);
    make_hole(&dir, "EV25");
    // As it was never acknowledged.
    fs::copy(temp.path().join("tip"), dir.join("tip")).unwrap();
    for _ in 0..2 {
        let store = Store::open(&dir, &CONFIG).unwrap();
        assert_eq!(store.cursor(job).unwrap().position, 10);
        assert_eq!(exported(&store, Storage::NonRedacted).unwrap(), 10);
    }
    let store = Store::open(&dir, &CONFIG).unwrap();
    apply(&store, job, Operation::Create, 10, &ids(20..30)).unwrap();
    drop(store);
    let store = Store::open(&dir, &CONFIG).unwrap();
    assert_eq!(exported(&store, Storage::Redacted).unwrap(), 20);
}

#[test]
fn a_hole_in_an_acknowledged_batch_is_damage_and_nothing_is_cut() {
    for id in ["EV15", "EV25"] {
        hole_in_acknowledged(id);
    }
}

fn hole_in_acknowledged(id: &str) {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("records");
    let job = JobId::generate();
    let store = Store::open(&dir, &CONFIG).unwrap();
    apply(&store, job, Operation::Create, 0, &ids(10..20)).unwrap();
    apply(&store, job, Operation::Create, 10, &ids(20..30)).unwrap();
    drop(store);
    let journal = make_hole(&dir, id);
    assert!(matches!(Store::open(&dir, &CONFIG), Err(Error::Damaged(_))));
    assert!(fs::read(dir.join("0.jnl")).unwrap() == journal);
}

/// Runs the child below until it has acknowledged a batch and that time has gone by, kills it, and
/// returns the greatest position that it acknowledged.
fn killed_child(dir: &Path, after: Duration) -> u64 {
    let log = dir.join("acknowledged");
    fs::write(&log, b"").unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(
            ["--exact", "--ignored", concat!(module_path!(), "::child_that_applies_for_ever")]
                .map(|arg| arg.trim_start_matches("cvrsd::")),
        )
        .env(CHILD_DIR, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..200 {
        thread::sleep(Duration::from_millis(10));
        if fs::metadata(&log).unwrap().len() >= 8 {
            break;
        }
    }
    thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut positions = Vec::new();
    fs::File::open(&log).unwrap().read_to_end(&mut positions).unwrap();
    positions.as_chunks::<8>().0.last().map_or(0, |last| u64::from_be_bytes(*last))
}

#[test]
#[ignore = "run by the kill test, as the process that it kills"]
fn child_that_applies_for_ever() {
    let Some(dir) = env::var_os(CHILD_DIR) else { return };
    let dir = Path::new(&dir);
    let mut log = OpenOptions::new().append(true).open(dir.join("acknowledged")).unwrap();
    let store = Store::open(&dir.join("records"), &CONFIG).unwrap();
    let job = JobId::from_bytes(JOB);
    let mut at = store.cursor(job).unwrap().position;
    loop {
        let first = u32::try_from(at).unwrap();
        let rows = ids(first..first + BATCH);
        at = apply(&store, job, Operation::Create, at, &rows).unwrap().position;
        log.write_all(&at.to_be_bytes()).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
