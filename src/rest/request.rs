//! What the handlers read from a request's head.

use std::error::Error as _;

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::{HeaderMap, HeaderName, Uri, header, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{problem::Problem, routes::Face};
use crate::{
    auth::Principal,
    domain::{self, JobId, MediaType},
    error::{Code, Error},
    intake::Encoding,
    limits::REQUEST_ID_CHARS_MAX,
    listener,
};

/// Names of the header that carries an idempotency key; the first one that is there counts.
const REQUEST_ID: [&str; 2] = ["idempotency-key", "x-request-id"];

/// The caller, let in.
pub(super) struct Caller(pub Principal);

impl FromRequestParts<Face> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self, Problem> {
        Ok(Self(caller(parts, face)?))
    }
}

/// The job that the path names.
pub(super) struct Id(pub JobId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| text.parse().ok());
        let malformed = || Error::new(Code::JobIdMalformed, "the job id is not a hyphenated uuid");
        Ok(Self(id.ok_or_else(malformed)?))
    }
}

/// Who sends a request with that head.
///
/// # Errors
/// When the caller is not let in.
pub(super) fn caller(parts: &Parts, face: &Face) -> Result<Principal, Error> {
    let Parts { headers, extensions, .. } = parts;
    listener::admit(&face.authenticator, domain::Face::Rest, headers, extensions)
}

/// Whether the header is there once at most: of two, a proxy may have looked at the other one.
fn is_single(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().nth(1).is_none()
}

/// The query of a path that takes no parameter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParameters {}

/// The query parameters. An unknown one is an error: a misspelt `validateOnly` must not run a job.
///
/// # Errors
/// [`Code::Parameter`] when one is unknown, there twice or malformed.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Error> {
    let parsed = Query::<T>::try_from_uri(uri);
    parsed.map(|Query(values)| values).map_err(|rejection| {
        let cause = rejection.source().map_or_else(|| rejection.body_text(), ToString::to_string);
        Error::new(Code::Parameter, format!("query: {cause}"))
    })
}

/// What the body is.
///
/// # Errors
/// [`Code::MediaTypeMissing`] or [`Code::MediaTypeUnsupported`].
pub(super) fn media_type(headers: &HeaderMap) -> Result<MediaType, Error> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(Error::new(Code::MediaTypeMissing, "the request names no content type"));
    };
    let single = Some(value).filter(|_| is_single(headers, &header::CONTENT_TYPE));
    single.and_then(|value| value.to_str().ok()).and_then(MediaType::parse).ok_or_else(|| {
        let sentence = "the content type is neither application/zip nor text/plain";
        Error::new(Code::MediaTypeUnsupported, sentence)
    })
}

/// How the body is encoded.
///
/// # Errors
/// [`Code::EncodingUnsupported`] for any other coding, and for several.
pub(super) fn encoding(headers: &HeaderMap) -> Result<Encoding, Error> {
    let mut encoding = Encoding::Identity;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text = value.to_str().unwrap_or("?");
        for coding in text.split(',').map(str::trim).filter(|c| !c.is_empty()) {
            let named = match coding.to_ascii_lowercase().as_str() {
                "identity" => continue,
                "gzip" | "x-gzip" => Encoding::Gzip,
                "deflate" => Encoding::Deflate,
                _ => return Err(unsupported()),
            };
            if encoding != Encoding::Identity {
                return Err(unsupported());
            }
            encoding = named;
        }
    }
    Ok(encoding)
}

fn unsupported() -> Error {
    let sentence = "the content encoding is not one of gzip, deflate and identity";
    Error::new(Code::EncodingUnsupported, sentence)
}

/// The length that the head announces, if any.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The idempotency key, if there is one. A header that does not count is checked as well.
///
/// # Errors
/// [`Code::RequestIdMalformed`] when a header is not 1 to 255 visible ASCII characters.
pub(super) fn request_id(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut first = None;
    for name in REQUEST_ID.map(HeaderName::from_static) {
        let Some(value) = headers.get(&name) else { continue };
        let bytes = value.as_bytes();
        let text = value.to_str().ok().filter(|_| bytes.iter().all(u8::is_ascii_graphic));
        let text = text.filter(|_| is_single(headers, &name));
        let text = text.filter(|text| (1..=REQUEST_ID_CHARS_MAX).contains(&text.len()));
        let malformed = || {
            let sentence = "an idempotency key is 1 to 255 visible ascii characters";
            Error::new(Code::RequestIdMalformed, sentence)
        };
        first = first.or(Some(text.ok_or_else(malformed)?.to_owned()));
    }
    Ok(first)
}

/// The number of the newest event that a reconnecting reader of server-sent events has seen.
///
/// # Errors
/// [`Code::Parameter`] when it is not a number.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    const NAME: HeaderName = HeaderName::from_static("last-event-id");
    // Some readers send it empty before their first event.
    let Some(value) = headers.get(NAME).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.to_str().ok().filter(digits).and_then(|text| text.parse().ok());
    let malformed = || Error::new(Code::Parameter, "last-event-id is not a number");
    Ok(Some(number.ok_or_else(malformed)?))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn media_type_parameters_are_ignored_and_a_missing_type_has_its_own_code() {
        let of = |value| media_type(&headers(&[("content-type", value)]));
        assert_eq!(of("text/plain;charset=UTF-8").unwrap(), MediaType::Text);
        assert_eq!(of("Application/ZIP").unwrap(), MediaType::Zip);
        for bad in ["", "text/csv", "application/octet-stream", "text/plainx"] {
            assert_eq!(of(bad).unwrap_err().code, Code::MediaTypeUnsupported, "{bad:?}");
        }
        assert_eq!(media_type(&headers(&[])).unwrap_err().code, Code::MediaTypeMissing);
    }

    #[test]
    fn one_content_encoding_at_most_is_taken() {
        let of = |value| encoding(&headers(&[("content-encoding", value)]));
        assert_eq!(encoding(&headers(&[])).unwrap(), Encoding::Identity);
        assert_eq!(of("identity").unwrap(), Encoding::Identity);
        assert_eq!(of("GZip").unwrap(), Encoding::Gzip);
        assert_eq!(of("deflate").unwrap(), Encoding::Deflate);
        for bad in ["br", "gzip, gzip", "gzip,deflate", "zstd", "gzip;q=1"] {
            assert_eq!(of(bad).unwrap_err().code, Code::EncodingUnsupported, "{bad:?}");
        }
        let twice = headers(&[("content-encoding", "gzip"), ("content-encoding", "gzip")]);
        assert_eq!(encoding(&twice).unwrap_err().code, Code::EncodingUnsupported);
    }

    #[test]
    fn the_idempotency_key_wins_over_the_request_id() {
        let both = headers(&[("x-request-id", "b"), ("idempotency-key", "a")]);
        assert_eq!(request_id(&both).unwrap().as_deref(), Some("a"));
        let one = headers(&[("x-request-id", "b")]);
        assert_eq!(request_id(&one).unwrap().as_deref(), Some("b"));
        assert_eq!(request_id(&headers(&[])).unwrap(), None);
    }

    #[test]
    fn a_malformed_key_is_refused_in_either_header_also_where_the_other_one_counts() {
        let longest = "k".repeat(255);
        let one = |name, value: &[u8]| {
            let mut map = headers(&[("idempotency-key", "good")]);
            map.insert(name, HeaderValue::from_bytes(value).unwrap());
            request_id(&map).map_err(|error| error.code)
        };
        for name in REQUEST_ID {
            for bad in [b"".as_slice(), b"k 1", b"\xe4", format!("{longest}k").as_bytes()] {
                assert_eq!(one(name, bad), Err(Code::RequestIdMalformed), "{name} {bad:?}");
            }
        }
        assert_eq!(one("x-request-id", longest.as_bytes()), Ok(Some("good".to_owned())));
        assert_eq!(one("idempotency-key", longest.as_bytes()), Ok(Some(longest.clone())));
    }

    #[test]
    fn a_header_that_decides_is_there_once() {
        let twice = |name, a, b| headers(&[(name, a), (name, b)]);
        let types = twice("content-type", "text/plain", "application/zip");
        assert_eq!(media_type(&types).unwrap_err().code, Code::MediaTypeUnsupported);
        let keys = twice("idempotency-key", "a", "b");
        assert_eq!(request_id(&keys).unwrap_err().code, Code::RequestIdMalformed);
    }

    #[test]
    fn the_last_event_id_is_a_number() {
        let of = |value| last_event_id(&headers(&[("last-event-id", value)]));
        assert_eq!(last_event_id(&headers(&[])).unwrap(), None);
        assert_eq!(of("17").unwrap(), Some(17));
        assert_eq!(of("").unwrap(), None);
        for bad in ["-1", "+1", "x", "1 2", "18446744073709551616"] {
            assert_eq!(of(bad).unwrap_err().code, Code::Parameter, "{bad:?}");
        }
    }
}
