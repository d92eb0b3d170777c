//! A refusal as a `tonic::Status` with `google.rpc` details.

use std::collections::HashMap;

use tonic::{Code as Grpc, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    error::{Error, Kind},
    limits::RETRY_DELAY,
};

/// The status that tells an operator of this refusal; `reason` is the stable code.
pub(super) fn status(error: Error) -> Status {
    error.code.count("admin");
    let mut details = ErrorDetails::with_error_info(error.code.as_str(), "cvrsd", HashMap::new());
    let kind = error.code.kind();
    if matches!(kind, Kind::Unavailable | Kind::Exhausted) {
        details.set_retry_info(Some(RETRY_DELAY));
    }
    Status::with_error_details(grpc_code(kind), error.message, details)
}

/// No upload is met here, so few classes can be.
fn grpc_code(kind: Kind) -> Grpc {
    match kind {
        Kind::Unauthenticated => Grpc::Unauthenticated,
        Kind::Forbidden => Grpc::PermissionDenied,
        Kind::Exhausted | Kind::Full => Grpc::ResourceExhausted,
        Kind::NotFound => Grpc::NotFound,
        Kind::Unavailable => Grpc::Unavailable,
        Kind::Invalid => Grpc::InvalidArgument,
        Kind::Timeout => Grpc::DeadlineExceeded,
        _ => Grpc::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn what_an_operator_can_meet_has_its_own_status_and_every_code_its_reason() {
        let code_of = |code| status(Error::new(code, "x")).code();
        assert_eq!(code_of(Code::RecordNotFound), Grpc::NotFound);
        assert_eq!(code_of(Code::TokenMissing), Grpc::Unauthenticated);
        assert_eq!(code_of(Code::Scope), Grpc::PermissionDenied);
        assert_eq!(code_of(Code::QuotaRequests), Grpc::ResourceExhausted);
        assert_eq!(code_of(Code::Starting), Grpc::Unavailable);
        assert_eq!(code_of(Code::Parameter), Grpc::InvalidArgument);
        assert_eq!(code_of(Code::BodyTimeout), Grpc::DeadlineExceeded);
        assert_eq!(code_of(Code::Internal), Grpc::Internal);
        for code in Code::ALL {
            let info = status(Error::new(*code, "x")).get_details_error_info().unwrap();
            assert_eq!(info.reason, code.as_str());
        }
    }
}
