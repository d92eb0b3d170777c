//! The model journal: plain maps, nothing durable. Tests hold the others against it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::{Change, Error, Journal, Purge, Purged};
use crate::domain::{Event, Job, JobId, Tenant};

/// A journal in memory.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    jobs: HashMap<JobId, Account>,
    by_request: HashMap<(Tenant, String), JobId>,
    by_order: BTreeMap<u64, JobId>,
    last_order: u64,
    purged: Purged,
    failing: Failing,
}

#[derive(Debug)]
struct Account {
    job: Arc<Job>,
    events: Vec<Event>,
    payload: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Failing {
    #[default]
    No,
    NextCommit,
    Failed,
}

impl Memory {
    /// Makes the next commit fail, and with it every one after, as a disk would.
    pub fn fail_next_commit(&self) {
        self.state().failing = Failing::NextCommit;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Checks the whole group before anything of it is stored.
    fn check(&self, group: &[Change]) -> Result<(), Error> {
        let mut seqs: HashMap<JobId, u64> = HashMap::new();
        let mut requests: Vec<(&Tenant, &str)> = Vec::new();
        let mut last_order = self.last_order;
        for change in group {
            let id = change.id();
            let stored = seqs.get(&id).copied().or(self.jobs.get(&id).map(|a| a.job.seq));
            change.check(stored)?;
            seqs.insert(id, change.job.seq);
            if !change.is_new() {
                continue;
            }
            let spec = &change.job.spec;
            change.check_order(last_order)?;
            last_order = spec.order;
            if let Some(request) = &spec.request_id {
                let taken = self.by_request.contains_key(&(spec.tenant.clone(), request.clone()));
                if taken || requests.contains(&(&spec.tenant, request)) {
                    return Err(change.refuse(1, "has an idempotency key that is taken"));
                }
                requests.push((&spec.tenant, request));
            }
        }
        Ok(())
    }

    fn store(&mut self, change: &Change) {
        let spec = &change.job.spec;
        if change.is_new() {
            self.by_order.insert(spec.order, spec.id);
            self.last_order = spec.order;
            if let Some(request) = &spec.request_id {
                self.by_request.insert((spec.tenant.clone(), request.clone()), spec.id);
            }
        }
        let account = self.jobs.entry(spec.id).or_insert_with(|| Account {
            job: change.job.clone(),
            events: Vec::new(),
            payload: change.payload.clone(),
        });
        account.job = change.job.clone();
        account.events.extend_from_slice(&change.events);
        if account.job.is_terminal() {
            account.payload = None;
        }
    }

    fn take_out(&mut self, job: &Job) {
        let spec = &job.spec;
        self.jobs.remove(&spec.id);
        self.by_order.remove(&spec.order);
        if let Some(request) = &spec.request_id {
            self.by_request.remove(&(spec.tenant.clone(), request.clone()));
        }
    }

    fn check_failing(&mut self) -> Result<(), Error> {
        if self.failing == Failing::No {
            return Ok(());
        }
        self.failing = Failing::Failed;
        Err(Error::Storage("the commit failed as it was told to".to_owned()))
    }

    fn in_order(&self) -> impl DoubleEndedIterator<Item = (u64, &Job)> {
        self.by_order.iter().filter_map(|(order, id)| Some((*order, &*self.jobs.get(id)?.job)))
    }
}

impl Journal for Memory {
    fn commit(&self, group: &[Change]) -> Result<(), Error> {
        let mut state = self.state();
        state.check_failing()?;
        state.check(group)?;
        for change in group {
            state.store(change);
        }
        Ok(())
    }

    fn purge(&self, purge: &Purge) -> Result<Purged, Error> {
        let mut state = self.state();
        state.check_failing()?;
        let jobs = purge.ended(|id| Ok(state.jobs.get(&id).map(|a| (*a.job).clone())))?;
        for job in &jobs {
            state.take_out(job);
        }
        state.purged = state.purged.after(purge, &jobs);
        Ok(state.purged.clone())
    }

    fn purged(&self) -> Result<Purged, Error> {
        Ok(self.state().purged.clone())
    }

    fn jobs(&self, above: Option<JobId>, max: usize) -> Result<Vec<Job>, Error> {
        let state = self.state();
        let above = |id: &JobId| above.is_none_or(|above| *id > above);
        let mut jobs: Vec<_> = state.jobs.iter().filter(|(id, _)| above(id)).collect();
        jobs.sort_unstable_by_key(|(id, _)| **id);
        Ok(jobs.into_iter().take(max).map(|(_, account)| (*account.job).clone()).collect())
    }

    fn job(&self, id: JobId) -> Result<Option<Job>, Error> {
        Ok(self.state().jobs.get(&id).map(|a| (*a.job).clone()))
    }

    fn payload(&self, job: &Job) -> Result<Option<Bytes>, Error> {
        Ok(self.state().jobs.get(&job.spec.id).and_then(|account| account.payload.clone()))
    }

    fn events(&self, id: JobId, after_seq: u64, max: usize) -> Result<Vec<Event>, Error> {
        let state = self.state();
        let events = state.jobs.get(&id).map(|a| a.events.as_slice()).unwrap_or_default();
        Ok(events.iter().filter(|e| e.seq > after_seq).take(max).cloned().collect())
    }

    fn find_request(&self, tenant: &Tenant, request_id: &str) -> Result<Option<JobId>, Error> {
        let key = (tenant.clone(), request_id.to_owned());
        Ok(self.state().by_request.get(&key).copied())
    }

    fn unfinished(&self) -> Result<Vec<Job>, Error> {
        let state = self.state();
        Ok(state.in_order().filter(|(_, j)| !j.is_terminal()).map(|(_, j)| j.clone()).collect())
    }

    fn list(&self, tenant: &Tenant, below: Option<u64>, max: usize) -> Result<Vec<Job>, Error> {
        let state = self.state();
        let newest_first = state.in_order().rev();
        let found = newest_first
            .filter(|(order, job)| job.spec.tenant == *tenant && below.is_none_or(|b| *order < b));
        Ok(found.take(max).map(|(_, job)| job.clone()).collect())
    }

    fn last_order(&self) -> Result<u64, Error> {
        Ok(self.state().last_order)
    }

    fn verify_each(&self, visit: &mut dyn FnMut(&Job)) -> Result<u64, Error> {
        let state = self.state();
        for (id, account) in &state.jobs {
            let damaged = |what: &str| Error::Damaged(format!("job {id}: {what}"));
            let mut events = account.events.iter();
            let first = events.next().ok_or_else(|| damaged("it has no event"))?;
            let folded = events.try_fold(Job::first(first)?, Job::next)?;
            if folded != *account.job {
                return Err(damaged("it is not the fold of its events"));
            }
            let kept = folded.spec.payload.inline && !folded.is_terminal();
            if account.payload.is_some() != kept {
                return Err(damaged("its payload is missing or one too many"));
            }
            visit(&folded);
        }
        Ok(state.jobs.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing;

    #[test]
    fn a_commit_that_was_told_to_fail_stores_nothing_and_nor_does_any_after_it() {
        let journal = Memory::default();
        let (job, event) = testing::first(testing::submitted(1));
        let group = [Change { job: Arc::new(job), events: vec![event], payload: None }];
        journal.fail_next_commit();
        for _ in 0..2 {
            assert!(matches!(journal.commit(&group), Err(Error::Storage(_))));
        }
        assert_eq!(journal.last_order().unwrap(), 0);
    }

    #[test]
    fn verify_finds_a_job_that_its_events_do_not_fold_to() {
        let journal = Memory::default();
        let (job, event) = testing::first(testing::submitted(1));
        let mut other = job.clone();
        other.attempt = 3;
        journal
            .commit(&[Change { job: Arc::new(other), events: vec![event], payload: None }])
            .unwrap();
        let error = journal.verify().unwrap_err().to_string();
        assert!(error.contains(&job.spec.id.to_string()), "{error}");
    }
}
