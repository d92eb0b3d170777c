//! How much each client has on its way: uploads that run, jobs that have not ended, their bytes.
//!
//! Jobs come from the journal's committer and, at start, from recovery; an upload turns into its job
//! without being counted twice.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use crate::{
    config::Quota,
    domain::{Job, JobId},
    error::{Code, Error},
    intake::Meter,
    journal::{Committed, Observer},
    sync::{Mutex, MutexGuard},
};

/// The counts of all clients.
#[derive(Debug, Default)]
pub(super) struct Quotas(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    clients: HashMap<String, Use>,
    /// Jobs that have not ended and uploads that become one.
    places: HashMap<JobId, Place>,
}

/// What a client has on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Uploads that run.
    pub uploads: u32,
    /// Jobs that have not ended, and uploads that become one.
    pub places: u32,
    /// Bytes of their payloads.
    pub bytes: u64,
}

#[derive(Debug)]
struct Place {
    client: String,
    bytes: u64,
    is_job: bool,
}

/// What an upload takes of its client's quota; given back when dropped, unless it became a job.
#[derive(Debug)]
pub(super) struct Claim {
    quotas: Arc<Quotas>,
    id: JobId,
    client: String,
    quota: Quota,
}

impl Quotas {
    /// Begins an upload of `announced` decoded bytes, where its sender said how many. A `replay` makes
    /// no new job, so only the upload itself counts.
    ///
    /// # Errors
    /// `CVRS-QUOTA-UPLOADS`, `CVRS-QUOTA-JOBS`, `CVRS-QUOTA-BYTES`.
    pub(super) fn claim(
        self: &Arc<Self>,
        client: &str,
        quota: Quota,
        id: JobId,
        replay: bool,
        announced: Option<u64>,
    ) -> Result<Claim, Error> {
        let mut state = self.state();
        let now = state.clients.get(client).copied().unwrap_or_default();
        check_uploads(quota, now)?;
        if !replay {
            check_jobs(quota, now)?;
            // A body without a byte is refused, so this one takes at least one.
            check_bytes(quota, now.bytes.saturating_add(announced.unwrap_or(0).max(1)))?;
            state.put(client, id, false, 0);
        }
        state.clients.entry(client.to_owned()).or_default().uploads += 1;
        let client = client.to_owned();
        Ok(Claim { quotas: Arc::clone(self), id, client, quota })
    }

    /// Counts a job that was there before this process.
    pub(super) fn seed(&self, job: &Job) {
        let spec = &job.spec;
        self.state().put(&spec.client, spec.id, true, spec.payload.length);
    }

    /// What that client has on its way.
    pub(super) fn of(&self, client: &str) -> Use {
        self.state().clients.get(client).copied().unwrap_or_default()
    }

    /// Counts further bytes of an upload, unless it was given up meanwhile.
    fn grow(&self, id: JobId, quota: Quota, bytes: u64) -> Result<(), Error> {
        let mut state = self.state();
        let State { clients, places } = &mut *state;
        let Some(place) = places.get_mut(&id) else { return Ok(()) };
        let Some(now) = clients.get_mut(&place.client) else { return Ok(()) };
        let total = now.bytes.saturating_add(bytes);
        check_bytes(quota, total)?;
        (now.bytes, place.bytes) = (total, place.bytes.saturating_add(bytes));
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Quotas {
    fn committed(&self, group: &[Committed]) {
        let mut state = self.state();
        for committed in group {
            let spec = &committed.job.spec;
            let first = committed.events.first().is_some_and(|event| event.seq == 1);
            let ended = committed.job.is_terminal();
            if !first && !ended {
                continue;
            }
            state.take(spec.id);
            if !ended {
                state.put(&spec.client, spec.id, true, spec.payload.length);
            }
        }
    }
}

impl Claim {
    /// Counts the bytes of the upload as they come; refuses those that the quota has no room for with
    /// `CVRS-QUOTA-BYTES`.
    pub(super) fn meter(&self) -> Meter {
        let (quotas, id, quota) = (Arc::clone(&self.quotas), self.id, self.quota);
        Box::new(move |bytes| quotas.grow(id, quota, bytes))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.quotas.state();
        if state.places.get(&self.id).is_some_and(|place| !place.is_job) {
            state.take(self.id);
        }
        state.change(&self.client, |now| now.uploads = now.uploads.saturating_sub(1));
    }
}

impl State {
    fn put(&mut self, client: &str, id: JobId, is_job: bool, bytes: u64) {
        self.places.insert(id, Place { client: client.to_owned(), bytes, is_job });
        let now = self.clients.entry(client.to_owned()).or_default();
        now.places += 1;
        now.bytes = now.bytes.saturating_add(bytes);
    }

    fn take(&mut self, id: JobId) -> Option<Place> {
        let place = self.places.remove(&id)?;
        self.change(&place.client, |now| {
            now.places = now.places.saturating_sub(1);
            now.bytes = now.bytes.saturating_sub(place.bytes);
        });
        Some(place)
    }

    /// Changes the counts of a client and forgets it when it has nothing on its way.
    fn change(&mut self, client: &str, change: impl FnOnce(&mut Use)) {
        if let Some(now) = self.clients.get_mut(client) {
            change(now);
            if *now == Use::default() {
                self.clients.remove(client);
            }
        }
    }
}

fn check_uploads(quota: Quota, now: Use) -> Result<(), Error> {
    match quota.uploads_max {
        Some(max) if now.uploads >= max => {
            let text = format!("{max} uploads of the client run already");
            Err(Error::new(Code::QuotaUploads, text))
        }
        _ => Ok(()),
    }
}

fn check_jobs(quota: Quota, now: Use) -> Result<(), Error> {
    match quota.jobs_queued_max {
        Some(max) if now.places >= max => {
            let text = format!("{max} jobs of the client have not ended");
            Err(Error::new(Code::QuotaJobs, text))
        }
        _ => Ok(()),
    }
}

fn check_bytes(quota: Quota, bytes: u64) -> Result<(), Error> {
    match quota.spool_bytes_max {
        Some(max) if bytes > max => {
            let text = format!("the payloads of the client would have more than {max} bytes");
            Err(Error::new(Code::QuotaBytes, text))
        }
        _ => Ok(()),
    }
}

#[cfg(all(test, feature = "interleavings"))]
mod interleavings;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Applied, EventKind, Outcome, Validated, testing};

    const NONE: Quota = Quota {
        uploads_max: None,
        jobs_queued_max: None,
        spool_bytes_max: None,
        requests_per_s: None,
    };

    fn claim(quotas: &Arc<Quotas>, quota: Quota) -> Result<Claim, Code> {
        let claimed = quotas.claim("c", quota, JobId::generate(), false, None);
        claimed.map_err(|e| e.code)
    }

    /// The job that the claim becomes, of 1,000 bytes.
    fn submitted(quotas: &Quotas, claim: &Claim) -> Job {
        let mut spec = testing::submitted(1);
        (spec.id, spec.client) = (claim.id, "c".to_owned());
        let (job, event) = testing::first(spec);
        quotas.committed(&[Committed { job: Arc::new(job.clone()), events: vec![event] }]);
        job
    }

    fn end(quotas: &Quotas, job: Job) {
        let asked = testing::event(&job, EventKind::CancelRequested);
        let job = job.next(&asked).unwrap();
        let ended =
            testing::ending(Outcome::Cancelled, Validated::default(), Applied::default(), None);
        let ended = testing::event(&job, ended);
        let job = Arc::new(job.next(&ended).unwrap());
        quotas.committed(&[Committed { job, events: vec![asked, ended] }]);
    }

    #[test]
    fn as_many_uploads_run_as_allowed_and_not_one_more() {
        let quotas = Arc::new(Quotas::default());
        let quota = Quota { uploads_max: Some(2), ..NONE };
        let first = claim(&quotas, quota).unwrap();
        let _second = claim(&quotas, quota).unwrap();
        assert_eq!(claim(&quotas, quota).unwrap_err(), Code::QuotaUploads);
        let other = quotas.claim("d", quota, JobId::generate(), false, None);
        assert!(other.is_ok(), "another client has its own");
        submitted(&quotas, &first);
        drop(first);
        assert!(claim(&quotas, quota).is_ok(), "a job is no upload");
    }

    #[test]
    fn a_job_has_its_place_from_its_upload_to_its_end() {
        let quotas = Arc::new(Quotas::default());
        let quota = Quota { jobs_queued_max: Some(2), ..NONE };
        let first = claim(&quotas, quota).unwrap();
        let second = claim(&quotas, quota).unwrap();
        assert_eq!(claim(&quotas, quota).unwrap_err(), Code::QuotaJobs);
        let job = submitted(&quotas, &first);
        assert_eq!(claim(&quotas, quota).unwrap_err(), Code::QuotaJobs);
        drop(first);
        assert_eq!(claim(&quotas, quota).unwrap_err(), Code::QuotaJobs);
        drop(second);
        let third = claim(&quotas, quota).unwrap();
        let replay = quotas.claim("c", quota, JobId::generate(), true, None).unwrap();
        drop((third, replay));
        end(&quotas, job);
        let _both = (claim(&quotas, quota).unwrap(), claim(&quotas, quota).unwrap());
    }

    #[test]
    fn bytes_count_from_the_first_chunk_to_the_end_of_the_job() {
        let quotas = Arc::new(Quotas::default());
        let quota = Quota { spool_bytes_max: Some(1_500), ..NONE };
        let announced = |n| quotas.claim("c", quota, JobId::generate(), false, Some(n));
        assert!(announced(1_500).is_ok());
        assert_eq!(announced(1_501).unwrap_err().code, Code::QuotaBytes);
        let first = announced(1_000).unwrap();
        let mut grow = first.meter();
        grow(1_000).unwrap();
        let second = announced(500).unwrap();
        second.meter()(500).unwrap();
        assert_eq!(grow(1).unwrap_err().code, Code::QuotaBytes);
        assert_eq!(claim(&quotas, quota).unwrap_err(), Code::QuotaBytes);
        let mut late = second.meter();
        drop(second);
        late(1_501).unwrap();
        let job = submitted(&quotas, &first);
        drop(first);
        assert!(announced(500).is_ok());
        assert_eq!(announced(501).unwrap_err().code, Code::QuotaBytes);
        quotas.claim("c", quota, JobId::generate(), true, Some(9_999)).unwrap();
        end(&quotas, job);
        assert!(announced(1_500).is_ok());
    }

    #[test]
    fn jobs_of_before_the_start_count_and_nothing_is_left_in_the_end() {
        let quotas = Arc::new(Quotas::default());
        let mut spec = testing::submitted(1);
        spec.client = "c".to_owned();
        let (job, _) = testing::first(spec);
        quotas.seed(&job);
        let quota = Quota { jobs_queued_max: Some(1), ..NONE };
        assert_eq!(claim(&quotas, quota).unwrap_err(), Code::QuotaJobs);
        end(&quotas, job);
        drop(claim(&quotas, quota).unwrap());
        let state = quotas.state();
        assert!(state.clients.is_empty() && state.places.is_empty());
    }
}
