//! The OpenAPI document and the page that shows it, both without a token and without a network.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use utoipa_swagger_ui::{Config, SwaggerFile, serve};

use super::problem::Problem;
use crate::error::{Code, Error};

/// Nothing leaves the page's own origin.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Paths are relative, so that a proxy may put all of them below a prefix.
static PAGE: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let page = Config::from("../openapi.json")
        .validator_url("none")
        .use_base_layout()
        .try_it_out_enabled(false)
        .default_models_expand_depth(0)
        .display_request_duration(true);
    Arc::new(page)
});

/// `/openapi.json` with that text, `/docs` and what the page loads.
pub(super) fn router<S: Clone + Send + Sync + 'static>(document: Bytes) -> Router<S> {
    let json = [(header::CONTENT_TYPE, "application/json")];
    Router::new()
        .route("/openapi.json", get(async move || (json, document.clone())))
        .route("/docs", get(moved))
        .route("/docs/", get(index))
        .route("/docs/{*file}", get(file))
}

/// The page names its parts relative to its folder.
async fn moved() -> impl IntoResponse {
    (axum::http::StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "docs/")])
}

async fn index() -> Result<Response, Problem> {
    part("index.html")
}

async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    part(&name)
}

fn part(name: &str) -> Result<Response, Problem> {
    let found = serve(name, Arc::clone(&PAGE)).map_err(Error::internal)?;
    let Some(SwaggerFile { bytes, content_type, .. }) = found else {
        return Err(Problem(Error::new(Code::PathNotFound, "there is no such path")));
    };
    let headers = [
        (header::CONTENT_TYPE, content_type.as_str()),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, bytes).into_response())
}
