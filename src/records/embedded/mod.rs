//! Records in the data directory, on fjall, with deletion vectors.
//!
//! Rows are appended and never changed; which of them are live is told by bitmaps, one set of
//! blocks for each storage. A delete clears bits and writes nothing else, which is why it is fast.

mod apply;
mod audit;
mod backup;
mod blocks;
mod changes;
mod codec;
mod commits;
mod forget;
mod journals;
mod keys;
mod lists;
mod lookup;
mod plan;
mod purge;
mod read;
mod side;
mod spaces;
mod stage;
mod tables;
mod tenants;
#[cfg(test)]
mod tests;

pub use audit::{Audit, Audited, Report};
pub use spaces::check_format;

use std::{hash::Hasher, ops::ControlFlow, path::Path};

use siphasher::sip128::{Hasher128, SipHasher13};

use self::{
    forget::Forgotten,
    spaces::Spaces,
    tenants::{Lanes, NOBODY, Numbers},
};
use super::{Ask, Batch, Error, KeyHash, Misses, RecordStore, Stage, Staged, View};
use crate::{
    config,
    domain::{Applied, JobId, PurgedJob, Storage, Tenant},
};

/// The embedded record store. One process has it open.
pub struct Store {
    spaces: Spaces,
    hasher: SipHasher13,
    numbers: Numbers,
    lanes: Lanes,
    forgotten: Forgotten,
}

impl Store {
    /// Opens the store in `dir`; makes an empty one where `dir` is missing or empty.
    ///
    /// # Errors
    /// [`Error::Storage`] when another process has it open or it cannot be read or written;
    /// [`Error::Damaged`] when it is of another version or does not read back.
    pub fn open(dir: &Path, config: &config::Records) -> Result<Self, Error> {
        let spaces = Spaces::open(dir, config)?;
        let hasher = SipHasher13::new_with_key(&spaces.hash_key()?);
        let mut greatest = NOBODY.number;
        for tenant in spaces.tenants(&spaces.db.snapshot()) {
            greatest = greatest.max(tenant?.1.number);
        }
        let (numbers, lanes) = (Numbers::above(greatest), Lanes::default());
        Ok(Self { spaces, hasher, numbers, lanes, forgotten: Forgotten::default() })
    }
}

/// Makes the store of that directory, which must be missing or empty, of what a backup tells. It is durable when
/// this returns.
///
/// # Errors
/// As `ask` and writing fail, or where the entries are none of a store.
pub fn restore(dir: &Path, config: &config::Records, ask: Ask<'_>) -> Result<(), Error> {
    backup::restore(dir, config, ask)
}

impl RecordStore for Store {
    fn key(&self, vax_event_id: &[u8]) -> KeyHash {
        let mut hasher = self.hasher;
        let mut folded = [0; 64];
        for part in vax_event_id.chunks(folded.len()) {
            let (folded, _) = folded.split_at_mut(part.len());
            folded.copy_from_slice(part);
            folded.make_ascii_lowercase();
            hasher.write(folded);
        }
        KeyHash(hasher.finish128().as_u128().to_be_bytes())
    }

    fn cursor(&self, job: JobId) -> Result<Applied, Error> {
        if self.forgotten.has(job) { Ok(Applied::default()) } else { self.spaces.cursor(job) }
    }

    fn stage<'a>(&'a self, staged: &Staged<'a>) -> Result<Option<Box<dyn Stage + 'a>>, Error> {
        self.forgotten.settle(&self.spaces, std::iter::once(staged.job))?;
        stage::stage(self, staged)
    }

    fn apply_all(&self, batches: &[Batch<'_>]) -> Result<Vec<Applied>, Error> {
        apply::apply(self, batches)
    }

    fn misses(&self, job: JobId) -> Result<Misses, Error> {
        if self.forgotten.has(job) { Ok(Misses::default()) } else { self.spaces.misses(job) }
    }

    fn forget(&self, job: JobId) -> Result<(), Error> {
        self.forgotten.add(&self.spaces, job)
    }

    fn purge(&self, jobs: &[PurgedJob]) -> Result<(), Error> {
        purge::purge(&self.spaces, jobs)
    }

    fn view(&self) -> Result<Box<dyn View>, Error> {
        Ok(Box::new(backup::Frozen::new(&self.spaces)))
    }

    fn failure(&self) -> Result<(), Error> {
        self.spaces.failure()
    }

    fn remembered(&self) -> Result<Vec<JobId>, Error> {
        self.spaces.remembered(&self.forgotten)
    }

    fn counts(&self, tenant: Option<&Tenant>) -> Result<Vec<(Tenant, Storage, u64)>, Error> {
        self.spaces.counts(tenant)
    }

    fn get(
        &self,
        tenant: &Tenant,
        storage: Storage,
        vax_event_id: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        self.spaces.get(tenant, storage, vax_event_id, self.key(vax_event_id))
    }

    fn export(
        &self,
        tenant: &Tenant,
        storage: Storage,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.spaces.export(tenant, storage, visit)
    }
}
