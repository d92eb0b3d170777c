//! Reading and cancelling one job.

use axum::{
    Json,
    extract::State,
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{
    inline,
    problem::Problem,
    request::{self, Caller, Id, NoParameters},
    routes::Face,
    view::{Cancelled, Full, Plain},
};
use crate::{domain::Job, limits::POLL_INTERVAL};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    view: View,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum View {
    #[default]
    Plain,
    Full,
}

/// The job as it stands, in the documented view or in ours.
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

/// Asks the job to stop. A finished job stays as it is.
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
