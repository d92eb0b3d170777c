//! `cvrsd list`: jobs, newest first.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::{
    Failure,
    client::{Target, refused},
    render::{self, Output},
};
use crate::{
    limits::PAGE_JOBS_MAX,
    proto::jobs::{Job, ListJobsRequest, Operation, Status},
};

const STATUSES: [&str; 5] = ["QUEUED", "DE-QUEUED", "VALIDATING", "PROCESSING", "COMPLETED"];
const HEADER: [&str; 8] =
    ["job", "operation", "status", "outcome", "rows", "applied", "invalid", "submitted"];

/// Options of `list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only jobs with this status
    #[arg(long, ignore_case = true, value_name = "S", value_parser = statuses())]
    status: Option<Status>,
    /// Only jobs with this operation
    #[arg(long, value_name = "O", value_parser = operations())]
    operation: Option<Operation>,
    /// Jobs of this tenant; the caller's own where it is left out
    #[arg(long, value_name = "T", default_value = "", hide_default_value = true)]
    tenant: String,
    /// Most jobs to list; 0 lists all
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: usize,
    /// How to write the jobs; json is one array
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

fn statuses() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(STATUSES).try_map(|name| {
        let name = format!("STATUS_{}", name.to_ascii_uppercase().replace('-', "_"));
        Status::from_str_name(&name).ok_or("no such status")
    })
}

fn operations() -> impl TypedValueParser<Value = Operation> {
    PossibleValuesParser::new(["create", "update", "delete"]).try_map(|name| {
        let name = format!("OPERATION_{}", name.to_ascii_uppercase());
        Operation::from_str_name(&name).ok_or("no such operation")
    })
}

/// Prints the jobs.
///
/// # Errors
/// When the request is refused or there is no server.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut jobs = args.target.connect().await?;
    let mut writer = Writer::new(args.output);
    let mut left = if args.limit == 0 { usize::MAX } else { args.limit };
    let mut page_token = String::new();
    loop {
        let request = ListJobsRequest {
            page_size: u32::try_from(left.min(PAGE_JOBS_MAX)).unwrap_or(u32::MAX),
            page_token,
            status: args.status.unwrap_or_default().into(),
            operation: args.operation.unwrap_or_default().into(),
            tenant: args.tenant.clone(),
        };
        let page = jobs.list_jobs(request).await.map_err(|s| refused(&s))?.into_inner();
        let shown = page.jobs.len().min(left);
        writer.page(page.jobs.get(..shown).unwrap_or_default())?;
        left -= shown;
        page_token = page.next_page_token;
        if left == 0 || page_token.is_empty() {
            return writer.end();
        }
    }
}

/// JSON is written page by page; a table needs all its rows for the widths of its columns.
struct Writer {
    output: Output,
    rows: Vec<Vec<String>>,
    written: usize,
}

impl Writer {
    fn new(output: Output) -> Self {
        Self { output, rows: Vec::new(), written: 0 }
    }

    fn page(&mut self, jobs: &[Job]) -> Result<(), Failure> {
        if self.output == Output::Text {
            self.rows.extend(jobs.iter().map(columns));
            return Ok(());
        }
        let mut text = String::new();
        for job in jobs {
            text.push_str(if self.written == 0 { "[\n" } else { ",\n" });
            text.push_str(&render::job_json(job).to_string());
            self.written += 1;
        }
        render::print(text)
    }

    fn end(self) -> Result<(), Failure> {
        match self.output {
            Output::Text => render::print_line(render::table(&HEADER, self.rows).trim_fmt()),
            Output::Json if self.written == 0 => render::print_line("[]"),
            Output::Json => render::print("\n]\n"),
        }
    }
}

fn columns(job: &Job) -> Vec<String> {
    let rows = job.rows.unwrap_or_default();
    vec![
        job.job_id.clone(),
        render::operation(job.operation),
        render::status(job.status),
        render::outcome(job.outcome).unwrap_or("-").to_owned(),
        rows.total.to_string(),
        rows.applied.to_string(),
        rows.total.saturating_sub(rows.valid).to_string(),
        job.submit_time.map(render::time).unwrap_or_default(),
    ]
}
