//! Placeholder: signatures only.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::{mpsc, watch::Receiver};

use crate::{
    auth::Principal,
    domain::{Job, JobId, MediaType, Operation, Status, Storage, Tenant},
    error::{Code, Error},
    intake::Encoding,
    watch::Watcher,
};

/// Where the daemon stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Opening and recovering.
    Starting,
    /// Answering.
    Serving,
    /// Ending.
    Draining,
}

/// Everything that callers can do.
#[derive(Clone, Debug)]
pub struct Service {
    phases: Receiver<Phase>,
}

/// What an upload announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitRequest {
    /// What is done with each row.
    pub operation: Operation,
    /// What the body is.
    pub media_type: MediaType,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// Rows are checked, none is applied.
    pub validate_only: bool,
    /// The caller's idempotency key.
    pub request_id: Option<String>,
    /// Bytes of the body, where announced.
    pub content_length: Option<u64>,
    /// Digest of the body, where announced.
    pub content_sha256: Option<[u8; 32]>,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// 0 is the default; what is above the bound counts as the bound.
    pub page_size: usize,
    /// Token of the page before; empty for the first.
    pub page_token: String,
    /// Only jobs of that status.
    pub status: Option<Status>,
    /// Only jobs of that operation.
    pub operation: Option<Operation>,
}

/// A page of jobs.
#[derive(Debug)]
pub struct JobPage {
    /// Newest first.
    pub jobs: Vec<Arc<Job>>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// What a cancel did.
#[derive(Debug)]
pub struct Cancel {
    /// The job after it.
    pub job: Arc<Job>,
    /// Whether the job was not terminal.
    pub took_effect: bool,
}

/// An accepted upload.
#[derive(Debug)]
pub struct Submission {
    /// Its job.
    pub job: Arc<Job>,
    /// The idempotency key found an older job.
    pub replayed: bool,
}

/// An upload under way.
#[derive(Debug)]
pub struct Submit;

/// Reads a report.
#[derive(Debug)]
pub struct ReportReader;

/// One row error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    /// The header is line 1.
    pub line: u64,
    /// The storage of a processing error.
    pub storage: Option<Storage>,
    /// As texts show it: cut, control characters as `?`.
    pub vax_event_id: String,
    /// As texts show it: cut, control characters as `?`.
    pub recip_id: String,
    /// The column.
    pub field: String,
    /// Stable code of the rule.
    pub code: String,
    /// The documented text.
    pub message: String,
}

impl ReportRow {
    /// The documented error string.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { line, vax_event_id, recip_id, field, message, .. } = self;
        match self.storage {
            None => format!(
                "line#{line}: vaxEventId={vax_event_id} recipId={recip_id} field={field} message={message}"
            ),
            Some(storage) => format!(
                "storage={storage} vaxEventID={vax_event_id} recipId={recip_id} message={message}"
            ),
        }
    }
}

/// Live records.
#[derive(Debug)]
pub struct Records;

fn starting<T>() -> Result<T, Error> {
    Err(Error::new(Code::Starting, "the daemon is starting"))
}

#[expect(missing_docs, clippy::missing_errors_doc, clippy::unused_async, reason = "placeholder")]
impl Service {
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phases.borrow()
    }
    #[must_use]
    pub fn phases(&self) -> Receiver<Phase> {
        self.phases.clone()
    }
    pub fn begin(&self, _: &Principal, _: SubmitRequest) -> Result<Submit, Error> {
        starting()
    }
    pub async fn get(&self, _: &Principal, _: JobId) -> Result<Arc<Job>, Error> {
        starting()
    }
    pub async fn list(&self, _: &Principal, _: ListQuery) -> Result<JobPage, Error> {
        starting()
    }
    pub async fn cancel(&self, _: &Principal, _: JobId) -> Result<Cancel, Error> {
        starting()
    }
    pub async fn watch(&self, _: &Principal, _: JobId, _: u64) -> Result<Watcher, Error> {
        starting()
    }
    pub async fn report(&self, _: &Job) -> Result<ReportReader, Error> {
        starting()
    }
    pub async fn records(&self) -> Result<Records, Error> {
        starting()
    }
}

#[expect(missing_docs, clippy::missing_errors_doc, clippy::unused_async, reason = "placeholder")]
impl Submit {
    pub async fn write(&mut self, _: Bytes) -> Result<(), Error> {
        starting()
    }
    pub async fn finish(self) -> Result<Submission, Error> {
        starting()
    }
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(30)
    }
}

#[expect(missing_docs, clippy::missing_errors_doc, clippy::unused_async, reason = "placeholder")]
impl ReportReader {
    pub async fn next_page(&mut self) -> Result<Option<Vec<ReportRow>>, Error> {
        starting()
    }
}

#[expect(missing_docs, clippy::missing_errors_doc, clippy::unused_async, reason = "placeholder")]
impl Records {
    pub async fn counts(&self, _: Option<Tenant>) -> Result<Vec<(Tenant, Storage, u64)>, Error> {
        starting()
    }
    pub async fn get(&self, _: Tenant, _: Storage, _: String) -> Result<Option<Vec<u8>>, Error> {
        starting()
    }
    #[must_use]
    pub fn export(&self, _: Tenant, _: Storage) -> mpsc::Receiver<Result<Bytes, Error>> {
        mpsc::channel(1).1
    }
}
