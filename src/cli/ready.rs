//! `cvrsd ready`: the probe for machines without a shell, as in a container.

use tokio::time::timeout;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    Failure,
    client::{Target, refused},
    render,
};
use crate::{exit::Exit, limits::CLIENT_CONNECT_TIMEOUT};

/// Options of `ready`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
}

/// Prints `ready` where jobs are taken.
///
/// # Errors
/// While the daemon starts, drains or stops, where it does not answer in time, or when there is none.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut health = HealthClient::new(args.target.channel().await?);
    let answer = timeout(CLIENT_CONNECT_TIMEOUT, health.check(HealthCheckRequest::default())).await;
    let answer = answer.map_err(|_| Failure::new(Exit::Unreachable, "no answer in time"))?;
    match answer.map_err(|status| refused(&status))?.into_inner().status() {
        ServingStatus::Serving => render::print_line("ready"),
        other => {
            Err(Failure::new(Exit::Unreachable, format!("not ready: {}", other.as_str_name())))
        }
    }
}
