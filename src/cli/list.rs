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

/// Prints the jobs, page by page.
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

/// Writes pages as they come, so that a long list needs no memory.
struct Writer {
    output: Output,
    jobs: usize,
}

impl Writer {
    fn new(output: Output) -> Self {
        Self { output, jobs: 0 }
    }

    fn page(&mut self, jobs: &[Job]) -> Result<(), Failure> {
        let first = self.jobs == 0;
        self.jobs += jobs.len();
        match self.output {
            Output::Text if jobs.is_empty() => Ok(()),
            Output::Text => {
                let header: &[&str] = if first { &HEADER } else { &[] };
                let table = render::table(header, jobs.iter().map(columns));
                render::print_line(table.trim_fmt())
            }
            Output::Json => {
                let mut text = String::new();
                for (i, job) in jobs.iter().enumerate() {
                    text.push_str(if first && i == 0 { "[\n" } else { ",\n" });
                    text.push_str(&render::job_json(job).to_string());
                }
                render::print(text)
            }
        }
    }

    fn end(self) -> Result<(), Failure> {
        match (self.output, self.jobs) {
            (Output::Text, 0) => render::print_line("no jobs"),
            (Output::Text, _) => Ok(()),
            (Output::Json, 0) => render::print_line("[]"),
            (Output::Json, _) => render::print_line("\n]"),
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
