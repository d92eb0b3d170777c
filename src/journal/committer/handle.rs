//! The way to the committer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{
    super::{Error, Journal, Purge, Purged, Tell},
    Command, Committed, Decision, Submission,
    live::{self, Shared},
};
use crate::{
    domain::{Event, Job, JobId, Submitted, Tenant},
    limits::{REQUEST_ID_CHARS_MAX, SMALL_PAYLOAD_BYTES_MAX},
    poison::Poison,
};

/// Reaches the committer and reads what is durable. Cheap to clone. The committer ends when the last
/// clone is gone.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    sender: mpsc::Sender<Command>,
    journal: Arc<dyn Journal>,
    live: Shared,
    poison: Poison,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Handle {
    pub(super) fn new(
        sender: mpsc::Sender<Command>,
        journal: Arc<dyn Journal>,
        live: Shared,
        poison: Poison,
        thread: thread::JoinHandle<()>,
    ) -> Self {
        let thread = Mutex::new(Some(thread));
        Self { inner: Arc::new(Inner { sender, journal, live, poison, thread }) }
    }

    /// Makes a job, or finds the one that the same idempotency key made for the tenant. The committer
    /// gives `spec.order` and the time. `payload` is the body where `spec.payload` is inline. Once queued
    /// it is carried out, also where the caller goes away.
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a failure; [`Error::Storage`] after [`Handle::close`], where the
    /// idempotency key is empty or longer than `limits::REQUEST_ID_CHARS_MAX`, or where the payload is
    /// longer than `limits::SMALL_PAYLOAD_BYTES_MAX` or not there as `spec` says.
    pub async fn submit(
        &self,
        spec: Submitted,
        payload: Option<Bytes>,
    ) -> Result<Submission, Error> {
        if let Some(request_id) = &spec.request_id
            && (request_id.is_empty() || request_id.len() > REQUEST_ID_CHARS_MAX)
        {
            let length = request_id.len();
            return Err(Error::Storage(format!("an idempotency key of {length} bytes")));
        }
        check_payload(&spec, payload.as_deref())?;
        let (answer, waiting) = oneshot::channel();
        self.send(Command::Submit { spec: Box::new(spec), payload, answer }).await?;
        self.wait(waiting).await
    }

    /// Adds the events that the decision finds on the job's newest state. Once queued it is carried
    /// out, also where the caller goes away.
    ///
    /// # Errors
    /// [`Error::NoJob`], [`Error::Illegal`] when an event cannot follow and none was added,
    /// [`Error::Poisoned`] after a failure, [`Error::Storage`] after [`Handle::close`].
    pub async fn record(&self, id: JobId, decision: Decision) -> Result<Committed, Error> {
        let (answer, waiting) = oneshot::channel();
        self.send(Command::Record { id, decision, answer }).await?;
        self.wait(waiting).await
    }

    /// [`Handle::record`] for a thread that is none of the runtime's; panics on one that is. Waits
    /// also for a commit that hangs, as the process then ends.
    ///
    /// # Errors
    /// As [`Handle::record`].
    pub fn record_blocking(&self, id: JobId, decision: Decision) -> Result<Committed, Error> {
        let (answer, waiting) = oneshot::channel();
        self.check_open()?;
        let command = Command::Record { id, decision, answer };
        self.inner.sender.blocking_send(command).map_err(|_| self.closed())?;
        waiting.blocking_recv().unwrap_or(Err(Error::Poisoned))
    }

    /// [`Handle::record_blocking`] for several jobs, whose events are committed together. An answer for
    /// each, in order.
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a failure, [`Error::Storage`] after [`Handle::close`]; those of a
    /// decision stand in its answer.
    pub fn record_all_blocking(
        &self,
        decisions: Vec<(JobId, Decision)>,
    ) -> Result<Vec<Result<Committed, Error>>, Error> {
        let (answer, waiting) = oneshot::channel();
        self.check_open()?;
        let command = Command::RecordAll { decisions, answer };
        self.inner.sender.blocking_send(command).map_err(|_| self.closed())?;
        waiting.blocking_recv().unwrap_or(Err(Error::Poisoned))
    }

    /// Takes those of the jobs out of the journal that have ended, durably, and returns what is purged by
    /// then. For a thread that is none of the runtime's; panics on one that is.
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a failure, [`Error::Storage`] after [`Handle::close`].
    pub fn purge_blocking(&self, purge: Purge) -> Result<Purged, Error> {
        let (answer, waiting) = oneshot::channel();
        self.check_open()?;
        let command = Command::Purge { purge, answer };
        self.inner.sender.blocking_send(command).map_err(|_| self.closed())?;
        waiting.blocking_recv().unwrap_or(Err(Error::Poisoned))
    }

    /// What was purged so far. Blocks.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn purged_blocking(&self) -> Result<Purged, Error> {
        self.inner.journal.purged()
    }

    /// At most `max` jobs that have ended, or wait or run, with an id above that one, in the order of their
    /// ids and in their newest durable state. Blocks.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn jobs_blocking(&self, above: Option<JobId>, max: usize) -> Result<Vec<Arc<Job>>, Error> {
        let seen = self.inner.journal.jobs(above, max)?;
        let live = live::read(&self.inner.live);
        Ok(seen.into_iter().filter_map(|job| live.settle(job)).collect())
    }

    /// [`Handle::job`] for a thread that is none of the runtime's.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn job_blocking(&self, id: JobId) -> Result<Option<Arc<Job>>, Error> {
        if let Some(job) = self.live(id) {
            return Ok(Some(job));
        }
        let seen = self.inner.journal.job(id)?;
        Ok(seen.and_then(|job| live::read(&self.inner.live).settle(job)))
    }

    /// [`Journal::dump`], on the thread that calls.
    ///
    /// # Errors
    /// Those of [`Journal::dump`].
    pub fn dump_blocking(
        &self,
        at: &mut dyn FnMut(&[Job]) -> Result<(), Error>,
        tell: Tell<'_>,
    ) -> Result<u64, Error> {
        self.inner.journal.dump(at, tell)
    }

    /// The body of a job that is not terminal and whose payload is inline. Blocks.
    ///
    /// # Errors
    /// [`Error::Damaged`] where it is not there, or when the journal cannot be read.
    pub fn payload_blocking(&self, job: &Job) -> Result<Bytes, Error> {
        let missing = || Error::Damaged(format!("the payload of job {} is missing", job.spec.id));
        self.inner.journal.payload(job)?.ok_or_else(missing)
    }

    /// The newest committed state of a job that is not terminal, from memory.
    #[must_use]
    pub fn live(&self, id: JobId) -> Option<Arc<Job>> {
        live::read(&self.inner.live).get(id)
    }

    /// All jobs that are not terminal, in submit order, from memory.
    #[must_use]
    pub fn unfinished(&self) -> Vec<Arc<Job>> {
        live::read(&self.inner.live).in_order()
    }

    /// The newest durable state of a job, terminal or not; `None` where there is no such job.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn job(&self, id: JobId) -> Result<Option<Arc<Job>>, Error> {
        if let Some(job) = self.live(id) {
            return Ok(Some(job));
        }
        let seen = self.read(move |journal| journal.job(id)).await?;
        Ok(seen.and_then(|job| live::read(&self.inner.live).settle(job)))
    }

    /// At most `max` durable events of the job with a number above `after_seq`, in order.
    ///
    /// # Errors
    /// [`Error::NoJob`], or when the journal cannot be read.
    pub async fn events(&self, id: JobId, after_seq: u64, max: usize) -> Result<Vec<Event>, Error> {
        let durable = self.job(id).await?.ok_or(Error::NoJob(id))?.seq;
        let read = self.read(move |journal| journal.events(id, after_seq, max)).await;
        // A purge takes the job out before its events, so what is missing of them is then no damage.
        let missing = || read.as_ref().map_or(true, |events| events.is_empty() && max > 0);
        if after_seq < durable && missing() && self.job(id).await?.is_none() {
            return Err(Error::NoJob(id));
        }
        let mut events = read?;
        events.retain(|event| event.seq <= durable);
        Ok(events)
    }

    /// At most `max` jobs of a tenant in their newest durable state, newest submit first, below that
    /// place in the order of submits.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn list(
        &self,
        tenant: &Tenant,
        below: Option<u64>,
        max: usize,
    ) -> Result<Vec<Arc<Job>>, Error> {
        // A submit that is not durable yet must neither show nor take a place on the page.
        let end = live::read(&self.inner.live).published_end();
        let below = Some(below.map_or(end, |below| below.min(end)));
        let tenant = tenant.clone();
        let seen = self.read(move |journal| journal.list(&tenant, below, max)).await?;
        let live = live::read(&self.inner.live);
        Ok(seen.into_iter().filter_map(|job| live.settle(job)).collect())
    }

    /// Finishes what is queued, then ends the committer, which the first caller waits for. Further
    /// submits and records are refused; reads still work.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when the committer failed, before or while it finished.
    pub async fn close(&self) -> Result<(), Error> {
        // Refused only where it was closed before, or has failed, which is told below.
        let _ = self.send(Command::Close).await;
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // On a thread of its own: those of the runtime may all wait for callers.
            let (done, joined) = oneshot::channel();
            let join = move || {
                // A panic has tripped the poison.
                let _ = thread.join();
                let _ = done.send(());
            };
            let started = thread::Builder::new().name("committer-end".to_owned()).spawn(join);
            started.map_err(|e| Error::Storage(e.to_string()))?;
            tokio::select! {
                biased;
                _ = joined => {}
                _ = self.inner.poison.tripped() => {}
            }
        }
        if self.inner.poison.is_tripped() { Err(Error::Poisoned) } else { Ok(()) }
    }

    /// The job that this idempotency key made for the tenant, if it has made one.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn find_request(
        &self,
        tenant: &Tenant,
        request_id: &str,
    ) -> Result<Option<JobId>, Error> {
        let (tenant, request_id) = (tenant.clone(), request_id.to_owned());
        self.read(move |journal| journal.find_request(&tenant, &request_id)).await
    }

    /// How many commands the queue still takes.
    #[cfg(test)]
    pub(super) fn free_places(&self) -> usize {
        self.inner.sender.capacity()
    }

    async fn send(&self, command: Command) -> Result<(), Error> {
        self.check_open()?;
        tokio::select! {
            biased;
            sent = self.inner.sender.send(command) => sent.map_err(|_| self.closed()),
            _ = self.inner.poison.tripped() => Err(Error::Poisoned),
        }
    }

    /// Waits for the answer, but not for a committer that hangs.
    async fn wait<T>(&self, waiting: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            biased;
            answer = waiting => answer.unwrap_or(Err(Error::Poisoned)),
            _ = self.inner.poison.tripped() => Err(Error::Poisoned),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Journal) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let journal = Arc::clone(&self.inner.journal);
        tokio::task::spawn_blocking(move || call(&*journal))
            .await
            .unwrap_or_else(|_| Err(Error::Storage("a read panicked or was cut off".to_owned())))
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.inner.poison.is_tripped() { Err(Error::Poisoned) } else { Ok(()) }
    }

    fn closed(&self) -> Error {
        if self.inner.poison.is_tripped() {
            return Error::Poisoned;
        }
        Error::Storage("the journal is closed".to_owned())
    }
}

/// Refuses what the journal would have to stop at.
fn check_payload(spec: &Submitted, payload: Option<&[u8]>) -> Result<(), Error> {
    let expected = spec.payload.inline.then_some(spec.payload.length);
    let length = payload.map(|payload| payload.len() as u64);
    if length != expected || length > Some(SMALL_PAYLOAD_BYTES_MAX as u64) {
        let text = format!("a payload of {length:?} bytes beside the journal's {expected:?}");
        return Err(Error::Storage(text));
    }
    Ok(())
}
