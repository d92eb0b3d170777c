//! What the batches of one tenant change.

use std::thread;

use roaring::RoaringBitmap;

use super::{
    changes::Changes,
    codec::{self, Pointers},
    keys,
    lookup::Lookup,
    side::{Part, Side},
    spaces::Spaces,
    tenants::{NOBODY, State},
};
use crate::{
    domain::{Applied, Operation, PerStorage, Storage, Tenant},
    limits::PARALLEL_KEYS_MIN,
    records::{Batch, Entry, Error, Misses, Row},
};

/// The changes of some batches of one tenant, in the order in which they count as applied.
pub(super) struct Plan<'a> {
    spaces: &'a Spaces,
    name: &'a Tenant,
    tenant: State,
    lots: Vec<Lot<'a>>,
    sides: PerStorage<Side<'a>>,
    /// Buffer for one row in its envelope.
    row: Vec<u8>,
}

/// One batch.
struct Lot<'a> {
    batch: &'a Batch<'a>,
    cursor: Applied,
    /// Number that a row in line 0 would have, where the job's rows were staged.
    staged: Option<u64>,
}

/// An entry and the place of its batch.
type Turn<'a> = (&'a Entry<'a>, usize);

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
        let side = |storage| Side::new(spaces, tenant.number, storage, batches);
        let sides = PerStorage {
            non_redacted: side(Storage::NonRedacted),
            redacted: side(Storage::Redacted),
        };
        Ok(Self { spaces, name, tenant, lots, sides, row: Vec::new() })
    }

    /// Decides on the entries key by key, the entries of one key in their order. Rows of different
    /// keys do not touch each other, so this is as if one by one in the order of the batches.
    pub(super) fn decide(&mut self, changes: &mut Changes<'_>) -> Result<(), Error> {
        let entries = |(place, lot): (usize, &Lot<'a>)| {
            let batch = lot.batch;
            batch.entries.iter().map(move |entry| (entry, place))
        };
        let mut turns: Vec<Turn<'a>> = self.lots.iter().enumerate().flat_map(entries).collect();
        if !turns.is_sorted_by_key(|(entry, _)| entry.key) {
            turns.sort_by_key(|(entry, _)| entry.key);
        }
        let deletes = self.lots.iter().all(|lot| lot.batch.operation == Operation::Delete);
        if deletes && turns.len() >= PARALLEL_KEYS_MIN {
            self.delete_all(&turns)
        } else {
            self.decide_in_turn(&turns, changes)
        }
    }

    fn decide_in_turn(
        &mut self,
        turns: &[Turn<'_>],
        changes: &mut Changes<'_>,
    ) -> Result<(), Error> {
        let mut lookup = self.lookup(turns)?;
        for same_key in turns.chunk_by(|a, b| a.0.key == b.0.key) {
            let Some((first, _)) = same_key.first() else { continue };
            let stored = lookup.find(first.key)?;
            let mut pointers = stored.unwrap_or_default();
            for (entry, place) in same_key {
                self.decide_entry(*place, entry, &mut pointers, changes)?;
            }
            if pointers != stored.unwrap_or_default() {
                let value = codec::write_pointers(pointers);
                let key = keys::index(self.tenant.number, first.key);
                changes.insert(&self.spaces.index, key, value);
                self.tenant.index_entries += u64::from(stored.is_none());
            }
        }
        Ok(())
    }

    fn lookup(&self, turns: &[Turn<'_>]) -> Result<Lookup<'a>, Error> {
        let span = turns.first().zip(turns.last()).map(|(first, last)| (first.0.key, last.0.key));
        let State { number, index_entries, .. } = self.tenant;
        Lookup::new(&self.spaces.index, number, index_entries, span, turns.len())
    }

    fn decide_entry(
        &mut self,
        place: usize,
        entry: &Entry<'_>,
        pointers: &mut Pointers,
        changes: &mut Changes<'_>,
    ) -> Result<(), Error> {
        let mut hit = PerStorage::<bool>::default();
        for storage in Storage::ALL {
            let row = *pointers.get(storage);
            *hit.get_mut(storage) = self.sides.get_mut(storage).decide(place, entry.line, row)?;
        }
        let Some(lot) = self.lots.get_mut(place).filter(|_| hit.non_redacted || hit.redacted)
        else {
            return Ok(());
        };
        lot.cursor.rows_applied += 1;
        if lot.batch.operation == Operation::Delete {
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
        for storage in Storage::ALL.into_iter().filter(|storage| *hit.get(*storage)) {
            self.sides.get_mut(storage).enliven(place, row)?;
            *pointers.get_mut(storage) = row;
        }
        Ok(())
    }

    /// Decides on deletes, which never change the index: it is read on two threads, then each storage
    /// has a thread of its own.
    fn delete_all(&mut self, turns: &[Turn<'_>]) -> Result<(), Error> {
        let (front, back) = turns.split_at(turns.len() / 2);
        let (found, rest) = beside(|| self.find_all(front), || self.find_all(back))?;
        let found: Vec<&Pointers> = found.iter().chain(&rest).collect();
        let delete = |side: &mut Side<'a>, storage| {
            let rows = turns.iter().zip(&found);
            rows.map(|((entry, place), row)| side.decide(*place, entry.line, *row.get(storage)))
                .collect::<Result<Vec<bool>, Error>>()
        };
        let PerStorage { non_redacted, redacted } = &mut self.sides;
        let (one, other) = beside(
            || delete(non_redacted, Storage::NonRedacted),
            || delete(redacted, Storage::Redacted),
        )?;
        for ((_, place), (one, other)) in turns.iter().zip(one.into_iter().zip(other)) {
            if let Some(lot) = self.lots.get_mut(*place) {
                lot.cursor.rows_applied += u64::from(one || other);
            }
        }
        Ok(())
    }

    /// The rows of each entry's id.
    fn find_all(&self, turns: &[Turn<'_>]) -> Result<Vec<Pointers>, Error> {
        let mut lookup = self.lookup(turns)?;
        let find = |(entry, _): &Turn<'_>| Ok(lookup.find(entry.key)?.unwrap_or_default());
        turns.iter().map(find).collect()
    }

    /// Puts bitmaps, misses, tenant and cursors into the transaction. Returns the new cursors.
    pub(super) fn finish(self, changes: &mut Changes<'_>) -> Result<Vec<Applied>, Error> {
        let appends = |lot: &Lot<'_>| lot.batch.operation != Operation::Delete;
        if self.lots.iter().any(appends) && self.tenant.next_row > NOBODY.next_row {
            self.spaces.write_tenant(changes, self.name, &self.tenant);
        }
        let non_redacted = self.sides.non_redacted.finish(changes)?;
        let redacted = self.sides.redacted.finish(changes)?;
        let parts = non_redacted.into_iter().zip(redacted);
        let lots = self.lots.into_iter().zip(parts);
        lots.map(|(lot, (one, other))| {
            lot.finish(PerStorage { non_redacted: one, redacted: other }, self.spaces, changes)
        })
        .collect()
    }
}

impl<'a> Lot<'a> {
    fn new(spaces: &Spaces, batch: &'a Batch<'a>) -> Result<Self, Error> {
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
        Ok(Self { batch, cursor, staged })
    }

    fn staged_row(&self, line: u32) -> Result<u64, Error> {
        let base = self.staged.ok_or_else(|| {
            Error::Damaged(format!("the rows of job {} are not staged", self.batch.job))
        })?;
        Ok(base + u64::from(line))
    }

    fn finish(
        mut self,
        parts: PerStorage<Part<'_>>,
        spaces: &Spaces,
        changes: &mut Changes<'_>,
    ) -> Result<Applied, Error> {
        if self.batch.entries.is_empty() {
            return Ok(self.cursor);
        }
        self.cursor.position += self.batch.entries.len() as u64;
        let mut misses = Misses::default();
        for (storage, part) in
            [(Storage::NonRedacted, parts.non_redacted), (Storage::Redacted, parts.redacted)]
        {
            *self.cursor.processed.get_mut(storage) += part.processed;
            *self.cursor.errors.get_mut(storage) += part.missed.len() as u64;
            *misses.get_mut(storage) = bitmap(part.missed);
        }
        let job = self.batch.job;
        if misses != Misses::default() {
            let key = keys::misses(job, self.batch.position);
            changes.insert(&spaces.misses, key, codec::write_misses(&misses)?);
        }
        changes.insert(&spaces.cursors, job.as_bytes(), codec::write_cursor(&self.cursor));
        Ok(self.cursor)
    }
}

/// The lines as a bitmap, which takes them in ascending order much faster than in the order of keys.
fn bitmap(mut lines: Vec<u32>) -> RoaringBitmap {
    lines.sort_unstable();
    lines.into_iter().collect()
}

/// Runs the second function on a thread of its own while the first one runs here.
fn beside<A: Send, B: Send>(
    here: impl FnOnce() -> Result<A, Error>,
    there: impl FnOnce() -> Result<B, Error> + Send,
) -> Result<(A, B), Error> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("records".to_owned()).spawn_scoped(scope, there);
        let thread = thread.map_err(|e| Error::Storage(format!("cannot start a thread: {e}")))?;
        let here = here();
        let there = thread
            .join()
            .map_err(|_| Error::Storage("a thread of the record store panicked".to_owned()))?;
        Ok((here?, there?))
    })
}
