//! Checks every stored value against every other, in one pass over jobs and events side by side.

use std::iter::Peekable;

use ::sled::{IVec, Tree};

use super::{
    super::{
        Error, Purged,
        codec::{self, Hash, NO_HASH, StoredJob},
    },
    keys,
    plan::Counters,
    storage,
    trees::Trees,
};
use crate::domain::{IllegalTransition, Job, JobId, Origin};

/// Checks everything, and shows each job; returns how many jobs there are.
pub(super) fn verify(
    trees: &Trees,
    known: Counters,
    purged: &Purged,
    visit: &mut dyn FnMut(&Job),
) -> Result<u64, Error> {
    let mut events = Events { entries: trees.events.iter().peekable(), count: 0 };
    let mut found = Counters::default();
    let mut with_request = 0;
    let mut unfinished = 0;
    for entry in &trees.jobs {
        let (key, value) = entry.map_err(storage)?;
        let id = keys::job_id(&key)?;
        let stored = codec::decode_job(id, &value)?;
        check_fold(&stored, &events.fold(id)?)?;
        check_indexes(trees, &stored.job)?;
        found.jobs += 1;
        found.last_order = found.last_order.max(stored.job.spec.order);
        with_request += u64::from(stored.job.spec.request_id.is_some());
        unfinished += u64::from(!stored.job.is_terminal());
        visit(&stored.job);
    }
    events.check_end()?;
    found.events = events.count;
    check_counters(found, known, purged)?;
    if trees.purged()? != *purged {
        return Err(damaged("the record of what was purged has changed".to_owned()));
    }
    check_count("tenants", &trees.tenants, found.jobs)?;
    check_count("requests", &trees.requests, with_request)?;
    check_count("unfinished", &trees.unfinished, unfinished)?;
    Ok(found.jobs)
}

/// What is there and what was purged is all that ever was. The newest submit may be purged.
fn check_counters(found: Counters, known: Counters, purged: &Purged) -> Result<(), Error> {
    let jobs = found.jobs.checked_add(purged.jobs) == Some(known.jobs);
    let events = found.events.checked_add(purged.events) == Some(known.events);
    let newest = if purged.jobs == 0 {
        found.last_order == known.last_order
    } else {
        found.last_order <= known.last_order
    };
    if jobs && events && newest {
        return Ok(());
    }
    let (jobs, events) = (purged.jobs, purged.events);
    Err(damaged(format!(
        "counted {found:?}, stored is {known:?}, purged {jobs} jobs and {events} events"
    )))
}

/// All events of all jobs, job after job.
struct Events<I: Iterator<Item = ::sled::Result<(IVec, IVec)>>> {
    entries: Peekable<I>,
    count: u64,
}

/// What the events of a job say: the job and the hash of the newest one.
struct Folded {
    job: Job,
    head: Hash,
}

impl<I: Iterator<Item = ::sled::Result<(IVec, IVec)>>> Events<I> {
    /// Folds the events of that job, which must come next.
    fn fold(&mut self, id: JobId) -> Result<Folded, Error> {
        let mut folded: Option<Folded> = None;
        while let Some(entry) = self.entries.next_if(|e| belongs(e, id)) {
            let (key, value) = entry.map_err(storage)?;
            let seq = folded.as_ref().map_or(1, |f| f.job.seq + 1);
            if *key != keys::event(id, seq) {
                return Err(damaged(format!("event {seq} of job {id} is missing")));
            }
            let stored = codec::decode_event(id, seq, &value)?;
            let previous = folded.as_ref().map_or(NO_HASH, |f| f.head);
            if stored.previous != previous {
                return Err(damaged(format!("event {seq} of job {id} does not chain")));
            }
            let job = match folded {
                None => Job::first(&stored.event),
                Some(Folded { job, .. }) => job.next(&stored.event),
            };
            let job = job.map_err(|e: IllegalTransition| damaged(format!("job {id}: {e}")))?;
            folded = Some(Folded { job, head: codec::hash(&value) });
            self.count += 1;
        }
        folded.ok_or_else(|| damaged(format!("job {id} has no event")))
    }

    /// After the last job no event must be left.
    fn check_end(&mut self) -> Result<(), Error> {
        match self.entries.next() {
            None => Ok(()),
            Some(Err(error)) => Err(storage(error)),
            Some(Ok((key, _))) => Err(damaged(match keys::parse_event(&key) {
                Some((id, seq)) => format!("event {seq} of job {id} belongs to no job"),
                None => format!("a key of an event has {} bytes", key.len()),
            })),
        }
    }
}

/// Whether the entry is an event of that job. An error counts, so that it is met. An event of a job
/// that is not there makes the fold of the next job empty, which is told.
fn belongs(entry: &::sled::Result<(IVec, IVec)>, id: JobId) -> bool {
    match entry {
        Err(_) => true,
        Ok((key, _)) => keys::parse_event(key).is_some_and(|(job, _)| job == id),
    }
}

fn check_fold(stored: &StoredJob, folded: &Folded) -> Result<(), Error> {
    let id = stored.job.spec.id;
    // A program from before origins were kept drops what it does not know from a job that it goes on with.
    let is_fold = folded.job == stored.job
        || (stored.job.spec.origin == Origin::default() && {
            let mut job = folded.job.clone();
            job.spec.origin = Origin::default();
            job == stored.job
        });
    if !is_fold {
        return Err(damaged(format!("job {id} is not the fold of its events")));
    }
    if folded.head != stored.head {
        return Err(damaged(format!("job {id} has another head than its newest event")));
    }
    Ok(())
}

/// Each index entry that the job must have names it. That there are no others, counting tells.
fn check_indexes(trees: &Trees, job: &Job) -> Result<(), Error> {
    let spec = &job.spec;
    check_entry("tenants", &trees.tenants, &keys::tenant(&spec.tenant, spec.order), spec.id)?;
    if let Some(request_id) = &spec.request_id {
        let key = keys::request(&spec.tenant, request_id);
        check_entry("requests", &trees.requests, &key, spec.id)?;
    }
    if !job.is_terminal() {
        check_unfinished(trees, job)?;
    }
    Ok(())
}

/// The entry names the job, and holds its payload where it is inline.
fn check_unfinished(trees: &Trees, job: &Job) -> Result<(), Error> {
    let (id, described) = (job.spec.id, &job.spec.payload);
    let entry = trees.unfinished.get(keys::unfinished(job.spec.order)).map_err(storage)?;
    let entry = entry.ok_or_else(|| damaged(format!("job {id} is missing in unfinished")))?;
    let (named, rest) = codec::split_unfinished(&entry)?;
    if named != id {
        return Err(damaged(format!("entry of job {id} in unfinished names another job")));
    }
    let length = codec::decode_payload(id, rest)?.map(|payload| payload.len() as u64);
    if length != described.inline.then_some(described.length) {
        return Err(damaged(format!("job {id} has a payload of {length:?} bytes in the journal")));
    }
    Ok(())
}

fn check_entry(name: &str, tree: &Tree, key: &[u8], id: JobId) -> Result<(), Error> {
    match tree.get(key).map_err(storage)? {
        Some(value) if *value == *id.as_bytes() => Ok(()),
        Some(_) => Err(damaged(format!("entry of job {id} in {name} names another job"))),
        None => Err(damaged(format!("job {id} is missing in {name}"))),
    }
}

fn check_count(name: &str, tree: &Tree, expected: u64) -> Result<(), Error> {
    let mut count = 0;
    for entry in tree {
        entry.map_err(storage)?;
        count += 1;
    }
    if count != expected {
        return Err(damaged(format!("{name} has {count} entries, {expected} belong there")));
    }
    Ok(())
}

fn damaged(what: String) -> Error {
    Error::Damaged(what)
}
