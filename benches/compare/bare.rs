//! The bare yardsticks of `submit` and `watch`: the same service, messages and window sizes on tonic,
//! with nothing behind it. It runs as a process of its own, as the daemon does.

use std::{
    fs::{self, File},
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    process::Stdio,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use cvrsd::{
    limits,
    proto::jobs::{
        self, CancelJobRequest, CancelJobResponse, GetJobRequest, GetJobResponse, Job,
        ListJobErrorsRequest, ListJobErrorsResponse, ListJobsRequest, ListJobsResponse,
        Status as JobStatus, SubmitCreateJobRequest, SubmitCreateJobResponse,
        SubmitDeleteJobRequest, SubmitDeleteJobResponse, SubmitUpdateJobRequest,
        SubmitUpdateJobResponse, WatchJobRequest, WatchJobResponse,
        submit_delete_job_request::Part, watch_job_response::Kind,
    },
};
use tokio::sync::broadcast;
use tokio_stream::{Stream, StreamExt, wrappers::BroadcastStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};

use crate::{
    Result,
    child::{self, Guarded},
    client::Client,
};

type Answer<T> = std::result::Result<Response<T>, Status>;
type Messages<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

const PATIENCE: Duration = Duration::from_secs(30);

/// The bare server as a child process.
pub struct Bare {
    child: Guarded,
    address: String,
}

impl Bare {
    pub fn start(dir: &Path) -> Result<Self> {
        let mut command = child::tied(std::env::current_exe()?);
        command.arg("--serve-bare").arg(dir).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = Guarded::spawn("the bare server", &mut command)?;
        let deadline = Instant::now() + PATIENCE;
        while child.runs()? && Instant::now() < deadline {
            if let Ok(address) = fs::read_to_string(dir.join("address")) {
                return Ok(Self { child, address });
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err("the bare server does not start".into())
    }

    pub async fn client(&self) -> Result<Client> {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", self.address))?;
        Ok(Client::new(endpoint.connect().await?, None))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Serves until it is killed.
pub async fn serve(dir: &Path) -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address: SocketAddr = listener.local_addr()?;
    fs::write(dir.join("address.new"), address.to_string())?;
    fs::rename(dir.join("address.new"), dir.join("address"))?;
    let service = Service { dir: dir.to_owned(), events: broadcast::channel(16).0 };
    Server::builder()
        .tcp_nodelay(true)
        .initial_stream_window_size(limits::GRPC_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::GRPC_CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits::GRPC_STREAMS_MAX)
        .add_service(
            jobs::job_service_server::JobServiceServer::new(service)
                .max_decoding_message_size(limits::GRPC_MESSAGE_BYTES_MAX),
        )
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener))
        .await?;
    Ok(())
}

struct Service {
    dir: PathBuf,
    events: broadcast::Sender<Arc<WatchJobResponse>>,
}

#[tonic::async_trait]
impl jobs::job_service_server::JobService for Service {
    type WatchJobStream = Messages<WatchJobResponse>;
    type ListJobErrorsStream = Messages<ListJobErrorsResponse>;

    /// Writes the chunks to a file and syncs it.
    async fn submit_delete_job(
        &self,
        request: Request<Streaming<SubmitDeleteJobRequest>>,
    ) -> Answer<SubmitDeleteJobResponse> {
        let mut parts = request.into_inner();
        let path = self.dir.join("upload");
        let mut file = File::create(&path)?;
        let mut length = 0;
        while let Some(message) = parts.message().await? {
            if let Some(Part::Chunk(chunk)) = message.part {
                // Each is one write into the page cache, which is what is to be measured.
                file.write_all(&chunk.data)?;
                length += chunk.data.len() as u64;
            }
        }
        file.sync_data()?;
        let job_id = length.to_string();
        Ok(Response::new(SubmitDeleteJobResponse {
            job_id,
            content_length: length,
            ..Default::default()
        }))
    }

    /// A snapshot, then every event, to the terminal one.
    async fn watch_job(&self, request: Request<WatchJobRequest>) -> Answer<Self::WatchJobStream> {
        let job_id = request.into_inner().job_id;
        let first = tokio_stream::once(Ok(message(&job_id, Kind::Snapshot, JobStatus::Queued)));
        let events = BroadcastStream::new(self.events.subscribe());
        let events = events.take(2).map(|event| match event {
            Ok(event) => Ok(event.as_ref().clone()),
            Err(lagged) => Err(Status::data_loss(lagged.to_string())),
        });
        Ok(Response::new(Box::pin(first.chain(events))))
    }

    /// Sends two events to every watcher: the cancel and the end, as the daemon does.
    async fn cancel_job(&self, request: Request<CancelJobRequest>) -> Answer<CancelJobResponse> {
        let job_id = request.into_inner().job_id;
        let mut sent = true;
        for status in [JobStatus::Queued, JobStatus::Completed] {
            sent &= self.events.send(Arc::new(message(&job_id, Kind::Event, status))).is_ok();
        }
        Ok(Response::new(CancelJobResponse { cancelled: sent, job: None }))
    }

    async fn submit_create_job(
        &self,
        _request: Request<Streaming<SubmitCreateJobRequest>>,
    ) -> Answer<SubmitCreateJobResponse> {
        Err(Status::unimplemented("a yardstick"))
    }

    async fn submit_update_job(
        &self,
        _request: Request<Streaming<SubmitUpdateJobRequest>>,
    ) -> Answer<SubmitUpdateJobResponse> {
        Err(Status::unimplemented("a yardstick"))
    }

    async fn get_job(&self, _request: Request<GetJobRequest>) -> Answer<GetJobResponse> {
        Err(Status::unimplemented("a yardstick"))
    }

    async fn list_jobs(&self, _request: Request<ListJobsRequest>) -> Answer<ListJobsResponse> {
        Err(Status::unimplemented("a yardstick"))
    }

    async fn list_job_errors(
        &self,
        _request: Request<ListJobErrorsRequest>,
    ) -> Answer<Self::ListJobErrorsStream> {
        Err(Status::unimplemented("a yardstick"))
    }
}

/// A message of about the size of the daemon's own.
fn message(job_id: &str, kind: Kind, status: JobStatus) -> WatchJobResponse {
    let job = Job {
        job_id: job_id.to_owned(),
        tenant: "local".to_owned(),
        operation: jobs::Operation::Delete.into(),
        status: status.into(),
        seq: 2,
        media_type: "text/plain".to_owned(),
        content_length: 1_000,
        content_sha256: vec![7; 32],
        submit_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 1_000_000 }),
        update_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 2_000_000 }),
        end_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 2_000_000 }),
        rows: Some(jobs::RowCounts::default()),
        attempt: 1,
        ..Job::default()
    };
    WatchJobResponse { kind: kind.into(), seq: 2, job: Some(job), coalesced_count: 0 }
}
