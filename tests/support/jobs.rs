//! The gRPC client of the tests.

use std::time::Instant;

use bytes::Bytes;
use cvrsd::proto::jobs::{
    CancelJobRequest, GetJobRequest, Job, ListJobErrorsRequest, Operation, RowError, Status,
    SubmitCreateJobRequest, SubmitDeleteJobRequest, SubmitUpdateJobRequest, UploadChunk,
    UploadHeader, WatchJobRequest, WatchJobResponse, job_service_client::JobServiceClient,
    submit_create_job_request, submit_delete_job_request, submit_update_job_request,
};
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic_types::StatusExt;

use super::PATIENCE;

pub type Client = JobServiceClient<Channel>;

/// What to submit.
#[derive(Clone)]
pub struct Upload {
    pub operation: Operation,
    pub body: Bytes,
    pub media_type: &'static str,
    pub request_id: String,
    pub validate_only: bool,
}

impl Upload {
    pub fn text(operation: Operation, body: &[u8]) -> Self {
        Self {
            operation,
            body: Bytes::copy_from_slice(body),
            media_type: "text/plain",
            request_id: String::new(),
            validate_only: false,
        }
    }

    pub fn zip(operation: Operation, text: &[u8]) -> Self {
        let body = Bytes::from(super::files::zip(text));
        Self { body, media_type: "application/zip", ..Self::text(operation, b"") }
    }

    pub fn request_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.request_id);
        self
    }

    fn header(&self) -> UploadHeader {
        UploadHeader {
            request_id: self.request_id.clone(),
            media_type: self.media_type.to_owned(),
            validate_only: self.validate_only,
            content_length: Some(self.body.len() as u64),
            content_sha256: None,
        }
    }

    fn chunks(&self) -> Vec<UploadChunk> {
        let mut offset = 0;
        let mut chunks = Vec::new();
        for data in self.body.chunks(256 << 10) {
            chunks.push(UploadChunk { offset, data: self.body.slice_ref(data) });
            offset += data.len() as u64;
        }
        chunks
    }
}

/// Submits; gives job id and seq of the receipt.
pub async fn submit(client: &mut Client, upload: &Upload) -> Result<(String, u64), tonic::Status> {
    macro_rules! send {
        ($method:ident, $request:ident, $part:ident) => {{
            use $part::Part;
            let header = $request { part: Some(Part::Header(upload.header())) };
            let chunks = upload.chunks().into_iter();
            let chunks = chunks.map(|chunk| $request { part: Some(Part::Chunk(chunk)) });
            let parts: Vec<_> = std::iter::once(header).chain(chunks).collect();
            let reply = client.$method(tokio_stream::iter(parts)).await?.into_inner();
            assert_eq!(reply.content_length, upload.body.len() as u64);
            assert_eq!(reply.content_sha256.len(), 32);
            Ok((reply.job_id, reply.seq))
        }};
    }
    match upload.operation {
        Operation::Create => {
            send!(submit_create_job, SubmitCreateJobRequest, submit_create_job_request)
        }
        Operation::Update => {
            send!(submit_update_job, SubmitUpdateJobRequest, submit_update_job_request)
        }
        Operation::Delete => {
            send!(submit_delete_job, SubmitDeleteJobRequest, submit_delete_job_request)
        }
        Operation::Unspecified => panic!("a test names an operation"),
    }
}

/// The stable code of a refusal; empty where the server sent none.
pub fn code(refusal: &tonic::Status) -> String {
    refusal.get_details_error_info().map_or(String::new(), |info| info.reason)
}

pub async fn get(client: &mut Client, job_id: &str) -> Job {
    let request = GetJobRequest { job_id: job_id.to_owned() };
    client.get_job(request).await.unwrap().into_inner().job.unwrap()
}

/// Waits until the job is terminal; a status that goes back fails the test.
pub async fn wait(client: &mut Client, job_id: &str) -> Job {
    let deadline = Instant::now() + PATIENCE;
    let mut last = 0;
    loop {
        let job = get(client, job_id).await;
        assert!(job.status >= last, "job {job_id} went back from {last} to {}", job.status);
        last = job.status;
        if job.status() == Status::Completed {
            return job;
        }
        assert!(Instant::now() < deadline, "job {job_id} is still {:?}", job.status());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Submits and waits for the end.
pub async fn run(client: &mut Client, upload: &Upload) -> Job {
    let (job_id, _) = submit(client, upload).await.unwrap();
    wait(client, &job_id).await
}

pub async fn cancel(client: &mut Client, job_id: &str) -> (bool, Job) {
    let request = CancelJobRequest { job_id: job_id.to_owned() };
    let reply = client.cancel_job(request).await.unwrap().into_inner();
    (reply.cancelled, reply.job.unwrap())
}

/// The whole error report.
pub async fn errors(client: &mut Client, job_id: &str) -> Vec<RowError> {
    let request = ListJobErrorsRequest { job_id: job_id.to_owned() };
    let mut stream = client.list_job_errors(request).await.unwrap().into_inner();
    let mut errors = Vec::new();
    while let Some(page) = stream.next().await {
        errors.extend(page.unwrap().errors);
    }
    errors
}

/// Watches until the stream ends; gives the messages and how it ended.
pub async fn watch(
    client: &mut Client,
    job_id: &str,
    after_seq: u64,
) -> (Vec<WatchJobResponse>, Result<(), tonic::Status>) {
    let mut messages = Vec::new();
    let request = WatchJobRequest { job_id: job_id.to_owned(), after_seq };
    let mut stream = match client.watch_job(request).await {
        Ok(reply) => reply.into_inner(),
        Err(status) => return (messages, Err(status)),
    };
    while let Some(message) = stream.next().await {
        match message {
            Ok(message) => messages.push(message),
            Err(status) => return (messages, Err(status)),
        }
    }
    (messages, Ok(()))
}
