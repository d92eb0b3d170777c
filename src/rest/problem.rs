//! A refusal as `application/problem+json` (RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    error::{Error, Kind},
    limits::RETRY_DELAY,
};

/// A refusal on its way to the caller.
#[derive(Debug)]
pub(super) struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// A refusal (RFC 9457). Decide by `code`.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body<'a> {
    /// `urn:cvrsd:error:` and the code.
    #[schema(pattern = "^urn:cvrsd:error:CVRS-[A-Z0-9-]+$")]
    r#type: String,
    /// What class of refusal it is.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// One sentence for people; may be reworded.
    detail: &'a str,
    /// Stable code.
    #[schema(pattern = "^CVRS-[A-Z0-9-]+$")]
    code: &'static str,
}

impl Problem {
    pub(super) fn status(&self) -> StatusCode {
        status(self.0.code.kind())
    }

    pub(super) fn body(&self) -> Body<'_> {
        let code = self.0.code.as_str();
        Body {
            r#type: format!("urn:cvrsd:error:{code}"),
            title: title(self.0.code.kind()),
            status: self.status().as_u16(),
            detail: &self.0.message,
            code,
        }
    }

    /// The body as compact JSON.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(&self.body()).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0.code.count("rest");
        let mut response = (self.status(), self.json()).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        match self.0.code.kind() {
            Kind::Exhausted | Kind::Unavailable => {
                headers.insert(header::RETRY_AFTER, RETRY_DELAY.as_secs().into());
            }
            Kind::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Kind::Timeout => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid | Kind::OutOfRange => StatusCode::BAD_REQUEST,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Timeout => StatusCode::REQUEST_TIMEOUT,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Range => StatusCode::RANGE_NOT_SATISFIABLE,
        Kind::Exhausted => StatusCode::TOO_MANY_REQUESTS,
        Kind::Full => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal | Kind::Job => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "Malformed request",
        Kind::OutOfRange => "Number out of range",
        Kind::TooLarge => "Upload too large",
        Kind::Unsupported => "Media type or encoding not supported",
        Kind::Timeout => "Upload stalled",
        Kind::Unauthenticated => "Not authenticated",
        Kind::Forbidden => "Not allowed",
        Kind::NotFound => "Not found",
        Kind::MethodNotAllowed => "Method not allowed",
        Kind::Conflict => "Conflict",
        Kind::Range => "Range not satisfiable",
        Kind::Exhausted => "Quota used up",
        Kind::Full => "Disk reserve reached",
        Kind::Unavailable => "Not serving",
        Kind::Internal | Kind::Job => "Internal error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_problem_has_its_five_members_in_order() {
        let problem = Problem(Error::new(Code::JobIdMalformed, "the \"id\" is not one"));
        assert_eq!(
            problem.json(),
            r#"{"type":"urn:cvrsd:error:CVRS-JOB-ID","title":"Malformed request","status":400,"detail":"the \"id\" is not one","code":"CVRS-JOB-ID"}"#
        );
    }

    #[test]
    fn every_code_answers_as_a_problem_with_a_refusing_status() {
        for code in Code::ALL {
            let problem = Problem(Error::new(*code, "x"));
            let json: serde_json::Value = serde_json::from_str(&problem.json()).unwrap();
            let response = problem.into_response();
            assert!(response.status().as_u16() >= 400, "{code}");
            assert_eq!(json["status"], response.status().as_u16(), "{code}");
            assert_eq!(json["code"], code.as_str());
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
    }

    #[test]
    fn classes_map_as_the_contract_says() {
        for (code, expected) in [
            (Code::BodyEmpty, 400),
            (Code::ZipEncrypted, 400),
            (Code::EncodingBroken, 400),
            (Code::JobIdMalformed, 400),
            (Code::SeqOutOfRange, 400),
            (Code::TokenMissing, 401),
            (Code::ClientUnknown, 401),
            (Code::Scope, 403),
            (Code::OnBehalf, 403),
            (Code::JobNotFound, 404),
            (Code::PathNotFound, 404),
            (Code::MethodNotAllowed, 405),
            (Code::BodyTimeout, 408),
            (Code::RequestConflict, 409),
            (Code::BodyTooLarge, 413),
            (Code::ZipRatio, 413),
            (Code::MediaTypeMissing, 415),
            (Code::EncodingUnsupported, 415),
            (Code::Range, 416),
            (Code::UploadsExhausted, 429),
            (Code::DiskReserve, 507),
            (Code::QuotaRequests, 429),
            (Code::Internal, 500),
            (Code::Starting, 503),
            (Code::Draining, 503),
        ] {
            assert_eq!(status(code.kind()).as_u16(), expected, "{code}");
        }
    }

    #[test]
    fn whoever_is_not_known_is_told_how_to_be() {
        for code in Code::ALL {
            let response = Problem(Error::new(*code, "x")).into_response();
            let asked = response.headers().get(header::WWW_AUTHENTICATE);
            let expected = (code.kind() == Kind::Unauthenticated).then_some("Bearer");
            assert_eq!(asked.map(|v| v.to_str().unwrap()), expected, "{code}");
        }
    }

    #[test]
    fn what_can_be_tried_again_says_when() {
        for code in Code::ALL {
            let again = matches!(code.kind(), Kind::Exhausted | Kind::Unavailable);
            let response = Problem(Error::new(*code, "x")).into_response();
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), again, "{code}");
        }
    }
}
