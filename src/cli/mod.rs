//! The command line. Every command that asks a daemon is a client of its gRPC services.

pub mod admin;
pub mod audit;
pub mod backup;
pub mod cancel;
pub mod check_config;
mod checked;
mod client;
pub mod clients;
pub mod demo;
pub mod errors;
pub mod generate;
pub mod get;
pub mod list;
pub mod package_files;
mod place;
pub mod ready;
pub mod records;
mod render;
pub mod restore;
pub mod selftest;
pub mod serve;
pub mod submit;
pub mod top;
mod upload;
pub mod verify;
pub mod watch;

use clap::{Parser, Subcommand};

use crate::exit::Exit;

/// Creates, updates and deletes immunization records in bulk, durably and exactly once.
#[derive(Debug, Parser)]
#[command(name = "cvrsd", version, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done; 1 the job or request failed; 64 bad usage or \
    configuration; 69 the server cannot be reached; 70 stopped after a storage failure, or \
    without an address to listen on; 75 the data directory is in use.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    Serve(serve::Args),
    /// Show the main job on one screen: a daemon of its own, made-up records, a checked delete
    Demo(demo::Args),
    /// Upload a file as a job; prints the job id
    Submit(submit::Args),
    /// Follow a job until it ends
    Watch(watch::Args),
    /// Show one job
    Get(get::Args),
    /// List jobs, newest first
    List(list::Args),
    /// Look at jobs, lanes and the daemon's health as they change
    Top(top::Args),
    /// Ask whether the daemon takes jobs; a probe that needs no shell and no token
    Ready(ready::Args),
    /// Ask a job to stop
    Cancel(cancel::Args),
    /// Download the complete error report of a job
    Errors(errors::Args),
    /// Write a valid CVRS file of made-up records, the same bytes for the same seed
    Generate(generate::Args),
    /// Read live records back through the admin listener
    Records(records::Args),
    /// Operate a running daemon: pause, drain, explain a job, and more
    Admin(admin::Args),
    /// Make a client for the configuration: its secret and its block
    Client(clients::Args),
    /// Try a disk: its syncs, and a daemon of its own that is killed again and again
    Selftest(selftest::Args),
    /// Check the configuration without starting anything
    CheckConfig(check_config::Args),
    /// Check everything in a data directory that no daemon has
    Verify(verify::Args),
    /// Take a backup of a running daemon
    Backup(backup::Args),
    /// Make a data directory out of a backup
    Restore(restore::Args),
    /// Write man pages and shell completions to a directory
    #[command(hide = true)]
    PackageFiles(package_files::Args),
    /// Check the audit log, or print it
    Audit(audit::Args),
}

/// Why a command ends without having done its work.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One line for standard error; empty where nothing is to be said.
    pub message: String,
}

impl Failure {
    /// A failure with that exit code and line.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Whoever read our output has enough of it.
    fn reader_left() -> Self {
        Self::new(Exit::Done, "")
    }
}

/// The exit code of a command's result, after its line was written to standard error.
#[must_use]
pub fn conclude(result: Result<(), Failure>) -> Exit {
    let Err(failure) = result else {
        return Exit::Done;
    };
    if !failure.message.is_empty() {
        render::note(&failure.message);
    }
    failure.exit
}
