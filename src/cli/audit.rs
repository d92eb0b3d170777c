//! `cvrsd audit`: the audit log of a data directory, also while a daemon writes it.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Failure,
    place::Place,
    render::{self, Output},
};
use crate::{
    audit::{self, Summary},
    exit::Exit,
};

/// Columns of the tab-separated form, after the members of an entry.
const COLUMNS: [&str; 20] = [
    "seq",
    "time",
    "kind",
    "code",
    "face",
    "peer",
    "forwarded",
    "request",
    "client",
    "tenant",
    "job",
    "order",
    "operation",
    "storage",
    "segment",
    "rows",
    "bytes",
    "count",
    "sha256",
    "detail",
];

/// Options of `audit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Hold every entry against the one before it
    Verify {
        #[command(flatten)]
        place: Place,
        /// An entry with this hash must be there: one that was noted down before
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        /// How to print the result
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Print entries, oldest first
    Export {
        #[command(flatten)]
        place: Place,
        /// Only entries of this time (RFC 3339) or later
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Only entries before this time (RFC 3339)
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        /// How to print them
        #[arg(long, value_enum, default_value_t = Form::Json)]
        output: Form,
    },
}

/// How entries are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One JSON object a line, byte for byte as stored
    Json,
    /// Tab-separated, with a header
    Tsv,
}

/// Verifies or prints the log.
///
/// # Errors
/// When it does not hold together, cannot be read, or the configuration is not usable.
pub async fn run(args: Args) -> Result<(), Failure> {
    let work = move || match args.action {
        Action::Verify { place, head, output } => verify(place, head.as_deref(), output),
        Action::Export { place, since, until, output } => export(place, since, until, output),
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Failure::new(Exit::Stopped, e.to_string()))?
}

/// The folder of the log, which must be there.
fn folder(place: Place) -> Result<PathBuf, Failure> {
    let folder = place.config()?.data.dir.join(audit::FOLDER);
    if folder.is_dir() {
        return Ok(folder);
    }
    let text = format!("there is no audit log {}", folder.display());
    Err(Failure::new(Exit::Failed, text))
}

fn verify(place: Place, head: Option<&str>, output: Output) -> Result<(), Failure> {
    let verified = audit::verify(&folder(place)?, head, &mut |_, _| ());
    let summary = verified.map_err(|broken| failed(&broken))?;
    match output {
        Output::Text => render::print(text(&summary))?,
        Output::Json => render::print_line(json(&summary))?,
    }
    if summary.has_head {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "no entry has the hash of --head: entries are missing"))
}

fn failed(broken: &audit::Broken) -> Failure {
    Failure::new(Exit::Failed, format!("the audit log is broken: {broken}"))
}

fn text(summary: &Summary) -> String {
    let time = |time: Option<Timestamp>| time.map_or_else(String::new, |time| time.to_string());
    let rows = [
        ("segments", render::count(summary.segments)),
        ("oldest segment", render::count(summary.first_segment)),
        ("entries", render::count(summary.entries)),
        ("first", time(summary.times.map(|(first, _)| first))),
        ("last", time(summary.times.map(|(_, last)| last))),
        ("seq", summary.seq.to_string()),
        ("head", summary.head.clone()),
        ("unfinished bytes", render::count(summary.unfinished)),
    ];
    let rows = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]);
    format!("{}\n", render::table(&["checked", ""], rows))
}

fn json(summary: &Summary) -> Value {
    json!({
        "segments": summary.segments,
        "first_segment": summary.first_segment,
        "entries": summary.entries,
        "first": summary.times.map(|(first, _)| first.to_string()),
        "last": summary.times.map(|(_, last)| last.to_string()),
        "seq": summary.seq,
        "head": summary.head,
        "unfinished": summary.unfinished,
        "has_head": summary.has_head,
    })
}

fn export(
    place: Place,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    form: Form,
) -> Result<(), Failure> {
    let mut printed = Ok(());
    if form == Form::Tsv {
        printed = render::print_line(COLUMNS.join("\t"));
    }
    let mut each = |time: Timestamp, line: &str| {
        let asked =
            since.is_none_or(|since| time >= since) && until.is_none_or(|until| time < until);
        if !asked || printed.is_err() {
            return;
        }
        printed = match form {
            Form::Json => render::print_line(line),
            Form::Tsv => render::print_line(columns(line)),
        };
    };
    let verified = audit::verify(&folder(place)?, None, &mut each);
    printed?;
    verified.map(drop).map_err(|broken| failed(&broken))
}

fn columns(line: &str) -> String {
    let entry: Value = serde_json::from_str(line).unwrap_or_default();
    let cell = |name: &&str| match entry.get(*name) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    COLUMNS.iter().map(cell).collect::<Vec<_>>().join("\t")
}
