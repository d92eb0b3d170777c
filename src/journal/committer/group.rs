//! Commands that are committed together, each decided on what the ones before it staged.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use super::{
    super::{Change, Error, Journal},
    Committed, Decision, Submission,
    bound::bound,
    live::{self, Shared},
};
use crate::domain::{Event, EventKind, Job, JobId, Submitted, Tenant};

/// No event has an earlier time: 0 stands for "not set" in what is stored.
const FIRST_TIME_US: i64 = 1;

/// Staged changes; nothing of them is stored or known to anybody.
pub(super) struct Group<'a> {
    journal: &'a dyn Journal,
    live: &'a Shared,
    now_us: i64,
    last_order: u64,
    changes: Vec<Change>,
    places: HashMap<JobId, usize>,
    requests: HashMap<(Tenant, String), JobId>,
    published: Vec<Committed>,
}

/// A finished group.
pub(super) struct Staged {
    /// One change for each job.
    pub(super) changes: Vec<Change>,
    /// What observers are told, in order; a job may be there more than once.
    pub(super) published: Vec<Committed>,
    /// The greatest place in the order of submits after it.
    pub(super) last_order: u64,
}

impl<'a> Group<'a> {
    /// An empty group on top of that journal and its live jobs.
    pub(super) fn new(
        journal: &'a dyn Journal,
        live: &'a Shared,
        now_us: i64,
        last_order: u64,
    ) -> Self {
        Self {
            journal,
            live,
            now_us: now_us.max(FIRST_TIME_US),
            last_order,
            changes: Vec::new(),
            places: HashMap::new(),
            requests: HashMap::new(),
            published: Vec::new(),
        }
    }

    /// What is to be committed.
    pub(super) fn finish(self) -> Staged {
        Staged { changes: self.changes, published: self.published, last_order: self.last_order }
    }

    /// Stages a new job, or finds the one that its idempotency key made.
    pub(super) fn submit(
        &mut self,
        mut spec: Submitted,
        payload: Option<Bytes>,
    ) -> Result<Submission, Error> {
        if let Some(job) = self.find_request(&spec)? {
            let same = is_same_upload(&job.spec, &spec);
            return Ok(if same { Submission::Existing(job) } else { Submission::Conflict(job) });
        }
        spec.order = self.last_order + 1;
        let id = spec.id;
        let request = spec.request_id.clone().map(|request| (spec.tenant.clone(), request));
        let kind = EventKind::Submitted(Box::new(spec));
        let event = Event { seq: 1, time_us: self.now_us, kind };
        let job = match self.find(id)? {
            // Ids are made unique. One that is not is refused like any event out of place.
            Some(job) => (*job).clone().next(&event)?,
            None => Job::first(&event)?,
        };
        self.last_order += 1;
        if let Some(request) = request {
            self.requests.insert(request, id);
        }
        Ok(Submission::New(self.stage(job, vec![event], payload).job))
    }

    /// Stages what the decision wants, all of it or nothing.
    pub(super) fn record(&mut self, id: JobId, decision: Decision) -> Result<Committed, Error> {
        let before = self.find(id)?.ok_or(Error::NoJob(id))?;
        let kinds = decision(&before);
        if kinds.is_empty() {
            return Ok(Committed { job: before, events: Vec::new() });
        }
        let mut job = (*before).clone();
        let mut events = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let time_us = self.now_us.max(job.update_time_us);
            let event = Event { seq: job.seq.saturating_add(1), time_us, kind: bound(kind) };
            job = job.next(&event)?;
            events.push(event);
        }
        Ok(self.stage(job, events, None))
    }

    fn stage(&mut self, job: Job, events: Vec<Event>, payload: Option<Bytes>) -> Committed {
        let job = Arc::new(job);
        let committed = Committed { job: Arc::clone(&job), events: events.clone() };
        let place = self.places.get(&job.spec.id).and_then(|place| self.changes.get_mut(*place));
        if let Some(change) = place {
            change.job = job;
            change.events.extend(events);
        } else {
            self.places.insert(job.spec.id, self.changes.len());
            self.changes.push(Change { job, events, payload });
        }
        self.published.push(committed.clone());
        committed
    }

    /// The newest state of a job: staged, live or stored.
    fn find(&self, id: JobId) -> Result<Option<Arc<Job>>, Error> {
        let staged = self.places.get(&id).and_then(|place| self.changes.get(*place));
        if let Some(change) = staged {
            return Ok(Some(Arc::clone(&change.job)));
        }
        if let Some(job) = live::read(self.live).get(id) {
            return Ok(Some(job));
        }
        Ok(self.journal.job(id)?.map(Arc::new))
    }

    fn find_request(&self, spec: &Submitted) -> Result<Option<Arc<Job>>, Error> {
        let Some(request_id) = &spec.request_id else { return Ok(None) };
        let staged = self.requests.get(&(spec.tenant.clone(), request_id.clone())).copied();
        let found = match staged {
            Some(id) => Some(id),
            None => self.journal.find_request(&spec.tenant, request_id)?,
        };
        let Some(id) = found else { return Ok(None) };
        match self.find(id)? {
            Some(job) => Ok(Some(job)),
            None => Err(Error::Damaged(format!("an idempotency key names {id}, which is no job"))),
        }
    }
}

/// Whether a repeat asks for what the job was made for. The media type follows from the bytes.
fn is_same_upload(made: &Submitted, asked: &Submitted) -> bool {
    made.operation == asked.operation
        && made.validate_only == asked.validate_only
        && made.storages == asked.storages
        && made.payload.length == asked.payload.length
        && made.payload.sha256 == asked.payload.sha256
}
