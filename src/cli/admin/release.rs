//! `cvrsd admin release`.

use serde_json::json;

use crate::{
    cli::{
        Failure,
        client::{AdminTarget, refused},
        render::{self, Output},
    },
    proto::admin::ReleaseJobRequest,
};

/// Options of `release`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Job id, of any tenant
    job: String,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: AdminTarget,
}

/// Releases; a job that is not held stays as it is, which is no failure.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let mut admin = args.target.connect().await?;
    let request = ReleaseJobRequest { job_id: args.job };
    let released = admin.release_job(request).await.map_err(|s| refused(&s))?.into_inner().released;
    match args.output {
        Output::Json => render::print_line(json!({ "released": released })),
        Output::Text if released => render::print_line("released, a new round of attempts begins"),
        Output::Text => render::print_line("no effect, the job is not held"),
    }
}
