//! Changes that are made together, and how much of them waits in memory.

use std::{
    sync::{
        Mutex, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fjall::{Database, Keyspace, OwnedWriteBatch, PersistMode, UserKey, UserValue};

use super::{
    commits::{COMMIT_KEY, Commit},
    spaces::{Spaces, failed},
};
use crate::{limits::FLUSH_STALL, records::Error};

/// How often a flush that goes on is looked at.
const FLUSH_POLL: Duration = Duration::from_millis(1);
/// Bytes that an entry takes in a memtable beside its key and value.
const ENTRY_BYTES: usize = 100;
/// A batch is small up to one in so many parts of the bound: 64 of the largest fit into what is kept free for them.
const SMALL_SHARE: u64 = 512;

/// A transaction over all keyspaces.
pub(super) struct Changes<'a> {
    spaces: &'a Spaces,
    batch: OwnedWriteBatch,
    bytes: usize,
}

impl<'a> Changes<'a> {
    /// No changes yet, with room for so many.
    ///
    /// They are on disk when [`Changes::commit`] returns: fjall then calls `fdatasync` on its journal,
    /// whose length and directory entry it has synced before, and only after that makes the changes
    /// visible. A write or sync that fails shuts its journal for good.
    pub(super) fn new(spaces: &'a Spaces, items: usize) -> Self {
        let batch = OwnedWriteBatch::with_capacity(spaces.db.clone(), items)
            .durability(Some(PersistMode::SyncData));
        Self { spaces, batch, bytes: 0 }
    }

    pub(super) fn insert(
        &mut self,
        space: &Keyspace,
        key: impl Into<UserKey>,
        value: impl Into<UserValue>,
    ) {
        let (key, value) = (key.into(), value.into());
        self.bytes += ENTRY_BYTES + key.len() + value.len();
        self.batch.insert(space, key, value);
    }

    pub(super) fn remove(&mut self, space: &Keyspace, key: impl Into<UserKey>) {
        let key = key.into();
        self.bytes += ENTRY_BYTES + key.len();
        self.batch.remove(space, key);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Makes all changes durable and visible, or none.
    pub(super) fn commit(mut self) -> Result<(), Error> {
        let Spaces { db, meta, unflushed, commits, .. } = self.spaces;
        unflushed.make_room(self.spaces, self.bytes)?;
        commits.next(|number| {
            let commit = Commit { number, floor: db.seqno() };
            self.batch.insert(meta, COMMIT_KEY, commit.write());
            let began = Instant::now();
            self.batch.commit().map_err(failed)?;
            metrics::histogram!("cvrsd_records_commit_seconds").record(began.elapsed());
            Ok(())
        })
    }
}

/// Bytes that were committed since the memtables were last handed over to be written as tables.
///
/// fjall has a bound of its own for each keyspace, which ours is far below: beyond it, each commit asks
/// fjall's thread for a flush, through a queue that it also answers into. While it merges tables the queue
/// fills up, and the thread then waits for itself for ever.
pub(super) struct Unflushed {
    bytes: AtomicU64,
    /// Whoever hands the memtables over.
    turn: Mutex<()>,
    memtable_bytes: u64,
}

impl Unflushed {
    /// For memtables of so many bytes in all. What fjall found in its journal is in them already: it writes
    /// no table when it is closed.
    pub(super) fn new(db: &Database, memtable_bytes: u64) -> Self {
        Self { bytes: AtomicU64::new(db.write_buffer_size()), turn: Mutex::new(()), memtable_bytes }
    }

    /// Notes a batch that comes. From a quarter of the bound on the memtables are handed over, once those
    /// before are on disk. Until they are, batches pass up to half of it and then wait; small ones pass beside
    /// them up to five eighths. So about five quarters of it, and the batches on their way, is the most that
    /// memory holds.
    ///
    /// Handing over waits for syncs of fjall's thread, so small ones leave it to others for as long as they can.
    fn make_room(&self, spaces: &Spaces, batch: usize) -> Result<(), Error> {
        let eighth = self.memtable_bytes / 8;
        let is_small = batch as u64 <= self.memtable_bytes / SMALL_SHARE;
        let (from, most) =
            if is_small { (5 * eighth, 5 * eighth) } else { (2 * eighth, 4 * eighth) };
        let mut wait = None;
        loop {
            if self.bytes() > from {
                self.hand_over(spaces)?;
            }
            if self.bytes() <= most {
                self.bytes.fetch_add(batch as u64, Ordering::Relaxed);
                return Ok(());
            }
            wait.get_or_insert_with(Wait::new).check(spaces)?;
            thread::sleep(FLUSH_POLL);
        }
    }

    /// Hands the memtables over, unless somebody does or those before are not on disk yet.
    fn hand_over(&self, spaces: &Spaces) -> Result<(), Error> {
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        if sealed(spaces) > 0 {
            return Ok(());
        }
        // What comes meanwhile is still counted, and nobody waits for the end of this.
        self.bytes.fetch_sub(self.bytes(), Ordering::Relaxed);
        for space in spaces.all() {
            space.rotate_memtable().map_err(failed)?;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Memtables that were handed over and are not tables yet.
fn sealed(spaces: &Spaces) -> usize {
    spaces.all().iter().map(|space| space.sealed_memtable_count()).sum()
}

/// A wait for flushes, for as long as they and merges come to an end meanwhile.
struct Wait {
    progress: (usize, usize),
    since: Instant,
}

impl Wait {
    fn new() -> Self {
        Self { progress: (0, 0), since: Instant::now() }
    }

    fn check(&mut self, spaces: &Spaces) -> Result<(), Error> {
        let now = (sealed(spaces), spaces.db.compactions_completed());
        if now != self.progress {
            *self = Self { progress: now, since: Instant::now() };
        }
        spaces.failure()?;
        if self.since.elapsed() > FLUSH_STALL {
            let text = format!("tables were not written within {} s", FLUSH_STALL.as_secs());
            return Err(Error::Storage(text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const MEMTABLE_BYTES: u64 = 1 << 20;

    fn flushed(spaces: &Spaces) {
        let mut wait = Wait::new();
        while sealed(spaces) > 0 {
            wait.check(spaces).unwrap();
            thread::sleep(FLUSH_POLL);
        }
    }

    /// One keyspace takes far more than its bound, in batches that each are far below it.
    #[test]
    fn memtables_are_written_as_tables_at_their_bound_and_keep_nobody_waiting_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let config = config::Records { cache_bytes: 4 << 20, memtable_bytes: MEMTABLE_BYTES };
        let spaces = Spaces::open(&dir.path().join("records"), &config).unwrap();
        let value = |n: u32| n.to_be_bytes().repeat(2 << 10);
        let numbers: Vec<u32> = (0..1_600).collect();
        thread::scope(|scope| {
            for numbers in numbers.chunks(400) {
                let spaces = &spaces;
                scope.spawn(move || {
                    for number in numbers {
                        let mut changes = Changes::new(spaces, 1);
                        changes.insert(&spaces.live, number.to_be_bytes(), value(*number));
                        changes.commit().unwrap();
                        assert!(spaces.unflushed.bytes() <= MEMTABLE_BYTES / 2 + 4 * 20_000);
                        assert!(spaces.live.sealed_memtable_count() <= 1);
                    }
                });
            }
        });
        flushed(&spaces);
        assert!(spaces.live.table_count() > 0);
        for number in numbers {
            assert_eq!(*spaces.live.get(number.to_be_bytes()).unwrap().unwrap(), value(number));
        }
    }

    /// Small batches pass where larger ones wait, up to a bound of their own.
    #[test]
    fn small_batches_hand_over_late_and_no_later_than_at_their_bound() {
        let dir = tempfile::tempdir().unwrap();
        let config = config::Records { cache_bytes: 4 << 20, memtable_bytes: MEMTABLE_BYTES };
        let spaces = Spaces::open(&dir.path().join("records"), &config).unwrap();
        let mut most = 0;
        for number in 0..1_000_u32 {
            let mut changes = Changes::new(&spaces, 1);
            changes.insert(&spaces.live, number.to_be_bytes(), [7; 1_500]);
            changes.commit().unwrap();
            most = most.max(spaces.unflushed.bytes());
        }
        let bound = MEMTABLE_BYTES / 8 * 5;
        assert!(most > MEMTABLE_BYTES / 2 && most < bound + 2_000, "{most}");
        flushed(&spaces);
        assert!(spaces.live.table_count() > 0);
    }

    /// What is found at a start counts, so that many short runs do not fill memory and journal.
    #[test]
    fn memtables_of_earlier_runs_count() {
        let dir = tempfile::tempdir().unwrap();
        let config = config::Records { cache_bytes: 4 << 20, memtable_bytes: MEMTABLE_BYTES };
        let mut most = 0;
        for run in 0..10_u32 {
            let spaces = Spaces::open(&dir.path().join("records"), &config).unwrap();
            for number in 0..10_u32 {
                let mut changes = Changes::new(&spaces, 1);
                changes.insert(&spaces.live, (10 * run + number).to_be_bytes(), [7; 8 << 10]);
                changes.commit().unwrap();
            }
            flushed(&spaces);
            most = most.max(spaces.db.write_buffer_size());
        }
        assert!(most > 50_000 && most < MEMTABLE_BYTES / 2, "{most}");
    }
}
