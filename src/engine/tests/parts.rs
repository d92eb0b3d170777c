//! A journal that dies and a record store that can be met at each call.

use std::{
    ops::ControlFlow,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use crate::{
    domain::{Applied, Event, Job, JobId, PurgedJob, Storage, Tenant},
    journal::{Change, Error as JournalError, Journal, Memory, Purge, Purged},
    records::{Batch, Error, KeyHash, Misses, RecordStore, Stage, Staged, memory},
};

/// A journal that fails from some commit on, as when the process is killed there.
#[derive(Default)]
pub(super) struct Mortal {
    pub(super) memory: Memory,
    plan: Mutex<Plan>,
    commits: AtomicU64,
}

#[derive(Default)]
enum Plan {
    #[default]
    Live,
    /// After that many more commits; whether the one that fails is stored all the same.
    DieAfter(u64, bool),
    Dead,
}

impl Mortal {
    pub(super) fn die_after(&self, commits: u64, stored: bool) {
        *self.plan.lock().unwrap() = Plan::DieAfter(commits, stored);
    }

    pub(super) fn revive(&self) {
        *self.plan.lock().unwrap() = Plan::Live;
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }
}

impl Mortal {
    fn step<T>(&self, make: impl Fn() -> Result<T, JournalError>) -> Result<T, JournalError> {
        let mut plan = self.plan.lock().unwrap();
        let killed = || Err(JournalError::Storage("killed as it was told".to_owned()));
        match &mut *plan {
            Plan::Live => {}
            Plan::Dead => return killed(),
            Plan::DieAfter(0, stored) => {
                let stored = *stored;
                *plan = Plan::Dead;
                if stored {
                    make()?;
                }
                return killed();
            }
            Plan::DieAfter(commits, _) => *commits -= 1,
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
        make()
    }
}

impl Journal for Mortal {
    fn commit(&self, group: &[Change]) -> Result<(), JournalError> {
        self.step(|| self.memory.commit(group))
    }

    fn purge(&self, purge: &Purge) -> Result<Purged, JournalError> {
        self.step(|| self.memory.purge(purge))
    }

    fn purged(&self) -> Result<Purged, JournalError> {
        self.memory.purged()
    }

    fn jobs(&self, above: Option<JobId>, max: usize) -> Result<Vec<Job>, JournalError> {
        self.memory.jobs(above, max)
    }

    fn job(&self, id: JobId) -> Result<Option<Job>, JournalError> {
        self.memory.job(id)
    }

    fn payload(&self, job: &Job) -> Result<Option<Bytes>, JournalError> {
        self.memory.payload(job)
    }

    fn events(&self, id: JobId, after_seq: u64, max: usize) -> Result<Vec<Event>, JournalError> {
        self.memory.events(id, after_seq, max)
    }

    fn find_request(&self, tenant: &Tenant, id: &str) -> Result<Option<JobId>, JournalError> {
        self.memory.find_request(tenant, id)
    }

    fn unfinished(&self) -> Result<Vec<Job>, JournalError> {
        self.memory.unfinished()
    }

    fn list(
        &self,
        tenant: &Tenant,
        below: Option<u64>,
        max: usize,
    ) -> Result<Vec<Job>, JournalError> {
        self.memory.list(tenant, below, max)
    }

    fn last_order(&self) -> Result<u64, JournalError> {
        self.memory.last_order()
    }

    fn verify_each(&self, visit: &mut dyn FnMut(&Job)) -> Result<u64, JournalError> {
        self.memory.verify_each(visit)
    }
}

/// Called with how often it was called before.
type Hook<T> = Mutex<Option<(u64, Box<dyn FnMut(u64) -> T + Send>)>>;

/// A store with hooks before its calls.
#[derive(Default)]
pub(super) struct Hooked {
    pub(super) memory: memory::Store,
    on_key: Hook<()>,
    on_cursor: Hook<()>,
    on_apply: Hook<Result<(), Error>>,
    on_misses: Hook<()>,
    deadly: Mutex<Option<Vec<u8>>>,
    /// Jobs whose notes were taken away.
    pub(super) purged: Mutex<Vec<JobId>>,
}

impl Hooked {
    /// Before each key that validation asks for, and each row that is read again.
    pub(super) fn on_key(&self, hook: impl FnMut(u64) + Send + 'static) {
        *self.on_key.lock().unwrap() = Some((0, Box::new(hook)));
    }

    /// Before applying and finishing look where a job stands.
    pub(super) fn on_cursor(&self, hook: impl FnMut(u64) + Send + 'static) {
        *self.on_cursor.lock().unwrap() = Some((0, Box::new(hook)));
    }

    /// Instead of a batch, where it fails.
    pub(super) fn on_apply(&self, hook: impl FnMut(u64) -> Result<(), Error> + Send + 'static) {
        *self.on_apply.lock().unwrap() = Some((0, Box::new(hook)));
    }

    /// Before finishing reads what was without effect.
    pub(super) fn on_misses(&self, hook: impl FnMut(u64) + Send + 'static) {
        *self.on_misses.lock().unwrap() = Some((0, Box::new(hook)));
    }

    /// Panics when it is asked for that key, also in later processes.
    pub(super) fn panic_at(&self, vax_event_id: &[u8]) {
        *self.deadly.lock().unwrap() = Some(vax_event_id.to_vec());
    }

    pub(super) fn unhook(&self) {
        *self.on_key.lock().unwrap() = None;
        *self.on_cursor.lock().unwrap() = None;
        *self.on_apply.lock().unwrap() = None;
        *self.on_misses.lock().unwrap() = None;
    }
}

fn call<T>(hook: &Hook<T>) -> Option<T> {
    let mut hook = hook.lock().unwrap();
    let (count, hook) = hook.as_mut()?;
    *count += 1;
    Some(hook(*count - 1))
}

/// An error that another attempt may not meet.
pub(super) fn transient() -> Error {
    Error::Fenced { job: JobId::generate(), given: 0, cursor: 1 }
}

impl RecordStore for Hooked {
    fn key(&self, vax_event_id: &[u8]) -> KeyHash {
        call(&self.on_key);
        let deadly = self.deadly.lock().unwrap().clone();
        assert_ne!(deadly.as_deref(), Some(vax_event_id), "a key that is deadly");
        self.memory.key(vax_event_id)
    }

    fn cursor(&self, job: JobId) -> Result<Applied, Error> {
        call(&self.on_cursor);
        self.memory.cursor(job)
    }

    fn stage<'a>(&'a self, staged: &Staged<'a>) -> Result<Option<Box<dyn Stage + 'a>>, Error> {
        self.memory.stage(staged)
    }

    fn apply_all(&self, batches: &[Batch<'_>]) -> Result<Vec<Applied>, Error> {
        call(&self.on_apply).transpose()?;
        self.memory.apply_all(batches)
    }

    fn misses(&self, job: JobId) -> Result<Misses, Error> {
        call(&self.on_misses);
        self.memory.misses(job)
    }

    fn forget(&self, job: JobId) -> Result<(), Error> {
        self.memory.forget(job)
    }

    fn purge(&self, jobs: &[PurgedJob]) -> Result<(), Error> {
        self.purged.lock().unwrap().extend(jobs.iter().map(|job| job.id));
        self.memory.purge(jobs)
    }

    fn remembered(&self) -> Result<Vec<JobId>, Error> {
        self.memory.remembered()
    }

    fn counts(&self, tenant: Option<&Tenant>) -> Result<Vec<(Tenant, Storage, u64)>, Error> {
        self.memory.counts(tenant)
    }

    fn get(&self, tenant: &Tenant, storage: Storage, id: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.memory.get(tenant, storage, id)
    }

    fn export(
        &self,
        tenant: &Tenant,
        storage: Storage,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.memory.export(tenant, storage, visit)
    }
}
