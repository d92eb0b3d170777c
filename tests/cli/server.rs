//! A job service that answers from a script and remembers what it was asked.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use cvrsd::proto::jobs::{
    CancelJobRequest, CancelJobResponse, Failure, GetJobRequest, GetJobResponse, Job,
    ListJobErrorsRequest, ListJobErrorsResponse, ListJobsRequest, ListJobsResponse, Outcome,
    RowError, RowErrorKind, Status as JobStatus, SubmitCreateJobRequest, SubmitCreateJobResponse,
    SubmitDeleteJobRequest, SubmitDeleteJobResponse, SubmitUpdateJobRequest,
    SubmitUpdateJobResponse, UploadHeader, WatchJobRequest, WatchJobResponse,
    job_service_server::{JobService, JobServiceServer},
    submit_create_job_request, submit_delete_job_request, submit_update_job_request,
    watch_job_response::Kind,
};
use futures_util::{Stream, stream};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, Streaming, transport::Server};
use tonic_types::{ErrorDetails, StatusExt};

/// A job that ended with rows refused; its newest event is 9.
pub const PARTIAL: &str = "01900000-0000-7000-8000-000000000001";
/// A job that ended without having done anything.
pub const FAILED: &str = "01900000-0000-7000-8000-000000000002";
/// A job whose watch breaks twice.
pub const FLAKY: &str = "01900000-0000-7000-8000-000000000003";
/// A job with more errors than a pipe holds.
pub const MANY_ERRORS: &str = "01900000-0000-7000-8000-000000000004";
/// A job that is not there.
pub const UNKNOWN: &str = "01900000-0000-7000-8000-000000000009";

/// An upload as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    pub operation: &'static str,
    pub token: Option<String>,
    pub header: UploadHeader,
    pub body: Vec<u8>,
}

#[derive(Default)]
struct State {
    uploads: Vec<Upload>,
    watched: Vec<u64>,
    lose: usize,
    answer: Option<&'static str>,
}

/// The service.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<State>>);

/// Starts the service on a free port.
pub async fn serve() -> (Script, String) {
    let script = Script::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder()
        .add_service(JobServiceServer::new(script.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    (script, url)
}

impl Script {
    pub fn uploads(&self) -> Vec<Upload> {
        self.0.lock().unwrap().uploads.clone()
    }

    /// The `after_seq` of every watch of the job that breaks.
    pub fn watched(&self) -> Vec<u64> {
        self.0.lock().unwrap().watched.clone()
    }

    /// Answers that many uploads with `UNAVAILABLE`.
    pub fn lose_uploads(&self, count: usize) {
        self.0.lock().unwrap().lose = count;
    }

    pub fn answer_uploads_with(&self, job_id: &'static str) {
        self.0.lock().unwrap().answer = Some(job_id);
    }

    fn take(&self, upload: Upload) -> Result<(String, u64), Status> {
        let length = upload.body.len() as u64;
        let mut state = self.0.lock().unwrap();
        state.uploads.push(upload);
        if state.lose > 0 {
            state.lose -= 1;
            return Err(Status::unavailable("draining"));
        }
        Ok((state.answer.unwrap_or(PARTIAL).to_owned(), length))
    }
}

type Reply<T> = Result<Response<T>, Status>;
type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn messages<T: Send + 'static>(items: Vec<Result<T, Status>>) -> Response<Messages<T>> {
    Response::new(Box::pin(stream::iter(items)))
}

fn not_found() -> Status {
    let details = ErrorDetails::with_error_info("CVRS-JOB-NOT-FOUND", "cvrsd", []);
    Status::with_error_details(Code::NotFound, "no such job", details)
}

fn job(job_id: &str, status: JobStatus, outcome: Outcome, seq: u64) -> Job {
    Job {
        job_id: job_id.to_owned(),
        status: status.into(),
        outcome: outcome.into(),
        seq,
        ..Job::default()
    }
}

fn find(job_id: &str) -> Result<Job, Status> {
    let failure = Failure { code: "CVRS-FILE-EMPTY".to_owned(), message: "no rows".to_owned() };
    match job_id {
        PARTIAL | MANY_ERRORS => Ok(job(job_id, JobStatus::Completed, Outcome::Partial, 9)),
        FLAKY => Ok(job(job_id, JobStatus::Validating, Outcome::Unspecified, 3)),
        FAILED => Ok(Job {
            failure: Some(failure),
            ..job(job_id, JobStatus::Completed, Outcome::Failed, 3)
        }),
        _ => Err(not_found()),
    }
}

fn message(kind: Kind, job: Job) -> WatchJobResponse {
    WatchJobResponse { kind: kind.into(), seq: job.seq, job: Some(job), coalesced_count: 0 }
}

/// Collects an upload; the three methods differ by their message types alone.
macro_rules! collect {
    ($self:ident, $request:ident, $operation:literal, $part:ident, $answer:ident) => {{
        let token = $request.metadata().get("authorization");
        let token = token.map(|t| t.to_str().unwrap().to_owned());
        let mut upload = Upload { operation: $operation, token, ..Upload::default() };
        let mut stream = $request.into_inner();
        let mut parts = 0;
        while let Some(message) = stream.message().await? {
            match message.part.unwrap() {
                $part::Part::Header(header) => {
                    assert_eq!(parts, 0, "the header comes first");
                    upload.header = header;
                }
                $part::Part::Chunk(chunk) => {
                    assert!(parts > 0, "the header comes first");
                    assert_eq!(chunk.offset, upload.body.len() as u64);
                    assert!(chunk.data.len() <= 1 << 20);
                    upload.body.extend_from_slice(&chunk.data);
                }
            }
            parts += 1;
        }
        let (job_id, content_length) = $self.take(upload)?;
        Ok(Response::new($answer { job_id, seq: 1, content_length, ..$answer::default() }))
    }};
}

#[tonic::async_trait]
impl JobService for Script {
    async fn submit_delete_job(
        &self,
        request: Request<Streaming<SubmitDeleteJobRequest>>,
    ) -> Reply<SubmitDeleteJobResponse> {
        collect!(self, request, "delete", submit_delete_job_request, SubmitDeleteJobResponse)
    }

    async fn submit_create_job(
        &self,
        request: Request<Streaming<SubmitCreateJobRequest>>,
    ) -> Reply<SubmitCreateJobResponse> {
        collect!(self, request, "create", submit_create_job_request, SubmitCreateJobResponse)
    }

    async fn submit_update_job(
        &self,
        request: Request<Streaming<SubmitUpdateJobRequest>>,
    ) -> Reply<SubmitUpdateJobResponse> {
        collect!(self, request, "update", submit_update_job_request, SubmitUpdateJobResponse)
    }

    type WatchJobStream = Messages<WatchJobResponse>;

    async fn watch_job(&self, request: Request<WatchJobRequest>) -> Reply<Self::WatchJobStream> {
        let WatchJobRequest { job_id, after_seq } = request.into_inner();
        if job_id != FLAKY {
            let job = find(&job_id)?;
            let news = (after_seq < job.seq).then(|| Ok(message(Kind::Snapshot, job)));
            return Ok(messages(news.into_iter().collect()));
        }
        self.0.lock().unwrap().watched.push(after_seq);
        let at = |seq, status| job(FLAKY, status, Outcome::Unspecified, seq);
        let lost = || Err(Status::unavailable("draining"));
        let draining =
            WatchJobResponse { kind: Kind::Draining.into(), seq: 3, ..WatchJobResponse::default() };
        Ok(messages(match after_seq {
            0 => vec![
                Ok(message(Kind::Snapshot, at(1, JobStatus::Queued))),
                Ok(message(Kind::Event, at(2, JobStatus::DeQueued))),
                lost(),
            ],
            2 => vec![Ok(message(Kind::Event, at(3, JobStatus::Validating))), Ok(draining), lost()],
            _ => {
                let ended = job(FLAKY, JobStatus::Completed, Outcome::Succeeded, 4);
                vec![Ok(message(Kind::Event, ended))]
            }
        }))
    }

    async fn get_job(&self, request: Request<GetJobRequest>) -> Reply<GetJobResponse> {
        let job = find(&request.into_inner().job_id)?;
        Ok(Response::new(GetJobResponse { job: Some(job) }))
    }

    async fn list_jobs(&self, request: Request<ListJobsRequest>) -> Reply<ListJobsResponse> {
        let request = request.into_inner();
        if request.status() == JobStatus::Queued {
            return Ok(Response::new(ListJobsResponse::default()));
        }
        let running = job(FLAKY, JobStatus::DeQueued, Outcome::Unspecified, 2);
        // A page may be empty and not the last.
        let (jobs, next) = match request.page_token.as_str() {
            "" => (vec![running], "second"),
            "second" => (vec![], "third"),
            _ => (vec![find(FAILED)?, find(PARTIAL)?], ""),
        };
        Ok(Response::new(ListJobsResponse { jobs, next_page_token: next.to_owned() }))
    }

    async fn cancel_job(&self, request: Request<CancelJobRequest>) -> Reply<CancelJobResponse> {
        let job = find(&request.into_inner().job_id)?;
        Ok(Response::new(CancelJobResponse { cancelled: false, job: Some(job) }))
    }

    type ListJobErrorsStream = Messages<ListJobErrorsResponse>;

    async fn list_job_errors(
        &self,
        request: Request<ListJobErrorsRequest>,
    ) -> Reply<Self::ListJobErrorsStream> {
        let job_id = request.into_inner().job_id;
        let error = |line| RowError {
            line,
            kind: RowErrorKind::Validation.into(),
            vax_event_id: "EV\t1".to_owned(),
            message: "must not be null".to_owned(),
            ..RowError::default()
        };
        let piece = |lines: Vec<u64>| {
            Ok(ListJobErrorsResponse { errors: lines.into_iter().map(error).collect() })
        };
        match job_id.as_str() {
            MANY_ERRORS => Ok(messages((0..200).map(|_| piece((2..502).collect())).collect())),
            FLAKY | PARTIAL => Ok(messages(vec![piece(vec![2]), piece(vec![3])])),
            _ => Err(not_found()),
        }
    }
}
