//! Reading the store. Each answer comes from one view, whatever is committed meanwhile.

use std::ops::ControlFlow;

use fjall::{Readable, Snapshot};
use roaring::RoaringBitmap;

use super::{
    blocks,
    codec::{self, StageRecord},
    keys,
    spaces::{Spaces, failed},
};
use crate::{
    cvrs::{event_id_of, redact},
    domain::{Applied, JobId, PerStorage, Storage, Tenant},
    records::{Error, KeyHash, Misses},
};

impl Spaces {
    /// Where applying the job stands.
    pub(super) fn cursor(&self, job: JobId) -> Result<Applied, Error> {
        let stored = self.cursors.get(job.as_bytes()).map_err(failed)?;
        Ok(stored.map(|value| codec::read_cursor(&value)).transpose()?.unwrap_or_default())
    }

    /// Where the rows of the job were staged, where they were.
    pub(super) fn stage(&self, job: JobId) -> Result<Option<StageRecord>, Error> {
        let stored = self.stages.get(job.as_bytes()).map_err(failed)?;
        stored.map(|value| codec::read_stage(&value)).transpose()
    }

    /// The lines of all batches of the job that had no effect.
    pub(super) fn misses(&self, job: JobId) -> Result<Misses, Error> {
        let mut misses = Misses::default();
        for entry in self.misses.prefix(job.as_bytes()) {
            let batch = codec::read_misses(&entry.value().map_err(failed)?)?;
            misses.non_redacted |= batch.non_redacted;
            misses.redacted |= batch.redacted;
        }
        Ok(misses)
    }

    /// Live rows by tenant and storage.
    pub(super) fn counts(
        &self,
        one: Option<&Tenant>,
    ) -> Result<Vec<(Tenant, Storage, u64)>, Error> {
        let view = self.db.snapshot();
        let mut counts = Vec::new();
        for tenant in self.tenants(&view) {
            let (tenant, state) = tenant?;
            if one.is_some_and(|one| *one != tenant) {
                continue;
            }
            let mut live = PerStorage::<Option<u64>>::default();
            for storage in Storage::ALL {
                for block in self.live_blocks(&view, state.number, storage) {
                    *live.get_mut(storage).get_or_insert(0) += block?.1.len();
                }
            }
            // A block stays when its last record goes; a tenant without one has at most staged rows.
            if live != PerStorage::default() {
                let count = |storage| (tenant.clone(), storage, live.get(storage).unwrap_or(0));
                counts.extend(Storage::ALL.map(count));
            }
        }
        Ok(counts)
    }

    /// A live record as that storage shows it.
    pub(super) fn get(
        &self,
        tenant: &Tenant,
        storage: Storage,
        id: &[u8],
        key: KeyHash,
    ) -> Result<Option<Vec<u8>>, Error> {
        let view = self.db.snapshot();
        let Some(number) = self.tenant(&view, tenant)?.map(|state| state.number) else {
            return Ok(None);
        };
        let Some(value) = view.get(&self.index, keys::index(number, key)).map_err(failed)? else {
            return Ok(None);
        };
        let row = *codec::read_pointers(&value)?.get(storage);
        if row == 0 || !self.is_live(&view, number, storage, row)? {
            return Ok(None);
        }
        let key = keys::row(number, row);
        let Some(value) = view.get(&self.rows, key).map_err(failed)? else {
            return Err(missing());
        };
        let cells = codec::read_row(&key, &value)?;
        if !event_id_of(cells).eq_ignore_ascii_case(id) {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(cells.len());
        show(cells, storage, &mut out);
        Ok(Some(out))
    }

    /// Visits the live rows of one storage by row number. Reads a block's rows from its first live
    /// one to its last; memory does not grow with the store.
    pub(super) fn export(
        &self,
        tenant: &Tenant,
        storage: Storage,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let view = self.db.snapshot();
        let Some(number) = self.tenant(&view, tenant)?.map(|state| state.number) else {
            return Ok(());
        };
        for block in self.live_blocks(&view, number, storage) {
            let (block, live) = block?;
            if self.export_block(&view, number, storage, block, &live, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn export_block(
        &self,
        view: &Snapshot,
        tenant: u32,
        storage: Storage,
        block: u64,
        live: &RoaringBitmap,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let (Some(first), Some(last)) = (live.min(), live.max()) else {
            return Ok(ControlFlow::Continue(()));
        };
        let key = |bit| keys::row(tenant, blocks::row_at(block, bit));
        let mut stored = view.range(&self.rows, key(first)..=key(last));
        let mut out = Vec::new();
        for key in live.iter().map(key) {
            let value = loop {
                let Some(entry) = stored.next() else { return Err(missing()) };
                let (found, value) = entry.into_inner().map_err(failed)?;
                if *found == key {
                    break value;
                }
                if *found > key[..] {
                    return Err(missing());
                }
            };
            out.clear();
            show(codec::read_row(&key, &value)?, storage, &mut out);
            if visit(&out).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The blocks of live rows, with their numbers.
    pub(super) fn live_blocks(
        &self,
        view: &Snapshot,
        tenant: u32,
        storage: Storage,
    ) -> impl Iterator<Item = Result<(u64, RoaringBitmap), Error>> {
        blocks::read_all(view, &self.live, keys::live_prefix(tenant, storage))
    }

    fn is_live(
        &self,
        view: &Snapshot,
        tenant: u32,
        storage: Storage,
        row: u64,
    ) -> Result<bool, Error> {
        let (block, bit) = blocks::split(row);
        let key = blocks::key(&keys::live_prefix(tenant, storage), block);
        match view.get(&self.live, key).map_err(failed)? {
            Some(value) => Ok(codec::read_block(&value)?.contains(bit)),
            None => Ok(false),
        }
    }
}

fn show(cells: &[u8], storage: Storage, out: &mut Vec<u8>) {
    match storage {
        Storage::NonRedacted => out.extend_from_slice(cells),
        Storage::Redacted => redact(cells, out),
    }
}

fn missing() -> Error {
    Error::Damaged("a live row is missing".to_owned())
}
