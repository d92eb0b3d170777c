//! Notes of jobs that are purged: the rows that each of them changed are noted together from then on.
//!
//! The notes say which rows were born and which were ended; [`super::Audit`] holds the live rows against them.
//! A row that is in both needs no note: it is gone for good.

use std::collections::BTreeMap;

use fjall::{Readable, Snapshot};
use roaring::RoaringBitmap;

use super::{
    blocks,
    changes::Changes,
    codec,
    keys::{self, Past},
    spaces::{Spaces, failed},
};
use crate::{
    domain::{Operation, PurgedJob, Storage},
    records::Error,
};

/// Blocks of one tenant in one storage that change: what more is born and ended.
type Touched = BTreeMap<(u32, Storage, u64), [RoaringBitmap; 2]>;

/// Moves the notes of these jobs to those of all that were purged, in one transaction.
pub(super) fn purge(spaces: &Spaces, jobs: &[PurgedJob]) -> Result<(), Error> {
    let view = spaces.db.snapshot();
    let mut changes = Changes::new(spaces, jobs.len());
    let mut touched = Touched::new();
    for job in jobs {
        // A tenant that never had a record has jobs without an effect.
        let Some(tenant) = spaces.tenant(&view, &job.tenant)? else { continue };
        for storage in Storage::ALL {
            let prefix = keys::effects_prefix(job.id, storage);
            for entry in blocks::read_all(&view, &spaces.effects, prefix.clone()) {
                let (block, rows) = entry?;
                changes.remove(&spaces.effects, blocks::key(&prefix, block));
                let [born, ended] = touched.entry((tenant.number, storage, block)).or_default();
                match job.operation {
                    Operation::Create | Operation::Update => *born |= rows,
                    Operation::Delete => *ended |= rows,
                }
            }
        }
    }
    for ((tenant, storage, block), [mut born, mut ended]) in touched {
        let place = |past| blocks::key(&keys::past_prefix(past, tenant, storage), block);
        born |= read(spaces, &view, place(Past::Born))?;
        ended |= read(spaces, &view, place(Past::Ended))?;
        let gone = &born & &ended;
        born -= &gone;
        ended -= &gone;
        for (past, rows) in [(Past::Born, born), (Past::Ended, ended)] {
            if rows.is_empty() {
                changes.remove(&spaces.effects, place(past));
            } else {
                changes.insert(&spaces.effects, place(past), codec::write_bitmap(&rows)?);
            }
        }
    }
    if changes.is_empty() { Ok(()) } else { changes.commit() }
}

fn read(spaces: &Spaces, view: &Snapshot, key: Vec<u8>) -> Result<RoaringBitmap, Error> {
    let stored = view.get(&spaces.effects, key).map_err(failed)?;
    Ok(stored.map(|value| codec::read_block(&value)).transpose()?.unwrap_or_default())
}
