//! `cvrsd check-config`: whether `serve` would accept the configuration.

use std::path::PathBuf;

use super::{Failure, render};
use crate::{config, daemon, exit::Exit};

/// Options of `check-config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file; without one, defaults and environment are checked
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints `ok`.
///
/// # Errors
/// What is wrong, with the exit code of bad configuration.
pub async fn run(args: Args) -> Result<(), Failure> {
    let config = config::load(args.config.as_deref())
        .map_err(|e| Failure::new(Exit::Usage, e.to_string()))?;
    let checked = tokio::task::spawn_blocking(move || daemon::check(&config)).await;
    checked
        .map_err(|e| Failure::new(Exit::Stopped, e.to_string()))?
        .map_err(|ended| Failure::new(ended.exit, ended.reason))?;
    render::print_line("ok")
}
