//! The REST listener.

use std::{io, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::routes::{Face, router};
use crate::{
    auth::Authenticator,
    config,
    engine::Service,
    limits::{SYNC_WAITS_CLIENT_MAX, SYNC_WAITS_MAX},
    listener::{self, Listener},
    shares::Shares,
};

/// Serves until `shutdown`, then until the last connection ended; the caller bounds that time.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: Listener,
    service: Service,
    authenticator: Authenticator,
    config: &config::Rest,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let waits = Shares::new(SYNC_WAITS_MAX, SYNC_WAITS_CLIENT_MAX);
    let face = Face { service, authenticator, config: Arc::new(config.clone()), waits };
    let router = router(face).map_err(io::Error::other)?;
    listener::serve(listener, router, shutdown).await
}
