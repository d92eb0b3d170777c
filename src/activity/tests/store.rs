//! Record stores to test with: two kinds, and one that breaks off.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use roaring::RoaringBitmap;

use crate::{
    config,
    domain::{Applied, JobId, PurgedJob, Storage, Tenant},
    records::{
        Batch, Entry, Error, KeyHash, Misses, RecordStore, Row, Stage, Staged, embedded, memory,
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Memory,
    Embedded,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Memory, Self::Embedded];

    pub(super) fn open(self, dir: &Path) -> Store {
        let config = config::Records { cache_bytes: 4 << 20, memtable_bytes: 2 << 20 };
        let inner: Box<dyn RecordStore> = match self {
            Self::Memory => Box::new(memory::Store::default()),
            Self::Embedded => {
                Box::new(embedded::Store::open(&dir.join("records"), &config).unwrap())
            }
        };
        let (lives, stage_lives) = (AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX));
        Store { inner, lives, stage_lives, batches: Mutex::default() }
    }
}

/// A store that can die right after a batch is durable, before anybody hears of it.
pub(super) struct Store {
    inner: Box<dyn RecordStore>,
    lives: AtomicU64,
    stage_lives: AtomicU64,
    /// Rows and bytes of each batch.
    pub(super) batches: Mutex<Vec<(usize, usize)>>,
}

impl Store {
    /// Dies after that many more batches.
    pub(super) fn die_after(&self, batches: u64) {
        self.lives.store(batches, Ordering::SeqCst);
    }

    /// Dies while it stages that row.
    pub(super) fn die_at_staged_row(&self, row: u64) {
        self.stage_lives.store(row, Ordering::SeqCst);
    }

    pub(super) fn revive(&self) {
        self.die_after(u64::MAX);
        self.die_at_staged_row(u64::MAX);
    }
}

impl RecordStore for Store {
    fn key(&self, vax_event_id: &[u8]) -> KeyHash {
        self.inner.key(vax_event_id)
    }

    fn cursor(&self, job: JobId) -> Result<Applied, Error> {
        self.inner.cursor(job)
    }

    fn stage<'a>(&'a self, staged: &Staged<'a>) -> Result<Option<Box<dyn Stage + 'a>>, Error> {
        let stage = self.inner.stage(staged)?;
        let lives = self.stage_lives.load(Ordering::SeqCst);
        Ok(stage.map(|stage| Box::new(Dying { stage, lives }) as Box<dyn Stage>))
    }

    fn apply_all(&self, batches: &[Batch<'_>]) -> Result<Vec<Applied>, Error> {
        for batch in batches {
            let bytes = |entry: &Entry<'_>| match entry.row {
                Row::Cells(cells) => cells.len(),
                Row::Staged => 0,
            };
            let bytes = batch.entries.iter().map(bytes).sum();
            self.batches.lock().unwrap().push((batch.entries.len(), bytes));
        }
        let cursors = self.inner.apply_all(batches)?;
        let lives = self.lives.load(Ordering::SeqCst);
        self.lives.store(lives - u64::from(lives < u64::MAX), Ordering::SeqCst);
        if lives == 1 {
            return Err(Error::Storage("it died as it was told to".to_owned()));
        }
        Ok(cursors)
    }

    fn misses(&self, job: JobId) -> Result<Misses, Error> {
        self.inner.misses(job)
    }

    fn forget(&self, job: JobId) -> Result<(), Error> {
        self.inner.forget(job)
    }

    fn purge(&self, jobs: &[PurgedJob]) -> Result<(), Error> {
        self.inner.purge(jobs)
    }

    fn remembered(&self) -> Result<Vec<JobId>, Error> {
        self.inner.remembered()
    }

    fn counts(&self, tenant: Option<&Tenant>) -> Result<Vec<(Tenant, Storage, u64)>, Error> {
        self.inner.counts(tenant)
    }

    fn get(&self, tenant: &Tenant, storage: Storage, id: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.inner.get(tenant, storage, id)
    }

    fn export(
        &self,
        tenant: &Tenant,
        storage: Storage,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.inner.export(tenant, storage, visit)
    }
}

/// A stage that breaks off.
struct Dying<'a> {
    stage: Box<dyn Stage + 'a>,
    lives: u64,
}

impl Stage for Dying<'_> {
    fn key(&mut self, key: KeyHash, line: u32) -> Result<(), Error> {
        self.stage.key(key, line)
    }

    fn wanted(&mut self) -> Result<RoaringBitmap, Error> {
        self.stage.wanted()
    }

    fn row(&mut self, line: u32, cells: &[u8]) -> Result<(), Error> {
        self.lives -= 1;
        if self.lives == 0 {
            return Err(Error::Storage("it died as it was told to".to_owned()));
        }
        self.stage.row(line, cells)
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.stage.finish()
    }
}
