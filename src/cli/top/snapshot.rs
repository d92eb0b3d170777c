//! What the daemon answers at one moment.

use std::time::Instant;

use tonic::{Code, Status};

use crate::{
    cli::{
        Failure,
        client::{Admin, Jobs, refused},
        render,
    },
    limits::{TOP_JOBS_MAX, TOP_RUNNING_MAX},
    proto::{
        admin::{GetOverviewRequest, GetOverviewResponse},
        jobs::{GetJobRequest, Job, ListJobsRequest},
    },
};

/// What was seen, and when.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// When.
    pub at: Instant,
    /// The daemon; `None` where the token does not allow it.
    pub overview: Option<GetOverviewResponse>,
    /// Jobs of the caller's tenant: those that run, then the newest.
    pub jobs: Vec<Job>,
    /// What could not be seen, and why.
    pub trouble: Option<String>,
}

/// Looks once.
///
/// # Errors
/// When there is no server, or it shows neither jobs nor the daemon.
pub(super) async fn take(jobs: &mut Jobs, admin: &mut Admin) -> Result<Snapshot, Failure> {
    let overview = allowed(admin.get_overview(GetOverviewRequest {}).await)?;
    let request = ListJobsRequest { page_size: TOP_JOBS_MAX, ..ListJobsRequest::default() };
    let listed = allowed(jobs.list_jobs(request).await)?;
    let trouble = match (&overview, &listed) {
        (Err(no), Err(_)) => return Err(refused(no)),
        (Err(no), Ok(_)) | (Ok(_), Err(no)) => Some(refused(no).message),
        (Ok(_), Ok(_)) => None,
    };
    let (overview, listed) = (overview.ok(), listed.map(|page| page.jobs).unwrap_or_default());
    let mut seen = running(jobs, overview.as_ref()).await;
    for job in listed {
        if seen.iter().all(|known| known.job_id != job.job_id) {
            seen.push(job);
        }
    }
    Ok(Snapshot { at: Instant::now(), overview, jobs: seen, trouble })
}

/// The first jobs of lanes with one that runs, which may be far from the newest; those of other tenants are
/// not told to the caller.
async fn running(jobs: &mut Jobs, overview: Option<&GetOverviewResponse>) -> Vec<Job> {
    let lanes = overview.into_iter().flat_map(|overview| &overview.lanes);
    let mut seen = Vec::new();
    for lane in lanes.filter(|lane| lane.running > 0).take(TOP_RUNNING_MAX) {
        let request = GetJobRequest { job_id: lane.first_job_id.clone() };
        let answer = jobs.get_job(request).await.ok();
        seen.extend(answer.and_then(|answer| answer.into_inner().job));
    }
    seen.retain(|job| render::outcome(job.outcome).is_none());
    seen
}

/// An answer, or that the caller may not have it.
fn allowed<T>(answer: Result<tonic::Response<T>, Status>) -> Result<Result<T, Status>, Failure> {
    match answer {
        Ok(answer) => Ok(Ok(answer.into_inner())),
        Err(status) if status.code() == Code::PermissionDenied => Ok(Err(status)),
        Err(status) => Err(refused(&status)),
    }
}
