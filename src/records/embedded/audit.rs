//! Holding the whole store against itself, and against the jobs that made it.
//!
//! What must hold for each storage: a row is live if, and only if, the index names it as its id's newest, a
//! create or update made it, and no delete ended it. The jobs of the journal say what they did to how many
//! rows; the bitmaps of effects say to which.

use std::collections::BTreeMap;

use fjall::{Readable, Snapshot};
use roaring::RoaringBitmap;

use super::{
    Store, blocks, codec,
    keys::{self, Past},
    lists,
    spaces::{Spaces, failed},
    tenants::State,
};
use crate::{
    cvrs::event_id_of,
    domain::{Job, Operation, PerStorage, Storage, Tenant},
    records::{Error, KeyHash, RecordStore},
};

/// Is told of each thing that is wrong.
pub type Report<'a> = &'a mut dyn FnMut(String);

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// Files of tables.
    pub tables: u64,
    /// Rows, live or not.
    pub rows: u64,
    /// Rows that are live, by storage.
    pub live: PerStorage<u64>,
}

/// An audit that goes on: first each job is told, then the store is read.
pub struct Audit<'a> {
    store: &'a Store,
    view: Snapshot,
    books: BTreeMap<Tenant, PerStorage<Book>>,
    /// Bitmaps of effects of the jobs that were told.
    effects: u64,
}

/// What jobs did in one storage.
#[derive(Default)]
struct Book {
    born: Rows,
    ended: Rows,
}

/// Row numbers, in blocks.
type Rows = BTreeMap<u64, RoaringBitmap>;

impl<'a> Audit<'a> {
    /// Begins with the store as it is now.
    #[must_use]
    pub fn new(store: &'a Store) -> Self {
        let view = store.spaces.db.snapshot();
        Self { store, view, books: BTreeMap::new(), effects: 0 }
    }

    /// Holds what one job did against what the journal says of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn job(&mut self, job: &Job, report: Report<'_>) -> Result<(), Error> {
        let id = job.spec.id;
        let mut done = PerStorage::<u64>::default();
        for storage in Storage::ALL {
            let prefix = keys::effects_prefix(id, storage);
            let blocks: Vec<_> =
                blocks::read_all(&self.view, &self.store.spaces.effects, prefix).collect();
            for entry in blocks {
                let (block, rows) = entry?;
                self.effects += 1;
                *done.get_mut(storage) += rows.len();
                let book = self.books.entry(job.spec.tenant.clone()).or_default().get_mut(storage);
                let all = match job.spec.operation {
                    Operation::Delete => &mut book.ended,
                    Operation::Create | Operation::Update => &mut book.born,
                };
                *all.entry(block).or_default() |= rows;
            }
        }
        let cursor = self.store.cursor(id)?;
        if !job.is_terminal() && cursor.position < job.applied.position {
            let told = job.applied.position;
            report(format!("job {id} stands at row {}, its journal says {told}", cursor.position));
        }
        // What a job that goes on did is journalled later.
        let told = if job.is_terminal() { job.applied.processed } else { cursor.processed };
        for storage in Storage::ALL {
            let (done, told) = (*done.get(storage), *told.get(storage));
            let fits = match job.spec.operation {
                Operation::Create | Operation::Delete => done == told,
                // A row and the one in its place; of an id that is there twice one less.
                Operation::Update => (told + u64::from(told > 0)..=2 * told).contains(&done),
            };
            if !fits {
                report(format!("job {id} changed {told} rows in {storage}, noted are {done}"));
            }
        }
        Ok(())
    }

    /// Reads all of the store. `knows_jobs` says whether every job was told.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn finish(mut self, knows_jobs: bool, report: Report<'_>) -> Result<Audited, Error> {
        let mut audited =
            Audited { tables: lists::check_tables(self.spaces(), report)?, ..Audited::default() };
        let tenants: Vec<_> = self.spaces().tenants(&self.view).collect::<Result<_, _>>()?;
        let (mut rows, mut entries) = (0, 0);
        for (tenant, state) in &tenants {
            let mut books = self.books.remove(tenant).unwrap_or_default();
            self.add_past(state, &mut books)?;
            let books = knows_jobs.then_some(books);
            entries += self.check_index(tenant, state, books.as_ref(), report)?;
            rows += self.check_rows(tenant, state, &mut audited, report)?;
        }
        for tenant in self.books.keys() {
            report(format!("tenant {tenant} has jobs with rows, but none in the store"));
        }
        audited.rows = rows;
        self.check_rest(knows_jobs, rows, entries, report)?;
        Ok(audited)
    }

    /// What jobs did that are purged.
    fn add_past(&mut self, state: &State, books: &mut PerStorage<Book>) -> Result<(), Error> {
        for storage in Storage::ALL {
            let book = books.get_mut(storage);
            for (past, all) in [(Past::Born, &mut book.born), (Past::Ended, &mut book.ended)] {
                let prefix = keys::past_prefix(past, state.number, storage);
                for entry in blocks::read_all(&self.view, &self.store.spaces.effects, prefix) {
                    let (block, rows) = entry?;
                    self.effects += 1;
                    *all.entry(block).or_default() |= rows;
                }
            }
        }
        Ok(())
    }

    fn spaces(&self) -> &'a Spaces {
        &self.store.spaces
    }

    /// Holds the live rows of a tenant against its index and the books.
    fn check_index(
        &self,
        tenant: &Tenant,
        state: &State,
        books: Option<&PerStorage<Book>>,
        report: Report<'_>,
    ) -> Result<u64, Error> {
        let mut expected = PerStorage::<Rows>::default();
        let mut entries = 0;
        for entry in self.view.prefix(&self.spaces().index, state.number.to_be_bytes()) {
            let pointers = codec::read_pointers(&entry.value().map_err(failed)?)?;
            entries += 1;
            for storage in Storage::ALL {
                let row = *pointers.get(storage);
                if row >= state.next_row {
                    report(format!(
                        "an id of tenant {tenant} has row {row}, which was never given"
                    ));
                }
                let (block, bit) = blocks::split(row);
                let has = |rows: &Rows| rows.get(&block).is_some_and(|rows| rows.contains(bit));
                let is_live = |book: &Book| has(&book.born) && !has(&book.ended);
                if row != 0 && books.is_some_and(|books| is_live(books.get(storage))) {
                    expected.get_mut(storage).entry(block).or_default().insert(bit);
                }
            }
        }
        // There may be more: those that an attempt staged which broke off before it counted them.
        if entries < state.index_entries {
            let known = state.index_entries;
            report(format!("tenant {tenant} has {entries} ids, {known} belong there"));
        }
        for storage in Storage::ALL {
            for entry in self.spaces().live_blocks(&self.view, state.number, storage) {
                let (block, live) = entry?;
                let expected = expected.get_mut(storage).remove(&block).unwrap_or_default();
                let wrong = (&live ^ &expected).len();
                if books.is_some() && wrong > 0 {
                    report(format!(
                        "{wrong} rows of block {block} of tenant {tenant} in {storage} are live or not where they should not be"
                    ));
                }
            }
            for block in expected.get(storage).keys() {
                report(format!("block {block} of tenant {tenant} in {storage} is missing"));
            }
        }
        Ok(entries)
    }

    /// Reads each row of a tenant; of a live one the index must know its id.
    fn check_rows(
        &self,
        tenant: &Tenant,
        state: &State,
        audited: &mut Audited,
        report: Report<'_>,
    ) -> Result<u64, Error> {
        let mut live = PerStorage::<Rows>::default();
        for storage in Storage::ALL {
            *live.get_mut(storage) = self
                .spaces()
                .live_blocks(&self.view, state.number, storage)
                .collect::<Result<_, _>>()?;
            *audited.live.get_mut(storage) +=
                live.get(storage).values().map(RoaringBitmap::len).sum::<u64>();
        }
        let mut rows = 0;
        for entry in self.view.prefix(&self.spaces().rows, state.number.to_be_bytes()) {
            let (key, value) = entry.into_inner().map_err(failed)?;
            rows += 1;
            let (Ok(key), Some(number)) = (<[u8; 12]>::try_from(&*key), key.last_chunk::<8>())
            else {
                report(format!("the key of a row has {} bytes", key.len()));
                continue;
            };
            let row = u64::from_be_bytes(*number);
            let cells = match codec::read_row(&key, &value) {
                Ok(cells) => cells,
                Err(error) => {
                    report(format!("row {row} of tenant {tenant}: {error}"));
                    continue;
                }
            };
            let mut known = None;
            for storage in Storage::ALL {
                let (block, bit) = blocks::split(row);
                let rows = live.get_mut(storage).get_mut(&block);
                if !rows.is_some_and(|rows| rows.remove(bit)) {
                    continue;
                }
                if known.is_none() {
                    known = Some(self.pointers(state, self.store.key(event_id_of(cells)))?);
                }
                if known.as_ref().is_none_or(|known| *known.get(storage) != row) {
                    report(format!(
                        "row {row} of tenant {tenant} is live in {storage}, but its id does not lead there"
                    ));
                }
            }
        }
        for storage in Storage::ALL {
            let missing: u64 = live.get(storage).values().map(RoaringBitmap::len).sum();
            if missing > 0 {
                report(format!("{missing} live rows of tenant {tenant} in {storage} are missing"));
            }
        }
        Ok(rows)
    }

    /// What belongs to no tenant and no job that is known, and what only has to read back.
    fn check_rest(
        &self,
        knows_jobs: bool,
        rows: u64,
        entries: u64,
        report: Report<'_>,
    ) -> Result<(), Error> {
        let Spaces { rows: all_rows, index, effects, cursors, misses, stages, .. } = self.spaces();
        let mut counted = vec![("rows", all_rows, rows), ("ids", index, entries)];
        if knows_jobs {
            counted.push(("bitmaps of effects", effects, self.effects));
        }
        for (what, space, known) in counted {
            let mut found = 0;
            for entry in self.view.iter(space) {
                entry.key().map_err(failed)?;
                found += 1;
            }
            if found != known {
                report(format!("it has {found} {what}, {known} belong to a tenant or job"));
            }
        }
        for entry in self.view.iter(cursors) {
            codec::read_cursor(&entry.value().map_err(failed)?)?;
        }
        for entry in self.view.iter(misses) {
            codec::read_misses(&entry.value().map_err(failed)?)?;
        }
        for entry in self.view.iter(stages) {
            codec::read_stage(&entry.value().map_err(failed)?)?;
        }
        Ok(())
    }

    fn pointers(&self, state: &State, key: KeyHash) -> Result<codec::Pointers, Error> {
        let stored =
            self.view.get(&self.spaces().index, keys::index(state.number, key)).map_err(failed)?;
        Ok(stored.map(|value| codec::read_pointers(&value)).transpose()?.unwrap_or_default())
    }
}
