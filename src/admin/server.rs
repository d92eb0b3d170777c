//! The admin listener: HTTP/1 for probes, HTTP/2 for gRPC.

use std::{io, sync::Arc};

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::get,
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request,
    service::{Routes, interceptor::InterceptedService},
};

use super::{
    acts::{Acts, Operator},
    backup::Backups,
    probes::{self, Probes, State},
    records::{Admin, let_in},
    status::status,
};
use crate::{
    auth::Authenticator,
    engine::Service,
    listener::{self, Listener},
    proto::admin::{
        admin_service_server::AdminServiceServer, backup_service_server::BackupServiceServer,
    },
    telemetry,
};

/// Serves until `shutdown`, then until the last connection ended; the caller bounds that time.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: Listener,
    service: Service,
    authenticator: Authenticator,
    probes: Probes,
    operator: Operator,
    shutdown: CancellationToken,
) -> io::Result<()> {
    listener::serve(listener, router(service, authenticator, probes, operator), shutdown).await
}

fn router(
    service: Service,
    authenticator: Authenticator,
    probes: Probes,
    operator: Operator,
) -> Router {
    let acts = Acts::new(service.clone(), operator);
    let let_in = move |mut request: Request<()>| {
        let caller = let_in(&authenticator, &request)?;
        request.extensions_mut().insert(caller);
        Ok(request)
    };
    let admin = AdminServiceServer::new(Admin::new(service.clone(), acts));
    let admin = InterceptedService::new(admin, let_in.clone());
    let backups = BackupServiceServer::new(Backups::new(service.clone()));
    let backups = InterceptedService::new(backups, let_in);
    // A plain router below, because tonic's own answers every unknown path with HTTP 200.
    let grpc =
        Routes::from(Router::new()).add_service(admin).add_service(backups).into_axum_router();
    let grpc = grpc
        .layer(from_fn_with_state(status as listener::Refuse, listener::small_calls))
        .layer(from_fn(listener::programs_only));
    Router::new()
        .route("/metrics", get(probes::metrics))
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .with_state(State { service, probes, collecting: Arc::default() })
        .merge(grpc)
        .layer(from_fn_with_state("admin", telemetry::observe))
}
