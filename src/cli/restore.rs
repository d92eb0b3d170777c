//! `cvrsd restore`: a data directory out of a backup.

use std::path::PathBuf;

use super::{Failure, render};
use crate::{config, exit::Exit, restore, telemetry};

/// Options of `restore`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup
    backup: PathBuf,
    /// The data directory to make; missing or empty
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Configuration file; without one, defaults and environment count
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Makes the directory, checks all of it as `verify` does, and says what it holds.
///
/// # Errors
/// When the backup is damaged, the directory is not empty, or the configuration is not usable.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut config = config::load(args.config.as_deref())
        .map_err(|e| Failure::new(Exit::Usage, e.to_string()))?;
    config.data.dir = args.data_dir;
    let usage = |e: telemetry::Error| Failure::new(Exit::Usage, e.to_string());
    telemetry::logging(&config.log).map_err(usage)?;
    let restored = tokio::task::spawn_blocking(move || restore::run(&args.backup, &config)).await;
    let restored = restored
        .map_err(|e| Failure::new(Exit::Stopped, e.to_string()))?
        .map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
    for (part, what) in &restored.findings.listed {
        render::note(&format!("damaged, as it was in the backup: {part}: {what}"));
    }
    render::print_line(serde_json::json!({
        "jobs": restored.findings.jobs,
        "rows": restored.findings.records.rows,
        "payloads": restored.findings.payloads,
        "reports": restored.findings.reports,
        "damaged": restored.findings.damages,
        "takenUs": restored.manifest.taken_us,
    }))
}
