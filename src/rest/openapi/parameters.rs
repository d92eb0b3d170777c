//! Parameters that handlers read from path and headers by hand.

use utoipa::{
    IntoParams,
    openapi::{
        Required, SchemaFormat,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{KnownFormat, ObjectBuilder, Type},
    },
};

use crate::limits::REQUEST_ID_CHARS_MAX;

/// The job that a path names.
pub(in crate::rest) struct JobId;

impl IntoParams for JobId {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let id = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
        let id = ParameterBuilder::new()
            .name("job-id")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some("The id that the submit answered: a hyphenated UUID"))
            .schema(Some(id));
        vec![id.build()]
    }
}

/// How a body is encoded.
pub(in crate::rest) struct BodyEncoding;

impl IntoParams for BodyEncoding {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let encodings = text().enum_values(Some(["identity", "gzip", "deflate"]));
        vec![header("Content-Encoding", "How the body is encoded", encodings)]
    }
}

/// Headers of an upload beside its media type and encoding.
pub(in crate::rest) struct UploadHeaders;

impl IntoParams for UploadHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            header(
                "Idempotency-Key",
                "The same key with the same upload answers with the same job again",
                key(),
            ),
            header("X-Request-ID", "Taken where there is no `Idempotency-Key`", key()),
            header("Referer", "Taken and not looked at", text()),
        ]
    }
}

/// Which part of a report.
pub(in crate::rest) struct Ranges;

impl IntoParams for Ranges {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let whole = "Several ranges, or another unit, are answered with the whole report";
        vec![
            header("Range", &format!("Bytes of a finished job's report. {whole}"), text()),
            header("If-Range", "`ETag` of the part at hand; another report is sent whole", text()),
        ]
    }
}

/// Where a stream of events resumes.
pub(in crate::rest) struct LastEventId;

impl IntoParams for LastEventId {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "Last-Event-ID",
            "Events after the one of this number are sent; 0 or empty for a snapshot first. Not above \
             the newest event",
            text().pattern(Some("^[0-9]*$")),
        )]
    }
}

fn header(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn key() -> ObjectBuilder {
    text().min_length(Some(1)).max_length(Some(REQUEST_ID_CHARS_MAX)).pattern(Some("^[!-~]+$"))
}
