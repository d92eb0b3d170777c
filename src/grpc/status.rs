//! A refusal as a `tonic::Status` with `google.rpc` details.

use std::collections::HashMap;

use tonic::{Code as Grpc, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    error::{Code, Error, Kind},
    limits::RETRY_DELAY,
};

/// `domain` of every `ErrorInfo`; its `reason` is the stable code.
const DOMAIN: &str = "cvrsd";

/// The status that tells a caller of this refusal.
pub(super) fn status(error: Error) -> Status {
    error.code.count("grpc");
    let mut details = ErrorDetails::with_error_info(error.code.as_str(), DOMAIN, HashMap::new());
    let kind = error.code.kind();
    match kind {
        Kind::Invalid | Kind::TooLarge | Kind::Unsupported => {
            details.add_bad_request_violation(field(error.code), error.message.clone());
        }
        Kind::Unavailable | Kind::Exhausted => {
            details.set_retry_info(Some(RETRY_DELAY));
        }
        _ => {}
    }
    Status::with_error_details(grpc_code(kind), error.message, details)
}

fn grpc_code(kind: Kind) -> Grpc {
    match kind {
        Kind::Invalid | Kind::TooLarge | Kind::Unsupported => Grpc::InvalidArgument,
        Kind::Timeout => Grpc::DeadlineExceeded,
        Kind::Unauthenticated => Grpc::Unauthenticated,
        Kind::Forbidden => Grpc::PermissionDenied,
        Kind::NotFound => Grpc::NotFound,
        Kind::MethodNotAllowed => Grpc::Unimplemented,
        Kind::Conflict => Grpc::AlreadyExists,
        Kind::OutOfRange | Kind::Range => Grpc::OutOfRange,
        Kind::Exhausted | Kind::Full => Grpc::ResourceExhausted,
        Kind::Unavailable => Grpc::Unavailable,
        Kind::Internal | Kind::Job => Grpc::Internal,
    }
}

/// The request field that a code is about; the upload's data where it is about the body.
fn field(code: Code) -> &'static str {
    match code {
        Code::JobIdMalformed => "job_id",
        Code::PageToken => "page_token",
        Code::RequestIdMalformed => "header.request_id",
        Code::BodyLength => "header.content_length",
        Code::BodyDigest => "header.content_sha256",
        Code::MediaTypeMissing | Code::MediaTypeUnsupported | Code::MediaTypeMismatch => {
            "header.media_type"
        }
        Code::UploadHeader => "header",
        Code::UploadSequence => "part",
        Code::ChunkOffset => "chunk.offset",
        Code::Parameter => "request",
        _ => "chunk.data",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_the_reason_of_its_status_and_keeps_its_sentence() {
        for code in Code::ALL {
            let status = status(Error::new(*code, "a sentence"));
            assert_eq!(status.message(), "a sentence");
            let info = status.get_details_error_info().unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (code.as_str(), "cvrsd"));
            assert_ne!(status.code(), Grpc::Ok);
            assert_ne!(status.code(), Grpc::Unknown);
        }
    }

    #[test]
    fn classes_map_as_the_contract_says() {
        for (code, expected) in [
            (Code::BodyEmpty, Grpc::InvalidArgument),
            (Code::BodyTooLarge, Grpc::InvalidArgument),
            (Code::ZipRatio, Grpc::InvalidArgument),
            (Code::MediaTypeUnsupported, Grpc::InvalidArgument),
            (Code::ChunkTooLarge, Grpc::InvalidArgument),
            (Code::ChunkOffset, Grpc::InvalidArgument),
            (Code::JobIdMalformed, Grpc::InvalidArgument),
            (Code::BodyTimeout, Grpc::DeadlineExceeded),
            (Code::TokenExpired, Grpc::Unauthenticated),
            (Code::Scope, Grpc::PermissionDenied),
            (Code::JobNotFound, Grpc::NotFound),
            (Code::RequestConflict, Grpc::AlreadyExists),
            (Code::SeqOutOfRange, Grpc::OutOfRange),
            (Code::UploadsExhausted, Grpc::ResourceExhausted),
            (Code::DiskReserve, Grpc::ResourceExhausted),
            (Code::Starting, Grpc::Unavailable),
            (Code::Draining, Grpc::Unavailable),
            (Code::Internal, Grpc::Internal),
        ] {
            assert_eq!(status(Error::new(code, "x")).code(), expected, "{code}");
        }
    }

    #[test]
    fn what_can_be_tried_again_says_when_and_what_is_malformed_says_where() {
        for code in Code::ALL {
            let status = status(Error::new(*code, "x"));
            let retry = status.get_details_retry_info().and_then(|r| r.retry_delay);
            let again = matches!(code.kind(), Kind::Unavailable | Kind::Exhausted);
            assert_eq!(retry, again.then_some(RETRY_DELAY), "{code}");
            let bad = status.get_details_bad_request().is_some();
            assert_eq!(bad, status.code() == Grpc::InvalidArgument, "{code}");
        }
    }
}
