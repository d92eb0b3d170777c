//! `cvrsd admin`: what an operator does to a running daemon.

mod config;
mod drain;
mod explain;
mod level;
mod pause;
mod release;

use clap::Subcommand;

use super::{Failure, client::AdminTarget};

/// Options of `admin`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start no more jobs of a tenant, or none at all, until resumed; uploads are still queued
    Pause(pause::Pause),
    /// Start jobs again
    Resume(pause::Resume),
    /// List what is paused, since when, by whom and why
    Paused(pause::List),
    /// Give a held job a new round of attempts
    Release(release::Args),
    /// Tell why a job does not move
    Explain(explain::Args),
    /// Stop the daemon as SIGTERM does; returns once that has begun
    Drain {
        #[command(flatten)]
        target: AdminTarget,
    },
    /// Print the configuration in force, without secrets
    Config {
        #[command(flatten)]
        target: AdminTarget,
    },
    /// Show the log level, or set it until the next SIGHUP or start
    Level(level::Args),
}

/// Does one of them.
///
/// # Errors
/// When the request is refused or there is no server.
pub async fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Pause(args) => pause::pause(args).await,
        Action::Resume(args) => pause::resume(args).await,
        Action::Paused(args) => pause::list(args).await,
        Action::Release(args) => release::run(args).await,
        Action::Explain(args) => explain::run(args).await,
        Action::Drain { target } => drain::run(&target).await,
        Action::Config { target } => config::run(&target).await,
        Action::Level(args) => level::run(args).await,
    }
}
