//! The REST listener.

use std::{io, net::SocketAddr, sync::Arc};

use axum_server::{Handle, Server, accept::NoDelayAcceptor};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    routes::{Face, router},
    waits::Waits,
};
use crate::{auth::Authenticator, config, engine::Service, limits::REQUEST_HEAD_TIMEOUT};

/// Serves until `shutdown`, then until the last connection ended; the caller bounds that time.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    authenticator: Authenticator,
    config: &config::Rest,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let face =
        Face { service, authenticator, config: Arc::new(config.clone()), waits: Waits::default() };
    let service = router(face).map_err(io::Error::other)?.into_make_service();
    let handle = Handle::<SocketAddr>::new();
    let mut server = Server::<SocketAddr>::from_listener(listener)
        .acceptor(NoDelayAcceptor::new())
        .first_request_timeout(REQUEST_HEAD_TIMEOUT)
        .handle(handle.clone());
    server.http_builder().http1().header_read_timeout(REQUEST_HEAD_TIMEOUT);
    let stop = async {
        shutdown.cancelled().await;
        handle.graceful_shutdown(None);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = server.serve(service) => ended,
        () = stop => Ok(()),
    }
}
