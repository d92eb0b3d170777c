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

use super::{JOBS, inline, problem::Problem, request, routes::Face, submit, view::Batch};
use crate::{
    auth::Principal,
    domain::{Job, Outcome},
    error::{Code, Error},
    limits::SYNC_WAITS_MAX,
    watch::{Message, Watcher},
};

/// Receives an upload and answers once it is processed.
///
/// Where its job does not end within `rest.sync_timeout`, is held or is overtaken by a drain, the
/// answer is that of an asynchronous submit, always with 202: the job is durable and goes on.
pub(super) async fn upload(
    State(face): State<Face>,
    request: Request,
) -> Result<Response, Problem> {
    let Ok(_permit) = face.waits.try_acquire() else {
        let refused = request::caller(request.headers(), &face).err().unwrap_or_else(exhausted);
        submit::discard(request.into_body().into_data_stream());
        return Err(refused.into());
    };
    let (caller, submission) = submit::receive(&face, request).await?;
    let job = ended(&face, &caller, &submission.job).await?;
    if !job.is_terminal() {
        return Ok(submit::accepted(&face, StatusCode::ACCEPTED, &job).await?);
    }
    if job.outcome() == Some(Outcome::Cancelled) {
        return Ok(cancelled(&job));
    }
    let budget = face.config.inline_error_chars;
    let view = inline::fit(&face.service, &job, budget, |lists| Batch::new(&job, lists)).await?;
    Ok(Json(view).into_response())
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

fn exhausted() -> Error {
    let sentence = format!("{SYNC_WAITS_MAX} synchronous uploads are being waited for already");
    Error::new(Code::UploadsExhausted, sentence)
}

/// The documented body has no word for a job that somebody stopped, and must not read as a success.
fn cancelled(job: &Job) -> Response {
    let sentence = format!("job {} was cancelled before its end", job.spec.id);
    let problem = Problem(Error::new(Code::JobCancelled, sentence));
    let location = [(header::LOCATION, format!("{JOBS}/{}", job.spec.id))];
    (location, problem).into_response()
}
