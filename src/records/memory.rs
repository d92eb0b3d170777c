//! The model of a record store: plain maps, one row after the other. Nothing is durable.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use roaring::RoaringBitmap;

use super::{Batch, Entry, Error, KeyHash, Misses, RecordStore, Row, Stage, Staged};
use crate::{
    cvrs::{event_id_of, redact},
    domain::{Applied, JobId, Operation, PurgedJob, Storage, StorageSet, Tenant},
};

/// Live rows of one storage.
type Rows = BTreeMap<KeyHash, Vec<u8>>;

/// Records in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Store {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tenants: BTreeMap<Tenant, BTreeMap<Storage, Rows>>,
    cursors: BTreeMap<JobId, Applied>,
    misses: BTreeMap<JobId, Misses>,
    staged: BTreeMap<JobId, BTreeMap<u32, Vec<u8>>>,
}

/// Rows on their way to be staged.
struct Staging<'a> {
    store: &'a Store,
    staged: Staged<'a>,
    keys: Vec<(KeyHash, u32)>,
    rows: BTreeMap<u32, Vec<u8>>,
}

impl Staging<'_> {
    /// Whether a row of that id has an effect in some storage.
    fn is_wanted(&self, state: &State, key: KeyHash) -> bool {
        let creates = self.staged.operation == Operation::Create;
        self.staged.storages.iter().any(|storage| {
            let rows = state.rows(self.staged.tenant, storage);
            rows.is_some_and(|rows| rows.contains_key(&key)) != creates
        })
    }
}

impl Stage for Staging<'_> {
    fn key(&mut self, key: KeyHash, line: u32) -> Result<(), Error> {
        if self.keys.last().is_some_and(|last| *last >= (key, line)) {
            return Err(Error::Storage(format!("line {line} is staged out of its order")));
        }
        self.keys.push((key, line));
        Ok(())
    }

    fn wanted(&mut self) -> Result<RoaringBitmap, Error> {
        let state = self.store.state();
        let mut wanted = RoaringBitmap::new();
        for same in self.keys.chunk_by(|a, b| a.0 == b.0) {
            let needed = if self.staged.operation == Operation::Create { 1 } else { same.len() };
            for (key, line) in same.iter().take(needed) {
                if self.is_wanted(&state, *key) {
                    wanted.insert(*line);
                }
            }
        }
        Ok(wanted)
    }

    fn row(&mut self, line: u32, cells: &[u8]) -> Result<(), Error> {
        let newest = self.rows.last_key_value().map_or(0, |(line, _)| *line);
        if line <= newest || line > self.staged.last_line {
            return Err(Error::Storage(format!("line {line} is staged out of its order")));
        }
        self.rows.insert(line, cells.to_vec());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.store.state().staged.insert(self.staged.job, self.rows);
        Ok(())
    }
}

impl Store {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn rows(&self, tenant: &Tenant, storage: Storage) -> Option<&Rows> {
        self.tenants.get(tenant)?.get(&storage)
    }

    fn apply_batch(&mut self, batch: &Batch<'_>) -> Result<Applied, Error> {
        let mut cursor = self.cursors.get(&batch.job).copied().unwrap_or_default();
        for entry in batch.entries {
            let mut effective = StorageSet::EMPTY;
            for storage in batch.storages.iter() {
                if self.apply(batch, entry, storage)? {
                    effective.insert(storage);
                    *cursor.processed.get_mut(storage) += 1;
                } else {
                    *cursor.errors.get_mut(storage) += 1;
                }
            }
            cursor.position += 1;
            cursor.rows_applied += u64::from(!effective.is_empty());
        }
        self.cursors.insert(batch.job, cursor);
        Ok(cursor)
    }

    fn cells(&self, job: JobId, entry: &Entry<'_>) -> Result<Vec<u8>, Error> {
        let staged = || self.staged.get(&job)?.get(&entry.line).cloned();
        match entry.row {
            Row::Cells(cells) => Ok(cells.to_vec()),
            Row::Staged => staged()
                .ok_or_else(|| Error::Damaged(format!("the rows of job {job} are not staged"))),
        }
    }

    /// Applies one row to one storage; whether it took effect.
    fn apply(
        &mut self,
        batch: &Batch<'_>,
        entry: &Entry<'_>,
        storage: Storage,
    ) -> Result<bool, Error> {
        let live =
            self.rows(batch.tenant, storage).is_some_and(|rows| rows.contains_key(&entry.key));
        let effective = live != (batch.operation == Operation::Create);
        if !effective {
            self.misses.entry(batch.job).or_default().get_mut(storage).insert(entry.line);
            return Ok(false);
        }
        let cells = match batch.operation {
            Operation::Delete => Vec::new(),
            Operation::Create | Operation::Update => self.cells(batch.job, entry)?,
        };
        let tenant = self.tenants.entry(batch.tenant.clone()).or_default();
        let rows = tenant.entry(storage).or_default();
        if batch.operation == Operation::Delete {
            rows.remove(&entry.key);
        } else {
            rows.insert(entry.key, cells);
        }
        Ok(true)
    }
}

impl RecordStore for Store {
    fn key(&self, vax_event_id: &[u8]) -> KeyHash {
        let digest = blake3::hash(&vax_event_id.to_ascii_lowercase());
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(digest.as_bytes()) {
            *to = *from;
        }
        KeyHash(key)
    }

    fn cursor(&self, job: JobId) -> Result<Applied, Error> {
        Ok(self.state().cursors.get(&job).copied().unwrap_or_default())
    }

    fn stage<'a>(&'a self, staged: &Staged<'a>) -> Result<Option<Box<dyn Stage + 'a>>, Error> {
        if self.state().staged.contains_key(&staged.job) {
            return Ok(None);
        }
        let (keys, rows) = (Vec::new(), BTreeMap::new());
        Ok(Some(Box::new(Staging { store: self, staged: *staged, keys, rows })))
    }

    fn apply_all(&self, batches: &[Batch<'_>]) -> Result<Vec<Applied>, Error> {
        let mut state = self.state();
        for batch in batches {
            let cursor = state.cursors.get(&batch.job).map_or(0, |cursor| cursor.position);
            if cursor != batch.position {
                let (job, given) = (batch.job, batch.position);
                return Err(Error::Fenced { job, given, cursor });
            }
        }
        batches.iter().map(|batch| state.apply_batch(batch)).collect()
    }

    fn misses(&self, job: JobId) -> Result<Misses, Error> {
        Ok(self.state().misses.get(&job).cloned().unwrap_or_default())
    }

    fn forget(&self, job: JobId) -> Result<(), Error> {
        let mut state = self.state();
        state.cursors.remove(&job);
        state.staged.remove(&job);
        state.misses.remove(&job);
        Ok(())
    }

    /// Nothing is noted here.
    fn purge(&self, _: &[PurgedJob]) -> Result<(), Error> {
        Ok(())
    }

    fn remembered(&self) -> Result<Vec<JobId>, Error> {
        Ok(self.state().cursors.keys().copied().collect())
    }

    fn counts(&self, tenant: Option<&Tenant>) -> Result<Vec<(Tenant, Storage, u64)>, Error> {
        let state = self.state();
        let mut counts = Vec::new();
        for name in state.tenants.keys().filter(|name| tenant.is_none_or(|one| one == *name)) {
            for storage in Storage::ALL {
                let live = state.rows(name, storage).map_or(0, Rows::len);
                counts.push((name.clone(), storage, live as u64));
            }
        }
        Ok(counts)
    }

    fn get(
        &self,
        tenant: &Tenant,
        storage: Storage,
        vax_event_id: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        let state = self.state();
        let key = self.key(vax_event_id);
        let row = state
            .rows(tenant, storage)
            .and_then(|rows| rows.get(&key))
            .filter(|row| event_id_of(row).eq_ignore_ascii_case(vax_event_id));
        Ok(row.map(|row| shown(row, storage)))
    }

    fn export(
        &self,
        tenant: &Tenant,
        storage: Storage,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let rows = self.state().rows(tenant, storage).cloned().unwrap_or_default();
        for row in rows.values() {
            if visit(&shown(row, storage)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn shown(row: &[u8], storage: Storage) -> Vec<u8> {
    match storage {
        Storage::NonRedacted => row.to_vec(),
        Storage::Redacted => {
            let mut out = Vec::with_capacity(row.len());
            redact(row, &mut out);
            out
        }
    }
}
