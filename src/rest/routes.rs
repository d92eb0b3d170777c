//! Which path and method goes where.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, Method, Uri, header},
    middleware::{from_fn_with_state, map_response},
    response::Response,
};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    BATCH, JOBS, batch, docs, errors, events, job, list, openapi, origin, problem::Problem, submit,
    token,
};
use crate::{
    auth::Authenticator,
    config,
    engine::Service,
    error::{Code, Error},
    shares::Shares,
    telemetry,
};

/// What every handler needs; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Face {
    pub service: Service,
    pub authenticator: Authenticator,
    pub config: Arc<config::Rest>,
    /// Synchronous uploads that are waited for.
    pub waits: Shares,
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
        .layer(from_fn_with_state(face.clone(), origin::own))
        .layer(map_response(private))
        .layer(from_fn_with_state("rest", telemetry::observe))
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
        .routes(routes!(token::generate))
        .routes(routes!(token::refresh))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Beside the API: the document itself, and its page.
    const PAGES: [&str; 4] = ["/docs", "/docs/", "/docs/{*file}", "/openapi.json"];

    /// How axum itself sends to the fallback what no path takes.
    const FALLBACK: [&str; 2] = ["/", "/{*__private__axum_fallback}"];

    /// Paths that a router takes. It shows them nowhere but in its debug text.
    fn paths(router: &Router<Face>) -> BTreeSet<String> {
        let text = format!("{router:?}");
        let texts = text.split('"').skip(1).step_by(2);
        let paths = texts.filter(|text| text.starts_with('/') && !FALLBACK.contains(text));
        paths.map(str::to_owned).collect()
    }

    #[test]
    fn every_path_is_in_the_document_and_every_documented_path_is_taken() {
        let (router, document) = documented();
        let described: BTreeSet<String> = document.paths.paths.keys().cloned().collect();
        assert_eq!(paths(&router), described);
        let whole = router.merge(docs::router(openapi::json(&document).unwrap()));
        let pages = PAGES.map(str::to_owned);
        assert_eq!(paths(&whole), described.into_iter().chain(pages).collect());
    }
}
