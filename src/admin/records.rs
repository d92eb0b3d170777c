//! `cvrsd.admin.v1.AdminService`: reading live records back.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::status::status;
use crate::{
    auth::Authenticator,
    domain::{Storage, Tenant},
    engine::Service,
    error::{Code, Error},
    proto::admin::{self as proto, admin_service_server::AdminService},
};

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The methods over the service.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    service: Service,
    authenticator: Authenticator,
}

impl Admin {
    pub(super) fn new(service: Service, authenticator: Authenticator) -> Self {
        Self { service, authenticator }
    }

    fn let_in<T>(&self, request: Request<T>) -> Result<T, Status> {
        let authorization = request.metadata().get("authorization").and_then(|v| v.to_str().ok());
        self.authenticator.authenticate(authorization).map_err(status)?;
        Ok(request.into_inner())
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn count_records(
        &self,
        request: Request<proto::CountRecordsRequest>,
    ) -> Result<Response<proto::CountRecordsResponse>, Status> {
        let name = self.let_in(request)?.tenant;
        let tenant = if name.is_empty() { None } else { Some(tenant(&name).map_err(status)?) };
        let records = self.service.records().map_err(status)?;
        let counts = records.counts(tenant).await.map_err(status)?;
        let counts = counts.into_iter().map(|(tenant, storage, count)| proto::RecordCount {
            tenant: tenant.to_string(),
            storage: storage.to_string(),
            count,
        });
        Ok(Response::new(proto::CountRecordsResponse { counts: counts.collect() }))
    }

    async fn get_record(
        &self,
        request: Request<proto::GetRecordRequest>,
    ) -> Result<Response<proto::GetRecordResponse>, Status> {
        let request = self.let_in(request)?;
        let tenant = tenant(&request.tenant).map_err(status)?;
        let storage = storage(&request.storage).map_err(status)?;
        let records = self.service.records().map_err(status)?;
        let row = records.get(tenant, storage, request.vax_event_id).await.map_err(status)?;
        // The id is a value of a row, so the sentence leaves it out.
        let missing = || Error::new(Code::RecordNotFound, "there is no such live record");
        let row = row.ok_or_else(missing).map_err(status)?;
        Ok(Response::new(proto::GetRecordResponse { row }))
    }

    type ExportRecordsStream = Replies<proto::ExportRecordsResponse>;

    async fn export_records(
        &self,
        request: Request<proto::ExportRecordsRequest>,
    ) -> Result<Response<Self::ExportRecordsStream>, Status> {
        let request = self.let_in(request)?;
        let tenant = tenant(&request.tenant).map_err(status)?;
        let storage = storage(&request.storage).map_err(status)?;
        let records = self.service.records().map_err(status)?;
        let pieces = ReceiverStream::new(records.export(tenant, storage)).map(|piece| {
            let lines = Vec::from(piece.map_err(status)?);
            Ok(proto::ExportRecordsResponse { lines })
        });
        Ok(Response::new(Box::pin(pieces)))
    }
}

/// A name that no tenant can have is one that no tenant has.
fn tenant(name: &str) -> Result<Tenant, Error> {
    Tenant::new(name).map_err(|_| Error::new(Code::RecordNotFound, "there is no such tenant"))
}

fn storage(name: &str) -> Result<Storage, Error> {
    Storage::from_name(name).ok_or_else(|| {
        Error::new(Code::RecordNotFound, "the storage is neither NON_REDACTED_DB nor REDACTED_DB")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_nothing_are_not_found() {
        assert_eq!(tenant("local").unwrap(), Tenant::local());
        assert_eq!(storage("REDACTED_DB").unwrap(), Storage::Redacted);
        assert_eq!(tenant("a b").unwrap_err().code, Code::RecordNotFound);
        assert_eq!(tenant("").unwrap_err().code, Code::RecordNotFound);
        assert_eq!(storage("redacted").unwrap_err().code, Code::RecordNotFound);
    }
}
