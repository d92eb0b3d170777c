//! The `cvrsd` program: reads the command line and runs one command.

use std::process::ExitCode;

use clap::{Parser, error::ErrorKind};
use cvrsd::{
    cli::{self, Cli, Command, Failure},
    exit::Exit,
};
use tikv_jemallocator::Jemalloc;
use tokio::runtime;

/// The C library's allocator keeps what one thread freed from the others: with each further large job the
/// daemon held more memory, after four of them twice as much as with this one.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => cli::conclude(run(cli.command)),
        Err(error) => explain(&error),
    };
    exit.into()
}

fn run(command: Command) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::Stopped, format!("cannot start threads: {e}")))?;
    let result = runtime.block_on(dispatch(command));
    // A thread that still waits for a file or a pipe must not hold up the end.
    runtime.shutdown_background();
    result
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => cli::serve::run(args).await,
        Command::Demo(args) => cli::demo::run(args).await,
        Command::Submit(args) => cli::submit::run(args).await,
        Command::Watch(args) => cli::watch::run(args).await,
        Command::Get(args) => cli::get::run(args).await,
        Command::Top(args) => cli::top::run(args).await,
        Command::Ready(args) => cli::ready::run(args).await,
        Command::List(args) => cli::list::run(args).await,
        Command::Cancel(args) => cli::cancel::run(args).await,
        Command::Errors(args) => cli::errors::run(args).await,
        Command::Generate(args) => cli::generate::run(args).await,
        Command::Records(args) => cli::records::run(args).await,
        Command::Admin(args) => cli::admin::run(args).await,
        Command::Client(args) => cli::clients::run(args),
        Command::Selftest(args) => cli::selftest::run(args).await,
        Command::CheckConfig(args) => cli::check_config::run(args).await,
        Command::Verify(args) => cli::verify::run(args).await,
        Command::Backup(args) => cli::backup::run(args).await,
        Command::Restore(args) => cli::restore::run(args).await,
        Command::PackageFiles(args) => cli::package_files::run(&args),
        Command::Audit(args) => cli::audit::run(args).await,
    }
}

/// Prints what is wrong with the command line, or the help or version that was asked for.
fn explain(error: &clap::Error) -> Exit {
    // Where nobody reads, nothing is lost.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}
