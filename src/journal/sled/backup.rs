//! Telling all that is stored, and making a journal of what was told.
//!
//! A job that has ended never changes, so only the others are told of while commits wait; events never change
//! either, so those of all jobs are read afterwards, up to the number that each had.

use std::{collections::HashSet, path::Path};

use ::sled::{Batch, IVec};

use super::{
    super::{Ask, Error, Purged, Tell, codec},
    Sled, keys, open, shielded, storage,
    tip::Tip,
    trees::{COUNTERS_KEY, PURGED_KEY, Trees},
};
use crate::{
    config,
    domain::{Job, JobId},
    limits::{JOURNAL_VALUE_BYTES_MAX, RESTORE_BATCH},
};

/// Spaces of a backup. Stored: never change them.
const JOBS: u8 = 1;
const EVENTS: u8 = 2;
const UNFINISHED: u8 = 3;
const META: u8 = 4;

/// A job that has not ended, as it is stored.
struct Open {
    job: Job,
    value: IVec,
    place: IVec,
    entry: IVec,
}

pub(super) fn dump(
    sled: &Sled,
    at: &mut dyn FnMut(&[Job]) -> Result<(), Error>,
    tell: Tell<'_>,
) -> Result<u64, Error> {
    let trees = &sled.trees;
    let (counters, purged, unfinished) = {
        let writer = sled.writer();
        writer.check()?;
        let unfinished = shielded("read", || open_jobs(trees))?;
        let jobs: Vec<Job> = unfinished.iter().map(|open| open.job.clone()).collect();
        at(&jobs)?;
        (writer.counters, writer.purged.clone(), unfinished)
    };
    tell(META, COUNTERS_KEY, &counters.encode())?;
    if purged != Purged::default() {
        tell(META, PURGED_KEY, &codec::encode_purged(&purged)?)?;
    }
    let mut told = HashSet::with_capacity(unfinished.len());
    for Open { job, value, place, entry } in unfinished {
        tell(JOBS, job.spec.id.as_bytes(), &value)?;
        tell(UNFINISHED, &place, &entry)?;
        tell_events(trees, &job, tell)?;
        told.insert(job.spec.id);
    }
    let mut entries = trees.jobs.iter();
    while let Some(entry) = shielded("read", || entries.next().transpose().map_err(storage))? {
        let (key, value) = entry;
        let id = keys::job_id(&key)?;
        if told.contains(&id) {
            continue;
        }
        let job = codec::decode_job(id, &value)?.job;
        if job.spec.order <= counters.last_order {
            tell(JOBS, &key, &value)?;
            tell_events(trees, &job, tell)?;
        }
    }
    Ok(counters.last_order)
}

fn open_jobs(trees: &Trees) -> Result<Vec<Open>, Error> {
    let open = |stored: ::sled::Result<(IVec, IVec)>| {
        let (place, entry) = stored.map_err(storage)?;
        let (id, _) = codec::split_unfinished(&entry)?;
        let value = trees.jobs.get(id.as_bytes()).map_err(storage)?;
        let value = value.ok_or_else(|| Error::Damaged(super::unlisted(id)))?;
        Ok(Open { job: codec::decode_job(id, &value)?.job, value, place, entry })
    };
    trees.unfinished.iter().map(open).collect()
}

/// The events of a job up to its newest one.
fn tell_events(trees: &Trees, job: &Job, tell: Tell<'_>) -> Result<(), Error> {
    let id = job.spec.id;
    for seq in 1..=job.seq {
        let key = keys::event(id, seq);
        let value = shielded("read", || trees.events.get(key).map_err(storage))?;
        let value =
            value.ok_or_else(|| Error::Damaged(format!("event {seq} of job {id} is missing")))?;
        tell(EVENTS, &key, &value)?;
    }
    Ok(())
}

/// Makes the journal of that directory, which must be missing or empty, of what a backup tells. It is durable
/// when this returns, and not verified.
pub(super) fn restore(dir: &Path, config: &config::Journal, ask: Ask<'_>) -> Result<(), Error> {
    let open::Opened { db, file, lock: _lock } = open::open(dir, config)?;
    let trees = Trees::existing(&db)?;
    let mut batches = Batches::default();
    while let Some((space, key, value)) = ask()? {
        let (bytes, longest) = (key.len() + value.len(), key.len().max(value.len()));
        if longest > JOURNAL_VALUE_BYTES_MAX {
            return Err(Error::Damaged(format!("an entry of space {space} has {bytes} bytes")));
        }
        match space {
            JOBS => {
                let id = keys::job_id(&key)?;
                batches.index(&codec::decode_job(id, &value)?.job);
                batches.jobs.insert(key, value);
            }
            EVENTS => batches.events.insert(key, value),
            UNFINISHED => batches.unfinished.insert(key, value),
            META if key == COUNTERS_KEY || key == PURGED_KEY => batches.meta.insert(key, value),
            _ => return Err(Error::Damaged(format!("an entry is of space {space}"))),
        }
        batches.count += 1;
        batches.bytes += bytes;
        if batches.count == RESTORE_BATCH.0 || batches.bytes >= RESTORE_BATCH.1 {
            std::mem::take(&mut batches).apply(&trees)?;
        }
    }
    batches.apply(&trees)?;
    if trees.purged()? != Purged::default() {
        open::mark_purged(dir).map_err(|e| super::io("write the format marker", &e))?;
    }
    db.flush().map_err(storage)?;
    file.sync_all().map_err(|e| super::io("sync", &e))?;
    let counters = trees.counters()?;
    Tip::open(dir, counters)?.write(counters).map_err(|e| super::io("write the tip", &e))
}

#[derive(Default)]
struct Batches {
    jobs: Batch,
    events: Batch,
    requests: Batch,
    tenants: Batch,
    unfinished: Batch,
    meta: Batch,
    count: usize,
    bytes: usize,
}

impl Batches {
    /// What leads to the job.
    fn index(&mut self, job: &Job) {
        let spec = &job.spec;
        let id: JobId = spec.id;
        self.tenants.insert(keys::tenant(&spec.tenant, spec.order), id.as_bytes());
        if let Some(request_id) = &spec.request_id {
            self.requests.insert(keys::request(&spec.tenant, request_id), id.as_bytes());
        }
    }

    fn apply(self, trees: &Trees) -> Result<(), Error> {
        for (tree, batch) in [
            (&trees.jobs, self.jobs),
            (&trees.events, self.events),
            (&trees.requests, self.requests),
            (&trees.tenants, self.tenants),
            (&trees.unfinished, self.unfinished),
            (&trees.meta, self.meta),
        ] {
            tree.apply_batch(batch).map_err(storage)?;
        }
        Ok(())
    }
}
