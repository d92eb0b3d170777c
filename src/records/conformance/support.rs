//! Stores to test and short ways to say what is done with them.

use std::{cell::Cell, ops::ControlFlow};

use tempfile::TempDir;

use crate::{
    config,
    domain::{Applied, JobId, Operation, PerStorage, Storage, StorageSet, Tenant},
    records::{Batch, Entry, Error, KeyHash, RecordStore, Row, Stage, Staged, embedded, memory},
};

pub(super) const FULL: Storage = Storage::NonRedacted;
pub(super) const REDACTED: Storage = Storage::Redacted;

/// A store that can be closed and opened again.
pub(super) trait Subject {
    type Store: RecordStore;
    /// Opens it; what was opened before has been dropped.
    fn open(&self) -> Self::Store;
}

#[derive(Default)]
pub(super) struct Model(memory::Store);

impl Subject for Model {
    type Store = memory::Store;

    fn open(&self) -> memory::Store {
        self.0.clone()
    }
}

pub(super) struct Embedded {
    dir: TempDir,
    config: config::Records,
}

impl Default for Embedded {
    fn default() -> Self {
        let config = config::Records { cache_bytes: 4 << 20, memtable_bytes: 2 << 20 };
        Self { dir: TempDir::new().unwrap(), config }
    }
}

impl Subject for Embedded {
    type Store = embedded::Store;

    fn open(&self) -> embedded::Store {
        embedded::Store::open(&self.dir.path().join("records"), &self.config).unwrap()
    }
}

/// A canonical row of that id, told from others of that id by `mark`.
pub(super) fn row(id: &str, mark: &str) -> Vec<u8> {
    let mut cells = vec![id.to_owned()];
    cells.extend((1..45).map(|place| format!("{mark}-{place}")));
    cells.join("\t").into_bytes()
}

/// The row as the redacted storage shows it.
pub(super) fn redacted(id: &str, mark: &str) -> Vec<u8> {
    let row = String::from_utf8(row(id, mark)).unwrap();
    let mut cells: Vec<&str> = row.split('\t').collect();
    for place in [4, 5, 6, 9, 10, 11] {
        cells[place] = "Redacted";
    }
    cells.join("\t").into_bytes()
}

pub(super) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

pub(super) fn set(storages: &[Storage]) -> StorageSet {
    storages.iter().copied().collect()
}

pub(super) fn per_storage<T>(non_redacted: T, redacted: T) -> PerStorage<T> {
    PerStorage { non_redacted, redacted }
}

/// One job and where it stands. Its lines start at 2 and go up by one.
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) tenant: Tenant,
    pub(super) operation: Operation,
    pub(super) storages: StorageSet,
    pub(super) position: Cell<u64>,
}

impl Job {
    pub(super) fn new(operation: Operation) -> Self {
        Self {
            id: JobId::generate(),
            tenant: Tenant::local(),
            operation,
            storages: StorageSet::ALL,
            position: Cell::new(0),
        }
    }

    pub(super) fn of(self, tenant: &Tenant) -> Self {
        Self { tenant: tenant.clone(), ..self }
    }

    pub(super) fn on(self, storages: &[Storage]) -> Self {
        Self { storages: set(storages), ..self }
    }

    /// Applies a batch of (id, mark) at a position, without moving the job.
    pub(super) fn try_at(
        &self,
        store: &impl RecordStore,
        position: u64,
        rows: &[(&str, &str)],
    ) -> Result<Applied, Error> {
        let cells: Vec<Vec<u8>> = rows
            .iter()
            .map(|(id, mark)| match self.operation {
                Operation::Delete => Vec::new(),
                Operation::Create | Operation::Update => row(id, mark),
            })
            .collect();
        let first_line = u32::try_from(position).unwrap() + 2;
        let entries: Vec<Entry<'_>> = rows
            .iter()
            .zip(&cells)
            .zip(first_line..)
            .map(|(((id, _), row), line)| Entry {
                key: store.key(id.as_bytes()),
                line,
                row: Row::Cells(row),
            })
            .collect();
        store.apply(&self.batch(position, &entries))
    }

    pub(super) fn batch<'a>(&'a self, position: u64, entries: &'a [Entry<'a>]) -> Batch<'a> {
        Batch {
            job: self.id,
            tenant: &self.tenant,
            operation: self.operation,
            storages: self.storages,
            position,
            entries,
        }
    }

    pub(super) fn staged(&self, last_line: u32) -> Staged<'_> {
        Staged {
            job: self.id,
            tenant: &self.tenant,
            operation: self.operation,
            storages: self.storages,
            last_line,
        }
    }

    /// Stages rows of (id, mark) in lines from 2 on; returns the lines that were wanted.
    pub(super) fn stage(&self, store: &impl RecordStore, rows: &[(&str, &str)]) -> Vec<u32> {
        self.stage_if_new(store, rows).unwrap()
    }

    /// [`Job::stage`]; `None` where there is nothing to stage.
    pub(super) fn stage_if_new(
        &self,
        store: &impl RecordStore,
        rows: &[(&str, &str)],
    ) -> Option<Vec<u32>> {
        let last_line = u32::try_from(rows.len()).unwrap() + 1;
        let mut stage = store.stage(&self.staged(last_line)).unwrap()?;
        push_keys(store, &mut *stage, rows);
        let wanted: Vec<u32> = stage.wanted().unwrap().iter().collect();
        for line in &wanted {
            let (id, mark) = rows[*line as usize - 2];
            stage.row(*line, &row(id, mark)).unwrap();
        }
        stage.finish().unwrap();
        Some(wanted)
    }

    /// Applies a batch of rows that were staged, their ids in file order, at a position.
    pub(super) fn try_staged(
        &self,
        store: &impl RecordStore,
        position: u64,
        ids: &[&str],
    ) -> Result<Applied, Error> {
        let entries = sorted(store, ids).into_iter();
        let entries: Vec<Entry<'_>> =
            entries.map(|(key, line)| Entry { key, line, row: Row::Staged }).collect();
        store.apply(&self.batch(position, &entries))
    }

    pub(super) fn apply_staged(&self, store: &impl RecordStore, ids: &[&str]) -> Applied {
        self.try_staged(store, 0, ids).unwrap()
    }

    /// Applies the job's next batch.
    pub(super) fn apply(&self, store: &impl RecordStore, rows: &[(&str, &str)]) -> Applied {
        let cursor = self.try_at(store, self.position.get(), rows).unwrap();
        self.position.set(cursor.position);
        cursor
    }
}

/// Keys and lines of ids in file order, in index order.
pub(super) fn sorted(store: &impl RecordStore, ids: &[&str]) -> Vec<(KeyHash, u32)> {
    let mut keys: Vec<_> = ids.iter().map(|id| store.key(id.as_bytes())).zip(2..).collect();
    keys.sort_unstable();
    keys
}

pub(super) fn push_keys(store: &impl RecordStore, stage: &mut dyn Stage, rows: &[(&str, &str)]) {
    let ids: Vec<_> = rows.iter().map(|(id, _)| *id).collect();
    for (key, line) in sorted(store, &ids) {
        stage.key(key, line).unwrap();
    }
}

/// An entry with its cells.
pub(super) fn cells<'a>(
    store: &impl RecordStore,
    id: &str,
    line: u32,
    cells: &'a [u8],
) -> Entry<'a> {
    Entry { key: store.key(id.as_bytes()), line, row: Row::Cells(cells) }
}

pub(super) fn create(store: &impl RecordStore, rows: &[(&str, &str)]) -> Applied {
    Job::new(Operation::Create).apply(store, rows)
}

pub(super) fn update(store: &impl RecordStore, rows: &[(&str, &str)]) -> Applied {
    Job::new(Operation::Update).apply(store, rows)
}

/// Deletes ids in a job of its own.
pub(super) fn delete(store: &impl RecordStore, ids: &[&str]) -> Applied {
    let rows: Vec<(&str, &str)> = ids.iter().map(|id| (*id, "")).collect();
    Job::new(Operation::Delete).apply(store, &rows)
}

/// The record of tenant `local` in that storage.
pub(super) fn get(store: &impl RecordStore, storage: Storage, id: &str) -> Option<Vec<u8>> {
    store.get(&Tenant::local(), storage, id.as_bytes()).unwrap()
}

/// Everything that is live there, sorted.
pub(super) fn export(store: &impl RecordStore, tenant: &Tenant, storage: Storage) -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    let mut visit = |row: &[u8]| {
        rows.push(row.to_vec());
        ControlFlow::Continue(())
    };
    store.export(tenant, storage, &mut visit).unwrap();
    rows.sort();
    rows
}

/// A cursor where each of `position` rows did the same in both storages.
pub(super) fn same_in_both(position: u64, processed: u64) -> Applied {
    let errors = position - processed;
    Applied {
        position,
        rows_applied: processed,
        processed: per_storage(processed, processed),
        errors: per_storage(errors, errors),
    }
}
