//! Pages of other sites are kept out while authentication is off.
//!
//! A browser lets any page send a `POST` of plain text to this machine. Where a token is needed such a
//! page has none; where none is, the request's origin must be this listener under a loopback name.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{problem::Problem, routes::Face};
use crate::error::{Code, Error};

/// Refuses what the page of another site sends.
pub(super) async fn own(State(face): State<Face>, request: Request, next: Next) -> Response {
    if face.authenticator.is_off() && is_foreign(request.headers()) {
        let sentence = "a page of another origin sends this, and authentication is off";
        return Problem(Error::new(Code::Origin, sentence)).into_response();
    }
    next.run(request).await
}

/// Whether an origin is named that is not this listener. Only browsers name one.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let named = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
    !named.is_some_and(|authority| own == Some(authority) && is_loopback(authority))
}

/// Whether only this machine can be meant: any other name may be made to lead here.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_page_of_this_listener_is_our_own() {
        let foreign = |origin: &'static str, host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if !origin.is_empty() {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            is_foreign(&headers)
        };
        for (origin, host) in [
            ("", "anything"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost:8080", "localhost:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("http://127.0.0.1", "127.0.0.1"),
        ] {
            assert!(!foreign(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://evil.example", "127.0.0.1:8080"),
            ("http://evil.example:8080", "evil.example:8080"),
            ("http://127.0.0.1:9999", "127.0.0.1:8080"),
            ("https://127.0.0.1:8080", "127.0.0.1:8080"),
            ("null", "127.0.0.1:8080"),
        ] {
            assert!(foreign(origin, host), "{origin} {host}");
        }
    }
}
