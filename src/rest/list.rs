//! The caller's jobs, newest first.

use axum::{
    Json,
    extract::State,
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    JOBS,
    openapi::{ListRefusals, OperationName, StatusName, examples},
    problem::Problem,
    request::{self, Caller},
    routes::Face,
    view::Full,
};
use crate::{
    domain::{Operation, Status},
    engine::ListQuery,
    error::{Code, Error},
};

#[derive(Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// Most jobs of the page: 50 where it is 0 or left out, never more than 500.
    #[param(value_type = u64, maximum = 4_294_967_295_u32)]
    page_size: u32,
    /// `nextPageToken` of the page before; empty for the first page.
    #[param(pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$")]
    page_token: String,
    /// Only jobs with this status.
    #[param(value_type = Option<StatusName>, nullable = false)]
    status: Option<String>,
    /// Only jobs with this operation.
    #[param(value_type = Option<OperationName>, nullable = false)]
    operation: Option<String>,
}

/// A page of jobs, each in the full view without its error lists.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = JobPage)]
pub(super) struct Page {
    /// Newest first. A filtered page may hold fewer than asked for and still name a next one.
    jobs: Vec<Full>,
    /// `pageToken` of the next page; empty on the last one.
    next_page_token: String,
}

/// List jobs
///
/// The caller's jobs, newest first, in the full view without their error lists.
#[utoipa::path(
    get, path = "/v0/async/cvrs/jobs", operation_id = "listJobs", tag = "Jobs",
    params(Parameters),
    responses(
        (
            status = OK, description = "A page of jobs", body = Page,
            headers(("Link" = String, description = "The first page and, but on the last, the next")),
            example = examples::page
        ),
        ListRefusals,
    )
)]
pub(super) async fn list(
    State(face): State<Face>,
    Caller(caller): Caller,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = asked(request::query(&uri)?)?;
    let page = face.service.list(&caller, query.clone()).await?;
    let links = links(&query, &page.next_page_token);
    let body = Page {
        jobs: page.jobs.iter().map(|job| Full::new(job, None)).collect(),
        next_page_token: page.next_page_token,
    };
    Ok(([(header::LINK, links)], Json(body)).into_response())
}

/// Where the listing starts and, unless this page is the last, where it goes on (RFC 8288). All
/// values are from closed sets, digits or ids, so none needs an escape.
fn links(query: &ListQuery, next_page_token: &str) -> String {
    let mut filters = Vec::new();
    if query.page_size > 0 {
        filters.push(format!("pageSize={}", query.page_size));
    }
    filters.extend(query.status.map(|status| format!("status={status}")));
    filters.extend(query.operation.map(|operation| format!("operation={operation}")));
    let mut links = link(&filters, "first");
    if !next_page_token.is_empty() {
        filters.push(format!("pageToken={next_page_token}"));
        links = format!("{links}, {}", link(&filters, "next"));
    }
    links
}

fn link(parameters: &[String], relation: &str) -> String {
    let mark = if parameters.is_empty() { "" } else { "?" };
    format!(r#"<{JOBS}{mark}{}>; rel="{relation}""#, parameters.join("&"))
}

fn asked(parameters: Parameters) -> Result<ListQuery, Error> {
    Ok(ListQuery {
        page_size: usize::try_from(parameters.page_size).map_err(Error::internal)?,
        page_token: parameters.page_token,
        status: named("status", parameters.status, Status::from_name)?,
        operation: named("operation", parameters.operation, Operation::from_name)?,
    })
}

fn named<T>(
    parameter: &str,
    text: Option<String>,
    from_name: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    let Some(text) = text else { return Ok(None) };
    let unknown = || Error::new(Code::Parameter, format!("{parameter} {text:?} is unknown"));
    Ok(Some(from_name(&text).ok_or_else(unknown)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<ListQuery, Error> {
        let uri: Uri = format!("/x?{query}").parse().unwrap();
        asked(request::query(&uri)?)
    }

    #[test]
    fn parameters_are_read_by_their_names() {
        assert_eq!(parse("").unwrap(), ListQuery::default());
        assert_eq!(
            parse("pageSize=7&pageToken=t%2F1&status=DE-QUEUED&operation=delete").unwrap(),
            ListQuery {
                page_size: 7,
                page_token: "t/1".to_owned(),
                status: Some(Status::DeQueued),
                operation: Some(Operation::Delete),
            }
        );
    }

    #[test]
    fn unknown_names_and_values_are_refused() {
        for bad in [
            "pageSize=-1",
            "pageSize=4294967296",
            "pageSize=x",
            "status=DONE",
            "operation=drop",
            "page_size=1",
        ] {
            assert_eq!(parse(bad).unwrap_err().code, Code::Parameter, "{bad}");
        }
    }

    #[test]
    fn links_keep_the_filters_and_the_last_page_has_no_next_one() {
        let query = parse("pageSize=7&pageToken=9&status=DE-QUEUED&operation=delete").unwrap();
        assert_eq!(
            links(&query, "2"),
            "</v0/async/cvrs/jobs?pageSize=7&status=DE-QUEUED&operation=delete>; rel=\"first\", \
             </v0/async/cvrs/jobs?pageSize=7&status=DE-QUEUED&operation=delete&pageToken=2>; rel=\"next\""
        );
        assert_eq!(links(&parse("").unwrap(), ""), "</v0/async/cvrs/jobs>; rel=\"first\"");
    }

    #[test]
    fn an_empty_page_is_an_empty_list_and_an_empty_token() {
        let page = Page { jobs: Vec::new(), next_page_token: String::new() };
        assert_eq!(serde_json::to_string(&page).unwrap(), r#"{"jobs":[],"nextPageToken":""}"#);
    }
}
