//! `cvrsd cancel`: asks a job to stop.

use serde_json::json;

use super::{
    Failure,
    client::{Target, refused},
    render::{self, Output},
};
use crate::proto::jobs::{CancelJobRequest, Job, Status};

/// Options of `cancel`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id
    job: String,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

/// Cancels and says whether it took effect; a finished job stays as it is, which is no failure.
///
/// # Errors
/// When there is no such job or no server.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut jobs = args.target.connect().await?;
    let request = CancelJobRequest { job_id: args.job };
    let answer = jobs.cancel_job(request).await.map_err(|s| refused(&s))?.into_inner();
    let job = answer.job.unwrap_or_default();
    if args.output == Output::Json {
        let job = render::job_json(&job);
        return render::print_line(json!({ "cancelled": answer.cancelled, "job": job }));
    }
    let effect = effect(answer.cancelled, &job);
    render::print(format!("{:<11} {effect}\n{}", "cancel", render::job_text(&job)))
}

fn effect(cancelled: bool, job: &Job) -> &'static str {
    match (cancelled, job.status()) {
        (false, _) => "no effect, the job had ended before",
        (true, Status::Completed) => "done",
        (true, _) => "accepted, the job ends at its next batch",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_whether_the_job_has_ended_and_by_this_cancel() {
        let job = |status: Status| Job { status: status.into(), ..Job::default() };
        assert!(effect(true, &job(Status::Processing)).starts_with("accepted"));
        assert!(effect(true, &job(Status::Completed)).starts_with("done"));
        assert!(effect(false, &job(Status::Completed)).starts_with("no effect"));
    }
}
