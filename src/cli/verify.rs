//! `cvrsd verify`: checks a data directory that no daemon has.

use serde_json::json;

use super::{
    Failure,
    place::Place,
    render::{self, Output},
};
use crate::{
    domain::Storage,
    exit::Exit,
    telemetry,
    verify::{self, Findings},
};

/// Options of `verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Prints how much was checked, and everything that is damaged.
///
/// # Errors
/// When something is damaged, the directory is in use, or the configuration is not usable.
pub async fn run(args: Args) -> Result<(), Failure> {
    let config = args.place.config()?;
    let usage = |e: telemetry::Error| Failure::new(Exit::Usage, e.to_string());
    telemetry::logging(&config.log).map_err(usage)?;
    let verified = tokio::task::spawn_blocking(move || verify::run(&config)).await;
    let findings = verified
        .map_err(|e| Failure::new(Exit::Stopped, e.to_string()))?
        .map_err(|e| Failure::new(e.exit, e.reason))?;
    match args.output {
        Output::Text => render::print(text(&findings))?,
        Output::Json => render::print_line(json(&findings))?,
    }
    match findings.damages {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Failed, "1 thing is damaged")),
        more => Err(Failure::new(Exit::Failed, format!("{more} things are damaged"))),
    }
}

fn text(findings: &Findings) -> String {
    let live = findings.records.live;
    let mut rows = vec![
        ("jobs", findings.jobs),
        ("payloads", findings.payloads),
        ("reports", findings.reports),
        ("rows", findings.records.rows),
    ];
    rows.extend(Storage::ALL.map(|storage| (storage.as_str(), *live.get(storage))));
    rows.push(("tables", findings.records.tables));
    rows.push(("audit entries", findings.audited));
    let rows = rows.into_iter().map(|(what, count)| vec![what.to_owned(), render::count(count)]);
    let mut text = format!("{}\n", render::table(&["checked", ""], rows));
    for (part, what) in &findings.listed {
        text.extend(["damaged: ", part, ": ", what, "\n"]);
    }
    let unlisted = findings.damages - findings.listed.len() as u64;
    if unlisted > 0 {
        text.extend(["and ", &render::count(unlisted), " more\n"]);
    }
    text
}

fn json(findings: &Findings) -> serde_json::Value {
    let counts = findings.records.live;
    let live = |storage: Storage| (storage.as_str().to_owned(), (*counts.get(storage)).into());
    let live: serde_json::Map<_, _> = Storage::ALL.into_iter().map(live).collect();
    let damage = |(part, what): &(&str, String)| json!({ "part": part, "what": what });
    json!({
        "sound": findings.damages == 0,
        "jobs": findings.jobs,
        "payloads": findings.payloads,
        "reports": findings.reports,
        "rows": findings.records.rows,
        "live": live,
        "tables": findings.records.tables,
        "audit_entries": findings.audited,
        "damages": findings.damages,
        "listed": findings.listed.iter().map(damage).collect::<Vec<_>>(),
    })
}
