//! `cvrsd records`: live records, read back through the admin service.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Failure,
    client::{AdminTarget, refused},
    render::{self, Output},
};
use crate::proto::admin::{CountRecordsRequest, ExportRecordsRequest, GetRecordRequest};

/// Options of `records`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Count live records by tenant and storage
    Count {
        /// Only this tenant's
        #[arg(long, value_name = "T", default_value = "", hide_default_value = true)]
        tenant: String,
        /// How to write the counts
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
        #[command(flatten)]
        target: AdminTarget,
    },
    /// Print one live record as a tab-separated row, its columns in the order of the export
    Get {
        /// The record's key, in any case
        vax_event_id: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        target: AdminTarget,
    },
    /// Print the header and every live record of one storage, tab-separated
    Export {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        target: AdminTarget,
    },
}

/// Whose records, from which storage.
#[derive(Debug, clap::Args)]
struct Place {
    /// Owner of the records
    #[arg(long, value_name = "T", default_value = "local")]
    tenant: String,
    /// `NON_REDACTED_DB` or `REDACTED_DB`
    #[arg(long, value_name = "S", default_value = "NON_REDACTED_DB")]
    storage: String,
}

/// Counts, gets or exports.
///
/// # Errors
/// When the request is refused, names what is not there, or there is no server.
pub async fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Count { tenant, output, target } => count(tenant, output, &target).await,
        Action::Get { vax_event_id, place, target } => get(vax_event_id, place, &target).await,
        Action::Export { place, target } => export(place, &target).await,
    }
}

async fn count(tenant: String, output: Output, target: &AdminTarget) -> Result<(), Failure> {
    let mut admin = target.connect().await?;
    let request = CountRecordsRequest { tenant };
    let answer = admin.count_records(request).await.map_err(|s| refused(&s))?.into_inner();
    if output == Output::Json {
        let counts = answer.counts.iter();
        let counts: Vec<Value> = counts
            .map(|c| json!({ "tenant": c.tenant, "storage": c.storage, "count": c.count }))
            .collect();
        return render::print_line(Value::from(counts));
    }
    let rows = answer.counts.iter().map(|c| format!("{}\t{}\t{}\n", c.tenant, c.storage, c.count));
    render::print(format!("tenant\tstorage\tcount\n{}", rows.collect::<String>()))
}

async fn get(vax_event_id: String, place: Place, target: &AdminTarget) -> Result<(), Failure> {
    let mut admin = target.connect().await?;
    let request = GetRecordRequest { tenant: place.tenant, storage: place.storage, vax_event_id };
    let mut row = admin.get_record(request).await.map_err(|s| refused(&s))?.into_inner().row;
    row.push(b'\n');
    render::print(row)
}

async fn export(place: Place, target: &AdminTarget) -> Result<(), Failure> {
    let mut admin = target.connect().await?;
    let request = ExportRecordsRequest { tenant: place.tenant, storage: place.storage };
    let mut stream = admin.export_records(request).await.map_err(|s| refused(&s))?.into_inner();
    while let Some(piece) = stream.message().await.map_err(|s| refused(&s))? {
        render::print(piece.lines)?;
    }
    Ok(())
}
