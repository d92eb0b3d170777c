//! `cvrsd serve`: runs the daemon.

use std::path::PathBuf;

use super::Failure;
use crate::{config, daemon, exit::Exit};

/// Options of `serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file; without one, defaults and environment count
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs until a signal or a failure ends the daemon.
///
/// # Errors
/// When the configuration is not usable, or the daemon did not end well.
pub async fn run(args: Args) -> Result<(), Failure> {
    let loaded = config::load_with_origins(args.config.as_deref())
        .map_err(|e| Failure::new(Exit::Usage, e.to_string()))?;
    let file = args.config.as_deref();
    daemon::run(loaded, file).await.map_err(|ended| Failure::new(ended.exit, ended.reason))
}
