//! The OpenAPI document, made from the handlers' own annotations and types.
//!
//! What many operations share stands here: who may call, parameters, refusals, examples.

mod answers;
pub(super) mod examples;
mod names;
mod parameters;

use axum::body::Bytes;
use utoipa::{
    OpenApi,
    openapi::{
        self, Required,
        path::{Operation, PathItem, Paths},
        security::{ApiKey, ApiKeyValue, SecurityScheme},
    },
};
use utoipa_axum::router::UtoipaMethodRouter;

pub(super) use answers::{
    Accepted, BatchRefusals, Delayed, EventRefusals, JobRefusals, ListRefusals, RefreshRefusals,
    ReportRefusals, SubmitRefusals, TokenRefusals,
};
pub(super) use names::{JobView, OperationName, OutcomeName, ResultName, ScopeName, StatusName};
pub(super) use parameters::{BodyEncoding, JobId, LastEventId, Ranges, UploadHeaders};

use super::{format::Entry, problem, view};
use crate::error::Error;

/// Name of the security scheme.
const TOKEN: &str = "token";
const TOKEN_TEXT: &str = "The token itself; `Bearer ` before it is taken as well.";

#[derive(OpenApi)]
#[openapi(
    info(description = "Creates, updates and deletes immunization records in bulk: durably, and \
        every row exactly once. Every refusal is a problem document with a stable code."),
    tags(
        (name = "Jobs", description = "Asynchronous bulk jobs over CVRS v2 files"),
        (name = "Tokens", description = "Who calls, where the daemon asks for that"),
        (name = "Batch", description = "The same, answered once the file is processed"),
    ),
    components(schemas(problem::Body<'_>, Entry<'_>, view::Six, view::Plain, view::Full)),
    security(("token" = []))
)]
struct Base;

/// The document without a path.
pub(super) fn base() -> openapi::OpenApi {
    let mut document = Base::openapi();
    let components = document.components.get_or_insert_default();
    let token = ApiKeyValue::with_description("Authorization", TOKEN_TEXT);
    components.add_security_scheme(TOKEN, SecurityScheme::ApiKey(ApiKey::Header(token)));
    components.examples = answers::problem_examples();
    document
}

/// The same handler under a second path, whose operation needs a name of its own.
pub(super) fn also_at<S>(
    path: &str,
    operation_id: &str,
    (schemas, paths, handlers): UtoipaMethodRouter<S>,
) -> UtoipaMethodRouter<S> {
    let mut renamed = Paths::new();
    for (_, mut item) in paths.paths {
        for operation in operations(&mut item) {
            operation.operation_id = Some(operation_id.to_owned());
        }
        renamed.paths.insert(path.to_owned(), item);
    }
    (schemas, renamed, handlers)
}

/// Tells apart the three operations of an upload's path, which one handler serves. `suffix` ends
/// their names, `title` their summaries.
pub(super) fn name_verbs(document: &mut openapi::OpenApi, path: &str, suffix: &str, title: &str) {
    let Some(item) = document.paths.paths.get_mut(path) else { return };
    for (verb, operation) in
        [("create", &mut item.post), ("update", &mut item.put), ("delete", &mut item.delete)]
    {
        let Some(operation) = operation else { continue };
        let (first, rest) = verb.split_at(1);
        operation.operation_id = Some(format!("{verb}{suffix}"));
        operation.summary = Some(format!("{}{rest} records{title}", first.to_uppercase()));
        if let Some(body) = &mut operation.request_body
            && let openapi::RefOr::T(body) = body
        {
            body.required = Some(Required::True);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, .. } = item;
    [get, put, post, delete].into_iter().flatten()
}

/// The document as it is served.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn json(document: &openapi::OpenApi) -> Result<Bytes, Error> {
    let mut json = serde_json::to_vec_pretty(document).map_err(Error::internal)?;
    json.push(b'\n');
    Ok(json.into())
}
