//! Who sends a request, and from where: the same over every listener.

use axum::http::{Extensions, HeaderMap, header};

use super::{certificate, origin};
use crate::{
    auth::{Authenticator, Principal},
    domain::Face,
    error::Error,
};

/// Lets in who sends a request with these headers and extensions; who is not is recorded.
///
/// # Errors
/// As [`Authenticator::authenticate`].
pub fn admit(
    authenticator: &Authenticator,
    face: Face,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Principal, Error> {
    let origin = origin(face, headers, extensions);
    authenticator.admit(authorization(headers), certificate(extensions), origin)
}

/// The `Authorization` value. One that no token can be, or several, read as a wrong one: of two, a proxy may have
/// looked at the other one.
#[must_use]
pub fn authorization(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (values.next()?, values.next());
    Some(first.to_str().ok().filter(|_| second.is_none()).unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn one_value_counts_and_two_or_an_unreadable_one_are_a_wrong_one() {
        let mut headers = HeaderMap::new();
        assert_eq!(authorization(&headers), None);
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("a"));
        assert_eq!(authorization(&headers), Some("a"));
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("b"));
        assert_eq!(authorization(&headers), Some("?"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(authorization(&headers), Some("?"));
    }
}
