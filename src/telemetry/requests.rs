//! Counts the requests of a listener, and gives each an id that its lines in the log bear.

use std::{collections::BTreeSet, sync::LazyLock};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::Response,
};
use prost::Message;
use prost_types::FileDescriptorSet;
use tracing::Instrument;

use crate::proto::DESCRIPTORS;

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

/// Names of the gRPC statuses by their numbers.
const STATUSES: [&str; 17] = [
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
pub async fn observe(State(face): State<&'static str>, request: Request, next: Next) -> Response {
    let rpc = METHODS.get(request.uri().path());
    let method = match rpc.and_then(|path| path.rsplit('/').next()) {
        Some(method) => method,
        None => verb(request.method()),
    };
    let id = request_id(request.headers());
    let span = tracing::error_span!("request", request_id = id, face);
    let mut response = next.run(request).instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let status = match grpc_status(response.headers()) {
        Some(status) => status,
        None if rpc.is_some() && response.status() == StatusCode::OK => "OK",
        None => class(response.status()),
    };
    let labels = [("face", face), ("method", method), ("status", status)];
    metrics::counter!("cvrsd_requests_total", &labels).increment(1);
    response
}

/// The trace id of a W3C `traceparent`; without one, made up. `X-Request-Id` is the caller's idempotency key
/// and may be anything, so it is not written down.
fn request_id(headers: &HeaderMap) -> String {
    let parent = headers.get("traceparent").and_then(|value| value.to_str().ok());
    match parent.and_then(trace_id) {
        Some(id) => id.to_owned(),
        None => format!("{:032x}", fastrand::u128(1..)),
    }
}

/// That of `VERSION-TRACE_ID-PARENT_ID-FLAGS`, all in lower hexadecimal digits.
fn trace_id(parent: &str) -> Option<&str> {
    let mut parts = parent.split('-');
    let (_version, id) = (parts.next().filter(|part| part.len() == 2)?, parts.next()?);
    let (_parent, _flags) = (parts.next().filter(|part| part.len() == 16)?, parts.next()?);
    let is_hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (id.len() == 32 && is_hex && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

fn verb(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    known.into_iter().find(|name| method.as_str() == *name).unwrap_or("other")
}

/// The status of a call that failed before its answer had a message.
fn grpc_status(headers: &HeaderMap) -> Option<&'static str> {
    let number: usize = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    Some(STATUSES.get(number).copied().unwrap_or("UNKNOWN"))
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
    fn a_request_id_is_the_callers_trace_or_our_own() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("00-{id}-00f067aa0ba902b7-01");
        assert_eq!(trace_id(&parent), Some(id));
        for bad in [
            "",
            id,
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(trace_id(bad), None, "{bad:?}");
        }
        let made_up = request_id(&HeaderMap::new());
        assert_eq!(made_up.len(), 32);
        assert_ne!(made_up, request_id(&HeaderMap::new()));
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
