//! The complete error report, streamed; that of a finished job resumes by byte range (RFC 9110,
//! section 14).

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use http_range_header::{RangeUnsatisfiableError, parse_range_header};

use super::{
    format::Format,
    job::poll,
    openapi::{JobId, Ranges, ReportRefusals, examples},
    problem::Problem,
    request::{self, Caller, Id, NoParameters},
    routes::Face,
};
use crate::{
    domain::Job,
    engine::ReportReader,
    error::{Code, Error},
};

/// Get the error report
///
/// Every error of a job: validation errors by line and column, then processing errors by storage
/// and line. Before the job has ended, what is durable so far. `Accept` chooses between TSV, the
/// default, and NDJSON whose lines are `ReportEntry` objects. A finished job's report never changes,
/// so a download that broke off resumes by `Range` with `If-Range`.
#[utoipa::path(
    get, path = "/v0/async/cvrs/jobs/{job-id}/errors", operation_id = "getJobErrors", tag = "Jobs",
    params(JobId, Ranges),
    responses(
        (
            status = OK, description = "The report",
            content(
                (String = "text/tab-separated-values", example = examples::report_tsv),
                (String = "application/x-ndjson", example = examples::report_ndjson),
            ),
            headers(
                ("ETag" = String, description = "Names this form of a finished job's report"),
                ("Accept-Ranges" = String, description = "`bytes`, once the job has ended"),
            )
        ),
        (
            status = PARTIAL_CONTENT, description = "A part of a finished job's report",
            content(
                (String = "text/tab-separated-values", example = "line\tkind\tstorage\t"),
                (String = "application/x-ndjson", example = "{\"line\":2,\"kind\":"),
            ),
            headers(
                ("Content-Range" = String, description = "Which bytes of how many"),
                ("ETag" = String, description = "Names this form of the report"),
                ("Accept-Ranges" = String, description = "`bytes`"),
            )
        ),
        ReportRefusals,
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
    let format = Format::accepted(&headers);
    let (job, reader) = face.service.download(&caller, id).await?;
    if !job.is_terminal() {
        let body = Body::from_stream(pages(reader, format));
        let mut response = answer(StatusCode::OK, format, body);
        poll(&job, &mut response);
        return Ok(response);
    }
    let tag = entity_tag(&job, format);
    let part = match asked(&headers, &tag) {
        Some(range) => part(range, length(&face, &job, format).await?),
        None => Part::Whole,
    };
    let mut response = match part {
        Part::Whole => answer(StatusCode::OK, format, Body::from_stream(pages(reader, format))),
        Part::Bytes { first, last, total } => {
            let body = match format {
                Format::Tsv => Body::from_stream(cut(tsv(reader, first), 0, last - first)),
                Format::Ndjson => Body::from_stream(cut(pages(reader, format), first, last)),
            };
            let mut response = answer(StatusCode::PARTIAL_CONTENT, format, body);
            set(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{total}"));
            response
        }
        Part::Beyond { total } => return Ok(unsatisfiable(total)),
    };
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::ETAG, &tag);
    Ok(response)
}

fn answer(status: StatusCode, format: Format, body: Body) -> Response {
    let headers =
        [(header::CONTENT_TYPE, format.media_type()), (header::VARY, header::ACCEPT.as_str())];
    (status, headers, body).into_response()
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The report as it is sent, in pieces.
fn pages(reader: ReportReader, format: Format) -> impl Stream<Item = Result<Bytes, Error>> {
    let head = stream::iter([Ok(Bytes::from_static(format.head().as_bytes()))]);
    let pages = stream::try_unfold(reader, move |mut reader| async move {
        let Some(rows) = reader.next_page().await? else { return Ok::<_, Error>(None) };
        Ok(Some((Bytes::from(format.page(&rows)?), reader)))
    });
    head.chain(pages)
}

/// The report in TSV from a byte on. It is sent as it is stored, so what is before is not read.
fn tsv(reader: ReportReader, first: u64) -> impl Stream<Item = Result<Bytes, Error>> {
    let mut head = Bytes::from_static(Format::Tsv.head().as_bytes());
    let stored = first.saturating_sub(head.len() as u64);
    let passed = usize::try_from(first).unwrap_or(usize::MAX).min(head.len());
    let head = head.split_off(passed);
    stream::iter([Ok(head)]).chain(reader.tsv_from(stored))
}

/// Bytes of the whole report as it is sent. In NDJSON it is made once to count them: only a range
/// needs to know.
async fn length(face: &Face, job: &Job, format: Format) -> Result<u64, Error> {
    let reader = face.service.report(job).await?;
    if format == Format::Tsv {
        return Ok(format.head().len() as u64 + reader.tsv_length());
    }
    let mut pages = std::pin::pin!(pages(reader, format));
    let mut total = 0;
    while let Some(page) = pages.next().await {
        total += page?.len() as u64;
    }
    Ok(total)
}

/// Only the bytes from `first` to `last`, both included.
fn cut(
    pages: impl Stream<Item = Result<Bytes, Error>>,
    first: u64,
    last: u64,
) -> impl Stream<Item = Result<Bytes, Error>> {
    let mut at = 0;
    let pieces = pages.map(move |page| {
        let page = page?;
        let (start, end) = (at, at + page.len() as u64);
        at = end;
        let within = |place: u64| usize::try_from(place.clamp(start, end) - start).unwrap_or(0);
        Ok((page.slice(within(first)..within(last + 1).max(within(first))), end > last))
    });
    // Stops with the page that holds the last byte, which is still sent.
    let mut done = false;
    pieces
        .take_while(move |piece| {
            let go_on = !done;
            done = matches!(piece, Ok((_, true)) | Err(_));
            std::future::ready(go_on)
        })
        .map(|piece: Result<_, Error>| piece.map(|(bytes, _)| bytes))
}

/// Names this form of this report; a finished job's report never changes.
fn entity_tag(job: &Job, format: Format) -> String {
    format!(r#""{}.{}.{}""#, job.spec.id, job.seq, format.name())
}

/// The `Range` that counts: not one of a report that `If-Range` does not name.
fn asked<'a>(headers: &'a HeaderMap, tag: &str) -> Option<&'a str> {
    let same = headers.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == tag.as_bytes());
    headers.get(header::RANGE).filter(|_| same)?.to_str().ok()
}

/// What a range means.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Several ranges, or none that we know: they are not looked at.
    Whole,
    /// From `first` to `last`, both included.
    Bytes { first: u64, last: u64, total: u64 },
    /// It begins after the end.
    Beyond { total: u64 },
}

fn part(range: &str, total: u64) -> Part {
    match parse_range_header(range).and_then(|ranges| ranges.validate(total)) {
        Ok(ranges) => match ranges.as_slice() {
            [one] => Part::Bytes { first: *one.start(), last: *one.end(), total },
            _ => Part::Whole,
        },
        Err(RangeUnsatisfiableError::Unsatisfiable) => Part::Beyond { total },
        Err(_) => Part::Whole,
    }
}

fn unsatisfiable(total: u64) -> Response {
    let sentence = format!("the range lies beyond the report, which has {total} bytes");
    let mut response = Problem(Error::new(Code::Range, sentence)).into_response();
    set(&mut response, header::CONTENT_RANGE, &format!("bytes */{total}"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bytes(first: u64, last: u64) -> String {
        let pages =
            ["", "abc", "de", "", "fgh", "ij"].map(|p| Ok(Bytes::from_static(p.as_bytes())));
        let pieces: Vec<_> = cut(stream::iter(pages), first, last).collect().await;
        pieces.into_iter().map(|p| String::from_utf8(p.unwrap().to_vec()).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_cut_has_exactly_its_bytes_wherever_pages_end() {
        for first in 0..10 {
            for last in first..10 {
                let whole = &"abcdefghij"[first..=last];
                assert_eq!(bytes(first as u64, last as u64).await, whole, "{first}-{last}");
            }
        }
    }

    #[test]
    fn one_range_is_a_part_several_or_strange_ones_are_the_whole() {
        let bytes = |first, last| Part::Bytes { first, last, total: 10 };
        assert_eq!(part("bytes=0-0", 10), bytes(0, 0));
        assert_eq!(part("bytes=4-", 10), bytes(4, 9));
        assert_eq!(part("bytes=4-99", 10), bytes(4, 9));
        assert_eq!(part("bytes=-3", 10), bytes(7, 9));
        for whole in ["bytes=0-1,4-5", "rows=1-2", "bytes=x", "bytes=5-4", "bytes=,"] {
            assert_eq!(part(whole, 10), Part::Whole, "{whole}");
        }
        assert_eq!(part("bytes=10-", 10), Part::Beyond { total: 10 });
        assert_eq!(part("bytes=0-", 0), Part::Beyond { total: 0 });
    }

    #[test]
    fn a_range_of_another_report_does_not_count() {
        let headers = |if_range: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static("bytes=1-"));
            if !if_range.is_empty() {
                headers.insert(header::IF_RANGE, HeaderValue::from_static(if_range));
            }
            headers
        };
        assert_eq!(asked(&headers(""), "\"a\""), Some("bytes=1-"));
        assert_eq!(asked(&headers("\"a\""), "\"a\""), Some("bytes=1-"));
        assert_eq!(asked(&headers("\"b\""), "\"a\""), None);
        assert_eq!(asked(&headers("W/\"a\""), "\"a\""), None);
    }
}
