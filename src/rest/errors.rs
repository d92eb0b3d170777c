//! The complete error report, streamed as TSV or NDJSON.

use std::fmt::Write;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    openapi::{JobId, JobRefusals, examples},
    problem::Problem,
    request::{self, Caller, Id, NoParameters},
    routes::Face,
};
use crate::{engine::ReportRow, error::Error};

/// Columns of the TSV and members of the NDJSON, in this order.
const TSV_HEADER: &str = "line\tkind\tstorage\tvax_event_id\trecip_id\tfield\tcode\tmessage\n";

/// Get the error report
///
/// Every error of a job: validation errors by line and column, then processing errors by storage
/// and line. Before the job has ended, what is durable so far. `Accept` chooses between TSV, the
/// default, and NDJSON whose lines are `ReportEntry` objects.
#[utoipa::path(
    get, path = "/v0/async/cvrs/jobs/{job-id}/errors", operation_id = "getJobErrors", tag = "Jobs",
    params(JobId),
    responses(
        (
            status = OK, description = "The report",
            content(
                (String = "text/tab-separated-values", example = examples::report_tsv),
                (String = "application/x-ndjson", example = examples::report_ndjson),
            )
        ),
        JobRefusals,
    )
)]
pub(super) async fn errors(
    State(face): State<Face>,
    Caller(caller): Caller,
    Id(id): Id,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    request::query::<NoParameters>(&uri)?;
    let job = face.service.get(&caller, id).await?;
    let reader = face.service.report(&job).await?;
    let format = Format::accepted(&headers);
    let head = stream::iter([Ok(Bytes::from_static(format.head().as_bytes()))]);
    let pages = stream::try_unfold(reader, move |mut reader| async move {
        let Some(rows) = reader.next_page().await? else { return Ok::<_, Error>(None) };
        Ok(Some((Bytes::from(format.page(&rows)?), reader)))
    });
    let content_type = [(header::CONTENT_TYPE, format.media_type())];
    Ok((content_type, Body::from_stream(head.chain(pages))).into_response())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Tsv,
    Ndjson,
}

/// One line of the error report in NDJSON.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportEntry)]
pub(super) struct Entry<'a> {
    /// Line of the file; the header is line 1.
    #[schema(minimum = 1)]
    line: u64,
    /// `validation` or `processing`.
    #[schema(pattern = "^(validation|processing)$")]
    kind: &'static str,
    /// The storage of a processing error, else empty.
    storage: &'static str,
    /// As the row spells it; empty where it is missing.
    vax_event_id: &'a str,
    /// As the row spells it; empty where it is missing.
    recip_id: &'a str,
    /// The column of a validation error; empty where the whole row or file is meant.
    field: &'a str,
    /// Stable code.
    #[schema(pattern = "^CVRS-[A-Z0-9-]+$")]
    code: &'a str,
    /// The same as a sentence.
    message: &'a str,
}

impl<'a> Entry<'a> {
    fn new(row: &'a ReportRow) -> Self {
        Self {
            line: row.line,
            kind: if row.storage.is_some() { "processing" } else { "validation" },
            storage: row.storage.map_or("", |s| s.as_str()),
            vax_event_id: &row.vax_event_id,
            recip_id: &row.recip_id,
            field: &row.field,
            code: &row.code,
            message: &row.message,
        }
    }
}

impl Format {
    /// NDJSON where the caller names it, else TSV.
    fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
        let mut types = values.flat_map(|v| v.split(',')).map(essence);
        let json = ["application/x-ndjson", "application/ndjson"];
        if types.any(|t| json.iter().any(|j| j.eq_ignore_ascii_case(t))) {
            Self::Ndjson
        } else {
            Self::Tsv
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Tsv => "text/tab-separated-values; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    fn head(self) -> &'static str {
        match self {
            Self::Tsv => TSV_HEADER,
            Self::Ndjson => "",
        }
    }

    fn page(self, rows: &[ReportRow]) -> Result<String, Error> {
        let mut page = String::new();
        for row in rows {
            self.write(&mut page, &Entry::new(row))?;
        }
        Ok(page)
    }

    fn write(self, page: &mut String, entry: &Entry<'_>) -> Result<(), Error> {
        match self {
            Self::Tsv => {
                let Entry { line, kind, storage, vax_event_id, recip_id, field, code, message } =
                    entry;
                writeln!(
                    page,
                    "{line}\t{kind}\t{storage}\t{vax_event_id}\t{recip_id}\t{field}\t{code}\t{message}"
                )
                .map_err(Error::internal)
            }
            Self::Ndjson => {
                page.push_str(&serde_json::to_string(entry).map_err(Error::internal)?);
                page.push('\n');
                Ok(())
            }
        }
    }
}

/// A media type without its parameters.
fn essence(media_range: &str) -> &str {
    media_range.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::domain::Storage;

    fn rows() -> [ReportRow; 2] {
        let row = ReportRow {
            line: 2,
            storage: None,
            vax_event_id: "EV1".to_owned(),
            recip_id: String::new(),
            field: "recip_dob".to_owned(),
            code: "X".to_owned(),
            message: "a \"b\"".to_owned(),
        };
        let missing = ReportRow {
            line: 3,
            storage: Some(Storage::Redacted),
            recip_id: "P1".to_owned(),
            field: String::new(),
            message: "Record does not exist".to_owned(),
            ..row.clone()
        };
        [row, missing]
    }

    #[test]
    fn tsv_has_a_header_and_one_line_for_each_error() {
        assert_eq!(
            format!("{}{}", Format::Tsv.head(), Format::Tsv.page(&rows()).unwrap()),
            "line\tkind\tstorage\tvax_event_id\trecip_id\tfield\tcode\tmessage\n\
             2\tvalidation\t\tEV1\t\trecip_dob\tX\ta \"b\"\n\
             3\tprocessing\tREDACTED_DB\tEV1\tP1\t\tX\tRecord does not exist\n"
        );
    }

    #[test]
    fn ndjson_has_the_same_members_in_the_same_order() {
        assert_eq!(Format::Ndjson.head(), "");
        assert_eq!(
            Format::Ndjson.page(&rows()).unwrap(),
            concat!(
                r#"{"line":2,"kind":"validation","storage":"","vax_event_id":"EV1","recip_id":"","field":"recip_dob","code":"X","message":"a \"b\""}"#,
                "\n",
                r#"{"line":3,"kind":"processing","storage":"REDACTED_DB","vax_event_id":"EV1","recip_id":"P1","field":"","code":"X","message":"Record does not exist"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn ndjson_is_sent_only_where_accept_names_it() {
        for (accept, format) in [
            ("application/x-ndjson", Format::Ndjson),
            ("text/html, Application/NDJSON;q=0.5", Format::Ndjson),
            ("*/*", Format::Tsv),
            ("application/json", Format::Tsv),
            ("text/tab-separated-values", Format::Tsv),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Format::accepted(&headers), format, "{accept}");
        }
        assert_eq!(Format::accepted(&HeaderMap::new()), Format::Tsv);
    }
}
