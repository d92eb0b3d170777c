//! Rows written ahead of the batches that name them.
//!
//! A large create or update would write its rows three times: into the store's journal, from there
//! into tables, and again when tables are merged. Staged rows are written once, as finished tables in row
//! order, and nothing points at them but index entries of ids that have no live record. So nobody
//! sees them before a batch sets their bits.

use roaring::RoaringBitmap;

use super::{
    Store,
    apply::lock,
    blocks::Blocks,
    changes::Changes,
    codec::{self, Pointers, StageRecord},
    keys,
    lookup::Lookup,
    tables::Tables,
    tenants::{NOBODY, State},
};
use crate::{
    domain::{Operation, PerStorage, Storage},
    failpoint::{Point, hit},
    limits::STAGED_KEYS_CHUNK,
    records::{Error, KeyHash, Stage, Staged},
};

/// Begins to stage the rows of a job; see [`crate::records::RecordStore::stage`].
pub(super) fn stage<'a>(
    store: &'a Store,
    staged: &Staged<'a>,
) -> Result<Option<Box<dyn Stage + 'a>>, Error> {
    let record = match store.spaces.stage(staged.job)? {
        Some(record) if record.done => return Ok(None),
        Some(record) => record,
        // Of a tenant without a record there is nothing to update.
        None if staged.operation == Operation::Update && known(store, staged)?.is_none() => {
            return Ok(None);
        }
        None => reserve(store, staged)?,
    };
    let spaces = &store.spaces;
    let state = known(store, staged)?.unwrap_or(NOBODY);
    let live = |storage| Blocks::new(&spaces.live, keys::live_prefix(record.tenant, storage));
    Ok(Some(Box::new(Staging {
        store,
        staged: *staged,
        record,
        index_entries: state.index_entries,
        live: PerStorage {
            non_redacted: live(Storage::NonRedacted),
            redacted: live(Storage::Redacted),
        },
        keys: Vec::new(),
        wanted: RoaringBitmap::new(),
        new_entries: 0,
        index: Tables::new(&spaces.index)?,
        rows: Tables::new(&spaces.rows)?,
        value: Vec::new(),
    })))
}

/// Sets row numbers aside for every line of the file, for good: an attempt that breaks off may leave
/// rows under them, which another one writes again and no other job ever may.
fn reserve(store: &Store, staged: &Staged<'_>) -> Result<StageRecord, Error> {
    let lane = store.lanes.of(staged.tenant);
    let _turn = lock(&lane);
    let mut state = match known(store, staged)? {
        Some(known) => known,
        None => State { number: store.numbers.take()?, ..NOBODY },
    };
    let record = StageRecord { tenant: state.number, base: state.next_row, done: false };
    state.next_row += u64::from(staged.last_line) + 1;
    let mut changes = Changes::new(&store.spaces, 2);
    store.spaces.write_tenant(&mut changes, staged.tenant, &state);
    changes.insert(&store.spaces.stages, staged.job.as_bytes(), codec::write_stage(&record));
    changes.commit()?;
    hit(Point::StageReserved);
    Ok(record)
}

fn known(store: &Store, staged: &Staged<'_>) -> Result<Option<State>, Error> {
    store.spaces.tenant(&store.spaces.db.snapshot(), staged.tenant)
}

/// The rows of one job on their way.
struct Staging<'a> {
    store: &'a Store,
    staged: Staged<'a>,
    record: StageRecord,
    index_entries: u64,
    live: PerStorage<Blocks<'a>>,
    /// Keys that are not looked up yet, ascending.
    keys: Vec<(KeyHash, u32)>,
    /// Lines whose rows will have an effect.
    wanted: RoaringBitmap,
    new_entries: u64,
    index: Tables<'a>,
    rows: Tables<'a>,
    value: Vec<u8>,
}

impl Staging<'_> {
    /// Finds the keys that wait and decides which of their rows are wanted.
    fn look_up(&mut self) -> Result<(), Error> {
        let pending = std::mem::take(&mut self.keys);
        let span = pending.first().zip(pending.last()).map(|(first, last)| (first.0, last.0));
        let (index, tenant) = (&self.store.spaces.index, self.record.tenant);
        let mut lookup = Lookup::new(index, tenant, self.index_entries, span, pending.len())?;
        for same_key in pending.chunk_by(|a, b| a.0 == b.0) {
            let Some((key, _)) = same_key.first() else { continue };
            let stored = lookup.find(*key)?;
            self.decide(same_key, stored)?;
        }
        self.keys = pending;
        self.keys.clear();
        Ok(())
    }

    /// Of rows of one id a create needs the first, where the id has no live record in some storage; an
    /// update needs all, where it has one.
    fn decide(&mut self, same: &[(KeyHash, u32)], stored: Option<Pointers>) -> Result<(), Error> {
        let Some((key, line)) = same.first() else { return Ok(()) };
        let mut pointers = stored.unwrap_or_default();
        let (mut any_live, mut any_dead) = (false, false);
        for storage in self.staged.storages.iter() {
            let row = *pointers.get(storage);
            let is_live = row != 0 && self.live.get_mut(storage).contains(row)?;
            any_live |= is_live;
            any_dead |= !is_live;
            if !is_live {
                *pointers.get_mut(storage) = self.record.base + u64::from(*line);
            }
        }
        if self.staged.operation == Operation::Update {
            if any_live {
                self.wanted.extend(same.iter().map(|(_, line)| *line));
            }
            return Ok(());
        }
        if any_dead {
            self.wanted.insert(*line);
            self.new_entries += u64::from(stored.is_none());
            let key = keys::index(self.record.tenant, *key);
            self.index.write(&key, &codec::write_pointers(pointers))?;
        }
        Ok(())
    }
}

impl Stage for Staging<'_> {
    fn key(&mut self, key: KeyHash, line: u32) -> Result<(), Error> {
        // Rows of one id stay in one chunk.
        let full = self.keys.len() >= STAGED_KEYS_CHUNK;
        if full && self.keys.last().is_some_and(|(last, _)| *last != key) {
            self.look_up()?;
        }
        self.keys.push((key, line));
        Ok(())
    }

    fn wanted(&mut self) -> Result<RoaringBitmap, Error> {
        self.look_up()?;
        Ok(self.wanted.clone())
    }

    fn row(&mut self, line: u32, cells: &[u8]) -> Result<(), Error> {
        let StageRecord { tenant, base, .. } = self.record;
        let key = keys::row(tenant, base + u64::from(line));
        codec::write_row(&mut self.value, &key, self.staged.job, line, cells);
        self.rows.write(&key, &self.value)
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        // In this order: no entry of the index ever points at a row that is not there.
        let Self { store, staged, record, new_entries, rows, index, .. } = *self;
        hit(Point::StageWritten);
        rows.finish()?;
        hit(Point::StageRows);
        index.finish()?;
        hit(Point::StageIndex);
        let lane = store.lanes.of(staged.tenant);
        let _turn = lock(&lane);
        let mut changes = Changes::new(&store.spaces, 2);
        if let Some(mut state) = known(store, &staged)? {
            state.index_entries += new_entries;
            store.spaces.write_tenant(&mut changes, staged.tenant, &state);
        }
        let record = codec::write_stage(&StageRecord { done: true, ..record });
        changes.insert(&store.spaces.stages, staged.job.as_bytes(), record);
        changes.commit()?;
        hit(Point::StageNoted);
        Ok(())
    }
}
