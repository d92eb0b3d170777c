//! Kills, left-overs and damage: nothing acknowledged is lost, nothing damaged is taken for whole.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use ::sled::{Db, IVec};

use super::*;
use crate::{
    domain::{
        Applied, EventKind, Operation, Outcome, PurgedJob, Submitted, Validated,
        testing::{self, event, failure, first, submitted},
    },
    limits::{JOURNAL_VALUE_BYTES_MAX, NAME_CHARS_MAX, PURGE_STEP_JOBS, SMALL_PAYLOAD_BYTES_MAX},
};

/// A directory for a journal.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("journal")
    }

    fn sled_dir(&self) -> PathBuf {
        self.dir().join("sled")
    }

    fn open(&self) -> Result<Sled, Error> {
        open(&self.dir())
    }

    fn error(&self) -> Error {
        match self.open() {
            Ok(_) => panic!("it opened"),
            Err(error) => error,
        }
    }

    /// sled itself, past the fence; the journal must be closed.
    fn raw(&self) -> Db {
        self.raw_open().unwrap()
    }

    fn raw_open(&self) -> Result<Db, Error> {
        open::open_sled(&self.sled_dir(), &config::Journal::default())
    }

    fn snapshots(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.sled_dir()).unwrap().map(|e| e.unwrap().path());
        entries.filter(|p| name(p).starts_with("snap.")).collect()
    }

    fn files(&self) -> Vec<String> {
        fs::read_dir(self.sled_dir()).unwrap().map(|e| name(&e.unwrap().path())).collect()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn open(dir: &Path) -> Result<Sled, Error> {
    Sled::open(dir, &config::Journal::default())
}

/// A job of its own in one commit: new, or held right after a worker took it.
fn commit_job(journal: &Sled, order: u64, request: Option<&str>) -> Job {
    let (job, submit) =
        first(Submitted { request_id: request.map(str::to_owned), ..submitted(order) });
    let mut change = Change { job: Arc::new(job.clone()), events: vec![submit], payload: None };
    let mut job = job;
    if order.is_multiple_of(2) {
        for kind in [EventKind::DeQueued, EventKind::Held(failure())] {
            let event = event(&job, kind);
            job = job.next(&event).unwrap();
            change.events.push(event);
        }
        change.job = Arc::new(job.clone());
    }
    journal.commit(&[change]).unwrap();
    job
}

/// A new job whose payload is kept beside it.
fn commit_small(journal: &Sled, order: u64, payload: &'static [u8]) -> Job {
    commit_bytes(journal, order, Bytes::from_static(payload))
}

fn commit_bytes(journal: &Sled, order: u64, payload: Bytes) -> Job {
    let mut spec = submitted(order);
    (spec.payload.length, spec.payload.inline) = (payload.len() as u64, true);
    let (job, submit) = first(spec);
    let payload = Some(payload);
    journal
        .commit(&[Change { job: Arc::new(job.clone()), events: vec![submit], payload }])
        .unwrap();
    job
}

fn some_jobs(place: &Place) -> Vec<Job> {
    let journal = place.open().unwrap();
    (1..=20).map(|n| commit_job(&journal, n, Some(&format!("key-{n}")))).collect()
}

fn assert_all_there(journal: &Sled, jobs: &[Job]) {
    assert_eq!(journal.verify().unwrap(), jobs.len() as u64);
    assert_eq!(journal.unfinished().unwrap(), jobs);
}

#[test]
fn a_snapshot_that_a_kill_left_unfinished_is_deleted_and_nothing_is_lost() {
    let place = Place::new();
    let jobs = some_jobs(&place);
    drop(place.open().unwrap());
    let newest = place.snapshots().into_iter().max().unwrap();
    let cut = fs::read(&newest).unwrap();
    for length in [0, 5, cut.len() / 2, cut.len()] {
        let left = place.sled_dir().join("snap.00000000FFFFFFFF.generating");
        fs::write(&left, &cut[..length]).unwrap();
        assert_all_there(&place.open().unwrap(), &jobs);
        assert!(!left.exists(), "{length}");
    }
}

#[test]
fn sled_alone_refuses_what_the_hygiene_clears_away() {
    let place = Place::new();
    some_jobs(&place);
    fs::write(place.sled_dir().join("snap.00000000FFFFFFFF.generating"), b"").unwrap();
    assert!(matches!(place.raw_open(), Err(Error::Damaged(_))));
}

#[test]
fn a_broken_snapshot_is_moved_aside_and_nothing_is_lost() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("empty", Vec::clear),
        ("twelve bytes", |bytes| bytes.truncate(12)),
        ("torn", |bytes| bytes.truncate(bytes.len() - 1)),
        ("flipped bit", |bytes| bytes[3] ^= 16),
        ("flipped checksum", |bytes| *bytes.last_mut().unwrap() ^= 1),
    ];
    for (damage, apply) in damages {
        let place = Place::new();
        let jobs = some_jobs(&place);
        drop(place.open().unwrap());
        let newest = place.snapshots().into_iter().max().unwrap();
        let mut bytes = fs::read(&newest).unwrap();
        apply(&mut bytes);
        fs::write(&newest, bytes).unwrap();
        assert_all_there(&place.open().unwrap(), &jobs);
        let aside = format!("broken-{}", name(&newest));
        assert!(place.files().contains(&aside), "{damage}");
    }
}

#[test]
fn an_older_snapshot_is_not_used_in_place_of_a_broken_one() {
    let place = Place::new();
    let jobs = some_jobs(&place);
    drop(place.open().unwrap());
    let newest = place.snapshots().into_iter().max().unwrap();
    fs::copy(&newest, place.sled_dir().join("snap.0000000000000001")).unwrap();
    fs::write(&newest, b"").unwrap();
    hygiene::clean(&place.sled_dir()).unwrap();
    assert_eq!(place.snapshots(), [""; 0].map(PathBuf::from));
    assert!(place.files().contains(&"broken-snap.0000000000000001".to_owned()));
    assert_all_there(&place.open().unwrap(), &jobs);
}

#[test]
fn a_sound_snapshot_is_left_where_it_is() {
    let place = Place::new();
    some_jobs(&place);
    drop(place.open().unwrap());
    assert!(!place.snapshots().is_empty());
    hygiene::clean(&place.sled_dir()).unwrap();
    assert!(!place.snapshots().is_empty());
    assert!(place.files().iter().all(|name| !name.starts_with("broken-")));
}

/// Jobs that ended at once, each in a commit of its own.
fn ended_jobs(journal: &Sled, orders: std::ops::RangeInclusive<u64>) -> Vec<JobId> {
    let ended = |order| {
        let (job, submit) =
            first(Submitted { request_id: Some(format!("k{order}")), ..submitted(order) });
        let ending = testing::ending(
            Outcome::Failed,
            Validated::default(),
            Applied::default(),
            Some(failure()),
        );
        let end = event(&job, ending);
        let job = job.next(&end).unwrap();
        Change { job: Arc::new(job), events: vec![submit, end], payload: None }
    };
    let changes: Vec<Change> = orders.map(ended).collect();
    for group in changes.chunks(100) {
        journal.commit(group).unwrap();
    }
    changes.iter().map(|change| change.job.spec.id).collect()
}

fn purge_all(journal: &Sled, jobs: &[JobId]) {
    for jobs in jobs.chunks(PURGE_STEP_JOBS) {
        journal.purge(&Purge { jobs: jobs.to_vec(), ..Purge::default() }).unwrap();
    }
}

#[test]
fn a_journal_of_which_something_was_purged_has_a_format_of_its_own() {
    let place = Place::new();
    let format = || fs::read_to_string(place.dir().join("format")).unwrap();
    let journal = place.open().unwrap();
    let jobs = ended_jobs(&journal, 1..=3);
    assert_eq!(format(), "cvrsd journal 3\n");
    purge_all(&journal, &jobs[..1]);
    assert_eq!(format(), "cvrsd journal 4\n");
    purge_all(&journal, &jobs[1..2]);
    drop(journal);
    assert_eq!(place.open().unwrap().verify().unwrap(), 1);
    assert_eq!(format(), "cvrsd journal 4\n");
}

#[test]
fn a_record_of_purges_that_is_lost_or_wrong_is_noticed() {
    let damages: [fn(&Db); 3] = [
        |raw| drop(raw.open_tree("meta").unwrap().remove("purged").unwrap().unwrap()),
        |raw| {
            let meta = raw.open_tree("meta").unwrap();
            let mut bytes = meta.get("purged").unwrap().unwrap().to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            meta.insert("purged", bytes).unwrap();
        },
        |raw| {
            let more = Purged { jobs: 3, events: 6, ..Purged::default() };
            let more = codec::encode_purged(&more).unwrap();
            raw.open_tree("meta").unwrap().insert("purged", more).unwrap();
        },
    ];
    for damage in damages {
        let place = Place::new();
        let journal = place.open().unwrap();
        let jobs = ended_jobs(&journal, 1..=5);
        purge_all(&journal, &jobs[..2]);
        assert_eq!(journal.verify().unwrap(), 3);
        drop(journal);
        let raw = place.raw();
        damage(&raw);
        raw.flush().unwrap();
        drop(raw);
        let verified = place.open().and_then(|journal| journal.verify());
        assert!(matches!(verified, Err(Error::Damaged(_))), "{verified:?}");
    }
}

#[test]
fn the_room_of_purged_jobs_is_used_again() {
    const JOBS: u64 = 2_000;
    let place = Place::new();
    let journal = place.open().unwrap();
    let mut bytes = Vec::new();
    for round in 0..6 {
        let jobs = ended_jobs(&journal, round * JOBS + 1..=(round + 1) * JOBS);
        purge_all(&journal, &jobs);
        bytes.push(journal.bytes_on_disk().unwrap());
    }
    assert_eq!(journal.verify().unwrap(), 0);
    println!("bytes on disk after each {JOBS} jobs that were purged: {bytes:?}");
    assert!(bytes[5] <= 2 * bytes[1], "{bytes:?}");
}

/// The most that one step can hold is within a value.
#[test]
fn the_jobs_of_one_purge_fit_a_value() {
    let tenant = Tenant::new(&"t".repeat(NAME_CHARS_MAX)).unwrap();
    let job = |_| PurgedJob {
        id: JobId::generate(),
        tenant: tenant.clone(),
        operation: Operation::Delete,
    };
    let (most, time_us) = (u64::MAX, i64::MAX);
    let purged = Purged {
        jobs: most,
        events: most,
        jobs_before_us: time_us,
        reports_before_us: time_us,
        newest: (0..PURGE_STEP_JOBS).map(job).collect(),
    };
    let bytes = codec::encode_purged(&purged).unwrap();
    assert_eq!(codec::decode_purged(&bytes).unwrap(), purged);
}

#[test]
fn a_second_open_is_refused_while_the_first_is_alive() {
    let place = Place::new();
    let first = place.open().unwrap();
    let error = place.error();
    assert!(matches!(&error, Error::InUse(dir) if *dir == place.dir().display().to_string()));
    drop(first);
    place.open().unwrap();
}

#[test]
fn a_quick_reopen_works_every_time() {
    let place = Place::new();
    for n in 1..=20 {
        let journal = place.open().unwrap();
        commit_job(&journal, n, None);
    }
    assert_eq!(place.open().unwrap().verify().unwrap(), 20);
}

#[test]
fn a_directory_of_another_version_or_of_somebody_else_is_refused() {
    let place = Place::new();
    drop(place.open().unwrap());
    for other in ["cvrsd journal 2\n", "cvrsd journal 5\n", ""] {
        fs::write(place.dir().join("format"), other).unwrap();
        assert!(matches!(place.error(), Error::Format(_)));
    }
    fs::remove_file(place.dir().join("format")).unwrap();
    assert!(matches!(place.error(), Error::Format(_)));

    let foreign = Place::new();
    drop(::sled::open(foreign.dir()).unwrap());
    let before = fs::read(foreign.dir().join("db")).unwrap();
    assert!(matches!(foreign.error(), Error::Format(_)));
    assert_eq!(fs::read(foreign.dir().join("db")).unwrap(), before);
}

#[test]
fn a_small_payload_that_is_missing_changed_or_one_too_many_is_noticed() {
    let entry = |journal: &Sled| journal.trees.unfinished.first().unwrap().unwrap();
    let damages: [fn(&mut Vec<u8>); 4] = [
        |entry| entry.truncate(16),
        |entry| *entry.last_mut().unwrap() ^= 1,
        |entry| entry.truncate(entry.len() - 1),
        |entry| entry[3] ^= 1,
    ];
    for damage in damages {
        let place = Place::new();
        let journal = place.open().unwrap();
        let job = commit_small(&journal, 1, b"vax_event_id\nE1\n");
        assert_eq!(journal.verify().unwrap(), 1);
        let (key, value) = entry(&journal);
        let mut bytes = value.to_vec();
        damage(&mut bytes);
        journal.trees.unfinished.insert(key, bytes).unwrap();
        let error = journal.verify().unwrap_err().to_string();
        assert!(error.contains(&job.spec.id.to_string()) && !error.contains("E1"), "{error}");
    }
    let place = Place::new();
    let journal = place.open().unwrap();
    commit_job(&journal, 1, None);
    let (key, value) = entry(&journal);
    let more = codec::encode_unfinished(keys::job_id(&value).unwrap(), Some(b"x")).unwrap();
    journal.trees.unfinished.insert(key, more).unwrap();
    assert!(matches!(journal.verify(), Err(Error::Damaged(_))));
}

#[test]
fn the_longest_small_payload_fits_a_value() {
    let place = Place::new();
    let journal = place.open().unwrap();
    let payload = Bytes::from(vec![b'x'; SMALL_PAYLOAD_BYTES_MAX]);
    let job = commit_bytes(&journal, 1, payload.clone());
    assert_eq!(journal.payload(&job).unwrap(), Some(payload));
    assert!(journal.trees.unfinished.first().unwrap().unwrap().1.len() <= JOURNAL_VALUE_BYTES_MAX);
}

#[test]
fn a_kill_while_a_journal_is_made_leaves_one_that_opens() {
    // Before the marker: what is there is thrown away.
    let place = Place::new();
    fs::create_dir_all(place.dir().join("sled.new")).unwrap();
    fs::write(place.dir().join("sled.new/conf"), b"torn").unwrap();
    fs::write(place.dir().join("format.new"), b"cvrsd").unwrap();
    fs::write(place.dir().join("tip"), b"").unwrap();
    assert_eq!(place.open().unwrap().verify().unwrap(), 0);
    // After the marker, before the move: it is whole and moved now.
    let place = Place::new();
    let jobs = some_jobs(&place);
    fs::rename(place.sled_dir(), place.dir().join("sled.new")).unwrap();
    assert_all_there(&place.open().unwrap(), &jobs);
}

#[test]
fn a_journal_that_was_there_and_is_gone_is_missed() {
    let place = Place::new();
    some_jobs(&place);
    fs::remove_dir_all(place.sled_dir()).unwrap();
    assert!(matches!(place.error(), Error::Damaged(_)));
}

#[test]
fn a_lost_tree_is_missed() {
    for tree in ["jobs", "events", "requests", "tenants", "unfinished", "meta"] {
        let place = Place::new();
        some_jobs(&place);
        assert!(place.raw().drop_tree(tree).unwrap());
        let error = place.error().to_string();
        assert!(error.contains(tree), "{error}");
    }
}

/// Does something to the closed journal; opening or verifying it must then fail.
fn assert_noticed(what: &str, damage: impl FnOnce(&Db)) {
    let place = Place::new();
    some_jobs(&place);
    let raw = place.raw();
    damage(&raw);
    raw.flush().unwrap();
    drop(raw);
    let verified = place.open().and_then(|journal| journal.verify());
    assert!(matches!(verified, Err(Error::Damaged(_))), "{what}: {verified:?}");
}

fn entries(db: &Db, tree: &str) -> Vec<(IVec, IVec)> {
    db.open_tree(tree).unwrap().iter().map(Result::unwrap).collect()
}

#[test]
fn a_flipped_bit_in_any_stored_value_is_noticed() {
    let mut rng = fastrand::Rng::with_seed(7);
    for tree in ["jobs", "events", "requests", "tenants", "unfinished", "meta"] {
        for _ in 0..6 {
            assert_noticed(tree, |db| {
                let (key, value) = rng.choice(entries(db, tree)).unwrap();
                let mut bytes = value.to_vec();
                let place = rng.usize(..bytes.len());
                bytes[place] ^= 1 << rng.u8(..8);
                db.open_tree(tree).unwrap().insert(key, bytes).unwrap();
            });
        }
    }
}

#[test]
fn a_lost_entry_of_any_tree_is_noticed() {
    let mut rng = fastrand::Rng::with_seed(8);
    for tree in ["jobs", "events", "requests", "tenants", "unfinished", "meta"] {
        for _ in 0..3 {
            assert_noticed(tree, |db| {
                let (key, _) = rng.choice(entries(db, tree)).unwrap();
                db.open_tree(tree).unwrap().remove(key).unwrap();
            });
        }
    }
}

#[test]
fn an_entry_of_any_tree_that_belongs_to_nothing_is_noticed() {
    let id = *JobId::generate().as_bytes();
    for tree in ["jobs", "events", "requests", "tenants", "unfinished"] {
        for key in [vec![0xFF; 24], vec![0; 24], vec![0; 3], vec![0xFF; 3]] {
            assert_noticed(tree, |db| {
                let value = entries(db, tree).first().unwrap().1.to_vec();
                let value = if value.len() == 16 { id.to_vec() } else { value };
                db.open_tree(tree).unwrap().insert(key.as_slice(), value).unwrap();
            });
        }
    }
}

#[test]
fn the_newest_event_lost_together_with_its_place_in_the_job_is_noticed() {
    // A whole job is put back to an older state that was sound then: only the counters tell.
    assert_noticed("older state", |db| {
        let events = db.open_tree("events").unwrap();
        let (last, _) = entries(db, "events").into_iter().rfind(|(k, _)| k[23] == 3).unwrap();
        let id = JobId::from_bytes(last[..16].try_into().unwrap());
        let mut job: Option<Job> = None;
        let mut head = codec::NO_HASH;
        for seq in 1..3 {
            let value = events.get(keys::event(id, seq)).unwrap().unwrap();
            let event = codec::decode_event(id, seq, &value).unwrap().event;
            job = Some(job.map_or_else(|| Job::first(&event), |j| j.next(&event)).unwrap());
            head = codec::hash(&value);
        }
        events.remove(last).unwrap();
        let value = codec::encode_job(&job.unwrap(), &head).unwrap();
        db.open_tree("jobs").unwrap().insert(id.as_bytes(), value).unwrap();
    });
}

#[test]
fn an_event_that_was_replaced_by_a_sound_one_breaks_the_chain() {
    assert_noticed("another event 1", |db| {
        let (key, value) = entries(db, "events").into_iter().find(|(k, _)| k[23] == 1).unwrap();
        let id = JobId::from_bytes(key[..16].try_into().unwrap());
        let mut event = codec::decode_event(id, 1, &value).unwrap().event;
        event.time_us -= 1;
        let value = codec::encode_event(id, &codec::NO_HASH, &event).unwrap();
        db.open_tree("events").unwrap().insert(key, value).unwrap();
    });
}

#[test]
fn damage_is_told_to_readers_too() {
    let place = Place::new();
    let jobs = some_jobs(&place);
    let raw = place.raw();
    for tree in ["jobs", "events"] {
        for (key, value) in entries(&raw, tree) {
            let mut bytes = value.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            raw.open_tree(tree).unwrap().insert(key, bytes).unwrap();
        }
    }
    raw.open_tree("events").unwrap().remove(keys::event(jobs[1].spec.id, 1)).unwrap();
    drop(raw);
    let journal = place.open().unwrap();
    assert!(matches!(journal.job(jobs[0].spec.id), Err(Error::Damaged(_))));
    assert!(matches!(journal.events(jobs[0].spec.id, 0, 5), Err(Error::Damaged(_))));
    assert!(matches!(journal.unfinished(), Err(Error::Damaged(_))));
    let error = journal.events(jobs[1].spec.id, 0, 5).unwrap_err().to_string();
    assert!(error.contains("event 1") && error.contains("missing"), "{error}");
}

#[test]
fn flipped_bits_in_sleds_own_file_never_pass_for_a_whole_journal() {
    let place = Place::new();
    let jobs = some_jobs(&place);
    let whole = fs::read(place.sled_dir().join("db")).unwrap();
    let written = whole.iter().rposition(|b| *b != 0).unwrap();
    let mut rng = fastrand::Rng::with_seed(9);
    for _ in 0..25 {
        let mut bytes = whole.clone();
        let at = rng.usize(..=written);
        bytes[at] ^= 1 << rng.u8(..8);
        let copy = Place::new();
        fs::create_dir_all(copy.sled_dir()).unwrap();
        for file in ["format", "tip", "sled/conf"] {
            fs::copy(place.dir().join(file), copy.dir().join(file)).unwrap();
        }
        // Without a snapshot, as after a crash: sled takes a bad message for the end of its log.
        fs::write(copy.sled_dir().join("db"), bytes).unwrap();
        match copy.open().and_then(|journal| journal.verify().map(|_| journal)) {
            Ok(journal) => assert_all_there(&journal, &jobs),
            Err(error) => assert!(matches!(error, Error::Damaged(_)), "byte {at}: {error}"),
        }
    }
}

#[test]
fn a_tip_that_is_behind_is_fine_and_one_that_is_ahead_damaged_or_gone_is_not() {
    let place = Place::new();
    let jobs = some_jobs(&place);
    let tip = place.dir().join("tip");
    let known = Counters::from_numbers(codec::decode_counters(&fs::read(&tip).unwrap()).unwrap());
    assert_eq!((known.jobs, known.events, known.last_order), (20, 40, 20));
    for behind in [Counters::default(), Counters { events: 39, ..known }, known] {
        fs::write(&tip, behind.encode()).unwrap();
        assert_all_there(&place.open().unwrap(), &jobs);
    }
    for ahead in [
        Counters { jobs: 21, ..known },
        Counters { events: 41, ..known },
        Counters { last_order: 21, ..known },
    ] {
        fs::write(&tip, ahead.encode()).unwrap();
        assert!(matches!(place.error(), Error::Damaged(_)), "{ahead:?}");
    }
    fs::write(&tip, b"").unwrap();
    assert!(matches!(place.error(), Error::Damaged(_)));
    fs::remove_file(&tip).unwrap();
    assert!(matches!(place.error(), Error::Damaged(_)));
}

const CHILD_DIR: &str = "CVRSD_TEST_JOURNAL_DIR";
const ACKNOWLEDGED: &str = "acknowledged ";

/// The child of the test below: commits without end and says what is acknowledged.
fn commit_for_ever(dir: &Path) {
    let journal = open(dir).unwrap();
    journal.verify().unwrap();
    let next = journal.last_order().unwrap() + 1;
    for order in next.. {
        let job = commit_job(&journal, order, None);
        println!("{ACKNOWLEDGED}{}", job.spec.id);
    }
}

#[test]
fn what_was_acknowledged_survives_kills() {
    if let Some(dir) = env::var_os(CHILD_DIR) {
        return commit_for_ever(Path::new(&dir));
    }
    let place = Place::new();
    let mut acknowledged: Vec<JobId> = Vec::new();
    let mut rng = fastrand::Rng::with_seed(10);
    for _ in 0..6 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "journal::sled::tests::what_was_acknowledged_survives_kills"])
            .arg("--nocapture")
            .env(CHILD_DIR, place.dir())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let enough = acknowledged.len() + rng.usize(1..40);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while acknowledged.len() < enough {
            let line = lines.next().expect("the child ended by itself").unwrap();
            // The harness may have begun the line.
            if let Some((_, id)) = line.split_once(ACKNOWLEDGED) {
                acknowledged.push(id.parse().unwrap());
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before the kill, but was not read yet.
        for line in lines.map_while(Result::ok) {
            if let Some((_, id)) = line.split_once(ACKNOWLEDGED)
                && let Ok(id) = id.parse()
            {
                acknowledged.push(id);
            }
        }
        let journal = place.open().unwrap();
        assert!(journal.verify().unwrap() >= acknowledged.len() as u64);
        for id in &acknowledged {
            assert!(journal.job(*id).unwrap().is_some(), "{id}");
        }
    }
}
