//! Opening: lock, format marker, hygiene, sled.
//!
//! A new journal is made beside its place and moved there whole, after its marker: so a kill at any
//! instant leaves nothing, or a journal that opens.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use ::sled::{Config, Db, Mode};

use super::{super::Error, hygiene, io as io_error, shielded, storage, tip::Tip, trees::Trees};
use crate::{
    config,
    failpoint::{Point, hit},
    limits::{JOURNAL_OPEN_STALL, LOOKOUT_INTERVAL, OPEN_LOCK_WAIT},
};

const LOCK_FILE: &str = "lock";
const MARKER_FILE: &str = "format";
const MARKER_UNFINISHED: &str = "format.new";
const MARKER: &str = "cvrsd journal 3\n";
/// Of a journal of which something was purged: an older program would miss that.
const MARKER_PURGED: &str = "cvrsd journal 4\n";
const SLED_DIR: &str = "sled";
const SLED_UNFINISHED: &str = "sled.new";
/// sled's own data file.
const SLED_FILE: &str = "db";
/// What sled flushes by itself between commits; only a backstop.
const SLED_FLUSH_MS: u64 = 500;
const LOCK_RETRY: Duration = Duration::from_millis(20);
/// How sled words that another process has its file; it has no kind for it.
const SLED_LOCKED: &str = "could not acquire lock";

/// An open journal.
pub(super) struct Opened {
    /// sled.
    pub(super) db: Db,
    /// Our own handle of its data file, to sync it.
    pub(super) file: File,
    /// Held as long as the journal is open.
    pub(super) lock: File,
}

/// Opens or makes the journal of that directory.
pub(super) fn open(dir: &Path, config: &config::Journal) -> Result<Opened, Error> {
    fs::create_dir_all(dir).map_err(|e| io_error("make the directory", &e))?;
    let lock = lock(dir)?;
    let place = dir.join(SLED_DIR);
    if !has_marker(dir)? {
        create(dir, config)?;
    }
    finish_create(dir).map_err(|e| io_error("move the new journal to its place", &e))?;
    if !place.is_dir() {
        return Err(Error::Damaged(format!("{} is missing", place.display())));
    }
    hygiene::clean(&place).map_err(|e| io_error("clear snapshots away", &e))?;
    let db = open_sled(&place, config)?;
    let file = OpenOptions::new()
        .write(true)
        .open(place.join(SLED_FILE))
        .map_err(|e| io_error("open the data file", &e))?;
    file.sync_all().and_then(|()| sync_dir(&place)).map_err(|e| io_error("sync", &e))?;
    Ok(Opened { db, file, lock })
}

fn lock(dir: &Path) -> Result<File, Error> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join(LOCK_FILE))
        .map_err(|e| io_error("open the lock file", &e))?;
    let deadline = Instant::now() + OPEN_LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(Error::InUse(dir.display().to_string()));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_RETRY),
        }
    }
}

/// Whether the directory holds a journal of ours, or none yet.
fn has_marker(dir: &Path) -> Result<bool, Error> {
    match fs::read(dir.join(MARKER_FILE)) {
        Ok(marker) if [MARKER, MARKER_PURGED].iter().any(|m| marker == m.as_bytes()) => Ok(true),
        Ok(marker) => Err(Error::Format(format!(
            "the marker in {} is {:?}, known are {MARKER:?} and {MARKER_PURGED:?}",
            dir.display(),
            String::from_utf8_lossy(marker.get(..64).unwrap_or(&marker)),
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match [SLED_DIR, SLED_FILE, "conf"].iter().find(|name| dir.join(name).exists()) {
                Some(name) => Err(Error::Format(format!(
                    "{} holds {name} but no format marker",
                    dir.display()
                ))),
                None => Ok(false),
            }
        }
        Err(error) => Err(io_error("read the format marker", &error)),
    }
}

/// Makes an empty journal beside its place and then the marker that says it is whole.
fn create(dir: &Path, config: &config::Journal) -> Result<(), Error> {
    let unfinished = dir.join(SLED_UNFINISHED);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(|e| io_error("clear an unfinished journal", &e))?;
    }
    let db = open_sled(&unfinished, config)?;
    shielded("create", || {
        let trees = Trees::create(&db)?;
        db.flush().map_err(storage)?;
        drop((trees, db));
        Ok(())
    })?;
    let write = || {
        sync_files(&unfinished)?;
        Tip::create(dir)?;
        hit(Point::MakeJournal);
        write_marker(dir, MARKER)?;
        hit(Point::MakeMarker);
        Ok(())
    };
    write().map_err(|e| io_error("write the new journal", &e))
}

fn finish_create(dir: &Path) -> io::Result<()> {
    let (unfinished, place) = (dir.join(SLED_UNFINISHED), dir.join(SLED_DIR));
    if !place.exists() && unfinished.exists() {
        fs::rename(unfinished, place)?;
        sync_dir(dir)?;
    }
    Ok(())
}

/// Marks the journal as one of which something was purged, durably.
pub(super) fn mark_purged(dir: &Path) -> io::Result<()> {
    if fs::read(dir.join(MARKER_FILE))? == MARKER_PURGED.as_bytes() {
        return Ok(());
    }
    write_marker(dir, MARKER_PURGED)
}

fn write_marker(dir: &Path, marker: &str) -> io::Result<()> {
    let unfinished = dir.join(MARKER_UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(marker.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, dir.join(MARKER_FILE))?;
    sync_dir(dir)?;
    // The directory itself may be new as well.
    dir.canonicalize()?.parent().map_or(Ok(()), sync_dir)
}

fn sync_files(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        File::open(entry?.path())?.sync_all()?;
    }
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Opens sled, which may keep its own lock for a moment after an earlier handle was dropped.
pub(super) fn open_sled(place: &Path, config: &config::Journal) -> Result<Db, Error> {
    let deadline = Instant::now() + OPEN_LOCK_WAIT;
    loop {
        match open_once(place, config.cache_bytes)? {
            Err(::sled::Error::Io(error)) if error.to_string().contains(SLED_LOCKED) => {
                if Instant::now() >= deadline {
                    return Err(Error::InUse(place.display().to_string()));
                }
                thread::sleep(LOCK_RETRY);
            }
            opened => return opened.map_err(storage),
        }
    }
}

/// One try, on a thread of its own: sled may panic on a damaged file, or never return.
fn open_once(place: &Path, cache_bytes: u64) -> Result<::sled::Result<Db>, Error> {
    let sled = Config::new()
        .path(place)
        .cache_capacity(cache_bytes)
        .mode(Mode::HighThroughput)
        .flush_every_ms(Some(SLED_FLUSH_MS));
    let failure = sled.clone();
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("journal-open".to_owned())
        .spawn(move || {
            // Nobody listens any more where the deadline has passed; the process then ends.
            let _ = sender.send(shielded("open", || Ok(sled.open())));
        })
        .map_err(|e| io_error("start a thread", &e))?;
    let deadline = Instant::now() + JOURNAL_OPEN_STALL;
    while Instant::now() < deadline {
        if let Ok(opened) = receiver.recv_timeout(LOOKOUT_INTERVAL) {
            return opened;
        }
        failure.global_error().map_err(storage)?;
    }
    Err(Error::Storage(format!("opening took more than {} s", JOURNAL_OPEN_STALL.as_secs())))
}
