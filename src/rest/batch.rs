//! The synchronous uploads: a durable job like any other, whose end the request waits for.
//!
//! A connection that is lost meanwhile loses nothing: the job goes on, and is found by its id, in the
//! list, or by the idempotency key.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

use super::{
    JOBS, inline,
    openapi::{BatchRefusals, BodyEncoding, Delayed, UploadHeaders, examples},
    problem::Problem,
    routes::Face,
    submit::{self, Parameters},
    view::Batch,
};
use crate::{
    auth::Principal,
    domain::{Job, Outcome},
    error::{Code, Error},
    watch::{Message, Watcher},
};

/// Submit an upload and wait
///
/// Answers once the upload is processed. Where its job does not end within `rest.sync_timeout`, is
/// held or is overtaken by a drain, or its result cannot be read, the answer is that of an asynchronous
/// submit, always with 202: the job is durable and goes on.
#[utoipa::path(
    method(post, put, delete), path = "/v0/upload/cvrs/batch", operation_id = "upload", tag = "Batch",
    params(Parameters, BodyEncoding, UploadHeaders),
    request_body(
        description = "A CVRS v2 file: text, or a zip with that text as its one entry.",
        content(("application/zip"), ("text/plain")),
    ),
    responses(
        (status = OK, description = "Processed", body = Batch, example = examples::batch),
        Delayed,
        BatchRefusals,
    )
)]
pub(super) async fn upload(
    State(face): State<Face>,
    request: Request,
) -> Result<Response, Problem> {
    let enter = |caller: &Principal| {
        face.waits.enter(&caller.client).map_err(|taken| {
            let text = format!("{taken} synchronous uploads are being waited for already");
            Error::new(Code::UploadsExhausted, text)
        })
    };
    let (_wait, caller, submission) = submit::receive(&face, request, enter).await?;
    // The job is durable: from here on every answer tells where it is.
    let later = StatusCode::ACCEPTED;
    let job = match ended(&face, &caller, &submission.job).await {
        Ok(job) => job,
        Err(error) => return Ok(submit::unread(later, &submission.job, &error)),
    };
    if !job.is_terminal() {
        return Ok(submit::accepted(&face, later, &job).await);
    }
    if job.outcome() == Some(Outcome::Cancelled) {
        return Ok(cancelled(&job));
    }
    let budget = face.config.inline_error_chars;
    let view = inline::fit(&face.service, &job, budget, |lists| Batch::new(&job, lists)).await;
    Ok(match view {
        Ok(view) => Json(view).into_response(),
        Err(error) => submit::unread(later, &job, &error),
    })
}

/// The job at its end, or as it stood when waiting was of no more use.
async fn ended(face: &Face, caller: &Principal, job: &Arc<Job>) -> Result<Arc<Job>, Error> {
    let mut newest = Arc::clone(job);
    if newest.is_terminal() {
        return Ok(newest);
    }
    let mut watcher = face.service.watch(caller, job.spec.id, 0).await?;
    let follow = async {
        while let Some(job) = next(&mut watcher).await? {
            newest = job;
            if newest.is_terminal() || newest.held {
                break;
            }
        }
        Ok(())
    };
    timeout(face.config.sync_timeout, follow).await.unwrap_or(Ok(()))?;
    Ok(newest)
}

/// The next state; `None` where the daemon drains.
async fn next(watcher: &mut Watcher) -> Result<Option<Arc<Job>>, Error> {
    while let Some(message) = watcher.next().await {
        match message? {
            Message::Snapshot(job) | Message::Event { job, .. } => return Ok(Some(job)),
            Message::Bookmark { .. } => {}
            Message::Draining { .. } => return Ok(None),
        }
    }
    Ok(None)
}

/// The documented body has no word for a job that somebody stopped, and must not read as a success.
fn cancelled(job: &Job) -> Response {
    let sentence = format!("job {} was cancelled before its end", job.spec.id);
    let problem = Problem(Error::new(Code::JobCancelled, sentence));
    let location = [(header::LOCATION, format!("{JOBS}/{}", job.spec.id))];
    (location, problem).into_response()
}
