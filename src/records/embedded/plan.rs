//! What the batches of one tenant change.

use fjall::OwnedWriteBatch;

use super::{
    blocks::Blocks,
    codec::{self, Pointers},
    keys,
    lookup::Lookup,
    spaces::Spaces,
    tenants::{NOBODY, State},
};
use crate::{
    domain::{Applied, Operation, PerStorage, Storage, StorageSet, Tenant},
    records::{Batch, Entry, Error, Misses, Row},
};

/// The changes of some batches of one tenant, in the order in which they count as applied.
pub(super) struct Plan<'a> {
    spaces: &'a Spaces,
    name: &'a Tenant,
    tenant: State,
    lots: Vec<Lot<'a>>,
    live: PerStorage<Blocks<'a>>,
    /// Buffer for one row in its envelope.
    row: Vec<u8>,
}

/// One batch and what comes of it.
struct Lot<'a> {
    batch: &'a Batch<'a>,
    cursor: Applied,
    effects: PerStorage<Blocks<'a>>,
    missed: PerStorage<Vec<u32>>,
    /// Number that a row in line 0 would have, where the job's rows were staged.
    staged: Option<u64>,
}

impl<'a> Plan<'a> {
    /// Plans nothing yet.
    ///
    /// # Errors
    /// [`Error::Fenced`] where a batch is not the next one of its job.
    pub(super) fn new(
        spaces: &'a Spaces,
        name: &'a Tenant,
        tenant: State,
        batches: &[&'a Batch<'a>],
    ) -> Result<Self, Error> {
        let lots = batches.iter().map(|batch| Lot::new(spaces, batch)).collect::<Result<_, _>>()?;
        let live = |storage| Blocks::new(&spaces.live, keys::live_prefix(tenant.number, storage));
        Ok(Self { spaces, name, tenant, lots, live: both(live), row: Vec::new() })
    }

    /// Decides on the entries key by key, the entries of one key in their order. Rows of different
    /// keys do not touch each other, so this is as if one by one in the order of the batches.
    pub(super) fn decide(&mut self, changes: &mut OwnedWriteBatch) -> Result<(), Error> {
        let entries = |(place, lot): (usize, &Lot<'a>)| {
            let batch = lot.batch;
            batch.entries.iter().map(move |entry| (entry, place))
        };
        let mut sorted: Vec<(&Entry<'a>, usize)> =
            self.lots.iter().enumerate().flat_map(entries).collect();
        if !sorted.is_sorted_by_key(|(entry, _)| entry.key) {
            sorted.sort_by_key(|(entry, _)| entry.key);
        }
        let State { number, index_entries, .. } = self.tenant;
        let span = sorted.first().zip(sorted.last()).map(|(first, last)| (first.0.key, last.0.key));
        let mut lookup =
            Lookup::new(&self.spaces.index, number, index_entries, span, sorted.len())?;
        for same_key in sorted.chunk_by(|a, b| a.0.key == b.0.key) {
            let Some((first, _)) = same_key.first() else { continue };
            let stored = lookup.find(first.key)?;
            let mut pointers = stored.unwrap_or_default();
            for (entry, lot) in same_key {
                self.decide_entry(*lot, entry, &mut pointers, changes)?;
            }
            if pointers != stored.unwrap_or_default() {
                let value = codec::write_pointers(pointers);
                changes.insert(&self.spaces.index, keys::index(number, first.key), value);
                self.tenant.index_entries += u64::from(stored.is_none());
            }
        }
        Ok(())
    }

    fn decide_entry(
        &mut self,
        place: usize,
        entry: &Entry<'_>,
        pointers: &mut Pointers,
        changes: &mut OwnedWriteBatch,
    ) -> Result<(), Error> {
        let Some(lot) = self.lots.get_mut(place) else { return Ok(()) };
        let operation = lot.batch.operation;
        let mut hit = StorageSet::EMPTY;
        for storage in lot.batch.storages.iter() {
            let row = *pointers.get(storage);
            let live = self.live.get_mut(storage);
            let takes_effect = match operation {
                Operation::Create => row == 0 || !live.contains(row)?,
                Operation::Update | Operation::Delete => row != 0 && live.remove(row)?,
            };
            if !takes_effect {
                lot.missed.get_mut(storage).push(entry.line);
                *lot.cursor.errors.get_mut(storage) += 1;
                continue;
            }
            hit.insert(storage);
            *lot.cursor.processed.get_mut(storage) += 1;
            if operation != Operation::Create {
                lot.effects.get_mut(storage).insert(row)?;
            }
        }
        if hit.is_empty() {
            return Ok(());
        }
        lot.cursor.rows_applied += 1;
        if operation == Operation::Delete {
            return Ok(());
        }
        let row = match entry.row {
            Row::Staged => lot.staged_row(entry.line)?,
            Row::Cells(cells) => {
                let row = self.tenant.next_row;
                self.tenant.next_row += 1;
                let key = keys::row(self.tenant.number, row);
                codec::write_row(&mut self.row, &key, lot.batch.job, entry.line, cells);
                changes.insert(&self.spaces.rows, key, self.row.as_slice());
                row
            }
        };
        for storage in hit.iter() {
            self.live.get_mut(storage).insert(row)?;
            lot.effects.get_mut(storage).insert(row)?;
            *pointers.get_mut(storage) = row;
        }
        Ok(())
    }

    /// Puts bitmaps, misses, tenant and cursors into the transaction. Returns the new cursors.
    pub(super) fn finish(self, changes: &mut OwnedWriteBatch) -> Result<Vec<Applied>, Error> {
        for storage in Storage::ALL {
            self.live.get(storage).write(changes)?;
        }
        let appends = |lot: &Lot<'_>| lot.batch.operation != Operation::Delete;
        if self.lots.iter().any(appends) && self.tenant.next_row > NOBODY.next_row {
            self.spaces.write_tenant(changes, self.name, &self.tenant);
        }
        self.lots.into_iter().map(|lot| lot.finish(self.spaces, changes)).collect()
    }
}

impl<'a> Lot<'a> {
    fn new(spaces: &'a Spaces, batch: &'a Batch<'a>) -> Result<Self, Error> {
        let cursor = spaces.cursor(batch.job)?;
        if cursor.position != batch.position {
            let (job, given) = (batch.job, batch.position);
            return Err(Error::Fenced { job, given, cursor: cursor.position });
        }
        let is_staged = batch.entries.first().is_some_and(|entry| entry.row == Row::Staged);
        let staged = if is_staged && batch.operation != Operation::Delete {
            spaces.stage(batch.job)?.filter(|stage| stage.done).map(|stage| stage.base)
        } else {
            None
        };
        let effects =
            |storage| Blocks::new(&spaces.effects, keys::effects_prefix(batch.job, storage));
        let missed = PerStorage::default();
        Ok(Self { batch, cursor, effects: both(effects), missed, staged })
    }

    fn staged_row(&self, line: u32) -> Result<u64, Error> {
        let base = self.staged.ok_or_else(|| {
            Error::Damaged(format!("the rows of job {} are not staged", self.batch.job))
        })?;
        Ok(base + u64::from(line))
    }

    fn finish(mut self, spaces: &Spaces, changes: &mut OwnedWriteBatch) -> Result<Applied, Error> {
        if self.batch.entries.is_empty() {
            return Ok(self.cursor);
        }
        self.cursor.position += self.batch.entries.len() as u64;
        for storage in Storage::ALL {
            self.effects.get(storage).write(changes)?;
        }
        let job = self.batch.job;
        let misses = bitmaps(self.missed);
        if misses != Misses::default() {
            let key = keys::misses(job, self.batch.position);
            changes.insert(&spaces.misses, key, codec::write_misses(&misses)?);
        }
        changes.insert(&spaces.cursors, job.as_bytes(), codec::write_cursor(&self.cursor));
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
