//! The REST listener.

use std::{io, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    routes::{Face, router},
    waits::Waits,
};
use crate::{
    auth::Authenticator,
    config,
    engine::Service,
    listener::{self, Listener},
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
    let face =
        Face { service, authenticator, config: Arc::new(config.clone()), waits: Waits::default() };
    let router = router(face).map_err(io::Error::other)?;
    listener::serve(listener, router, shutdown).await
}
