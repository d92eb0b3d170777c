//! `cvrsd selftest`: whether this program keeps what it promises on a disk, and how fast that syncs. What a disk
//! keeps over a power loss it cannot tell.
//!
//! A daemon of its own gets jobs, is killed at random moments and started again; then every job, report
//! and record is held against a model.

mod disk;
mod plan;
mod rounds;

use std::path::{Path, PathBuf};

use clap::value_parser;
use comfy_table::Table;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use self::rounds::{Rounds, Tally};
use super::{
    Failure,
    checked::interrupted,
    render::{self, Output},
};
use crate::exit::Exit;

/// Options of `selftest`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kill the daemon in each round; without this there is one round, and no kill
    #[arg(long)]
    kill: bool,
    /// Rounds
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, requires = "kill")]
    #[arg(value_parser = value_parser!(u64).range(1..=1_000_000))]
    rounds: u64,
    /// Directory on the disk to try; all files are inside a new directory there
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Makes the same files and waits as another run; made up where left out
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What a run found.
struct Found {
    tally: Tally,
    syncs_per_second: f64,
    file_system: Option<String>,
    seed: u64,
}

/// Runs the rounds. The directory is removed where all is well, and named where not.
///
/// # Errors
/// When anything was lost or doubled or differs, something fails, or it is interrupted.
pub async fn run(args: Args) -> Result<(), Failure> {
    let unusable =
        |e: std::io::Error| Failure::new(Exit::Usage, format!("{}: {e}", args.dir.display()));
    let dir = tempfile::Builder::new().prefix("cvrsd-selftest-").tempdir_in(&args.dir);
    let dir = dir.map_err(unusable)?;
    let found = try_disk(&args, dir.path()).await;
    let result = match found {
        Ok(found) => {
            match args.output {
                Output::Text => render::print_line(table(&found).trim_fmt())?,
                Output::Json => render::print_line(found_json(&found))?,
            }
            found.tally.verdict()
        }
        Err(failure) => Err(failure),
    };
    if let Err(failure) = result {
        let kept = dir.keep();
        render::note(&format!("its files are kept in {}", kept.display()));
        return Err(failure);
    }
    spawn_blocking(move || dir.close()).await.map_err(std::io::Error::from)??;
    Ok(())
}

async fn try_disk(args: &Args, dir: &Path) -> Result<Found, Failure> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    render::note(&format!("seed {seed}, in {}", dir.display()));
    let place = dir.to_owned();
    let syncs = spawn_blocking(move || disk::syncs_per_second(&place)).await;
    let syncs_per_second = syncs.map_err(std::io::Error::from)??;
    let mut rounds = Rounds::start(dir, seed)?;
    let count = if args.kill { Some(args.rounds) } else { None };
    let result = tokio::select! {
        result = rounds.run(count) => result,
        () = interrupted() => Err(Failure::new(Exit::Failed, "interrupted")),
    };
    let tally = rounds.stop(result).await?;
    Ok(Found { tally, syncs_per_second, file_system: disk::file_system(dir), seed })
}

fn table(found: &Found) -> Table {
    let Tally { rounds, kills, jobs, acknowledged, rows, records, lost, doubled, .. } = found.tally;
    let numbers = [
        ("rounds", rounds),
        ("kills", kills),
        ("jobs", jobs),
        ("acknowledged before a kill", acknowledged),
        ("rows", rows),
        ("records compared", records),
        ("lost", lost),
        ("doubled", doubled),
    ];
    let numbers = numbers.map(|(name, number)| (name, render::count(number)));
    let others = [
        ("syncs a second", format!("{:.0}", found.syncs_per_second)),
        ("file system", found.file_system.clone().unwrap_or("unknown".to_owned())),
        ("seed", found.seed.to_string()),
    ];
    let rows = numbers.into_iter().chain(others);
    render::table(&["", ""], rows.map(|(name, value)| vec![name.to_owned(), value]))
}

fn found_json(found: &Found) -> Value {
    let tally = &found.tally;
    json!({
        "rounds": tally.rounds,
        "kills": tally.kills,
        "jobs": tally.jobs,
        "acknowledged": tally.acknowledged,
        "rows": tally.rows,
        "records": tally.records,
        "lost": tally.lost,
        "doubled": tally.doubled,
        "differences": tally.differences,
        "syncs_per_second": found.syncs_per_second,
        "file_system": found.file_system,
        "seed": found.seed,
    })
}
