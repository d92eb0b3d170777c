//! `cvrsd package-files`: man pages and shell completions, as a package installs them.

use std::{fs, io, path::PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Failure};
use crate::exit::Exit;

/// Options of `package-files`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory to write to; made when missing
    dir: PathBuf,
}

/// Writes a man page for each command and completions for bash, fish and zsh.
///
/// # Errors
/// When a file cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    write(args).map_err(|e| {
        Failure::new(Exit::Failed, format!("cannot write to {}: {e}", args.dir.display()))
    })
}

fn write(args: &Args) -> io::Result<()> {
    fs::create_dir_all(&args.dir)?;
    let mut command = Cli::command();
    clap_mangen::generate_to(command.clone(), &args.dir)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command, "cvrsd", &args.dir)?;
    }
    Ok(())
}
