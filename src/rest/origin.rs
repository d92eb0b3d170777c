//! Pages of other sites are kept out where a caller needs no token.
//!
//! A browser lets any page send a `POST` of plain text to this machine, and read all that a name shows
//! which was made to lead here. Where a token is needed such a page has none; where none is, the origin
//! that a browser names must be this listener, and while authentication is off it must have asked for a
//! loopback name. A client certificate, which the browser adds by itself, is no token.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{problem::Problem, routes::Face};
use crate::{
    error::{Code, Error},
    listener,
};

/// Refuses what the page of another site sends.
pub(super) async fn own(State(face): State<Face>, request: Request, next: Next) -> Response {
    let (headers, is_off) = (request.headers(), face.authenticator.is_off());
    let by_certificate = !headers.contains_key(header::AUTHORIZATION)
        && !matches!(listener::certificate(request.extensions()), Ok(None));
    if (is_off || by_certificate) && is_foreign(headers, request.uri(), is_off) {
        let sentence = "a page of another origin sends this, and no token is needed";
        return Problem(Error::new(Code::Origin, sentence)).into_response();
    }
    next.run(request).await
}

/// Whether a browser sends it from a page that is not this listener's.
fn is_foreign(headers: &HeaderMap, uri: &Uri, loopback_only: bool) -> bool {
    // A page's own reads name no origin, but no browser leaves out the languages of its user.
    if !headers.contains_key(header::ORIGIN) && !headers.contains_key(header::ACCEPT_LANGUAGE) {
        return false;
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // HTTP/2 names the host in its own place.
    let host = uri.authority().map_or_else(|| text(header::HOST), |host| Some(host.as_str()));
    let own = host.filter(|authority| !loopback_only || is_loopback(authority));
    let named = if headers.contains_key(header::ORIGIN) {
        // Whatever a browser finds at this host and port is this listener, with TLS or without.
        text(header::ORIGIN).and_then(|origin| {
            origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
        })
    } else {
        own
    };
    own.is_none() || named != own
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
    use super::*;

    #[test]
    fn only_a_page_of_this_listener_is_our_own() {
        let foreign = |origin: &'static str, host: &'static str| {
            let mut headers = HeaderMap::new();
            if origin == "read" {
                headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
            } else if !origin.is_empty() {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let http2 = is_foreign(&headers, &format!("https://{host}/x").parse().unwrap(), true);
            headers.insert(header::HOST, HeaderValue::from_static(host));
            let http1 = is_foreign(&headers, &Uri::from_static("/x"), true);
            assert_eq!(http1, http2, "{origin} {host}");
            http1
        };
        for (origin, host) in [
            ("", "anything"),
            ("read", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost:8080", "localhost:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("http://127.0.0.1", "127.0.0.1"),
            ("https://localhost:8080", "localhost:8080"),
        ] {
            assert!(!foreign(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://evil.example", "127.0.0.1:8080"),
            ("http://evil.example:8080", "evil.example:8080"),
            ("http://127.0.0.1:9999", "127.0.0.1:8080"),
            ("https://127.0.0.1:9999", "127.0.0.1:8080"),
            ("null", "127.0.0.1:8080"),
            ("read", "evil.example:8080"),
        ] {
            assert!(foreign(origin, host), "{origin} {host}");
        }
    }

    #[test]
    fn with_a_certificate_any_name_is_ours_but_no_other_origin() {
        let uri: Uri = "https://records.example:8080/x".parse().unwrap();
        for (origin, expected) in [
            ("https://records.example:8080", false),
            ("https://evil.example", true),
            ("https://records.example:9999", true),
            ("null", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            assert_eq!(is_foreign(&headers, &uri, false), expected, "{origin}");
        }
    }
}
