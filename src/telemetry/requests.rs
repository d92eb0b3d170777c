//! Counts the requests of a listener, and gives each an id that its lines in the log bear.

use std::{collections::BTreeSet, sync::LazyLock, time::SystemTime};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::Response,
};
use prost::Message;
use prost_types::FileDescriptorSet;
use tracing::Instrument;

use crate::{domain::Trace, proto::DESCRIPTORS, traces};

/// Paths of our methods, so that a label never takes what a caller made up.
static METHODS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(DESCRIPTORS).map(|set| set.file).unwrap_or_default();
    let paths = files.iter().flat_map(|file| {
        file.service.iter().flat_map(|service| {
            let name = format!("/{}.{}/", file.package(), service.name());
            service.method.iter().map(move |method| format!("{name}{}", method.name()))
        })
    });
    paths.collect()
});

/// Tells the caller the id that our log has of the request.
const REQUEST_ID: HeaderName = HeaderName::from_static("cvrsd-request-id");

/// Tells the caller its request's span, where that is traced: W3C Trace Context, level 2.
const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// gRPC statuses that are our fault.
const FAULTS: [&str; 3] = ["INTERNAL", "UNKNOWN", "DATA_LOSS"];

/// Names of the gRPC statuses by their numbers.
pub const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Counts a request of that face by how its answer begins; what fails later in a stream is not counted. Its
/// lines in the log stand in a span with its id, which the answer bears too.
pub async fn observe(
    State(face): State<&'static str>,
    mut request: Request,
    next: Next,
) -> Response {
    let rpc = METHODS.get(request.uri().path());
    let method = match rpc.and_then(|path| path.rsplit('/').next()) {
        Some(method) => method,
        None => verb(request.method()),
    };
    // `X-Request-Id` is the caller's idempotency key and may be anything, so it is not written down.
    let parent = parent(request.headers());
    let (trace, began) = (traces::begin(parent), SystemTime::now());
    request.extensions_mut().insert(trace);
    let id = trace.id_text();
    let span = tracing::error_span!("request", request_id = id, face);
    let mut response = next.run(request).instrument(span).await;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(Ok(place)) = trace.sampled.then(|| HeaderValue::from_str(&trace.to_string())) {
        headers.insert(TRACE_RESPONSE, place);
    }
    let status = match grpc_status(response.headers()) {
        Some(status) => status,
        None if rpc.is_some() && response.status() == StatusCode::OK => "OK",
        None => class(response.status()),
    };
    let labels = [("face", face), ("method", method), ("status", status)];
    metrics::counter!("cvrsd_requests_total", &labels).increment(1);
    let failed = response.status().is_server_error() || FAULTS.contains(&status);
    let method = rpc.map_or(method, String::as_str);
    traces::request(traces::Request { trace, parent, began, face, method, status, failed });
    response
}

/// The caller's span, of a W3C `traceparent`.
fn parent(headers: &HeaderMap) -> Option<Trace> {
    headers.get("traceparent").and_then(|value| Trace::parse(value.to_str().ok()?))
}

fn verb(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    known.into_iter().find(|name| method.as_str() == *name).unwrap_or("other")
}

/// The status of a call that failed before its answer had a message.
fn grpc_status(headers: &HeaderMap) -> Option<&'static str> {
    let number: usize = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    Some(GRPC_STATUSES.get(number).copied().unwrap_or("UNKNOWN"))
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_methods_are_known_and_made_up_ones_are_not() {
        assert!(METHODS.contains("/cvrsd.jobs.v1.JobService/SubmitCreateJob"));
        assert!(METHODS.iter().any(|path| path.starts_with("/cvrsd.admin.v1.AdminService/")));
        assert!(!METHODS.contains("/cvrsd.jobs.v1.JobService/Else"));
        assert_eq!(verb(&Method::from_bytes(b"BREW").unwrap()), "other");
        assert_eq!(verb(&Method::DELETE), "DELETE");
    }

    #[test]
    fn the_callers_span_is_that_of_a_sound_header() {
        let mut headers = HeaderMap::new();
        assert_eq!(parent(&headers), None);
        headers.insert("traceparent", HeaderValue::from_bytes(b"00-\xff").unwrap());
        assert_eq!(parent(&headers), None);
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", HeaderValue::from_static(text));
        assert_eq!(parent(&headers).unwrap().to_string(), text);
    }

    #[test]
    fn a_status_has_the_name_of_its_number() {
        let mut headers = HeaderMap::new();
        assert_eq!(grpc_status(&headers), None);
        headers.insert("grpc-status", 16.into());
        assert_eq!(grpc_status(&headers), Some("UNAUTHENTICATED"));
        headers.insert("grpc-status", 99.into());
        assert_eq!(grpc_status(&headers), Some("UNKNOWN"));
        assert_eq!(class(StatusCode::INSUFFICIENT_STORAGE), "5xx");
    }
}
