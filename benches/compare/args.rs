//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::{Result, report};

/// Measures cvrsd beside its yardsticks.
#[derive(Debug, Parser)]
#[command(name = "compare")]
pub struct Args {
    /// What to measure; none lists what there is
    #[arg(value_enum, value_name = "NAME")]
    pub names: Vec<Name>,
    /// Measure everything but the growth curve
    #[arg(long)]
    pub all: bool,
    /// Runs of each side
    #[arg(long, value_name = "N")]
    pub runs: Option<usize>,
    /// Rows of the input
    #[arg(long, value_name = "N")]
    pub rows: Option<u64>,
    /// `jobs`, `lane`, `start`, `trickle`, `latency`, `crowd`: one-row jobs
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// `share`, `growth`: live rows of the stores
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub stores: Vec<u64>,
    /// `delete`, `create`: PostgreSQL as Debian ships it, without settings of its own
    #[arg(long)]
    pub stock: bool,
    /// `watch`, `crowd`: watchers
    #[arg(long, value_name = "N")]
    pub watchers: Option<usize>,
    /// Appends a JSON line for every measurement to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Where data goes meanwhile, several GB; a directory inside is made and removed
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// `growth`, `plot`: the table
    #[arg(long, value_name = "FILE", default_value = "docs/performance/growth.tsv")]
    pub table: PathBuf,
    /// Serves the bare yardsticks of `submit` and `watch`; only this program asks for it
    #[arg(long, hide = true)]
    pub serve_bare: Option<PathBuf>,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// A delete job on input U; unzip, PostgreSQL, DuckDB
    Delete,
    /// A create job on input U into an empty store; PostgreSQL, DuckDB
    Create,
    /// One-row delete jobs of 64 clients and as many tenants; Restate
    Jobs,
    /// One-row delete jobs of 64 clients of one tenant; Restate
    Lane,
    /// One client's submit until the durable answer; an fdatasync of 4 KiB
    Latency,
    /// A delete of 10,000 rows out of stores of growing size; the same out of the smallest
    Share,
    /// The upload of input X until the durable answer; a bare tonic stream to a synced file
    Submit,
    /// Peak memory of input X as a create job and as a delete job, and idle
    Memory,
    /// Start with 100,000 finished jobs in the journal
    Start,
    /// A cancel to 10,000 watchers; a bare tonic fan-out
    Watch,
    /// One client's submit beside 10,000 watchers; the same without them
    Crowd,
    /// Validation alone; a memchr split with 45 field checks on one thread
    Validate,
    /// One-row jobs beside two big jobs of other tenants; the same on an idle daemon
    Trickle,
    /// Latencies of commits while the store compacts
    Stalls,
    /// Time and memory per row over rows and store sizes, as a table
    Growth,
    /// That table as pictures
    Plot,
}

impl Name {
    /// As the command line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Create => "create",
            Self::Jobs => "jobs",
            Self::Lane => "lane",
            Self::Latency => "latency",
            Self::Share => "share",
            Self::Submit => "submit",
            Self::Memory => "memory",
            Self::Start => "start",
            Self::Watch => "watch",
            Self::Crowd => "crowd",
            Self::Validate => "validate",
            Self::Trickle => "trickle",
            Self::Stalls => "stalls",
            Self::Growth => "growth",
            Self::Plot => "plot",
        }
    }
}

impl Args {
    /// What to measure, in the order asked for.
    pub fn chosen(&self) -> Vec<Name> {
        if self.all {
            let apart = [Name::Growth, Name::Plot];
            return Name::value_variants().iter().filter(|n| !apart.contains(n)).copied().collect();
        }
        self.names.clone()
    }
}

/// Lists what can be measured.
pub fn list() -> Result<()> {
    report::line(
        "usage: cargo bench --bench compare -- NAME… [--runs N] [--rows N] [--json FILE]",
    )?;
    for name in Name::value_variants() {
        let help = name.to_possible_value().and_then(|v| v.get_help().map(ToString::to_string));
        report::line(&format!("  {:<10}{}", name.as_str(), help.unwrap_or_default()))?;
    }
    report::line("`--all` takes every one but the last two, `--help` tells more")
}
