//! `cvrsd.admin.v1.AdminService`: reading live records back. What an operator does is in [`Acts`].
//!
//! A caller reads the records of its own tenant in its own storages. Whatever else it names is
//! refused in the words for what never was, before its scopes are looked at.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use super::{acts::Acts, status::status};
use crate::{
    audit::Kind,
    auth::{Authenticator, Principal},
    domain::{Face, Storage, Tenant},
    engine::{Records, Service},
    error::{Code, Error},
    listener,
    proto::admin::{self as proto, admin_service_server::AdminService},
};

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Who sends this request.
pub(super) fn let_in(
    authenticator: &Authenticator,
    request: &Request<()>,
) -> Result<Principal, Status> {
    let (headers, extensions) = (request.metadata().as_ref(), request.extensions());
    listener::admit(authenticator, Face::Admin, headers, extensions).map_err(status)
}

/// The caller whom [`let_in`] put beside the request, and what it asks.
pub(super) fn asked<T>(request: Request<T>) -> Result<(Principal, T), Status> {
    let caller = request.extensions().get::<Principal>().cloned();
    let missing = || status(Error::internal("a call came past authentication"));
    Ok((caller.ok_or_else(missing)?, request.into_inner()))
}

/// The methods over the service, for callers who were let in.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    service: Service,
    acts: Acts,
}

impl Admin {
    pub(super) fn new(service: Service, acts: Acts) -> Self {
        Self { service, acts }
    }

    /// [`storage`], which records whom it is refused.
    fn storage(&self, caller: &Principal, kind: Kind, name: &str) -> Result<Storage, Error> {
        storage(caller, name)
            .inspect_err(|e| self.service.audit().refuse(caller.entry(kind).refused(e.code)))
    }

    /// [`may_read`], which logs that the caller asks and records who may not. Only the caller's own names are
    /// told, as what it sends may be a value of a row.
    fn may_read(
        &self,
        caller: &Principal,
        kind: Kind,
        tenant: &Tenant,
        storage: Storage,
    ) -> Result<bool, Error> {
        let may = may_read(caller, tenant, storage);
        let call = if kind == Kind::Export { "ExportRecords" } else { "GetRecord" };
        tracing::info!(
            call,
            client = caller.client,
            tenant = %caller.tenant,
            %storage,
            allowed = matches!(may, Ok(true)),
            "rows are asked for"
        );
        let code = match &may {
            Ok(true) => return may,
            Ok(false) => Code::RecordNotFound,
            Err(error) => error.code,
        };
        self.service.audit().refuse(caller.entry(kind).on(storage).refused(code));
        may
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn count_records(
        &self,
        request: Request<proto::CountRecordsRequest>,
    ) -> Result<Response<proto::CountRecordsResponse>, Status> {
        let (caller, request) = asked(request)?;
        let name = request.tenant;
        let other = !name.is_empty() && tenant(&name).map_err(status)? != caller.tenant;
        let records = self.service.records().map_err(status)?;
        if other {
            return Ok(Response::new(proto::CountRecordsResponse::default()));
        }
        let counts = records.counts(&caller).await.map_err(status)?;
        let own = counts.into_iter().filter(|(_, storage, _)| caller.storages.contains(*storage));
        let counts = own.map(|(tenant, storage, count)| proto::RecordCount {
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
        let (caller, request) = asked(request)?;
        let tenant = tenant(&request.tenant).map_err(status)?;
        let storage = self.storage(&caller, Kind::RecordRead, &request.storage).map_err(status)?;
        let records = self.service.records().map_err(status)?;
        let row = if self.may_read(&caller, Kind::RecordRead, &tenant, storage).map_err(status)? {
            records.get(&caller, storage, request.vax_event_id).await.map_err(status)?
        } else {
            None
        };
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
        let (caller, request) = asked(request)?;
        let tenant = tenant(&request.tenant).map_err(status)?;
        let storage = self.storage(&caller, Kind::Export, &request.storage).map_err(status)?;
        let records = self.service.records().map_err(status)?;
        if !self.may_read(&caller, Kind::Export, &tenant, storage).map_err(status)? {
            let refused = Err(status(Records::no_tenant(&tenant)));
            return Ok(Response::new(Box::pin(stream::iter([refused]))));
        }
        let refuse = |error: Error| {
            self.service.audit().refuse(caller.entry(Kind::Export).on(storage).refused(error.code));
            status(error)
        };
        let pieces = records.export(&caller, storage).map_err(refuse)?;
        let pieces = ReceiverStream::new(pieces).map(|piece| {
            let lines = Vec::from(piece.map_err(status)?);
            Ok(proto::ExportRecordsResponse { lines })
        });
        Ok(Response::new(Box::pin(pieces)))
    }

    async fn pause(
        &self,
        request: Request<proto::PauseRequest>,
    ) -> Result<Response<proto::PauseResponse>, Status> {
        let (caller, request) = asked(request)?;
        let acts = self.acts.clone();
        apart(async move { acts.pause(&caller, request).await }).await
    }

    async fn resume(
        &self,
        request: Request<proto::ResumeRequest>,
    ) -> Result<Response<proto::ResumeResponse>, Status> {
        let (caller, request) = asked(request)?;
        let acts = self.acts.clone();
        apart(async move { acts.resume(&caller, request).await }).await
    }

    async fn list_pauses(
        &self,
        request: Request<proto::ListPausesRequest>,
    ) -> Result<Response<proto::ListPausesResponse>, Status> {
        let (caller, request) = asked(request)?;
        self.acts.list_pauses(&caller, request).map(Response::new).map_err(status)
    }

    async fn release_job(
        &self,
        request: Request<proto::ReleaseJobRequest>,
    ) -> Result<Response<proto::ReleaseJobResponse>, Status> {
        let (caller, request) = asked(request)?;
        let acts = self.acts.clone();
        apart(async move { acts.release_job(&caller, request).await }).await
    }

    async fn drain(
        &self,
        request: Request<proto::DrainRequest>,
    ) -> Result<Response<proto::DrainResponse>, Status> {
        let (caller, request) = asked(request)?;
        let acts = self.acts.clone();
        apart(async move { acts.drain(&caller, request).await }).await
    }

    async fn explain_job(
        &self,
        request: Request<proto::ExplainJobRequest>,
    ) -> Result<Response<proto::ExplainJobResponse>, Status> {
        let (caller, request) = asked(request)?;
        self.acts.explain_job(&caller, request).await.map(Response::new).map_err(status)
    }

    async fn get_config(
        &self,
        request: Request<proto::GetConfigRequest>,
    ) -> Result<Response<proto::GetConfigResponse>, Status> {
        let (caller, request) = asked(request)?;
        self.acts.get_config(&caller, request).map(Response::new).map_err(status)
    }

    async fn get_log_level(
        &self,
        request: Request<proto::GetLogLevelRequest>,
    ) -> Result<Response<proto::GetLogLevelResponse>, Status> {
        let (caller, request) = asked(request)?;
        self.acts.get_log_level(&caller, request).map(Response::new).map_err(status)
    }

    async fn set_log_level(
        &self,
        request: Request<proto::SetLogLevelRequest>,
    ) -> Result<Response<proto::SetLogLevelResponse>, Status> {
        let (caller, request) = asked(request)?;
        let acts = self.acts.clone();
        apart(async move { acts.set_log_level(&caller, request).await }).await
    }

    async fn get_overview(
        &self,
        request: Request<proto::GetOverviewRequest>,
    ) -> Result<Response<proto::GetOverviewResponse>, Status> {
        let (caller, request) = asked(request)?;
        self.acts.get_overview(&caller, request).await.map(Response::new).map_err(status)
    }
}

/// On a task of its own: a caller that goes away must not stop an act between its entry and its end.
async fn apart<T: Send + 'static>(
    act: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<Response<T>, Status> {
    let done = tokio::spawn(act.in_current_span()).await;
    done.map_err(Error::internal).and_then(|done| done).map(Response::new).map_err(status)
}

/// A name that no tenant can have is one that no tenant has.
fn tenant(name: &str) -> Result<Tenant, Error> {
    Tenant::new(name).map_err(|_| Error::new(Code::RecordNotFound, "there is no such tenant"))
}

/// One of the caller's storages.
fn storage(caller: &Principal, name: &str) -> Result<Storage, Error> {
    let own = Storage::from_name(name).filter(|storage| caller.storages.contains(*storage));
    own.ok_or_else(|| Error::new(Code::RecordNotFound, "there is no such storage"))
}

/// Whether these rows are the caller's to read; another tenant's are not, and are then missing like any.
///
/// # Errors
/// `CVRS-SCOPE`.
fn may_read(caller: &Principal, tenant: &Tenant, storage: Storage) -> Result<bool, Error> {
    let own = *tenant == caller.tenant;
    let may = if own { caller.may_export(storage) } else { Ok(()) };
    may.map(|()| own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ScopeSet, StorageSet};

    #[test]
    fn names_that_mean_nothing_are_not_found() {
        assert_eq!(tenant("local").unwrap(), Tenant::local());
        let caller = Principal::local();
        assert_eq!(storage(&caller, "REDACTED_DB").unwrap(), Storage::Redacted);
        assert_eq!(tenant("a b").unwrap_err().code, Code::RecordNotFound);
        assert_eq!(tenant("").unwrap_err().code, Code::RecordNotFound);
        assert_eq!(storage(&caller, "redacted").unwrap_err().code, Code::RecordNotFound);
    }

    #[test]
    fn another_tenants_rows_are_missing_whatever_the_scopes() {
        let other = Tenant::new("other").unwrap();
        for scopes in [ScopeSet::ALL, ScopeSet::EMPTY] {
            let caller = Principal { scopes, ..Principal::local() };
            for storage in Storage::ALL {
                let read = |tenant| may_read(&caller, tenant, storage);
                assert_eq!(read(&other), Ok(false));
                let own = read(&Tenant::local()).map_err(|e| e.code);
                let expected = if scopes.is_empty() { Err(Code::Scope) } else { Ok(true) };
                assert_eq!(own, expected);
            }
        }
    }

    #[test]
    fn a_storage_of_others_is_refused_in_the_words_for_one_that_never_was() {
        let storages = StorageSet::from_iter([Storage::Redacted]);
        let caller = Principal { storages, ..Principal::local() };
        assert!(storage(&caller, "REDACTED_DB").is_ok());
        let refused = storage(&caller, "NON_REDACTED_DB").unwrap_err();
        assert_eq!(refused, storage(&caller, "nothing").unwrap_err());
    }
}
