//! Reading and cancelling one job.

use axum::{
    Json,
    extract::State,
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    inline,
    openapi::{JobId, JobRefusals, JobView, examples},
    problem::Problem,
    request::{self, Caller, Id, NoParameters},
    routes::Face,
    view::{Cancelled, Full, Plain},
};
use crate::{domain::Job, limits::POLL_INTERVAL};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// `full` adds our properties after the documented ones.
    #[serde(default)]
    #[param(inline)]
    view: View,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum View {
    #[default]
    Plain,
    Full,
}

/// Get a job
///
/// The job as it stands. Ask again after `Retry-After` until `status` is `COMPLETED`.
#[utoipa::path(
    get, path = "/v0/async/cvrs/jobs/{job-id}", operation_id = "getJob", tag = "Jobs",
    params(JobId, Parameters),
    responses(
        (
            status = OK, description = "The job", body = JobView,
            headers(("Retry-After" = u64, description = "Seconds, while the job has not ended")),
            examples(
                ("plain" = (summary = "As documented", value = json!(examples::plain()))),
                ("full" = (summary = "With `view=full`", value = json!(examples::full()))),
            )
        ),
        JobRefusals,
    )
)]
pub(super) async fn get(
    State(face): State<Face>,
    Caller(caller): Caller,
    Id(id): Id,
    uri: Uri,
) -> Result<Response, Problem> {
    let parameters: Parameters = request::query(&uri)?;
    let job = face.service.get(&caller, id).await?;
    let budget = face.config.inline_error_chars;
    let service = &face.service;
    Ok(match parameters.view {
        View::Plain => {
            let view = inline::fit(service, &job, budget, |l| Plain::new(&job, Some(l))).await?;
            answer(&job, view)
        }
        View::Full => {
            let view = inline::fit(service, &job, budget, |l| Full::new(&job, Some(l))).await?;
            answer(&job, view)
        }
    })
}

/// Cancel a job
///
/// Asks the job to stop. Rows that were applied stay applied. A finished job stays as it is.
#[utoipa::path(
    post, path = "/v0/async/cvrs/jobs/{job-id}/cancel", operation_id = "cancelJob", tag = "Jobs",
    params(JobId),
    responses(
        (
            status = OK, description = "The job after the request", body = Cancelled,
            headers(("Retry-After" = u64, description = "Seconds, while the job has not ended")),
            example = examples::cancelled
        ),
        JobRefusals,
    )
)]
pub(super) async fn cancel(
    State(face): State<Face>,
    Caller(caller): Caller,
    Id(id): Id,
    uri: Uri,
) -> Result<Response, Problem> {
    request::query::<NoParameters>(&uri)?;
    let cancel = face.service.cancel(&caller, id).await?;
    let job = &cancel.job;
    let view = |lists| Cancelled::new(job, Some(lists), cancel.took_effect);
    let view = inline::fit(&face.service, job, face.config.inline_error_chars, view).await?;
    Ok(answer(job, view))
}

fn answer(job: &Job, view: impl Serialize) -> Response {
    let mut response = Json(view).into_response();
    poll(job, &mut response);
    response
}

/// Says when to poll again while the job is not finished.
pub(super) fn poll(job: &Job, response: &mut Response) {
    if !job.is_terminal() {
        response.headers_mut().insert(header::RETRY_AFTER, POLL_INTERVAL.as_secs().into());
    }
}
