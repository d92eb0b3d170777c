//! Which path and method goes where.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, Method, Uri, header},
    middleware::map_response,
    response::Response,
};
use tokio::sync::Semaphore;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    BATCH, JOBS, batch, docs, errors, events, job, list, openapi, problem::Problem, submit,
};
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
///
/// # Errors
/// When the document cannot be written.
pub(super) fn router(face: Face) -> Result<Router, Error> {
    let (router, document) = documented();
    let router = router
        .merge(docs::router(openapi::json(&document)?))
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .layer(map_response(private))
        .with_state(face);
    Ok(router)
}

/// The paths of the API, and the document that describes them.
fn documented() -> (Router<Face>, OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(list::list, submit::submit))
        .routes(routes!(job::get))
        .routes(openapi::also_at("/v0/async/cvrs/{job-id}", "getJobShort", routes!(job::get)))
        .routes(routes!(job::cancel))
        .routes(routes!(errors::errors))
        .routes(routes!(events::events))
        .routes(routes!(batch::upload))
        .split_for_parts();
    openapi::name_verbs(&mut document, JOBS, "Records", "");
    openapi::name_verbs(&mut document, BATCH, "Batch", " and wait");
    (router, document)
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
