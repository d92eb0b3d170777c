//! Answers that operations share: what a submit says, and refusals by their codes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::{
    IntoResponses,
    openapi::{
        Header, Ref, RefOr, Response, ResponseBuilder, Type,
        content::ContentBuilder,
        example::{Example, ExampleBuilder},
        header::HeaderBuilder,
        link::{Link, LinkBuilder},
        schema::ObjectBuilder,
    },
};

use super::{super::problem::Problem, examples};
use crate::error::{Code, Error, Kind};

type Responses = BTreeMap<String, RefOr<Response>>;

/// The answer to a submit. Which of the two statuses it has, `rest.submit_status` says.
pub(in crate::rest) struct Accepted;

impl IntoResponses for Accepted {
    fn responses() -> Responses {
        let instead = "The same, where `rest.submit_status` is 200";
        [("200", instead), ("202", "The upload is on disk")]
            .map(|(status, description)| (status.to_owned(), accepted(description).into()))
            .into()
    }
}

/// The answer to a synchronous upload that takes too long to wait for.
pub(in crate::rest) struct Delayed;

impl IntoResponses for Delayed {
    fn responses() -> Responses {
        [("202".to_owned(), accepted("The upload is on disk, and goes on").into())].into()
    }
}

fn accepted(description: &str) -> Response {
    let schema = Ref::from_schema_name("InitialUploadStatusResponseAsync");
    let body = ContentBuilder::new().schema(Some(schema)).example(Some(examples::queued()));
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/json", body.build())
        .header("Location", header(Type::String, "Where to ask for the job"))
        .header("Retry-After", header(Type::Integer, "Seconds after which to ask first"));
    for operation in ["getJob", "cancelJob", "getJobErrors", "watchJob"] {
        response = response.link(operation, link(operation));
    }
    response.build()
}

fn header(kind: Type, description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(kind);
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}

fn link(operation: &str) -> Link {
    LinkBuilder::new().operation_id(operation).parameter("job-id", "$response.body#/id").build()
}

/// What any call may be refused for.
const ALL: &[Code] = &[
    Code::TokenMissing,
    Code::TokenInvalid,
    Code::TokenExpired,
    Code::CertificateInvalid,
    Code::CertificateMismatch,
    Code::Scope,
    Code::Origin,
    Code::QuotaRequests,
    Code::Internal,
];

/// Sets of codes that operations answer with, beside those of all.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = [$($code:ident),* $(,)?];)*) => {$(
        $(#[$doc])*
        pub(in crate::rest) struct $name;

        impl IntoResponses for $name {
            fn responses() -> Responses {
                let codes = [$(Code::$code),*];
                refusals(&[ALL, codes.as_slice()].concat())
            }
        }
    )*};
}

refusals! {
    /// Refusals of a list.
    ListRefusals = [Parameter, PageToken, Starting];
    /// Refusals of whatever names a job.
    JobRefusals = [JobIdMalformed, Parameter, JobNotFound, Starting];
    /// Refusals of a report.
    ReportRefusals = [
        JobIdMalformed, Parameter, JobNotFound, ReportPurged, Range, Starting,
    ];
    /// Refusals of a refresh.
    RefreshRefusals = [];
    /// Refusals of a stream of events.
    EventRefusals = [
        JobIdMalformed, Parameter, SeqOutOfRange, JobNotFound, Starting, Draining,
    ];
}

/// What an upload is refused for.
const UPLOAD: &[Code] = &[
    Code::Parameter,
    Code::RequestIdMalformed,
    Code::BodyEmpty,
    Code::BodyAborted,
    Code::EncodingBroken,
    Code::ZipMalformed,
    Code::ZipEmpty,
    Code::ZipEntries,
    Code::ZipFolder,
    Code::ZipMacFiles,
    Code::ZipName,
    Code::ZipLink,
    Code::ZipEncrypted,
    Code::ZipMethod,
    Code::ZipLayout,
    Code::ZipHeaders,
    Code::BodyTimeout,
    Code::RequestConflict,
    Code::BodyTooLarge,
    Code::ZipTooLarge,
    Code::ZipRatio,
    Code::MediaTypeMissing,
    Code::MediaTypeUnsupported,
    Code::MediaTypeMismatch,
    Code::EncodingUnsupported,
    Code::UploadsExhausted,
    Code::DiskReserve,
    Code::QuotaUploads,
    Code::QuotaJobs,
    Code::QuotaBytes,
    Code::Starting,
    Code::Draining,
];

/// Refusals of an upload.
pub(in crate::rest) struct SubmitRefusals;

impl IntoResponses for SubmitRefusals {
    fn responses() -> Responses {
        refusals(&[ALL, UPLOAD].concat())
    }
}

/// Refusals of an upload that is waited for.
pub(in crate::rest) struct BatchRefusals;

impl IntoResponses for BatchRefusals {
    fn responses() -> Responses {
        refusals(&[ALL, UPLOAD, &[Code::JobCancelled]].concat())
    }
}

/// Refusals of a request for a token, which carries none.
pub(in crate::rest) struct TokenRefusals;

impl IntoResponses for TokenRefusals {
    fn responses() -> Responses {
        refusals(&[
            Code::TokenRequest,
            Code::ScopeUnknown,
            Code::EncodingBroken,
            Code::BodyAborted,
            Code::ClientUnknown,
            Code::Scope,
            Code::OnBehalf,
            Code::Origin,
            Code::BodyTimeout,
            Code::TokenRequestTooLarge,
            Code::MediaTypeUnsupported,
            Code::EncodingUnsupported,
            Code::QuotaRequests,
            Code::Internal,
        ])
    }
}

fn refusals(codes: &[Code]) -> Responses {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(example(*code).status().as_u16()).or_default().push(*code);
    }
    let responses = by_status.into_iter();
    responses.map(|(status, codes)| (status.to_string(), refusal(&codes).into())).collect()
}

/// One status with an example of every code that it may have.
fn refusal(codes: &[Code]) -> Response {
    let named: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let examples = codes.iter().map(|code| {
        let example = Ref::new(format!("#/components/examples/{code}"));
        (code.as_str(), RefOr::<Example>::Ref(example))
    });
    let body = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(examples);
    let mut response = ResponseBuilder::new()
        .description(named.join(", "))
        .content("application/problem+json", body.build());
    for (name, kind, description) in codes.iter().filter_map(|code| refusal_header(*code)) {
        response = response.header(name, header(kind, description));
    }
    response.build()
}

fn refusal_header(code: Code) -> Option<(&'static str, Type, &'static str)> {
    match (code, code.kind()) {
        (_, Kind::Exhausted | Kind::Unavailable) => {
            Some(("Retry-After", Type::Integer, "Seconds after which to try again"))
        }
        (_, Kind::Unauthenticated) => {
            Some(("WWW-Authenticate", Type::String, "How to be let in: `Bearer`"))
        }
        (_, Kind::Range) => Some(("Content-Range", Type::String, "Bytes of the whole report")),
        (Code::JobCancelled, _) => Some(("Location", Type::String, "The job that was cancelled")),
        _ => None,
    }
}

/// A problem for each code that a caller over HTTP can meet.
pub(super) fn problem_examples() -> BTreeMap<String, RefOr<Example>> {
    let told = Code::ALL.iter().filter(|code| code.kind() != Kind::Job);
    told.map(|code| (code.to_string(), problem_example(*code).into())).collect()
}

fn problem_example(code: Code) -> Example {
    let value: Value = json!(example(code).body());
    ExampleBuilder::new().summary(code.meaning()).value(Some(value)).build()
}

fn example(code: Code) -> Problem {
    let meaning = code.meaning().trim_end_matches('.').replace('`', "");
    let (first, rest) = meaning.split_at(meaning.len().min(1));
    Problem(Error::new(code, format!("{}{rest}", first.to_lowercase())))
}
