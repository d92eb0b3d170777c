//! The embedded journal, on sled 0.34.7, inside a fence.
//!
//! sled's flush is no fsync, so every commit ends with our own sync of its file. Its async flush
//! hangs, its subscriptions block the writer and its ids repeat after a crash: none is used. Every
//! value carries a checksum of ours; [`verify`] and the [`tip`] find what sled loses silently.

mod backup;
mod hygiene;
mod keys;
mod open;
mod plan;
mod purge;
#[cfg(test)]
mod tests;
mod tip;
mod trees;
mod verify;

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use ::sled::{Db, IVec};
use bytes::Bytes;

use super::{Ask, Change, Error, Journal, Purge, Purged, Tell, codec};
use crate::{
    config,
    domain::{Event, Job, JobId, Tenant},
    failpoint::{Point, hit},
};
use open::Opened;
use plan::{Counters, Heads, Plan};
use purge::Removal;
use tip::Tip;
use trees::Trees;

/// A journal in a directory of its own. One process at a time has it open.
pub struct Sled {
    // Dropped in this order: sled writes out what it holds before the lock is given back.
    trees: Trees,
    db: Db,
    file: File,
    tip: Tip,
    writer: Mutex<Writer>,
    dir: PathBuf,
    _lock: File,
}

struct Writer {
    counters: Counters,
    heads: Heads,
    purged: Purged,
    failed: bool,
}

impl Writer {
    fn check(&self) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Storage("an earlier commit failed".to_owned()));
        }
        Ok(())
    }
}

impl Sled {
    /// Opens the journal in that directory, or makes a new one where there is none. Blocks; a
    /// large journal takes seconds. Does not verify.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it, [`Error::Format`] when it is not ours or of
    /// another version, [`Error::Damaged`] when less is there than was acknowledged, else as reading
    /// and writing fail.
    pub fn open(dir: &Path, config: &config::Journal) -> Result<Self, Error> {
        let Opened { db, file, lock } = open::open(dir, config)?;
        shielded("open", || {
            let trees = Trees::existing(&db)?;
            let counters = trees.counters()?;
            let tip = Tip::open(dir, counters)?;
            let purged = trees.purged()?;
            let writer = Writer { counters, heads: Heads::new(), purged, failed: false };
            let (writer, dir) = (Mutex::new(writer), dir.to_owned());
            Ok(Self { trees, db, file, tip, writer, dir, _lock: lock })
        })
    }

    /// Makes the journal of that directory, which must be missing or empty, of what a backup tells; durable when
    /// this returns, and not verified.
    ///
    /// # Errors
    /// As `ask` and writing fail, or where the entries are none of a journal.
    pub fn restore(dir: &Path, config: &config::Journal, ask: Ask<'_>) -> Result<(), Error> {
        shielded("restore", || backup::restore(dir, config, ask))
    }

    /// Bytes that it takes on disk.
    ///
    /// # Errors
    /// When its files cannot be looked at.
    pub fn bytes_on_disk(&self) -> Result<u64, Error> {
        self.db.size_on_disk().map_err(storage)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what sled has in memory durable.
    fn sync(&self, counters: Counters) -> Result<(), Error> {
        hit(Point::JournalWritten);
        self.db.flush().map_err(storage)?;
        hit(Point::JournalFlushed);
        let began = Instant::now();
        self.file.sync_data().map_err(|e| io("sync", &e))?;
        metrics::histogram!("cvrsd_journal_sync_seconds").record(began.elapsed());
        hit(Point::JournalSynced);
        self.tip.write(counters).map_err(|e| io("write the tip", &e))?;
        hit(Point::JournalTipped);
        Ok(())
    }

    fn read_job(&self, id: JobId) -> Result<Option<Job>, Error> {
        let Some(value) = self.trees.jobs.get(id.as_bytes()).map_err(storage)? else {
            return Ok(None);
        };
        Ok(Some(codec::decode_job(id, &value)?.job))
    }

    fn listed(&self, id: JobId) -> Result<Job, Error> {
        self.read_job(id)?.ok_or_else(|| Error::Damaged(unlisted(id)))
    }
}

impl Journal for Sled {
    fn commit(&self, group: &[Change]) -> Result<(), Error> {
        if group.is_empty() {
            return Ok(());
        }
        shielded("commit", || {
            let mut writer = self.writer();
            writer.check()?;
            let plan = Plan::new(&self.trees, writer.counters, &writer.heads, group)?;
            // Stays so when anything below fails or panics: what is on disk is then unknown.
            writer.failed = true;
            self.trees.apply(&plan)?;
            self.sync(plan.counters)?;
            writer.counters = plan.counters;
            plan.note_heads(&mut writer.heads);
            writer.failed = false;
            Ok(())
        })
    }

    fn purge(&self, purge: &Purge) -> Result<Purged, Error> {
        shielded("purge", || {
            let mut writer = self.writer();
            writer.check()?;
            let jobs = purge.ended(|id| self.read_job(id))?;
            let removal = Removal::new(&writer.purged, purge, &jobs);
            writer.failed = true;
            open::mark_purged(&self.dir).map_err(|e| io("write the format marker", &e))?;
            self.trees.take_out(&removal)?;
            self.sync(writer.counters)?;
            writer.purged = removal.purged;
            writer.failed = false;
            Ok(writer.purged.clone())
        })
    }

    fn purged(&self) -> Result<Purged, Error> {
        Ok(self.writer().purged.clone())
    }

    fn jobs(&self, above: Option<JobId>, max: usize) -> Result<Vec<Job>, Error> {
        use std::ops::Bound::{Excluded, Unbounded};
        shielded("read", || {
            let first = above.map_or(Unbounded, |id| Excluded(*id.as_bytes()));
            let entries = self.trees.jobs.range((first, Unbounded)).take(max);
            let job = |entry: ::sled::Result<(IVec, IVec)>| {
                let (key, value) = entry.map_err(storage)?;
                Ok(codec::decode_job(keys::job_id(&key)?, &value)?.job)
            };
            entries.map(job).collect()
        })
    }

    fn job(&self, id: JobId) -> Result<Option<Job>, Error> {
        shielded("read", || self.read_job(id))
    }

    fn events(&self, id: JobId, after_seq: u64, max: usize) -> Result<Vec<Event>, Error> {
        let Some(first) = after_seq.checked_add(1) else { return Ok(Vec::new()) };
        shielded("read", || {
            let range = keys::event(id, first)..=keys::event(id, u64::MAX);
            let mut events = Vec::new();
            for (seq, entry) in (first..).zip(self.trees.events.range(range).take(max)) {
                let (key, value) = entry.map_err(storage)?;
                if *key != keys::event(id, seq) {
                    return Err(Error::Damaged(format!("event {seq} of job {id} is missing")));
                }
                events.push(codec::decode_event(id, seq, &value)?.event);
            }
            Ok(events)
        })
    }

    fn find_request(&self, tenant: &Tenant, request_id: &str) -> Result<Option<JobId>, Error> {
        shielded("read", || {
            let key = keys::request(tenant, request_id);
            let value = self.trees.requests.get(key).map_err(storage)?;
            value.map(|v| keys::job_id(&v)).transpose()
        })
    }

    fn payload(&self, job: &Job) -> Result<Option<Bytes>, Error> {
        shielded("read", || {
            let key = keys::unfinished(job.spec.order);
            let Some(entry) = self.trees.unfinished.get(key).map_err(storage)? else {
                return Ok(None);
            };
            let (id, rest) = codec::split_unfinished(&entry)?;
            if id != job.spec.id {
                return Ok(None);
            }
            Ok(codec::decode_payload(id, rest)?.map(Bytes::copy_from_slice))
        })
    }

    fn unfinished(&self) -> Result<Vec<Job>, Error> {
        shielded("read", || {
            let job = |entry: ::sled::Result<(IVec, IVec)>| {
                let (_, value) = entry.map_err(storage)?;
                self.listed(codec::split_unfinished(&value)?.0)
            };
            self.trees.unfinished.iter().map(job).collect()
        })
    }

    fn list(&self, tenant: &Tenant, below: Option<u64>, max: usize) -> Result<Vec<Job>, Error> {
        shielded("read", || {
            let end = below.unwrap_or(u64::MAX);
            let range = keys::tenant(tenant, 0)..keys::tenant(tenant, end);
            let mut jobs = Vec::new();
            for entry in self.trees.tenants.range(range).rev() {
                if jobs.len() == max {
                    break;
                }
                let (key, value) = entry.map_err(storage)?;
                let id = keys::job_id(&value)?;
                match self.read_job(id)? {
                    Some(job) => jobs.push(job),
                    // Purged meanwhile: what leads to it went first.
                    None if !self.trees.tenants.contains_key(&key).map_err(storage)? => {}
                    None => return Err(Error::Damaged(unlisted(id))),
                }
            }
            Ok(jobs)
        })
    }

    fn last_order(&self) -> Result<u64, Error> {
        Ok(self.writer().counters.last_order)
    }

    fn dump(
        &self,
        at: &mut dyn FnMut(&[Job]) -> Result<(), Error>,
        tell: Tell<'_>,
    ) -> Result<u64, Error> {
        backup::dump(self, at, tell)
    }

    /// sled writes on threads of its own. Where a write fails, a flush that waits for it is woken only
    /// sometimes.
    fn failure(&self) -> Result<(), Error> {
        self.db.context.global_error().map_err(storage)
    }

    /// As the trait says. Holds commits back while it runs, so it belongs before serving.
    fn verify_each(&self, visit: &mut dyn FnMut(&Job)) -> Result<u64, Error> {
        shielded("verify", || {
            let writer = self.writer();
            verify::verify(&self.trees, writer.counters, &writer.purged, visit)
        })
    }
}

fn unlisted(id: JobId) -> String {
    format!("job {id} is listed but not there")
}

/// Turns a panic of sled into an error: a damaged page makes it panic. What the panic said is left
/// out, as it may hold stored values.
fn shielded<T>(what: &str, call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(Error::Damaged(format!("sled panicked during {what}"))))
}

fn storage(error: ::sled::Error) -> Error {
    match error {
        ::sled::Error::Corruption { .. } => Error::Damaged(error.to_string()),
        other => Error::Storage(other.to_string()),
    }
}

fn io(what: &str, error: &std::io::Error) -> Error {
    Error::Storage(format!("{what}: {error}"))
}
