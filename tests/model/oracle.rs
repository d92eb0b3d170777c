//! The plain model: every job that must be there, and every live record.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cvrsd::domain::{Job, JobId, Operation, Storage, Tenant};

use super::{
    bench::caller,
    machine::Request,
    rows::{File, Row},
};

/// What was sent.
#[derive(Debug)]
pub struct Upload {
    pub request: Request,
    pub key: Option<String>,
    pub file: File,
}

/// A job that is known to be durable.
pub struct Known {
    pub upload: Arc<Upload>,
    newest: Arc<Job>,
    /// What watchers were told and nobody held against the events yet.
    pub told: Vec<Arc<Job>>,
    pub cancel_asked: bool,
    pub settled: bool,
}

#[derive(Default)]
pub struct Oracle {
    pub jobs: BTreeMap<JobId, Known>,
    /// Submits without an answer: each made a job or none.
    lost: Vec<Arc<Upload>>,
    /// A purge was cut off: what ended before that time may be gone.
    purging_us: Option<i64>,
    pub live: BTreeMap<(Tenant, Storage), BTreeMap<String, Row>>,
}

impl Upload {
    pub fn new(request: &Request, key: Option<usize>) -> Self {
        let file = File::new(request.shape, request.rows, request.seed);
        Self { request: request.clone(), key: key.map(|key| format!("key-{key}")), file }
    }

    fn made(&self, job: &Job) -> bool {
        let (spec, caller) = (&job.spec, caller(self.request.client));
        spec.tenant == caller.tenant
            && spec.client == caller.client
            && spec.storages == caller.storages
            && spec.operation == self.request.operation
            && spec.validate_only == self.request.validate_only
            && spec.request_id == self.key
            && spec.payload.length == self.file.body.len() as u64
            && spec.payload.sha256 == self.file.sha256
            && spec.payload.media_type == self.file.media_type
    }

    /// A repeat may come from another connection, not from another body.
    fn is_same(&self, other: &Self) -> bool {
        let storages = |upload: &Self| caller(upload.request.client).storages;
        let asked = |upload: &Self| (upload.request.operation, upload.request.validate_only);
        storages(self) == storages(other)
            && asked(self) == asked(other)
            && self.file.body == other.file.body
    }
}

impl Oracle {
    /// Whether the key made a job for sure: `None` where a lost submit may have made one.
    pub fn made_by(&self, upload: &Upload) -> Option<bool> {
        let tenant = caller(upload.request.client).tenant;
        let same = |other: &Upload| {
            other.key == upload.key && caller(other.request.client).tenant == tenant
        };
        if self.jobs.values().any(|known| same(&known.upload)) {
            return Some(true);
        }
        if self.lost.iter().any(|lost| same(lost)) { None } else { Some(false) }
    }

    /// A submit was answered.
    pub fn answered(&mut self, upload: &Arc<Upload>, job: &Arc<Job>, replayed: bool) {
        let id = job.spec.id;
        match self.jobs.get(&id) {
            Some(known) => {
                assert!(replayed, "{id} was made twice");
                assert!(upload.key.is_some() && known.upload.key == upload.key);
                assert!(known.upload.is_same(upload), "{id} is not what was repeated");
            }
            None => self.learn(upload, job),
        }
        self.observe(job);
        let tenant = caller(upload.request.client).tenant;
        let jobs = self.jobs.values().filter(|known| known.newest.spec.tenant == tenant);
        let same = jobs.filter(|known| upload.key.is_some() && known.upload.key == upload.key);
        assert!(same.count() <= 1, "two jobs for one key");
    }

    /// A submit was refused because its key made another job.
    pub fn conflicted(&self, upload: &Upload) {
        let same = |known: &&Known| {
            known.upload.key == upload.key
                && known.newest.spec.tenant == caller(upload.request.client).tenant
        };
        let known = self.jobs.values().find(same).expect("a conflict with no job");
        assert!(!known.upload.is_same(upload), "a repeat was refused");
    }

    /// A submit got no answer.
    pub fn unanswered(&mut self, upload: &Arc<Upload>) {
        self.lost.push(Arc::clone(upload));
    }

    fn learn(&mut self, upload: &Arc<Upload>, job: &Arc<Job>) {
        assert!(upload.made(job), "{job:?} is not what was sent");
        let known = Known {
            upload: Arc::clone(upload),
            newest: Arc::clone(job),
            told: Vec::new(),
            cancel_asked: false,
            settled: false,
        };
        self.jobs.insert(job.spec.id, known);
    }

    /// After a restart: all that there is. What was known is there, what is there was sent. Returns how
    /// many jobs were found whose answer was lost.
    pub fn recall(&mut self, listed: &[Arc<Job>]) -> usize {
        let mut missing: BTreeSet<JobId> = self.jobs.keys().copied().collect();
        let mut found = 0;
        for job in listed {
            if !missing.remove(&job.spec.id) {
                let at = self.lost.iter().position(|lost| lost.made(job));
                let upload = self.lost.swap_remove(at.expect("a job that nobody sent"));
                self.learn(&upload, job);
                found += 1;
            }
            self.observe(job);
        }
        let purging_us = self.purging_us.take();
        for id in missing {
            let ended_us = self.jobs.remove(&id).unwrap().newest.end_time_us;
            let purged = ended_us.zip(purging_us).is_some_and(|(end, before)| end < before);
            assert!(purged, "{id} is lost");
        }
        self.lost.clear();
        found
    }

    /// All that ended before that time are purged; which they were.
    pub fn purge(&mut self, before_us: i64) -> Vec<JobId> {
        let ended = |known: &Known| known.newest.end_time_us.is_some_and(|end| end < before_us);
        let gone: Vec<_> =
            self.jobs.iter().filter(|(_, known)| ended(known)).map(|(id, _)| *id).collect();
        for id in &gone {
            self.jobs.remove(id);
        }
        gone
    }

    /// A purge of what ended before that time was cut off.
    pub fn may_be_purged(&mut self, before_us: i64) {
        self.purging_us = Some(before_us);
    }

    /// The job was seen, read from what is newest.
    pub fn observe(&mut self, job: &Arc<Job>) {
        let known = self.jobs.get_mut(&job.spec.id).expect("a job that nobody knows");
        let before = std::mem::replace(&mut known.newest, Arc::clone(job));
        assert_eq!(before.spec, job.spec);
        assert!(job.seq >= before.seq, "{job:?} is older than {before:?}");
        assert!(job.status() >= before.status(), "{job:?} went back from {before:?}");
        assert!(job.update_time_us >= before.update_time_us);
        if job.seq == before.seq || before.is_terminal() {
            assert_eq!(*before, **job);
        }
    }

    /// A watcher was told of the job.
    pub fn told(&mut self, job: &Arc<Job>) {
        self.jobs.get_mut(&job.spec.id).unwrap().told.push(Arc::clone(job));
    }

    pub fn asked_to_cancel(&mut self, id: JobId) {
        self.jobs.get_mut(&id).unwrap().cancel_asked = true;
    }

    pub fn newest(&self, id: JobId) -> &Arc<Job> {
        &self.jobs[&id].newest
    }

    pub fn client(&self, id: JobId) -> usize {
        self.jobs[&id].upload.request.client
    }

    /// The job so many before the newest one.
    pub fn pick(&self, back: usize) -> Option<JobId> {
        let mut jobs: Vec<_> = self.jobs.values().map(|known| &known.newest.spec).collect();
        jobs.sort_unstable_by_key(|spec| std::cmp::Reverse(spec.order));
        jobs.get(back % jobs.len().max(1)).map(|spec| spec.id)
    }

    pub fn unfinished(&self) -> Vec<JobId> {
        let open = self.jobs.iter().filter(|(_, known)| !known.newest.is_terminal());
        open.map(|(id, _)| *id).collect()
    }

    pub fn is_settled(&self) -> bool {
        self.lost.is_empty() && self.jobs.values().all(|known| known.settled)
    }

    /// The tenant's jobs, newest first.
    pub fn of_tenant(&self, tenant: &Tenant, operation: Option<Operation>) -> Vec<JobId> {
        let specs = self.jobs.values().map(|known| &known.newest.spec);
        let mut specs: Vec<_> = specs
            .filter(|spec| spec.tenant == *tenant && operation.is_none_or(|o| o == spec.operation))
            .collect();
        specs.sort_unstable_by_key(|spec| std::cmp::Reverse(spec.order));
        specs.into_iter().map(|spec| spec.id).collect()
    }

    /// Live rows as that storage shows them, sorted.
    pub fn live(&self, tenant: &Tenant, storage: Storage) -> Vec<String> {
        let rows = self.live.get(&(tenant.clone(), storage)).into_iter().flatten();
        let mut rows: Vec<_> = rows.map(|(_, row)| row.shown(storage)).collect();
        rows.sort_unstable();
        rows
    }

    pub fn record(&self, tenant: &Tenant, storage: Storage, id: &str) -> Option<String> {
        let rows = self.live.get(&(tenant.clone(), storage))?;
        Some(rows.get(&id.to_ascii_lowercase())?.shown(storage))
    }

    /// The jobs that ended and were not compared yet, in submit order.
    pub fn to_settle(&self) -> Vec<Arc<Job>> {
        let ended = self.jobs.values().filter(|known| !known.settled);
        let mut jobs: Vec<_> = ended.map(|known| Arc::clone(&known.newest)).collect();
        jobs.sort_unstable_by_key(|job| job.spec.order);
        jobs
    }
}
