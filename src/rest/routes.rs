//! Which path and method goes where.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, Method, Uri, header},
    middleware::map_response,
    response::Response,
    routing::{get, post},
};
use tokio::sync::Semaphore;

use super::{BATCH, JOBS, batch, errors, events, job, list, problem::Problem, submit, token};
use crate::{
    auth::Authenticator,
    config,
    engine::Service,
    error::{Code, Error},
};

/// What every handler needs; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Face {
    pub service: Service,
    pub authenticator: Authenticator,
    pub config: Arc<config::Rest>,
    /// Synchronous uploads that may be waited for.
    pub waits: Arc<Semaphore>,
}

/// All paths. What is refused before a handler answers as a problem as well.
pub(super) fn router(face: Face) -> Router {
    let jobs = get(list::list).post(submit::submit).put(submit::submit).delete(submit::submit);
    Router::new()
        .route(JOBS, jobs)
        .route(BATCH, post(batch::upload).put(batch::upload).delete(batch::upload))
        .route(&format!("{JOBS}/{{id}}"), get(job::get))
        .route("/v0/async/cvrs/{id}", get(job::get))
        .route(&format!("{JOBS}/{{id}}/cancel"), post(job::cancel))
        .route(&format!("{JOBS}/{{id}}/errors"), get(errors::errors))
        .route(&format!("{JOBS}/{{id}}/events"), get(events::events))
        .route("/v0/token/gen", post(token::generate))
        .route("/v0/token/refresh", post(token::refresh))
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .layer(map_response(private))
        .with_state(face)
}

async fn no_path() -> Problem {
    Problem(Error::new(Code::PathNotFound, "there is no such path"))
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let sentence = format!("{method} is not taken at {}", uri.path());
    Problem(Error::new(Code::MethodNotAllowed, sentence))
}

/// Answers hold ids of records, so no cache keeps them.
async fn private(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}
