//! `DELETE`, `POST` and `PUT` of an upload. The body is streamed, never held whole.

use axum::{
    Json,
    body::{BodyDataStream, HttpBody},
    extract::{Request, State},
    http::{Method, StatusCode, Version, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::{
    JOBS, inline,
    job::poll,
    openapi::{Accepted, BodyEncoding, SubmitRefusals, UploadHeaders},
    problem::Problem,
    request,
    routes::Face,
    view::Six,
};
use crate::{
    auth::Principal,
    domain::{Job, Operation},
    engine::{Submission, Submit, SubmitRequest},
    error::{Code, Error},
    intake::{self, Encoding},
    limits::{POLL_INTERVAL, REFUSED_BODY_TIMEOUT},
};

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Check every row, apply none.
    #[serde(default)]
    validate_only: bool,
}

/// Submit an upload
///
/// Answers once body and job are on disk; then the job runs by itself. Ask for it at `Location`.
#[utoipa::path(
    method(post, put, delete), path = "/v0/async/cvrs/jobs", operation_id = "submit", tag = "Jobs",
    params(Parameters, BodyEncoding, UploadHeaders),
    request_body(
        description = "A CVRS v2 file: text, or a zip with that text as its one entry.",
        content(("application/zip"), ("text/plain")),
    ),
    responses(Accepted, SubmitRefusals)
)]
pub(super) async fn submit(
    State(face): State<Face>,
    request: Request,
) -> Result<Response, Problem> {
    let ((), _, submission) = receive(&face, request, |_| Ok(())).await?;
    let job = submission.job;
    let status = StatusCode::from_u16(face.config.submit_status).unwrap_or(StatusCode::ACCEPTED);
    Ok(accepted(&face, status, &job).await)
}

/// That the job is made, and where to poll while it is not finished. Where the report of a repeat's job
/// cannot be read its lists are `null`.
pub(super) async fn accepted(face: &Face, status: StatusCode, job: &Job) -> Response {
    let budget = face.config.inline_error_chars;
    let listed = inline::fit(&face.service, job, budget, |l| Six::new(job, Some(l))).await;
    match listed {
        Ok(six) => made(status, job, six),
        Err(error) => unread(status, job, &error),
    }
}

/// [`accepted`] where something failed after the job was made: whoever sent it learns its id all the
/// same, and need not send it again to find out.
pub(super) fn unread(status: StatusCode, job: &Job, error: &Error) -> Response {
    tracing::warn!(job = %job.spec.id, %error, "an upload is answered without its lists");
    let mut response = made(status, job, Six::new(job, None));
    response.headers_mut().insert(header::RETRY_AFTER, POLL_INTERVAL.as_secs().into());
    response
}

fn made(status: StatusCode, job: &Job, six: Six) -> Response {
    let location = [(header::LOCATION, format!("{JOBS}/{}", job.spec.id))];
    let mut response = (status, location, Json(six)).into_response();
    poll(job, &mut response);
    response
}

/// Takes an upload of a caller whom `admit` lets in, until body and job are durable; tells whose it
/// is.
///
/// # Errors
/// When it is refused; the rest of its body is then read and thrown away.
pub(super) async fn receive<T>(
    face: &Face,
    request: Request,
    admit: impl FnOnce(&Principal) -> Result<T, Error>,
) -> Result<(T, Principal, Submission), Error> {
    let (parts, body) = request.into_parts();
    let (admitted, caller, submit) = match begin(face, &parts, admit).await {
        Ok(begun) => begun,
        Err(error) => {
            // A caller that waits for `100 Continue` reads the refusal instead and sends nothing.
            if !parts.headers.contains_key(header::EXPECT) {
                discard(body.into_data_stream());
            }
            return Err(error);
        }
    };
    let mut data = body.into_data_stream();
    let received = pump(submit, &mut data, parts.version).await;
    if let Err(error) = &received
        && !matches!(error.code, Code::BodyTimeout | Code::BodyAborted)
    {
        discard(data);
    }
    Ok((admitted, caller, received?))
}

/// Checks everything that the head shows, before a byte of the body is read.
async fn begin<T>(
    face: &Face,
    parts: &Parts,
    admit: impl FnOnce(&Principal) -> Result<T, Error>,
) -> Result<(T, Principal, Submit), Error> {
    let caller = request::caller(parts, face)?;
    let admitted = admit(&caller)?;
    let submit = face.service.begin(&caller, announced(parts)?).await?;
    Ok((admitted, caller, submit))
}

fn announced(parts: &Parts) -> Result<SubmitRequest, Error> {
    let headers = &parts.headers;
    let parameters: Parameters = request::query(&parts.uri)?;
    let encoding = request::encoding(headers)?;
    Ok(SubmitRequest {
        operation: operation(&parts.method)?,
        media_type: request::media_type(headers)?,
        encoding,
        validate_only: parameters.validate_only,
        request_id: request::request_id(headers)?,
        // The announced length is of encoded bytes, our bounds are of decoded ones.
        content_length: request::content_length(headers).filter(|_| encoding == Encoding::Identity),
        content_sha256: None,
    })
}

fn operation(method: &Method) -> Result<Operation, Error> {
    match *method {
        Method::POST => Ok(Operation::Create),
        Method::PUT => Ok(Operation::Update),
        Method::DELETE => Ok(Operation::Delete),
        _ => Err(Error::new(Code::MethodNotAllowed, format!("{method} submits nothing"))),
    }
}

async fn pump(
    mut submit: Submit,
    data: &mut BodyDataStream,
    version: Version,
) -> Result<Submission, Error> {
    submit.pump(data.by_ref().map(|chunk| chunk.map_err(intake::aborted))).await?;
    if !ended(data, version) {
        return Err(intake::aborted("its stream was reset"));
    }
    submit.finish().await
}

/// Whether a body without further bytes was ended by its sender. hyper takes an HTTP/2 stream that
/// its client reset with `NO_ERROR` for an ended one; a broken HTTP/1 body is always an error.
fn ended(data: &impl HttpBody, version: Version) -> bool {
    version != Version::HTTP_2 || data.is_end_stream()
}

/// Reads the rest of a refused body and throws it away, beside the answer. A connection that is
/// closed with unread bytes is reset, and its sender may never get to read why.
pub(super) fn discard(mut data: BodyDataStream) {
    let rest = async move { while let Some(Ok(_)) = data.next().await {} };
    tokio::spawn(timeout(REFUSED_BODY_TIMEOUT, rest));
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use futures_util::stream;

    use super::*;
    use crate::domain::MediaType;

    fn parts(method: Method, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap().into_parts().0
    }

    #[test]
    fn the_verb_is_the_operation_and_the_head_is_read_as_sent() {
        let headers = [
            ("content-type", "application/zip"),
            ("content-length", "12"),
            ("idempotency-key", "k-1"),
        ];
        for (method, operation) in [
            (Method::POST, Operation::Create),
            (Method::PUT, Operation::Update),
            (Method::DELETE, Operation::Delete),
        ] {
            let parts = parts(method, "/v0/async/cvrs/jobs?validateOnly=true", &headers);
            assert_eq!(
                announced(&parts).unwrap(),
                SubmitRequest {
                    operation,
                    media_type: MediaType::Zip,
                    encoding: Encoding::Identity,
                    validate_only: true,
                    request_id: Some("k-1".to_owned()),
                    content_length: Some(12),
                    content_sha256: None,
                }
            );
        }
    }

    #[tokio::test]
    async fn an_http2_body_without_its_end_is_aborted() {
        let mut whole = Body::from("abc").into_data_stream();
        let broken = stream::iter([Ok::<_, Infallible>("abc")]);
        let mut broken = Body::from_stream(broken).into_data_stream();
        for data in [&mut whole, &mut broken] {
            while data.next().await.is_some() {}
        }
        assert!(ended(&whole, Version::HTTP_2));
        assert!(!ended(&broken, Version::HTTP_2));
        assert!(ended(&broken, Version::HTTP_11));
    }

    #[test]
    fn the_length_of_an_encoded_body_announces_nothing() {
        let headers =
            [("content-type", "text/plain"), ("content-length", "9"), ("content-encoding", "gzip")];
        let request = announced(&parts(Method::PUT, "/x", &headers)).unwrap();
        assert_eq!(request.encoding, Encoding::Gzip);
        assert_eq!(request.content_length, None);
        assert!(!request.validate_only);
        assert_eq!(request.request_id, None);
    }

    #[test]
    fn a_query_parameter_that_is_misspelt_or_malformed_is_refused() {
        let headers = [("content-type", "text/plain")];
        for query in ["validateonly=true", "validateOnly=yes", "validateOnly=", "x=1"] {
            let parts = parts(Method::DELETE, &format!("/x?{query}"), &headers);
            assert_eq!(announced(&parts).unwrap_err().code, Code::Parameter, "{query}");
        }
        let off = parts(Method::DELETE, "/x?validateOnly=false", &headers);
        assert!(!announced(&off).unwrap().validate_only);
    }
}
