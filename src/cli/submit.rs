//! `cvrsd submit`: uploads a file as a job.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;
use uuid::Uuid;

use super::{
    Failure,
    client::Target,
    render::{self, Output},
    upload::{self, Order, Receipt, Source},
    watch,
};
use crate::domain::Operation;

/// Options of `submit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is done with each row
    #[arg(value_enum)]
    operation: Verb,
    /// CVRS text, or a zip of one; by the name's extension, else by how the file starts
    file: PathBuf,
    /// Follow the job until it ends
    #[arg(long)]
    watch: bool,
    /// Idempotency key: the same key with the same bytes is the same job; made up where left out
    #[arg(long, value_name = "UUID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    request_id: Option<String>,
    /// Check every row, apply none
    #[arg(long)]
    validate_only: bool,
    /// text is the job id; json the whole receipt
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Verb {
    /// Rows name records to delete
    Delete,
    /// Rows are new records
    Create,
    /// Rows replace live records
    Update,
}

impl From<Verb> for Operation {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Delete => Self::Delete,
            Verb::Create => Self::Create,
            Verb::Update => Self::Update,
        }
    }
}

/// Uploads, prints the job id, and follows the job where that was asked.
///
/// # Errors
/// When the upload is refused, the file cannot be read, there is no server, or the followed job
/// ended `FAILED` or `CANCELLED`.
pub async fn run(args: Args) -> Result<(), Failure> {
    let source = Source::inspect(&args.file).await?;
    let order = Order {
        operation: args.operation.into(),
        request_id: args.request_id.unwrap_or_else(|| Uuid::now_v7().to_string()),
        validate_only: args.validate_only,
    };
    let mut jobs = args.target.connect().await?;
    let bar = upload::bar(source.length);
    let receipt = upload::send(&mut jobs, &order, &source, &bar).await;
    bar.finish_and_clear();
    let receipt = receipt?;
    match args.output {
        Output::Text => render::print_line(&receipt.job_id)?,
        Output::Json => render::print_line(receipt_json(&receipt, &order))?,
    }
    if args.watch {
        watch::to_the_end(&mut jobs, &receipt.job_id, 0, args.output).await?;
    }
    Ok(())
}

fn receipt_json(receipt: &Receipt, order: &Order) -> serde_json::Value {
    json!({
        "job_id": receipt.job_id,
        "seq": receipt.seq,
        "request_id": order.request_id,
        "content_sha256": hex::encode(&receipt.content_sha256),
        "content_length": receipt.content_length,
        "accept_time": receipt.accept_time.map(render::time),
    })
}
