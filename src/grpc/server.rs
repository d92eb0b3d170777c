//! The gRPC listener.

use axum::middleware::{from_fn, from_fn_with_state, map_request};
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request,
    server::NamedService,
    service::{Routes, interceptor::InterceptedService},
    transport::{self, Server},
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_reflection::server as reflection;

use super::{
    body::whole_or_failed,
    jobs::{Jobs, let_in},
    status::status,
};
use crate::{
    auth::Authenticator,
    config,
    engine::{Phase, Service},
    limits::{
        GRPC_CALL_BYTES_MAX, GRPC_CONNECTION_WINDOW_BYTES, GRPC_MESSAGE_BYTES_MAX,
        GRPC_STREAM_WINDOW_BYTES, GRPC_STREAMS_MAX, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT,
    },
    listener::{Listener, Refuse, programs_only, small_calls},
    proto::{DESCRIPTORS, jobs::job_service_server::JobServiceServer},
    telemetry,
};

const JOB_SERVICE: &str = <JobServiceServer<Jobs> as NamedService>::NAME;

/// What the gRPC face can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The descriptors cannot be described.
    #[error("grpc reflection: {0}")]
    Reflection(#[from] reflection::Error),
    /// The listener failed.
    #[error("grpc listener: {0}")]
    Transport(#[from] transport::Error),
}

/// Serves until `shutdown`, then until the last connection ended; the caller bounds that time.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: Listener,
    service: Service,
    authenticator: Authenticator,
    config: &config::Grpc,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let phases = service.phases();
    let (reporter, health) = tonic_health::server::health_reporter();
    report(&reporter, service.phase()).await;
    let jobs =
        JobServiceServer::new(Jobs::new(service)).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX);
    let jobs = InterceptedService::new(jobs, move |mut request: Request<()>| {
        let caller = let_in(&authenticator, &request)?;
        request.extensions_mut().insert(caller);
        Ok(request)
    });
    let health = health.max_decoding_message_size(GRPC_CALL_BYTES_MAX);
    let mut routes = Routes::new(jobs).add_service(health);
    if config.reflection {
        let (v1, v1alpha) = (descriptors().build_v1()?, descriptors().build_v1alpha()?);
        routes = routes
            .add_service(v1.max_decoding_message_size(GRPC_CALL_BYTES_MAX))
            .add_service(v1alpha.max_decoding_message_size(GRPC_CALL_BYTES_MAX));
    }
    let observed = from_fn_with_state("grpc", telemetry::observe);
    let services = routes
        .into_axum_router()
        .layer(from_fn_with_state(status as Refuse, small_calls))
        .layer(map_request(whole_or_failed))
        .layer(from_fn(programs_only))
        .layer(observed);
    let server = Server::builder()
        .max_concurrent_streams(GRPC_STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .initial_stream_window_size(GRPC_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(GRPC_CONNECTION_WINDOW_BYTES)
        .add_routes(Routes::from(services))
        .serve_with_incoming_shutdown(listener.incoming(), shutdown.cancelled_owned());
    tokio::select! {
        ended = server => Ok(ended?),
        () = follow(phases, &reporter) => Ok(()),
    }
}

/// Only what this listener serves; the stored messages and the admin service stay out of the list.
fn descriptors() -> reflection::Builder<'static> {
    reflection::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name(JOB_SERVICE)
        .with_service_name("grpc.health.v1.Health")
}

/// Reports each phase; never ends.
async fn follow(mut phases: Receiver<Phase>, reporter: &HealthReporter) {
    loop {
        let phase = *phases.borrow_and_update();
        report(reporter, phase).await;
        if phases.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

async fn report(reporter: &HealthReporter, phase: Phase) {
    let status = match phase {
        Phase::Serving => ServingStatus::Serving,
        Phase::Starting | Phase::Draining => ServingStatus::NotServing,
    };
    reporter.set_service_status("", status).await;
    reporter.set_service_status(JOB_SERVICE, status).await;
}
