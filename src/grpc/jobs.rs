//! `cvrsd.jobs.v1.JobService`.

use std::pin::Pin;

use futures_util::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::{message, report, status::status, upload, watch};
use crate::{
    auth::{Authenticator, Principal},
    domain::{Face, Job, Operation},
    engine::{ListQuery, Service},
    error::Error,
    listener,
    proto::jobs::{self as proto, job_service_server::JobService},
};

type Answer<T> = Result<Response<T>, Status>;
type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Who sends this request.
pub(super) fn let_in(
    authenticator: &Authenticator,
    request: &Request<()>,
) -> Result<Principal, Status> {
    let (headers, extensions) = (request.metadata().as_ref(), request.extensions());
    listener::admit(authenticator, Face::Grpc, headers, extensions).map_err(status)
}

/// The caller whom [`let_in`] put beside the request, before its body was read.
fn caller<T>(request: &Request<T>) -> Result<Principal, Status> {
    let caller = request.extensions().get::<Principal>().cloned();
    caller.ok_or_else(|| status(Error::internal("a call came past authentication")))
}

/// The methods over the service, for callers who were let in.
#[derive(Clone, Debug)]
pub(super) struct Jobs {
    service: Service,
}

impl Jobs {
    pub(super) fn new(service: Service) -> Self {
        Self { service }
    }

    async fn submit<M, R>(&self, operation: Operation, request: Request<Streaming<M>>) -> Answer<R>
    where
        M: upload::UploadMessage,
        R: for<'a> From<&'a Job>,
    {
        let caller = caller(&request)?;
        let messages = request.into_inner();
        let accepted = upload::receive(&self.service, &caller, operation, messages).await;
        Ok(Response::new(R::from(&accepted.map_err(status)?.job)))
    }
}

#[tonic::async_trait]
impl JobService for Jobs {
    async fn submit_delete_job(
        &self,
        request: Request<Streaming<proto::SubmitDeleteJobRequest>>,
    ) -> Answer<proto::SubmitDeleteJobResponse> {
        self.submit(Operation::Delete, request).await
    }

    async fn submit_create_job(
        &self,
        request: Request<Streaming<proto::SubmitCreateJobRequest>>,
    ) -> Answer<proto::SubmitCreateJobResponse> {
        self.submit(Operation::Create, request).await
    }

    async fn submit_update_job(
        &self,
        request: Request<Streaming<proto::SubmitUpdateJobRequest>>,
    ) -> Answer<proto::SubmitUpdateJobResponse> {
        self.submit(Operation::Update, request).await
    }

    type WatchJobStream = Replies<proto::WatchJobResponse>;

    async fn watch_job(
        &self,
        request: Request<proto::WatchJobRequest>,
    ) -> Answer<Self::WatchJobStream> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = message::job_id(&request.job_id).map_err(status)?;
        let watcher = self.service.watch(&caller, id, request.after_seq).await.map_err(status)?;
        Ok(Response::new(Box::pin(watch::messages(watcher))))
    }

    async fn get_job(
        &self,
        request: Request<proto::GetJobRequest>,
    ) -> Answer<proto::GetJobResponse> {
        let caller = caller(&request)?;
        let id = message::job_id(&request.into_inner().job_id).map_err(status)?;
        let job = self.service.get(&caller, id).await.map_err(status)?;
        Ok(Response::new(proto::GetJobResponse { job: Some(message::job(&job)) }))
    }

    async fn list_jobs(
        &self,
        request: Request<proto::ListJobsRequest>,
    ) -> Answer<proto::ListJobsResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let query = ListQuery {
            page_size: usize::try_from(request.page_size).unwrap_or(usize::MAX),
            page_token: request.page_token,
            status: message::status_filter(request.status).map_err(status)?,
            operation: message::operation_filter(request.operation).map_err(status)?,
        };
        caller.may_read().map_err(status)?;
        if !request.tenant.is_empty() && request.tenant != caller.tenant.as_str() {
            return Ok(Response::new(proto::ListJobsResponse::default()));
        }
        let page = self.service.list(&caller, query).await.map_err(status)?;
        Ok(Response::new(proto::ListJobsResponse {
            jobs: page.jobs.iter().map(|job| message::job(job)).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn cancel_job(
        &self,
        request: Request<proto::CancelJobRequest>,
    ) -> Answer<proto::CancelJobResponse> {
        let caller = caller(&request)?;
        let id = message::job_id(&request.into_inner().job_id).map_err(status)?;
        let cancel = self.service.cancel(&caller, id).await.map_err(status)?;
        let job = Some(message::job(&cancel.job));
        Ok(Response::new(proto::CancelJobResponse { cancelled: cancel.took_effect, job }))
    }

    type ListJobErrorsStream = Replies<proto::ListJobErrorsResponse>;

    async fn list_job_errors(
        &self,
        request: Request<proto::ListJobErrorsRequest>,
    ) -> Answer<Self::ListJobErrorsStream> {
        let caller = caller(&request)?;
        let id = message::job_id(&request.into_inner().job_id).map_err(status)?;
        let (_, reader) = self.service.download(&caller, id).await.map_err(status)?;
        Ok(Response::new(Box::pin(report::pages(reader))))
    }
}
