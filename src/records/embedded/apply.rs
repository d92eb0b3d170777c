//! One batch: what each row does, and the one transaction that holds all of it.

use fjall::OwnedWriteBatch;

use super::{
    Store,
    blocks::Blocks,
    codec::{self, Pointers},
    forget::Forgotten,
    keys,
    lookup::Lookup,
    spaces::{Spaces, failed},
    tenants::{NOBODY, State},
};
use crate::{
    domain::{Applied, Operation, PerStorage, Storage, StorageSet},
    records::{Batch, Entry, Error, Misses},
};

/// Applies a batch; see [`crate::records::RecordStore::apply`].
pub(super) fn apply(store: &Store, batch: &Batch<'_>) -> Result<Applied, Error> {
    let lane = store.lanes.of(batch.tenant);
    let _turn = lane.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    store.forgotten.settle(&store.spaces, batch.job)?;
    let cursor = store.spaces.cursor(batch.job)?;
    if cursor.position != batch.position {
        let (job, given) = (batch.job, batch.position);
        return Err(Error::Fenced { job, given, cursor: cursor.position });
    }
    if batch.entries.is_empty() {
        return Ok(cursor);
    }
    let mut plan = Plan::new(&store.spaces, batch, tenant(store, batch)?, cursor);
    plan.decide()?;
    plan.commit(&store.forgotten)
}

/// The batch's tenant. Only a create makes one: before, there is nothing to find.
fn tenant(store: &Store, batch: &Batch<'_>) -> Result<State, Error> {
    let known = store.spaces.tenant(&store.spaces.db.snapshot(), batch.tenant)?;
    match (known, batch.operation) {
        (Some(known), _) => Ok(known),
        (None, Operation::Create) => Ok(State { number: store.numbers.take()?, ..NOBODY }),
        (None, Operation::Update | Operation::Delete) => Ok(NOBODY),
    }
}

/// What a batch changes.
struct Plan<'a> {
    spaces: &'a Spaces,
    batch: &'a Batch<'a>,
    tenant: State,
    cursor: Applied,
    live: PerStorage<Blocks<'a>>,
    effects: PerStorage<Blocks<'a>>,
    missed: PerStorage<Vec<u32>>,
    changes: OwnedWriteBatch,
    /// Buffer for one row in its envelope.
    row: Vec<u8>,
}

impl<'a> Plan<'a> {
    fn new(spaces: &'a Spaces, batch: &'a Batch<'a>, tenant: State, cursor: Applied) -> Self {
        let live = |storage| Blocks::new(&spaces.live, keys::live_prefix(tenant.number, storage));
        let effects =
            |storage| Blocks::new(&spaces.effects, keys::effects_prefix(batch.job, storage));
        let items = match batch.operation {
            Operation::Delete => 0,
            Operation::Create | Operation::Update => 2 * batch.entries.len(),
        };
        Self {
            spaces,
            batch,
            tenant,
            cursor,
            live: both(live),
            effects: both(effects),
            missed: PerStorage::default(),
            changes: spaces.durable_batch(items),
            row: Vec::new(),
        }
    }

    /// Decides on the entries key by key, the entries of one key in their order. Rows of different
    /// keys do not touch each other, so this is as if one by one in the order of the batch.
    fn decide(&mut self) -> Result<(), Error> {
        let mut sorted: Vec<&Entry<'_>> = self.batch.entries.iter().collect();
        if !sorted.is_sorted_by_key(|entry| entry.key) {
            sorted.sort_by_key(|entry| entry.key);
        }
        let State { number, index_entries, .. } = self.tenant;
        let mut lookup = Lookup::new(&self.spaces.index, number, index_entries, &sorted)?;
        for same_key in sorted.chunk_by(|a, b| a.key == b.key) {
            let Some(first) = same_key.first() else { continue };
            let stored = lookup.find(first.key)?;
            let mut pointers = stored.unwrap_or_default();
            for entry in same_key {
                self.decide_entry(entry, &mut pointers)?;
            }
            if pointers != stored.unwrap_or_default() {
                let value = codec::write_pointers(pointers);
                self.changes.insert(&self.spaces.index, keys::index(number, first.key), value);
                self.tenant.index_entries += u64::from(stored.is_none());
            }
        }
        Ok(())
    }

    fn decide_entry(&mut self, entry: &Entry<'_>, pointers: &mut Pointers) -> Result<(), Error> {
        let creates = self.batch.operation == Operation::Create;
        let mut hit = StorageSet::EMPTY;
        for storage in self.batch.storages.iter() {
            let row = *pointers.get(storage);
            let live = row != 0 && self.live.get_mut(storage).contains(row)?;
            if live == creates {
                self.missed.get_mut(storage).push(entry.line);
                *self.cursor.errors.get_mut(storage) += 1;
                continue;
            }
            hit.insert(storage);
            *self.cursor.processed.get_mut(storage) += 1;
            if live {
                self.live.get_mut(storage).remove(row)?;
                self.effects.get_mut(storage).insert(row)?;
            }
        }
        if hit.is_empty() {
            return Ok(());
        }
        self.cursor.rows_applied += 1;
        if self.batch.operation == Operation::Delete {
            return Ok(());
        }
        let row = self.append(entry);
        for storage in hit.iter() {
            self.live.get_mut(storage).insert(row)?;
            self.effects.get_mut(storage).insert(row)?;
            *pointers.get_mut(storage) = row;
        }
        Ok(())
    }

    /// Stores the entry's row under the next row number.
    fn append(&mut self, entry: &Entry<'_>) -> u64 {
        let row = self.tenant.next_row;
        self.tenant.next_row += 1;
        let key = keys::row(self.tenant.number, row);
        codec::write_row(&mut self.row, &key, self.batch.job, entry.line, entry.row);
        self.changes.insert(&self.spaces.rows, key, self.row.as_slice());
        row
    }

    fn commit(mut self, forgotten: &Forgotten) -> Result<Applied, Error> {
        self.cursor.position += self.batch.entries.len() as u64;
        for storage in Storage::ALL {
            self.live.get(storage).write(&mut self.changes)?;
            self.effects.get(storage).write(&mut self.changes)?;
        }
        let job = self.batch.job;
        let misses = bitmaps(self.missed);
        if misses != Misses::default() {
            let key = keys::misses(job, self.batch.position);
            self.changes.insert(&self.spaces.misses, key, codec::write_misses(&misses)?);
        }
        let appends = self.batch.operation != Operation::Delete;
        if appends && self.tenant.next_row > NOBODY.next_row {
            self.spaces.write_tenant(&mut self.changes, self.batch.tenant, &self.tenant);
        }
        let cursor = codec::write_cursor(&self.cursor);
        self.changes.insert(&self.spaces.cursors, job.as_bytes(), cursor);
        let removed = forgotten.remove_with(self.spaces, &mut self.changes)?;
        self.spaces.wait_for_flushes()?;
        self.changes.commit().map_err(failed)?;
        forgotten.removed(&removed);
        Ok(self.cursor)
    }
}

/// The lines as bitmaps, which take them in ascending order much faster than in the order of keys.
fn bitmaps(mut lines: PerStorage<Vec<u32>>) -> Misses {
    let mut misses = Misses::default();
    for storage in Storage::ALL {
        let lines = lines.get_mut(storage);
        lines.sort_unstable();
        misses.get_mut(storage).extend(lines.iter());
    }
    misses
}

fn both<T>(mut value: impl FnMut(Storage) -> T) -> PerStorage<T> {
    PerStorage { non_redacted: value(Storage::NonRedacted), redacted: value(Storage::Redacted) }
}
