//! `cvrsd get`: one job as it stands.

use super::{
    Failure,
    client::{Target, refused},
    render::{self, Output},
};
use crate::proto::jobs::GetJobRequest;

/// Options of `get`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id
    job: String,
    /// How to write the job
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

/// Prints the job.
///
/// # Errors
/// When there is no such job or no server.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut jobs = args.target.connect().await?;
    let request = GetJobRequest { job_id: args.job };
    let job = jobs.get_job(request).await.map_err(|s| refused(&s))?.into_inner().job;
    let job = job.unwrap_or_default();
    match args.output {
        Output::Text => render::print(render::job_text(&job)),
        Output::Json => render::print_line(render::job_json(&job)),
    }
}
