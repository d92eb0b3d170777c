//! The cheapest client that the contract allows: one call to submit, one to follow.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cvrsd::proto::jobs::{
    CancelJobRequest, GetJobRequest, Job, Operation, Outcome, Status, SubmitCreateJobRequest,
    SubmitDeleteJobRequest, UploadChunk, UploadHeader, WatchJobRequest, WatchJobResponse,
    job_service_client::JobServiceClient, submit_create_job_request, submit_delete_job_request,
};
use tokio_stream::{Stream, StreamExt};
use tonic::{
    Request, Streaming,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::Result;

/// The largest chunk that the contract allows.
pub const CHUNK: usize = 1 << 20;
/// A watch this long without an end fails the run.
const PATIENCE: Duration = Duration::from_mins(30);

/// Calls of one tenant over one connection, which clones share.
#[derive(Clone)]
pub struct Client {
    jobs: JobServiceClient<Channel>,
    token: Option<MetadataValue<Ascii>>,
}

/// A body in memory.
#[derive(Clone, Debug)]
pub struct Body {
    pub bytes: Bytes,
    pub media_type: &'static str,
}

impl Body {
    pub fn zip(bytes: Bytes) -> Self {
        Self { bytes, media_type: "application/zip" }
    }

    pub fn text(bytes: Bytes) -> Self {
        Self { bytes, media_type: "text/plain" }
    }

    fn chunks(&self) -> impl Stream<Item = Bytes> + Send + 'static {
        let bytes = self.bytes.clone();
        let starts = (0..bytes.len()).step_by(CHUNK);
        let slices = starts.map(move |at| bytes.slice(at..bytes.len().min(at + CHUNK)));
        tokio_stream::iter(slices)
    }
}

/// How a job went, as its client saw it.
#[derive(Clone, Debug)]
pub struct Ran {
    pub job: Job,
    /// Submit to the durable answer.
    pub accepted: Duration,
    /// Submit to COMPLETED.
    pub completed: Duration,
}

impl Client {
    pub fn new(channel: Channel, token: Option<MetadataValue<Ascii>>) -> Self {
        Self { jobs: JobServiceClient::new(channel), token }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        request
    }

    /// Submits; gives the job's id once the answer, which is durable, is there.
    pub async fn submit(&mut self, operation: Operation, body: &Body) -> Result<String> {
        let length = Some(body.bytes.len() as u64);
        let header = header(body.media_type, length, false);
        self.send(operation, header, body.chunks()).await
    }

    /// Submits what should be checked and not applied.
    pub async fn submit_to_validate(
        &mut self,
        operation: Operation,
        body: &Body,
    ) -> Result<String> {
        let length = Some(body.bytes.len() as u64);
        let header = header(body.media_type, length, true);
        self.send(operation, header, body.chunks()).await
    }

    /// Submits a text that is made while it is sent.
    pub async fn submit_text(
        &mut self,
        operation: Operation,
        chunks: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<String> {
        self.send(operation, header("text/plain", None, false), chunks).await
    }

    async fn send(
        &mut self,
        operation: Operation,
        header: UploadHeader,
        chunks: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<String> {
        let mut offset = 0;
        let chunks = chunks.map(move |data| {
            let at = offset;
            offset += data.len() as u64;
            UploadChunk { offset: at, data }
        });
        macro_rules! call {
            ($method:ident, $message:ident, $part:ident) => {{
                use $part::Part;
                let header = tokio_stream::once($message { part: Some(Part::Header(header)) });
                let chunks = chunks.map(|chunk| $message { part: Some(Part::Chunk(chunk)) });
                let request = self.request(header.chain(chunks));
                self.jobs.$method(request).await?.into_inner().job_id
            }};
        }
        Ok(match operation {
            Operation::Create => {
                call!(submit_create_job, SubmitCreateJobRequest, submit_create_job_request)
            }
            Operation::Delete => {
                call!(submit_delete_job, SubmitDeleteJobRequest, submit_delete_job_request)
            }
            Operation::Update | Operation::Unspecified => {
                return Err("no measurement submits that".into());
            }
        })
    }

    /// Every message of a job from its present state on.
    pub async fn watch(&mut self, job_id: &str) -> Result<Streaming<WatchJobResponse>> {
        let request = WatchJobRequest { job_id: job_id.to_owned(), after_seq: 0 };
        let request = self.request(request);
        Ok(self.jobs.watch_job(request).await?.into_inner())
    }

    /// Waits for COMPLETED, in whatever way.
    pub async fn follow(&mut self, job_id: &str) -> Result<Job> {
        let mut messages = self.watch(job_id).await?;
        let last = async {
            while let Some(message) = messages.message().await? {
                if let Some(job) = message.job
                    && job.status() == Status::Completed
                {
                    return Ok(job);
                }
            }
            Err(format!("the watch of job {job_id} ended before the job").into())
        };
        tokio::time::timeout(PATIENCE, last).await?
    }

    /// Submits and follows to the end, which must be `SUCCEEDED` with every row applied.
    pub async fn run(&mut self, operation: Operation, body: &Body, rows: u64) -> Result<Ran> {
        let began = Instant::now();
        let job_id = self.submit(operation, body).await?;
        let accepted = began.elapsed();
        let job = self.follow(&job_id).await?;
        let completed = began.elapsed();
        succeeded(&job, rows, rows)?;
        Ok(Ran { job, accepted, completed })
    }

    pub async fn get(&mut self, job_id: &str) -> Result<Job> {
        let request = self.request(GetJobRequest { job_id: job_id.to_owned() });
        let job = self.jobs.get_job(request).await?.into_inner().job;
        Ok(job.ok_or("an answer without its job")?)
    }

    pub async fn cancel(&mut self, job_id: &str) -> Result<bool> {
        let request = self.request(CancelJobRequest { job_id: job_id.to_owned() });
        Ok(self.jobs.cancel_job(request).await?.into_inner().cancelled)
    }
}

fn header(media_type: &str, content_length: Option<u64>, validate_only: bool) -> UploadHeader {
    UploadHeader {
        media_type: media_type.to_owned(),
        content_length,
        validate_only,
        ..UploadHeader::default()
    }
}

/// Whether the job read that many rows, found all of them valid and applied so many, in every storage.
pub fn succeeded(job: &Job, rows: u64, applied: u64) -> Result<()> {
    let counts = job.rows.unwrap_or_default();
    let stored = job.storages.iter().all(|s| s.records_processed == applied);
    let right = job.status() == Status::Completed
        && job.outcome() == Outcome::Succeeded
        && (counts.total, counts.valid, counts.applied) == (rows, rows, applied)
        && stored;
    if right {
        return Ok(());
    }
    let code = job.failure.as_ref().map_or("", |failure| &failure.code);
    Err(format!(
        "WRONG RESULT: a job of {rows} rows ended {:?}, {:?} {code}: {} read, {} valid, {} applied",
        job.status(),
        job.outcome(),
        counts.total,
        counts.valid,
        counts.applied
    )
    .into())
}
