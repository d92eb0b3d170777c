//! An upload on its way to become a job.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    quota::Claim,
    service::{Submission, draining, internal, stopping},
};
use crate::{
    audit::{self, Entry, Kind},
    domain::{Job, JobId, Storage, Submitted},
    error::{Code, Error},
    intake::{Expected, Spool, Upload},
    journal,
    poison::Poison,
};

/// An upload on its way to become a job. Dropped, it leaves nothing behind.
pub struct Submit {
    pub(super) upload: Upload,
    pub(super) spec: Submitted,
    pub(super) expected: Expected,
    /// The job whose room this one shares.
    pub(super) repeats: Option<Arc<Job>>,
    /// Given back at the end.
    pub(super) _claim: Claim,
    pub(super) journal: journal::Handle,
    pub(super) spool: Spool,
    pub(super) poison: Poison,
    pub(super) cut: CancellationToken,
    pub(super) audit: audit::Log,
}

impl Submit {
    /// Takes the whole body. A sender that is silent or too slow is cut, see [`Upload::pump`].
    ///
    /// # Errors
    /// As soon as the body is known to be refused, when it takes more bytes than the client's quota
    /// has left, and when a drain can wait no longer for it.
    pub async fn pump<S>(&mut self, body: S) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, Error>>,
    {
        let pumped = tokio::select! {
            pumped = self.upload.pump(body) => pumped,
            () = self.cut.cancelled() => Err(draining()),
        };
        pumped.inspect_err(|error| refuse(&self.audit, &self.spec, error))
    }

    /// Ends the body and makes the job; both are durable when this returns. Where the caller goes
    /// away meanwhile, the job is made or not as a whole, and its idempotency key tells which.
    ///
    /// # Errors
    /// When the body is refused, `CVRS-REQUEST-CONFLICT`, or when a store fails.
    pub async fn finish(self) -> Result<Submission, Error> {
        // On a task of its own: a dropped caller must not stop it between payload and journal.
        tokio::spawn(self.commit().in_current_span()).await.map_err(Error::internal)?
    }

    async fn commit(mut self) -> Result<Submission, Error> {
        let received = self.upload.finish(self.expected).await;
        let received = received.inspect_err(|error| refuse(&self.audit, &self.spec, error))?;
        let id = self.spec.id;
        self.spec.payload = received.payload.clone();
        let asked = described(&self.spec);
        if let Some(job) = self.repeats
            && job.spec.payload.length < received.payload.length
        {
            let error = conflict(&job, &asked);
            refuse(&self.audit, &self.spec, &error);
            return Err(error);
        }
        let inline = received.keep(id).await.inspect_err(|_| {
            // A directory that could not be synced is not asked again.
            self.poison.trip(format!("the payload of job {id} could not be kept"));
        })?;
        let has_file = inline.is_none();
        // Where the journal failed, the job may be durable all the same, so its payload stays; the next
        // start sweeps it away if there is no such job.
        let repeat = Entry::upload(Kind::Repeat, &self.spec);
        let submitted = self.journal.submit(self.spec, inline).await.map_err(internal)?;
        settle(&self.audit, repeat, &submitted).await?;
        if has_file && !matches!(submitted, journal::Submission::New(_)) {
            remove_payload(self.spool, id).await;
        }
        match submitted {
            journal::Submission::New(job) => {
                tracing::info!(
                    job = %job.spec.id,
                    tenant = %job.spec.tenant,
                    client = job.spec.client,
                    operation = %job.spec.operation,
                    bytes = job.spec.payload.length,
                    "job accepted"
                );
                let operation = job.spec.operation.as_str();
                metrics::counter!("cvrsd_jobs_submitted_total", "operation" => operation)
                    .increment(1);
                Ok(Submission { job, replayed: false })
            }
            journal::Submission::Existing(job) => Ok(Submission { job, replayed: true }),
            journal::Submission::Conflict(job) => Err(conflict(&job, &asked)),
        }
    }
}

/// Tells the audit log of an upload that is refused.
fn refuse(audit: &audit::Log, spec: &Submitted, error: &Error) {
    audit.refuse(Entry::upload(Kind::Submit, spec).refused(error.code));
}

/// Tells it where the journal made no job of an upload.
async fn settle(
    audit: &audit::Log,
    repeat: Entry,
    submitted: &journal::Submission,
) -> Result<(), Error> {
    let (made, code) = match submitted {
        journal::Submission::New(_) => return Ok(()),
        journal::Submission::Existing(job) => (job, None),
        journal::Submission::Conflict(job) => (job, Some(Code::RequestConflict)),
    };
    audit.note(Entry { code, ..repeat }.of(made.spec.id)).await.map_err(stopping)
}

/// Removes the payload of a job that was not made. What cannot be removed is swept away at the next
/// start.
async fn remove_payload(spool: Spool, id: JobId) {
    let removed = tokio::task::spawn_blocking(move || spool.remove(id)).await;
    if let Err(error) = removed.unwrap_or_else(|e| Err(std::io::Error::other(e))) {
        tracing::warn!(%error, "a payload without a job is left for the next start");
    }
}

/// `asked` is what this request is.
fn conflict(job: &Job, asked: &str) -> Error {
    let (id, made) = (job.spec.id, described(&job.spec));
    let text =
        format!("the idempotency key was used for job {id}, {made}; this request is {asked}");
    Error::new(Code::RequestConflict, text)
}

/// What a repeat must have in common with the first request.
fn described(spec: &Submitted) -> String {
    let Submitted { operation, validate_only, storages, payload, .. } = spec;
    let storages: Vec<_> = storages.iter().map(Storage::as_str).collect();
    let (storages, sha256) = (storages.join(" and "), hex::encode(payload.sha256));
    format!("{operation} in {storages}, validate only {validate_only}, sha256 {sha256}")
}
