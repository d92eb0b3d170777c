//! The `cvrsd` program: reads the command line and runs one command.

use std::process::ExitCode;

use clap::{Parser, error::ErrorKind};
use cvrsd::{
    cli::{
        self, Cli, Command, Failure, cancel, check_config, clients, demo, errors, generate, get,
        list, package_files, records, selftest, serve, submit, verify, watch,
    },
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
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Submit(args) => submit::run(args).await,
        Command::Watch(args) => watch::run(args).await,
        Command::Get(args) => get::run(args).await,
        Command::List(args) => list::run(args).await,
        Command::Cancel(args) => cancel::run(args).await,
        Command::Errors(args) => errors::run(args).await,
        Command::Generate(args) => generate::run(args).await,
        Command::Records(args) => records::run(args).await,
        Command::Client(args) => clients::run(args),
        Command::Selftest(args) => selftest::run(args).await,
        Command::CheckConfig(args) => check_config::run(&args),
        Command::Verify(args) => verify::run(args).await,
        Command::PackageFiles(args) => package_files::run(&args),
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
